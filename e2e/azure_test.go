//go:build e2e && (azure || wrappers)

package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sandbox/azure"
)

var azurerm = flag.String("azurerm", "", "folder that azurerm-provider of modules/sandbox was exported to; by default the tests export it, which compiles it the first time")

// azureProviders is a mirror with the real provider, as infra/azure locks it.
func azureProviders(t *testing.T) string {
	t.Helper()
	mirror, err := exported()
	require.NoError(t, err)
	return mirror
}

var exported = sync.OnceValues(func() (string, error) {
	if *azurerm != "" {
		return filepath.Abs(*azurerm)
	}
	mirror := shared.file("azurerm")
	_, err := shared.run(shared.repo, "-m", "modules/sandbox", "call", "azurerm-provider", "export", "--path", mirror)
	return mirror, err
})

const (
	azureGroup   = "/subscriptions/00000000-0000-4000-8000-000000000002/resourceGroups/slipway-dev"
	azureCluster = azureGroup + "/providers/Microsoft.ContainerService/managedClusters/slipway-dev-aks"
	founder      = "00000000-0000-4000-8000-0000000000a1"
	connection   = "00000000-0000-4000-8000-0000000000dc"
	github       = "https://token.actions.githubusercontent.com"
)

// cloud is a subscription on the stand-in, empty but for the rights of its founder.
type cloud struct {
	*azure.Server
	t       *testing.T
	options []string
	ca      string
	// blobs is host:port of the blob service, where there is one.
	blobs string
}

func newCloud(t *testing.T, edits ...func(*azure.Setup)) *cloud {
	t.Helper()
	subject := func(of string) azure.Federated {
		return azure.Federated{Issuer: github, Subject: "repo:acme/platform:" + of}
	}
	setup := azure.Setup{
		Tenant: "00000000-0000-4000-8000-000000000001", Subscription: "00000000-0000-4000-8000-000000000002",
		Identities: []azure.Identity{{
			ClientID: founder, ObjectID: "00000000-0000-4000-8000-0000000000b1", Roles: []string{"Owner", "Key Vault Crypto Officer"},
			Federated: []azure.Federated{subject("ref:refs/heads/founding")},
		}},
		Pipelines: []azure.Pipeline{
			{RequestToken: "founding", Federated: subject("ref:refs/heads/founding")},
			{RequestToken: "pull-request", Federated: subject("pull_request")},
			{RequestToken: "environment-dev", Federated: subject("environment:dev")},
			{RequestToken: "devops", ServiceConnection: connection, Federated: azure.Federated{
				Issuer:  "https://login.microsoftonline.com/00000000-0000-4000-8000-000000000001/v2.0",
				Subject: "/eid1/c/pub/t/AQAAAAAAAAAAAAAAAAAAAA/a/AQAAAAAAAAAAAAAAAAAAAA/sc/00000000-0000-4000-8000-0000000000ad/" + connection,
			}},
		},
		// An apply takes minutes: whoever keeps a token fails. The provider sends what it
		// has queued with a token that has grown old on a busy machine, so that less than
		// this is the subject of a delivery's test alone.
		TokenSeconds: 60,
	}
	for _, edit := range edits {
		edit(&setup)
	}
	standIn, err := azure.Start("127.0.0.1:0", setup)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, standIn.Close()) })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, string(standIn.CA))
	return &cloud{Server: standIn, t: t, ca: ca, blobs: strings.TrimPrefix(setup.Blob, "https://"), options: append(append(shared.options(), shared.terraform(t)...), "--providers", azureProviders(t))}
}

// as are the arguments of a job of GitHub that is an identity in Azure.
func (c *cloud) as(client, requestToken string, more ...string) []string {
	token := filepath.Join(c.t.TempDir(), "token")
	write(c.t, token, requestToken)
	if more == nil {
		more = []string{"--request-url", "https://github." + azure.Suffix + "/token?api-version=2.0"}
	}
	return append([]string{
		"with-azure", "--client-id", client, "--tenant-id", "00000000-0000-4000-8000-000000000001",
		"--subscription-id", "00000000-0000-4000-8000-000000000002", "--token", "file:" + token,
	}, more...)
}

