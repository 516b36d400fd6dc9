package stage

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/infra/step/code"
	"slipway/infra/step/plan"
	"slipway/step"
	"slipway/step/reach"
	"slipway/step/result/infra"
)

const (
	secret = "correct-horse"
	path   = "/state/local/dev"
	root   = `
terraform {
  backend "http" {}
}

variable "environment" {
  type = string
}

variable "value" {
  type = string
}

variable "secret" {
  type      = string
  sensitive = true
}

resource "terraform_data" "a" {
  input            = var.value
  triggers_replace = var.environment
}

resource "terraform_data" "b" {
  input = var.secret
}

output "a" {
  value = terraform_data.a.output
}

output "secret" {
  value     = var.secret
  sensitive = true
}
`
)

// executable is what the tests drive: Terraform or OpenTofu.
var executable = flag.String("terraform", "", "executable of Terraform or OpenTofu; the machine's terraform when absent")

// site is one checkout with a state server: what a pipeline run works with.
type site struct {
	t         *testing.T
	server    *stateServer
	terraform string
	code      string
	root      string
	temp      string
	backend   string
	vars      string
	verdict   string
	allowed   string
	out       string
	progress  bytes.Buffer
}

func newSite(t *testing.T) *site {
	t.Helper()
	terraform := *executable
	if terraform == "" {
		var err error
		if terraform, err = exec.LookPath("terraform"); err != nil {
			t.Skip("no terraform executable on this machine; -terraform names another")
		}
	}
	s := &site{t: t, server: newStateServer(t), terraform: terraform, code: t.TempDir(), temp: t.TempDir(), out: t.TempDir()}
	s.write(filepath.Join(s.code, "main.tf"), root)
	s.backend = s.file("backend.json", `{"address":"http://localhost:3333`+path+`"}`)
	s.allowed = `{"providers":{"registry.terraform.io/hashicorp/random":[],"registry.terraform.io/hashicorp/azurerm":[],"registry.opentofu.org/hashicorp/azurerm":[]},"data":[],"provisioners":["local-exec"]}`
	s.set("dev", "one")
	return s
}

func (s *site) write(file, text string) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(file, []byte(text), 0o600))
}

func (s *site) file(name, text string) string {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), name)
	s.write(file, text)
	return file
}

// set chooses the variables of the next plan.
func (s *site) set(environment, value string) {
	s.vars = s.file("vars.tfvars.json", `{"environment":"`+environment+`","value":"`+value+`","secret":"`+secret+`"}`)
}

func (s *site) common(env string) Common {
	return Common{Allowed: s.allowed, Terraform: s.terraform, Code: s.code, Root: s.root, Environment: env, Out: s.out, Temp: s.temp, Progress: &s.progress}
}

func (s *site) remote() Remote {
	return Remote{BackendConfig: s.backend, Connect: reach.Connections{"localhost:3333": s.server.address()}}
}

func (s *site) plan(env string) (*infra.Planned, error) {
	return Plan(context.Background(), PlanOptions{Common: s.common(env), Remote: s.remote(), VarFiles: []string{s.vars}})
}

func (s *site) check(env string, allowDestroy bool) (*infra.CheckedPlan, error) {
	verdict := s.verdict
	if verdict == "" {
		verdict = s.judged()
	}
	return Check(context.Background(), CheckOptions{
		Common: s.common(env), Plan: filepath.Join(s.out, plan.File), Binding: filepath.Join(s.out, plan.BindingFile),
		Verdict: verdict, AllowDestroy: allowDestroy,
	})
}

// judged is the policy's verdict on the code that was planned.
func (s *site) judged() string {
	s.t.Helper()
	var b plan.Binding
	require.NoError(s.t, plan.Read("check", "binding", filepath.Join(s.out, plan.BindingFile), &b))
	data, err := json.Marshal(plan.Judged{CodeSHA256: b.CodeSHA256, PolicyDigest: code.Digest([]byte("policy")), Threshold: "HIGH"})
	require.NoError(s.t, err)
	return s.file("verdict.json", string(data))
}

