package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tarball is an npm package with one module that exports its name and version.
func tarball(t *testing.T, name, version string) ([]byte, string) {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	w := tar.NewWriter(zipped)
	for _, f := range [][2]string{
		{"package/package.json", fmt.Sprintf(`{"name":%q,"version":%q,"main":"index.js"}`, name, version)},
		{"package/index.js", fmt.Sprintf("module.exports = %q;\n", name+"@"+version)},
	} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1]))}))
		_, err := w.Write([]byte(f[1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, zipped.Close())
	sum := sha512.Sum512(b.Bytes())
	return b.Bytes(), "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

// TestNPMInstallsWhatWasFetched is the whole way of an app's packages: a registry, the
// step program that fetches, the box's registry, and the real npm.
func TestNPMInstallsWhatWasFetched(t *testing.T) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("npm is not on this machine")
	}
	files := map[string][]byte{}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if files[r.URL.Path] == nil {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(files[r.URL.Path])
	}))
	defer upstream.Close()
	app := t.TempDir()
	entries, dependencies := map[string]any{}, map[string]string{}
	for _, p := range []struct{ name, version, path, resolved string }{
		{"plain", "1.0.0", "/plain/-/plain-1.0.0.tgz", "https://elsewhere.invalid/npm/plain/-/plain-1.0.0.tgz"},
		{"@scope/one", "2.1.0-rc.1", "/@scope/one/-/one-2.1.0-rc.1.tgz", "https://elsewhere.invalid/@scope/one/-/one-2.1.0-rc.1.tgz"},
		{"unnamed", "3.0.0", "/unnamed/-/unnamed-3.0.0.tgz", ""},
		{"@other/unnamed", "3.0.0", "/@other/unnamed/-/unnamed-3.0.0.tgz", ""},
		{"elsewhere", "4.0.0", "/files/elsewhere.tgz", upstream.URL + "/files/elsewhere.tgz"},
	} {
		content, integrity := tarball(t, p.name, p.version)
		files[p.path] = content
		entry := map[string]any{"version": p.version, "integrity": integrity}
		if p.resolved != "" {
			entry["resolved"] = p.resolved
		}
		entries["node_modules/"+p.name], dependencies[p.name] = entry, p.version
	}
	entries[""] = map[string]any{"name": "app", "version": "1.0.0", "dependencies": dependencies}
	writeJSON(t, app+"/package.json", entries[""])
	writeJSON(t, app+"/package-lock.json", map[string]any{"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": entries})
	// A project's own setting does not count, for there is no other registry.
	require.NoError(t, os.WriteFile(app+"/.npmrc", []byte("registry=https://registry.invalid/\n@scope:registry=https://scope.invalid/\n"), 0o644))
	packages := fetch(t, app, "--npm", upstream.URL)
	upstream.Close()
	registry, address := served(t, packages)
	run := func(dir string, args ...string) (string, error) {
		cmd := exec.Command(npm, args...)
		cmd.Dir = dir
		cmd.Env = registryEnv([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "npm_config_userconfig=/nowhere/user", "npm_config_globalconfig=/nowhere/global", "npm_config_fetch_retries=0"}, address)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	said, err := run(app, "ci")
	require.NoError(t, err, said)
	assert.Contains(t, said, "added 5 packages")
	for name, v := range dependencies {
		content, err := os.ReadFile(filepath.Join(app, "node_modules", name, "index.js"))
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf("module.exports = %q;\n", name+"@"+v), string(content))
	}

	// A package that no lock file names is not there.
	said, err = run(app, "install", "stranger")
	require.Error(t, err)
	assert.Contains(t, said, "no lock file of the app names it")
	assert.Equal(t, `asked in vain for "stranger": no lock file of the app names it, and there is no network`, registry.lacked())
	// npm itself holds what it gets to the lock file that it has.
	entry := entries["node_modules/plain"].(map[string]any)
	_, entry["integrity"] = tarball(t, "plain", "1.0.1")
	writeJSON(t, app+"/package-lock.json", map[string]any{"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": entries})
	said, err = run(app, "ci")
	require.Error(t, err)
	assert.Contains(t, said, "EINTEGRITY")
}