// here are the arguments that say where this cloud is.
func (c *cloud) here() []string {
	return []string{"with-azure-cloud", "--metadata-host", azure.MetadataHost, "--authorities", c.ca, "--proxy", strings.Replace(c.URL, "http://", "tcp://", 1)}
}

// infra calls the infrastructure of dev as somebody.
func (c *cloud) infra(dir string, who []string, args ...string) (string, error) {
	all := append(append(append([]string{}, who...), c.here()...), "infra", "--env", "dev")
	return shared.call(dir, c.options, append(all, args...)...)
}

// token is one that a job got for itself before.
func (c *cloud) token(requestToken string) string {
	proxy, err := url.Parse(c.URL)
	require.NoError(c.t, err)
	pool := x509.NewCertPool()
	require.True(c.t, pool.AppendCertsFromPEM(c.CA))
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	req, err := http.NewRequest(http.MethodGet, "https://github."+azure.Suffix+"/token?audience=api://AzureADTokenExchange", nil)
	require.NoError(c.t, err)
	req.Header.Set("Authorization", "Bearer "+requestToken)
	res, err := client.Do(req)
	require.NoError(c.t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	require.NoError(c.t, err)
	var answer struct{ Value string }
	require.NoError(c.t, json.Unmarshal(data, &answer), string(data))
	return answer.Value
}

// onAzure is the repository with infra/azure as its infrastructure.
func onAzure(t *testing.T, spoil map[string]string) string {
	t.Helper()
	files := map[string]string{"slipway.yaml": strings.Replace(read(t, shared.repo+"/slipway.yaml"), "code: builtin", "code: azure", 1)}
	for name, text := range spoil {
		files[name] = text
	}
	return source(t, files)
}

// discardState ends the state of infra/azure with its cloud: the next cloud has nothing
// of what it lists.
func discardState(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		account := shared.accounts["state/dev"]
		req, err := http.NewRequest(http.MethodDelete, "http://"+shared.sandbox+"/state/azure/dev", nil)
		require.NoError(t, err)
		req.SetBasicAuth(account.Username, account.Password)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, http.StatusOK, res.StatusCode)
	})
}