func (s *site) applyOptions(env string) ApplyOptions {
	return ApplyOptions{
		Common: s.common(env), Remote: s.remote(), Plan: filepath.Join(s.out, plan.File),
		Binding: filepath.Join(s.out, plan.BindingFile), Checked: filepath.Join(s.out, plan.CheckedFile),
	}
}

func (s *site) apply(env string) (*infra.Applied, error) {
	return Apply(context.Background(), s.applyOptions(env))
}

// ready plans and checks.
func (s *site) ready() {
	s.t.Helper()
	_, err := s.plan("dev")
	require.NoError(s.t, err)
	_, err = s.check("dev", true)
	require.NoError(s.t, err)
}

// clone is the same site, its state server included, with a checkout and an
// output folder of its own.
func (s *site) clone(t *testing.T) *site {
	t.Helper()
	c := &site{
		t: t, server: s.server, terraform: s.terraform, code: t.TempDir(), temp: s.temp, allowed: s.allowed,
		backend: s.backend, vars: s.vars, verdict: s.verdict, out: t.TempDir(),
	}
	require.NoError(t, os.CopyFS(c.code, os.DirFS(s.code)))
	require.NoError(t, os.CopyFS(c.out, os.DirFS(s.out)))
	return c
}

func wantFault(t *testing.T, err error, stage string, kind step.Kind, reason string) *step.Fault {
	t.Helper()
	f, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, kind, f.Kind, "%v", f)
	assert.Equal(t, stage, f.Stage)
	assert.Contains(t, f.Reason, reason)
	assert.NotEmpty(t, f.Mend)
	assert.NotContains(t, f.Error(), secret)
	return f
}

func TestPlanCheckApplyAndThenNoChange(t *testing.T) {
	s := newSite(t)
	planned, err := s.plan("dev")
	require.NoError(t, err)
	assert.True(t, planned.Summary.Changes)
	assert.Equal(t, 2, planned.Summary.Create)
	assert.Equal(t, "http://localhost:3333"+path, planned.Binding.StateAddress)
	assert.Equal(t, "dev", planned.Binding.Environment)
	assert.Empty(t, planned.Binding.Lineage)
	assert.Empty(t, s.server.state(path), "a plan changes nothing")

	checked, err := s.check("dev", false)
	require.NoError(t, err)
	assert.Equal(t, planned.Binding.PlanSHA256, checked.Checked.PlanSHA256)
	assert.Equal(t, planned.Summary.Resources, checked.Summary.Resources, "the check reads the plan itself")

	applied, err := s.apply("dev")
	require.NoError(t, err)
	assert.Equal(t, planned.Binding.PlanSHA256, applied.PlanSHA256)
	assert.JSONEq(t, `"one"`, string(applied.Outputs["a"].Value))
	assert.True(t, applied.Outputs["secret"].Sensitive)
	assert.Nil(t, applied.Outputs["secret"].Value)
	assert.NotEmpty(t, applied.Lineage)
	assert.EqualValues(t, 1, applied.Serial)

	again, err := s.plan("dev")
	require.NoError(t, err)
	assert.False(t, again.Summary.Changes)
	assert.Equal(t, 2, again.Summary.NoOp)
	assert.Equal(t, applied.Lineage, again.Binding.Lineage)

	outputs, err := ReadOutputs(context.Background(), OutputOptions{Common: s.common("dev"), Remote: s.remote()})
	require.NoError(t, err)
	assert.Equal(t, applied.Outputs, outputs.Outputs)

	assert.NotContains(t, s.server.state(path), s.server.address(), "the state does not know where it was reached")
	assert.False(t, s.server.locked(path))
	left, err := os.ReadDir(s.temp)
	require.NoError(t, err)
	assert.Empty(t, left, "no working copy is left")
}

