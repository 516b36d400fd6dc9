package engine

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCopyEtc(t *testing.T) {
	from, to, elsewhere := t.TempDir(), t.TempDir(), t.TempDir()
	real := filepath.Join(elsewhere, "hosts")
	require.NoError(t, os.WriteFile(real, []byte("127.0.0.1 localhost\n"), 0o644))
	require.NoError(t, os.Symlink(real, filepath.Join(from, "hosts")))
	require.NoError(t, os.MkdirAll(filepath.Join(from, "alternatives"), 0o755))
	require.NoError(t, os.Symlink("/usr/sbin/iptables-nft", filepath.Join(from, "alternatives", "iptables")))
	for _, file := range []string{"shadow", "resolv.conf"} {
		require.NoError(t, os.WriteFile(filepath.Join(from, file), []byte("the machine's"), 0o600))
	}

	require.NoError(t, copyEtc(from, to))

	copied := filepath.Join(to, "hosts")
	info, err := os.Lstat(copied)
	require.NoError(t, err)
	assert.True(t, info.Mode().IsRegular(), "writing to it must not reach the machine's own")
	content, err := os.ReadFile(copied)
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1 localhost\n", string(content))
	target, err := os.Readlink(filepath.Join(to, "alternatives", "iptables"))
	require.NoError(t, err)
	assert.Equal(t, "/usr/sbin/iptables-nft", target)
	assert.NoFileExists(t, filepath.Join(to, "shadow"))
	assert.NoFileExists(t, filepath.Join(to, "resolv.conf"))
}

func TestReplaceByEmptyDoesNotFollowALink(t *testing.T) {
	dir := t.TempDir()
	outside, link := filepath.Join(dir, "outside"), filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(outside, []byte("kept"), 0o644))
	require.NoError(t, os.Symlink(outside, link))
	require.NoError(t, replaceByEmpty(link))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	assert.Zero(t, info.Mode()&fs.ModeSymlink)
	content, err := os.ReadFile(outside)
	require.NoError(t, err)
	assert.Equal(t, "kept", string(content))
}

func TestEnterRefusesOutsideItsNamespaces(t *testing.T) {
	require.EqualError(t, Enter("{}"), "this command only runs as process 1 of its own namespaces")
	require.ErrorContains(t, Enter("no json"), "read the root's description")
}

func TestEngineEnv(t *testing.T) {
	machine := map[string]string{"HTTPS_PROXY": "http://p:1", "GOSUMDB": "off", "AWS_SECRET_ACCESS_KEY": "x"}
	env := engineEnv(func(name string) string { return machine[name] }, "sha256:d", "https://proxy.example")
	assert.Contains(t, env, "HTTPS_PROXY=http://p:1")
	assert.Contains(t, env, "DAGGER_GO_SDK_MANIFEST_DIGEST=sha256:d")
	assert.Contains(t, env, "_DAGGER_ENGINE_SYSTEMENV_GOPROXY=file:///usr/local/share/slipway/goproxy,https://proxy.example")
	for _, variable := range env {
		assert.NotContains(t, variable, "AWS_", "the caller's environment stays outside")
		assert.NotContains(t, variable, "GOSUMDB")
	}
}
