// Package azuretest answers as the parts of Azure that give tokens, in a test's own
// process: a job's issuer, Entra, and a registry's sign-in. Each token is for one
// purpose and lives for Life. Nothing but tests imports it.
package azuretest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway/step/azure"
	"slipway/step/oidc"
)

// What there is.
const (
	Client       = "00000000-0000-4000-8000-00000000000a"
	Tenant       = "00000000-0000-4000-8000-00000000000b"
	Subscription = "00000000-0000-4000-8000-00000000000c"
	// Registry is a registry's host, and Vault a vault's.
	Registry = "acme.azurecr.azure.test"
	Vault    = "acme.vault.azure.test"

	// RequestToken is what the job asks its issuer with.
	RequestToken = "correct-horse-battery-staple"
)

// Azure is the stand-in.
type Azure struct {
	// Life is how long a token lives.
	Life time.Duration
	// Hosts answer for further hosts.
	Hosts map[string]http.Handler
	// Refuse answers requests to a host with a status instead, until it is taken out.
	Refuse map[string]int

	t      testing.TB
	server *httptest.Server
	ca     string
	mu     sync.Mutex
	now    time.Time
	tokens map[string]time.Time
	asked  []string
	// host answers this text, whoever asks.
	host, text string
}

// Start begins it; it ends with the test. Registry is passed on to what Hosts has for
// it, once the client has signed in.
func Start(t testing.TB) *Azure {
	a := &Azure{t: t, Life: time.Hour, Hosts: map[string]http.Handler{}, Refuse: map[string]int{}, now: time.Now(), tokens: map[string]time.Time{}}
	cert := a.certificate()
	a.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.connect(w, r, cert) }))
	t.Cleanup(a.server.Close)
	return a
}

func (a *Azure) certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "azure.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		DNSNames: []string{"*.azure.test", "*.azurecr.azure.test", "*.vault.azure.test", "*.aks.azure.test", "localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// CA is the authority of all hosts, in PEM.
func (a *Azure) CA() string { return a.ca }

// Identity is one that the job's tokens are taken for, as JSON, and the file of its
// request token.
func (a *Azure) Identity() (identity azure.Identity, tokenFile string) {
	file := filepath.Join(a.t.TempDir(), "request-token")
	if err := os.WriteFile(file, []byte(RequestToken+"\n"), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return azure.Identity{
		ClientID: Client, TenantID: Tenant, SubscriptionID: Subscription, Source: oidc.Source{RequestURL: "https://jobs.azure.test/token?api-version=2.0"},
		MetadataHost: "management.azure.test", Authorities: a.ca, Proxy: a.server.URL,
	}, file
}

// Advance lets all tokens grow older.
func (a *Azure) Advance(by time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = a.now.Add(by)
}

// Now is the clock of the stand-in.
func (a *Azure) Now() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

// Answer lets a host answer a text, whoever asks, in place of any other that did.
func (a *Azure) Answer(host, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.host, a.text = host, text
}

// Asked are the requests so far, each METHOD HOST/PATH STATUS.
func (a *Azure) Asked() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.asked...)
}

// Tokens are all that were given out.
func (a *Azure) Tokens() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []string
	for token := range a.tokens {
		_, token, _ := strings.Cut(token, " ")
		all = append(all, token)
	}
	return all
}

// Give makes a token for a purpose, and Good says whether a token is for it, still.
func (a *Azure) Give(purpose string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	expires := a.now.Add(a.Life)
	token := "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d,"jti":%q}`, expires.Unix(), rand.Text())) + ".c2ln"
	a.tokens[purpose+" "+token] = expires
	return token
}

// Good reports whether a token was given for a purpose, and is good.
func (a *Azure) Good(purpose, token string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tokens[purpose+" "+token].After(a.now)
}

// connect is the proxy that leads to all hosts.
func (a *Azure) connect(w http.ResponseWriter, r *http.Request, cert tls.Certificate) {
	host, _, _ := net.SplitHostPort(r.Host)
	if r.Method != http.MethodConnect || !strings.HasSuffix(host, ".azure.test") {
		http.Error(w, r.Host+" is not here", http.StatusForbidden)
		return
	}
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	reader := bufio.NewReader(secure)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		request.URL.Host, request.URL.Scheme = host, "https"
		recorded := httptest.NewRecorder()
		a.serve(host, recorded, request)
		_, _ = io.Copy(io.Discard, request.Body)
		a.mu.Lock()
		a.asked = append(a.asked, fmt.Sprintf("%s %s%s %d", request.Method, host, request.URL.Path, recorded.Code))
		a.mu.Unlock()
		response := recorded.Result()
		response.Request, response.ContentLength = request, int64(recorded.Body.Len())
		if response.Write(secure) != nil {
			return
		}
	}
}

