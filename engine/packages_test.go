package engine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMissing(t *testing.T) {
	root := t.TempDir()
	for _, path := range []string{"/usr/sbin/runc", "/usr/bin/git", "/bin/mount", "/opt/cni/bin/bridge", certificates} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, path), nil, 0o644))
	}
	assert.Equal(t, []string{"gcc", "libc6-dev", "dnsmasq-base", "iptables"}, Missing(root, Needed(true)))
	assert.Equal(t, []string{"gcc", "libc6-dev"}, Missing(root, Needed(false)), "the CLI alone needs no engine's parts")
}

func TestInstallCommands(t *testing.T) {
	assert.Equal(t, [][]string{
		{"apt-get", "update", "-q"},
		{"apt-get", "install", "-q", "-y", "--no-install-recommends", "runc", "git"},
	}, installCommands([]string{"runc", "git"}))
}

func TestCanInstall(t *testing.T) {
	missing := []string{"runc", "dnsmasq-base"}
	require.NoError(t, canInstall("ID=debian\nVERSION_ID=\"12\"\n", 0, missing))
	require.NoError(t, canInstall("ID=ubuntu\n", 0, missing))
	require.NoError(t, canInstall("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", 0, missing))
	assert.EqualError(t, canInstall("ID=debian\n", 1000, missing),
		"missing on this system: runc, dnsmasq-base: install them (apt-get install runc dnsmasq-base) or run this as root")
	for _, release := range []string{"ID=fedora\n", "ID=notdebian\n", ""} {
		assert.EqualError(t, canInstall(release, 0, missing),
			"missing on this system: runc, dnsmasq-base (Debian's names): install their equivalents, then run this again", release)
	}
}

func TestLastLines(t *testing.T) {
	assert.Equal(t, "b\nc", lastLines("a\nb\nc\n", 2))
	assert.Equal(t, "a", lastLines("a\n", 5))
}