func TestNoSecretIsWrittenBesideThePlanFile(t *testing.T) {
	s := newSite(t)
	s.ready()
	applied, err := s.apply("dev")
	require.NoError(t, err)
	s.set("dev", "two")
	planned, err := s.plan("dev")
	require.NoError(t, err)
	for name, value := range map[string]any{"plan": planned, "apply": applied} {
		data, err := json.Marshal(value)
		require.NoError(t, err)
		assert.NotContains(t, string(data), secret, name)
	}
	for _, name := range []string{plan.JSONFile, plan.BindingFile, plan.CheckedFile} {
		data, err := os.ReadFile(filepath.Join(s.out, name))
		require.NoError(t, err)
		assert.NotContains(t, string(data), secret, name)
	}
	assert.NotContains(t, s.progress.String(), secret)
}

func TestPlanRefusals(t *testing.T) {
	t.Run("invalid code", func(t *testing.T) {
		s := newSite(t)
		s.write(filepath.Join(s.code, "more.tf"), "\nresource \"terraform_data\" \"c\" {\n  nonsense = 1\n}\n")
		_, err := s.plan("dev")
		f := wantFault(t, err, "plan", step.KindInput, "Unsupported argument")
		assert.Equal(t, "more.tf:3", f.Input)
		assert.Contains(t, f.Details[0], "more.tf:3: Unsupported argument")
		assert.Equal(t, "take nonsense out, or write it as this version of the provider calls it", f.Mend)
	})
	t.Run("code that does not parse", func(t *testing.T) {
		s := newSite(t)
		s.write(filepath.Join(s.code, "more.tf"), "resource {{\n")
		_, err := s.plan("dev")
		f := wantFault(t, err, "plan", step.KindInput, "")
		assert.Contains(t, f.Error(), "more.tf:1")
	})
	t.Run("a provider without a lock file", func(t *testing.T) {
		s := newSite(t)
		s.write(filepath.Join(s.code, "more.tf"), "terraform {\n  required_providers {\n    random = {\n      source = \"hashicorp/random\"\n    }\n  }\n}\n")
		_, err := s.plan("dev")
		f := wantFault(t, err, "plan", step.KindInput, "is missing, but the code needs providers")
		assert.Equal(t, "code .terraform.lock.hcl", f.Input)
	})
	t.Run("another backend", func(t *testing.T) {
		s := newSite(t)
		s.write(filepath.Join(s.code, "main.tf"), strings.Replace(root, `backend "http" {}`, `backend "local" {}`, 1))
		_, err := s.plan("dev")
		_ = wantFault(t, err, "plan", step.KindInput, `declares the backend "local"`)
	})
	t.Run("an override", func(t *testing.T) {
		s := newSite(t)
		s.write(filepath.Join(s.code, "slipway_override.tf.json"), `{"terraform":{"backend":{"local":{}}}}`)
		_, err := s.plan("dev")
		_ = wantFault(t, err, "plan", step.KindInput, "is an override file")
	})
	t.Run("a missing variable", func(t *testing.T) {
		s := newSite(t)
		s.vars = s.file("v.tfvars.json", `{"environment":"dev","value":"x"}`)
		_, err := s.plan("dev")
		f := wantFault(t, err, "plan", step.KindInput, "No value for required variable")
		assert.Regexp(t, `^main\.tf:\d+$`, f.Input)
	})
	t.Run("no variable file", func(t *testing.T) {
		s := newSite(t)
		s.vars = filepath.Join(s.temp, "none")
		_, err := s.plan("dev")
		_ = wantFault(t, err, "plan", step.KindInput, "is not a file")
	})
	t.Run("another environment's variables", func(t *testing.T) {
		s := newSite(t)
		_, err := s.plan("production")
		_ = wantFault(t, err, "plan", step.KindPolicy, `variable environment is "dev"`)
	})
	t.Run("a precondition", func(t *testing.T) {
		s := newSite(t)
		s.write(filepath.Join(s.code, "more.tf"), "resource \"terraform_data\" \"c\" {\n  lifecycle {\n    precondition {\n      condition     = var.value == \"never\"\n      error_message = \"Not so.\"\n    }\n  }\n}\n")
		_, err := s.plan("dev")
		f := wantFault(t, err, "plan", step.KindPolicy, "Resource precondition failed")
		assert.Contains(t, f.Details[0], "Not so.")
	})
	t.Run("absent terraform", func(t *testing.T) {
		s := newSite(t)
		s.terraform = filepath.Join(s.temp, "none")
		_, err := s.plan("dev")
		_ = wantFault(t, err, "plan", step.KindInput, "is not an executable file")
	})
	t.Run("a username without a password", func(t *testing.T) {
		s := newSite(t)
		s.backend = s.file("b.json", `{"address":"http://localhost:3333`+path+`","username":"ci"}`)
		_, err := s.plan("dev")
		_ = wantFault(t, err, "plan", step.KindInput, "are not complete")
	})
}

