package pages_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"

	"slipway/apps/pages/pages"
)

func request(method, path string, site fstest.MapFS) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	pages.Handler(site).ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

var site = fstest.MapFS{
	"index.html":       {Data: []byte("<p>home")},
	"assets/style.css": {Data: []byte("body{}")},
	".secret":          {Data: []byte("no")},
	"assets/.git/HEAD": {Data: []byte("no")},
}

func TestFilesAreServed(t *testing.T) {
	w := request(http.MethodGet, "/", site)
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, "<p>home", w.Body.String())
	assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	w = request(http.MethodGet, "/assets/style.css", site)
	assert.Equal(t, "body{}", w.Body.String())
	assert.Equal(t, "text/css; charset=utf-8", w.Header().Get("Content-Type"))
}

func TestRefusals(t *testing.T) {
	for _, path := range []string{"/assets/", "/.secret", "/assets/.git/HEAD", "/absent", "/..%2f..%2fetc/passwd"} {
		assert.Equal(t, http.StatusNotFound, request(http.MethodGet, path, site).Code, path)
	}
	assert.Equal(t, http.StatusMethodNotAllowed, request(http.MethodPost, "/", site).Code)
}

func TestReadiness(t *testing.T) {
	assert.Equal(t, http.StatusOK, request(http.MethodGet, "/readyz", site).Code)
	assert.Equal(t, http.StatusServiceUnavailable, request(http.MethodGet, "/readyz", fstest.MapFS{}).Code)
	assert.Equal(t, http.StatusOK, request(http.MethodGet, "/healthz", fstest.MapFS{}).Code)
}

func TestTheSiteItself(t *testing.T) {
	w := httptest.NewRecorder()
	pages.Handler(os.DirFS("../site")).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Contains(t, w.Body.String(), `href="/assets/style.css"`)
}
