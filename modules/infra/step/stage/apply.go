package stage

import (
	"context"
	"fmt"

	"slipway/infra/step/plan"
	"slipway/infra/step/policy"
	"slipway/infra/step/terraform"
	"slipway/step"
	"slipway/step/result/infra"
)

// ApplyOptions are the apply stage's inputs.
type ApplyOptions struct {
	Common
	Remote
	// Plan, Binding and Checked are the files of the stages before.
	Plan, Binding, Checked string
}

// Apply applies exactly the plan that was checked. It verifies again that
// plan, binding, verdict, code, environment, Terraform and state belong
// together, and that the plan destroys nothing that wasn't allowed.
//
// After a kill it can be run again: where the plan had begun to take effect,
// it is refused as stale, and a new plan holds what is left to do. A killed
// run may leave the state locked; see Unlock.
func Apply(ctx context.Context, o ApplyOptions) (_ *infra.Applied, err error) {
	if err := o.validate(StageApply); err != nil {
		return nil, err
	}
	state, err := o.reach(ctx, StageApply)
	if err != nil {
		return nil, err
	}
	binding, data, err := bound(StageApply, o.Common, o.Binding, o.Plan)
	if err != nil {
		return nil, err
	}
	var checked plan.Checked
	if err := plan.Read(StageApply, "checked", o.Checked, &checked); err != nil {
		return nil, err
	}
	if err := checked.Check(StageApply, binding); err != nil {
		return nil, err
	}
	w, err := o.open(ctx, StageApply, state, func(digest string) error { return binding.CheckCode(StageApply, digest) })
	if err != nil {
		return nil, err
	}
	defer w.close(&err)
	fmt.Fprintf(o.Progress, "apply the checked plan for %s\n", o.Environment)
	if err := sameProgram(StageApply, w, binding); err != nil {
		return nil, err
	}
	if err := w.Init(ctx, true); err != nil {
		return nil, err
	}
	lineage, serial, err := w.State(ctx)
	if err != nil {
		return nil, err
	}
	if err := binding.CheckState(StageApply, state.Config.Address(), lineage, serial); err != nil {
		return nil, err
	}
	file, err := w.put(data)
	if err != nil {
		return nil, err
	}
	summary, err := w.judge(ctx, StageApply, file, o.Environment)
	if err != nil {
		return nil, err
	}
	if err := policy.Destroys(StageApply, summary.Destroys(), checked.AllowDestroy); err != nil {
		return nil, err
	}
	secrets, err := o.secrets(StageApply, w)
	if err != nil {
		return nil, err
	}
	if err := o.apply(ctx, w, file, secrets, binding); err != nil {
		return nil, err
	}
	result := &infra.Applied{Environment: o.Environment, PlanSHA256: binding.PlanSHA256, Summary: infra.Summary(summary)}
	if result.Outputs, err = w.Outputs(ctx); err != nil {
		return nil, err
	}
	result.Lineage, result.Serial, err = w.State(ctx)
	return result, err
}

func (o ApplyOptions) apply(ctx context.Context, w *workspace, file string, secrets []string, binding plan.Binding) error {
	err := w.Apply(ctx, file, secrets)
	if err == nil {
		return nil
	}
	kept, keepErr := w.keep(terraform.ErrorStateFile, o.Out)
	if keepErr != nil {
		return keepErr
	}
	if kept {
		return step.Infrastructure(StageApply, "state "+binding.StateAddress, "could not be stored after the apply",
			"push "+terraform.ErrorStateFile+" from the output folder with terraform state push, before anything else").Because(err)
	}
	if terraform.IsStale(err) {
		return plan.Stale(StageApply, binding.StateAddress).Because(err)
	}
	return err
}
