//go:build e2e && fresh

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/engine"
)

// This test takes minutes, because an engine with empty caches compiles
// everything again, and the engine in use is down meanwhile: a machine has one
// at a time. It is run by itself:
//
//	go test -tags=e2e,fresh -timeout=40m -run Reproducible ./e2e
func TestReproducibleOnAnEngineThatSharesNothing(t *testing.T) {
	user, err := engine.NewLauncher(repository(), engine.NewProgress(os.Stderr))
	require.NoError(t, err)
	require.True(t, user.Dirs.Built(), "this test swaps the native engine; beside Docker's there is none")
	dir := source(t, nil)
	digest := func() string {
		digest, err := shared.call(dir, nil, "app", "--name", "hello", "build", "digest")
		require.NoError(t, err)
		require.Regexp(t, `^sha256:[0-9a-f]{64}\s*$`, digest)
		return strings.TrimSpace(digest)
	}
	first := digest()

	fresh := *user
	fresh.Repo = t.TempDir()
	fresh.Dirs.State = filepath.Join(t.TempDir(), "state")
	require.NoError(t, user.Down(t.Context()))
	t.Cleanup(func() {
		assert.NoError(t, fresh.Reset(context.Background()))
		assert.NoError(t, user.Up(context.Background()))
	})
	require.NoError(t, fresh.Up(t.Context()))
	began := time.Now()
	_, err = shared.run(dir, "functions", "-s")
	require.NoError(t, err)
	t.Logf("the first dagger functions took %s", time.Since(began).Round(time.Second))
	assert.Equal(t, first, digest())
}
