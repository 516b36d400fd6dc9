// Package azure is a stand-in for the parts of Azure that Terraform's azurerm
// provider and the pipeline ask: Resource Manager, its metadata, Entra's token
// endpoint, Key Vault's keys, container registries, and the services that hand
// GitHub's and Azure DevOps' jobs their tokens. It stores what it is told and checks who tells it,
// in Azure's own words; it creates nothing.
//
// It is one HTTP proxy: the clients name hosts below Suffix, which nobody owns,
// and reach them through HTTPS_PROXY with the stand-in's own authority. Whatever
// lies outside of Suffix is refused, so no request meant for it leaves the machine.
package azure

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Suffix is what the names of all hosts end in. RFC 6761 keeps .test free.
const Suffix = "azure.test"

// MetadataHost is the host that clients ask where everything else is.
const MetadataHost = "management." + Suffix

// Setup is what there is before anybody asks.
type Setup struct {
	Tenant       string
	Subscription string
	Identities   []Identity
	Pipelines    []Pipeline
	// Principals are object IDs of people and groups that roles may be given to.
	Principals []string
	// TokenSeconds is how long a token lives; 3600 if zero.
	TokenSeconds int
	// Blob is the URL at https://localhost of a blob service with Certificate's
	// certificate, such as Azurite, that the accounts' blob hosts lead to; empty is
	// none.
	Blob string
	// Registry keeps the content of all registries; without one there is none.
	Registry Backing
	// Registries are names, in small letters, of registries that there are already.
	Registries []string
}

// Identity is an application that there is already.
type Identity struct {
	ClientID  string
	ObjectID  string
	Federated []Federated
	// Roles are names of built-in roles on the subscription.
	Roles []string
}

// Federated is whose tokens are taken for an identity.
type Federated struct {
	Issuer  string
	Subject string
}

// Pipeline is a CI job that may ask for tokens about itself.
type Pipeline struct {
	// RequestToken is what the job asks with.
	RequestToken string
	Federated
	// ServiceConnection is Azure DevOps' only.
	ServiceConnection string
}

// Server is a running stand-in.
type Server struct {
	// URL is the proxy's.
	URL string
	// CA is the certificate of the stand-in's own authority, in PEM.
	CA []byte
	// Holding gets the path of each request that is kept without an answer.
	Holding chan string

	setup    Setup
	pki      *authority
	signer   *signer
	mu       sync.Mutex
	store    map[string]*resource
	keys     map[string]*vaultKey
	orders   []*Order
	requests []Request
	pending  map[string]*operation
	http     *http.Server
	now      func() time.Time
}

// Request is one that was answered.
type Request struct {
	Method string
	Host   string
	Path   string
	Status int
	// Client is the identity that asked, where it was known.
	Client string
}

// Start listens at a loopback address, such as 127.0.0.1:0.
func Start(address string, setup Setup) (*Server, error) {
	if setup.Tenant == "" || setup.Subscription == "" {
		return nil, errors.New("the setup needs a tenant and a subscription")
	}
	if setup.TokenSeconds == 0 {
		setup.TokenSeconds = 3600
	}
	pki, err := newAuthority()
	if err != nil {
		return nil, err
	}
	signer, err := newSigner()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &Server{
		URL: "http://" + listener.Addr().String(), CA: pki.pem, setup: setup, pki: pki, signer: signer,
		store: map[string]*resource{}, keys: map[string]*vaultKey{}, pending: map[string]*operation{}, now: time.Now,
		Holding: make(chan string, 16),
	}
	s.http = &http.Server{Handler: http.HandlerFunc(s.front), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.http.Serve(listener) }()
	return s, nil
}

// Advance puts the stand-in's clock forward: older tokens grow old.
func (s *Server) Advance(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now
	s.now = func() time.Time { return now().Add(by) }
}

// Close ends it, and whatever request it holds.
func (s *Server) Close() error { return s.http.Close() }

