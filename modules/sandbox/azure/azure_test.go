package azure

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	tenant       = "00000000-0000-4000-8000-000000000001"
	subscription = "/subscriptions/00000000-0000-4000-8000-000000000002"
	owner        = "00000000-0000-4000-8000-0000000000a1"
	reader       = "00000000-0000-4000-8000-0000000000a2"
)

// cloud is a stand-in with a client that reaches it as Terraform does.
type cloud struct {
	*Server
	t      *testing.T
	client *http.Client
}

func start(t *testing.T) *cloud {
	t.Helper()
	job := Federated{"https://issuer.test", "job"}
	s, err := Start("127.0.0.1:0", Setup{
		Tenant: tenant, Subscription: strings.TrimPrefix(subscription, "/subscriptions/"),
		Identities: []Identity{
			{ClientID: owner, ObjectID: "00000000-0000-4000-8000-0000000000b1", Roles: []string{"Owner", "Key Vault Crypto Officer"}, Federated: []Federated{job}},
			{ClientID: reader, ObjectID: "00000000-0000-4000-8000-0000000000b2", Roles: []string{"Reader", "Key Vault Reader"}, Federated: []Federated{job}},
		},
		Pipelines: []Pipeline{{RequestToken: "asks", Federated: job}, {RequestToken: "ado", Federated: job, ServiceConnection: "sc"}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	proxy, err := url.Parse(s.URL)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(s.CA))
	return &cloud{s, t, &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}}}
}

// ask sends a request and returns its status and JSON answer.
func (c *cloud) ask(method, address, token string, body any) (int, map[string]any) {
	c.t.Helper()
	var sent io.Reader
	contentType := "application/json"
	switch body := body.(type) {
	case url.Values:
		sent, contentType = strings.NewReader(body.Encode()), "application/x-www-form-urlencoded"
	case nil:
	default:
		data, err := json.Marshal(body)
		require.NoError(c.t, err)
		sent = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, address, sent)
	require.NoError(c.t, err)
	req.Header.Set("Content-Type", contentType)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.client.Do(req)
	require.NoError(c.t, err)
	defer res.Body.Close()
	var value map[string]any
	data, err := io.ReadAll(res.Body)
	require.NoError(c.t, err)
	if len(data) > 0 {
		require.NoError(c.t, json.Unmarshal(data, &value), string(data))
	}
	return res.StatusCode, value
}

func (c *cloud) assertion(audience string) string {
	c.t.Helper()
	status, value := c.ask(http.MethodGet, "https://github.azure.test/token?audience="+url.QueryEscape(audience), "asks", nil)
	require.Equal(c.t, http.StatusOK, status)
	return value["value"].(string)
}

func (c *cloud) exchange(tenant, client, assertion, scope string) (int, map[string]any) {
	return c.ask(http.MethodPost, "https://login.azure.test/"+tenant+"/oauth2/v2.0/token", "", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {client}, "scope": {scope}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	})
}

func (c *cloud) token(client, scope string) string {
	c.t.Helper()
	status, value := c.exchange(tenant, client, c.assertion(exchangeAudience), scope)
	require.Equal(c.t, http.StatusOK, status, value)
	return value["access_token"].(string)
}

func (c *cloud) management(client string) string {
	return c.token(client, "https://management.azure.test/.default")
}

func code(value map[string]any) string { text, _ := lookup(value, "error.code").(string); return text }

const (
	group   = subscription + "/resourceGroups/g"
	at      = "https://management.azure.test"
	version = "?api-version=2023-07-01"
)

func TestItSaysWhatItIsAndAnswersForNobodyElse(t *testing.T) {
	c := start(t)
	res, err := http.Get(c.URL)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	assert.Contains(t, string(text), "stand-in for Azure: it stores what it is told and creates nothing")
	for _, host := range []string{"management.azure.com", "example.org", "azure.test.example.org", "localhost"} {
		res, err := c.client.Get("https://" + host + "/")
		if err == nil {
			res.Body.Close()
		}
		assert.ErrorContains(t, err, "Forbidden", host)
	}
	status, value := c.ask(http.MethodGet, "https://other.azure.test/", "", nil)
	assert.Equal(t, http.StatusNotFound, status)
	assert.Contains(t, lookup(value, "error.message"), "not a part of the stand-in")
}

