package config_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/config"
	"slipway/step"
)

// productionApart is what an environment can have of its own.
const productionApart = `  production:
    server: https://production.example.test
    gitops: {remote: https://example.test/production.git, branch: live, username: production-bot}
    signing: {degraded: 24h, publicKey: gitops/platform/production.pub}
    state: {type: azurerm, resourceGroup: platform, storageAccount: acmeproduction, container: states}
`

// apart is the shipped configuration with other lines for production.
func apart(t *testing.T, production string) string {
	t.Helper()
	text := shipped(t)
	const shared = "  production: {}\n"
	require.Contains(t, text, shared)
	text = strings.Replace(text, shared, production, 1)
	return strings.Replace(text, `publicKey: ""`, "publicKey: gitops/platform/cosign.pub", 1)
}

func TestAnEnvironmentsOwnSettingsCountThere(t *testing.T) {
	parsed, err := config.Parse([]byte(apart(t, productionApart)))
	require.NoError(t, err)
	// The pipeline hands its settings on as JSON.
	data, err := json.Marshal(parsed)
	require.NoError(t, err)
	c := &config.Config{}
	require.NoError(t, json.Unmarshal(data, c))
	c.Infra.Username = "ci"

	own := c.For("production")
	assert.Equal(t, "https://example.test/production.git", own.GitOps.Remote)
	assert.Equal(t, "live", own.GitOps.Branch)
	assert.Equal(t, "production-bot", own.GitOps.Username)
	assert.Equal(t, c.GitOps.Author, own.GitOps.Author)
	assert.Equal(t, "gitops/platform/production.pub", own.Signing.PublicKey)
	assert.Equal(t, "https://production.example.test", own.Cluster.Server)
	assert.Equal(t, c.Cluster.Namespace, own.Cluster.Namespace)
	assert.Equal(t, c.Infra.Code, own.Infra.Code)
	assert.Empty(t, own.Infra.Username, "that of an http state")
	state, err := own.Infra.StateConfig("production", own.Infra.Username)
	require.NoError(t, err)
	assert.JSONEq(t, `{"type":"azurerm","resource_group_name":"platform","storage_account_name":"acmeproduction","container_name":"states","key":"builtin/production.tfstate"}`, state)

	for _, env := range []string{"dev", "staging", ""} {
		assert.Equal(t, config.Settings{GitOps: c.GitOps, Signing: c.Signing, Infra: c.Infra, Cluster: c.Cluster}, c.For(env), env)
	}
	assert.Subset(t, c.Taken(), []string{"gitops/platform/cosign.pub", "gitops/platform/production.pub"}, "each key that decides belongs to the rules")
}

// One part of its own leaves the rest as it is everywhere.
func TestAnEnvironmentLeavesOutWhatItShares(t *testing.T) {
	c, err := config.Parse([]byte(apart(t, "  production: {gitops: {branch: live}, state: https://state.example.test/production}\n")))
	require.NoError(t, err)
	own, all := c.For("production"), c.For("dev")
	assert.Equal(t, "live", own.GitOps.Branch)
	own.GitOps.Branch = all.GitOps.Branch
	assert.Equal(t, all.GitOps, own.GitOps)
	state, err := own.Infra.StateConfig("production", "")
	require.NoError(t, err)
	assert.Contains(t, state, `"https://state.example.test/production/builtin/production"`)
	own.Infra.State = all.Infra.State
	assert.Equal(t, all, own)
}

func TestArgumentsCountForEveryEnvironment(t *testing.T) {
	parse := func() (config.Config, config.Config) {
		c, err := config.Parse([]byte(apart(t, productionApart)))
		require.NoError(t, err)
		return *c, *c
	}
	c, before := parse()
	c.ReleaseTo("https://example.test/other.git", "")
	for _, env := range []string{"dev", "production"} {
		assert.Equal(t, "https://example.test/other.git", c.For(env).GitOps.Remote)
	}
	assert.Equal(t, "live", c.For("production").GitOps.Branch, "that was not given")
	c.ReleaseTo("", "next")
	assert.Equal(t, "next", c.For("production").GitOps.Branch)
	c.KeepStateAt("https://state.example.test")
	c.KeepStateAt("")
	assert.Equal(t, "https://state.example.test", c.For("production").Infra.State)
	assert.Equal(t, "https://example.test/production.git", before.For("production").GitOps.Remote, "the settings that it was made of are as they were")

	c, _ = parse()
	c.ProvisionInCluster()
	assert.True(t, c.For("production").Infra.InCluster())
	assert.Equal(t, "local", c.For("production").Infra.Code)
	c, before = parse()
	c.Infra.Cluster = nil
	c.ProvisionInCluster()
	assert.Equal(t, before.For("production").Infra.Backend, c.For("production").Infra.Backend)
}

