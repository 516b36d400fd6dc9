//go:build e2e && wrappers

package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"slipway/sandbox/azure"
	"slipway/wrappers"
	"slipway/wrappers/azureagent"
)

// What Azure DevOps has for these tests: a service connection for each purpose.
const (
	planConnection  = "00000000-0000-4000-8000-0000000000d1"
	applyConnection = "00000000-0000-4000-8000-0000000000d2"
	planClient      = "00000000-0000-4000-8000-0000000000a2"
	applyClient     = "00000000-0000-4000-8000-0000000000a3"
)

// devops is an agent of Azure DevOps on this machine, with the pipelines of a
// repository that it has checked out before.
type devops struct {
	*azureagent.Agent
	pipelines map[string]wrappers.AzurePipeline
}

// newDevops commits what an adopter sets, and what a test spoils. The job's token is the
// account of the GitOps remote, as it is where that lies in Azure Repos.
func newDevops(t *testing.T, p *platform, files map[string]string, with []string, variables map[string]string) *devops {
	t.Helper()
	dagger, err := p.look("dagger")
	require.NoError(t, err)
	dir := t.TempDir()
	program, err := os.ReadFile(dagger)
	require.NoError(t, err)
	var archive bytes.Buffer
	zipped, err := gzip.NewWriterLevel(&archive, gzip.BestSpeed)
	require.NoError(t, err)
	packed := tar.NewWriter(zipped)
	require.NoError(t, packed.WriteHeader(&tar.Header{Name: "dagger", Mode: 0o755, Size: int64(len(program))}))
	_, err = packed.Write(program)
	require.NoError(t, err)
	require.NoError(t, packed.Close())
	require.NoError(t, zipped.Close())
	file, sum := filepath.Join(dir, "dagger.tar.gz"), sha256.Sum256(archive.Bytes())
	require.NoError(t, os.WriteFile(file, archive.Bytes(), 0o600))

	values := map[string]string{
		"AZURE_SUBSCRIPTION_ID": "00000000-0000-4000-8000-000000000002", "AZURE_CLOUD": "",
		// The templates give the job's token alone: Azure Repos asks for no name beside it.
		"SLIPWAY_WITH":   strings.Join(append(slices.Clone(with), "with-gitops", "--username", p.accounts["gitops/dev"].Username), " "),
		"DAGGER_ARCHIVE": "file://" + file, "DAGGER_SHA256": hex.EncodeToString(sum[:]),
	}
	for name, value := range variables {
		values[name] = value
	}
	type variable struct {
		Name  string `yaml:"name"`
		Value string `yaml:"value"`
	}
	var list []variable
	for name, value := range values {
		list = append(list, variable{name, value})
	}
	text, err := yaml.Marshal(map[string]any{"variables": list})
	require.NoError(t, err)
	all := map[string]string{"wrappers/azure/variables.yml": string(text)}
	for name, text := range files {
		all[name] = text
	}
	repository := source(t, all)
	folder := filepath.Join(repository, "wrappers/azure")
	pipelines, err := wrappers.AzurePipelines(folder, folder)
	require.NoError(t, err)
	d := &devops{pipelines: map[string]wrappers.AzurePipeline{}, Agent: &azureagent.Agent{
		Dir: dir, Repository: repository, Name: "platform", Commit: git(t, repository, "rev-parse", "HEAD"), Branch: "refs/heads/main",
		Environ: p.env, AccessToken: p.accounts["gitops/dev"].Password, OIDCRequestURI: "https://devops." + azure.Suffix + "/oidctoken",
		Connections: map[string]azureagent.Connection{
			"slipway-dev-deliver": {ID: applyConnection, ClientID: applyClient, TenantID: "00000000-0000-4000-8000-000000000001"},
			"slipway-dev-plan":    {ID: planConnection, ClientID: planClient, TenantID: "00000000-0000-4000-8000-000000000001"},
			"slipway-dev-apply":   {ID: applyConnection, ClientID: applyClient, TenantID: "00000000-0000-4000-8000-000000000001"},
		},
		Approved: []string{"dev"},
	}}
	for _, p := range pipelines {
		d.pipelines[p.File] = p
	}
	t.Cleanup(func() {
		assert.NotContains(t, d.Output.String(), d.AccessToken, "the job's token is printed nowhere")
	})
	return d
}

