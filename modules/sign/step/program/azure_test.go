package program

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	fake "github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/azure/azuretest"
)

func TestAnIdentityOfAzureSignsAndVerifiesInItsRegistry(t *testing.T) {
	a, denied := azuretest.Start(t), ""
	inner := fake.New(fake.Logger(log.New(io.Discard, "", 0)))
	a.Hosts[azuretest.Registry] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == denied {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		inner.ServeHTTP(w, r)
	})
	open := httptest.NewServer(inner)
	t.Cleanup(open.Close)
	reference := strings.Replace(image(t, strings.TrimPrefix(open.URL, "http://")), "localhost:5000", azuretest.Registry, 1)
	private, public, secret := keys(t)
	identity, token := a.Identity()
	access := []string{"--reference", reference, "--username", identity.String(), "--registry-password-file", token}
	sign := append([]string{"sign", "--key-file", private, "--password-file", secret}, access...)

	denied = http.MethodPost
	f := fault(t, run(t, nil, sign...))
	assert.Equal(t, step.KindInput, f.Kind)
	assert.Contains(t, f.Mend, "Container Registry Repository Writer")

	denied = ""
	require.NoError(t, run(t, nil, sign...))
	require.NoError(t, run(t, nil, append([]string{"verify", "--public-key", public}, access...)...))

	a.Refuse["jobs.azure.test"] = http.StatusUnauthorized
	f = fault(t, run(t, nil, append([]string{"verify", "--public-key", public}, access...)...))
	assert.Equal(t, step.KindInput, f.Kind)
	assert.Contains(t, f.Mend, "id-token: write")
	for _, token := range append(a.Tokens(), azuretest.RequestToken) {
		assert.NotContains(t, f.Error(), token)
	}
}

func TestAKeyInAVaultSigns(t *testing.T) {
	eachRegistry(t, func(t *testing.T, address string) {
		a := azuretest.Start(t)
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		forge := false
		a.Hosts[azuretest.Vault] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			const kid = "https://" + azuretest.Vault + "/keys/release/0123456789abcdef0123456789abcdef"
			b64 := base64.RawURLEncoding.EncodeToString
			var asked struct{ Value string }
			if r.Method == http.MethodGet {
				_ = json.NewEncoder(w).Encode(map[string]any{"attributes": map[string]any{"enabled": true}, "key": map[string]any{
					"kid": kid, "kty": "EC", "crv": "P-256", "key_ops": []string{"sign"}, "x": b64(private.X.Bytes()), "y": b64(private.Y.Bytes()),
				}})
				return
			}
			_ = json.NewDecoder(r.Body).Decode(&asked)
			digest, _ := base64.RawURLEncoding.DecodeString(asked.Value)
			if forge {
				digest[0]++
			}
			x, y, _ := ecdsa.Sign(rand.Reader, private, digest)
			made := make([]byte, 64)
			x.FillBytes(made[:32])
			y.FillBytes(made[32:])
			_ = json.NewEncoder(w).Encode(map[string]string{"value": b64(made)})
		})
		identity, token := a.Identity()
		vault := []string{"--key-uri", "azurekms://" + azuretest.Vault + "/release", "--azure", identity.String(), "--azure-token-file", token}
		access := []string{"--reference", image(t, address), "--connect", "localhost:5000=" + address}
		sign := append(append([]string{"sign"}, vault...), access...)

		forge = true
		require.Error(t, run(t, nil, sign...), "what comes back is verified")
		forge = false
		require.NoError(t, run(t, nil, sign...))
		out := t.TempDir()
		require.NoError(t, runInto(t, out, nil, append([]string{"public-key"}, vault...)...))
		require.NoError(t, run(t, nil, append([]string{"verify", "--public-key", filepath.Join(out, "cosign.pub")}, access...)...))

		f := fault(t, run(t, nil, append([]string{"sign", "--key-uri", vault[1]}, access...)...))
		assert.Equal(t, "is in Azure, and nobody is named who signs in there", f.Reason)
		f = fault(t, run(t, nil, append(sign, "--kms-credentials-file", token)...))
		assert.Contains(t, f.Reason, "where an identity signs")
		f = fault(t, run(t, nil, append(sign, "--key-file", token)...))
		assert.Contains(t, f.Reason, "is given beside")
		a.Refuse[azuretest.Vault] = http.StatusForbidden
		f = fault(t, run(t, nil, sign...))
		assert.Contains(t, f.Mend, "Key Vault Crypto User")
	})
}
