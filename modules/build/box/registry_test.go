package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
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

func TestTheRegistryServesThePackagesOfAFolderAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	content, integrity := tarball(t, "@s/a", "1.0.0")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.tgz"), content, 0o644))
	index := []build.Package{
		{Manager: build.NPM, Name: "@s/a", Version: "1.0.0", Path: "/@s/a/-/a-1.0.0.tgz", Integrity: integrity, File: "x.tgz"},
		{Manager: build.NPM, Name: "gone", Version: "2.0.0", Path: "/gone/-/gone-2.0.0.tgz", Integrity: integrity, File: "y.tgz"},
	}
	write := func() {
		data, err := json.Marshal(index)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, build.PackagesIndex), data, 0o644))
	}
	write()
	registry, err := newRegistry(dir, "http://127.0.0.1:1")
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

	assert.Equal(t, `asked in vain for "index.json", "x.tgz", "../x.tgz", "@s/a/-/../../../index.json", "../index.json", "a", "@s/a/-/a-1.0.1.tgz", "@s/a": no lock file of the app names it, and there is no network`, registry.lacked())
	for i := range 2 * maxMissed {
		registry.miss(fmt.Sprintf("%sp%d/", build.PipIndex, i))
	}
	assert.Len(t, registry.missed, maxMissed)

	for _, name := range []string{"../x.tgz", "/etc/passwd", "a/b", "", "."} {
		index[0].File = name
		write()
		_, err = newRegistry(dir, "http://127.0.0.1:1")
		require.ErrorContains(t, err, "is no file's name", name)
	}
	for change, reason := range map[build.Package]string{
		{Manager: "apt", File: "x.tgz"}:                                       `"apt" is no package manager`,
		{Manager: build.Pip, File: "x.tgz", Path: "/p", Integrity: integrity}: `"/p" has no sha256`,
	} {
		index = []build.Package{change}
		write()
		_, err = newRegistry(dir, "http://127.0.0.1:1")
		require.ErrorContains(t, err, reason)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, build.PackagesIndex), []byte("{"), 0o644))
	_, err = newRegistry(dir, "http://127.0.0.1:1")
	require.ErrorContains(t, err, "the index of packages")
	_, err = newRegistry(t.TempDir(), "http://127.0.0.1:1")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTheRegistryIsAnIndexOfPythonPackages(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), []byte("wheel"), 0o644))
	sum := sha256.Sum256([]byte("wheel"))
	path := build.PipFiles + hex.EncodeToString(sum[:]) + "/a_b-1+x-py3-none-any.whl"
	writeJSON(t, filepath.Join(dir, build.PackagesIndex), []build.Package{
		{Manager: build.Pip, Name: "a-b", Version: "1", Path: path, Integrity: "sha256-" + base64.StdEncoding.EncodeToString(sum[:]), File: "f"},
		{Manager: build.Pip, Name: "a-b", Version: "1", Path: path + "\"><script>", Integrity: "sha256-AA==", File: "f"},
		{Manager: build.NPM, Name: ".pip/simple/a-b", Version: "1", Path: "/a", File: "f"},
	})
	registry, err := newRegistry(dir, "http://127.0.0.1:1")
	require.NoError(t, err)
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		registry.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	code, page := get("/.pip/simple/a-b/")
	assert.Equal(t, 200, code)
	assert.Equal(t, "<!DOCTYPE html>\n<a href=\""+path+"#sha256="+hex.EncodeToString(sum[:])+"\">a_b-1+x-py3-none-any.whl</a>\n"+
		"<a href=\""+path+"%22%3E%3Cscript%3E#sha256=00\">a_b-1+x-py3-none-any.whl&#34;&gt;&lt;script&gt;</a>\n", page)
	code, content := get(path)
	assert.Equal(t, "200 wheel", fmt.Sprint(code, " ", content))
	for _, path := range []string{"/.pip/simple/", "/.pip/simple/a_b/", "/.pip/files/", "/a-b"} {
		code, _ := get(path)
		assert.Equal(t, 404, code, path)
	}
}

