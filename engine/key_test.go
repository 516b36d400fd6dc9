package engine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checkout makes the least that is a checkout.
func checkout(t *testing.T) string {
	t.Helper()
	repo := t.TempDir()
	for name, content := range map[string]string{"engine/dist/go.mod": "module a\n", "engine/seed/go.mod": "module b\n"} {
		file := filepath.Join(repo, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
	}
	return repo
}

func TestKeyFollowsThePins(t *testing.T) {
	one, two := checkout(t), checkout(t)
	key, err := Key(one)
	require.NoError(t, err)
	assert.Len(t, key, keyLength)
	same, err := Key(two)
	require.NoError(t, err)
	assert.Equal(t, key, same, "two clones share what is built")

	require.NoError(t, os.WriteFile(filepath.Join(two, "README.md"), []byte("other"), 0o644))
	same, err = Key(two)
	require.NoError(t, err)
	assert.Equal(t, key, same, "what is no pin doesn't matter")

	require.NoError(t, os.WriteFile(filepath.Join(two, "engine/dist/go.sum"), []byte("x"), 0o644))
	other, err := Key(two)
	require.NoError(t, err)
	assert.NotEqual(t, key, other)
}

func TestFindRepo(t *testing.T) {
	repo := checkout(t)
	inside := filepath.Join(repo, "engine", "dist")
	found, err := FindRepo(inside)
	require.NoError(t, err)
	assert.Equal(t, repo, found)
	_, err = FindRepo(t.TempDir())
	require.ErrorContains(t, err, "is not inside a Slipway checkout")
}

func TestNewDirs(t *testing.T) {
	env := func(variables map[string]string) func(string) string {
		return func(name string) string { return variables[name] }
	}
	dirs, err := NewDirs(env(map[string]string{"HOME": "/h", "XDG_CACHE_HOME": "/x"}), "k")
	require.NoError(t, err)
	assert.Equal(t, "/x/slipway/engine/k", dirs.Cache)
	assert.Equal(t, "/x/slipway/engine/state-v0.21.7", dirs.State)
	assert.Equal(t, "unix:///run/slipway/engine/engine.sock", dirs.RunnerHost())
	dirs, err = NewDirs(env(map[string]string{"HOME": "/h", "XDG_CACHE_HOME": "relative"}), "k")
	require.NoError(t, err)
	assert.Equal(t, "/h/.cache/slipway/engine/k", dirs.Cache)
	_, err = NewDirs(env(nil), "k")
	require.ErrorContains(t, err, "neither XDG_CACHE_HOME nor HOME")
	_, err = NewDirs(env(map[string]string{"HOME": "/a:b"}), "k")
	require.ErrorContains(t, err, "mount options can't hold")
}
