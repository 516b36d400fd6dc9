package azureagent

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/wrappers"
)

// dagger stands in for the CLI: it notes its arguments and two secrets, and fails or
// prints when the test says so.
const dagger = `#!/bin/bash
printf '%s\n' "$@" "token=$SYSTEM_ACCESSTOKEN" "in=$(git rev-parse HEAD)" "change=$(git -C ../change rev-parse HEAD 2>/dev/null)" > "$RECORD.$(( $(ls "$RECORD".* 2>/dev/null | wc -l) ))"
while [ $# -gt 0 ]; do if [ "$1" = --output ]; then echo '{"app": "hello"}' > "$2"; fi; shift; done
printf '%s\n' "$PRINTS"
exit "${EXIT:-0}"
`

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=test", "-c", "user.email=test@localhost"}, args...)...).CombinedOutput()
	require.NoError(t, err, string(out))
	return strings.TrimSpace(string(out))
}

// machine is an agent whose dagger is a stand-in, in a project with the wrappers.
func machine(t *testing.T) (*Agent, map[string]wrappers.AzurePipeline) {
	t.Helper()
	dir := t.TempDir()
	var archive bytes.Buffer
	zipped := gzip.NewWriter(&archive)
	files := tar.NewWriter(zipped)
	require.NoError(t, files.WriteHeader(&tar.Header{Name: "dagger", Mode: 0o755, Size: int64(len(dagger))}))
	_, err := files.Write([]byte(dagger))
	require.NoError(t, err)
	require.NoError(t, files.Close())
	require.NoError(t, zipped.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dagger.tar.gz"), archive.Bytes(), 0o600))
	repository := filepath.Join(dir, "repository")
	require.NoError(t, os.CopyFS(repository, os.DirFS("../azure")))
	git(t, repository, "init", "-q", "-b", "main")
	git(t, repository, "add", "-A")
	git(t, repository, "commit", "-qm", "wrappers")
	list, err := wrappers.AzurePipelines("../azure", "../azure")
	require.NoError(t, err)
	pipelines := map[string]wrappers.AzurePipeline{}
	sum := sha256.Sum256(archive.Bytes())
	for _, p := range list {
		p.Variables["DAGGER_ARCHIVE"], p.Variables["DAGGER_SHA256"] = "file://"+filepath.Join(dir, "dagger.tar.gz"), hex.EncodeToString(sum[:])
		p.Variables["SLIPWAY_WITH"] = "--toolbox registry.example/toolbox@sha256:0"
		pipelines[p.File] = p
	}
	return &Agent{
		Dir: dir, Repository: repository, Name: "platform", Commit: git(t, repository, "rev-parse", "HEAD"), Branch: "refs/heads/main",
		Environ: append(os.Environ(), "RECORD="+filepath.Join(dir, "call")), AccessToken: "the job's token", OIDCRequestURI: "https://devops.example/oidctoken",
		Connections: map[string]Connection{
			"slipway-dev-deliver": {ID: "connection-1", ClientID: "client-1", TenantID: "tenant"}, "slipway-staging-deliver": {ID: "connection-2", ClientID: "client-2", TenantID: "tenant"},
			"slipway-dev-plan": {ID: "connection-3", ClientID: "client-3", TenantID: "tenant"}, "slipway-dev-apply": {ID: "connection-4", ClientID: "client-4", TenantID: "tenant"},
		},
		Approved: []string{"dev"},
	}, pipelines
}

// calls are the arguments of each call of dagger.
func (a *Agent) calls(t *testing.T) (all []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(a.Dir, "call.*"))
	require.NoError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		all = append(all, strings.ReplaceAll(strings.TrimSpace(string(data)), "\n", " "))
	}
	return all
}

func TestADeliveryWaitsForTheNextEnvironment(t *testing.T) {
	a, pipelines := machine(t)
	err := a.Run(t.Context(), pipelines["delivery.yml"])
	assert.Equal(t, Waiting{"staging"}, err)
	assert.Equal(t, []string{"dev/deliver_hello"}, a.Done)
	calls := a.calls(t)
	require.Len(t, calls, 1)
	assert.Regexp(t, `^call --output \S+/a/receipt.json --toolbox registry.example/toolbox@sha256:0 `+
		`with-runner --kind AZURE_DEVOPS --invocation https://dev.azure.com/acme/00000000-0000-4000-8000-0000000000ad/_build/results\?buildId=17 `+
		`with-azure --client-id client-1 --tenant-id tenant --subscription-id 00000000-0000-0000-0000-000000000000 `+
		`--token env:SYSTEM_ACCESSTOKEN --request-url https://devops.example/oidctoken --service-connection connection-1 `+
		`with-gitops --token env:SYSTEM_ACCESSTOKEN deliver --app hello --env dev document token=the job's token in=`+a.Commit+` change=$`, calls[0])
	data, err := os.ReadFile(a.Artifacts["receipt-hello-dev"])
	require.NoError(t, err)
	assert.True(t, json.Valid(data))

	a.Approved = []string{"staging"}
	require.NoError(t, a.Run(t.Context(), pipelines["delivery.yml"], "staging"))
	calls = a.calls(t)
	require.Len(t, calls, 2)
	assert.Contains(t, calls[1], "--client-id client-2")
	assert.Contains(t, calls[1], "deliver --app hello --env staging document")
}

