package program

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
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
