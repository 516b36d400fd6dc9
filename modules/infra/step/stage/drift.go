package stage

import (
	"context"
	"fmt"
	"path/filepath"

	"slipway/infra/step/plan"
	"slipway/infra/step/terraform"
)

// DriftOptions are the drift stage's inputs.
type DriftOptions struct {
	Common
	Remote
	// VarFiles are the plan's.
	VarFiles []string
}

// DriftResult is the drift stage's value.
type DriftResult struct {
	Environment  string `json:"environment"`
	StateAddress string `json:"stateAddress"`
	// Applied is false when the code has resources and the state none.
	Applied bool `json:"applied"`
	// Pending is what the code says since, or was left undone: how the state
	// differs from it.
	Pending []string `json:"pending"`
	// Drifted says whether Resources has any.
	Drifted bool `json:"drifted"`
	// Resources are what was changed outside of Terraform.
	Resources []plan.Drift `json:"resources"`
	// Lineage and Serial are the state's.
	Lineage string `json:"lineage"`
	Serial  uint64 `json:"serial"`
}

// Drift compares the objects with the state that the last apply stored, and
// the state with the code. It changes nothing. Drift is its result, not a
// Fault: whoever asks decides what it means.
func Drift(ctx context.Context, o DriftOptions) (*DriftResult, error) {
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
	w, err := o.open(ctx, StageDrift, state, anyCode)
	if err != nil {
		return nil, err
	}
	defer w.close()
	secrets, err := o.secrets(StageDrift, w)
	if err != nil {
		return nil, err
	}
	varFiles = append(varFiles, secrets...)
	fmt.Fprintf(o.Progress, "look for drift in %s\n", o.Environment)
	if err := w.Init(ctx, true); err != nil {
		return nil, err
	}
	result := &DriftResult{Environment: o.Environment, StateAddress: state.Config.Address(), Resources: []plan.Drift{}}
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
	summary, err := plan.Summarize(StageDrift, plan.Redact(full))
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
	result.Resources = plan.Drifted(full)
	result.Drifted = len(result.Resources) > 0
	return result, nil
}
