package azure

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	client "slipway/step/azure"
	"slipway/step/oidc"
	"slipway/step/steptest"
)

// as is the pipeline's own credential of an identity on the stand-in.
func (c *cloud) as(id, requestToken string, source oidc.Source) *client.Credential {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "token")
	require.NoError(c.t, os.WriteFile(file, []byte(requestToken), 0o600))
	credential, err := client.Open("sign", client.Identity{
		ClientID: id, TenantID: tenant, SubscriptionID: c.setup.Subscription, Source: source,
		MetadataHost: MetadataHost, Authorities: string(c.CA), Proxy: c.URL,
	}.String(), file)
	require.NoError(c.t, err)
	credential.Now = func() time.Time {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.now()
	}
	return credential
}

var github = oidc.Source{RequestURL: "https://github.azure.test/token?api-version=2.0"}

// The pipeline's client and the stand-in have nothing in common but Azure's documents.
func TestThePipelinesOwnClientIsTaken(t *testing.T) {
	c := withRegistry(t)
	c.setup.TokenSeconds = 20
	c.setup.Pipelines[1].ServiceConnection = "00000000-0000-4000-8000-0000000000dc"
	devops := oidc.Source{RequestURL: "https://devops.azure.test/oidctoken", ServiceConnection: c.setup.Pipelines[1].ServiceConnection}
	for name, credential := range map[string]*client.Credential{"GitHub": c.as(owner, "asks", github), "Azure DevOps": c.as(owner, "ado", devops), "a token": c.as(owner, c.assertion(exchangeAudience), oidc.Source{})} {
		t.Run(name, func(t *testing.T) {
			user, password, err := credential.Password(t.Context(), "acme.azurecr.azure.test")
			require.NoError(t, err)
			assert.Equal(t, registryUser, user)
			status, _ := c.access(password, "repository:apps/hello:pull")
			assert.Equal(t, http.StatusOK, status)
			token, err := credential.Token(t.Context(), client.Kubernetes)
			require.NoError(t, err)
			read, err := c.signer.verify(token.Value)
			require.NoError(t, err)
			assert.Equal(t, clusterAudience, read.Audience)
			assert.Equal(t, tenant, read.Tenant)
			assert.Equal(t, read.Expires, token.Expires.Unix())
		})
	}
}

func TestAVaultSignsForThePipeline(t *testing.T) {
	c := start(t)
	c.setup.TokenSeconds = 20
	c.setup.Identities[0].Roles = append(c.setup.Identities[0].Roles, "Key Vault Crypto User")
	token := c.management(owner)
	c.ask(http.MethodPut, at+group+version, token, map[string]any{"location": "x"})
	c.ask(http.MethodPut, at+group+"/providers/Microsoft.KeyVault/vaults/acme?api-version=2026-02-01", token, map[string]any{"location": "x", "properties": map[string]any{"tenantId": tenant, "sku": map[string]any{"name": "standard", "family": "A"}}})
	create := func(ops ...string) {
		t.Helper()
		status, value := c.ask(http.MethodPost, "https://acme.vault.azure.test/keys/release/create?api-version=7.4", c.token(owner, "https://vault.azure.test/.default"), map[string]any{"kty": "EC", "crv": "P-256", "key_ops": ops})
		require.Equal(t, http.StatusOK, status, value)
	}
	create("sign", "verify")
	const uri = "azurekms://acme.vault.azure.test/release"
	key, err := c.as(owner, "asks", github).Key(t.Context(), uri)
	require.NoError(t, err)
	digest := sha256.Sum256([]byte("release"))
	for range 3 {
		signature, err := key.Sign(t.Context(), digest[:], crypto.SHA256)
		require.NoError(t, err)
		assert.True(t, ecdsa.VerifyASN1(key.Public.(*ecdsa.PublicKey), digest[:], signature))
		// It outlives the token, and the key's rotation.
		c.Advance(time.Minute)
		create("sign", "verify")
	}
	newest, err := c.as(owner, "asks", github).Key(t.Context(), uri)
	require.NoError(t, err)
	assert.NotEqual(t, key.Public, newest.Public)

	for name, try := range map[string]func() error{
		"who may only read": func() error {
			read, err := c.as(reader, "asks", github).Key(t.Context(), uri)
			require.NoError(t, err)
			_, err = read.Sign(t.Context(), digest[:], crypto.SHA256)
			return err
		},
		"another hash": func() error { _, err := newest.Sign(t.Context(), make([]byte, 64), crypto.SHA512); return err },
		"no version": func() error {
			_, err := c.as(owner, "asks", github).Key(t.Context(), uri+"/00000000000000000000000000000000")
			return err
		},
		"no vault": func() error {
			_, err := c.as(owner, "asks", github).Key(t.Context(), "azurekms://other.vault.azure.test/release")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, step.KindInput, steptest.Refused(t, try()).Kind) })
	}
	create("verify")
	_, err = c.as(owner, "asks", github).Key(t.Context(), uri)
	assert.Equal(t, "is not for signing", steptest.Refused(t, err).Reason)
	for name, credential := range map[string]*client.Credential{"another job": c.as(owner, "guess", github), "nobody": c.as("00000000-0000-4000-8000-0000000000ff", "asks", github)} {
		_, err := credential.Token(t.Context(), client.Kubernetes)
		assert.Equal(t, step.KindInput, steptest.Refused(t, err).Kind, name)
	}
}
