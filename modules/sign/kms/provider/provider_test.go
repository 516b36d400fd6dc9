package provider_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sign/kms/provider"
	"slipway/sign/kms/vaulttest"
	"slipway/sign/step/bundle"
	"slipway/step"
)

const token = "hvs.a-token-for-tests"

var digest = "sha256:" + strings.Repeat("ab", 32)

// vault is a stand-in on loopback.
type vault struct {
	*vaulttest.Vault
	server *httptest.Server
}

func newVault(t *testing.T, key crypto.Signer) *vault {
	t.Helper()
	v := &vault{Vault: &vaulttest.Vault{Key: key, Token: token}}
	v.server = httptest.NewServer(v)
	t.Cleanup(v.server.Close)
	return v
}

// environment gives the variables that Open sets back after the test.
func environment(t *testing.T) {
	t.Helper()
	for _, name := range []string{"VAULT_ADDR", "VAULT_TOKEN", "VAULT_MAX_RETRIES", "GOOGLE_APPLICATION_CREDENTIALS"} {
		t.Setenv(name, "")
		require.NoError(t, os.Unsetenv(name))
	}
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credentials")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (v *vault) credentials(t *testing.T, token string) string {
	t.Helper()
	return file(t, "# of the tests' Vault\nVAULT_ADDR="+v.server.URL+"\nVAULT_TOKEN="+token+"\nVAULT_MAX_RETRIES=0\n")
}

func fault(t *testing.T, err error, kind step.Kind) *step.Fault {
	t.Helper()
	f, ok := step.AsFault(err)
	require.True(t, ok, "want a fault, got %v", err)
	assert.Equal(t, kind, f.Kind, f.Error())
	assert.Equal(t, "sign", f.Stage)
	assert.NotEmpty(t, f.Mend)
	assert.NotContains(t, f.Error(), "hvs.")
	if f.Unwrap() != nil {
		assert.NotContains(t, f.Unwrap().Error(), "hvs.")
	}
	return f
}

func statement(t *testing.T) *bundle.Statement {
	t.Helper()
	made, err := bundle.NewStatement(digest, bundle.SignPredicateType, nil, map[string]string{"app": "hello"})
	require.NoError(t, err)
	return made
}

func p256(t *testing.T) crypto.Signer {
	t.Helper()
	made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return made
}

func TestAKeyInVaultSigns(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for name, key := range map[string]crypto.Signer{"P-256": p256(t), "P-384": p384, "RSA": rsa2048, "Ed25519": ed} {
		t.Run(name, func(t *testing.T) {
			environment(t)
			v := newVault(t, key)
			pair, err := provider.Open(context.Background(), "sign", "hashivault://release", v.credentials(t, token))
			require.NoError(t, err)
			assert.Zero(t, v.Signed.Load(), "opening signs nothing")
			made, err := bundle.SignKey(pair).Make(context.Background(), statement(t), digest)
			require.NoError(t, err)
			assert.EqualValues(t, 1, v.Signed.Load())
			assert.Equal(t, pair.Public().Hint(), made.Signer.KeyHint)
			assert.NotContains(t, string(made.Data), token)

			verified, err := bundle.TrustKey(pair.Public()).Verify(made.Data, digest)
			require.NoError(t, err)
			assert.Equal(t, map[string]string{"app": "hello"}, verified.Statement.Claims(digest))
			_, err = bundle.TrustKey(pair.Public()).Verify(made.Data, "sha256:"+strings.Repeat("cd", 32))
			assert.ErrorIs(t, err, bundle.ErrUntrusted)
		})
	}
}

// What the service returns is verified before it is handed on.
func TestASignatureOfSomethingElseIsRefused(t *testing.T) {
	environment(t)
	v := newVault(t, p256(t))
	pair, err := provider.Open(context.Background(), "sign", "hashivault://release", v.credentials(t, token))
	require.NoError(t, err)
	v.Forge = true
	made, err := bundle.SignKey(pair).Make(context.Background(), statement(t), digest)
	require.Error(t, err)
	assert.Nil(t, made)
}