func TestPlanTriesAFailingBackendThreeTimes(t *testing.T) {
	s := newSite(t)
	s.server.set(func(*http.Request) int { return 503 })
	_, err := s.plan("dev")
	_ = wantFault(t, err, "plan", step.KindInfrastructure, "Error refreshing state")
	assert.ErrorContains(t, err, "giving up after 3 attempt(s)")
	assert.Equal(t, []string{"GET", "GET", "GET"}, s.server.seen)
	assert.NoFileExists(t, filepath.Join(s.out, plan.File))
}

func TestBackendPasswordReachesTheServerAndNoFile(t *testing.T) {
	s := newSite(t)
	s.backend = s.file("b.json", `{"address":"http://localhost:3333`+path+`","username":"ci"}`)
	remote := s.remote()
	remote.PasswordFile = s.file("password", "open-sesame\n")
	_, err := Plan(context.Background(), PlanOptions{Common: s.common("dev"), Remote: remote, VarFiles: []string{s.vars}})
	require.NoError(t, err)
	assert.Equal(t, map[string]bool{"Basic Y2k6b3Blbi1zZXNhbWU=": true}, s.server.auth)
	saved, err := zip.OpenReader(filepath.Join(s.out, plan.File))
	require.NoError(t, err)
	defer func() { _ = saved.Close() }()
	assert.NotEmpty(t, saved.File)
	for _, f := range saved.File {
		r, err := f.Open()
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		assert.NotContains(t, string(data), "open-sesame", f.Name)
		assert.NotContains(t, string(data), s.server.address(), f.Name)
	}
}

func TestCheckRefusals(t *testing.T) {
	s := newSite(t)
	s.ready()
	_, err := s.apply("dev")
	require.NoError(t, err)

	s.write(filepath.Join(s.code, "main.tf"), strings.Replace(root, "resource \"terraform_data\" \"b\" {\n  input = var.secret\n}\n", "", 1))
	planned, err := s.plan("dev")
	require.NoError(t, err)
	assert.Equal(t, 1, planned.Summary.Delete)

	_, err = s.check("dev", false)
	f := wantFault(t, err, "check", step.KindPolicy, "destroys, replaces or forgets existing resources: 1")
	assert.Equal(t, []string{"terraform_data.b (delete)"}, f.Details)
	assert.NoFileExists(t, filepath.Join(s.out, plan.CheckedFile), "an earlier verdict does not outlive a refusal")
	_, err = s.check("dev", true)
	require.NoError(t, err)

	s.verdict = s.file("other.json", `{"codeSha256":"`+code.Digest([]byte("other"))+`","policyDigest":"`+code.Digest([]byte("policy"))+`","threshold":"HIGH"}`)
	_, err = s.check("dev", true)
	_ = wantFault(t, err, "check", step.KindPolicy, "is not what the policy has judged")
	s.verdict = s.file("findings.json", `[]`)
	_, err = s.check("dev", true)
	_ = wantFault(t, err, "check", step.KindInput, "cannot unmarshal array")
	s.verdict = filepath.Join(s.out, "none")
	_, err = s.check("dev", true)
	_ = wantFault(t, err, "check", step.KindInput, "can't be read")
	assert.NoFileExists(t, filepath.Join(s.out, plan.CheckedFile), "nobody has judged the code")
	s.verdict = ""

	_, err = s.check("staging", true)
	_ = wantFault(t, err, "check", step.KindPolicy, "is not the one that was planned: dev")

	s.write(filepath.Join(s.code, "more.tf"), "# more\n")
	_, err = s.check("dev", true)
	_ = wantFault(t, err, "check", step.KindPolicy, "is not the code that was planned")
	require.NoError(t, os.Remove(filepath.Join(s.code, "more.tf")))

	flip(t, filepath.Join(s.out, plan.File))
	_, err = s.check("dev", true)
	_ = wantFault(t, err, "check", step.KindPolicy, "is not the plan that was bound")
}

