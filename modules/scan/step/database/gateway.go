package database

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"slipway/registry"
)

// gateway serves one repository of a registry, read-only, on a loopback port.
// Trivy downloads through it by digest: so Trivy needs neither the credentials
// nor the service's other address, and it still verifies every byte.
type gateway struct {
	listener   net.Listener
	server     *http.Server
	repository name.Repository
}

func open(ctx context.Context, client *registry.Client, repository name.Repository) (*gateway, error) {
	tripper, err := client.Transport(ctx)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	proxy := &httputil.ReverseProxy{
		Transport: tripper,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme = repository.Scheme()
			r.Out.URL.Host = repository.RegistryStr()
			r.Out.Host = repository.RegistryStr()
		},
	}
	served := "/v2/" + repository.RepositoryStr() + "/"
	g := &gateway{listener: listener, repository: repository}
	g.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		read := r.Method == http.MethodGet || r.Method == http.MethodHead
		switch {
		case read && r.URL.Path == "/v2/":
			w.WriteHeader(http.StatusOK)
		case read && strings.HasPrefix(r.URL.Path, served):
			proxy.ServeHTTP(w, r)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	})}
	// Serve returns when Close closes the listener; until then there is
	// nobody to tell that a connection failed but Trivy, at its other end.
	go func() { _ = g.server.Serve(listener) }()
	return g, nil
}

// Reference is the repository at digest, as Trivy has to ask for it.
func (g *gateway) Reference(digest string) string {
	return g.listener.Addr().String() + "/" + g.repository.RepositoryStr() + "@" + digest
}

// Close ends the gateway and its connections.
func (g *gateway) Close() error { return g.server.Close() }