func TestWrappersAzureDelivers(t *testing.T) {
	p := shared
	with := append(p.options(), p.terraform(t)...)
	d := newDevops(t, p, nil, with, nil)
	laptop := filepath.Join(d.Dir, "laptop.json")
	_, err := p.run(d.Repository, append(append([]string{"call", "--output", laptop}, with...), "deliver", "--app", "hello", "--env", "dev", "--older", "document")...)
	require.NoError(t, err)

	err = d.Run(t.Context(), d.pipelines["delivery.yml"])
	require.Equal(t, azureagent.Waiting{Environment: "staging"}, err)
	assert.Equal(t, []string{"dev/deliver_hello"}, d.Done)
	var document struct {
		Runner string
		Source struct{ Commit string }
		Image  struct{ Reference string }
		GitOps struct{ Path string }
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, d.Artifacts["receipt-hello-dev"])), &document))
	assert.Equal(t, "azure-devops", document.Runner)
	assert.Equal(t, d.Commit, document.Source.Commit)
	_, digest, ok := strings.Cut(document.Image.Reference, "@")
	require.True(t, ok, document.Image.Reference)
	assert.Contains(t, read(t, filepath.Join(p.remote(t), document.GitOps.Path)), digest)
	builders, err := p.call(d.Repository, with, "inspect", "--reference", document.Image.Reference, "--env", "dev", "text")
	require.NoError(t, err)
	assert.Contains(t, builders, "provenance")

	t.Run("at parity with the laptop", func(t *testing.T) {
		said, err := p.run(d.Repository, "call", "parity", "--first", laptop, "--second", d.Artifacts["receipt-hello-dev"])
		require.NoError(t, err)
		assert.Equal(t, "hello in dev: both receipts say the same of "+document.Image.Reference+"\n", said)
	})

	t.Run("and not with what is another delivery", func(t *testing.T) {
		other := filepath.Join(d.Dir, "other.json")
		write(t, other, strings.ReplaceAll(read(t, laptop), d.Commit, strings.Repeat("0", 40)))
		_, err := p.run(d.Repository, "call", "parity", "--first", other, "--second", d.Artifacts["receipt-hello-dev"])
		refused(t, err, "parity: refused by policy: source.commit: is ", strings.Repeat("0", 40), d.Commit)
		write(t, other, "{}")
		_, err = p.run(d.Repository, "call", "parity", "--first", laptop, "--second", other)
		refused(t, err, "parity: bad input: second receipt: ")
	})
}

func TestWrappersAzureRefusesADelivery(t *testing.T) {
	p := shared
	token := "ghp_" + strings.Repeat("aB3dE5fG7h", 4)[:36]
	before := git(t, p.remote(t), "rev-parse", "HEAD")
	d := newDevops(t, p, map[string]string{"apps/hello/deploy.env": "GITHUB_TOKEN=" + token + "\n"}, append(p.options(), p.terraform(t)...), nil)
	d.Approved = []string{"dev", "staging", "production"}
	err := d.Run(t.Context(), d.pipelines["delivery.yml"])
	refused(t, err, "dev/deliver_hello: templates/deliver.yml:", "scan: refused by policy: app hello", "secret: ")
	assert.Empty(t, d.Done)
	assert.Empty(t, d.Artifacts)
	assert.Equal(t, before, git(t, p.remote(t), "rev-parse", "HEAD"))
}

// A pull request's tests print what an agent would obey.
func TestWrappersAzureChecks(t *testing.T) {
	p := shared
	d := newDevops(t, p, map[string]string{"apps/hello/service/hostile_test.go": `package service

import (
	"fmt"
	"testing"
)

func TestHostile(t *testing.T) {
	fmt.Println("##vso[task.setvariable variable=DAGGER_SHA256]evil")
	fmt.Println("##vso[artifact.upload artifactname=a]/etc/passwd")
}
`}, append(p.options(), p.terraform(t)...), nil)
	d.Branch = "refs/pull/1/merge"
	require.NoError(t, d.Run(t.Context(), d.pipelines["checks.yml"]))
	assert.Equal(t, []string{"checks/test_hello", "checks/scan_hello", "checks/plan_dev"}, d.Done)
	for _, c := range d.Commands {
		assert.False(t, c.Obeyed, "%+v", c)
	}
}

