package stage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"slipway/infra/step/code"
	"slipway/infra/step/plan"
	"slipway/infra/step/terraform"
	"slipway/step"
	"slipway/step/result/infra"
)

// PlanOptions are the plan stage's inputs.
type PlanOptions struct {
	Common
	Remote
	// VarFiles are .tfvars or .tfvars.json files; later ones win.
	VarFiles []string
}

// Plan validates the code and plans it against the state. It writes
// plan.File, plan.JSONFile and plan.BindingFile to the output folder, and
// changes nothing else.
func Plan(ctx context.Context, o PlanOptions) (_ *infra.Planned, err error) {
	if err := o.validate(StagePlan); err != nil {
		return nil, err
	}
	varFiles, err := absolute(StagePlan, o.VarFiles)
	if err != nil {
		return nil, err
	}
	state, err := o.reach(ctx, StagePlan)
	if err != nil {
		return nil, err
	}
	w, err := o.open(ctx, StagePlan, state, anyCode, varFiles...)
	if err != nil {
		return nil, err
	}
	defer w.close(&err)
	secrets, err := o.secrets(StagePlan, w)
	if err != nil {
		return nil, err
	}
	varFiles = append(varFiles, secrets...)
	fmt.Fprintf(o.Progress, "plan %s with %s\n", o.Environment, w.Program)
	if err := w.Init(ctx, true); err != nil {
		return nil, err
	}
	if err := w.Validate(ctx); err != nil {
		return nil, err
	}
	// Before the plan: should the state change between the two, the binding
	// names the older one, and the plan is refused later.
	lineage, serial, err := w.State(ctx)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(w.root, plan.File)
	changes, warnings, err := w.Plan(ctx, terraform.KindChanges, file, varFiles)
	if err != nil {
		return nil, err
	}
	full, err := w.Show(ctx, file)
	if err != nil {
		return nil, err
	}
	if err := plan.CheckVariable(StagePlan, full, o.Environment); err != nil {
		return nil, err
	}
	redacted := plan.Redact(full, w.secrets)
	summary, err := plan.Summarize(StagePlan, redacted)
	if err != nil {
		return nil, err
	}
	summary.Changes = changes
	for _, warning := range warnings {
		summary.Warnings = append(summary.Warnings, w.secrets.Text(warning))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	result := &infra.Planned{
		Binding: infra.Binding{
			PlanSHA256: code.Digest(data), CodeSHA256: w.digest, Environment: o.Environment,
			StateAddress: state.Config.Address(), Program: w.Program, Lineage: lineage, Serial: serial,
		},
		Summary: infra.Summary(summary),
	}
	if err := writeFile(o.Out, plan.File, data); err != nil {
		return nil, err
	}
	if err := writeJSON(o.Out, plan.JSONFile, redacted); err != nil {
		return nil, err
	}
	return result, writeJSON(o.Out, plan.BindingFile, result.Binding)
}

// absolute makes the variable files independent of the folder that Terraform
// runs in, and refuses those that aren't there.
func absolute(stage string, files []string) ([]string, error) {
	list := make([]string, len(files))
	for i, file := range files {
		path, err := filepath.Abs(file)
		if err != nil {
			return nil, err
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			return nil, step.Input(stage, "--var-file "+file, "is not a file", "give a .tfvars or .tfvars.json file").Because(err)
		}
		list[i] = path
	}
	return list, nil
}
