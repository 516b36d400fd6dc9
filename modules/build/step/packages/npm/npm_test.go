package npm

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
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

func integrity(content string) string {
	sum := sha512.Sum512([]byte(content))
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

// registry is a registry of a few files.
type registry struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int
}

// serve starts one that has the files by their paths; answer, if any, comes before.
func serve(t *testing.T, files map[string]string, answer func(ask int, w http.ResponseWriter, r *http.Request) (done bool)) *registry {
	s := &registry{asked: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked[r.URL.Path]++
		ask := s.asked[r.URL.Path]
		s.mu.Unlock()
		if answer != nil && answer(ask, w, r) {
			return
		}
		content, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(content))
	}))
	t.Cleanup(s.Close)
	return s
}

// app is a folder with a lock file of these entries.
func app(t *testing.T, entries map[string]any) string {
	dir := t.TempDir()
	lock(t, filepath.Join(dir, "package-lock.json"), entries)
	return dir
}

func lock(t *testing.T, path string, entries map[string]any) {
	data, err := json.Marshal(map[string]any{"lockfileVersion": 3, "packages": entries})
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, data, 0o644))
}

// input is what Fetch is told about npm.
type input struct {
	Source, Registry string
	Limits           packages.Limits
}

func fetch(ctx context.Context, out string, in input) (build.Fetched, error) {
	return packages.Fetch(ctx, out, packages.Input{Source: in.Source, Sources: []packages.Source{Source{Registry: in.Registry}}, Limits: in.Limits})
}

type fields = map[string]any

// elsewhere is a registry that lock files name, and that nobody asks.
const elsewhere = "https://elsewhere.invalid/npm/"

// small are limits that a test can reach.
var small = packages.Limits{Packages: 10, Lock: 4 << 10, File: 100, Total: 150, Try: 10 * time.Second, Pause: 1}

func refusal(t *testing.T, err error) *step.Fault {
	t.Helper()
	f := steptest.Refused(t, err)
	assert.Equal(t, "build", f.Stage)
	return f
}

