//go:build e2e

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/engine"
)

// freshEngine starts an engine with empty caches beside the one in use: the
// same programs, and nothing else in common.
func freshEngine(t testing.TB) *engine.Launcher {
	t.Helper()
	user, err := engine.NewLauncher(repository(), engine.NewProgress(os.Stderr))
	require.NoError(t, err)
	if !user.Dirs.Built() {
		t.Skip("a second engine can be started where the native one is used, not beside Docker's")
	}
	own := &engine.Launcher{
		Repo: t.TempDir(),
		Dirs: engine.Dirs{
			Cache: user.Dirs.Cache, State: filepath.Join(t.TempDir(), "state"), Run: filepath.Join(t.TempDir(), "run"),
		},
		Network:  engine.Network{Name: "slipwayfresh", Prefix: "10.85."},
		Progress: engine.NewProgress(os.Stderr),
		Getenv: func(name string) string {
			if name == "_EXPERIMENTAL_DAGGER_RUNNER_HOST" || strings.HasPrefix(name, "DOCKER_") {
				return ""
			}
			return os.Getenv(name)
		},
	}
	t.Cleanup(func() { assert.NoError(t, own.Reset(context.Background())) })
	require.NoError(t, own.Up(t.Context()))
	return own
}

func TestTheSameSourceGivesTheSameDigestOnAnotherEngine(t *testing.T) {
	dir := source(t, nil)
	call := func(p *platform) string {
		digest, err := p.call(dir, nil, "app", "--name", "hello", "build", "digest")
		require.NoError(t, err)
		require.Regexp(t, `^sha256:[0-9a-f]{64}\s*$`, digest)
		return strings.TrimSpace(digest)
	}
	other := freshEngine(t)
	fresh := *shared
	fresh.env = append(os.Environ(), other.Environ(t.Context())...)
	assert.Equal(t, call(shared), call(&fresh))
}
