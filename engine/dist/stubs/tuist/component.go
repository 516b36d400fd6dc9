// Package tuist stands in for github.com/vito/tuist, the terminal UI of the
// dagger CLI, which is not published. It is headless: components render into
// lines, which is what --progress=report prints. It leaves out the interactive
// UI altogether: starting one says so and ends the program, and the plain,
// dots, logs and report renderers go on working.
package tuist

import (
	"strings"
	"time"

	uv "github.com/charmbracelet/ultraviolet"
)

// Component renders itself into a Context.
type Component interface{ Render(Context) }

// Interactive is a component that takes key presses.
type Interactive interface {
	Component
	HandleKeyPress(Context, uv.KeyPressEvent) bool
}

// Focusable is a component that is told when it gains or loses focus.
type Focusable interface{ SetFocused(Context, bool) }

// Mounter is a component that is told when it becomes part of a running UI.
type Mounter interface{ OnMount(Context) }

// Dismounter is a component that is told when it leaves a running UI.
type Dismounter interface{ OnDismount() }

// Hoverable is a component that is told when the pointer is over it.
type Hoverable interface{ SetHovered(Context, bool) }

// MouseEnabled is a component that takes mouse events.
type MouseEnabled interface {
	HandleMouse(Context, MouseEvent) bool
}

// MouseEvent is a mouse event at a place in its component.
type MouseEvent struct {
	uv.MouseEvent
	Row, Col int
}

// Context is where a component renders to, and how large that is.
type Context struct {
	Width, Height int

	lines *[]string
}

// Line adds a line.
func (c Context) Line(line string) { c.Lines(line) }

// Lines adds lines.
func (c Context) Lines(lines ...string) {
	if c.lines != nil {
		*c.lines = append(*c.lines, lines...)
	}
}

// Resize returns the context with another size.
func (c Context) Resize(width, height int) Context {
	c.Width, c.Height = width, height
	return c
}

// ScreenHeight is the height of the screen; there is none.
func (c Context) ScreenHeight() int { return c.Height }

// SetFocus does nothing without a screen.
func (Context) SetFocus(Component) {}

// RenderResult is what a component rendered.
type RenderResult struct{ Lines []string }

// Compo is the base of a component.
type Compo struct{}

// Update asks for a new rendering; every rendering here is new.
func (*Compo) Update() {}

// RenderChildResult renders a child by itself.
func (*Compo) RenderChildResult(ctx Context, child Component) RenderResult {
	var lines []string
	ctx.lines = &lines
	child.Render(ctx)
	return RenderResult{Lines: lines}
}

// RenderChild renders a child into its parent's lines.
func (c *Compo) RenderChild(ctx Context, child Component) {
	ctx.Lines(c.RenderChildResult(ctx, child).Lines...)
}

// RenderChildInline renders a child as one string.
func (c *Compo) RenderChildInline(ctx Context, child Component) string {
	return strings.Join(c.RenderChildResult(ctx, child).Lines, " ")
}

// Container renders its children one below the other.
type Container struct {
	Compo
	Children []Component
}

// AddChild adds a component at the end.
func (c *Container) AddChild(child Component) { c.Children = append(c.Children, child) }

// RemoveChild removes a component.
func (c *Container) RemoveChild(child Component) {
	kept := c.Children[:0]
	for _, other := range c.Children {
		if other != child {
			kept = append(kept, other)
		}
	}
	c.Children = kept
}

// Render renders the children.
func (c *Container) Render(ctx Context) {
	for _, child := range c.Children {
		c.RenderChild(ctx, child)
	}
}

// Spinner marks running work; without a clock it stands still.
type Spinner struct {
	Compo
	Epoch time.Time
}

// NewSpinner returns a spinner.
func NewSpinner() *Spinner { return &Spinner{} }

// Render draws the spinner.
func (*Spinner) Render(ctx Context) { ctx.Line("●") }
