// Package teav1 stands in for github.com/vito/tuist/teav1, which shows Bubble
// Tea models inside the terminal UI. It leaves out their event loop: without an
// interactive UI no model is ever asked.
package teav1

import (
	"strings"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/vito/tuist"
)

// Wrap holds a model.
type Wrap struct {
	tuist.Compo
	model tea.Model
}

// New wraps a model.
func New(model tea.Model) *Wrap { return &Wrap{model: model} }

// OnQuit would run work after the model quits; it never starts.
func (*Wrap) OnQuit(func()) {}

// Render draws the model's view.
func (w *Wrap) Render(ctx tuist.Context) { ctx.Lines(strings.Split(w.model.View(), "\n")...) }
