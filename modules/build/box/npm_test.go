package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step/result/build"
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

func TestNPMRegistryServesThePackagesOfAFolderAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	content, integrity := tarball(t, "@s/a", "1.0.0")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.tgz"), content, 0o644))
	index := []build.Package{
		{Name: "@s/a", Version: "1.0.0", Path: "/@s/a/-/a-1.0.0.tgz", Integrity: integrity, File: "x.tgz"},
		{Name: "gone", Version: "2.0.0", Path: "/gone/-/gone-2.0.0.tgz", Integrity: integrity, File: "y.tgz"},
	}
	write := func() {
		data, err := json.Marshal(index)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, build.PackagesIndex), data, 0o644))
	}
	write()
	registry, err := newNPMRegistry(dir, "http://127.0.0.1:1")
	require.NoError(t, err)
	server := httptest.NewServer(registry)
	defer server.Close()
	get := func(method, path string) (int, string) {
		request, err := http.NewRequest(method, server.URL, strings.NewReader("{}"))
		require.NoError(t, err)
		request.URL.Opaque = "//" + request.URL.Host + path // as it is written
		response, err := http.DefaultTransport.RoundTrip(request)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(body)
	}
	for _, path := range []string{"/@s/a/-/a-1.0.0.tgz", "/@s%2fa/-/a-1.0.0.tgz"} {
		code, body := get("GET", path)
		assert.Equal(t, 200, code)
		assert.Equal(t, string(content), body)
	}
	code, body := get("GET", "/@s%2fa")
	assert.Equal(t, 200, code)
	assert.JSONEq(t, `{"name":"@s/a","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"@s/a","version":"1.0.0","dist":{"tarball":"http://127.0.0.1:1/@s/a/-/a-1.0.0.tgz","integrity":"`+integrity+`"}}}}`, body)
	for _, path := range []string{"/", "/index.json", "/x.tgz", "/../x.tgz", "/@s/a/-/../../../index.json", "/%2e%2e/index.json", "/a", "/@s/a/-/a-1.0.1.tgz", "/-/npm/v1/security/advisories/bulk", "//@s/a"} {
		code, body := get("GET", path)
		assert.Equal(t, 404, code, path)
		assert.JSONEq(t, `{"error":"no lock file of the app names it, and there is no network"}`, body)
	}
	code, _ = get("GET", "/gone/-/gone-2.0.0.tgz")
	assert.Equal(t, 500, code)
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		code, _ = get(method, "/@s/a/-/a-1.0.0.tgz")
		assert.Equal(t, 405, code)
	}

	for _, name := range []string{"../x.tgz", "/etc/passwd", "a/b", "", "."} {
		index[0].File = name
		write()
		_, err = newNPMRegistry(dir, "http://127.0.0.1:1")
		require.ErrorContains(t, err, "is no file's name", name)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, build.PackagesIndex), []byte("{"), 0o644))
	_, err = newNPMRegistry(dir, "http://127.0.0.1:1")
	require.ErrorContains(t, err, "the index of packages")
	_, err = newNPMRegistry(t.TempDir(), "http://127.0.0.1:1")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestACommandFindsItsPackages(t *testing.T) {
	for _, user := range [][]string{nil, {"--keep-user"}} {
		c := newContainer(t)
		require.NoError(t, os.Mkdir(filepath.Join(c.root, "packages"), 0o755))
		writeJSON(t, filepath.Join(c.root, "packages", build.PackagesIndex), []build.Package{{Name: "a", Version: "1.0.0", Path: "/a/-/a-1.0.0.tgz", File: "x.tgz"}})
		require.NoError(t, os.WriteFile(filepath.Join(c.root, "packages", "x.tgz"), []byte("content"), 0o644))
		box := append([]string{boxProgram, "run", "--packages", "/packages"}, user...)
		stdout, _, code := c.run(t, append(box, "--", hostile, "get", "a/-/a-1.0.0.tgz")...)
		assert.Zero(t, code)
		assert.Equal(t, "200 OK content <nil>\n", stdout)
		stdout, _, _ = c.run(t, append(box, "--", hostile, "get", "b")...)
		assert.Contains(t, stdout, "404 Not Found")
	}
	_, stderr, code := contained(t, boxProgram, "run", "--packages", "/packages", "--", hostile, "show")
	assert.Equal(t, exitLimit, code)
	assert.Contains(t, stderr, "slipway-box: open /packages/index.json")
}

func TestNPMEnvNamesTheBoxesRegistryAndNoOther(t *testing.T) {
	assert.Equal(t, []string{
		"PATH=/bin", "NPM_CONFIG_AUDIT=true", "npm_config_registry_x=1",
		"npm_config_registry=http://127.0.0.1:1/", "npm_config_replace_registry_host=always", "npm_config_noproxy=127.0.0.1", "npm_config_fund=false", "npm_config_update_notifier=false",
	}, npmEnv([]string{"PATH=/bin", "NPM_CONFIG_REGISTRY=https://other.example", "NPM_CONFIG_AUDIT=true", "npm_config_replace-registry-host=never", "npm_config_registry_x=1"}, "http://127.0.0.1:1"))
}

// TestNPMInstallsWhatWasFetched is the whole way of an app's packages: a registry, the
// step program that fetches, the box's registry, and the real npm.
func TestNPMInstallsWhatWasFetched(t *testing.T) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("npm is not on this machine")
	}
	program := filepath.Join(t.TempDir(), "step")
	compile := exec.Command("go", "build", "-o", program, ".")
	compile.Dir = "../step"
	out, err := compile.CombinedOutput()
	require.NoError(t, err, string(out))

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
	fetched := t.TempDir()
	out, err = exec.Command(program, "npm-fetch", "--source", app, "--out", fetched, "--registry", upstream.URL).CombinedOutput()
	require.NoError(t, err, string(out))
	upstream.Close()

	server := httptest.NewUnstartedServer(nil)
	registry, err := newNPMRegistry(filepath.Join(fetched, build.PackagesFolder), "http://"+server.Listener.Addr().String())
	require.NoError(t, err)
	server.Config.Handler = registry
	server.Start()
	defer server.Close()
	run := func(dir string, args ...string) (string, error) {
		cmd := exec.Command(npm, args...)
		cmd.Dir = dir
		cmd.Env = npmEnv([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "npm_config_userconfig=/nowhere/user", "npm_config_globalconfig=/nowhere/global", "npm_config_fetch_retries=0"}, server.URL)
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
	// npm itself holds what it gets to the lock file that it has.
	entry := entries["node_modules/plain"].(map[string]any)
	_, entry["integrity"] = tarball(t, "plain", "1.0.1")
	writeJSON(t, app+"/package-lock.json", map[string]any{"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": entries})
	said, err = run(app, "ci")
	require.Error(t, err)
	assert.Contains(t, said, "EINTEGRITY")
}

func writeJSON(t *testing.T, path string, value any) {
	t.Helper()
	data, err := json.Marshal(value)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data, 0o644))
}
