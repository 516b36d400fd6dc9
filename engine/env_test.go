package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEnvFile(t *testing.T) {
	assert.Equal(t, `# Made by the engine's launcher; source it: . .slipway/env
case ":$PATH:" in *:'/c/cli':*) ;; *) export PATH='/c/cli':"$PATH" ;; esac
export _EXPERIMENTAL_DAGGER_RUNNER_HOST='unix:///run/slipway/engine/engine.sock'
export DAGGER_NO_NAG=1
export DO_NOT_TRACK=1
export DAGGER_PROGRESS="${DAGGER_PROGRESS:-dots}"
`, EnvFile("/c/cli", "unix:///run/slipway/engine/engine.sock"))
}

func TestEnvFileNamesNoRunnerForDocker(t *testing.T) {
	assert.NotContains(t, EnvFile("/c/cli", ""), runnerVariable)
}

func TestEnvFileSourcedTwiceIsTheSame(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's a $(folder)")
	file := filepath.Join(t.TempDir(), "env")
	require.NoError(t, os.WriteFile(file, []byte(EnvFile(dir, "unix:///s")), 0o600))
	shell := exec.Command("/bin/sh", "-c", `. "$1" && . "$1" && printf '%s %s' "$PATH" "$_EXPERIMENTAL_DAGGER_RUNNER_HOST"`, "sh", file)
	shell.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := shell.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Equal(t, dir+":/usr/bin:/bin unix:///s", string(out))
}

func TestWriteEnv(t *testing.T) {
	repo := t.TempDir()
	require.NoError(t, WriteEnv(repo, "one\n"))
	require.NoError(t, WriteEnv(repo, "two\n"))
	entries, err := os.ReadDir(filepath.Join(repo, ".slipway"))
	require.NoError(t, err)
	require.Len(t, entries, 1, "no temporary file is left")
	content, err := os.ReadFile(filepath.Join(repo, ".slipway", "env"))
	require.NoError(t, err)
	assert.Equal(t, "two\n", string(content))
}
