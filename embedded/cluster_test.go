package embedded

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/engine"
)

func TestAStoppedClusterIsNoDefaultAnyMore(t *testing.T) {
	p := &Platform{Launcher: &engine.Launcher{Repo: t.TempDir()}}
	file := filepath.Join(p.Launcher.Repo, ".env")
	require.NoError(t, p.ClusterDown(t.Context()), "there is no .env yet")
	assert.NoFileExists(t, file)

	rest := "SLIPWAY_SANDBOX=tcp://localhost:5000\n"
	cluster := "SLIPWAY_KUBECONFIG=file:///x\nSLIPWAY_KUBERNETES=tcp://localhost:6443\nSLIPWAY_PROVIDERS=/x\n"
	for name, tc := range map[string]struct{ before, after string }{
		"the set-up's":    {envMark + rest + cluster, envMark + rest},
		"somebody else's": {rest + cluster, rest + cluster},
	} {
		require.NoError(t, os.WriteFile(file, []byte(tc.before), 0o600))
		require.NoError(t, p.ClusterDown(t.Context()), name)
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, tc.after, string(data), name)
	}
}

func TestStatusOfNoClusterSaysThatOfTheCluster(t *testing.T) {
	p := &Platform{Launcher: &engine.Launcher{Repo: t.TempDir()}}
	var out bytes.Buffer
	err := p.ClusterStatus(t.Context(), &out)
	require.ErrorIs(t, err, engine.ErrDown)
	assert.EqualError(t, err, "the cluster does not run: start it with go tool task cluster:up")
	assert.Empty(t, out.String())
}