func (a *Azure) serve(host string, w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	refuse, always, text := a.Refuse[host], a.host == host, a.text
	a.mu.Unlock()
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch handler := a.Hosts[host]; {
	case refuse != 0:
		// Whoever followed a redirect would carry a token to another host.
		w.Header().Set("Location", "https://elsewhere.azure.test/")
		answer(w, refuse, map[string]any{"error": "refused"})
	case always:
		_, _ = io.WriteString(w, text)
	case host == "management.azure.test" && r.URL.Path == "/metadata/endpoints":
		answer(w, http.StatusOK, map[string]any{
			"authentication": map[string]string{"loginEndpoint": "https://login.azure.test/"},
			"suffixes":       map[string]string{"acrLoginServer": "azurecr.azure.test", "keyVaultDns": "vault.azure.test"},
		})
	case host == "jobs.azure.test" && bearer == RequestToken && r.URL.Query().Get("api-version") == "2.0":
		answer(w, http.StatusOK, map[string]string{"value": a.Give("job " + r.URL.Query().Get("audience"))})
	case host == "devops.azure.test" && bearer == RequestToken && r.Method == http.MethodPost && r.URL.Query().Get("serviceConnectionId") == Subscription && r.URL.Query().Get("api-version") == "7.1":
		answer(w, http.StatusOK, map[string]string{"oidcToken": a.Give("job " + r.URL.Query().Get("audience"))})
	case host == "login.azure.test" && r.URL.Path == "/"+Tenant+"/oauth2/v2.0/token":
		a.login(w, r)
	case host == Registry && handler != nil:
		a.registry(w, r, bearer, handler)
	case handler != nil:
		handler.ServeHTTP(w, r)
	default:
		answer(w, http.StatusUnauthorized, map[string]string{"error": "nobody"})
	}
}

func (a *Azure) login(w http.ResponseWriter, r *http.Request) {
	audience, scoped := strings.CutSuffix(r.PostFormValue("scope"), "/.default")
	switch {
	case r.PostFormValue("grant_type") != "client_credentials" || !scoped || r.PostFormValue("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
		answer(w, http.StatusBadRequest, map[string]string{"error_description": "AADSTS900144: The request is not whole"})
	case r.PostFormValue("client_id") != Client:
		answer(w, http.StatusBadRequest, map[string]string{"error_description": "AADSTS700016: Application was not found"})
	case !a.Good("job api://AzureADTokenExchange", r.PostFormValue("client_assertion")):
		answer(w, http.StatusBadRequest, map[string]string{"error_description": "AADSTS700024: Client assertion is not within its valid time range"})
	default:
		answer(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": int(a.Life.Seconds()), "access_token": a.Give(audience)})
	}
}

func (a *Azure) registry(w http.ResponseWriter, r *http.Request, bearer string, handler http.Handler) {
	user, password, _ := r.BasicAuth()
	switch {
	case r.URL.Path == "/oauth2/exchange":
		if r.PostFormValue("grant_type") != "access_token" || r.PostFormValue("service") != Registry || r.PostFormValue("tenant") != Tenant || !a.Good(azure.Registry, r.PostFormValue("access_token")) {
			answer(w, http.StatusUnauthorized, map[string]any{"errors": []any{map[string]string{"code": "UNAUTHORIZED", "message": "authentication required"}}})
			return
		}
		answer(w, http.StatusOK, map[string]string{"refresh_token": a.Give("refresh")})
	case r.URL.Path == "/oauth2/token":
		if user != "00000000-0000-0000-0000-000000000000" || !a.Good("refresh", password) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer(w, http.StatusOK, map[string]string{"access_token": a.Give("access")})
	case !a.Good("access", bearer):
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://`+Registry+`/oauth2/token",service="`+Registry+`"`)
		w.WriteHeader(http.StatusUnauthorized)
	default:
		handler.ServeHTTP(w, r)
	}
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
