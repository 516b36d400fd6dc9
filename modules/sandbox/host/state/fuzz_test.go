package state

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// FuzzHandler: whatever is asked of a state whose lock another one holds, it
// stays, its lock stays, and no file comes to be anywhere else than in the folder
// of the state that was asked for.
func FuzzHandler(f *testing.F) {
	for _, method := range []string{"GET", "POST", "DELETE", "LOCK", "UNLOCK", "PUT"} {
		for _, path := range []string{"/state/local/dev", "/state/local/../dev", "/state/local/%2e%2e", "/state/a/b/c", "/state/local/" + lockFile, "/state/-/x", "/state//dev", "/state/local/new"} {
			f.Add(method, path, "ID=aaaa", []byte(document(2)))
			f.Add(method, path, "ID=bbbb", []byte(lockB))
		}
	}
	for _, body := range []string{lockA, "", "null", `{"ID":""}`, `{"id":"aaaa"}`, `{"ID":"bbbb","ID":"aaaa"}`, `{"version":4}`, `{"version":4,"lineage":"x","serial":-1}`, document(1) + document(1)} {
		f.Add("UNLOCK", "/state/local/dev", "", []byte(body))
		f.Add("POST", "/state/local/dev", "ID=aaaa&ID=bbbb", []byte(body))
		f.Add("LOCK", "/state/local/new", "%zz", []byte(body))
	}
	f.Fuzz(func(t *testing.T, method, path, query string, body []byte) {
		around := t.TempDir()
		dir := filepath.Join(around, "states")
		handler := Handler(dir)
		ask := func(r *http.Request) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			return w
		}
		for _, r := range []*http.Request{
			httptest.NewRequest("LOCK", "/state/local/dev", bytes.NewReader([]byte(lockA))),
			httptest.NewRequest("POST", "/state/local/dev?ID=aaaa", bytes.NewReader([]byte(document(1)))),
		} {
			if w := ask(r); w.Code != http.StatusOK {
				t.Fatalf("set up: %d", w.Code)
			}
		}
		u, err := url.ParseRequestURI(path)
		if err != nil || method == "" {
			return
		}
		u.RawQuery = query
		r := &http.Request{Method: method, URL: u, Header: http.Header{}, Host: "localhost", Body: http.NoBody}
		if len(body) > 0 {
			r = r.WithContext(t.Context())
			r.Body, r.ContentLength = readCloser{bytes.NewReader(body)}, int64(len(body))
		}
		w := ask(r)
		if w.Code >= 500 {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		// By its lock's ID, the state may be written and unlocked.
		id, _ := idOf(body)
		holder := u.Query().Get("ID") == "aaaa" || id == "aaaa"
		stays(t, dir, "local/dev", stateFile, document(1), holder)
		stays(t, dir, "local/dev", lockFile, lockA, holder)
		var folders []string
		err = filepath.WalkDir(around, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(dir, filepath.Dir(file))
			folders = append(folders, filepath.ToSlash(rel))
			if base := filepath.Base(file); base != stateFile && base != lockFile {
				t.Fatalf("%s is left", file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(folders)
		for _, folder := range slices.Compact(folders) {
			if folder != "local/dev" && "/state/"+folder != u.Path {
				t.Fatalf("%s %q wrote into %s", method, path, folder)
			}
		}
	})
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

func idOf(body []byte) (string, bool) { return lockID(httptest.NewRecorder(), body) }

func stays(t *testing.T, dir, folder, file, want string, mayChange bool) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, folder, file))
	if !mayChange && (err != nil || string(data) != want) {
		t.Fatalf("%s is %q, %v", file, data, err)
	}
}
