package code

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return dir
}

func digest(t *testing.T, dir string) string {
	t.Helper()
	d, err := Copy("plan", dir, filepath.Join(t.TempDir(), "copy"))
	require.NoError(t, err)
	return d
}

func TestCopyTakesTheCodeAndNothingElse(t *testing.T) {
	files := map[string]string{"main.tf": "a", ".terraform.lock.hcl": "l", "modules/m/main.tf": "b"}
	leavings := map[string]string{
		".terraform/x": "1", "terraform.tfstate": "2", "terraform.tfstate.backup": "3", "crash.log": "4", "errored.tfstate": "5",
	}
	clean := tree(t, files)
	for name, text := range files {
		leavings[name] = text
	}
	dirty := tree(t, leavings)
	to := filepath.Join(t.TempDir(), "copy")
	got, err := Copy("plan", dirty, to)
	require.NoError(t, err)
	assert.Equal(t, digest(t, clean), got)
	assert.Equal(t, got, digest(t, to), "the copy hashes as its original")
	assert.NoFileExists(t, filepath.Join(to, "terraform.tfstate"))
	assert.NoDirExists(t, filepath.Join(to, ".terraform"))
	text, err := os.ReadFile(filepath.Join(to, "modules", "m", "main.tf"))
	require.NoError(t, err)
	assert.Equal(t, "b", string(text))
}

func TestDigestIsOfPathsAndContents(t *testing.T) {
	base := digest(t, tree(t, map[string]string{"main.tf": "a"}))
	assert.Equal(t, Digest([]byte(strings.TrimPrefix(Digest([]byte("a")), "sha256:")+"  main.tf\n")), base)
	for name, files := range map[string]map[string]string{
		"content": {"main.tf": "b"},
		"name":    {"other.tf": "a"},
		"more":    {"main.tf": "a", "x.txt": ""},
		"folder":  {"main.tf": "a", "main/x": ""},
	} {
		assert.NotEqual(t, base, digest(t, tree(t, files)), name)
	}
}

func TestCopyRefuses(t *testing.T) {
	link := tree(t, map[string]string{"main.tf": "a"})
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(link, "linked.tf")))
	for name, c := range map[string]struct{ dir, input, reason string }{
		"a link":       {link, "linked.tf", "is not a regular file"},
		"no folder":    {filepath.Join(t.TempDir(), "none"), "none", "is not a folder"},
		"no terraform": {tree(t, map[string]string{"README.md": "x", "sub/main.tf": "x"}), "code", "holds no Terraform file"},
		"a line break": {tree(t, map[string]string{"main.tf": "a", "x\ny.tf": ""}), "code", "line break"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Copy("plan", c.dir, filepath.Join(t.TempDir(), "copy"))
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Contains(t, f.Input, c.input)
			assert.Contains(t, f.Reason, c.reason)
		})
	}
}
