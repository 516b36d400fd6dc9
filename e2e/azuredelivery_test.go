//go:build e2e && azure

package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sandbox/azure"
)

const (
	acmeTenant = "00000000-0000-4000-8000-000000000001"
	acmeGroup  = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/acme"
	acmeImages = "acme.azurecr." + azure.Suffix + "/apps"
	acmeKey    = "azurekms://acme.vault." + azure.Suffix + "/release"

	deliverer = "00000000-0000-4000-8000-0000000000a2"
	looker    = "00000000-0000-4000-8000-0000000000a3"
)

// acme is a subscription on the stand-in with a registry, whose content the sandbox
// keeps, and a vault with a key.
type acme struct {
	*azure.Server
	t            *testing.T
	client       *http.Client
	requestToken string
	ca           string
	// jumps are how often all tokens grew too old at once.
	mu    sync.Mutex
	jumps int
}

func newAcme(t *testing.T, seconds int) *acme {
	t.Helper()
	a := &acme{t: t, requestToken: "request-" + random()}
	front := httptest.NewServer(a.front(shared.sandbox))
	t.Cleanup(front.Close)
	job := azure.Federated{Issuer: github, Subject: "repo:acme/platform:ref:refs/heads/main"}
	images := shared.accounts["images"]
	var err error
	a.Server, err = azure.Start("127.0.0.1:0", azure.Setup{
		Tenant: acmeTenant, Subscription: "00000000-0000-4000-8000-000000000002",
		Identities: []azure.Identity{
			{ClientID: founder, ObjectID: "00000000-0000-4000-8000-0000000000b1", Roles: []string{"Owner", "Key Vault Crypto Officer"}, Federated: []azure.Federated{job}},
			{ClientID: deliverer, ObjectID: "00000000-0000-4000-8000-0000000000b2", Roles: []string{"Container Registry Repository Writer", "Key Vault Crypto User"}, Federated: []azure.Federated{job}},
			{ClientID: looker, ObjectID: "00000000-0000-4000-8000-0000000000b3", Roles: []string{"Container Registry Repository Reader", "Key Vault Reader"}, Federated: []azure.Federated{job}},
		},
		Pipelines:  []azure.Pipeline{{RequestToken: a.requestToken, Federated: job}},
		Registries: []string{"acme"}, Registry: azure.Backing{URL: front.URL, Username: images.Username, Password: images.Password},
		TokenSeconds: seconds,
	})
	require.NoError(t, err)
	t.Cleanup(func() { a.Close() })
	a.ca = filepath.Join(t.TempDir(), "ca.pem")
	write(t, a.ca, string(a.CA))
	proxy, err := url.Parse(a.URL)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(a.CA))
	a.client = &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}

	const manager = "https://" + azure.MetadataHost
	owner := a.token(manager)
	a.ask(http.MethodPut, manager+acmeGroup+"?api-version=2023-07-01", owner, map[string]any{"location": "westeurope"})
	a.ask(http.MethodPut, manager+acmeGroup+"/providers/Microsoft.KeyVault/vaults/acme?api-version=2026-02-01", owner,
		map[string]any{"location": "westeurope", "properties": map[string]any{"tenantId": acmeTenant, "sku": map[string]any{"name": "standard", "family": "A"}}})
	a.ask(http.MethodPost, "https://acme.vault."+azure.Suffix+"/keys/release/create?api-version=7.4", a.token("https://vault."+azure.Suffix),
		map[string]any{"kty": "EC", "crv": "P-256", "key_ops": []string{"sign", "verify"}})
	return a
}

// front keeps the registries' content in the sandbox. Whenever an image or a bundle is
// whole, every token there is grows too old: nobody gets through with the first.
func (a *acme) front(sandbox string) http.Handler {
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(&url.URL{Scheme: "http", Host: sandbox})
	}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy.ServeHTTP(w, r)
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
			a.Advance(time.Minute)
			a.mu.Lock()
			a.jumps++
			a.mu.Unlock()
		}
	})
}

