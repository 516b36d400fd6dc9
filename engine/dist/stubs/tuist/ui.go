package tuist

import (
	"fmt"
	"io"
	"os"

	uv "github.com/charmbracelet/ultraviolet"
)

// Terminal is the screen of an interactive UI; there is none.
type Terminal struct{}

// NewStdTerminal returns the terminal that does not exist.
func NewStdTerminal() *Terminal { return &Terminal{} }

// TUI is the root of the components.
type TUI struct{ Container }

// New returns a UI without components.
func New(*Terminal) *TUI { return &TUI{} }

// reportWidth is the width that components render for: wide enough that no
// line of a report is cut.
const reportWidth = 1000

// RenderLines renders every component once.
func (t *TUI) RenderLines() []string {
	return t.RenderChildResult(Context{Width: reportWidth, Height: 1 << 20}, &t.Container).Lines
}

// Start would take over the terminal.
func (t *TUI) Start() {
	fmt.Fprintln(os.Stderr, "no interactive UI in this build: use --progress=plain, dots, logs or report")
	os.Exit(2)
}

// Stop ends the UI; it never started.
func (*TUI) Stop() {}

// Dispatch runs work of the UI's event loop, here at once.
func (*TUI) Dispatch(work func()) { work() }

// Exec runs a command on the terminal that the UI would have given up.
func (*TUI) Exec(run func(in io.Reader, out, errOut io.Writer) error) error {
	return run(os.Stdin, os.Stdout, os.Stderr)
}

// RequestRender does nothing without a screen, like the methods below.
func (*TUI) RequestRender(bool) {}

// SetDebugWriter does nothing.
func (*TUI) SetDebugWriter(io.Writer) {}

// SetFocus does nothing.
func (*TUI) SetFocus(Component) {}

// SetShowHardwareCursor does nothing.
func (*TUI) SetShowHardwareCursor(bool) {}

// ShowOverlay returns a handle of an overlay that is never drawn.
func (*TUI) ShowOverlay(Component, *OverlayOptions) *OverlayHandle { return &OverlayHandle{} }

// OverlayHandle is an overlay.
type OverlayHandle struct{}

// Remove takes the overlay away.
func (*OverlayHandle) Remove() {}

// Anchor is a place on the screen.
type Anchor int

// AnchorTopRight is the screen's upper right corner.
const AnchorTopRight Anchor = 1

// Size is a width or height in cells.
type Size struct{ Cells int }

// SizeAbs is a fixed size.
func SizeAbs(cells int) Size { return Size{Cells: cells} }

// OverlayMargin is the room around an overlay.
type OverlayMargin struct{ Top, Right, Bottom, Left int }

// OverlayOptions says where an overlay is drawn.
type OverlayOptions struct {
	Width  Size
	Anchor Anchor
	Margin OverlayMargin
}

// TextInput is a line that a user could edit.
type TextInput struct {
	Compo
	Prompt         string
	OnSubmit       func(Context, string) bool
	KeyInterceptor func(Context, uv.KeyPressEvent) bool

	value []rune
}

// NewTextInput returns an input with a prompt.
func NewTextInput(prompt string) *TextInput { return &TextInput{Prompt: prompt} }

// Value is the text.
func (t *TextInput) Value() string { return string(t.value) }

// SetValue replaces the text.
func (t *TextInput) SetValue(s string) { t.value = []rune(s) }

// InsertRune adds a character at the end.
func (t *TextInput) InsertRune(r rune) { t.value = append(t.value, r) }

// Render draws the prompt and the text.
func (t *TextInput) Render(ctx Context) { ctx.Line(t.Prompt + t.Value()) }

// Completion is one proposal.
type Completion struct{ Label, Detail string }

// CompletionResult is what could stand in an input's place.
type CompletionResult struct {
	Items       []Completion
	ReplaceFrom int
}

// CompletionMenu would show proposals below an input.
type CompletionMenu struct{ Compo }

// NewCompletionMenu returns a menu that never opens.
func NewCompletionMenu(*TextInput, func(string, int) CompletionResult) *CompletionMenu {
	return &CompletionMenu{}
}

// HandleKeyPress takes no key.
func (*CompletionMenu) HandleKeyPress(Context, uv.KeyPressEvent) bool { return false }
