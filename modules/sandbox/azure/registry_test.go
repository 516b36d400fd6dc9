package azure

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const acr = "https://acme.azurecr.azure.test"

// withRegistry is a stand-in with a registry that keeps its content elsewhere.
func withRegistry(t *testing.T) *cloud {
	t.Helper()
	c := start(t)
	backing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "images" || password != "hush" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Method == http.MethodPost {
			w.Header().Set("Location", "http://elsewhere.example:5000"+r.URL.Path+"42?state=x")
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(backing.Close)
	c.setup.Registries, c.setup.Registry = []string{"acme"}, Backing{URL: backing.URL, Username: "images", Password: "hush"}
	for i := range c.setup.Identities {
		role := map[string]string{owner: "Container Registry Repository Writer", reader: "Container Registry Repository Reader"}[c.setup.Identities[i].ClientID]
		c.setup.Identities[i].Roles = append(c.setup.Identities[i].Roles, role)
	}
	return c
}

func (c *cloud) signIn(entra string, change url.Values) (int, string) {
	form := url.Values{"grant_type": {"access_token"}, "service": {"acme.azurecr.azure.test"}, "tenant": {tenant}, "access_token": {entra}}
	for name, value := range change {
		form[name] = value
	}
	status, value := c.ask(http.MethodPost, acr+"/oauth2/exchange", "", form)
	token, _ := value["refresh_token"].(string)
	return status, token
}

func (c *cloud) access(refresh, scope string) (int, string) {
	status, value := c.ask(http.MethodPost, acr+"/oauth2/token", "", url.Values{
		"grant_type": {"refresh_token"}, "service": {"acme.azurecr.azure.test"}, "scope": {scope}, "refresh_token": {refresh},
	})
	token, _ := value["access_token"].(string)
	return status, token
}

func TestARegistryExchangesItsOwnTokensOnly(t *testing.T) {
	c := withRegistry(t)
	good := c.token(owner, registryAudience+"/.default")
	status, refresh := c.signIn(good, nil)
	require.Equal(t, http.StatusOK, status)
	guest, err := c.signer.sign(claims{Audience: registryAudience, Tenant: "other", ObjectID: "b", Expires: time.Now().Add(time.Hour).Unix()})
	require.NoError(t, err)
	for name, r := range map[string]struct {
		token  string
		change url.Values
		status int
	}{
		"another audience": {c.management(owner), nil, http.StatusUnauthorized},
		"another tenant's": {guest, nil, http.StatusUnauthorized},
		"another tenant":   {good, url.Values{"tenant": {"other"}}, http.StatusUnauthorized},
		"another registry": {good, url.Values{"service": {"other.azurecr.azure.test"}}, http.StatusBadRequest},
		"another grant":    {good, url.Values{"grant_type": {"password"}}, http.StatusBadRequest},
		"no token":         {"x", nil, http.StatusUnauthorized},
		"its own refresh":  {refresh, nil, http.StatusUnauthorized},
	} {
		status, _ := c.signIn(r.token, r.change)
		assert.Equal(t, r.status, status, name)
	}
	status, _ = c.ask(http.MethodPost, "https://other.azurecr.azure.test/oauth2/exchange", "", url.Values{})
	assert.Equal(t, http.StatusNotFound, status)
	status, access := c.access(refresh, "repository:apps/hello:pull")
	require.Equal(t, http.StatusOK, status)
	status, _ = c.access(access, "repository:apps/hello:pull")
	assert.Equal(t, http.StatusUnauthorized, status, "an access token gives no other")
	status, _ = c.access(good, "repository:apps/hello:pull")
	assert.Equal(t, http.StatusUnauthorized, status, "nor does Entra's")

	c.Advance(2 * time.Hour)
	status, _ = c.signIn(good, nil)
	assert.Equal(t, http.StatusUnauthorized, status, "too old")
	status, _ = c.access(refresh, "repository:apps/hello:pull")
	assert.Equal(t, http.StatusUnauthorized, status, "too old")
	status, _ = c.ask(http.MethodGet, acr+"/v2/apps/hello/manifests/1", access, nil)
	assert.Equal(t, http.StatusUnauthorized, status, "too old")
}

func TestARegistryLooksAtRolesForEachRepository(t *testing.T) {
	c := withRegistry(t)
	may := func(client, scope, method, path string) int {
		t.Helper()
		_, refresh := c.signIn(c.token(client, registryAudience+"/.default"), nil)
		_, access := c.access(refresh, scope)
		status, _ := c.ask(method, acr+path, access, nil)
		return status
	}
	const pull, push = "repository:apps/hello:pull", "repository:apps/hello:push,pull"
	assert.Equal(t, http.StatusAccepted, may(owner, push, http.MethodPost, "/v2/apps/hello/blobs/uploads/"))
	assert.Equal(t, http.StatusOK, may(owner, pull, http.MethodGet, "/v2/apps/hello/manifests/1"))
	assert.Equal(t, http.StatusOK, may(reader, push, http.MethodGet, "/v2/apps/hello/manifests/1"))
	assert.Equal(t, http.StatusForbidden, may(reader, push, http.MethodPost, "/v2/apps/hello/blobs/uploads/"), "a reader does not write")
	assert.Equal(t, http.StatusForbidden, may(owner, pull, http.MethodPost, "/v2/apps/hello/blobs/uploads/"), "nor does who asked for less")
	assert.Equal(t, http.StatusForbidden, may(owner, push, http.MethodGet, "/v2/apps/other/manifests/1"), "what was not asked for")
	assert.Equal(t, http.StatusForbidden, may(owner, push, http.MethodGet, "/v2/_catalog"))
	status, _ := c.ask(http.MethodGet, acr+"/v2/", "", nil)
	assert.Equal(t, http.StatusUnauthorized, status)

	t.Run("an upload goes on at the registry's own host", func(t *testing.T) {
		_, refresh := c.signIn(c.token(owner, registryAudience+"/.default"), nil)
		_, access := c.access(refresh, push)
		req, err := http.NewRequest(http.MethodPost, acr+"/v2/apps/hello/blobs/uploads/", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+access)
		res, err := c.client.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		assert.Equal(t, acr+"/v2/apps/hello/blobs/uploads/42?state=x", res.Header.Get("Location"))
	})

	t.Run("a role with a condition is for its repositories", func(t *testing.T) {
		token := c.management(owner)
		c.ask(http.MethodPut, at+group+version, token, map[string]any{"location": "x"})
		identity := group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
		_, made := c.ask(http.MethodPut, at+identity+"?api-version=2024-11-30", token, map[string]any{"location": "x"})
		client, object := lookup(made, "properties.clientId").(string), lookup(made, "properties.principalId").(string)
		c.ask(http.MethodPut, at+identity+"/federatedIdentityCredentials/f?api-version=2024-11-30", token, map[string]any{"properties": map[string]any{"issuer": "https://issuer.test", "subject": "job", "audiences": []string{exchangeAudience}}})
		status, value := c.ask(http.MethodPut, at+subscription+"/providers/Microsoft.Authorization/roleAssignments/"+derived("1")+"?api-version=2022-04-01", token, map[string]any{"properties": map[string]any{
			"roleDefinitionId": "/x/" + roles["Container Registry Repository Writer"].id, "principalId": object, "conditionVersion": "2.0",
			"condition": "(@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringStartsWithIgnoreCase 'apps/')",
		}})
		require.Equal(t, http.StatusCreated, status, value)
		assert.Equal(t, http.StatusAccepted, may(client, push, http.MethodPost, "/v2/apps/hello/blobs/uploads/"))
		other := strings.ReplaceAll(push, "apps/", "slipway/")
		assert.Equal(t, http.StatusForbidden, may(client, other, http.MethodPost, "/v2/slipway/hello/blobs/uploads/"))
	})
}
