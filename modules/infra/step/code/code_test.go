package code

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/result/infra"
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
	d, err := Copy("plan", dir, ".", filepath.Join(t.TempDir(), "copy"))
	require.NoError(t, err)
	return d
}

func TestCopyTakesTheCodeAndNothingElse(t *testing.T) {
	files := map[string]string{"main.tf": "# a", ".terraform.lock.hcl": "l", "modules/m/main.tf": "# b"}
	leavings := map[string]string{
		".terraform/x": "1", "terraform.tfstate": "2", "terraform.tfstate.backup": "3", "crash.log": "4", "errored.tfstate": "5",
	}
	clean := tree(t, files)
	for name, text := range files {
		leavings[name] = text
	}
	dirty := tree(t, leavings)
	to := filepath.Join(t.TempDir(), "copy")
	got, err := Copy("plan", dirty, ".", to)
	require.NoError(t, err)
	assert.Equal(t, digest(t, clean), got)
	assert.Equal(t, got, digest(t, to), "the copy hashes as its original")
	assert.NoFileExists(t, filepath.Join(to, "terraform.tfstate"))
	assert.NoDirExists(t, filepath.Join(to, ".terraform"))
	text, err := os.ReadFile(filepath.Join(to, "modules", "m", "main.tf"))
	require.NoError(t, err)
	assert.Equal(t, "# b", string(text))
}

func TestDigestIsOfPathsAndContents(t *testing.T) {
	base := digest(t, tree(t, map[string]string{"main.tf": "# a"}))
	assert.Equal(t, Digest([]byte(strings.TrimPrefix(Digest([]byte("# a")), "sha256:")+"  main.tf\n")), base)
	for name, files := range map[string]map[string]string{
		"content": {"main.tf": "# b"},
		"name":    {"other.tf": "# a"},
		"more":    {"main.tf": "# a", "x.txt": ""},
		"folder":  {"main.tf": "# a", "main/x": ""},
	} {
		assert.NotEqual(t, base, digest(t, tree(t, files)), name)
	}
}

func TestCopyRefuses(t *testing.T) {
	link := tree(t, map[string]string{"main.tf": "# a"})
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(link, "linked.tf")))
	for name, c := range map[string]struct{ dir, input, reason string }{
		"a link":       {link, "linked.tf", "is not a regular file"},
		"no folder":    {filepath.Join(t.TempDir(), "none"), "none", "is not a folder"},
		"no terraform": {tree(t, map[string]string{"README.md": "x", "sub/main.tf": "x"}), "code", "holds no Terraform file"},
		"a line break": {tree(t, map[string]string{"main.tf": "# a", "x\ny.tf": ""}), "code", "line break"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Copy("plan", c.dir, ".", filepath.Join(t.TempDir(), "copy"))
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Contains(t, f.Input, c.input)
			assert.Contains(t, f.Reason, c.reason)
		})
	}
}

func TestOverridesAreRefused(t *testing.T) {
	for _, name := range []string{"override.tf", "override.tf.json", "slipway_override.tf.json", "a_override.tf", "modules/b/x_override.tf"} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "main.tf"), nil, 0o600))
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
		_, err := Copy("plan", dir, ".", t.TempDir())
		f, ok := step.AsFault(err)
		require.True(t, ok, name)
		assert.Equal(t, step.KindInput, f.Kind)
		assert.Equal(t, "code "+name, f.Input)
		assert.Equal(t, "is an override file", f.Reason)
		assert.NotEmpty(t, f.Mend)
	}
	for _, name := range []string{"overrides.tf", "myoverride.tf", "override.md", "x_override.json"} {
		assert.False(t, override(name), name)
	}
}

func TestABackendOfTheCodesOwnIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ file, text, input, reason string }{
		"none":         {"main.tf", "terraform {\n}\n", "", ""},
		"http":         {"main.tf", "terraform {\n  backend \"http\" {}\n}\n", "", ""},
		"http as JSON": {"main.tf.json", `{"terraform":{"backend":{"http":{}}}}`, "", ""},
		"not the root": {"notes.md", `terraform { backend "local" {} }`, "", ""},
		"local":        {"main.tf", "terraform {\n  backend \"local\" {}\n}\n", "code main.tf:2", `declares the backend "local"`},
		"a setting":    {"main.tf", "terraform {\n  backend \"http\" {\n    address = \"https://x.example\"\n  }\n}\n", "code main.tf:2", "sets address of its backend"},
		"s3 as JSON":   {"main.tf.json", `{"terraform":[{"backend":{"s3":{}}}]}`, "code main.tf.json:1", `declares the backend "s3"`},
		"HCP":          {"main.tf", "terraform {\n  cloud {}\n}\n", "code main.tf:2", "keeps its state in HCP Terraform"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "root.tf"), nil, 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600))
			err := Check("plan", dir, ".", infra.Allowed{})
			if c.reason == "" {
				require.NoError(t, err)
				return
			}
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, c.input, f.Input)
			assert.Equal(t, c.reason, f.Reason)
		})
	}
}
