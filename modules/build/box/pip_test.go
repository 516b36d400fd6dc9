package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wheel is a Python package with one module that says its name and version.
func wheel(t *testing.T, name, version string, requires ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	info := name + "-" + version + ".dist-info/"
	metadata := fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version)
	for _, r := range requires {
		metadata += "Requires-Dist: " + r + "\n"
	}
	for _, f := range [][2]string{
		{name + ".py", fmt.Sprintf("said = %q\n", name+" "+version)},
		{info + "METADATA", metadata},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", ""},
	} {
		file, err := w.Create(f[0])
		require.NoError(t, err)
		_, err = file.Write([]byte(f[1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// sdist is a source distribution that brings its own way to be built, and needs
// another package for that.
func sdist(t *testing.T, name, version string, built []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	w := tar.NewWriter(zipped)
	backend := "import os, tool\nassert tool.said == 'tool 5.0'\n" +
		"def build_wheel(folder, config_settings=None, metadata_directory=None):\n" +
		fmt.Sprintf("    name = '%s-%s-py3-none-any.whl'\n", name, version) +
		"    with open(os.path.join(folder, name), 'wb') as f:\n        f.write(open('built.whl', 'rb').read())\n    return name\n"
	for _, f := range [][2]string{
		{"pyproject.toml", "[build-system]\nrequires = [\"tool\"]\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n"},
		{"PKG-INFO", fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version)},
		{"backend.py", backend}, {"built.whl", string(built)},
	} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name + "-" + version + "/" + f[0], Mode: 0o644, Size: int64(len(f[1]))}))
		_, err := w.Write([]byte(f[1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, zipped.Close())
	return b.Bytes()
}

// TestPipInstallsWhatWasFetched is the whole way of an app's packages: an index, the
// step program that fetches, the box's registry, and the real pip.
func TestPipInstallsWhatWasFetched(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil || exec.Command(python, "-m", "pip", "--version").Run() != nil {
		t.Skip("pip is not on this machine")
	}
	files := map[string][]byte{
		"some_name-1.0-py3-none-any.whl": wheel(t, "some_name", "1.0", "needed"),
		"needed-2.0-py3-none-any.whl":    wheel(t, "needed", "2.0"),
		"needed-9.0-py3-none-any.whl":    wheel(t, "needed", "9.0"),
		"tool-5.0-py3-none-any.whl":      wheel(t, "tool", "5.0"),
		"source-3.0.tar.gz":              sdist(t, "source", "3.0", wheel(t, "source", "3.0")),
	}
	pages, sums := map[string]string{}, map[string]string{}
	for name, content := range files {
		project, _, _ := strings.Cut(strings.ReplaceAll(name, "_", "."), "-")
		project = strings.ReplaceAll(project, ".", "-")
		sums[name] = fmt.Sprintf("sha256:%x", sha256.Sum256(content))
		pages["/simple/"+project+"/"] += fmt.Sprintf("<a href=\"../../files/%s#%s\">%s</a>\n", name, strings.Replace(sums[name], ":", "=", 1), name)
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if page, ok := pages[r.URL.Path]; ok {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte(page))
			return
		}
		_, _ = w.Write(files[filepath.Base(r.URL.Path)])
	}))
	defer upstream.Close()
	app := t.TempDir()
	write := func(needed string) {
		text := "Some.Name==1.0 \\\n    --hash=" + sums["some_name-1.0-py3-none-any.whl"] + "\nneeded==2.0 --hash=" + needed +
			"\nsource==3.0 --hash=" + sums["source-3.0.tar.gz"] + "\ntool==5.0 --hash=" + sums["tool-5.0-py3-none-any.whl"] + "\n"
		require.NoError(t, os.WriteFile(app+"/requirements.txt", []byte(text), 0o644))
	}
	write(sums["needed-2.0-py3-none-any.whl"])
	packages := fetch(t, app, "--pip", upstream.URL+"/simple")
	upstream.Close()

	registry, address := served(t, packages)
	// A machine's own settings do not count, for there is no other index.
	settings := filepath.Join(t.TempDir(), "pip.conf")
	require.NoError(t, os.WriteFile(settings, []byte("[global]\nindex-url = https://index.invalid/simple\nextra-index-url = https://more.invalid/simple\n"), 0o644))
	home := t.TempDir()
	run := func(args ...string) (string, error) {
		cmd := exec.Command(python, append([]string{"-m", "pip", "install", "--target", filepath.Join(app, "installed"), "--upgrade"}, args...)...)
		cmd.Dir = app
		cmd.Env = registryEnv([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "PYENV_ROOT=" + os.Getenv("PYENV_ROOT"), "PIP_CONFIG_FILE=" + settings, "http_proxy=http://proxy.invalid", "PIP_RETRIES=0"}, address)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	said, err := run("-r", "requirements.txt")
	require.NoError(t, err, said)
	for module, says := range map[string]string{"some_name": "some_name 1.0", "needed": "needed 2.0", "source": "source 3.0", "tool": "tool 5.0"} {
		content, err := os.ReadFile(filepath.Join(app, "installed", module+".py"))
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf("said = %q\n", says), string(content))
	}
	assert.NotContains(t, said, "invalid")
	assert.Empty(t, registry.lacked())
	assert.NoDirExists(t, filepath.Join(home, ".cache"))

	// A package that no lock file names is not there, and another version isn't, either.
	said, err = run("some.name", "stranger")
	require.Error(t, err)
	assert.Contains(t, said, "No matching distribution found for stranger")
	assert.Equal(t, `asked in vain for "stranger": no lock file of the app names it, and there is no network`, registry.lacked())
	said, err = run("needed==9.0")
	require.Error(t, err)
	assert.Contains(t, said, "(from versions: 2.0)")
	// pip itself holds what it gets to the lock file that it has.
	write("sha256:" + strings.Repeat("0", 64))
	said, err = run("-r", "requirements.txt")
	require.Error(t, err)
	assert.Contains(t, said, "THESE PACKAGES DO NOT MATCH THE HASHES")
}