func TestFetchTakesWhatTheLockFilesPin(t *testing.T) {
	files := map[string]string{"/base/a/-/a-1.0.0.tgz": "a", "/base/@s/b/-/b-2.0.0-rc.1+x.tgz": "b", "/base/odd/c": "c", "/base/a/-/a-2.0.0.tgz": "a2", "/base/w/-/w-1.0.0.tgz": "w"}
	s := serve(t, files, func(ask int, w http.ResponseWriter, r *http.Request) bool {
		if ask < 3 && strings.Contains(r.URL.Path, "/a-1") {
			http.Error(w, "", []int{0, http.StatusServiceUnavailable, http.StatusTooManyRequests}[ask])
			return true
		}
		return false
	})
	sum := sha256.Sum256([]byte("c"))
	source := app(t, map[string]any{
		"":                                    fields{"name": "app", "version": "1.0.0"},
		"node_modules/a":                      fields{"version": "1.0.0", "resolved": elsewhere + "a/-/a-1.0.0.tgz", "integrity": integrity("a")},
		"node_modules/x/node_modules/a":       fields{"version": "1.0.0", "resolved": elsewhere + "a/-/a-1.0.0.tgz", "integrity": integrity("a")},
		"node_modules/@s/b":                   fields{"version": "2.0.0-rc.1+x", "integrity": "sha1-AAAA " + integrity("other") + " " + integrity("b") + "?x"},
		"node_modules/c":                      fields{"version": "1.0.0", "resolved": s.URL + "/base/odd/c", "integrity": "sha256-" + base64.StdEncoding.EncodeToString(sum[:])},
		"node_modules/alias":                  fields{"name": "a", "version": "2.0.0", "integrity": integrity("a2")},
		"node_modules/link":                   fields{"resolved": "packages/link", "link": true},
		"node_modules/file":                   fields{"version": "1.0.0", "resolved": "file:vendor/file.tgz"},
		"node_modules/a/node_modules/bundled": fields{"version": "1.0.0", "inBundle": true},
		"packages/link":                       fields{"version": "1.0.0"},
		"node_modules/mac":                    fields{"version": "1.0.0", "optional": true, "os": []string{"darwin"}, "integrity": integrity("mac")},
		"node_modules/arm":                    fields{"version": "1.0.0", "optional": true, "os": "linux", "cpu": []string{"s390x"}, "integrity": integrity("arm")},
		"node_modules/no-linux":               fields{"version": "1.0.0", "optional": true, "os": []string{"!linux"}, "integrity": integrity("no")},
		"node_modules/w":                      fields{"version": "1.0.0", "optional": true, "os": []string{"!win32"}, "cpu": []string{"arm64"}, "integrity": integrity("w")},
	})
	// Of these nothing is fetched: a folder with both has the other one, and what is
	// installed has its own.
	lock(t, source+"/web/package-lock.json", map[string]any{"node_modules/nowhere": fields{"version": "1.0.0", "integrity": integrity("")}})
	lock(t, source+"/web/npm-shrinkwrap.json", map[string]any{})
	lock(t, source+"/node_modules/a/package-lock.json", map[string]any{"node_modules/nowhere": fields{"version": "1.0.0", "integrity": integrity("")}})

	out := t.TempDir()
	limits := small
	limits.Lock, limits.Packages = 1<<20, 20
	fetched, err := fetch(t.Context(), out, input{Source: source, Registry: s.URL + "/base/", Limits: limits})
	require.NoError(t, err)
	assert.Equal(t, 5, fetched.Packages)
	assert.EqualValues(t, 6, fetched.Bytes)
	require.Len(t, fetched.Locks, 2)
	content, err := os.ReadFile(source + "/package-lock.json")
	require.NoError(t, err)
	digest := sha256.Sum256(content)
	assert.Equal(t, build.Lock{Path: "package-lock.json", Digest: fmt.Sprintf("sha256:%x", digest)}, fetched.Locks[0])
	assert.Equal(t, "web/npm-shrinkwrap.json", fetched.Locks[1].Path)
	assert.Equal(t, map[string]int{"/base/a/-/a-1.0.0.tgz": 3, "/base/@s/b/-/b-2.0.0-rc.1+x.tgz": 1, "/base/odd/c": 1, "/base/a/-/a-2.0.0.tgz": 1, "/base/w/-/w-1.0.0.tgz": 1}, s.asked)

	index := readIndex(t, out)
	var paths, contents []string
	for _, p := range index {
		content, err := os.ReadFile(filepath.Join(out, p.File))
		require.NoError(t, err)
		paths, contents = append(paths, p.Name+"@"+p.Version+" "+p.Path), append(contents, string(content))
	}
	assert.Equal(t, []string{"@s/b@2.0.0-rc.1+x /@s/b/-/b-2.0.0-rc.1+x.tgz", "a@2.0.0 /a/-/a-2.0.0.tgz", "c@1.0.0 /base/odd/c", "a@1.0.0 /npm/a/-/a-1.0.0.tgz", "w@1.0.0 /w/-/w-1.0.0.tgz"}, paths)
	assert.Equal(t, []string{"b", "a2", "c", "a", "w"}, contents)
	entries, err := os.ReadDir(out)
	require.NoError(t, err)
	assert.Len(t, entries, 6)
}

func readIndex(t *testing.T, out string) []build.Package {
	data, err := os.ReadFile(filepath.Join(out, build.PackagesIndex))
	require.NoError(t, err)
	var index []build.Package
	require.NoError(t, json.Unmarshal(data, &index))
	return index
}

func TestAnAppWithoutLockFilesHasNoPackages(t *testing.T) {
	out := t.TempDir()
	fetched, err := fetch(t.Context(), out, input{Source: t.TempDir(), Registry: "https://registry.invalid"})
	require.NoError(t, err)
	assert.Equal(t, build.Fetched{Locks: []build.Lock{}}, fetched)
	assert.Empty(t, readIndex(t, out))
}