func TestACommandFindsItsPackages(t *testing.T) {
	for _, user := range [][]string{nil, {"--keep-user"}} {
		c := newContainer(t)
		require.NoError(t, os.Mkdir(filepath.Join(c.root, "packages"), 0o755))
		writeJSON(t, filepath.Join(c.root, "packages", build.PackagesIndex), []build.Package{{Manager: build.NPM, Name: "a", Version: "1.0.0", Path: "/a/-/a-1.0.0.tgz", File: "x.tgz"}})
		require.NoError(t, os.WriteFile(filepath.Join(c.root, "packages", "x.tgz"), []byte("content"), 0o644))
		box := append([]string{boxProgram, "run", "--packages", "/packages"}, user...)
		stdout, stderr, code := c.run(t, append(box, "--", hostile, "get", "a/-/a-1.0.0.tgz")...)
		assert.Zero(t, code)
		assert.NotContains(t, stderr, "slipway-box:")
		assert.Equal(t, "200 OK content <nil>\n", stdout)
		// What fails says at its end what it has not got.
		stdout, stderr, code = c.run(t, append(box, "--", hostile, "get", "b%0A::error::owned")...)
		assert.Equal(t, 1, code)
		assert.Contains(t, stdout, "404 Not Found")
		assert.True(t, strings.HasSuffix(stderr, "\nslipway-box: asked in vain for \"b\\n::error::owned\": no lock file of the app names it, and there is no network\n"), stderr)
	}
	_, stderr, code := contained(t, boxProgram, "run", "--packages", "/packages", "--", hostile, "show")
	assert.Equal(t, exitLimit, code)
	assert.Contains(t, stderr, "slipway-box: open /packages/index.json")
}

func TestPackageManagersAskTheBoxesRegistryAndNoOther(t *testing.T) {
	settings := []string{
		"npm_config_registry=http://127.0.0.1:1/", "npm_config_replace_registry_host=always", "npm_config_noproxy=127.0.0.1", "npm_config_fund=false", "npm_config_update_notifier=false",
		"PIP_INDEX_URL=http://127.0.0.1:1/.pip/simple/", "PIP_EXTRA_INDEX_URL=http://127.0.0.1:1/.pip/simple/", "PIP_PROXY=", "PIP_DISABLE_PIP_VERSION_CHECK=1", "SOURCE_DATE_EPOCH=315532800",
	}
	assert.Equal(t, append([]string{"PATH=/bin", "NPM_CONFIG_AUDIT=true", "npm_config_registry_x=1", "PIP_NO_CACHE_DIR=0"}, settings...), registryEnv([]string{
		"PATH=/bin", "NPM_CONFIG_REGISTRY=https://other.example", "NPM_CONFIG_AUDIT=true", "npm_config_replace-registry-host=never", "npm_config_registry_x=1",
		"PIP_INDEX_URL=https://other.example", "PIP_EXTRA_INDEX_URL=https://more.example", "PIP_NO_CACHE_DIR=0", "PIP_PROXY=http://proxy.example",
	}, "http://127.0.0.1:1"))
	env := registryEnv([]string{"HTTP_PROXY=http://proxy.example", "NO_PROXY=localhost,"}, "http://127.0.0.1:1")
	assert.Contains(t, env, "NO_PROXY=localhost,127.0.0.1")
	assert.Contains(t, env, "no_proxy=127.0.0.1")
}

// fetch compiles the step program that fetches, and has it fetch an app's packages.
func fetch(t *testing.T, app string, args ...string) (packages string) {
	t.Helper()
	program, out := filepath.Join(t.TempDir(), "step"), t.TempDir()
	compile := exec.Command("go", "build", "-o", program, ".")
	compile.Dir = "../step"
	said, err := compile.CombinedOutput()
	require.NoError(t, err, string(said))
	said, err = exec.Command(program, append([]string{"packages-fetch", "--source", app, "--out", out}, args...)...).CombinedOutput()
	require.NoError(t, err, string(said))
	return filepath.Join(out, build.PackagesFolder)
}

// served is the box's registry of a folder, at an address of the test's.
func served(t *testing.T, packages string) (*registry, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	address := "http://" + server.Listener.Addr().String()
	r, err := newRegistry(packages, address)
	require.NoError(t, err)
	server.Config.Handler = r
	server.Start()
	t.Cleanup(server.Close)
	return r, address
}

func writeJSON(t *testing.T, path string, value any) {
	t.Helper()
	data, err := json.Marshal(value)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data, 0o644))
}
