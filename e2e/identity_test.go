//go:build e2e

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sigstore is a stand-in for an organisation's Sigstore, on loopback.
type sigstore struct {
	address string // host:port
	root    string // trusted_root.json
}

const identityIssuer = "https://issuer.example.org"

// newSigstore compiles and starts one; it ends with the test.
func newSigstore(t *testing.T) *sigstore {
	t.Helper()
	s := &sigstore{}
	_, s.address = standIn(t, "modules/drill/sigstore", ".", func(dir string) []string {
		return []string{"serve", "--listen", "127.0.0.1:0", "--address", filepath.Join(dir, "address")}
	})
	response, err := http.Get("http://" + s.address + "/trusted_root.json")
	require.NoError(t, err)
	defer response.Body.Close()
	root, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, string(root))
	s.root = string(root)
	return s
}

// control says which of its services is down, if any, and how far its clocks are
// behind.
func (s *sigstore) control(t *testing.T, down, ago string) {
	t.Helper()
	response, err := http.PostForm("http://"+s.address+"/control", url.Values{"down": {down}, "ago": {ago}})
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
}

// signer signs as an e-mail address.
func (s *sigstore) signer(t *testing.T, email string) []string {
	t.Helper()
	response, err := http.Get("http://" + s.address + "/token?" + url.Values{"email": {email}, "issuer": {identityIssuer}}.Encode())
	require.NoError(t, err)
	defer response.Body.Close()
	token, err := os.Create(filepath.Join(t.TempDir(), "token"))
	require.NoError(t, err)
	_, err = token.ReadFrom(response.Body)
	require.NoError(t, err)
	require.NoError(t, token.Close())
	at := "http://" + s.address
	return []string{
		"with-identity", "--token", "file:" + token.Name(), "--fulcio", at + "/fulcio", "--rekor", at + "/rekor1", "--rekor-tiles", at + "/rekor2",
		"--service", "tcp://" + s.address,
	}
}

// job signs as the same, by a job that asks for a token with each signature. None of
// them is taken twice.
func (s *sigstore) job(t *testing.T, email string) []string {
	t.Helper()
	token := filepath.Join(t.TempDir(), "request-token")
	write(t, token, "job")
	by := s.signer(t, email)
	by[2] = "file:" + token
	return append(by, "with-identity-request", "--url", s.requests(email))
}

// requests is where a job of somebody asks for its tokens.
func (s *sigstore) requests(email string) string {
	return "http://" + s.address + "/job?" + url.Values{"email": {email}, "issuer": {identityIssuer}}.Encode()
}

const someID = "00000000-0000-4000-8000-0000000000a1"

// inAzure signs by a job that asks for its tokens where it asks for Azure's, too.
func (s *sigstore) inAzure(t *testing.T, email string) []string {
	t.Helper()
	by := s.signer(t, email)
	token := filepath.Join(t.TempDir(), "request-token")
	write(t, token, "job")
	return append(append(by[:1:1], by[3:]...), "with-azure", "--client-id", someID, "--tenant-id", someID, "--subscription-id", someID,
		"--request-url", s.requests(email), "--token", "file:"+token)
}

