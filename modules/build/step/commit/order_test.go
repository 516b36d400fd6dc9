package commit_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/build/step/commit"
	"slipway/step/result/build"
)

func TestOrder(t *testing.T) {
	dir := checkout(t)
	note := func(branch string) string {
		git(t, dir, "checkout", "-q", branch)
		git(t, dir, "commit", "-q", "--allow-empty", "-m", branch)
		return git(t, dir, "rev-parse", "HEAD")
	}
	first := git(t, dir, "rev-parse", "HEAD")
	second := note("main")
	git(t, dir, "branch", "side", first)
	aside := note("side")
	git(t, dir, "checkout", "-q", "main")
	git(t, dir, "merge", "-q", "--no-ff", "-m", "merge", "side")
	merged := git(t, dir, "rev-parse", "HEAD")
	third := note("main")
	git(t, dir, "checkout", "-q", "--detach", first)

	whole := filepath.Join(t.TempDir(), "clone")
	shallow := filepath.Join(t.TempDir(), "clone")
	git(t, dir, "clone", "-q", "-b", "main", "file://"+dir, whole)
	git(t, dir, "clone", "-q", "-b", "main", "--depth", "2", "file://"+dir, shallow)
	for name, c := range map[string]struct {
		dir, older, newer string
		ancestor          bool
	}{
		"a parent":                 {dir, first, second, true},
		"far behind":               {dir, first, third, true},
		"by a merge's second side": {dir, aside, third, true},
		"the same":                 {dir, first, first, false},
		"a descendant":             {dir, third, first, false},
		"side by side":             {dir, second, aside, false},
		"in packs":                 {whole, first, third, true},
		"shallow: what it has":     {shallow, merged, third, true},
		"shallow: what it lacks":   {shallow, first, third, false},
		"in nobody's history":      {dir, first, strings.Repeat("0", 40), false},
		"no commit":                {dir, first, "v1.2.3", false},
		"no commit either":         {dir, "", third, false},
	} {
		t.Run(name, func(t *testing.T) {
			order, err := commit.Order(c.dir, c.dir, c.older, c.newer)
			require.NoError(t, err)
			assert.Equal(t, build.Order{Ancestor: c.ancestor}, order)
		})
	}
	_, err := commit.Order(t.TempDir(), t.TempDir(), first, third)
	assert.ErrorContains(t, err, "is no checkout")
}
