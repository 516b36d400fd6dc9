//go:build e2e && languages

package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pythonIndex is an index of a few Python packages, which asks for an account.
type pythonIndex struct {
	files map[string][]byte
	mu    sync.Mutex
	asked []string
}

// pythonNetrc is who may ask it.
const pythonNetrc = "machine localhost login reader password of-packages\n"

// serve answers on loopback, and returns host:port.
func (x *pythonIndex) serve(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(x)
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	return "localhost:" + port
}

// ServeHTTP is of http.Handler: the simple index, as PEP 503 has it.
func (x *pythonIndex) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	x.mu.Lock()
	x.asked = append(x.asked, name)
	x.mu.Unlock()
	if user, password, _ := r.BasicAuth(); user != "reader" || password != "of-packages" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if content, ok := x.files[name]; ok && strings.HasPrefix(r.URL.Path, "/files/") {
		_, _ = w.Write(content)
		return
	}
	var page strings.Builder
	for file, content := range x.files {
		project, _, _ := strings.Cut(file, "-")
		if strings.ToLower(strings.ReplaceAll(project, "_", "-")) == name {
			fmt.Fprintf(&page, "<a href=\"../../files/%s#sha256=%x\">%s</a>\n", file, sha256.Sum256(content), file)
		}
	}
	if page.Len() == 0 {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte(page.String()))
}

// locked fills in the sums of a requirements file.
func (x *pythonIndex) locked(text string) string {
	for file, content := range x.files {
		text = strings.ReplaceAll(text, "{"+file+"}", fmt.Sprintf("%x", sha256.Sum256(content)))
	}
	return text
}