func TestFaultsOfAnEnvironmentNameThePlace(t *testing.T) {
	for name, tc := range map[string]struct{ old, new, input, reason string }{
		"remote":         {"https://example.test/production.git", "git@example.test:x", `environments.production.gitops.remote "git@example.test:x"`, "is not an http(s) URL"},
		"a password":     {"https://example.test/production.git", "https://u:p@example.test/x.git", `environments.production.gitops.remote "https://u:xxxxx@example.test/x.git"`, "without credentials"},
		"branch":         {"branch: live", "branch: a..b", `environments.production.gitops.branch "a..b"`, "is not a branch name"},
		"root":           {"branch: live", "root: gitops", "", "field root not found"},
		"server":         {"https://production.example.test", "http://production.example.test", `environments.production.server "http://production.example.test"`, "is not an https URL"},
		"key outside":    {"gitops/platform/production.pub", "../production.pub", `environments.production.signing.publicKey "../production.pub"`, "is not a path inside the repository"},
		"key not taken":  {"gitops/platform/production.pub", "production.pub", `environments.production.signing.publicKey "production.pub"`, "is not a path below apps, gitops or infra"},
		"backend":        {"{type: azurerm, resourceGroup: platform", "{type: s3, resourceGroup: platform", "", `state.type "s3" is neither kubernetes nor azurerm`},
		"backend's keys": {"container: states", "container: S", `environments.production.state.container "S"`, "is not a valid name"},
		"state's URL":    {"state: {type: azurerm, resourceGroup: platform, storageAccount: acmeproduction, container: states}", "state: file:///x", `environments.production.state "file:///x"`, "is not an http(s) URL"},
		"state's type":   {"state: {type: azurerm, resourceGroup: platform, storageAccount: acmeproduction, container: states}", "state: [a]", "", "state is not a string"},
	} {
		t.Run(name, func(t *testing.T) {
			text := apart(t, productionApart)
			require.Contains(t, text, tc.old)
			_, err := config.Parse([]byte(strings.Replace(text, tc.old, tc.new, 1)))
			f, ok := step.AsFault(err)
			require.True(t, ok, "want a fault, got %v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, strings.TrimSuffix("slipway.yaml: "+tc.input, ": "), f.Input)
			assert.Contains(t, f.Reason, tc.reason)
			assert.NotEmpty(t, f.Mend)
		})
	}
	text := signedBy(t, byIdentity, "    signing: {publicKey: gitops/cosign.pub}\n")
	_, err := config.Parse([]byte(text))
	require.ErrorContains(t, err, `environments.dev.signing.publicKey "gitops/cosign.pub": is given beside signing.identities`)
}

func TestAKubeconfigIsForItsEnvironments(t *testing.T) {
	kubeconfig := func(current, server string) []byte {
		return []byte(`apiVersion: v1
kind: Config
current-context: ` + current + `
contexts:
  - {name: other, context: {cluster: elsewhere, user: u}}
  - {name: here, context: {cluster: this, user: u}}
clusters:
  - {name: elsewhere, cluster: {server: "https://elsewhere.example.test"}}
  - {name: this, cluster: {server: "` + server + `"}}
users:
  - {name: u, user: {token: s3cret}}
`)
	}
	c, err := config.Parse([]byte(apart(t, productionApart)))
	require.NoError(t, err)
	assert.True(t, c.Apart())
	for name, tc := range map[string]struct {
		kubeconfig []byte
		want       []string
	}{
		"production's":    {kubeconfig("here", "https://production.example.test/"), []string{"production"}},
		"the others'":     {kubeconfig("here", "https://localhost:6443"), []string{"dev", "staging"}},
		"nobody's":        {kubeconfig("here", "https://other.example.test"), nil},
		"another context": {kubeconfig("other", "https://production.example.test"), nil},
		"no context":      {kubeconfig("absent", "https://production.example.test"), nil},
		"empty":           {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := config.Server("release", tc.kubeconfig)
			require.NoError(t, err)
			assert.Equal(t, tc.want, c.ReachedAt(server))
		})
	}
	_, err = config.Server("release", []byte("{s3cret"))
	require.ErrorContains(t, err, "kubeconfig: can't be read")
	assert.NotContains(t, err.Error(), "s3cret")

	together, err := config.Parse([]byte(shipped(t)))
	require.NoError(t, err)
	assert.False(t, together.Apart())
	assert.Equal(t, together.EnvironmentNames(), together.ReachedAt("https://other.example.test"), "nothing says whose it is")
}