func TestEntraGivesTokensToWhomIsTrustedOnly(t *testing.T) {
	c := start(t)
	const scope = "https://management.azure.test/.default"
	good := c.assertion(exchangeAudience)
	forged, err := newSigner()
	require.NoError(t, err)
	claimed := claims{Issuer: "https://issuer.test", Subject: "job", Audience: exchangeAudience, Expires: time.Now().Add(time.Hour).Unix()}
	byOthers, err := forged.sign(claimed)
	require.NoError(t, err)
	claimed.Subject = "another"
	another, err := c.signer.sign(claimed)
	require.NoError(t, err)
	claimed.Subject, claimed.Expires = "job", time.Now().Add(-time.Second).Unix()
	old, err := c.signer.sign(claimed)
	require.NoError(t, err)
	for name, r := range map[string]struct{ tenant, client, assertion, scope, code string }{
		"tenant":     {"other", owner, good, scope, "AADSTS90002"},
		"client":     {tenant, "nobody", good, scope, "AADSTS700016"},
		"no client":  {tenant, "", good, scope, "AADSTS700016"},
		"audience":   {tenant, owner, c.assertion("api://other"), scope, "AADSTS700212"},
		"subject":    {tenant, owner, another, scope, "AADSTS700213"},
		"signature":  {tenant, owner, byOthers, scope, "AADSTS50027"},
		"no JWT":     {tenant, owner, "x", scope, "AADSTS50027"},
		"too old":    {tenant, owner, old, scope, "AADSTS700024"},
		"no service": {tenant, owner, good, "https://other.example/.default", "AADSTS500011"},
	} {
		status, value := c.exchange(r.tenant, r.client, r.assertion, r.scope)
		assert.Equal(t, http.StatusBadRequest, status, name)
		assert.Contains(t, value["error_description"], r.code+":", name)
	}
	status, _ := c.ask(http.MethodGet, "https://github.azure.test/token", "guess", nil)
	assert.Equal(t, http.StatusUnauthorized, status)
	status, _ = c.ask(http.MethodPost, "https://devops.azure.test/x?api-version=7.1&serviceConnectionId=other", "ado", nil)
	assert.Equal(t, http.StatusUnauthorized, status)
	status, value := c.ask(http.MethodPost, "https://devops.azure.test/x?api-version=7.1&serviceConnectionId=sc&audience=a", "ado", nil)
	assert.Equal(t, http.StatusOK, status)
	assert.NotEmpty(t, value["oidcToken"])
}

func TestResourceManagerTakesItsOwnTokensOnly(t *testing.T) {
	c := start(t)
	get := func(token string) (int, string) {
		status, value := c.ask(http.MethodGet, at+group+version, token, nil)
		return status, code(value)
	}
	good := c.management(owner)
	guest, err := c.signer.sign(claims{Audience: managementAudience, Tenant: "other", ObjectID: "00000000-0000-4000-8000-0000000000b1", Expires: time.Now().Add(time.Hour).Unix()})
	require.NoError(t, err)
	for token, want := range map[string]string{
		guest:                           "InvalidAuthenticationTokenTenant",
		"":                              "AuthenticationFailed",
		"x":                             "InvalidAuthenticationToken",
		good[:len(good)-8] + "AAAAAAAA": "InvalidAuthenticationToken",
		c.token(owner, "https://vault.azure.test/.default"): "InvalidAuthenticationTokenAudience",
	} {
		status, got := get(token)
		assert.Equal(t, http.StatusUnauthorized, status, want)
		assert.Equal(t, want, got)
	}
	status, got := get(good)
	assert.Equal(t, http.StatusNotFound, status)
	assert.Equal(t, "ResourceGroupNotFound", got)
	c.Advance(2 * time.Hour)
	_, got = get(good)
	assert.Equal(t, "ExpiredAuthenticationToken", got)
}

