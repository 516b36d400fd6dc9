package main

import (
	"context"
	"fmt"
	"time"

	"slipway/ci/config"
	"slipway/ci/render"
	"slipway/step"
)

// Verification is what every rule says about an image for an environment.
type Verification struct {
	// Reference is repository@digest.
	Reference Reference
	// Environment whose rules were applied.
	Environment string
	// Passed is false when a rule refuses.
	Passed bool
	// Answered is true when a signed summary of an earlier decision answered, because
	// nothing has changed since.
	Answered bool
	// DecidedAt is when it was decided, in RFC 3339.
	DecidedAt string
	Judgement *Judgement // +private
}

// Inspect shows what every rule of an environment says about an image, whoever built
// it, in any registry that can be reached: verify's table, also for an image that is
// refused.
//
// Example: dagger call inspect --reference localhost:5000/hello@sha256:… --env production text
//
// +cache="never"
func (s *Slipway) Inspect(
	ctx context.Context,
	// The image: repository@sha256:….
	reference string,
	// The environment whose rules count.
	env string,
) (*Verification, error) {
	return s.inspect(ctx, "inspect", reference, env)
}

// Verify refuses an image that may not run in an environment, and names every
// rule's verdict and what mends it. It checks every blob against its digest, the
// signature against the platform's public key or the identities that may sign for
// the environment, and what they attested against the rules of slipway.yaml.
//
// Example: dagger call verify --reference localhost:5000/hello@sha256:… --env production text
//
// +cache="never"
func (s *Slipway) Verify(
	ctx context.Context,
	// The image: repository@sha256:….
	reference string,
	// The environment whose rules count.
	env string,
) (*Verification, error) {
	v, err := s.inspect(ctx, "verify", reference, env)
	if err != nil {
		return nil, err
	}
	return v, v.Judgement.Refusal("verify")
}

func (s *Slipway) inspect(ctx context.Context, stage, reference, env string) (*Verification, error) {
	c := s.Config
	if _, err := c.Environment(stage, env); err != nil {
		return nil, err
	}
	image := Reference(reference)
	if err := step.Digest(stage, "reference", image.Digest()); err != nil {
		return nil, err
	}
	if !config.SameHost("//"+image.Repository(), "//"+c.Registry.Repository) {
		// Its credentials and its service are for the configured registry only.
		next := *s
		next.Registry = &Endpoint{}
		s = &next
	}
	j, err := (&SignedImage{Reference: image, Slipway: s}).judge(ctx, stage, env)
	if err != nil {
		return nil, err
	}
	return &Verification{
		Reference: image, Environment: env, Passed: j.Refusal(stage) == nil, Answered: j.Answered,
		DecidedAt: j.At.Format(time.RFC3339), Judgement: &j.Judgement,
	}, nil
}

// Json is everything about the decision, as JSON: each rule's verdict with its
// reason and mend, the digest of the policy, and the statements that it stands on.
//
// +cache="168h"
func (v *Verification) Json() (string, error) { return render.JSON(v.Judgement) }

// Text is the table for people.
//
// +cache="168h"
func (v *Verification) Text() string {
	rows := [][]string{{"RULE", "VERDICT", "REASON", "MEND"}}
	for _, o := range v.Judgement.Outcomes {
		rows = append(rows, []string{string(o.Rule), string(o.Verdict), o.Reason, or(o.Mend, "-")})
	}
	fit := "is fit for"
	if !v.Passed {
		fit = "is not fit for"
	}
	how := "decided now"
	if v.Answered {
		how = "decided at " + v.DecidedAt + "; nothing has changed since"
	}
	return render.Table(rows...) + render.Lines("", fmt.Sprintf("%s %s %s (%s)", v.Reference, fit, v.Environment, how))
}
