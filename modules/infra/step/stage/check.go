package stage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"slipway/infra/step/plan"
	"slipway/infra/step/policy"
	"slipway/step"
	"slipway/step/result/infra"
)

// CheckOptions are the check stage's inputs.
type CheckOptions struct {
	Common
	// Plan and Binding are the plan stage's files.
	Plan, Binding string
	// Verdict is the file of the policy's verdict on the code: a plan.Judged.
	Verdict string
	// AllowDestroy is the explicit yes to destroys, replacements and forgets.
	AllowDestroy bool
}

// Check decides whether a plan may be applied. It reads the actions from the
// plan file itself, not from what was said about it. When it may be, it writes
// plan.CheckedFile to the output folder.
func Check(ctx context.Context, o CheckOptions) (_ *infra.CheckedPlan, err error) {
	// A verdict of an earlier run must not outlive a refusal.
	if err := os.RemoveAll(filepath.Join(o.Out, plan.CheckedFile)); err != nil {
		return nil, err
	}
	if err := o.validate(StageCheck); err != nil {
		return nil, err
	}
	var judged plan.Judged
	if err := plan.Read(StageCheck, "verdict", o.Verdict, &judged); err != nil {
		return nil, err
	}
	binding, data, err := bound(StageCheck, o.Common, o.Binding, o.Plan)
	if err != nil {
		return nil, err
	}
	if err := judged.Check(StageCheck, binding); err != nil {
		return nil, err
	}
	w, err := o.open(ctx, StageCheck, nil, func(digest string) error { return binding.CheckCode(StageCheck, digest) })
	if err != nil {
		return nil, err
	}
	defer w.close(&err)
	fmt.Fprintf(o.Progress, "check the plan for %s\n", o.Environment)
	if err := sameProgram(StageCheck, w, binding); err != nil {
		return nil, err
	}
	if err := w.Init(ctx, false); err != nil {
		return nil, err
	}
	file, err := w.put(data)
	if err != nil {
		return nil, err
	}
	summary, err := w.judge(ctx, StageCheck, file, o.Environment)
	if err != nil {
		return nil, err
	}
	if err := policy.Destroys(StageCheck, summary.Destroys(), o.AllowDestroy); err != nil {
		return nil, err
	}
	result := &infra.CheckedPlan{
		Checked: infra.Checked{
			PlanSHA256: binding.PlanSHA256, CodeSHA256: binding.CodeSHA256, Environment: binding.Environment,
			StateAddress: binding.StateAddress, AllowDestroy: o.AllowDestroy, Destroys: summary.Destroys(),
			PolicyDigest: judged.PolicyDigest, Threshold: judged.Threshold,
		},
		Summary: infra.Summary(summary),
	}
	return result, writeJSON(o.Out, plan.CheckedFile, result.Checked)
}

// bound reads a plan and its binding, and proves that they belong to each
// other and to the environment.
func bound(stage string, c Common, bindingFile, planFile string) (plan.Binding, []byte, error) {
	var b plan.Binding
	if err := plan.Read(stage, "binding", bindingFile, &b); err != nil {
		return b, nil, err
	}
	if err := b.CheckEnvironment(stage, c.Environment); err != nil {
		return b, nil, err
	}
	data, err := b.ReadPlan(stage, planFile)
	return b, data, err
}

// judge summarizes a plan file from its own bytes.
func (w *workspace) judge(ctx context.Context, stage, file, env string) (plan.Summary, error) {
	full, err := w.Show(ctx, file)
	if err != nil {
		return plan.Summary{}, err
	}
	if err := plan.CheckVariable(stage, full, env); err != nil {
		return plan.Summary{}, err
	}
	summary, err := plan.Summarize(stage, plan.Redact(full, w.secrets))
	if err != nil {
		return plan.Summary{}, err
	}
	summary.Changes = summary.Any()
	return summary, nil
}

// sameProgram holds check and apply to the very executable that planned: a saved plan
// is for the version that made it.
func sameProgram(stage string, w *workspace, b plan.Binding) error {
	if w.Program == b.Program {
		return nil
	}
	return step.Input(stage, w.Program.String(), "is not the program that planned: "+b.Program.String(),
		"use one executable for plan, check and apply")
}