// flip changes one byte in the middle of a file.
func flip(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(file, data, 0o600))
}

// edit changes one of the JSON files of the stages.
func edit(t *testing.T, file string, change func(map[string]any)) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(data, &doc))
	change(doc)
	data, err = json.Marshal(doc)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, data, 0o600))
}

func TestApplyRefusesAndChangesNothing(t *testing.T) {
	ready := newSite(t)
	ready.ready()
	for name, c := range map[string]struct {
		spoil  func(*testing.T, *site, *ApplyOptions)
		kind   step.Kind
		reason string
	}{
		"a plan changed after its check": {func(t *testing.T, s *site, _ *ApplyOptions) {
			flip(t, filepath.Join(s.out, plan.File))
		}, step.KindPolicy, "is not the plan that was bound"},
		"a plan changed with its binding": {func(t *testing.T, s *site, _ *ApplyOptions) {
			s.set("dev", "other")
			_, err := s.plan("dev")
			require.NoError(t, err)
		}, step.KindPolicy, "is not what was checked"},
		"other code": {func(t *testing.T, s *site, _ *ApplyOptions) {
			s.write(filepath.Join(s.code, "more.tf"), "# more\n")
		}, step.KindPolicy, "is not the code that was planned"},
		"another environment": {func(_ *testing.T, _ *site, o *ApplyOptions) {
			o.Environment = "production"
		}, step.KindPolicy, "is not the one that was planned: dev"},
		"another environment in all files": {func(t *testing.T, s *site, o *ApplyOptions) {
			o.Environment = "production"
			for _, name := range []string{plan.BindingFile, plan.CheckedFile} {
				edit(t, filepath.Join(s.out, name), func(doc map[string]any) { doc["environment"] = "production" })
			}
		}, step.KindPolicy, `variable environment is "dev"`},
		"another state": {func(_ *testing.T, s *site, o *ApplyOptions) {
			o.BackendConfig = s.file("b.json", `{"address":"http://localhost:3333/state/local/staging"}`)
		}, step.KindPolicy, "is not the state that was planned on"},
		"no verdict": {func(t *testing.T, s *site, _ *ApplyOptions) {
			require.NoError(t, os.Remove(filepath.Join(s.out, plan.CheckedFile)))
		}, step.KindInput, "can't be read"},
		"another Terraform": {func(t *testing.T, s *site, _ *ApplyOptions) {
			edit(t, filepath.Join(s.out, plan.BindingFile), func(doc map[string]any) { doc["program"].(map[string]any)["version"] = "1.10.0" })
		}, step.KindInput, "is not the program that planned: "},
		"another file of the same version": {func(t *testing.T, s *site, _ *ApplyOptions) {
			edit(t, filepath.Join(s.out, plan.BindingFile), func(doc map[string]any) { doc["program"].(map[string]any)["sha256"] = "sha256:0" })
		}, step.KindInput, "is not the program that planned: "},
		"a lock that is held": {func(_ *testing.T, s *site, _ *ApplyOptions) {
			s.server.lock(path, "abc-1")
			s.t.Cleanup(func() { s.server.unlock(path) })
		}, step.KindInfrastructure, "is held by another run"},
	} {
		t.Run(name, func(t *testing.T) {
			s := ready.clone(t)
			o := s.applyOptions("dev")
			c.spoil(t, s, &o)
			_, err := Apply(context.Background(), o)
			_ = wantFault(t, err, "apply", c.kind, c.reason)
			assert.Empty(t, s.server.state(path))
			assert.Empty(t, s.server.state("/state/local/staging"))
		})
	}
}