func TestLockFilesThatDoNotPinAreRefused(t *testing.T) {
	good := func(change fields) fields {
		e := fields{"version": "1.0.0", "resolved": elsewhere + "a/-/a-1.0.0.tgz", "integrity": integrity("a")}
		for key, value := range change {
			e[key] = value
		}
		return e
	}
	for name, tc := range map[string]struct {
		key    string
		entry  fields
		detail string
	}{
		"no integrity":               {"node_modules/a", good(fields{"integrity": ""}), `"node_modules/a" has no integrity`},
		"sha1":                       {"node_modules/a", good(fields{"integrity": "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="}), "which is no sha256, sha384 or sha512"},
		"short sha512":               {"node_modules/a", good(fields{"integrity": "sha512-AAAA"}), "has an integrity that is no sha512"},
		"no base64":                  {"node_modules/a", good(fields{"integrity": "sha512-!"}), "has an integrity that is no sha512"},
		"git":                        {"node_modules/a", good(fields{"resolved": "git+ssh://git@github.com/x/y.git#abc"}), "is no plain address"},
		"git by https":               {"node_modules/a", good(fields{"resolved": "git+https://example.org/x/y.git"}), `comes from "git+https://example.org/x/y.git"`},
		"plain http":                 {"node_modules/a", good(fields{"resolved": "http://elsewhere.invalid/npm/a/-/a-1.0.0.tgz"}), `comes from "http://elsewhere.invalid/npm/a/-/a-1.0.0.tgz"`},
		"another host":               {"node_modules/a", good(fields{"resolved": "https://evil.example/a.tgz"}), `comes from "https://evil.example/a.tgz", which is neither in the platform's registry nor a registry's address of a@1.0.0`},
		"another package elsewhere":  {"node_modules/a", good(fields{"resolved": elsewhere + "b/-/b-1.0.0.tgz"}), "nor a registry's address of a@1.0.0"},
		"another version elsewhere":  {"node_modules/a", good(fields{"resolved": elsewhere + "a/-/a-1.0.1.tgz"}), "nor a registry's address of a@1.0.0"},
		"no scope elsewhere":         {"node_modules/@s/a", good(nil), "nor a registry's address of @s/a@1.0.0"},
		"the end of a name":          {"node_modules/a", good(fields{"resolved": elsewhere + "aa/-/a-1.0.0.tgz"}), "nor a registry's address of a@1.0.0"},
		"a host that looks alike":    {"node_modules/a", good(fields{"resolved": "https://registry.invalid.evil.example/npm/a.tgz"}), "comes from"},
		"a host before an @":         {"node_modules/a", good(fields{"resolved": "https://registry.invalid@evil.example/a.tgz"}), "is no plain address"},
		"metadata service":           {"node_modules/a", good(fields{"resolved": "https://169.254.169.254/latest"}), "comes from"},
		"another port":               {"node_modules/a", good(fields{"resolved": "https://registry.invalid:8443/npm/a.tgz"}), "comes from"},
		"the registry by http":       {"node_modules/a", good(fields{"resolved": "http://registry.invalid/npm/a.tgz"}), `comes from "http://registry.invalid/npm/a.tgz"`},
		"beside the registry's path": {"node_modules/a", good(fields{"resolved": "https://registry.invalid/npmx/a.tgz"}), `comes from "https://registry.invalid/npmx/a.tgz"`},
		"query":                      {"node_modules/a", good(fields{"resolved": elsewhere + "a?x=y"}), "is no plain address"},
		"fragment":                   {"node_modules/a", good(fields{"resolved": elsewhere + "a#x"}), "is no plain address"},
		"dots":                       {"node_modules/a", good(fields{"resolved": elsewhere + "a/../../b"}), "whose path is not plain"},
		"written dots":               {"node_modules/a", good(fields{"resolved": elsewhere + "a/%2e%2e/b"}), "whose path is not plain"},
		"empty part":                 {"node_modules/a", good(fields{"resolved": elsewhere + "/a"}), "whose path is not plain"},
		"line end":                   {"node_modules/a", good(fields{"resolved": elsewhere + "a%0d%0aHost:x"}), "whose path is not plain"},
		"a folder outside":           {"node_modules/a", good(fields{"resolved": "file:../a.tgz"}), "comes from"},
		"a folder far outside":       {"node_modules/a", good(fields{"resolved": "file:x/../../a.tgz"}), "comes from"},
		"an absolute path":           {"node_modules/a", good(fields{"resolved": "file:///etc/passwd"}), "comes from"},
		"name with dots":             {"node_modules/../../a", good(nil), "is no name of a package"},
		"name that says dots":        {"node_modules/a", good(fields{"name": "../a"}), "is no name of a package"},
		"hidden name":                {"node_modules/.a", good(nil), "is no name of a package"},
		"long name":                  {"node_modules/" + strings.Repeat("a", 215), good(nil), "is no name of a package"},
		"no version":                 {"node_modules/a", good(fields{"version": ""}), "has no version"},
		"version with a path":        {"node_modules/a", good(fields{"version": "1.0.0/../../x"}), "has no version"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			_, err := fetch(t.Context(), out, input{Source: app(t, map[string]any{tc.key: tc.entry}), Registry: "https://registry.invalid/npm"})
			f := refusal(t, err)
			assert.Equal(t, step.KindPolicy, f.Kind)
			assert.Equal(t, "package-lock.json", f.Input)
			require.Len(t, f.Details, 1)
			assert.Contains(t, f.Details[0], tc.detail)
			assert.NoDirExists(t, out)
		})
	}
}

