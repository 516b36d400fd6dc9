package stage

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/infra/step/terraform"
	"slipway/step"
	"slipway/step/result/infra"
)

// What a stage is not given rightly it refuses before it runs anything.
func TestEachStageRefusesWhatItIsGiven(t *testing.T) {
	stages := map[string]func(Common, Remote, []string) (any, error){
		StagePlan: func(c Common, r Remote, vars []string) (any, error) {
			return Plan(t.Context(), PlanOptions{Common: c, Remote: r, VarFiles: vars})
		},
		StageCheck: func(c Common, _ Remote, _ []string) (any, error) {
			return Check(t.Context(), CheckOptions{Common: c, Verdict: "none"})
		},
		StageApply: func(c Common, r Remote, _ []string) (any, error) {
			return Apply(t.Context(), ApplyOptions{Common: c, Remote: r, Plan: "none", Binding: "none"})
		},
		StageDrift: func(c Common, r Remote, vars []string) (any, error) {
			return Drift(t.Context(), DriftOptions{Common: c, Remote: r, VarFiles: vars})
		},
		StageOutput: func(c Common, r Remote, _ []string) (any, error) {
			return ReadOutputs(t.Context(), OutputOptions{Common: c, Remote: r})
		},
		StageUnlock: func(c Common, r Remote, _ []string) (any, error) {
			return Unlock(t.Context(), UnlockOptions{Common: c, Remote: r, ID: "1"})
		},
	}
	s := inClusterOf(t, &site{t: t})
	vars := s.file("vars.tfvars.json", `{}`)
	line := s.file("line", "\r\n")
	withUser := s.file("user.json", `{"address":"https://example.org/state","username":"ci"}`)
	noUser := s.file("nobody.json", `{"address":"https://example.org/state"}`)
	for name, c := range map[string]struct {
		stages        []string
		spoil         func(*Common, *Remote, *[]string)
		input, reason string
	}{
		"no environment":   {slices.Sorted(maps.Keys(stages)), func(c *Common, _ *Remote, _ *[]string) { c.Environment = "" }, `environment ""`, "is not a valid name"},
		"another folder's": {slices.Sorted(maps.Keys(stages)), func(c *Common, _ *Remote, _ *[]string) { c.Environment = "../dev" }, `environment "../dev"`, "is not a valid name"},
		"no state":         {[]string{StagePlan, StageApply, StageDrift, StageOutput, StageUnlock}, func(_ *Common, r *Remote, _ *[]string) { r.BackendConfig = "none" }, "backend config none", "can't be read"},
		"no cluster":       {[]string{StagePlan, StageApply, StageDrift, StageOutput, StageUnlock}, func(_ *Common, r *Remote, _ *[]string) { r.Kubeconfig = "" }, "--kubeconfig", "is missing"},
		"no password":      {[]string{StagePlan, StageUnlock}, func(_ *Common, r *Remote, _ *[]string) { r.BackendConfig, r.PasswordFile = withUser, "none" }, "--backend-password-file none", "can't be read"},
		"an empty one":     {[]string{StagePlan, StageUnlock}, func(_ *Common, r *Remote, _ *[]string) { r.BackendConfig, r.PasswordFile = withUser, line }, "--backend-password-file " + line, "is empty"},
		"half of it":       {[]string{StagePlan, StageUnlock}, func(_ *Common, r *Remote, _ *[]string) { r.BackendConfig = withUser }, "backend credentials", "are not complete"},
		"a password alone": {[]string{StagePlan, StageUnlock}, func(_ *Common, r *Remote, _ *[]string) { r.BackendConfig, r.PasswordFile = noUser, vars }, "backend credentials", "are not complete"},
		"no variables":     {[]string{StagePlan, StageDrift}, func(_ *Common, _ *Remote, v *[]string) { *v = append(*v, "none") }, "", "is not a file"},
		"no verdict":       {[]string{StageCheck}, func(*Common, *Remote, *[]string) {}, "verdict none", "can't be read"},
		"no plan":          {[]string{StageApply}, func(*Common, *Remote, *[]string) {}, "binding none", "can't be read"},
		"no Terraform":     {[]string{StagePlan, StageDrift, StageOutput, StageUnlock}, func(*Common, *Remote, *[]string) {}, "", "is not an executable file"},
	} {
		for _, stage := range c.stages {
			t.Run(name+" "+stage, func(t *testing.T) {
				common := Common{Terraform: "none", Code: t.TempDir(), Environment: "dev", Out: t.TempDir(), Temp: t.TempDir(), Progress: io.Discard, Allowed: `{}`}
				s.write(filepath.Join(common.Code, "main.tf"), "terraform {\n  backend \"http\" {}\n}\n")
				remote, files := s.remote(), []string{vars}
				c.spoil(&common, &remote, &files)
				_, err := stages[stage](common, remote, files)
				fault := wantFault(t, err, stage, step.KindInput, c.reason)
				if c.input != "" {
					assert.Equal(t, c.input, fault.Input)
				}
			})
		}
	}
}

