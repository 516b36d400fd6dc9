// Package pages serves the files of a static site.
package pages

import (
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// Handler serves the site, GET and HEAD only, and answers /healthz and /readyz
// with 200. A folder is served by its index.html and never listed; what begins
// with a dot is not found. /readyz answers 503 while the site has no page.
func Handler(site fs.FS) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := fs.Stat(site, "index.html"); err != nil {
			http.Error(w, "the site has no index.html", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
	files := http.FileServerFS(site)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		if !servable(site, r.URL.Path) {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		files.ServeHTTP(w, r)
	})
	return mux
}

// servable reports whether a URL's path is a file, or a folder with a page.
func servable(site fs.FS, url string) bool {
	name := strings.TrimPrefix(path.Clean("/"+url), "/")
	if strings.HasPrefix(name, ".") || strings.Contains(name, "/.") {
		return false
	}
	if name == "" {
		name = "."
	}
	info, err := fs.Stat(site, name)
	if err != nil {
		return false
	}
	if info.IsDir() {
		_, err = fs.Stat(site, path.Join(name, "index.html"))
	}
	return err == nil
}
