package keylesstest

import (
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var serve = flag.String("serve", "", "serve the stand-in until standard input ends, and say in this folder where")

// TestServe is no test: it serves the stand-in at one address, for tests that
// can't be in this module. The folder gets trusted_root.json, then address, host:port.
//
//	/fulcio, /tsa, /rekor1, /rekor2   the services
//	/control?down=SERVICE             none is down afterwards but this one
//	/control?ago=TIME                 sets their clocks back
//	/token?email=E&issuer=I           an identity token
func TestServe(t *testing.T) {
	if *serve == "" {
		t.Skip("no folder: give -serve DIR")
	}
	s := New(t)
	all := []Service{Fulcio, TSA, Rekor1, Rekor2}
	mux := http.NewServeMux()
	for _, service := range all {
		target, err := url.Parse(s.URL(service))
		require.NoError(t, err)
		prefix := "/" + string(service)
		proxy := http.StripPrefix(prefix, httputil.NewSingleHostReverseProxy(target))
		mux.Handle(prefix, proxy)
		mux.Handle(prefix+"/", proxy)
	}
	mux.HandleFunc("/control", func(w http.ResponseWriter, r *http.Request) {
		for _, service := range all {
			s.Answer(service, nil)
			if r.FormValue("down") == string(service) {
				s.Down(service, http.StatusServiceUnavailable)
			}
		}
		ago, err := time.ParseDuration(r.FormValue("ago"))
		if r.FormValue("ago") != "" && err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.Ago(ago)
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(Token(r.FormValue("email"), r.FormValue("issuer")))
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	root := s.Root(t)
	require.True(t, json.Valid(root))
	require.NoError(t, os.WriteFile(filepath.Join(*serve, "trusted_root.json"), root, 0o644))
	ready := filepath.Join(*serve, "address.part")
	require.NoError(t, os.WriteFile(ready, []byte(address.Host), 0o644))
	require.NoError(t, os.Rename(ready, filepath.Join(*serve, "address")))
	_, _ = io.Copy(io.Discard, os.Stdin)
}