func TestAVaultThatFailsIsAnInfrastructureFault(t *testing.T) {
	environment(t)
	v := newVault(t, p256(t))
	open := func(uri, token string) error {
		_, err := provider.Open(context.Background(), "sign", uri, v.credentials(t, token))
		return err
	}
	f := fault(t, open("hashivault://release", "hvs.another-token"), step.KindInfrastructure)
	assert.Contains(t, f.Reason, "permission denied")
	f = fault(t, open("hashivault://other", token), step.KindInfrastructure)
	assert.Contains(t, f.Input, "hashivault://other")

	pair, err := provider.Open(context.Background(), "sign", "hashivault://release", v.credentials(t, token))
	require.NoError(t, err)
	v.server.Close()
	_, err = bundle.SignKey(pair).Make(context.Background(), statement(t), digest)
	f = fault(t, err, step.KindInfrastructure)
	assert.Contains(t, f.Reason, "does not sign")
	_ = fault(t, open("hashivault://release", token), step.KindInfrastructure)
}

func TestOpenRefusesItsInput(t *testing.T) {
	for name, c := range map[string]struct{ uri, credentials, input, reason string }{
		"no URI":            {"", "", "key URI", "names no key"},
		"no key":            {"hashivault://", "", "key URI", "names no key"},
		"unknown service":   {"otherkms://release", "", "key URI", "names no key"},
		"a file":            {"/keys/cosign.key", "", "key URI", "names no key"},
		"two words":         {"awskms:///alias/a b", "", "key URI", "names no key"},
		"no credentials":    {"hashivault://release", "", "credentials", "VAULT_ADDR is missing"},
		"no token":          {"hashivault://release", "VAULT_ADDR=https://vault.example.org", "credentials", "VAULT_TOKEN is missing"},
		"plain HTTP":        {"hashivault://release", "VAULT_ADDR=http://vault.example.org\nVAULT_TOKEN=" + token, "VAULT_ADDR", "without TLS"},
		"not a URL":         {"hashivault://release", "VAULT_ADDR=vault\nVAULT_TOKEN=" + token, "VAULT_ADDR", "is not the URL"},
		"foreign variable":  {"hashivault://release", "PATH=/tmp", ":1", "is no NAME=VALUE"},
		"another service's": {"awskms:///alias/release", "# AWS\nVAULT_TOKEN=" + token, ":2", "begins with AWS_"},
		"no line":           {"awskms:///alias/release", token, ":1", "is no NAME=VALUE"},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t)
			credentials := ""
			if c.credentials != "" {
				credentials = file(t, c.credentials)
			}
			_, err := provider.Open(context.Background(), "sign", c.uri, credentials)
			f := fault(t, err, step.KindInput)
			assert.Contains(t, f.Input, c.input)
			assert.Contains(t, f.Reason, c.reason)
		})
	}
	environment(t)
	_, err := provider.Open(context.Background(), "sign", "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k", filepath.Join(t.TempDir(), "none"))
	assert.Contains(t, fault(t, err, step.KindInput).Reason, "can't be read")
}

// The clients of all services are compiled in: a URI that names no key is refused
// by its service's own rule, before any request.
func TestEveryServiceKnowsItsURIs(t *testing.T) {
	environment(t)
	for uri, form := range map[string]string{
		"awskms:///not-an-id":     "awskms:///arn:aws:kms:REGION:ACCOUNT:key/ID",
		"gcpkms://projects/only":  "gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K/versions/V",
		"hashivault://re/lea/se!": "hashivault://KEY",
	} {
		_, err := provider.Open(context.Background(), "sign", uri, "")
		f := fault(t, err, step.KindInput)
		assert.Equal(t, "names no key of this service", f.Reason, uri)
		assert.Equal(t, "give it as "+form, f.Mend)
	}
}
