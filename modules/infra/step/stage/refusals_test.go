package stage

import (
	"io"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
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
	for name, c := range map[string]struct {
		stages        []string
		spoil         func(*Common, *Remote, *[]string)
		input, reason string
	}{
		"no environment":   {slices.Sorted(maps.Keys(stages)), func(c *Common, _ *Remote, _ *[]string) { c.Environment = "" }, `environment ""`, "is not a valid name"},
		"another folder's": {slices.Sorted(maps.Keys(stages)), func(c *Common, _ *Remote, _ *[]string) { c.Environment = "../dev" }, `environment "../dev"`, "is not a valid name"},
		"no state":         {[]string{StagePlan, StageApply, StageDrift, StageOutput, StageUnlock}, func(_ *Common, r *Remote, _ *[]string) { r.BackendConfig = "none" }, "backend config none", "can't be read"},
		"no cluster":       {[]string{StagePlan, StageApply, StageDrift, StageOutput, StageUnlock}, func(_ *Common, r *Remote, _ *[]string) { r.Kubeconfig = "" }, "--kubeconfig", "is missing"},
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
