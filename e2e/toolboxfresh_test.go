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

// onFreshEngine runs work on an engine with empty caches, in place of the one in
// use, which is down meanwhile: a machine has one at a time. took runs dagger and
// logs how long that was.
func onFreshEngine(t *testing.T, work func(took func(what string, args ...string))) {
	t.Helper()
	user, err := engine.NewLauncher(repository(), engine.NewProgress(os.Stderr))
	require.NoError(t, err)
	require.True(t, user.Dirs.Built(), "this test swaps the native engine; beside Docker's there is none")
	fresh := *user
	fresh.Repo = t.TempDir()
	fresh.Dirs.State = filepath.Join(t.TempDir(), "state")
	require.NoError(t, user.Down(t.Context()))
	t.Cleanup(func() {
		assert.NoError(t, fresh.Reset(context.Background()))
		assert.NoError(t, user.Up(context.Background()))
	})
	require.NoError(t, fresh.Up(t.Context()))
	work(func(what string, args ...string) {
		t.Helper()
		began := time.Now()
		_, err := shared.runFor(compilePatience, shared.repo, args...)
		require.NoError(t, err)
		t.Logf("%s took %s", what, time.Since(began).Round(time.Second))
	})
}

// As TestReproducible, this is run by itself:
//
//	go test -tags=e2e,fresh -timeout=60m -run Toolbox.*SharesNothing -v ./e2e
func TestToolboxOnAnEngineThatSharesNothing(t *testing.T) {
	p := shared
	toolbox := p.toolbox(t)
	onFreshEngine(t, func(took func(what string, args ...string)) {
		took("the first dagger functions", "functions", "-s")
		verdict := append(append([]string{"call"}, p.options()...), "--toolbox", toolbox, "--toolbox-key", p.file("keys/cosign.pub"),
			"app", "--name", "hello", "build", "scan", "verdict")
		took("the first verdict with a toolbox", verdict...)
		took("the second one", verdict...)
	})
}