func TestEvidenceAnIdentitySignsForItsEnvironments(t *testing.T) {
	p, s := shared, newSigstore(t)
	const greeting = "apps/hello/greeting/greeting.go"
	text, hello := read(t, p.repo+"/slipway.yaml"), read(t, p.repo+"/"+greeting)
	for old, new := range map[string]string{
		"  publicKey: \"\"\n": "  identities:\n" +
			"    - {issuer: " + identityIssuer + ", subject: release@example.org, environments: [dev, staging, qa]}\n" +
			"    - {issuer: " + identityIssuer + ", subject: other@example.org, environments: [production]}\n" +
			"  trustedRoot: infra/trusted_root.json\n  certificateLogs: 0\n",
		"signing: {degraded: refuse}": "signing: {degraded: 1h}",
		"  production: {}\n":          "  production: {}\n  qa: {signing: {degraded: 1m}}\n",
	} {
		require.Contains(t, text, old)
		text = strings.Replace(text, old, new, 1)
	}
	dir := source(t, map[string]string{
		"slipway.yaml": text, "infra/trusted_root.json": s.root,
		// An image that no other test signs.
		greeting: strings.Replace(hello, "\t{language.Japanese,", "\t{language.Finnish, \"Hei\"},\n\t{language.Japanese,", 1),
	})
	options := p.place()
	call := func(args ...string) (string, error) {
		out, err := p.call(dir, options, args...)
		return strings.TrimSpace(out), err
	}
	sign := func(env string) (string, error) {
		return call(append(s.job(t, "release@example.org"), "app", "--name", "hello", "build", "scan", "publish", "sign", "--env", env, "reference")...)
	}
	reference, err := call("app", "--name", "hello", "build", "scan", "publish", "reference")
	require.NoError(t, err)
	verify := func(env string) error {
		passed, err := call("verify", "--reference", reference, "--env", env, "passed")
		if err == nil {
			assert.Equal(t, "true", passed)
		}
		return err
	}

	tokenless := s.inAzure(t, "release@example.org")
	tokenless = append(tokenless[:slices.Index(tokenless, "with-azure")], "app", "--name", "hello", "build", "scan", "publish", "sign", "--env", "staging", "reference")
	_, err = call(tokenless...)
	refused(t, err, "sign: bad input: signing identity: has no token", "mend: give with-identity --token, or with-azure")
	_, err = call(append(slices.Clone(tokenless[:slices.Index(tokenless, "app")]), "with-identity-request", "--url", s.requests("release@example.org"), "app", "--name", "hello", "build", "digest")...)
	refused(t, err, "config: bad input: with-identity-request: has no token to ask with", "mend: give with-identity the request token")

	s.control(t, "rekor2", "")
	_, err = sign("staging")
	refused(t, err, "sign: infrastructure", s.address+"/rekor2", "503")
	refused(t, verify("staging"), "verify: refused by policy: "+reference+": has no signature")

	s.control(t, "rekor2", "90s")
	_, err = sign("dev")
	require.NoError(t, err)
	require.NoError(t, verify("dev"))
	refused(t, verify("qa"), "has no valid signature", "its degraded signature is accepted until")
	refused(t, verify("staging"), "has no valid signature", s.address+"/rekor2), and none that is degraded is accepted")

	s.control(t, "", "")
	out, err := p.call(dir, append(options, p.terraform(t)...), append(s.inAzure(t, "release@example.org"), "deliver", "--app", "hello", "--env", "staging", "--older", "document")...)
	require.NoError(t, err)
	var released map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &released), out)
	assert.Equal(t, reference, released["image"].(map[string]any)["reference"])
	answered, err := call("verify", "--reference", reference, "--env", "staging", "answered")
	require.NoError(t, err)
	assert.Equal(t, "true", answered, "an identity's summary answers, too")
	_, digest, _ := strings.Cut(reference, "@")
	before := referrers(t, p, digest)
	_, err = sign("staging")
	require.NoError(t, err)
	assert.JSONEq(t, before, referrers(t, p, digest), "it finds its own signatures")

	t.Run("its receipt verifies offline", func(t *testing.T) {
		by := s.signer(t, "release@example.org")
		service := slices.Index(by, "--service")
		attestHealthy(t, p, released, slices.Concat([]string{"identity"}, by[1:service], []string{"with-service"}, by[service:],
			[]string{"--connect", s.address + "=sigstore:" + s.address[strings.Index(s.address, ":")+1:]})...)
		bundle := filepath.Join(t.TempDir(), "receipt.sigstore.json")
		_, err := call("receipt", "--app", "hello", "--env", "staging", "bundle", "export", "--path", bundle)
		require.NoError(t, err)
		verify := func(bundle string, more ...string) (string, error) {
			return p.call(dir, nil, append(append([]string{"receipt-verify", "--bundle", bundle}, more...), "checked")...)
		}
		out, err := verify(bundle, "--env", "staging", "--repository", p.remote(t))
		require.NoError(t, err)
		for _, line := range []string{`signature: by the identity "release@example.org" of issuer "` + identityIssuer + `", seen at `, "decision: sha256:", "evidence: this decision sha256:"} {
			assert.Contains(t, out, line)
		}
		_, err = verify(bundle)
		refused(t, err, "receipt: refused by policy: environment (none): has no identity that may sign for it")
		_, err = verify(bundle, "--env", "production")
		refused(t, err, "verify: refused by policy: bundle: is not trusted", "release@example.org")
		_, err = verify(bundle, "--env", "dev")
		refused(t, err, "receipt: refused by policy: environment dev: is not the receipt's, which is of staging")
		_, err = verify(changedBundle(t, bundle, `"health":"Healthy"`, `"health":"healthy"`), "--env", "staging")
		refused(t, err, "verify: refused by policy: bundle: is not trusted")
	})

	for _, env := range []string{"production", "dev"} {
		err := verify(env)
		if env == "dev" {
			require.NoError(t, err)
			continue
		}
		refused(t, err, "verify: refused by policy: "+reference+`: has no valid signature by identity "other@example.org"`, `signed by identity "release@example.org" of issuer "`+identityIssuer+`"`)
	}
	_, err = call("signed", "--app", "hello", "--digest", digest, "verify", "reference")
	refused(t, err, "verify: refused by policy: environment (none): has no identity that may sign for it")

	_, err = p.call(dir, p.options(), append(s.signer(t, "release@example.org"), "signed", "--app", "hello", "--digest", digest, "reference")...)
	refused(t, err, "config: bad input: signer: is given twice", "with-kms-key")
	_, err = p.call(dir, p.options(), "with-public-key", "--key", p.file("keys/cosign.pub"), "verify", "--reference", reference, "--env", "dev", "passed")
	refused(t, err, "public key: is given, and slipway.yaml says that identities sign")
}
