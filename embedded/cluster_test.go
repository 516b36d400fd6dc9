package embedded

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
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

func TestAClusterThatRunsIsADefaultAndIsInterrupted(t *testing.T) {
	progress := engine.NewProgress(io.Discard)
	p := &Platform{Launcher: &engine.Launcher{Repo: t.TempDir(), Progress: progress}, Progress: progress}
	require.NoError(t, p.cluster().Exclusive(t.Context(), func() error {
		keep := exec.Command("/proc/self/exe", "cluster", "keep")
		keep.Env = append(os.Environ(), asKeeper+"="+p.cluster().Lock)
		return p.cluster().Start(t.Context(), keep, func() error {
			if running, err := p.cluster().Running(); err != nil || !running {
				return errors.Join(err, errors.New("not yet"))
			}
			return nil
		})
	}))
	file := filepath.Join(p.Launcher.Repo, ".env")
	require.NoError(t, p.defaults("localhost:5001"))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(text), "SLIPWAY_KUBERNETES=tcp://localhost:6443\n")
	assert.ErrorContains(t, p.ClusterKeep(t.Context(), io.Discard), "another process may hold "+p.cluster().Lock)

	require.NoError(t, p.ClusterDown(t.Context()))
	require.ErrorIs(t, p.ClusterStatus(t.Context(), io.Discard), engine.ErrDown)
	log, err := os.ReadFile(p.cluster().Log)
	require.NoError(t, err)
	assert.Equal(t, "interrupted\n", string(log))
	text, err = os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(text), "SLIPWAY_SANDBOX=")
	assert.NotContains(t, string(text), "SLIPWAY_KUBERNETES")
}

func TestStatusOfNoClusterSaysThatOfTheCluster(t *testing.T) {
	p := &Platform{Launcher: &engine.Launcher{Repo: t.TempDir()}}
	var out bytes.Buffer
	err := p.ClusterStatus(t.Context(), &out)
	require.ErrorIs(t, err, engine.ErrDown)
	assert.EqualError(t, err, "the cluster does not run: start it with go tool task cluster:up")
	assert.Empty(t, out.String())
}