func TestWithoutARegistryAnAppHasNoLockFile(t *testing.T) {
	_, err := fetch(t.Context(), t.TempDir(), input{Source: app(t, map[string]any{})})
	f := refusal(t, err)
	assert.Equal(t, []any{step.KindInput, "package-lock.json"}, []any{f.Kind, f.Input})
	assert.Contains(t, f.Mend, "build.npm.registry")
}

func TestARefusalNamesAFewOfManyPackages(t *testing.T) {
	entries := map[string]any{}
	for i := range 25 {
		entries[fmt.Sprintf("node_modules/p%02d", i)] = fields{"version": "1.0.0"}
	}
	_, err := fetch(t.Context(), t.TempDir(), input{Source: app(t, entries), Registry: "https://registry.invalid"})
	f := refusal(t, err)
	require.Len(t, f.Details, 21)
	assert.Equal(t, `"node_modules/p00" has no integrity`, f.Details[0])
	assert.Equal(t, "and 5 more", f.Details[20])
}

func TestWhatIsNoLockFileIsRefused(t *testing.T) {
	many := fmt.Sprintf(`{"lockfileVersion":3,"packages":{"node_modules/a0":{}%s}}`, strings.Join(sequence(100_000), ""))
	for name, tc := range map[string]struct {
		content, reason string
		kind            step.Kind
		limits          packages.Limits
	}{
		"no JSON":         {"{", "is no lock file of npm", step.KindInput, packages.Limits{}},
		"version 1":       {`{"lockfileVersion":1,"dependencies":{}}`, "has lockfileVersion 1, and 2 or 3 is needed", step.KindInput, packages.Limits{}},
		"no packages":     {`{"lockfileVersion":3}`, "2 or 3 is needed", step.KindInput, packages.Limits{}},
		"version 4":       {`{"lockfileVersion":4,"packages":{}}`, "has lockfileVersion 4", step.KindInput, packages.Limits{}},
		"another shape":   {`{"lockfileVersion":3,"packages":{"node_modules/a":[]}}`, "is no lock file of npm", step.KindInput, packages.Limits{}},
		"100000 packages": {many, "names 100001 packages, more than 10000", step.KindPolicy, packages.Limits{}},
		"large":           {`{"lockfileVersion":3,"packages":{}}` + strings.Repeat(" ", 5<<10), "is larger than 4096 bytes", step.KindPolicy, small},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(dir+"/package-lock.json", []byte(tc.content), 0o644))
			_, err := fetch(t.Context(), t.TempDir(), input{Source: dir, Registry: "https://registry.invalid", Limits: tc.limits})
			f := refusal(t, err)
			assert.Equal(t, tc.kind, f.Kind)
			assert.Contains(t, f.Reason, tc.reason)
		})
	}
	dir := t.TempDir()
	require.NoError(t, os.Symlink("/etc/passwd", dir+"/package-lock.json"))
	_, err := fetch(t.Context(), t.TempDir(), input{Source: dir, Registry: "https://registry.invalid"})
	assert.Equal(t, "is no file", refusal(t, err).Reason)
}

func sequence(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`,"node_modules/a%d":{}`, i+1)
	}
	return all
}

func TestOneAddressIsOnePackage(t *testing.T) {
	a := fields{"version": "1.0.0", "resolved": "https://registry.invalid/a/-/a-1.0.0.tgz", "integrity": integrity("a")}
	for _, other := range []fields{
		{"version": "1.0.0", "resolved": a["resolved"], "integrity": integrity("b")},
		{"version": "1.0.1", "resolved": a["resolved"], "integrity": a["integrity"]},
		{"name": "b", "version": "1.0.0", "resolved": a["resolved"], "integrity": a["integrity"]},
	} {
		_, err := fetch(t.Context(), t.TempDir(), input{Registry: "https://registry.invalid", Source: app(t, map[string]any{"node_modules/a": a, "node_modules/b/node_modules/a": other})})
		f := refusal(t, err)
		assert.Equal(t, step.KindPolicy, f.Kind)
		assert.Contains(t, f.Reason, "from the same address")
	}
}

