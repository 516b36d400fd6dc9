package pip

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/build/step/packages"
	"slipway/step"
	"slipway/step/result/build"
	"slipway/step/steptest"
)

func sum(content string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(content))) }

func hashed(content string) string { return "--hash=sha256:" + sum(content) }

// index is an index of a few answers by their paths.
type index struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func serve(t *testing.T, answers map[string]func(w http.ResponseWriter, r *http.Request)) *index {
	t.Helper()
	s := &index{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.URL.Path)
		s.mu.Unlock()
		if answer := answers[r.URL.Path]; answer != nil {
			answer(w, r)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func answer(contentType, content string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(content))
	}
}

func content(text string) func(http.ResponseWriter, *http.Request) {
	return answer("application/octet-stream", text)
}

func app(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return dir
}

// small are limits that a test can reach.
var small = packages.Limits{Packages: 10, Lock: 4 << 10, File: 100, Total: 150, Try: 10 * time.Second, Pause: 1}

func fetch(t *testing.T, out, source, address string) (build.Fetched, error) {
	t.Helper()
	return packages.Fetch(t.Context(), out, packages.Input{Source: source, Sources: []packages.Source{Source{Index: address}}, Limits: small})
}

func refusal(t *testing.T, err error) *step.Fault {
	t.Helper()
	f := steptest.Refused(t, err)
	assert.Equal(t, "build", f.Stage)
	return f
}