func TestAzureFromAnEmptySubscription(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	repo := onAzure(t, nil)
	founding := c.as(founder, "founding")

	text, err := c.infra(repo, founding, "plan", "check", "apply", "outputs")
	require.NoError(t, err)
	var outputs struct {
		Registry   struct{ Value string }
		SigningKey struct{ Value string } `json:"signing_key"`
		Identities struct{ Value map[string]string }
		Principals struct{ Value map[string]string }
		Cluster    struct{ Value map[string]string }
		PublicKeys struct{ Value map[string]string } `json:"public_keys"`
	}
	require.NoError(t, json.Unmarshal([]byte(text), &outputs), text)
	assert.Equal(t, "slipwaydevacr.azurecr."+azure.Suffix+"/apps", outputs.Registry.Value)
	assert.Regexp(t, `^slipway-dev-kv\.vault\.azure\.test/keys/slipway-1/[0-9a-f]{32}$`, outputs.SigningKey.Value)
	assert.Contains(t, outputs.PublicKeys.Value["slipway-1"], "BEGIN PUBLIC KEY")
	assert.Contains(t, outputs.Cluster.Value["server"], "https://slipway-dev-")
	t.Run("Azure was told what the code says", func(t *testing.T) {
		for id, wanted := range map[string][]string{
			azureCluster: {`"disableLocalAccounts":true`, `"upgradeChannel":"patch"`, `"nodeOSUpgradeChannel":"NodeImage"`, `"networkPolicy":"calico"`, `"workloadIdentity":{"enabled":true}`, `"authorizedIPRanges":["203.0.113.0/28"]`},
			azureGroup + "/providers/Microsoft.ContainerRegistry/registries/slipwaydevacr": {`"adminUserEnabled":false`, `"anonymousPullEnabled":false`, `"roleAssignmentMode":"AbacRepositoryPermissions"`},
			azureGroup + "/providers/Microsoft.KeyVault/vaults/slipway-dev-kv":             {`"enablePurgeProtection":true`, `"enableRbacAuthorization":true`},
		} {
			for _, text := range wanted {
				assert.Contains(t, string(c.Resource(id)), text)
			}
		}
	})

	changes := func(t *testing.T, dir string, who []string) string {
		t.Helper()
		out, err := c.infra(dir, who, "plan", "changes")
		require.NoError(t, err)
		return strings.TrimSpace(out)
	}
	planning := c.as(outputs.Identities.Value["plan"], "pull-request")
	applying := c.as(outputs.Identities.Value["apply"], "devops", "--request-url", "https://devops."+azure.Suffix+"/oidctoken", "--service-connection", connection)
	const credential = azureGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/slipway-dev-publish/federatedIdentityCredentials/github"
	variables := strings.Replace(read(t, repo+"/infra/azure/environments/dev.tfvars.json"), `"federated": {`, `"federated": {
    "publish": {"github": {"issuer": "`+github+`", "subject": "repo:acme/platform:ref:refs/heads/main"}},`, 1)
	changed := onAzure(t, map[string]string{"infra/azure/environments/dev.tfvars.json": variables})

	t.Run("the identity that plans finds nothing to do", func(t *testing.T) {
		assert.Equal(t, "false", changes(t, repo, planning))
		out, err := c.infra(repo, planning, "drift", "drifted")
		require.NoError(t, err)
		assert.Equal(t, "false", strings.TrimSpace(out))
	})

	t.Run("and can't apply", func(t *testing.T) {
		_, err := c.infra(changed, planning, "plan", "check", "apply", "sha-256")
		refused(t, err, "apply: refused by policy: ", "it lacks a role such as Contributor")
		assert.Nil(t, c.Resource(credential))
	})

	t.Run("the one that applies can, in Azure DevOps' flow", func(t *testing.T) {
		_, err := c.infra(changed, applying, "plan", "check", "apply", "sha-256")
		require.NoError(t, err)
		assert.Contains(t, string(c.Resource(credential)), "repo:acme/platform:ref:refs/heads/main")
	})

	t.Run("another job's token is none", func(t *testing.T) {
		_, err := c.infra(changed, c.as(founder, "pull-request"), "plan", "changes")
		refused(t, err, "plan: bad input: ", "Entra refuses the identity: AADSTS700213")
	})

	t.Run("a token from before is none any more", func(t *testing.T) {
		old := c.as(founder, c.token("founding"), []string{}...)
		c.Advance(2 * time.Minute)
		_, err := c.infra(changed, old, "plan", "changes")
		refused(t, err, "plan: bad input: ", "Azure's token has expired", "--request-url")
	})

	t.Run("what somebody changed is drift, and is taken back", func(t *testing.T) {
		require.True(t, c.Change(azureCluster, "properties.autoUpgradeProfile.upgradeChannel", "none"))
		out, err := c.infra(changed, planning, "drift", "text")
		require.NoError(t, err)
		assert.Contains(t, out, "module.cluster.azurerm_kubernetes_cluster.this")
		assert.Contains(t, out, "automatic_upgrade_channel")
		assert.NotContains(t, out, "key_vault", "what nobody changed is no drift")
		// Slow, and with an answer to wait for.
		require.NoError(t, c.Order(azure.Order{Method: http.MethodPut, Path: "/managedClusters/slipway-dev-aks$", Times: 1, Status: http.StatusTooManyRequests, Code: "TooManyRequests", Message: "Too many requests", RetryAfter: 1}))
		require.NoError(t, c.Order(azure.Order{Method: http.MethodPut, Path: "/managedClusters/slipway-dev-aks$", Times: 1, Polls: 2}))
		_, err = c.infra(changed, applying, "plan", "check", "apply", "sha-256")
		require.NoError(t, err)
		assert.Contains(t, string(c.Resource(azureCluster)), `"upgradeChannel":"patch"`)
		assert.Contains(t, statuses(c, http.MethodPut, "/managedClusters/slipway-dev-aks?"), http.StatusTooManyRequests)
	})

	t.Run("local accounts that somebody let in stop whoever plans", func(t *testing.T) {
		// The provider asks for the administrator's password then, which is not for all.
		require.True(t, c.Change(azureCluster, "properties.disableLocalAccounts", false))
		_, err := c.infra(changed, planning, "drift", "text")
		refused(t, err, "drift: bad input: ", "listClusterAdminCredential", "Azure Kubernetes Service Cluster Admin Role")
		require.True(t, c.Change(azureCluster, "properties.disableLocalAccounts", true))
	})

	t.Run("an identity that plans without a role is told which", func(t *testing.T) {
		// The one role that it has on the cluster alone is somebody else's for now.
		const principal = "properties.principalId"
		given := ""
		for _, id := range c.IDs() {
			if strings.HasPrefix(strings.ToLower(id), strings.ToLower(azureCluster)+"/providers/microsoft.authorization/roleassignments/") && strings.Contains(string(c.Resource(id)), outputs.Principals.Value["plan"]) {
				given = id
			}
		}
		require.True(t, c.Change(given, principal, "00000000-0000-4000-8000-0000000000b1"), given)
		defer c.Change(given, principal, outputs.Principals.Value["plan"])
		_, err := c.infra(changed, planning, "plan", "changes")
		refused(t, err, "plan: bad input: ", "the identity "+outputs.Identities.Value["plan"]+" may not ", "listClusterUserCredential",
			"it lacks a role such as Azure Kubernetes Service Cluster User Role", "give this one the role")
	})

	t.Run("a run that was killed is run again", func(t *testing.T) {
		const held = azureGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/slipway-dev-release/federatedIdentityCredentials/github"
		require.NoError(t, c.Order(azure.Order{Method: http.MethodPut, Path: "slipway-dev-release/federatedIdentityCredentials/", Times: 1, Hold: true}))
		variables = strings.Replace(variables, `"federated": {`, `"federated": {
    "release": {"github": {"issuer": "`+github+`", "subject": "repo:acme/platform:environment:release"}},`, 1)
		changed = onAzure(t, map[string]string{"infra/azure/environments/dev.tfvars.json": variables})
		ended := make(chan error, 1)
		go func() {
			_, err := c.infra(changed, applying, "plan", "check", "apply", "sha-256")
			ended <- err
		}()
		select {
		case <-c.Holding:
		case err := <-ended:
			t.Fatalf("it ended before it could be killed: %v", err)
		}
		require.NoError(t, syscall.Kill(c.applying(), syscall.SIGKILL))
		require.Error(t, <-ended)
		assert.Nil(t, c.Resource(held))

		_, err := c.infra(changed, applying, "plan", "changes")
		refused(t, err, "plan: infrastructure failure: state lock ", "is held by another run", "unlock --id ")
		id := regexp.MustCompile(`unlock --id ([0-9a-f-]{36})`).FindStringSubmatch(err.Error())
		require.Len(t, id, 2, err.Error())
		_, err = c.infra(changed, applying, "unlock", "--id", "00000000-0000-4000-8000-000000000000")
		refused(t, err, "is not the one that is held")
		_, err = c.infra(changed, applying, "unlock", "--id", id[1])
		require.NoError(t, err)
		_, err = c.infra(changed, applying, "plan", "check", "apply", "sha-256")
		require.NoError(t, err)
		assert.NotNil(t, c.Resource(held))
		assert.Equal(t, "false", changes(t, changed, planning))
	})

	t.Run("a quota is told in Azure's words", func(t *testing.T) {
		defer c.Recall()
		const words = "Insufficient vcpu quota requested 48, remaining 40 for family standardDdsv5Family for region westeurope."
		require.NoError(t, c.Order(azure.Order{Method: http.MethodPut, Path: "/managedClusters/", Status: http.StatusBadRequest, Code: "ErrCode_InsufficientVCPUQuota", Message: words}))
		more := onAzure(t, map[string]string{"infra/azure/environments/dev.tfvars.json": strings.Replace(variables, `"name": "slipway",`, `"name": "slipway", "nodes": {"max": 12},`, 1)})
		_, err := c.infra(more, applying, "plan", "check", "apply", "sha-256")
		refused(t, err, "apply: bad input: ", words, "larger quota")
	})

	t.Run("a token that grows old between plan and apply", func(t *testing.T) {
		defer c.Recall()
		require.NoError(t, c.Order(azure.Order{Method: http.MethodPut, Path: ".", Status: http.StatusUnauthorized, Code: "ExpiredAuthenticationToken", Message: "The access token expiry UTC time is earlier than current UTC time"}))
		other := onAzure(t, map[string]string{"infra/azure/environments/dev.tfvars.json": strings.Replace(variables, "refs/heads/main", "refs/heads/other", 1)})
		_, err := c.infra(other, applying, "plan", "check", "--allow-destroy", "apply", "sha-256")
		refused(t, err, "apply: bad input: ", "Azure's token has expired")
	})

	t.Run("nothing is destroyed without a yes", func(t *testing.T) {
		code := read(t, repo+"/infra/azure/main.tf")
		start := strings.Index(code, "# The nodes pull")
		require.Positive(t, start)
		less := onAzure(t, map[string]string{"infra/azure/environments/dev.tfvars.json": variables, "infra/azure/main.tf": code[:start]})
		before := c.IDs()
		_, err := c.infra(less, applying, "plan", "check", "apply", "sha-256")
		refused(t, err, "check: refused by policy: plan: destroys, replaces or forgets existing resources: ", "azurerm_role_assignment.pull")
		assert.Equal(t, before, c.IDs())
		_, err = c.infra(less, applying, "plan", "check", "--allow-destroy", "apply", "sha-256")
		require.NoError(t, err)
		assert.Less(t, len(c.IDs()), len(before))
	})

	t.Run("no token is in the state", func(t *testing.T) {
		status, data := fetch(t, shared, "/state/azure/dev", "application/json")
		require.Equal(t, http.StatusOK, status)
		// One eyJ alone may be what the provider keeps for itself, which is no token.
		assert.NotRegexp(t, `eyJ[\w-]*\.eyJ`, string(data))
		for _, secret := range []string{`founding"`, `pull-request"`, `[^-]devops"`} {
			assert.NotRegexp(t, secret, string(data))
		}
	})
}

// applying is the process of the terraform that applies on this cloud.
func (c *cloud) applying() int {
	c.t.Helper()
	_, port, ok := strings.Cut(strings.TrimPrefix(c.URL, "http://"), ":")
	require.True(c.t, ok)
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(c.t, err)
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil || !bytes.HasPrefix(line, []byte("/bin/terraform\x00apply\x00")) {
			continue
		}
		environment, err := os.ReadFile(filepath.Join(filepath.Dir(file), "environ"))
		if err != nil || !bytes.Contains(environment, []byte("HTTPS_PROXY=http://azure:"+port+"\x00")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		require.NoError(c.t, err)
		return pid
	}
	require.Fail(c.t, "no terraform applies on this cloud")
	return 0
}

// statuses are the answers to the requests of a method on a path.
func statuses(c *cloud, method, path string) []int {
	var list []int
	for _, r := range c.Requests() {
		if r.Method == method && strings.Contains(r.Path, path) {
			list = append(list, r.Status)
		}
	}
	return list
}
