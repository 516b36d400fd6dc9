//go:build e2e && azure

package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"slipway/sandbox/azure"
)

// notHere are the commands of docs/azure.md that nothing on this machine can answer,
// each by its beginning, and why.
var notHere = map[string]string{
	"az login":                                     "there is no Entra to sign a person in to: the test's environment is somebody's",
	`export AZURE_TENANT_ID="$(az `:                "it asks az, which is signed in to nothing: the test says it",
	`export AZURE_SUBSCRIPTION_ID="$(az `:          "it asks az, which is signed in to nothing: the test says it",
	`export AZURE_OBJECT_ID="$(az `:                "it asks az, which is signed in to nothing: the test says it",
	"az provider register --namespace ":            "the stand-in has all kinds from its beginning; the list is held to what was asked of it",
	"rm infra/azure/.terraform.lock.hcl ":          "no registry can be asked here: the provider is the compiled one, and so is the lock",
	"terraform -chdir=infra/azure-bootstrap prov":  "no registry can be asked here: the provider is the compiled one, and so is the lock",
	"terraform -chdir=infra/azure providers lock ": "no registry can be asked here: the provider is the compiled one, and so is the lock",
	"terraform -chdir=infra/local providers lock ": "no registry can be asked here: the provider is the compiled one, and so is the lock",
	"az aks get-credentials ":                      "the stand-in stores what is said of a cluster, and runs none",
	"kubelogin convert-kubeconfig ":                "the stand-in stores what is said of a cluster, and runs none",
	"go -C tools/manifests run . filled ":          "whoever follows the page fills in the values by hand: a test of AKS' platform runs it on a folder where that is done",
	"kubectl apply --server-side -f platform.yaml": "the stand-in stores what is said of a cluster, and runs none; the folder has tests of its own",
	"terraform -chdir=infra/local init ":           "its provider is the sandbox's, where the code has its tests",
	"terraform -chdir=infra/local plan ":           "the stand-in stores what is said of a cluster, and runs none; the code has tests on the sandbox's",
	"terraform -chdir=infra/local apply ":          "the stand-in stores what is said of a cluster, and runs none; the code has tests on the sandbox's",
	"dagger call $SLIPWAY_WITH with-azure --client-id \"$AZURE_CLIENT_ID\" --tenant-id \"$AZURE_TENANT_ID\" --subscription-id \"$AZURE_SUBSCRIPTION_ID\" --request-url \"$ACTIONS_ID_TOKEN_REQUEST_URL\" --token env:ACTIONS_ID_TOKEN_REQUEST_TOKEN $AZURE_CLOUD deliver ": "the stand-in stores what is said of a registry and a cluster, and runs none; each stage has tests on real ones",
}

// page is docs/azure.md: its commands in their order, with the YAML between them.
type page struct {
	commands []string
	yaml     string
	// before is the command that the YAML stands before.
	before string
}

func documentation(t *testing.T) page {
	t.Helper()
	var p page
	inYAML := false
	for line := range strings.Lines(read(t, filepath.Join(repository(), "docs/azure.md"))) {
		line = strings.TrimRight(line, "\n")
		command, indented := strings.CutPrefix(line, "    ")
		switch {
		case line == "```yaml":
			inYAML = true
		case line == "```":
			inYAML = false
		case inYAML:
			p.yaml += line + "\n"
		case indented:
			require.NotRegexp(t, `^\s|\\$`, command, "a command is one line")
			if p.yaml != "" && p.before == "" {
				p.before = command
			}
			p.commands = append(p.commands, command)
		}
	}
	require.NotEmpty(t, p.yaml)
	require.NotEmpty(t, p.before)
	return p
}

func reason(command string) string {
	for beginning, reason := range notHere {
		if strings.HasPrefix(command, beginning) {
			return reason
		}
	}
	return ""
}