func TestFetchTakesTheFilesThatRequirementsPin(t *testing.T) {
	jsonPage := func(w http.ResponseWriter, r *http.Request) {
		assert.True(t, strings.HasPrefix(r.Header.Get("Accept"), "application/vnd.pypi.simple.v1+json, "), r.Header.Get("Accept"))
		name, password, _ := r.BasicAuth()
		assert.Equal(t, "me secret", name+" "+password)
		answer("application/vnd.pypi.simple.v1+json", fmt.Sprintf(`{"meta":{"api-version":"1.1"},"files":[
			{"filename":"json_page-1.0-py3-none-any.whl","url":"../../files/j1.whl#egg","hashes":{"sha256":%q}},
			{"filename":"json_page-1.0.tar.gz","url":"/files/j2","hashes":{"sha256":%q}},
			{"filename":"json_page-2.0.tar.gz","url":"/files/j3","hashes":{"sha256":%q}}]}`, strings.ToUpper(sum("j1")), sum("j2"), sum("j3")))(w, r)
	}
	htmlPage := fmt.Sprintf(`<!DOCTYPE html><meta name="pypi:repository-version" content="1.0"><base href="/files/"><A HREF="only-1.tar.gz">unhashed</a><a>none</a>
		<a href="html_page-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl#sha256=%s">x</a>
		<a href="html_page-1.0-cp311-cp311-win_amd64.whl#sha256=%s">w</a>
		<a href="html_page-1.0-cp311-cp311-musllinux_1_1_aarch64.whl#sha256=%s" data-yanked>a</a>`, sum("h1"), sum("h2"), sum("h3"))
	windows := fmt.Sprintf(`<a href="/files/windows-3-py3-none-win32.whl#sha256=%s">w</a>`, sum("w"))
	broken := 0
	s := serve(t, map[string]func(http.ResponseWriter, *http.Request){
		"/simple/json-page/": jsonPage,
		"/simple/html-page/": func(w http.ResponseWriter, r *http.Request) {
			if broken++; broken < 3 {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			answer("text/html; charset=utf-8", htmlPage)(w, r)
		},
		"/simple/windows/": answer("application/vnd.pypi.simple.v1+html", windows),
		"/files/j1.whl":    content("j1"), "/files/j2": content("j2"),
		"/files/html_page-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl": content("h1"),
		"/files/html_page-1.0-cp311-cp311-musllinux_1_1_aarch64.whl":                      content("h3"),
	})
	source := app(t, map[string]string{
		"requirements.txt": "# made by pip-compile\r\n--require-hashes\n--only-binary=:all:\nJson.Page[a,b] == 1.0 \\\n    " + hashed("j1") + " \\\n    " + hashed("j2") + "\n    # via app\n" +
			"-r requirements/base.txt\nwindows==3 ; sys_platform == \"win32\" " + hashed("w") + "\n-c constraints.txt # and its pins\n",
		"requirements/base.txt":                      "html_page==1.0 " + hashed("h1") + " " + hashed("h2") + "\n-r../requirements.txt\n",
		"constraints.txt":                            "html--page==1.0; python_version>='3' and (os_name=='posix') " + hashed("h3") + "\n",
		"docs/notes.txt":                             "nothing of pip's",
		".venv/lib/site-packages/x/requirements.txt": "unpinned",
		"node_modules/x/requirements.txt":            "unpinned",
	})
	out := t.TempDir()
	fetched, err := packages.Fetch(t.Context(), out, packages.Input{
		Source: source, Sources: []packages.Source{Source{Index: s.URL + "/simple/"}}, Limits: small,
		Reach: packages.Reach{Netrc: packages.Netrc{"127.0.0.1": {Login: "me", Password: "secret"}}},
	})
	require.NoError(t, err)
	var locks []string
	for _, lock := range fetched.Locks {
		locks = append(locks, lock.Path)
		assert.Equal(t, "sha256:"+sum(read1(t, filepath.Join(source, lock.Path))), lock.Digest)
	}
	assert.Equal(t, []string{"constraints.txt", "requirements.txt", "requirements/base.txt"}, locks)
	assert.Equal(t, []any{4, int64(8)}, []any{fetched.Packages, fetched.Bytes})
	assert.NotContains(t, s.asked, "/files/windows-3-py3-none-win32.whl")
	assert.NotContains(t, s.asked, "/files/j3")

	var all []build.Package
	require.NoError(t, json.Unmarshal([]byte(read1(t, filepath.Join(out, build.PackagesIndex))), &all))
	files := map[string]string{}
	for _, p := range all {
		assert.Equal(t, build.Pip, p.Manager)
		text := read1(t, filepath.Join(out, p.File))
		assert.True(t, strings.HasPrefix(p.Path, build.PipFiles+sum(text)+"/"), p.Path)
		files[p.Name+" "+p.Version+" "+filepath.Base(p.Path)] = text
	}
	assert.Equal(t, map[string]string{
		"json-page 1.0 json_page-1.0-py3-none-any.whl":                                           "j1",
		"json-page 1.0 json_page-1.0.tar.gz":                                                     "j2",
		"html-page 1.0 html_page-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl": "h1",
		"html-page 1.0 html_page-1.0-cp311-cp311-musllinux_1_1_aarch64.whl":                      "h3",
	}, files)
}

func read1(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

func TestWhatIsNotPinnedIsRefusedByItsLine(t *testing.T) {
	good := "good==1.0 " + hashed("good") + "\n"
	for text, reason := range map[string]string{
		"flask":                            `"flask" is not pinned as NAME==VERSION`,
		"flask>=1 " + hashed("a"):          `"flask>=1" is not pinned`,
		"flask==1.* " + hashed("a"):        `"flask==1.*" is not pinned`,
		"flask===1 " + hashed("a"):         `"flask===1" is not pinned`,
		"flask==1,<2 " + hashed("a"):       `"flask==1,<2" is not pinned`,
		"flask (==1) " + hashed("a"):       `"flask (==1)" is not pinned`,
		"flask==${V} " + hashed("a"):       `"flask==${V}" is not pinned`,
		"flask==1 other==2 " + hashed("a"): `"flask==1 other==2" is not pinned`,
		"-flask==1":                        `"-f": the platform says where packages come from`,
		"flask==1":                         "flask has no --hash=sha256:…",
		"flask==1 # " + hashed("a"):        "flask has no --hash=sha256:…",
		"flask==1 --hash=md5:00000000000000000000000000000000": "is no --hash=sha256:…",
		"flask==1 --hash=sha256:0000":                          `flask: "--hash=sha256:0000" is no --hash=sha256:…`,
		"flask==1 --hash=sha256:" + strings.ToUpper(sum("a")):  "is no --hash=sha256:…",
		"flask==1 " + hashed("a") + "0":                        "is no --hash=sha256:…",
		"flask==1 " + hashed("a") + " --global-option=x":       `flask: "--global-option=x" is no --hash`,
		"flask==1 --hash " + hashed("a"):                       `flask: "--hash" is no --hash`,
		"-e .":                                                 `"." is editable`,
		"-e git+https://u:secret@example.org/x#egg=x":          "is editable",
		"--editable=.":                                         `"." is editable`,
		"flask @ https://u:secret@example.org/f.whl":           `flask comes from "https://u:xxxxx@example.org/f.whl"`,
		"flask@https://example.org/f.whl " + hashed("a"):       `flask comes from "https://example.org/f.whl"`,
		"https://example.org/f.whl " + hashed("a"):             "is an address or a path",
		"git+https://example.org/f.git@" + sum("a"):            "is an address or a path",
		"file:///etc/passwd":                                   "is an address or a path",
		"./flask.whl":                                          "is an address or a path",
		"../flask":                                             "is an address or a path",
		"/flask":                                               "is an address or a path",
		".":                                                    "is an address or a path",
		"flask-1.0-py3-none-any.whl " + hashed("a"):            "is an address or a path",
		`c:\flask`:                                             "is an address or a path",
		"--index-url https://u:secret@example.org/simple":      `"--index-url": the platform says where packages come from`,
		"--index-url=https://u:secret@example.org/simple":      `"--index-url": the platform says where packages come from`,
		"-i https://example.org/simple":                        `"-i": the platform says`,
		"-ihttps://example.org/simple":                         `"-i": the platform says`,
		"--extra-index-url https://example.org/simple":         `"--extra-index-url": the platform says`,
		"--find-links .":                                       `"--find-links": the platform says`,
		"-f.":                                                  `"-f": the platform says`,
		"--trusted-host example.org":                           `"--trusted-host": the platform says`,
		"--no-index":                                           `"--no-index": the platform says`,
		"--pre":                                                `"--pre": the platform says`,
		hashed("a"):                                            `"--hash": the platform says`,
		"--require-hashes --index-url=https://example.org":     `"--require-hashes": the platform says`,
		"--only-binary --index-url=https://example.org":        `"--only-binary": the platform says`,
		"--no-binary :all: --pre":                              `"--no-binary": the platform says`,
		"-r ../../other.txt":                                   `-r "../../other.txt" is outside of the app`,
		"-r a/../../../other.txt":                              "is outside of the app",
		"-r /etc/requirements.txt":                             `-r "/etc/requirements.txt" is no plain path`,
		"-r https://example.org/requirements.txt":              "is no plain path",
		"--requirement=file:///requirements.txt":               "is no plain path",
		"-r '../x.txt'":                                        "is no plain path",
		"-r ${X}.txt":                                          "is no plain path",
		"-r a.txt -r b.txt":                                    "is no plain path",
		"-r":                                                   "is no plain path",
		"-c constraints.in":                                    `-c "constraints.in" does not end with .txt`,
		"flask==1 ; x == '\u00e9' " + hashed("a"):              "is not pinned",
		"fl\u0430sk==1 " + hashed("a"):                         "is not pinned",
		strings.Repeat("a", 215) + "==1 " + hashed("a"):        "has too long a name or version",
	} {
		_, _, err := parse("web/requirements.txt", []byte("# first\n"+good+text+"\n"), 100)
		require.Error(t, err, text)
		f := refusal(t, err)
		assert.Equal(t, step.KindPolicy, f.Kind, text)
		assert.Equal(t, "web/requirements.txt", f.Input)
		require.Len(t, f.Details, 1, text)
		assert.True(t, strings.HasPrefix(f.Details[0], "web/requirements.txt:3: "), f.Details[0])
		assert.Contains(t, f.Details[0], reason)
		assert.NotContains(t, f.Error(), "secret")
	}
}

func TestLinesAreThoseThatPipReads(t *testing.T) {
	all, includes, err := parse("requirements.txt", []byte("\ufeff"+
		"a==1 \\\n  "+hashed("a")+" # said \\\nb==1 "+hashed("b")+"\n"+ // the comment goes on
		"c==1 \\\n# a comment \\\n"+hashed("c")+"\n\n"+ // a comment line ends what goes on
		"d==1 "+hashed("d")+" \\"), 100)
	// So c has no hash, and the line after it belongs to nothing.
	f := refusal(t, err)
	assert.Equal(t, []string{"requirements.txt:4: c has no --hash=sha256:…", `requirements.txt:6: "--hash": the platform says where packages come from, by build.pip.index of slipway.yaml, and no other option than -r, -c and --require-hashes, --prefer-binary, --only-binary, --no-binary is known`}, f.Details)
	assert.Empty(t, all)
	assert.Empty(t, includes)

	all, includes, err = parse("x/requirements.txt", []byte("a==1 \\\n  "+hashed("a")+" "+hashed("a")+"\n--constraint y/c.txt\n  -r  z.txt  \n"), 100)
	require.NoError(t, err)
	assert.Equal(t, []requirement{{name: "a", version: "1", hashes: []string{sum("a")}, at: "x/requirements.txt:1: a"}}, all)
	assert.Equal(t, []include{{"x/y/c.txt", "x/requirements.txt:3"}, {"x/z.txt", "x/requirements.txt:4"}}, includes)
}

func TestFilesThatAreNoRequirementsAreRefused(t *testing.T) {
	line := "a==1 " + hashed("a") + "\n"
	for name, tc := range map[string]struct {
		files         map[string]string
		kind          step.Kind
		input, reason string
	}{
		"no UTF-8":            {map[string]string{"requirements.txt": "\xff\xfea"}, step.KindInput, "requirements.txt", "is not UTF-8"},
		"a line of Python's":  {map[string]string{"requirements.txt": line + "# \u2028b"}, step.KindInput, "requirements.txt:2", "has a control character"},
		"a form feed":         {map[string]string{"requirements.txt": "# \fb"}, step.KindInput, "requirements.txt:1", "has a control character"},
		"a carriage return":   {map[string]string{"requirements.txt": "# \rb"}, step.KindInput, "requirements.txt:1", "has a control character"},
		"many":                {map[string]string{"requirements.txt": strings.Repeat(line, 11)}, step.KindPolicy, "requirements.txt", "names more than 10 packages"},
		"large":               {map[string]string{"requirements.txt": strings.Repeat("#", 5<<10)}, step.KindPolicy, "requirements.txt", "is larger than 4096 bytes"},
		"a missing one":       {map[string]string{"a/requirements-dev.txt": line + "-r nothing.txt"}, step.KindInput, "a/requirements-dev.txt:2", "includes a/nothing.txt, which is not in the app"},
		"an included one":     {map[string]string{"requirements.txt": "-r a.txt", "a.txt": "flask"}, step.KindPolicy, "a.txt", "is not pinned by pip's hash-checking form"},
		"one of an installed": {map[string]string{"requirements.txt": "-r site-packages/a.txt", "site-packages/a.txt": line}, step.KindInput, "requirements.txt:1", "which is not in the app"},
		"no index":            {map[string]string{"requirements.txt": line}, step.KindInput, "requirements.txt:1: a", "the platform names no pip index"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			_, err := fetch(t, out, app(t, tc.files), "")
			f := refusal(t, err)
			assert.Equal(t, []any{tc.kind, tc.input}, []any{f.Kind, f.Input})
			assert.Contains(t, f.Reason, tc.reason)
			assert.NoDirExists(t, out)
		})
	}
	dir := app(t, map[string]string{"requirements.txt": "-r a.txt"})
	require.NoError(t, os.Symlink("/etc/hostname", dir+"/a.txt"))
	_, err := fetch(t, t.TempDir(), dir, "")
	assert.Equal(t, "is no file", refusal(t, err).Reason)

	// Without a file there is nothing to ask an index for, and no need of one.
	fetched, err := fetch(t, t.TempDir(), t.TempDir(), "")
	require.NoError(t, err)
	assert.Equal(t, build.Fetched{Locks: []build.Lock{}}, fetched)
	_, err = fetch(t, t.TempDir(), t.TempDir(), "http://index.example/simple")
	assert.Equal(t, `pip index "http://index.example/simple"`, refusal(t, err).Input)
}

func TestWhatAnIndexAnswersIsHeldToTheFile(t *testing.T) {
	link := func(href string) string {
		return fmt.Sprintf(`<a href="%s#sha256=%s">x</a>`, href, sum("a"))
	}
	for name, tc := range map[string]struct {
		kind         string
		page, served string
		fault        step.Kind
		reason       string
	}{
		"another content":    {"text/html", link("/f/a-1.tar.gz"), "evil", step.KindPolicy, "is not what the lock file pins"},
		"too much":           {"text/html", link("/f/a-1.tar.gz"), strings.Repeat("x", 101), step.KindPolicy, "is larger than 100 bytes"},
		"no such file":       {"text/html", link("/f/b-1.tar.gz"), "a", step.KindInput, "is not in the registry"},
		"another hash":       {"text/html", `<a href="/f/a-1.tar.gz#sha256=` + sum("b") + `">x</a>`, "a", step.KindInput, "none of its files has one of the 1 hashes of a==1"},
		"no hash":            {"text/html", `<a href="/f/a-1.tar.gz">x</a>`, "a", step.KindInput, "names no sha256 of some files"},
		"md5":                {"text/html", `<a href="/f/a-1.tar.gz#md5=00">x</a>`, "a", step.KindInput, "names no sha256 of some files"},
		"nothing":            {"text/html", "", "a", step.KindInput, "is not in the index"},
		"for Windows":        {"text/html", link("/f/a-1-py3-none-win32.whl"), "a", step.KindInput, "has no file for linux"},
		"a program":          {"text/html", link("/f/a-1.exe"), "a", step.KindInput, "is not in the index"},
		"a name with a path": {"application/vnd.pypi.simple.v1+json", `{"meta":{"api-version":"1.0"},"files":[{"filename":"../a-1.tar.gz","url":"/f/a-1.tar.gz","hashes":{"sha256":"` + sum("a") + `"}}]}`, "a", step.KindInput, "is not in the index"},
		"a written path":     {"text/html", link("/f/..%2fa-1.tar.gz"), "a", step.KindInput, "is not in the registry"},
		"plain HTTP":         {"text/html", link("http://files.example/a-1.tar.gz"), "a", step.KindPolicy, "is at http://files.example/a-1.tar.gz, says the index"},
		"loopback":           {"text/html", link("https://127.0.0.1/a-1.tar.gz"), "a", step.KindPolicy, "is at https://127.0.0.1/a-1.tar.gz"},
		"a base of loopback": {"text/html", `<base href="https://localhost/x/">` + link("a-1.tar.gz"), "a", step.KindPolicy, "is at https://localhost/x/a-1.tar.gz"},
		"metadata service":   {"text/html", link("https://169.254.169.254/a-1.tar.gz"), "a", step.KindPolicy, "is at https://169.254.169.254"},
		"a file":             {"text/html", link("file:///a-1.tar.gz"), "a", step.KindPolicy, "is at file:///a-1.tar.gz"},
		"a user":             {"text/html", link("https://u:secret@files.example/a-1.tar.gz"), "a", step.KindPolicy, "is at https://u:xxxxx@files.example/a-1.tar.gz"},
		"no address":         {"text/html", link("https://[/a-1.tar.gz"), "a", step.KindInfrastructure, "an address on it can't be read"},
		"another type":       {"text/plain", link("/f/a-1.tar.gz"), "a", step.KindInfrastructure, `its type is "text/plain"`},
		"no type":            {"", link("/f/a-1.tar.gz"), "a", step.KindInfrastructure, "its type is"},
		"another version":    {"text/html", `<meta name="pypi:repository-version" content="2.0">` + link("/f/a-1.tar.gz"), "a", step.KindInfrastructure, `its version is "2.0"`},
		"JSON's version":     {"application/vnd.pypi.simple.v1+json", `{"meta":{"api-version":"2.0"},"files":[]}`, "a", step.KindInfrastructure, `its version is "2.0"`},
		"no JSON":            {"application/vnd.pypi.simple.v1+json", `{`, "a", step.KindInfrastructure, "can't be read"},
		"a page without end": {"text/html", strings.Repeat(" ", 5<<10), "a", step.KindPolicy, "has a page in the registry that is larger than 4096 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, map[string]func(http.ResponseWriter, *http.Request){
				"/simple/a/":    answer(tc.kind, tc.page),
				"/f/a-1.tar.gz": content(tc.served),
				"/f/a-1.exe":    content(tc.served),
			})
			out := t.TempDir()
			_, err := fetch(t, out, app(t, map[string]string{"requirements.txt": "a==1 " + hashed("a")}), s.URL+"/simple")
			f := refusal(t, err)
			assert.Equal(t, tc.fault, f.Kind)
			assert.Equal(t, "requirements.txt:1: a", f.Input)
			assert.Contains(t, f.Reason, tc.reason)
			assert.NotContains(t, f.Error(), "secret")
			left, err := os.ReadDir(out)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
	for status, mend := range map[int]string{401: "with-packages --netrc", 404: "published", 500: "then try again", 418: "build.pip.index"} {
		s := serve(t, map[string]func(http.ResponseWriter, *http.Request){"/a/": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }})
		_, err := fetch(t, t.TempDir(), app(t, map[string]string{"requirements.txt": "a==1 " + hashed("a")}), s.URL)
		assert.Contains(t, refusal(t, err).Mend, mend)
	}
}
