package embedded

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/engine"
)

func TestAnUnpackedArchiveIsRefusedBeforeAnythingIsSetUp(t *testing.T) {
	dir := t.TempDir()
	p := &Platform{Launcher: &engine.Launcher{Repo: dir}}
	err := p.Up(t.Context())
	assert.ErrorContains(t, err, dir+" is not the root of a Git checkout")
	assert.ErrorContains(t, err, "mend: clone the repository")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)

	// A linked worktree has a file of that name.
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".git"), []byte("gitdir: elsewhere\n"), 0o600))
	assert.NoError(t, p.checkout())
}
