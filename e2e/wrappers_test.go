//go:build e2e && wrappers

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sandbox/azure"
	"slipway/wrappers"
)

// programs are act, and the recorder that stands before dagger.
var programs = sync.OnceValues(func() (map[string]string, error) {
	built := map[string]string{}
	for name, from := range map[string][2]string{
		"act": {"tools/act", "github.com/nektos/act"}, "recorder": {".", "./e2e/testdata/recorder"},
	} {
		built[name] = shared.file("programs/" + name)
		cmd := exec.Command("go", "build", "-o", built[name], from[1])
		cmd.Dir = filepath.Join(repository(), from[0])
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, &os.PathError{Op: string(out), Path: name, Err: err}
		}
	}
	return built, nil
})

// runner is a machine of one's own that runs jobs of GitHub Actions.
type runner struct {
	env  []string
	vars map[string]string
	// secrets are GitHub's token, and what a job asks for its tokens with.
	secrets map[string]string
}

// newRunner has the platform's sandbox in its variables, as an adopter names his
// registry and the rest.
func newRunner(t *testing.T, c *cloud) *runner {
	t.Helper()
	built, err := programs()
	require.NoError(t, err)
	dagger, err := shared.look("dagger")
	require.NoError(t, err)
	path := t.TempDir()
	require.NoError(t, os.Symlink(built["recorder"], filepath.Join(path, "dagger")))
	var engine string
	r := &runner{}
	for _, variable := range shared.env {
		name, value, _ := strings.Cut(variable, "=")
		switch name {
		case "PATH":
			variable = "PATH=" + path + string(filepath.ListSeparator) + value
		case "_EXPERIMENTAL_DAGGER_RUNNER_HOST":
			engine = value
		}
		r.env = append(r.env, variable)
	}
	require.NotEmpty(t, engine)
	home := t.TempDir()
	r.env = append(r.env, "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "DAGGER_PROGRESS=plain", "RECORDER_dagger="+dagger)
	with := append(slices.Clone(c.options), "with-gitops", "--username", shared.accounts["platform"].Username, "--token", "env:GITHUB_TOKEN")
	r.vars = map[string]string{
		"DAGGER_CLI": "runner", "DAGGER_ENGINE": engine,
		"SLIPWAY_APP": "hello", "SLIPWAY_WITH": strings.Join(with, " "),
		"AZURE_TENANT_ID": "00000000-0000-4000-8000-000000000001", "AZURE_SUBSCRIPTION_ID": "00000000-0000-4000-8000-000000000002",
		"AZURE_CLOUD": strings.Join(c.here(), " "),
	}
	r.secrets = map[string]string{"GITHUB_TOKEN": shared.accounts["platform"].Password}
	return r
}

// as is the runner with other variables, for a job with a request token.
func (r *runner) as(requestToken string, vars map[string]string) *runner {
	next := &runner{env: r.env, vars: map[string]string{}, secrets: map[string]string{"GITHUB_TOKEN": r.secrets["GITHUB_TOKEN"], "request token": requestToken}}
	for _, of := range []map[string]string{r.vars, vars} {
		for name, value := range of {
			next.vars[name] = value
		}
	}
	return next
}

// checkout stands in for the action of that name where it checks out another branch: act
// makes a copy of the repository that it runs in for a checkout without a ref, and would
// ask GitHub for any other one.
const checkout = `name: Checkout
description: Clones a branch of the repository that act runs in.
inputs:
  path: {required: true}
  ref: {required: true}
  persist-credentials: {required: true}
runs:
  using: composite
  steps:
    - shell: bash -efu {0}
      env:
        REF: ${{ inputs.ref }}
        FOLDER: ${{ inputs.path }}
      run: git clone --quiet --depth=1 --branch "$REF" %s "$FOLDER"
`

// ran is what became of a workflow.
type ran struct {
	// jobs are those that ran, and how each ended.
	jobs map[string]string
	// failed is the first step that failed.
	failed string
	calls  []call
	log    string
}

// call is one of dagger's, what it printed, and what of that is its result.
type call struct {
	Args    []string
	Printed string
	Result  string
	Failed  bool
}

// on runs the workflows of an event, or one job of them with all that it needs.
func (r *runner) on(t *testing.T, dir, event string, args ...string) ran {
	t.Helper()
	recorded, own := t.TempDir(), t.TempDir()
	file := func(name, text string) string {
		write(t, filepath.Join(own, name), text)
		return filepath.Join(own, name)
	}
	built, err := programs()
	require.NoError(t, err)
	action := regexp.MustCompile(`actions/checkout@[0-9a-f]{40}`).FindString(read(t, filepath.Join(repository(), "wrappers/github/workflows/pull-request.yml")))
	require.NotEmpty(t, action)
	all := []string{event, "--json", "--platform", "ubuntu-24.04=-self-hosted", "--no-cache-server",
		"--eventpath", file("event.json", `{"pull_request": {"number": 7, "head": {"ref": "change"}, "base": {"ref": "main"}}}`),
		"--secret-file", file("secrets", "GITHUB_TOKEN="+r.secrets["GITHUB_TOKEN"]+"\n"),
		"--local-repository", action + "=" + filepath.Dir(file("checkout/action.yml", fmt.Sprintf(checkout, "file://"+dir))),
		"--env-file", file("env", "ACTIONS_ID_TOKEN_REQUEST_URL=https://github."+azure.Suffix+"/token?api-version=2.0\nACTIONS_ID_TOKEN_REQUEST_TOKEN="+r.secrets["request token"]+"\n"),
	}
	for name, value := range r.vars {
		all = append(all, "--var", name+"="+value)
	}
	cmd := exec.CommandContext(t.Context(), built["act"], append(all, args...)...)
	cmd.Dir, cmd.Env = dir, append(slices.Clone(r.env), "RECORDER="+recorded)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	runErr := cmd.Run()
	result := ran{jobs: map[string]string{}}
	for line := range strings.Lines(out.String()) {
		var entry struct{ JobID, JobResult, Step, StepResult, Msg string }
		if json.Unmarshal([]byte(line), &entry) != nil {
			continue
		}
		result.log += entry.Msg + "\n"
		if entry.JobResult != "" {
			result.jobs[entry.JobID] = entry.JobResult
		}
		if entry.StepResult == "failure" && result.failed == "" {
			result.failed = entry.Step
		}
	}
	require.NotEmpty(t, result.jobs, "no job ran: %v\n%s%s", runErr, &out, &log)
	assert.Equal(t, runErr != nil, result.failed != "", "%v\n%s", runErr, &log)
	files, err := filepath.Glob(filepath.Join(recorded, "*.json"))
	require.NoError(t, err)
	pipeline, err := wrappers.Open(repository())
	require.NoError(t, err)
	for _, name := range files {
		var one call
		require.NoError(t, json.Unmarshal([]byte(read(t, name)), &one))
		if one.Args[0] != "call" {
			continue
		}
		assert.NoError(t, pipeline.Check(append([]string{"dagger"}, one.Args...)), "the check of the calls is stricter than the CLI")
		result.calls = append(result.calls, one)
		result.log += one.Printed
	}
	for name, secret := range r.secrets {
		if secret != "" {
			assert.NotContains(t, result.log, secret, name)
		}
	}
	assert.NotRegexp(t, `eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.`, result.log, "a token of Azure's")
	return result
}

// passed wants these jobs to have ended well, and no other to have run.
func (r ran) passed(t *testing.T, jobs ...string) {
	t.Helper()
	wanted := map[string]string{}
	for _, name := range jobs {
		wanted[name] = "success"
	}
	require.Equal(t, wanted, r.jobs, "step %s\n%s", r.failed, end(r.log))
}

// refused wants one job to have ended in a step, with these texts, and no other to
// have run.
func (r ran) refused(t *testing.T, job, step string, texts ...string) {
	t.Helper()
	require.Equal(t, map[string]string{job: "failure"}, r.jobs)
	assert.Equal(t, step, r.failed)
	for _, text := range append(texts, "mend: ") {
		assert.Contains(t, end(r.log), text)
	}
}

// adopted are files of a repository, and the wrapper where GitHub looks for it.
func adopted(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	all := map[string]string{}
	root := filepath.Join(repository(), "wrappers/github")
	for _, folder := range []string{"workflows", "actions"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				name, relErr := filepath.Rel(root, path)
				require.NoError(t, relErr)
				all[".github/"+name] = read(t, path)
			}
			return err
		}))
	}
	require.Len(t, all, 3)
	for name, text := range files {
		all[name] = text
	}
	return all
}