// front takes what comes to the port: tunnels to the hosts below Suffix.
func (s *Server) front(w http.ResponseWriter, r *http.Request) {
	host, port, err := net.SplitHostPort(r.Host)
	if r.Method != http.MethodConnect || err != nil || port != "443" || !strings.HasSuffix(host, "."+Suffix) {
		http.Error(w, r.Host+" is not a part of the stand-in for Azure: it stores what it is told and creates nothing", http.StatusForbidden)
		return
	}
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if _, err := conn.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		conn.Close()
		return
	}
	s.tunnel(host, conn)
}

// tunnel answers as a host of Azure, until the client is done.
func (s *Server) tunnel(host string, conn net.Conn) {
	secure := tls.Server(conn, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName != host {
				return nil, fmt.Errorf("asked for %q through a tunnel to %q", hello.ServerName, host)
			}
			return s.pki.leaf(host)
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(host, w, r) }), ReadHeaderTimeout: 10 * time.Second}
	one := &oneListener{conn: &watched{Conn: secure, closed: cancel}, done: ctx.Done()}
	_ = server.Serve(one)
}

// serve answers a request to one host, and remembers it.
func (s *Server) serve(host string, w http.ResponseWriter, r *http.Request) {
	recorded := &recorder{ResponseWriter: w, status: http.StatusOK}
	name := strings.TrimSuffix(host, "."+Suffix)
	account, isBlob := strings.CutSuffix(name, ".blob")
	vault, isVault := strings.CutSuffix(name, ".vault")
	registry, isRegistry := strings.CutSuffix(name, ".azurecr")
	request := Request{Method: r.Method, Host: host, Path: r.URL.RequestURI()}
	switch {
	case !strings.EqualFold(r.Host, host) && !strings.EqualFold(r.Host, host+":443"):
		fail(recorded, http.StatusMisdirectedRequest, "BadRequest", "the Host header names "+r.Host+", the tunnel "+host)
	case s.ordered(recorded, r, host):
	case name == "management":
		request.Client = s.management(recorded, r)
	case name == "login":
		s.login(recorded, r)
	case name == "github":
		s.github(recorded, r)
	case name == "devops":
		s.devops(recorded, r)
	case isVault:
		request.Client = s.vault(vault, recorded, r)
	case isRegistry:
		request.Client = s.registry(registry, recorded, r)
	case isBlob && s.setup.Blob != "":
		request.Client = s.blob(account, recorded, r)
	default:
		fail(recorded, http.StatusNotFound, "NotFound", host+" is not a part of the stand-in for Azure")
	}
	request.Status = recorded.status
	s.mu.Lock()
	s.requests = append(s.requests, request)
	s.mu.Unlock()
}

// Requests are all that were answered, in their order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Tokens are all that were given out.
func (s *Server) Tokens() []string {
	s.signer.mu.Lock()
	defer s.signer.mu.Unlock()
	return append([]string(nil), s.signer.given...)
}

// fail answers as Azure does.
func fail(w http.ResponseWriter, status int, code, message string) {
	answer(w, status, map[string]any{"error": map[string]any{"code": code, "message": message}})
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // A client that has gone reads no error.
}

type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the status.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// oneListener serves one connection: Accept gives it out, then waits for its end.
type oneListener struct {
	conn  net.Conn
	given bool
	done  <-chan struct{}
}

// Accept returns the connection, and at its end an error.
func (l *oneListener) Accept() (net.Conn, error) {
	if !l.given {
		l.given = true
		return l.conn, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

// Close does nothing: the connection is its server's.
func (l *oneListener) Close() error { return nil }

// Addr is the connection's.
func (l *oneListener) Addr() net.Addr { return l.conn.LocalAddr() }

// watched tells when its connection is closed.
type watched struct {
	net.Conn
	closed func()
}

// Close closes the connection, and tells.
func (w *watched) Close() error {
	defer w.closed()
	return w.Conn.Close()
}