func TestWhatARegistryAnswersIsHeldToTheLockFile(t *testing.T) {
	endless := func(_ int, w http.ResponseWriter, r *http.Request) bool {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return true
			}
		}
		return true
	}
	status := func(code int) func(int, http.ResponseWriter, *http.Request) bool {
		return func(_ int, w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(code); return true }
	}
	redirect := func(to string) func(int, http.ResponseWriter, *http.Request) bool {
		return func(_ int, w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, to, http.StatusFound)
			return true
		}
	}
	neighbour := serve(t, map[string]string{"/secret": "a"}, nil)
	port := neighbour.URL[strings.LastIndex(neighbour.URL, ":"):]
	for name, tc := range map[string]struct {
		answer func(int, http.ResponseWriter, *http.Request) bool
		kind   step.Kind
		reason string
		asks   int
	}{
		"another content":         {func(_ int, w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, "evil"); return true }, step.KindPolicy, "is not what the lock file pins", 1},
		"no content":              {status(200), step.KindPolicy, "is not what the lock file pins", 1},
		"an end that never comes": {endless, step.KindPolicy, "is larger than 100 bytes", 1},
		"nothing":                 {status(404), step.KindInput, "is not in the registry", 1},
		"no permission":           {status(401), step.KindInfrastructure, "401", 1},
		"an error for ever":       {status(502), step.KindInfrastructure, "502", 4},
		"a broken connection":     {func(int, http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, step.KindInfrastructure, "can't be fetched", 4},
		"a file":                  {redirect("file:///etc/passwd"), step.KindPolicy, "redirects to file:///etc/passwd", 1},
		"plain HTTP":              {redirect("http://example.org/a"), step.KindPolicy, "redirects to http://example.org/a", 1},
		"loopback":                {redirect(neighbour.URL + "/secret"), step.KindPolicy, "redirects to http://127.0.0.1", 1},
		"loopback by https":       {redirect("https://127.0.0.1" + port + "/secret"), step.KindPolicy, "redirects to https://127.0.0.1", 1},
		"loopback's name":         {redirect("https://localhost" + port + "/secret"), step.KindPolicy, "redirects to https://localhost", 1},
		"loopback in IPv6":        {redirect("https://[::1]" + port + "/secret"), step.KindPolicy, "redirects to https://[::1]", 1},
		"mapped loopback":         {redirect("https://[::ffff:127.0.0.1]" + port + "/secret"), step.KindPolicy, "redirects to", 1},
		"nobody":                  {redirect("https://0.0.0.0" + port + "/secret"), step.KindPolicy, "redirects to", 1},
		"metadata service":        {redirect("https://169.254.169.254/latest"), step.KindPolicy, "redirects to https://169.254.169.254/latest", 1},
		"itself":                  {redirect("/a/-/a-1.0.0.tgz"), step.KindInfrastructure, "redirects more than 5 times", 6},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, nil, tc.answer)
			out := t.TempDir()
			_, err := fetch(t.Context(), out, input{Registry: s.URL, Limits: small, Source: app(t, map[string]any{
				"node_modules/a": fields{"version": "1.0.0", "resolved": elsewhere + "a/-/a-1.0.0.tgz", "integrity": integrity("a")},
			})})
			f := refusal(t, err)
			assert.Equal(t, tc.kind, f.Kind)
			assert.Contains(t, f.Reason, tc.reason)
			assert.Equal(t, tc.asks, s.asked["/a/-/a-1.0.0.tgz"])
			left, err := os.ReadDir(out)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
	assert.Empty(t, neighbour.asked)
}

func TestPackagesTogetherAreBounded(t *testing.T) {
	content := strings.Repeat("x", 80)
	s := serve(t, map[string]string{"/a/-/a-1.0.0.tgz": content, "/b/-/b-1.0.0.tgz": content}, nil)
	_, err := fetch(t.Context(), t.TempDir(), input{Registry: s.URL, Limits: small, Source: app(t, map[string]any{
		"node_modules/a": fields{"version": "1.0.0", "integrity": integrity(content)},
		"node_modules/b": fields{"version": "1.0.0", "integrity": integrity(content)},
	})})
	f := refusal(t, err)
	assert.Equal(t, step.KindPolicy, f.Kind)
	assert.Contains(t, f.Reason, "are larger than 150 bytes")
}

func TestRegistriesThatAreNoneAreRefused(t *testing.T) {
	for _, address := range []string{"http://registry.example/", "ftp://registry.example", "registry.example", "https://u:p@registry.example/", "https://registry.example/?x", "file:///x", "https:///x", "%"} {
		_, err := fetch(t.Context(), t.TempDir(), input{Source: t.TempDir(), Registry: address})
		f := refusal(t, err)
		assert.Equal(t, step.KindInput, f.Kind, address)
		assert.NotContains(t, f.Error(), "u:p@")
	}
}