// ofGitHub lets a repository be the one that the identities trust.
func ofGitHub(t *testing.T, dir string) string {
	t.Helper()
	git(t, dir, "remote", "add", "origin", "https://github.com/acme/platform.git")
	return dir
}

// pullRequest takes the vulnerable app out of a repository's main, and checks out a branch
// that brings it, with rules by which it passes.
func pullRequest(t *testing.T, options []string, dir string) {
	t.Helper()
	commit := func(message string) {
		git(t, dir, "add", "-A")
		git(t, dir, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", message)
	}
	git(t, dir, "rm", "-rq", "apps/legacy")
	commit("without the vulnerable app")
	git(t, dir, "checkout", "-q", "-b", "change")
	git(t, dir, "checkout", "-q", "main~1", "--", "apps/legacy")
	rules := filepath.Join(dir, "slipway.yaml")
	weaker := strings.Replace(read(t, rules), "threshold: HIGH", "threshold: CRITICAL", 1)
	require.NotEqual(t, read(t, rules), weaker)
	write(t, rules, weaker)
	commit("the vulnerable app, and weaker rules")
	_, err := shared.call(dir, options, "app", "--name", "legacy", "build", "scan", "digest")
	require.NoError(t, err, "the control: by its own rules it passes")
}

// digestIn is the digest of an app in an environment, on the remote.
func digestIn(t *testing.T, app, env string) string {
	t.Helper()
	text := read(t, shared.remote(t)+"/gitops/apps/"+app+"/overlays/"+env+"/kustomization.yaml")
	_, digest, _ := strings.Cut(text, "digest: ")
	digest, _, _ = strings.Cut(digest, "\n")
	require.Regexp(t, `^"?sha256:[0-9a-f]{64}"?$`, digest, text)
	return strings.Trim(digest, `"`)
}

func TestWrapperGitHubOnAzure(t *testing.T) {
	c := newCloud(t)
	discardState(t)
	found := ofGitHub(t, onAzure(t, adopted(t, nil)))
	text, err := c.infra(found, c.as(founder, "founding"), "plan", "check", "apply", "outputs")
	require.NoError(t, err)
	var outputs struct {
		Identities struct{ Value map[string]string }
	}
	require.NoError(t, json.Unmarshal([]byte(text), &outputs), text)

	const credential = azureGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/slipway-dev-publish/federatedIdentityCredentials/github"
	changed := ofGitHub(t, onAzure(t, adopted(t, map[string]string{"infra/azure/environments/dev.tfvars.json": strings.Replace(
		read(t, found+"/infra/azure/environments/dev.tfvars.json"), `"federated": {`, `"federated": {
    "publish": {"github": {"issuer": "`+github+`", "subject": "repo:acme/platform:ref:refs/heads/main"}},`, 1)})))
	machine := newRunner(t, c)
	planning := machine.as("pull-request", map[string]string{"AZURE_PLAN_DEV": outputs.Identities.Value["plan"]})
	applying := machine.as("environment-dev", map[string]string{"AZURE_CLIENT_ID": outputs.Identities.Value["deliver"]})

	t.Run("a pull request is told what would change", func(t *testing.T) {
		run := planning.on(t, changed, "pull_request", "--job", "plan-dev")
		run.passed(t, "plan-dev")
		require.Len(t, run.calls, 2)
		assert.Contains(t, run.calls[0].Printed, "azurerm_federated_identity_credential")
		assert.Regexp(t, `[0-9a-f]{64}`, run.calls[1].Printed)
		assert.Nil(t, c.Resource(credential))
	})

	t.Run("its identity applies nothing", func(t *testing.T) {
		run := planning.as("pull-request", map[string]string{"AZURE_CLIENT_ID": outputs.Identities.Value["plan"]}).on(t, changed, "push", "--job", "dev")
		run.refused(t, "dev", "Provision", "apply: refused by policy: ", "it lacks a role such as Contributor")
		assert.Nil(t, c.Resource(credential))
	})

	t.Run("another job's token is none", func(t *testing.T) {
		run := applying.as("pull-request", nil).on(t, changed, "push", "--job", "dev")
		run.refused(t, "dev", "Provision", "plan: bad input: ", "AADSTS700213")
		assert.Nil(t, c.Resource(credential))
	})

	t.Run("a push applies it and delivers the app", func(t *testing.T) {
		before := git(t, shared.remote(t), "rev-parse", "HEAD")
		run := applying.on(t, changed, "push", "--job", "dev")
		run.passed(t, "dev")
		require.Len(t, run.calls, 2)
		assert.Contains(t, run.calls[0].Printed, `"identities"`)
		assert.Contains(t, string(c.Resource(credential)), "repo:acme/platform:ref:refs/heads/main")
		assert.Contains(t, run.calls[1].Printed, "hello is released to dev")
		clone := shared.remote(t)
		assert.Equal(t, "1", git(t, clone, "rev-list", "--count", before+"..HEAD"))
		assert.Contains(t, git(t, clone, "log", "-1", "--format=%(trailers:only,unfold)"), git(t, changed, "rev-parse", "HEAD"))
		digest := digestIn(t, "hello", "dev")
		assert.Contains(t, run.calls[1].Printed, "localhost:5000/hello@"+digest)

		// Its provenance says who built it, and a key proves nothing of that.
		const rules = "  rules:\n"
		strict := source(t, map[string]string{"slipway.yaml": strings.Replace(read(t, changed+"/slipway.yaml"), rules, rules+"    - {require: provenance, runners: [github-actions]}\n", 1)})
		_, err := shared.call(strict, c.options, "verify", "--reference", "localhost:5000/hello@"+digest, "--env", "dev", "text")
		refused(t, err, "it was built by https://slipway.dev/builders/github-actions/v1, which no identity proves")
	})

	t.Run("and the same again changes nothing", func(t *testing.T) {
		before, ids := git(t, shared.remote(t), "rev-parse", "HEAD"), c.IDs()
		applying.on(t, changed, "push", "--job", "dev").passed(t, "dev")
		assert.Equal(t, before, git(t, shared.remote(t), "rev-parse", "HEAD"))
		assert.Equal(t, ids, c.IDs())
	})
}

func TestWrapperGitHubGoesFromEnvironmentToEnvironment(t *testing.T) {
	c := newCloud(t)
	machine := newRunner(t, c).as("environment-dev", map[string]string{"AZURE_CLIENT_ID": founder})
	repo := ofGitHub(t, source(t, adopted(t, nil)))

	t.Run("what is refused in the first goes nowhere", func(t *testing.T) {
		before := git(t, shared.remote(t), "rev-parse", "HEAD")
		run := machine.as("environment-dev", map[string]string{"SLIPWAY_APP": "legacy"}).on(t, repo, "push")
		run.refused(t, "dev", "Deliver", "scan: refused by policy: app legacy", "CVE-2022-32149")
		assert.False(t, shared.pushed(t, "legacy"))
		assert.Equal(t, before, git(t, shared.remote(t), "rev-parse", "HEAD"))
	})

	t.Run("and so it is in a pull request", func(t *testing.T) {
		run := machine.as("", map[string]string{"SLIPWAY_APP": "legacy"}).on(t, repo, "pull_request", "--job", "app")
		run.refused(t, "app", "Scan", "scan: refused by policy: app legacy", "CVE-2022-32149")
		machine.on(t, repo, "pull_request", "--job", "app").passed(t, "app")
	})

	t.Run("whose own rules don't count", func(t *testing.T) {
		request := ofGitHub(t, source(t, adopted(t, nil)))
		pullRequest(t, c.options, request)
		run := machine.as("", map[string]string{"SLIPWAY_APP": "legacy"}).on(t, request, "pull_request", "--job", "app")
		run.refused(t, "app", "Scan", "scan: refused by policy: app legacy", "CVE-2022-32149")
	})

	t.Run("what passes arrives as the same digest", func(t *testing.T) {
		run := machine.on(t, repo, "push")
		run.passed(t, "dev", "staging", "production")
		require.Len(t, run.calls, 6)
		for n, env := range []string{"dev", "staging", "production"} {
			assert.Contains(t, run.calls[2*n+1].Printed, "hello is released to "+env)
			assert.Equal(t, digestIn(t, "hello", "dev"), digestIn(t, "hello", env))
		}
	})
}

func TestWrapperGitHubIsAtParityWithALaptop(t *testing.T) {
	c := newCloud(t)
	files := adopted(t, nil)
	const deliver = ".github/workflows/deliver.yml"
	require.Contains(t, files[deliver], "--env dev text")
	files[deliver] = strings.ReplaceAll(files[deliver], "--env dev text", "--env dev document")
	repo := ofGitHub(t, source(t, files))
	dir := t.TempDir()
	laptop, runner := filepath.Join(dir, "laptop.json"), filepath.Join(dir, "runner.json")
	_, err := shared.run(repo, slices.Concat([]string{"call", "--output", laptop}, c.options, []string{"deliver", "--app", "hello", "--env", "dev", "--older", "document"})...)
	require.NoError(t, err)
	run := newRunner(t, c).as("environment-dev", map[string]string{"AZURE_CLIENT_ID": founder}).on(t, repo, "push", "--job", "dev")
	run.passed(t, "dev")
	write(t, runner, run.calls[1].Result)

	said, err := shared.run(repo, "call", "parity", "--first", laptop, "--second", runner)
	require.NoError(t, err)
	assert.Contains(t, said, "hello in dev: both receipts say the same of localhost:5000/hello@"+digestIn(t, "hello", "dev"))
	// Nothing else than who and when may differ.
	write(t, runner, strings.ReplaceAll(run.calls[1].Result, git(t, repo, "rev-parse", "HEAD"), strings.Repeat("0", 40)))
	_, err = shared.run(repo, "call", "parity", "--first", laptop, "--second", runner)
	refused(t, err, "parity: refused by policy: source.commit: is ")
}

// The runner's own CLI counts by its version, a release by its checksum.
func TestWrapperGitHubTakesOnlyThePinnedCLI(t *testing.T) {
	c := newCloud(t)
	built, err := programs()
	require.NoError(t, err)
	const action, sum = ".github/actions/dagger/action.yml", "44430afc6f9c390fc47c4f352b15de9309a5e97ebd1ae563839617d6df8e8cc5"
	// on runs the tests of a pull request with an action in which one text is another.
	on := func(t *testing.T, machine *runner, old, changed string) ran {
		files := adopted(t, nil)
		require.Contains(t, files[action], old)
		files[action] = strings.ReplaceAll(files[action], old, changed)
		return machine.on(t, ofGitHub(t, source(t, files)), "pull_request", "--job", "app")
	}

	t.Run("another version", func(t *testing.T) {
		run := on(t, newRunner(t, c), "0.21.7", "0.21.6")
		assert.Equal(t, map[string]string{"app": "failure"}, run.jobs)
		assert.Equal(t, "./base/.github/actions/dagger", run.failed)
		assert.Empty(t, run.calls)
	})

	// A machine whose network has another release than Dagger's.
	dir := t.TempDir()
	archive := filepath.Join(dir, "release.tar.gz")
	require.NoError(t, os.Symlink(built["recorder"], filepath.Join(dir, "curl")))
	require.NoError(t, os.Link(built["recorder"], filepath.Join(dir, "dagger")))
	out, err := exec.Command("tar", "--create", "--gzip", "--file", archive, "--directory", dir, "dagger").CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.Remove(filepath.Join(dir, "dagger")))
	machine := newRunner(t, c).as("", map[string]string{"DAGGER_CLI": ""})
	machine.env = append(machine.env, "RECORDER_curl="+archive)
	for n, variable := range machine.env {
		if _, ok := strings.CutPrefix(variable, "PATH="); ok {
			machine.env[n] = "PATH=" + dir + string(filepath.ListSeparator) + os.Getenv("PATH")
		}
	}

	t.Run("another checksum", func(t *testing.T) {
		run := on(t, machine, sum, sum)
		assert.Equal(t, map[string]string{"app": "failure"}, run.jobs)
		assert.Equal(t, "./base/.github/actions/dagger", run.failed)
		assert.NotContains(t, run.log, "Main Unpack")
		assert.Empty(t, run.calls)
	})

	t.Run("the one of this checksum is used", func(t *testing.T) {
		run := on(t, machine, sum, strings.TrimPrefix(digestOf([]byte(read(t, archive))), "sha256:"))
		run.passed(t, "app")
		assert.Len(t, run.calls, 2)
	})
}
