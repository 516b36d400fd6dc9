package rules

import (
	"fmt"
	"slices"

	"slipway/step"
)

// Delivery is what became of the delivery of one app among several.
type Delivery struct {
	App string `json:"app"`
	// Image that was released, repository@digest, and the GitOps commit that holds it;
	// empty where it was refused.
	Image  string `json:"image,omitempty"`
	Commit string `json:"commit,omitempty"`
	// Created is false when the commit was there already.
	Created bool `json:"created"`
	// Refusal is why it was not delivered, and Kind the kind of that fault, or empty for
	// what is none.
	Refusal string    `json:"refusal,omitempty"`
	Kind    step.Kind `json:"kind,omitempty"`
}

// Delivered refuses deliveries of which not all have come to an end: as the gravest of
// them does, a refusal by policy before bad input before a failure of something else.
func Delivered(environment string, all []Delivery) error {
	failed := slices.DeleteFunc(slices.Clone(all), func(d Delivery) bool { return d.Refusal == "" })
	if len(failed) == 0 {
		return nil
	}
	kind := step.KindInfrastructure
	for _, worse := range []step.Kind{step.KindInput, step.KindPolicy} {
		if slices.ContainsFunc(failed, func(d Delivery) bool { return d.Kind == worse }) {
			kind = worse
		}
	}
	fault := &step.Fault{
		Kind: kind, Stage: "deliver", Input: "environment " + environment,
		Reason: fmt.Sprintf("%d of %d changed apps are not delivered", len(failed), len(all)),
		Mend:   "mend what each of them says, and deliver again: what is delivered stays",
	}
	for _, d := range failed {
		fault.Details = append(fault.Details, d.App+": "+d.Refusal)
	}
	return fault
}
