package lock

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

var sum = strings.Repeat("ab", 32)

func TestParseReadsWhatWriteWrites(t *testing.T) {
	packages := []Package{
		{Name: "git", Version: "1:2.39.5-0+deb12u3", SHA256: sum, Path: "pool/main/g/git/git_2.39.5-0+deb12u3_amd64.deb"},
		{Name: "runc", Version: "1.1.5", SHA256: sum, Path: "pool/main/r/runc/runc_1.1.5_amd64.deb"},
	}
	var b bytes.Buffer
	require.NoError(t, Write(&b, packages))
	read, err := Parse("node.lock", strings.NewReader("# a comment\n\n"+b.String()))
	require.NoError(t, err)
	assert.Equal(t, packages, read)
}

func TestParseNamesTheLine(t *testing.T) {
	good := "git 1 " + sum + " pool/git.deb\n"
	for name, tc := range map[string]struct{ text, input, reason string }{
		"too few fields": {good + "runc 1\n", "node.lock:2", "has 2 fields instead of four"},
		"no checksum":    {"git 1 abc pool/git.deb\n", "node.lock:1", "has no sha256"},
		"upper case":     {"git 1 " + strings.ToUpper(sum) + " pool/git.deb\n", "node.lock:1", "has no sha256"},
		"path outside":   {"git 1 " + sum + " ../git.deb\n", "node.lock:1", "no clean path"},
		"not a package":  {"git 1 " + sum + " pool/git.tar\n", "node.lock:1", "no clean path"},
		"twice":          {good + good, "node.lock:2", "git is there twice"},
		"nothing":        {"# only this\n", "node.lock", "names no package"},
	} {
		_, err := Parse("node.lock", strings.NewReader(tc.text))
		f, ok := step.AsFault(err)
		require.True(t, ok, name)
		assert.Equal(t, step.KindInput, f.Kind, name)
		assert.Equal(t, tc.input, f.Input, name)
		assert.Contains(t, f.Reason, tc.reason, name)
	}
}
