package render_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"slipway/ci/render"
	"slipway/step/steptest"
)

func TestTable(t *testing.T) {
	assert.Equal(t, "A    LONGER\nabc  1\n\nx\n", render.Table([]string{"A", "LONGER"}, []string{"abc", "1"}, nil, []string{"x"}))
	assert.Empty(t, render.Table())
	assert.Equal(t, "  a\n  b c\n", render.Lines("  ", "a", "b\nc"))
	assert.Empty(t, render.Lines("  "))
}

// TestHostile: a cell stays in its row and column.
func TestHostile(t *testing.T) {
	for _, text := range steptest.Hostile() {
		table := render.Table([]string{"APP", "VERDICT", "WHO"}, []string{text, "refused", text}, []string{text, "#", "[error]"})
		steptest.Printable(t, table)
		lines := strings.Split(table, "\n")
		assert.Len(t, lines, 4)
		before, _, _ := strings.Cut(lines[0], "VERDICT")
		at := len([]rune(before))
		assert.True(t, strings.HasPrefix(string([]rune(lines[1])[at:]), "refused"), "%.200q", lines[1])
		steptest.Printable(t, render.Lines("", text, text))
		assert.Equal(t, 2, strings.Count(render.Lines("  + ", text, text), "\n"))
	}
}