// ask is a request of the founder's, which has to be answered well.
func (a *acme) ask(method, address, token string, body any) map[string]any {
	a.t.Helper()
	sent, contentType := []byte(nil), "application/json"
	switch body := body.(type) {
	case url.Values:
		sent, contentType = []byte(body.Encode()), "application/x-www-form-urlencoded"
	case nil:
	default:
		var err error
		sent, err = json.Marshal(body)
		require.NoError(a.t, err)
	}
	req, err := http.NewRequest(method, address, bytes.NewReader(sent))
	require.NoError(a.t, err)
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := a.client.Do(req)
	require.NoError(a.t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	require.NoError(a.t, err)
	require.Less(a.t, res.StatusCode, 300, string(data))
	var value map[string]any
	require.NoError(a.t, json.Unmarshal(data, &value), string(data))
	return value
}

// token is one of the founder's.
func (a *acme) token(audience string) string {
	a.t.Helper()
	assertion := a.ask(http.MethodGet, "https://github."+azure.Suffix+"/token?audience=api://AzureADTokenExchange", a.requestToken, nil)["value"].(string)
	return a.ask(http.MethodPost, "https://login."+azure.Suffix+"/"+acmeTenant+"/oauth2/v2.0/token", "", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {founder}, "scope": {audience + "/.default"}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	})["access_token"].(string)
}

