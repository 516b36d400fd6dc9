package stage

import (
	"context"
	"fmt"
	"regexp"

	"slipway/infra/step/backend"
	"slipway/step"
	"slipway/step/result/infra"
)

// UnlockOptions are the unlock stage's inputs.
type UnlockOptions struct {
	// Common is needed where Terraform itself gives the lock back: for every
	// backend but http.
	Common
	Remote
	// ID is the lock's, as the refusal named it.
	ID string
}

var lockID = regexp.MustCompile(`\A[0-9A-Za-z][0-9A-Za-z-]{0,127}\z`)

// Unlock gives back the lock that a killed run left behind. Only a person can
// know that the run is dead, so nothing else in the pipeline calls it.
func Unlock(ctx context.Context, o UnlockOptions) (*infra.Unlocked, error) {
	if !lockID.MatchString(o.ID) {
		return nil, step.Input(StageUnlock, fmt.Sprintf("--id %.80q", o.ID), "is not a lock's ID", "give the ID that the refusal named")
	}
	state, err := o.reach(ctx, StageUnlock)
	if err != nil {
		return nil, err
	}
	if state.Config.Type == backend.TypeHTTP {
		err = state.Unlock(ctx, StageUnlock, o.ID)
	} else {
		err = o.forceUnlock(ctx, state)
	}
	if err != nil {
		return nil, err
	}
	return &infra.Unlocked{StateAddress: state.Config.Address(), ID: o.ID}, nil
}

func (o UnlockOptions) forceUnlock(ctx context.Context, state *state) (err error) {
	if err := o.validate(StageUnlock); err != nil {
		return err
	}
	w, err := o.open(ctx, StageUnlock, state, anyCode)
	if err != nil {
		return err
	}
	defer w.close(&err)
	fmt.Fprintf(o.Progress, "give back the lock of %s\n", o.Environment)
	if err := w.Init(ctx, true); err != nil {
		return err
	}
	return w.Unlock(ctx, o.ID)
}
