// Package greeting says hello in English or German.
package greeting

import (
	"fmt"
	"net/http"

	"golang.org/x/text/language"
)

var matcher = language.NewMatcher([]language.Tag{language.English, language.German})

// Handler greets by the request's Accept-Language header, and answers /healthz
// and /readyz with 200. It parses the header with a version of x/text that a
// crafted one keeps busy: CVE-2022-32149.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		wanted, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
		if err != nil {
			wanted = nil
		}
		text := "Hello"
		if _, i, _ := matcher.Match(wanted...); i == 1 {
			text = "Hallo"
		}
		fmt.Fprintln(w, text)
	})
	well := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }
	mux.HandleFunc("GET /healthz", well)
	mux.HandleFunc("GET /readyz", well)
	return mux
}