// pythonWheel is a wheel with one module.
func pythonWheel(t *testing.T, name, version, module string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	info := name + "-" + version + ".dist-info/"
	for _, f := range [][2]string{
		{name + ".py", module},
		{info + "METADATA", "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\nProvides-Extra: fast\n"},
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

// pythonSource is a source distribution, whose build needs the package maker.
func pythonSource(t *testing.T, name, version string, wheel []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	zipped := gzip.NewWriter(&b)
	w := tar.NewWriter(zipped)
	for _, f := range [][2]string{
		{"pyproject.toml", "[build-system]\nrequires = [\"maker\"]\nbuild-backend = \"maker\"\n"},
		{"PKG-INFO", "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n"},
		{"built.whl", string(wheel)},
	} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name + "-" + version + "/" + f[0], Mode: 0o644, Size: int64(len(f[1]))}))
		_, err := w.Write([]byte(f[1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, zipped.Close())
	return b.Bytes()
}

// A Python service with dependencies of an index that asks for an account is built by
// the Dockerfile that it has, with pip install in a RUN without a network; tested,
// scanned and released. What its requirements don't pin is refused, and so is a package
// with a known vulnerability, by name.
func TestLanguagePython(t *testing.T) {
	t.Parallel()
	p := shared
	base := debianBase(t, p, "bases/python", "python3", "python3-venv")
	index := &pythonIndex{files: map[string][]byte{
		"dashes-1.4.0-py3-none-any.whl":          pythonWheel(t, "dashes", "1.4.0", "def join(words):\n    return '-'.join(words)\n"),
		"dashes-1.4.0-cp311-cp311-win_amd64.whl": []byte("for Windows"),
		"dashes-1.5.0-py3-none-any.whl":          pythonWheel(t, "dashes", "1.5.0", "raise Exception('not this one')\n"),
		"low_ers-2.0.tar.gz":                     pythonSource(t, "low_ers", "2.0", pythonWheel(t, "low_ers", "2.0", "def lower(word):\n    return word.lower()\n")),
		"maker-5.0-py3-none-any.whl": pythonWheel(t, "maker", "5.0", "import os\n\n\ndef build_wheel(folder, config_settings=None, metadata_directory=None):\n"+
			"    os.rename('built.whl', os.path.join(folder, 'low_ers-2.0-py3-none-any.whl'))\n    return 'low_ers-2.0-py3-none-any.whl'\n"),
		"expect-1.0-py3-none-any.whl":  pythonWheel(t, "expect", "1.0", "def equal(a, b):\n    assert a == b, (a, b)\n"),
		"Jinja2-2.10-py3-none-any.whl": pythonWheel(t, "Jinja2", "2.10", ""),
	}}
	address := index.serve(t)
	s := newService(t, p, "slugs")
	dockerfile := strings.NewReplacer("FROM base\n", "FROM "+base+"\n", "FROM base ", "FROM "+base+" ").Replace(s.read(t, "Dockerfile"))
	lock := index.locked(s.read(t, "requirements.txt"))
	s.commit(t, map[string]string{"Dockerfile": dockerfile, "requirements.txt": lock, "requirements-test.txt": index.locked(s.read(t, "requirements-test.txt"))})

	// The platform says where Python packages come from, and who may ask.
	_, err := s.app(p, "test")
	refused(t, err, "build: bad input: requirements-test.txt:2: expect: can't be fetched: the platform names no pip index", "build.pip.index in slipway.yaml")
	rules := read(t, filepath.Join(s.dir, "slipway.yaml"))
	s.commit(t, map[string]string{"../../slipway.yaml": strings.Replace(rules, "build:\n", "build:\n  pip: {index: http://"+address+"/simple}\n", 1)})
	s.with = []string{"with-packages", "--service", "tcp://" + address}
	_, err = s.app(p, "test")
	// Packages are fetched side by side, and any of them may be the first that fails.
	refused(t, err, "build: infrastructure failure: requirements", ": can't be fetched from http://"+address+"/simple/", "401 Unauthorized", "with-packages --netrc")
	netrc := filepath.Join(t.TempDir(), "netrc")
	write(t, netrc, pythonNetrc)
	s.with = append(s.with, "--netrc", "file:"+netrc)

	out, err := s.app(p, "test")
	require.NoError(t, err)
	assert.Contains(t, out, "| OK (skipped=1)\n")
	assert.Contains(t, out, "Dockerfile --target test\t2 passed, 1 skipped\n")
	assert.NotContains(t, index.asked, "dashes-1.5.0-py3-none-any.whl")
	assert.NotContains(t, index.asked, "dashes-1.4.0-cp311-cp311-win_amd64.whl")

	// Packages are there only while a command runs: of what was fetched only what is
	// installed is in the image, and nothing says where it came from.
	layout := filepath.Join(t.TempDir(), "layout")
	_, err = s.app(p, "build", "oci-layout", "export", "--path", layout)
	require.NoError(t, err)
	assert.True(t, holds(t, layout, "app/venv/lib/python3.11/site-packages/dashes-1.4.0.dist-info/METADATA"))
	assert.True(t, holds(t, layout, "app/venv/lib/python3.11/site-packages/low_ers.py"))
	for _, absent := range []string{"site-packages/expect.py", "~slipway", ".pip/simple", "127.0.0.1:4873", "root/.cache", "of-packages"} {
		assert.False(t, holds(t, layout, absent), absent)
	}
	packages := s.bill(t, p)
	assert.Contains(t, packages, "pkg:pypi/dashes@1.4.0")
	assert.Contains(t, packages, "pkg:pypi/low-ers@2.0")
	assert.NotContains(t, packages, "pkg:pypi/expect@1.0")
	s.release(t, p)

	s.commit(t, map[string]string{"requirements.txt": lock + index.locked("jinja2==2.10 --hash=sha256:{Jinja2-2.10-py3-none-any.whl}\n")})
	_, err = s.app(p, "build", "scan", "digest")
	refused(t, err, "scan: refused by policy: app slugs at sha256:", "HIGH: CVE-2019-10906 in Jinja2 2.10", "fixed in 2.10.1")

	// A package that no requirements file names is not to be had, nor another version.
	const install = "RUN pip install -r requirements.txt\n"
	require.Contains(t, dockerfile, install)
	for command, says := range map[string]string{
		"pip install stranger":      `slipway-box: asked in vain for "stranger": no lock file of the app names it, and there is no network`,
		"pip install dashes==1.5.0": "No matching distribution found for dashes==1.5.0",
	} {
		s.commit(t, map[string]string{"requirements.txt": lock, "Dockerfile": strings.Replace(dockerfile, install, "RUN "+command+"\n", 1)})
		_, err = s.app(p, "build", "digest")
		refused(t, err, "build: bad input: app slugs: Dockerfile: ", command+" fails for linux/amd64", says)
	}

	// Tests that don't run are none.
	s.commit(t, map[string]string{"Dockerfile": strings.Replace(dockerfile, "python -m unittest -v", "python -m unittest -v test_slugs.SlugTest.test_accents", 1)})
	_, err = s.app(p, "test")
	refused(t, err, "test: refused by policy: app slugs: Dockerfile: has no test that ran: 1 skip themselves")

	for name, tc := range map[string]struct{ old, new, refusal string }{
		"another content": {fmt.Sprintf("%x", sha256.Sum256(index.files["maker-5.0-py3-none-any.whl"])), strings.Repeat("0", 64), "requirements.txt:8: maker: is not in the index: none of its files has one of the 1 hashes of maker==5.0"},
		"not pinned":      {"maker==5.0", "maker>=5.0", `requirements.txt:8: "maker>=5.0" is not pinned as NAME==VERSION`},
		"no hash":         {"maker==5.0 --hash=sha256:", "maker==5.0 # ", "requirements.txt:8: maker has no --hash=sha256:"},
		"another index":   {"maker==5.0", "--index-url https://index.invalid/simple\nmaker==5.0", `requirements.txt:8: "--index-url": the platform says where packages come from`},
	} {
		require.Contains(t, lock, tc.old, name)
		s.commit(t, map[string]string{"Dockerfile": dockerfile, "requirements.txt": strings.Replace(lock, tc.old, tc.new, 1)})
		_, err = s.app(p, "build", "digest")
		refused(t, err, tc.refusal)
	}
}
