package stage

import (
	"context"
	"fmt"

	"slipway/step"
	"slipway/step/result/infra"
)

// OutputOptions are the output stage's inputs.
type OutputOptions struct {
	Common
	Remote
}

// ReadOutputs reads the state's outputs. A state that does not exist yet is an
// input Fault: nothing was applied.
func ReadOutputs(ctx context.Context, o OutputOptions) (_ *infra.Outputs, err error) {
	if err := o.validate(StageOutput); err != nil {
		return nil, err
	}
	state, err := o.reach(ctx, StageOutput)
	if err != nil {
		return nil, err
	}
	w, err := o.open(ctx, StageOutput, state, anyCode)
	if err != nil {
		return nil, err
	}
	defer w.close(&err)
	fmt.Fprintf(o.Progress, "read the outputs of %s\n", o.Environment)
	if err := w.Init(ctx, true); err != nil {
		return nil, err
	}
	result := &infra.Outputs{Environment: o.Environment}
	if result.Lineage, result.Serial, err = w.State(ctx); err != nil {
		return nil, err
	}
	if result.Lineage == "" {
		return nil, step.Input(StageOutput, "state "+state.Config.Address(), "does not exist yet", "plan, check and apply first")
	}
	result.Outputs, err = w.Outputs(ctx)
	return result, err
}