func TestDriftIsOfOneEnvironment(t *testing.T) {
	s := newSite(t)
	s.ready()
	_, err := s.apply("dev")
	require.NoError(t, err)
	s.set("test", "one")
	_, err = Drift(t.Context(), DriftOptions{Common: s.common("dev"), Remote: s.remote(), VarFiles: []string{s.vars}})
	_ = wantFault(t, err, StageDrift, step.KindPolicy, `variable environment is "test"`)
}

func TestOnlyALockIsGivenBack(t *testing.T) {
	for _, id := range []string{"", "-1", "a b", "a\n", "é", strings.Repeat("a", 129)} {
		_, err := Unlock(t.Context(), UnlockOptions{ID: id})
		fault := wantFault(t, err, StageUnlock, step.KindInput, "is not a lock's ID")
		assert.Equal(t, fmt.Sprintf("--id %.80q", id), fault.Input)
	}
	_, err := Unlock(t.Context(), UnlockOptions{ID: strings.Repeat("a", 128)})
	_ = wantFault(t, err, StageUnlock, step.KindInput, "can't be read")
}

func TestSecretVariablesAreAnObject(t *testing.T) {
	s := &site{t: t, temp: t.TempDir()}
	for text, reason := range map[string]string{
		"":              "are not a JSON object with at least one name",
		"{}":            "are not a JSON object with at least one name",
		"[1]":           "are not a JSON object with at least one name",
		`{"a": "b"} c`:  "are not a JSON object with at least one name",
		`{"a": "word"}`: "is Terraform 1.9.8 (sha256:1), which writes every variable into the plan",
	} {
		r := Remote{SecretVarFile: s.file("secret.json", text)}
		_, err := r.secrets(StagePlan, &workspace{Terraform: &terraform.Terraform{Program: infra.Program{Name: "Terraform", Version: "1.9.8", SHA256: "sha256:1"}}})
		fault := wantFault(t, err, StagePlan, step.KindInput, reason)
		assert.NotContains(t, fault.Error(), "word")
	}
	_, err := Remote{SecretVarFile: "none"}.secrets(StagePlan, nil)
	_ = wantFault(t, err, StagePlan, step.KindInput, "can't be read")
}

// A state that Terraform could not store is kept, or it is said that it is not.
func TestWhatIsLeftBehindIsKept(t *testing.T) {
	w := &workspace{dir: t.TempDir()}
	out := filepath.Join(t.TempDir(), "out")
	kept, err := w.keep("errored.tfstate", out)
	require.NoError(t, err)
	assert.False(t, kept)
	assert.NoDirExists(t, out)

	require.NoError(t, os.Mkdir(filepath.Join(w.dir, "folder"), 0o700))
	kept, err = w.keep("folder", out)
	require.Error(t, err)
	assert.False(t, kept)

	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "errored.tfstate"), []byte("{}"), 0o600))
	kept, err = w.keep("errored.tfstate", out)
	require.NoError(t, err)
	assert.True(t, kept)
	data, err := os.ReadFile(filepath.Join(out, "errored.tfstate"))
	require.NoError(t, err)
	assert.Equal(t, "{}", string(data))

	for _, full := range []string{filepath.Join(out, "errored.tfstate"), filepath.Join(t.TempDir(), "full")} {
		require.NoError(t, os.MkdirAll(filepath.Join(filepath.Dir(full), "full", "errored.tfstate"), 0o700))
		_, err = w.keep("errored.tfstate", full)
		require.ErrorContains(t, err, "errored.tfstate")
	}
}