// Whoever follows the page gets what it says, from an empty subscription on.
func TestAzureAsDocumented(t *testing.T) {
	t.Parallel()
	p := documentation(t)
	for beginning := range notHere {
		assert.True(t, slices.ContainsFunc(p.commands, func(c string) bool { return strings.HasPrefix(c, beginning) }), "the page has no command %s", beginning)
	}
	subject := func(of string) azure.Federated {
		return azure.Federated{Issuer: github, Subject: "repo:acme/platform:environment:" + of}
	}
	c := newCloud(t, withBlobs(t), func(g *azure.Setup) {
		g.Pipelines = append(g.Pipelines,
			azure.Pipeline{RequestToken: "founder", Federated: subject("founding")}, azure.Pipeline{RequestToken: "dev", Federated: subject("dev")},
			azure.Pipeline{RequestToken: "release", Federated: subject("release")})
	})
	c.azurite()
	repo := source(t, nil)
	s := c.shell(repo)
	for _, command := range p.commands {
		if command == p.before {
			s.settle(p.yaml)
		}
		if why := reason(command); why != "" {
			t.Log("not run: " + command + ": " + why)
			continue
		}
		out := s.run(command)
		if strings.HasSuffix(command, " plan changes") {
			assert.Equal(t, "false", strings.TrimSpace(out))
		}
	}

	assert.NotNil(t, c.Resource(azureCluster))
	for _, id := range c.IDs() {
		assert.NotContains(t, strings.ToLower(id), "founder", "the founder has gone")
	}
	assert.Contains(t, read(t, filepath.Join(repo, "gitops/platform/azure/values/signing-key.pub")), "BEGIN PUBLIC KEY")
	kinds := regexp.MustCompile(`(?i)/providers/(Microsoft\.[A-Za-z]+)/`)
	asked, registered := map[string]bool{}, map[string]bool{}
	for _, r := range c.Requests() {
		for _, found := range kinds.FindAllStringSubmatch(r.Path, -1) {
			if r.Method == http.MethodPut {
				asked[strings.ToLower(found[1])] = true
			}
		}
	}
	for _, command := range p.commands {
		if namespace, ok := strings.CutPrefix(command, "az provider register --namespace "); ok {
			registered[strings.ToLower(strings.TrimSuffix(namespace, " --wait"))] = true
		}
	}
	delete(asked, "microsoft.authorization") // is always registered
	assert.Equal(t, asked, registered)

	c.leases(t, repo, s)
}

// shell is a person's at the page: bash, with what the page has exported so far.
type shell struct {
	c    *cloud
	repo string
	env  map[string]string
}

// shell is one in the repository, of the founder of the subscription.
func (c *cloud) shell(repo string) *shell {
	t := c.t
	t.Helper()
	terraform, err := exec.LookPath("terraform")
	require.NoError(t, err, "the page's terraform")
	for _, program := range []string{"bash", "jq", "git"} {
		_, err := exec.LookPath(program)
		require.NoError(t, err, "the page's "+program)
	}
	dagger, err := shared.look("dagger")
	require.NoError(t, err)
	mirror := azureProviders(t)
	rc := filepath.Join(t.TempDir(), "terraform.rc")
	write(t, rc, "provider_installation {\n  filesystem_mirror {\n    path = \""+mirror+"\"\n  }\n}\n")
	env := map[string]string{}
	for _, line := range shared.env {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	for name, value := range map[string]string{
		"PATH":            filepath.Dir(dagger) + ":" + filepath.Dir(terraform) + ":" + os.Getenv("PATH"),
		"AZURE_TENANT_ID": "00000000-0000-4000-8000-000000000001", "AZURE_SUBSCRIPTION_ID": "00000000-0000-4000-8000-000000000002",
		"AZURE_OBJECT_ID":              "00000000-0000-4000-8000-0000000000b1",
		"ACTIONS_ID_TOKEN_REQUEST_URL": "https://github." + azure.Suffix + "/token?api-version=2.0",
		"SLIPWAY_WITH":                 "--terraform " + terraform + " --providers " + mirror,
		"AZURE_CLOUD":                  strings.Join(c.here(), " "),
		"TF_CLI_CONFIG_FILE":           rc,
	} {
		env[name] = value
	}
	return &shell{c: c, repo: repo, env: env}
}

// signedIn is what stands in for az login, for Terraform alone.
func (s *shell) signedIn() []string {
	return []string{
		"HTTPS_PROXY=" + s.c.URL, "SSL_CERT_FILE=" + s.c.ca, "ARM_METADATA_HOSTNAME=" + azure.MetadataHost,
		"ARM_CLIENT_ID=" + founder, "ARM_TENANT_ID=" + s.env["AZURE_TENANT_ID"], "ARM_USE_OIDC=true", "ARM_USE_CLI=false",
		"ARM_OIDC_REQUEST_URL=" + s.env["ACTIONS_ID_TOKEN_REQUEST_URL"], "ARM_OIDC_REQUEST_TOKEN=founding",
	}
}

// jobs are whose tokens a job has that calls as an identity.
var jobs = map[string]string{"$FOUNDER_CLIENT_ID": "founder", "$AZURE_PLAN_DEV": "pull-request", "$AZURE_CLIENT_ID": "dev"}

// run runs a command of the page, and keeps what it exports.
func (s *shell) run(command string) string {
	t := s.c.t
	t.Helper()
	after := filepath.Join(t.TempDir(), "environment")
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", `eval "$1"; env -0 > "$2"`, "bash", command, after)
	cmd.Dir = s.repo
	for name, value := range s.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if strings.Contains(command, "terraform ") && !strings.Contains(command, "dagger ") {
		cmd.Env = append(cmd.Env, s.signedIn()...)
	}
	for variable, job := range jobs {
		if strings.Contains(command, "--client-id \""+variable+"\"") {
			cmd.Env = append(cmd.Env, "ACTIONS_ID_TOKEN_REQUEST_TOKEN="+job)
		}
	}
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.Output()
	require.NoError(t, err, "%s\n%s\n%s", command, out, end(log.String()))
	if name, ok := strings.CutPrefix(command, "export "); ok {
		name, _, _ = strings.Cut(name, "=")
		for line := range strings.SplitSeq(read(t, after), "\x00") {
			if value, ok := strings.CutPrefix(line, name+"="); ok {
				s.env[name] = value
			}
		}
		require.NotEmpty(t, s.env[name], command)
	}
	return string(out)
}

// settle writes the page's settings into slipway.yaml, in the place of what was there,
// and commits them.
func (s *shell) settle(text string) {
	t := s.c.t
	t.Helper()
	file := filepath.Join(s.repo, "slipway.yaml")
	var settings, mine map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(read(t, file)), &settings))
	require.NoError(t, yaml.Unmarshal([]byte(text), &mine))
	for key, value := range mine {
		require.Contains(t, settings, key)
		settings[key] = value
	}
	data, err := yaml.Marshal(settings)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, data, 0o600))
	git(t, s.repo, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qam", "settings")
}