func TestApplyRefusesADestroyThatTheVerdictDoesNotAllow(t *testing.T) {
	s := newSite(t)
	s.ready()
	_, err := s.apply("dev")
	require.NoError(t, err)
	s.write(filepath.Join(s.code, "main.tf"), strings.Replace(root, "triggers_replace = var.environment", `triggers_replace = "other"`, 1))
	s.ready()
	edit(t, filepath.Join(s.out, plan.CheckedFile), func(doc map[string]any) { doc["allowDestroy"] = false })
	before := s.server.state(path)
	_, err = s.apply("dev")
	f := wantFault(t, err, "apply", step.KindPolicy, "destroys, replaces or forgets")
	assert.Equal(t, []string{"terraform_data.a (delete, create)"}, f.Details)
	assert.Equal(t, before, s.server.state(path))
}

func TestAppliedPlanIsStale(t *testing.T) {
	s := newSite(t)
	s.ready()
	_, err := s.apply("dev")
	require.NoError(t, err)
	before := s.server.state(path)
	_, err = s.apply("dev")
	f := wantFault(t, err, "apply", step.KindPolicy, "has changed since the plan was made")
	assert.Contains(t, f.Mend, "plan again")
	assert.Equal(t, before, s.server.state(path))

	// Terraform says so itself when the state moves after our own look.
	edit(t, filepath.Join(s.out, plan.BindingFile), func(doc map[string]any) {
		var state struct{ Lineage string }
		require.NoError(t, json.Unmarshal([]byte(before), &state))
		doc["lineage"], doc["serial"] = state.Lineage, 1
	})
	_, err = s.apply("dev")
	_ = wantFault(t, err, "apply", step.KindPolicy, "has changed since the plan was made")
	assert.Equal(t, before, s.server.state(path))
}

func TestRacingAppliesOfOnePlan(t *testing.T) {
	s := newSite(t)
	s.ready()
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i := range errs {
		o := s.applyOptions("dev")
		o.Out, o.Progress, o.LockTimeout = t.TempDir(), &bytes.Buffer{}, time.Minute
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, errs[i] = Apply(context.Background(), o)
		}()
	}
	wg.Wait()
	if errs[0] != nil {
		errs[0], errs[1] = errs[1], errs[0]
	}
	require.NoError(t, errs[0])
	_ = wantFault(t, errs[1], "apply", step.KindPolicy, "has changed since the plan was made")
	assert.False(t, s.server.locked(path))
}

func TestStateThatCanNotBeStoredIsKept(t *testing.T) {
	s := newSite(t)
	s.ready()
	s.server.set(func(r *http.Request) int {
		if r.Method == http.MethodPost {
			return http.StatusInternalServerError
		}
		return 0
	})
	_, err := s.apply("dev")
	f := wantFault(t, err, "apply", step.KindInfrastructure, "could not be stored after the apply")
	assert.Contains(t, f.Mend, "errored.tfstate")
	data, err := os.ReadFile(filepath.Join(s.out, "errored.tfstate"))
	require.NoError(t, err)
	assert.Contains(t, string(data), "terraform_data")
}

func TestUnlockGivesBackTheLockOfAKilledRun(t *testing.T) {
	s := newSite(t)
	s.ready()
	s.server.lock(path, "abc-1")
	_, err := s.apply("dev")
	f := wantFault(t, err, "apply", step.KindInfrastructure, "is held by another run")
	assert.Contains(t, f.Mend, "unlock --id abc-1")

	_, err = Unlock(context.Background(), UnlockOptions{Remote: s.remote(), ID: "abc-2"})
	_ = wantFault(t, err, "unlock", step.KindPolicy, "is not the one that is held")
	got, err := Unlock(context.Background(), UnlockOptions{Remote: s.remote(), ID: "abc-1"})
	require.NoError(t, err)
	assert.Equal(t, &infra.Unlocked{StateAddress: "http://localhost:3333" + path, ID: "abc-1"}, got)
	_, err = s.apply("dev")
	assert.NoError(t, err)
}

func TestOutputsOfNoState(t *testing.T) {
	s := newSite(t)
	_, err := ReadOutputs(context.Background(), OutputOptions{Common: s.common("dev"), Remote: s.remote()})
	_ = wantFault(t, err, "output", step.KindInput, "does not exist yet")
}
