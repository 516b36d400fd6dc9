package stage

import (
	"context"
	"fmt"
	"path/filepath"

	"slipway/infra/step/plan"
	"slipway/infra/step/terraform"
	"slipway/step/result/infra"
)

// DriftOptions are the drift stage's inputs.
type DriftOptions struct {
	Common
	Remote
	// VarFiles are the plan's.
	VarFiles []string
}

// Drift compares the objects with the state that the last apply stored, and
// the state with the code. It changes nothing. Drift is its result, not a
// Fault: whoever asks decides what it means.
func Drift(ctx context.Context, o DriftOptions) (_ *infra.DriftReport, err error) {
	if err := o.validate(StageDrift); err != nil {
		return nil, err
	}
	varFiles, err := absolute(StageDrift, o.VarFiles)
	if err != nil {
		return nil, err
	}
	state, err := o.reach(ctx, StageDrift)
	if err != nil {
		return nil, err
	}
	w, err := o.open(ctx, StageDrift, state, anyCode, varFiles...)
	if err != nil {
		return nil, err
	}
	defer w.close(&err)
	secrets, err := o.secrets(StageDrift, w)
	if err != nil {
		return nil, err
	}
	varFiles = append(varFiles, secrets...)
	fmt.Fprintf(o.Progress, "look for drift in %s\n", o.Environment)
	if err := w.Init(ctx, true); err != nil {
		return nil, err
	}
	result := &infra.DriftReport{Environment: o.Environment, StateAddress: state.Config.Address(), Resources: []infra.Drift{}}
	if result.Lineage, result.Serial, err = w.State(ctx); err != nil {
		return nil, err
	}
	file := filepath.Join(w.root, plan.File)
	if _, _, err := w.Plan(ctx, terraform.KindPending, file, varFiles); err != nil {
		return nil, err
	}
	full, err := w.Show(ctx, file)
	if err != nil {
		return nil, err
	}
	if err := plan.CheckVariable(StageDrift, full, o.Environment); err != nil {
		return nil, err
	}
	summary, err := plan.Summarize(StageDrift, plan.Redact(full, w.secrets))
	if err != nil {
		return nil, err
	}
	result.Applied, result.Pending = plan.Applied(full), summary.Pending()
	if !result.Applied {
		return result, nil
	}
	// Terraform's exit code also counts what no resource shows.
	if _, _, err := w.Plan(ctx, terraform.KindDrift, file, varFiles); err != nil {
		return nil, err
	}
	if full, err = w.Show(ctx, file); err != nil {
		return nil, err
	}
	result.Resources = plan.Drifted(full, w.secrets)
	result.Drifted = len(result.Resources) > 0
	return result, nil
}