func TestResourceManagerIsStrict(t *testing.T) {
	c := start(t)
	token := c.management(owner)
	put := func(path string, body any) (int, map[string]any) { return c.ask(http.MethodPut, at+path, token, body) }
	const vault = group + "/providers/Microsoft.KeyVault/vaults/acme"
	status, value := put(vault+"?api-version=2026-02-01", map[string]any{"location": "x"})
	assert.Equal(t, "ResourceGroupNotFound", code(value), status)
	status, value = put(group+version, map[string]any{"location": "westeurope"})
	require.Equal(t, http.StatusCreated, status, value)
	status, _ = put(group+version, map[string]any{"location": "westeurope", "tags": map[string]string{"a": "b"}})
	assert.Equal(t, http.StatusOK, status, "the second time it is there")
	whole := map[string]any{"location": "westeurope", "properties": map[string]any{"tenantId": tenant, "sku": map[string]any{"name": "standard", "family": "A"}, "enablePurgeProtection": true}}
	for name, r := range map[string]struct {
		path string
		body any
		code string
	}{
		"no version":       {vault, whole, "MissingApiVersionParameter"},
		"unknown version":  {vault + "?api-version=2015-01-01", whole, "InvalidApiVersionParameter"},
		"another one's":    {vault + version, whole, "InvalidApiVersionParameter"},
		"unknown type":     {group + "/providers/Microsoft.Sql/servers/x?api-version=2023-07-01", whole, "InvalidResourceType"},
		"no location":      {vault + "?api-version=2026-02-01", map[string]any{"properties": whole["properties"]}, "InvalidRequestContent"},
		"no tenant":        {vault + "?api-version=2026-02-01", map[string]any{"location": "x", "properties": map[string]any{"sku": map[string]any{"name": "standard", "family": "A"}}}, "InvalidRequestContent"},
		"unknown member":   {vault + "?api-version=2026-02-01", map[string]any{"location": "x", "properties": whole["properties"], "colour": "red"}, "InvalidRequestContent"},
		"other tenant":     {vault + "?api-version=2026-02-01", map[string]any{"location": "x", "properties": map[string]any{"tenantId": "other", "sku": map[string]any{"name": "standard", "family": "A"}}}, "BadRequest"},
		"bad name":         {group + "/providers/Microsoft.KeyVault/vaults/1?api-version=2026-02-01", whole, "InvalidResourceName"},
		"no parent":        {group + "/providers/Microsoft.Network/virtualNetworks/none/subnets/s?api-version=2025-01-01", map[string]any{"properties": map[string]any{}}, "ParentResourceNotFound"},
		"no JSON":          {vault + "?api-version=2026-02-01", "text", "InvalidRequestContent"},
		"another place":    {"/subscriptions/other/resourceGroups/g" + version, whole, "SubscriptionNotFound"},
		"role of nobody":   {group + "/providers/Microsoft.Authorization/roleAssignments/" + tenant + "?api-version=2022-04-01", map[string]any{"properties": map[string]any{"roleDefinitionId": "/x/" + roles["Reader"].id, "principalId": "nobody"}}, "PrincipalNotFound"},
		"role that is not": {group + "/providers/Microsoft.Authorization/roleAssignments/" + tenant + "?api-version=2022-04-01", map[string]any{"properties": map[string]any{"roleDefinitionId": "/x/none", "principalId": "nobody"}}, "RoleDefinitionDoesNotExist"},
	} {
		status, value := put(r.path, r.body)
		assert.GreaterOrEqual(t, status, 400, name)
		assert.Equal(t, r.code, code(value), name)
	}
	assert.Nil(t, c.Resource(vault), "nothing that was refused is there")
	status, _ = put(vault+"?api-version=2026-02-01", whole)
	require.Equal(t, http.StatusCreated, status)
	status, value = put(vault+"?api-version=2026-02-01", map[string]any{"location": "westeurope", "properties": map[string]any{"tenantId": tenant, "sku": map[string]any{"name": "standard", "family": "A"}}})
	assert.Contains(t, lookup(value, "error.message"), "irreversible", status)
	status, _ = c.ask(http.MethodDelete, at+group+version, token, nil)
	assert.Equal(t, http.StatusOK, status)
	assert.Empty(t, c.IDs(), "a group goes with what is in it")
}

func TestWhoMayNotIsTold(t *testing.T) {
	c := start(t)
	status, value := c.ask(http.MethodPut, at+group+version, c.management(reader), map[string]any{"location": "x"})
	assert.Equal(t, http.StatusForbidden, status)
	assert.Contains(t, lookup(value, "error.message"), "does not have authorization to perform action 'microsoft.resources/resourcegroups/write' over scope '"+group+"'")
	assert.Nil(t, c.Resource(group))
	token := c.management(owner)
	c.ask(http.MethodPut, at+group+version, token, map[string]any{"location": "x"})
	status, _ = c.ask(http.MethodGet, at+group+version, c.management(reader), nil)
	assert.Equal(t, http.StatusOK, status)
	status, _ = c.ask(http.MethodDelete, at+group+version, c.management(reader), nil)
	assert.Equal(t, http.StatusForbidden, status)
	assert.NotNil(t, c.Resource(group))

	t.Run("a role and a credential that were made count", func(t *testing.T) {
		identity := group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
		_, made := c.ask(http.MethodPut, at+identity+"?api-version=2024-11-30", token, map[string]any{"location": "x"})
		client, object := lookup(made, "properties.clientId").(string), lookup(made, "properties.principalId").(string)
		status, _ := c.exchange(tenant, client, c.assertion(exchangeAudience), at+"/.default")
		assert.Equal(t, http.StatusBadRequest, status, "nobody is federated")
		c.ask(http.MethodPut, at+identity+"/federatedIdentityCredentials/f?api-version=2024-11-30", token, map[string]any{"properties": map[string]any{"issuer": "https://issuer.test", "subject": "job", "audiences": []string{exchangeAudience}}})
		own := c.management(client)
		other := group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/j"
		status, _ = c.ask(http.MethodPut, at+other+"?api-version=2024-11-30", own, map[string]any{"location": "x"})
		assert.Equal(t, http.StatusForbidden, status)
		assign := func(token, name, role, condition string) (int, map[string]any) {
			properties := map[string]any{"roleDefinitionId": "/x/" + roles[role].id, "principalId": object}
			if condition != "" {
				properties["condition"], properties["conditionVersion"] = condition, "2.0"
			}
			return c.ask(http.MethodPut, at+group+"/providers/Microsoft.Authorization/roleAssignments/"+name+"?api-version=2022-04-01", token, map[string]any{"properties": properties})
		}
		status, value := assign(token, derived("1"), "Contributor", "")
		require.Equal(t, http.StatusCreated, status, value)
		status, _ = c.ask(http.MethodPut, at+other+"?api-version=2024-11-30", own, map[string]any{"location": "x"})
		assert.Equal(t, http.StatusCreated, status)
		status, _ = assign(own, derived("2"), "Owner", "")
		assert.Equal(t, http.StatusForbidden, status, "a contributor gives no roles")
		status, _ = assign(token, derived("3"), "Role Based Access Control Administrator", "GuidEquals {"+roles["Reader"].id+"}")
		require.Equal(t, http.StatusCreated, status)
		status, _ = assign(own, derived("4"), "Owner", "")
		assert.Equal(t, http.StatusForbidden, status, "only those of its condition")
		status, _ = assign(own, derived("5"), "Reader", "")
		assert.Equal(t, http.StatusCreated, status)
	})
}

