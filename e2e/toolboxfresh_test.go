//go:build e2e && fresh

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/engine"
)

// As TestReproducible, this takes the engine down for a while and is run by
// itself:
//
//	go test -tags=e2e,fresh -timeout=60m -run Toolbox.*SharesNothing ./e2e
func TestToolboxOnAnEngineThatSharesNothing(t *testing.T) {
	p := shared
	user, err := engine.NewLauncher(repository(), engine.NewProgress(os.Stderr))
	require.NoError(t, err)
	require.True(t, user.Dirs.Built(), "this test swaps the native engine; beside Docker's there is none")
	toolbox := p.toolbox(t)

	fresh := *user
	fresh.Repo = t.TempDir()
	fresh.Dirs.State = filepath.Join(t.TempDir(), "state")
	require.NoError(t, user.Down(t.Context()))
	t.Cleanup(func() {
		assert.NoError(t, fresh.Reset(context.Background()))
		assert.NoError(t, user.Up(context.Background()))
	})
	require.NoError(t, fresh.Up(t.Context()))
	took := func(what string, args ...string) {
		began := time.Now()
		_, err := p.run(p.repo, args...)
		require.NoError(t, err)
		t.Logf("%s took %s", what, time.Since(began).Round(time.Second))
	}
	took("the first dagger functions", "functions", "-s")
	verdict := append(append([]string{"call"}, p.options()...), "--toolbox", toolbox, "--toolbox-key", p.file("keys/cosign.pub"),
		"app", "--name", "hello", "build", "scan", "verdict")
	took("the first verdict with a toolbox", verdict...)
	took("the second one", verdict...)
}
