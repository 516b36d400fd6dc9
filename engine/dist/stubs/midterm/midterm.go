// Package midterm stands in for github.com/vito/midterm, a terminal emulator
// whose needed version is not published. It keeps the log lines that the
// renderers print, with their escape codes as they came. It leaves out cursor
// movement, screens, wrapping to a width, colours of its own, and the marking
// of search matches in the rendered text.
package midterm

import (
	"io"
	"strings"
)

// Format is a text style; this one knows only the reset.
type Format struct{}

// Reset ends every style.
var Reset Format

// Render returns the escape code of the style.
func (Format) Render() string { return "\x1b[0m" }

// Color stands for a colour; this one paints none.
type Color any

// SearchMatch is one place where a search matched.
type SearchMatch struct{ Row, Col, Len int }

// Terminal is a buffer of lines.
type Terminal struct {
	// Content holds the lines.
	Content [][]rune
	// AutoResizeX is always true: no line is ever wrapped.
	AutoResizeX bool
	// SearchMatches are the matches of the last search, from the top.
	SearchMatches []SearchMatch

	open bool
}

// NewAutoResizingTerminal returns an empty terminal.
func NewAutoResizingTerminal() *Terminal { return &Terminal{AutoResizeX: true} }

// Write appends text; a carriage return before other text starts the line over.
func (t *Terminal) Write(p []byte) (int, error) {
	for _, part := range strings.SplitAfter(string(p), "\n") {
		if part == "" {
			continue
		}
		line, ended := strings.CutSuffix(part, "\n")
		line = strings.TrimSuffix(line, "\r")
		if !t.open {
			t.Content = append(t.Content, nil)
		}
		last := len(t.Content) - 1
		if i := strings.LastIndexByte(line, '\r'); i >= 0 {
			t.Content[last], line = nil, line[i+1:]
		}
		t.Content[last] = append(t.Content[last], []rune(line)...)
		t.open = !ended
	}
	return len(p), nil
}

// UsedHeight is the number of lines.
func (t *Terminal) UsedHeight() int { return len(t.Content) }

// ResizeX does nothing: lines are never wrapped.
func (t *Terminal) ResizeX(int) {}

// RenderLine writes one line, with a reset and a line feed after it.
func (t *Terminal) RenderLine(w io.Writer, row int) error {
	return t.RenderLineFgBg(w, row, nil, nil)
}

// RenderLineFgBg writes one line; the colours are left out.
func (t *Terminal) RenderLineFgBg(w io.Writer, row int, _, _ Color) error {
	if row < 0 || row >= len(t.Content) {
		return nil
	}
	_, err := io.WriteString(w, string(t.Content[row])+Reset.Render())
	return err
}

// Search finds the query in every line and returns the number of matches.
func (t *Terminal) Search(query string) int {
	t.SearchMatches = nil
	if query == "" {
		return 0
	}
	needle := strings.ToLower(query)
	for row, line := range t.Content {
		text, from := strings.ToLower(string(line)), 0
		for {
			i := strings.Index(text[from:], needle)
			if i < 0 {
				break
			}
			t.SearchMatches = append(t.SearchMatches, SearchMatch{Row: row, Col: from + i, Len: len(needle)})
			from += i + len(needle)
		}
	}
	return len(t.SearchMatches)
}

// SearchClear forgets the matches.
func (t *Terminal) SearchClear() { t.SearchMatches = nil }

// SearchSetCurrent returns the row and column of a match, or -1, -1.
func (t *Terminal) SearchSetCurrent(i int) (row, col int) {
	if i < 0 || i >= len(t.SearchMatches) {
		return -1, -1
	}
	return t.SearchMatches[i].Row, t.SearchMatches[i].Col
}

// SearchMatchRows returns the rows that hold matches, from the top.
func (t *Terminal) SearchMatchRows() []int {
	var rows []int
	for _, m := range t.SearchMatches {
		if len(rows) == 0 || rows[len(rows)-1] != m.Row {
			rows = append(rows, m.Row)
		}
	}
	return rows
}