// leases is about the lock of a state in the account.
func (c *cloud) leases(t *testing.T, repo string, s *shell) {
	t.Helper()
	c.options = strings.Fields(s.env["SLIPWAY_WITH"])
	settings := filepath.Join(repo, "slipway.yaml")
	write(t, settings, mended(t, read(t, settings), "lockTimeout: 10m", "lockTimeout: 3s"))
	delivering := c.as(s.env["AZURE_CLIENT_ID"], "dev")
	const held = azureGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/slipway-dev-release/federatedIdentityCredentials/github"
	require.NoError(t, c.Order(azure.Order{Method: http.MethodPut, Path: "slipway-dev-release/federatedIdentityCredentials/", Times: 1, Hold: true}))
	file := filepath.Join(repo, "infra/azure/environments/dev.tfvars.json")
	write(t, file, strings.Replace(read(t, file), `"federated": {`, `"federated": {
    "release": {"github": {"issuer": "`+github+`", "subject": "repo:acme/platform:environment:release"}},`, 1))
	ended := make(chan error, 1)
	go func() {
		_, err := c.infra(repo, delivering, "plan", "check", "apply", "sha-256")
		ended <- err
	}()
	select {
	case <-c.Holding:
	case err := <-ended:
		t.Fatalf("it ended before it was held: %v", err)
	}

	// While it works, another one waits, and is told in the end for whom.
	_, err := c.infra(repo, delivering, "plan", "changes")
	refused(t, err, "plan: infrastructure failure: state lock ", "is held by another run: ", ", Apply, since 2", "wait for that run")
	// What it has left when it is killed is held still.
	require.NoError(t, syscall.Kill(c.applying(), syscall.SIGKILL))
	require.Error(t, <-ended)
	_, err = c.infra(repo, delivering, "plan", "changes")
	refused(t, err, "plan: infrastructure failure: state lock ", "is held by another run: ", "unlock --id ")
	id := regexp.MustCompile(`unlock --id ([0-9a-f-]{36})`).FindStringSubmatch(err.Error())
	require.Len(t, id, 2, err.Error())
	_, err = c.infra(repo, delivering, "unlock", "--id", "00000000-0000-4000-8000-000000000000")
	refused(t, err, "unlock: refused by policy: state lock 00000000-0000-4000-8000-000000000000: is not the one that is held")
	out, err := c.infra(repo, delivering, "unlock", "--id", id[1])
	require.NoError(t, err)
	assert.Equal(t, "azurerm://"+stateAccount+"/tfstate/azure/dev.tfstate\n", out)
	_, err = c.infra(repo, delivering, "unlock", "--id", id[1])
	refused(t, err, "is not held")
	_, err = c.infra(repo, delivering, "plan", "check", "apply", "sha-256")
	require.NoError(t, err)
	assert.NotNil(t, c.Resource(held))

	// Who may not write the state is told so by the storage, and not to try again.
	_, err = c.infra(repo, c.as(jq(t, repo, ".identities.value.release"), "release"), "plan", "changes")
	refused(t, err, "plan: bad input: ", "Storage Blob Data Contributor", "writers of infra/azure-bootstrap")
}

// jq reads a value of the page's outputs.json.
func jq(t *testing.T, repo, filter string) string {
	t.Helper()
	out, err := exec.Command("jq", "-r", filter, filepath.Join(repo, "outputs.json")).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}
