package azure

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/azure"
	"slipway/step/azure/azuretest"
)

const ids = `"clientId": "00000000-0000-4000-8000-00000000000a", "tenantId": "00000000-0000-4000-8000-00000000000b", "subscriptionId": "00000000-0000-4000-8000-00000000000c"`

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestEnvironmentsOfAnIdentity(t *testing.T) {
	common := map[string]string{
		"ARM_CLIENT_ID": "00000000-0000-4000-8000-00000000000a", "ARM_TENANT_ID": "00000000-0000-4000-8000-00000000000b",
		"ARM_SUBSCRIPTION_ID": "00000000-0000-4000-8000-00000000000c", "ARM_USE_OIDC": "true", "ARM_USE_AZUREAD": "true", "ARM_USE_CLI": "false", "ARM_USE_MSI": "false",
	}
	for name, c := range map[string]struct {
		more string
		want map[string]string
	}{
		"token":  {"", map[string]string{"ARM_OIDC_TOKEN": "correct-horse"}},
		"GitHub": {`, "requestUrl": "https://ci.example/token?api-version=2"`, map[string]string{"ARM_OIDC_REQUEST_URL": "https://ci.example/token?api-version=2", "ARM_OIDC_REQUEST_TOKEN": "correct-horse"}},
		"Azure DevOps": {`, "requestUrl": "https://ci.example/oidc", "serviceConnection": "00000000-0000-4000-8000-00000000000d"`, map[string]string{
			"ARM_OIDC_REQUEST_URL": "https://ci.example/oidc", "ARM_OIDC_REQUEST_TOKEN": "correct-horse", "ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID": "00000000-0000-4000-8000-00000000000d"}},
		"another cloud": {`, "metadataHost": "management.azure.test", "proxy": "http://azure:1"`, map[string]string{
			"ARM_OIDC_TOKEN": "correct-horse", "ARM_METADATA_HOSTNAME": "management.azure.test", "ARM_METADATA_HOST": "management.azure.test", "HTTPS_PROXY": "http://azure:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			want := maps.Clone(common)
			maps.Copy(want, c.want)
			env, stop, err := Env(azure.Access{Identity: "{" + ids + c.more + "}", Token: write(t, "correct-horse\n")}, "plan", t.TempDir())
			require.NoError(t, err)
			stop()
			assert.Equal(t, want, env)
		})
	}
	env, stop, err := Env(azure.Access{}, "plan", t.TempDir())
	require.NoError(t, err)
	stop()
	assert.Empty(t, env)
}

func TestAuthoritiesStandBesideTheUsual(t *testing.T) {
	usual := systemRoots
	t.Cleanup(func() { systemRoots = usual })
	systemRoots = write(t, "usual")
	identity, token := azuretest.Start(t).Identity()
	env, stop, err := Env(azure.Access{Identity: identity.String(), Token: token}, "plan", t.TempDir())
	require.NoError(t, err)
	t.Cleanup(stop)
	data, err := os.ReadFile(env["SSL_CERT_FILE"])
	require.NoError(t, err)
	assert.Equal(t, "usual\n"+identity.Authorities, string(data))
}

// Without the usual authorities there are those that were given; where they can't be
// read or kept, there is no environment.
func TestAuthoritiesThatAreNotThere(t *testing.T) {
	usual := systemRoots
	t.Cleanup(func() { systemRoots = usual })
	systemRoots = filepath.Join(t.TempDir(), "none")
	file, err := authorities("own", t.TempDir())
	require.NoError(t, err)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "\nown", string(data))
	_, err = authorities("own", filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	systemRoots = t.TempDir()
	file, err = authorities("own", t.TempDir())
	require.Error(t, err)
	assert.Empty(t, file)
	identity, token := azuretest.Start(t).Identity()
	_, stop, err := Env(azure.Access{Identity: identity.String(), Token: token}, "plan", t.TempDir())
	require.Error(t, err)
	stop()
}

func TestIdentitiesThatAreNoneAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ identity, token, reason string }{
		"a token alone":  {"", "t", "is missing, but its token is given"},
		"unknown key":    {"{" + ids + `, "clientSecret": "x"}`, "t", "unknown field"},
		"two tokens":     {"{" + ids + "}", "a b", "is not one token"},
		"az's and a URL": {"{" + ids + `, "requestUrl": "https://ci.example"}`, `{"accessToken": "x y"}`, "is not one token"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Env(azure.Access{Identity: c.identity, Token: write(t, c.token)}, "plan", t.TempDir())
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Contains(t, f.Reason, c.reason)
			assert.NotEmpty(t, f.Mend)
		})
	}
}

// Who is signed in by az has access tokens. Terraform's provider and backend ask for
// them as they would on a machine of Azure's.
func TestWhoIsSignedInByAzIsAskedOnLoopback(t *testing.T) {
	claims := func(audience string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"aud":%q,"tid":"00000000-0000-4000-8000-00000000000b","exp":%d}`, audience, time.Now().Add(time.Hour).Unix())) + ".c2ln"
	}
	manager := claims("https://management.azure.com")
	env, stop, err := Env(azure.Access{Identity: "{" + ids + "}", Token: write(t, `{"accessToken":"`+manager+`"}{"accessToken":"`+claims("https://vault.azure.net")+`"}`)}, "plan", t.TempDir())
	require.NoError(t, err)
	assert.Equal(t, "true false", env["ARM_USE_MSI"]+" "+env["ARM_USE_OIDC"])
	for name, value := range env {
		assert.NotContains(t, value, manager, name)
	}
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+/metadata/identity/oauth2/token$`, env["ARM_MSI_ENDPOINT"])
	ask := func(query, metadata string) (int, map[string]string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, env["ARM_MSI_ENDPOINT"]+query, nil)
		require.NoError(t, err)
		r.Header.Set("Metadata", metadata)
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer response.Body.Close()
		var answer map[string]string
		require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
		return response.StatusCode, answer
	}
	status, answer := ask("?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F", "true")
	assert.Equal(t, http.StatusOK, status)
	left, err := strconv.Atoi(answer["expires_in"])
	require.NoError(t, err)
	until, err := strconv.ParseInt(answer["expires_on"], 10, 64)
	require.NoError(t, err)
	assert.Less(t, time.Now().Unix(), until)
	assert.LessOrEqual(t, left, 3600)
	assert.Equal(t, map[string]string{
		"access_token": manager, "token_type": "Bearer", "resource": "https://management.azure.com/", "expires_in": answer["expires_in"], "expires_on": answer["expires_on"],
	}, answer)
	for query, c := range map[string]struct{ metadata, told string }{
		"?resource=https://management.azure.com":  {"", "invalid_request"},
		"?resource=https://management.azure.com#": {"false", "invalid_request"},
		"": {"true", "invalid_request"},
		"/?resource=https://management.azure.com": {"true", "invalid_request"},
		"?resource=https://storage.azure.com/":    {"true", "invalid_resource"},
	} {
		status, answer := ask(query, c.metadata)
		assert.Equal(t, http.StatusBadRequest, status, query)
		assert.Equal(t, c.told, answer["error"], query)
		assert.Equal(t, c.told == "invalid_resource", strings.Contains(answer["error_description"], "https://storage.azure.com"), query)
		assert.Empty(t, answer["access_token"], query)
	}
	posted, err := http.Post(env["ARM_MSI_ENDPOINT"]+"?resource=https://management.azure.com", "", nil)
	require.NoError(t, err)
	posted.Body.Close()
	assert.Equal(t, http.StatusBadRequest, posted.StatusCode)
	stop()
	res, err := http.Get(env["ARM_MSI_ENDPOINT"])
	if err == nil {
		res.Body.Close()
	}
	assert.Error(t, err, "it ends with the run")
}