func TestInfrastructureIsPlannedBeforeAnybodyApproves(t *testing.T) {
	a, pipelines := machine(t)
	a.Approved = nil
	assert.Equal(t, Waiting{"dev"}, a.Run(t.Context(), pipelines["infrastructure.yml"]))
	a.Approved = []string{"dev"}
	require.NoError(t, a.Run(t.Context(), pipelines["infrastructure.yml"], "apply_dev"))
	calls := a.calls(t)
	require.Len(t, calls, 2)
	assert.Contains(t, calls[0], "--client-id client-3")
	assert.Contains(t, calls[0], "infra --env dev plan check summary")
	assert.Contains(t, calls[1], "--client-id client-4")
	assert.Contains(t, calls[1], "infra --env dev plan check apply outputs")
}

// What judges a pull request's app is main, and has no token; its plan is its own.
func TestChecksAreThoseOfTheBase(t *testing.T) {
	a, pipelines := machine(t)
	main := a.Commit
	git(t, a.Repository, "checkout", "-qb", "change")
	git(t, a.Repository, "commit", "-qm", "change", "--allow-empty")
	a.Branch, a.Commit = "refs/pull/1/merge", git(t, a.Repository, "rev-parse", "HEAD")
	require.NoError(t, a.Run(t.Context(), pipelines["checks.yml"]))
	assert.Equal(t, []string{"checks/test_hello", "checks/scan_hello", "checks/plan_dev"}, a.Done)
	calls := a.calls(t)
	require.Len(t, calls, 3)
	const judged = "call -m ../base --toolbox registry.example/toolbox@sha256:0 with-app --name hello --checkout ../change app --name hello "
	by := " token= in=" + main + " change=" + a.Commit
	assert.Equal(t, judged+"test"+by, calls[0])
	assert.Equal(t, judged+"build scan digest"+by, calls[1])
	assert.Contains(t, calls[2], "infra --env dev plan check summary token=the job's token in="+a.Commit)
}

func TestARepositoryThatTheProjectLacksIsRefused(t *testing.T) {
	a, pipelines := machine(t)
	a.Name = "other"
	assert.ErrorContains(t, a.Run(t.Context(), pipelines["checks.yml"]), `the project has no repository for "base"`)
	assert.Empty(t, a.calls(t))
}

func TestAnotherBranchDeliversNothing(t *testing.T) {
	a, pipelines := machine(t)
	a.Branch = "refs/heads/other"
	require.NoError(t, a.Run(t.Context(), pipelines["delivery.yml"]))
	assert.Empty(t, a.Done)
	assert.Empty(t, a.calls(t))
}

func TestARefusalEndsTheRun(t *testing.T) {
	a, pipelines := machine(t)
	a.Environ = append(a.Environ, "EXIT=1", "PRINTS=scan: refused by policy: app hello")
	a.Approved = []string{"dev", "staging", "production"}
	err := a.Run(t.Context(), pipelines["delivery.yml"])
	assert.ErrorContains(t, err, "dev/deliver_hello: templates/deliver.yml:")
	assert.ErrorContains(t, err, "scan: refused by policy: app hello")
	assert.Len(t, a.calls(t), 1)
	assert.Empty(t, a.Artifacts)
	assert.Empty(t, a.Done)
}

func TestADaggerOfAnotherHashDoesNotRun(t *testing.T) {
	a, pipelines := machine(t)
	p := pipelines["delivery.yml"]
	p.Variables["DAGGER_SHA256"] = strings.Repeat("0", 64)
	err := a.Run(t.Context(), p)
	assert.ErrorContains(t, err, "templates/cli.yml:")
	assert.ErrorContains(t, err, "did NOT match")
	assert.Empty(t, a.calls(t))
}

func TestAServiceConnectionThatIsNotThePipelinesIsRefused(t *testing.T) {
	a, pipelines := machine(t)
	delete(a.Connections, "slipway-dev-deliver")
	assert.ErrorContains(t, a.Run(t.Context(), pipelines["delivery.yml"]), `may not use service connection "slipway-dev-deliver"`)
	assert.Empty(t, a.calls(t))
}

// What an app prints comes to the agent with what dagger prints.
func TestAnAppCannotCommandTheAgent(t *testing.T) {
	a, pipelines := machine(t)
	const hostile = "12 : ##vso[task.setvariable variable=DAGGER_SHA256]evil\n##VSO[artifact.upload artifactname=a]/etc/passwd\n##vso[build.updatebuildnumber]1\n##vso[task.logissue type=warning]hello"
	a.Environ = append(a.Environ, "PRINTS="+hostile)
	require.NoError(t, a.Run(t.Context(), pipelines["checks.yml"], "checks"))
	obeyed := map[string]bool{}
	for _, c := range a.Commands {
		obeyed[c.Name] = c.Obeyed
	}
	assert.Equal(t, map[string]bool{"task.setvariable": false, "artifact.upload": false, "build.updatebuildnumber": false, "task.logissue": true}, obeyed)

	// An agent that nothing restricts obeys.
	p := pipelines["checks.yml"]
	for _, job := range p.Stages[0].Jobs {
		for n := range job.Steps {
			job.Steps[n].Target = nil
		}
	}
	a.Commands = nil
	require.NoError(t, a.Run(t.Context(), p))
	for _, c := range a.Commands {
		assert.True(t, c.Obeyed, c.Name)
	}
	assert.NotEmpty(t, a.Commands)
}
