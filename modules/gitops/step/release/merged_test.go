package release

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/gitops/step/internal/githost"
	"slipway/step"
)

func TestMerged(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	first := releaseOf(t, host, 1)
	second := host.Commit("Elsewhere", map[string]string{"README": "1"})
	from := releaser(t, host, nil).Remote
	for _, commit := range []string{first, second} {
		merged, err := Merged(t.Context(), from, commit)
		require.NoError(t, err)
		assert.Equal(t, []string{commit, second}, []string{merged.Commit, merged.Head})
	}

	t.Run("refusals", func(t *testing.T) {
		_, err := Merged(t.Context(), from, strings.Repeat("a", 40))
		f, ok := step.AsFault(err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, step.KindPolicy, f.Kind)
		assert.Equal(t, "commit "+strings.Repeat("a", 40), f.Input)
		assert.Contains(t, f.Reason, "is not on ")
		for _, bad := range []string{"", first[:12], first + "-dirty", "main", strings.ToUpper(first)[:39] + "G"} {
			_, err := Merged(t.Context(), from, bad)
			f, ok := step.AsFault(err)
			require.True(t, ok, "%q: %v", bad, err)
			assert.Equal(t, step.KindInput, f.Kind, bad)
		}
	})
	t.Run("deeper than the first look", func(t *testing.T) {
		depths := allDepths
		allDepths = []int{1, 2, 0}
		t.Cleanup(func() { allDepths = depths })
		_, err := Merged(t.Context(), from, first)
		require.NoError(t, err)
		_, err = Merged(t.Context(), from, strings.Repeat("b", 40))
		require.ErrorContains(t, err, "is not on ")
		allDepths = []int{1}
		_, err = Merged(t.Context(), from, first)
		require.ErrorContains(t, err, "does not give its whole history")
	})
}