// publicKey is the file of the key's public half.
func (a *acme) publicKey() string {
	a.t.Helper()
	shown := a.ask(http.MethodGet, "https://acme.vault."+azure.Suffix+"/keys/release?api-version=7.4", a.token("https://vault."+azure.Suffix), nil)["key"].(map[string]any)
	number := func(name string) *big.Int {
		data, err := base64.RawURLEncoding.DecodeString(shown[name].(string))
		require.NoError(a.t, err)
		return new(big.Int).SetBytes(data)
	}
	der, err := x509.MarshalPKIXPublicKey(&ecdsa.PublicKey{Curve: elliptic.P256(), X: number("x"), Y: number("y")})
	require.NoError(a.t, err)
	file := filepath.Join(a.t.TempDir(), "release.pub")
	write(a.t, file, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	return file
}

// as are the arguments of a job that is an identity, and delivers to the registry.
func (a *acme) as(client, requestToken string) []string {
	file := filepath.Join(a.t.TempDir(), "request-token")
	write(a.t, file, requestToken)
	at, _ := strings.CutPrefix(a.URL, "http://")
	return []string{
		"with-azure", "--client-id", client, "--tenant-id", acmeTenant, "--subscription-id", "00000000-0000-4000-8000-000000000002",
		"--request-url", "https://github." + azure.Suffix + "/token?api-version=2.0", "--token", "file:" + file,
		"with-azure-cloud", "--metadata-host", azure.MetadataHost, "--authorities", a.ca, "--proxy", "tcp://" + at,
		"with-registry", "--repository", acmeImages, "with-database", "--repository", "acme.azurecr." + azure.Suffix + "/slipway/trivy-db",
	}
}

// asked counts the requests that were answered with a status.
func (a *acme) asked(method, host, path string, status int) int {
	n := 0
	for _, r := range a.Requests() {
		if r.Method == method && strings.HasPrefix(r.Host, host) && strings.Contains(r.Path, path) && r.Status == status {
			n++
		}
	}
	return n
}

const helloInDev = "gitops/apps/hello/overlays/dev/kustomization.yaml"

// fromAcme lets hello's overlay run the registry's image until the test ends. It returns
// the file.
func fromAcme(t *testing.T, p *platform) string {
	t.Helper()
	before := read(t, repository()+"/"+helloInDev)
	renamed := strings.Replace(before, "- name: localhost:5000/hello\n", "- name: localhost:5000/hello\n    newName: "+acmeImages+"/hello\n", 1)
	require.NotEqual(t, before, renamed)
	push := func(text string) {
		clone := p.remote(t)
		write(t, filepath.Join(clone, helloInDev), text)
		git(t, clone, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qam", "another registry")
		git(t, clone, "push", "-q", "origin", "HEAD:main")
	}
	push(renamed)
	t.Cleanup(func() { push(before) })
	return renamed
}

func TestAzureADeliveryNeedsNoPasswordAndKeepsNoToken(t *testing.T) {
	a, p, began := newAcme(t, 20), shared, time.Now().Add(-time.Second)
	control := newCanary("control", "", "control "+random())
	settings := read(t, p.repo+"/slipway.yaml")
	elsewhere := strings.Replace(settings, "\n  staging: {}\n", "\n  staging: {infra: ignore}\n", 1)
	require.NotEqual(t, settings, elsewhere)
	dir := source(t, map[string]string{"slipway.yaml": elsewhere, helloInDev: fromAcme(t, p), "apps/hello/greeting/extra.go": "package greeting\n\n// Extra makes another image.\nconst Extra = \"" + control.secret + "\"\n"})
	log, out := p.logged(t, dir, slices.Concat([]string{"call"}, p.place(), p.terraform(t), a.as(deliverer, a.requestToken),
		[]string{"with-kms-key", "--uri", acmeKey, "deliver", "--app", "hello", "--env", "dev", "json"})...)
	var released struct {
		Image          string `json:"image"`
		ReleaseCreated bool   `json:"releaseCreated"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &released), out)
	assert.True(t, released.ReleaseCreated)
	assert.Contains(t, out, acmeImages+"/hello@sha256:")

	a.mu.Lock()
	jumps := a.jumps
	a.mu.Unlock()
	assert.Greater(t, jumps, 5, "every token was too old several times")
	assert.Greater(t, a.asked(http.MethodPost, "acme.azurecr.", "/oauth2/exchange", http.StatusOK), 5)
	assert.Greater(t, a.asked(http.MethodPost, "acme.vault.", "/sign", http.StatusOK), 3)
	assert.Zero(t, a.asked(http.MethodPost, "acme.azurecr.", "/oauth2/exchange", http.StatusBadRequest))

	// All tokens of the stand-in begin alike, whichever is kept.
	tokens := a.Tokens()
	require.Greater(t, len(tokens), 20)
	header, _, _ := strings.Cut(tokens[0], ".")
	for _, token := range tokens {
		require.True(t, strings.HasPrefix(token, header+"."))
	}
	canaries := []canary{newCanary("request token", "", a.requestToken), newCanary("a token", "00000000-0000-0000-0000-000000000000", header+".")}
	assert.Empty(t, leaks([]byte(log+out), canaries), "the log and the output")
	found, files := search(t, filepath.Join(p.dir, "sandbox"), began, canaries)
	assert.Empty(t, found, "registry, Git remote and state")
	assert.Greater(t, files, 10)
	found, files = search(t, engineState(t, p), began, append(canaries, control))
	controls := 0
	for _, leak := range found {
		if strings.Contains(leak, ": control (") {
			controls++
			continue
		}
		t.Error("the engine's storage: " + leak)
	}
	assert.Positive(t, controls, "the engine's storage was searched, and holds what is no secret")
	t.Logf("searched %d new files of the engine for %d tokens", files, len(tokens))

	reference := out[strings.Index(out, acmeImages):]
	reference = reference[:len(acmeImages)+len("/hello@sha256:")+64]
	assert.Contains(t, git(t, p.remote(t), "show", "HEAD:"+helloInDev), reference[strings.Index(reference, "sha256:"):])
	key := a.publicKey()
	call := func(who []string, args ...string) (string, error) {
		return p.call(dir, p.place(), append(slices.Clone(who), args...)...)
	}
	t.Run("who may read verifies, and publishes nothing", func(t *testing.T) {
		passed, err := call(a.as(looker, a.requestToken), "with-public-key", "--key", key, "verify", "--reference", reference, "--env", "dev", "passed")
		require.NoError(t, err)
		assert.Equal(t, "true", strings.TrimSpace(passed))
		other := source(t, map[string]string{"apps/hello/greeting/extra.go": "package greeting\n\n// Extra makes another image.\nconst Extra = \"" + random() + "\"\n"})
		_, err = p.call(other, p.place(), append(a.as(looker, a.requestToken), "app", "--name", "hello", "build", "scan", "publish", "reference")...)
		refused(t, err, "publish: bad input: repository "+acmeImages+"/hello", "is not for the identity "+looker, "Container Registry Repository Writer")
		_, err = call(append(a.as(looker, a.requestToken), "with-kms-key", "--uri", acmeKey), "signed", "--app", "hello", "--digest", reference[strings.Index(reference, "sha256:"):], "release", "--env", "staging", "commit")
		refused(t, err, "is not for the identity "+looker, "Key Vault Crypto User")
	})
	t.Run("nobody else is let in", func(t *testing.T) {
		verify := []string{"with-public-key", "--key", key, "verify", "--reference", reference, "--env", "dev", "passed"}
		for name, c := range map[string]struct {
			who   []string
			words []string
		}{
			"another job":      {a.as(deliverer, "guess"), []string{"bad input: ID token from github.azure.test", "is refused with status 401"}},
			"another identity": {a.as("00000000-0000-4000-8000-0000000000ff", a.requestToken), []string{"bad input: identity 00000000-0000-4000-8000-0000000000ff", "Entra refuses the identity: AADSTS700016"}},
			"nobody":           {[]string{"with-registry", "--repository", acmeImages}, []string{"infrastructure"}},
			"a name for an ID": {a.as("acme", a.requestToken), []string{"config: bad input: Azure client ID \"acme\"", "is not a UUID"}},
			"a cloud alone":    {a.as(deliverer, a.requestToken)[11:], []string{"config: bad input: with-azure-cloud", "nobody who asks there"}},
		} {
			_, err := call(c.who, verify...)
			require.Error(t, err, name)
			refused(t, err, c.words...)
		}
		_, err := p.call(dir, p.place(), "with-kms-key", "--uri", acmeKey, "app", "--name", "hello", "build", "scan", "publish", "sign", "reference")
		refused(t, err, "sign: bad input: signing key "+acmeKey, "nobody is named who signs in there", "with-azure")
		_, err = call(append(a.as(deliverer, a.requestToken), "with-kms-key", "--uri", acmeKey, "--credentials", "file:"+key), "signed", "--app", "hello", "--digest", reference[strings.Index(reference, "sha256:"):], "verify", "reference")
		refused(t, err, "is given credentials, authorities or a service")
	})
}

// On a laptop no job gives tokens, and az does, for each service one.
func TestAzureWhoIsSignedInByAzPlans(t *testing.T) {
	a, p := newAcme(t, 3600), shared
	file := filepath.Join(t.TempDir(), "token")
	give := func(services ...string) {
		t.Helper()
		text := ""
		for _, service := range services {
			text += fmt.Sprintf("{\n  \"accessToken\": %q,\n  \"tokenType\": \"Bearer\"\n}\n", a.token(service))
		}
		write(t, file, text)
	}
	options := slices.Concat(p.options(), p.terraform(t), []string{"--providers", azureProviders(t)})
	plan := func() (string, error) {
		return p.call(onAzure(t, nil), options, "with-azure", "--client-id", founder, "--tenant-id", acmeTenant, "--subscription-id", "00000000-0000-4000-8000-000000000002", "--token", "file:"+file,
			"with-azure-cloud", "--metadata-host", azure.MetadataHost, "--authorities", a.ca, "--proxy", strings.Replace(a.URL, "http://", "tcp://", 1),
			"infra", "--env", "dev", "plan", "changes")
	}
	give("https://"+azure.MetadataHost, "https://graph."+azure.Suffix, "https://vault."+azure.Suffix, "https://storage.azure.com")
	out, err := plan()
	require.NoError(t, err)
	assert.Equal(t, "true", strings.TrimSpace(out))
	give("https://vault." + azure.Suffix)
	_, err = plan()
	refused(t, err, "plan: ", "is not among those that are given")
}
