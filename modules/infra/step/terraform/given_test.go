package terraform

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOnlyAnEmptyBlockSaysNothing(t *testing.T) {
	for _, value := range []any{nil, []any{}, map[string]any{}} {
		assert.False(t, given(value), "%#v", value)
	}
	for _, value := range []any{"", "x", false, true, 0.0, []any{nil}, []any{map[string]any{}}, map[string]any{"command": nil}} {
		assert.True(t, given(value), "%#v", value)
	}
}
