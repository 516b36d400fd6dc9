package stage

import (
	"context"
	"fmt"
	"regexp"

	"slipway/step"
)

// UnlockOptions are the unlock stage's inputs.
type UnlockOptions struct {
	Remote
	// ID is the lock's, as the refusal named it.
	ID string
}

// UnlockResult is the unlock stage's value.
type UnlockResult struct {
	StateAddress string `json:"stateAddress"`
	ID           string `json:"id"`
}

var lockID = regexp.MustCompile(`\A[0-9A-Za-z-]{1,128}\z`)

// Unlock gives back the lock that a killed run left behind. Only a person can
// know that the run is dead, so nothing else in the pipeline calls it.
func Unlock(ctx context.Context, o UnlockOptions) (*UnlockResult, error) {
	if !lockID.MatchString(o.ID) {
		return nil, step.Input(StageUnlock, fmt.Sprintf("--id %.80q", o.ID), "is not a lock's ID", "give the ID that the refusal named")
	}
	endpoint, err := o.endpoint(StageUnlock)
	if err != nil {
		return nil, err
	}
	if err := endpoint.Unlock(ctx, StageUnlock, o.ID); err != nil {
		return nil, err
	}
	return &UnlockResult{StateAddress: endpoint.Config.Address, ID: o.ID}, nil
}
