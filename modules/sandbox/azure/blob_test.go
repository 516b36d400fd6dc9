package azure

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// blobService remembers what it was asked, and answers.
type blobService struct {
	mu      sync.Mutex
	asked   []string
	headers []http.Header
}

func (b *blobService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, r.Method+" "+r.Host+r.URL.RequestURI())
	b.headers = append(b.headers, r.Header.Clone())
	if r.URL.Query().Get("restype") == "container" && r.Method == http.MethodPut {
		w.WriteHeader(http.StatusConflict)
		return
	}
	fmt.Fprint(w, "a state")
}

func TestBlobsAreForWhomTheRolesAre(t *testing.T) {
	c := start(t)
	certificate, key, err := c.Certificate()
	require.NoError(t, err)
	pair, err := tls.X509KeyPair(certificate, key)
	require.NoError(t, err)
	behind := &blobService{}
	server := httptest.NewUnstartedServer(behind)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	c.setup.Blob = server.URL

	ask := func(method, path, token string) (int, string, string) {
		t.Helper()
		req, err := http.NewRequest(method, "https://acmestate.blob.azure.test"+path, nil)
		require.NoError(t, err)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := c.client.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		data, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, res.Header.Get("x-ms-error-code"), string(data)
	}
	token := c.token(owner, "https://storage.azure.com/.default")
	status, code, _ := ask(http.MethodGet, "/tfstate/dev", token)
	assert.Equal(t, http.StatusNotFound, status)
	assert.Equal(t, "ResourceNotFound", code)

	manager := c.management(owner)
	account := group + "/providers/Microsoft.Storage/storageAccounts/acmestate"
	put := func(path, version string, body map[string]any) {
		t.Helper()
		status, value := c.ask(http.MethodPut, at+path+"?api-version="+version, manager, body)
		require.Less(t, status, 300, value)
	}
	put(group, "2023-07-01", map[string]any{"location": "westeurope"})
	put(account, "2025-08-01", map[string]any{"location": "westeurope", "sku": map[string]any{"name": "Standard_ZRS"}, "kind": "StorageV2"})
	status, code, _ = ask(http.MethodGet, "/tfstate/dev", token)
	assert.Equal(t, http.StatusNotFound, status)
	assert.Equal(t, "ContainerNotFound", code)
	container := account + "/blobServices/default/containers/tfstate"
	put(container, "2025-08-01", map[string]any{"properties": map[string]any{}})

	// An owner of the account is nobody to its data.
	status, code, text := ask(http.MethodPut, "/tfstate/dev", token)
	assert.Equal(t, http.StatusForbidden, status)
	assert.Equal(t, "AuthorizationPermissionMismatch", code)
	assert.Contains(t, text, "<Error><Code>AuthorizationPermissionMismatch</Code><Message>This request is not authorized")
	assert.Empty(t, behind.asked)

	const definitions = subscription + "/providers/Microsoft.Authorization/roleDefinitions/"
	put(container+"/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-000000000009", "2022-04-01", map[string]any{"properties": map[string]any{
		"roleDefinitionId": definitions + roles["Storage Blob Data Contributor"].id, "principalId": "00000000-0000-4000-8000-0000000000b1",
	}})
	status, _, text = ask(http.MethodGet, "/tfstate/dev?comp=metadata", token)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "a state", text)
	assert.Equal(t, []string{"PUT acmestate.blob.azure.test/tfstate?restype=container", "GET acmestate.blob.azure.test/tfstate/dev?comp=metadata"}, behind.asked)
	for _, header := range behind.headers {
		// Not the client's own: the service takes what looks like Azure's.
		passed, err := c.signer.verify(strings.TrimPrefix(header.Get("Authorization"), "Bearer "))
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(passed.Issuer, "https://sts.windows.net/"+tenant))
		assert.Equal(t, "00000000-0000-4000-8000-0000000000b1", passed.ObjectID)
		assert.Positive(t, passed.NotBefore)
	}

	for name, token := range map[string]string{"nobody's": "", "for another service": manager, "somebody else's words": token + "x"} {
		status, code, _ := ask(http.MethodGet, "/tfstate/dev", token)
		assert.Equal(t, http.StatusUnauthorized, status, name)
		assert.NotEmpty(t, code, name)
	}
	status, _, _ = ask(http.MethodGet, "/tfstate/dev", c.token(reader, "https://storage.azure.com/.default"))
	assert.Equal(t, http.StatusForbidden, status)
	status, _, _ = ask(http.MethodGet, "/other/dev", token)
	assert.Equal(t, http.StatusNotFound, status)
	status, _, _ = ask(http.MethodPatch, "/tfstate/dev", token)
	assert.Equal(t, http.StatusMethodNotAllowed, status)
	assert.Len(t, behind.asked, 2)
}
