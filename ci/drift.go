package main

import (
	"context"
	"fmt"

	"slipway/ci/render"
	"slipway/step"
	"slipway/step/printable"
	"slipway/step/result/infra"
)

// Drift is how an environment's infrastructure differs from what was applied.
type Drift struct {
	// Environment that was looked at.
	Environment string
	// Applied is false when the code has resources and the state none.
	Applied bool
	// Pending is what the code says but was not applied, such as
	// kubectl_manifest.quota["hello"] (update).
	Pending []string
	// Drifted is true when something was changed outside of Terraform.
	Drifted bool
	// Resources are what was changed.
	Resources []*DriftedResource
	Seen      *DriftReport // +private
}

// DriftedResource is one resource that was changed outside of Terraform.
type DriftedResource struct {
	// Address of the resource in the code.
	Address string
	// Type of the resource.
	Type string
	// Action that was taken on it: update, or delete.
	Action string
	// Attributes that differ; none of a deleted resource.
	Attributes []*DriftedAttribute
}

// DriftedAttribute is one value that differs from the one that was applied.
type DriftedAttribute struct {
	// Path of the attribute in the resource.
	Path string
	// Before is the applied value, as JSON. A sensitive one is "(sensitive)".
	Before string
	// After is the value now, as JSON.
	After string
}

// Drift compares the environment's infrastructure with its state, and the state with
// the code, and changes neither. It returns what it found, and fails only when it can't
// look; check is what refuses drift.
//
// Example: dagger call infra --env dev drift text
//
// +cache="never"
func (i *Infrastructure) Drift(ctx context.Context) (*Drift, error) {
	root, err := i.reach(ctx, "drift")
	if err != nil {
		return nil, err
	}
	seen, err := result[infra.DriftReport](root.Drift(ctx))
	if err != nil {
		return nil, err
	}
	if seen.Environment != i.Environment {
		return nil, fmt.Errorf("the step looked at %q, not at %q", seen.Environment, i.Environment)
	}
	d := &Drift{
		Environment: i.Environment, Applied: seen.Applied, Pending: printable.List(seen.Pending), Drifted: seen.Drifted,
		Resources: []*DriftedResource{}, Seen: &seen,
	}
	for _, r := range seen.Resources {
		resource := &DriftedResource{Address: printable.Line(r.Address), Type: printable.Line(r.Type), Action: printable.Line(r.Action), Attributes: []*DriftedAttribute{}}
		for _, a := range r.Attributes {
			resource.Attributes = append(resource.Attributes, &DriftedAttribute{Path: printable.Line(a.Path), Before: printable.JSON(string(a.Before)), After: printable.JSON(string(a.After))})
		}
		d.Resources = append(d.Resources, resource)
	}
	return d, nil
}

// Json is everything that was seen, as JSON.
//
// Example: dagger call infra --env dev drift json
//
// +cache="168h"
func (d *Drift) Json() (string, error) { return render.JSON(d.Seen) }

// Text is what was seen, for people.
//
// Example: dagger call infra --env dev drift text
//
// +cache="168h"
func (d *Drift) Text() string { return render.Drift(*d.Seen) }

// Check refuses drift, naming each resource. That is a refusal by policy, so
// that whoever runs it can tell drift from a failure to look.
//
// Example: dagger call infra --env dev drift check text
//
// +cache="168h"
func (d *Drift) Check() (*Drift, error) {
	if !d.Drifted {
		return d, nil
	}
	return nil, step.Policy("drift", "environment "+d.Environment, fmt.Sprintf("was changed outside of Terraform: %d", len(d.Resources)),
		"undo the changes, or plan, check and apply: that brings back what the code says", render.Drifted(*d.Seen)...)
}

// Ready refuses unless the environment's infrastructure was applied as the code
// says and has not drifted since. Where slipway.yaml sets
// environments.<env>.infra to ignore, it passes without a look.
//
// Example: dagger call infra --env dev ready environment
//
// +cache="never"
func (i *Infrastructure) Ready(ctx context.Context) (*Infrastructure, error) {
	const stage = "release"
	env, err := i.Slipway.Config.Environment(stage, i.Environment)
	if err != nil {
		return nil, err
	}
	if !env.RequiresInfra() {
		return i, nil
	}
	d, err := i.Drift(ctx)
	if err != nil {
		return nil, err
	}
	what := "infrastructure of " + i.Environment
	mend := fmt.Sprintf("run dagger call infra --env %s plan check apply, then release again", i.Environment)
	switch {
	case !d.Applied:
		return nil, step.Policy(stage, what, "is not applied", mend)
	case d.Drifted:
		return nil, step.Policy(stage, what, fmt.Sprintf("was changed outside of Terraform: %d", len(d.Resources)), mend, render.Drifted(*d.Seen)...)
	case len(d.Pending) > 0:
		return nil, step.Policy(stage, what, fmt.Sprintf("is not applied as the code says: %d", len(d.Pending)), mend, d.Pending...)
	}
	return i, nil
}
