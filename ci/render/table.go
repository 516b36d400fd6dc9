// Package render lays out what people read.
package render

import (
	"encoding/json"
	"strings"
	"text/tabwriter"

	"slipway/step/printable"
)

// Table is rows of cells in aligned columns, a line each. A cell can't be more than
// one, whatever stands in it.
func Table(rows ...[]string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for n, cell := range row {
			cells[n] = printable.Line(cell)
		}
		_, _ = w.Write([]byte(strings.Join(cells, "\t") + "\n")) // a strings.Builder takes everything
	}
	_ = w.Flush()
	return printable.Whole(b.String())
}

// Lines is each item as one line, behind a prefix.
func Lines(prefix string, items ...string) string {
	var b strings.Builder
	for _, item := range items {
		b.WriteString(prefix + printable.Line(item) + "\n")
	}
	return printable.Whole(b.String())
}

// Facts is a title, and those facts that have a value: name, value and note.
func Facts(title string, facts [][3]string) string {
	var rows [][]string
	for _, f := range facts {
		name, value, note := f[0], f[1], f[2]
		if note != "" {
			note = " (" + note + ")"
		}
		if value != "" {
			rows = append(rows, []string{name, value + note})
		}
	}
	return Lines("", title) + Table(rows...)
}

// Either is what is said of something that is so, or is not.
func Either(yes bool, so, otherwise string) string {
	if yes {
		return so
	}
	return otherwise
}

// JSON is a value as JSON, on one line.
func JSON(value any) (string, error) {
	data, err := json.Marshal(value)
	return printable.JSON(string(data)) + "\n", err
}

// Indented is a value as JSON, a field on each line.
func Indented(value any) (string, error) {
	data, err := json.MarshalIndent(value, "", "  ")
	return printable.JSON(string(data)) + "\n", err
}