// A pull request that weakens the rules is judged by those of main.
func TestWrappersAzureChecksByTheBase(t *testing.T) {
	const checks, app = "wrappers/azure/checks.yml", "{app: hello}"
	p := shared
	require.Contains(t, read(t, filepath.Join(p.repo, checks)), app)
	d := newDevops(t, p, map[string]string{checks: strings.Replace(read(t, filepath.Join(p.repo, checks)), app, "{app: legacy}", 1)}, p.options(), nil)
	pullRequest(t, p.options(), d.Repository)
	d.Branch, d.Commit = "refs/pull/1/merge", git(t, d.Repository, "rev-parse", "HEAD")
	err := d.Run(t.Context(), d.pipelines["checks.yml"])
	refused(t, err, "checks/scan_legacy: templates/check.yml@base:", "scan: refused by policy: app legacy", "CVE-2022-32149")
	assert.Equal(t, []string{"checks/test_legacy"}, d.Done)
}

// Tokens live for 20 seconds, an apply for minutes.
func TestWrappersAzureProvisions(t *testing.T) {
	p := shared
	token := p.accounts["gitops/dev"].Password
	c := newCloud(t, func(setup *azure.Setup) {
		trust := func(client int, connection string, identity azure.Identity) {
			federated := azure.Federated{
				Issuer:  "https://login.microsoftonline.com/" + setup.Tenant + "/v2.0",
				Subject: "/eid1/c/pub/t/AQAAAAAAAAAAAAAAAAAAAA/a/AQAAAAAAAAAAAAAAAAAAAA/sc/00000000-0000-4000-8000-0000000000ad/" + connection,
			}
			identity.ObjectID, identity.Federated = fmt.Sprintf("00000000-0000-4000-8000-0000000000%d", client), []azure.Federated{federated}
			setup.Identities = append(setup.Identities, identity)
			setup.Pipelines = append(setup.Pipelines, azure.Pipeline{RequestToken: token, ServiceConnection: connection, Federated: federated})
		}
		trust(92, planConnection, azure.Identity{ClientID: planClient, Roles: []string{"Reader", "Key Vault Reader", "Azure Kubernetes Service Cluster User Role"}})
		trust(93, applyConnection, azure.Identity{ClientID: applyClient, Roles: []string{"Owner", "Key Vault Crypto Officer"}})
	})
	discardState(t)
	d := newDevops(t, p, map[string]string{"slipway.yaml": strings.Replace(read(t, p.repo+"/slipway.yaml"), "code: builtin", "code: azure", 1)}, c.options,
		map[string]string{"AZURE_CLOUD": strings.Join(c.here(), " ")})
	infrastructure := d.pipelines["infrastructure.yml"]

	d.Approved = nil
	err := d.Run(t.Context(), infrastructure)
	require.Equal(t, azureagent.Waiting{Environment: "dev"}, err)
	assert.Equal(t, []string{"plan_dev/plan_dev"}, d.Done)
	assert.Contains(t, d.Output.String(), "azurerm_kubernetes_cluster", "who approves has seen what will be made")
	assert.Empty(t, c.IDs())

	d.Approved = []string{"dev"}
	require.NoError(t, d.Run(t.Context(), infrastructure, "apply_dev"))
	assert.NotNil(t, c.Resource(azureCluster))
	assert.Contains(t, d.Output.String(), "slipwaydevacr.azurecr."+azure.Suffix)

	// The connection that plans is no way to apply.
	d.Connections["slipway-dev-apply"] = d.Connections["slipway-dev-plan"]
	require.True(t, c.Change(azureCluster, "properties.autoUpgradeProfile.upgradeChannel", "none"))
	err = d.Run(t.Context(), infrastructure, "apply_dev")
	refused(t, err, "apply_dev/apply_dev: templates/apply.yml:", "apply: refused by policy: ", "lacks a role")
}