func TestVaultKeysAreForWhomTheRolesAre(t *testing.T) {
	c := start(t)
	token := c.management(owner)
	c.ask(http.MethodPut, at+group+version, token, map[string]any{"location": "x"})
	c.ask(http.MethodPut, at+group+"/providers/Microsoft.KeyVault/vaults/acme?api-version=2026-02-01", token, map[string]any{"location": "x", "properties": map[string]any{"tenantId": tenant, "sku": map[string]any{"name": "standard", "family": "A"}}})
	const keys = "https://acme.vault.azure.test/keys/k"
	create := map[string]any{"kty": "EC", "crv": "P-256", "key_ops": []string{"sign", "verify"}}
	officer, looker := c.token(owner, "https://vault.azure.test/.default"), c.token(reader, "https://vault.azure.test/.default")
	for name, r := range map[string]struct {
		token, version, host string
		status               int
	}{
		"another audience": {token, "7.4", keys, http.StatusUnauthorized},
		"another version":  {officer, "1.0", keys, http.StatusBadRequest},
		"another vault":    {officer, "7.4", "https://other.vault.azure.test/keys/k", http.StatusNotFound},
		"a reader":         {looker, "7.4", keys, http.StatusForbidden},
	} {
		status, _ := c.ask(http.MethodPost, r.host+"/create?api-version="+r.version, r.token, create)
		assert.Equal(t, r.status, status, name)
	}
	status, made := c.ask(http.MethodPost, keys+"/create?api-version=7.4", officer, create)
	require.Equal(t, http.StatusOK, status, made)
	status, seen := c.ask(http.MethodGet, keys+"?api-version=7.4", looker, nil)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, lookup(made, "key.kid"), lookup(seen, "key.kid"))
	assert.NotContains(t, seen["key"], "d", "the private half stays")
}

func TestOrdersAreDoneAndUsedUp(t *testing.T) {
	c := start(t)
	token := c.management(owner)
	require.NoError(t, c.Order(Order{Method: "PUT", Path: "/resourceGroups/", Times: 1, Status: 429, Code: "TooManyRequests", RetryAfter: 7}))
	require.NoError(t, c.Order(Order{Method: "PUT", Path: "/resourceGroups/", Times: 1, Polls: 1}))
	put := func() int {
		status, _ := c.ask(http.MethodPut, at+group+version, token, map[string]any{"location": "x"})
		return status
	}
	assert.Equal(t, http.StatusTooManyRequests, put())
	assert.Nil(t, c.Resource(group))
	assert.Equal(t, http.StatusCreated, put())
	id := ""
	for name := range c.pending {
		id = name
	}
	for _, want := range []string{"InProgress", "Succeeded", "Succeeded"} {
		_, value := c.ask(http.MethodGet, at+subscription+"/operations/"+id+"?api-version=2024-01-01", token, nil)
		assert.Equal(t, want, value["status"])
	}
	assert.Equal(t, http.StatusOK, put())
	for _, o := range []Order{{}, {Method: "PUT", Path: "("}, {Method: "PUT", Path: "x"}, {Method: "PUT", Path: "x", Status: 500, Hold: true}} {
		assert.Error(t, c.Order(o))
	}
	last := c.Requests()[len(c.Requests())-1]
	assert.Equal(t, owner, last.Client)
}
