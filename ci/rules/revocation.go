package rules

import (
	"fmt"
	"slices"
	"time"

	"slipway/step"
)

// RequireUnrevoked is that nobody has revoked the image. It holds everywhere and always,
// so no rule of slipway.yaml names it.
const RequireUnrevoked Kind = "revocation"

// Revocation takes an image back: what has its digest is not released any more, in
// whatever repository it lies.
type Revocation struct {
	// App whose image it is.
	App string `yaml:"app" json:"app"`
	// Digest of the image's index.
	Digest string `yaml:"digest" json:"digest"`
	// Reason says why, By who and At when.
	Reason string    `yaml:"reason" json:"reason"`
	By     string    `yaml:"by" json:"by"`
	At     time.Time `yaml:"at" json:"at"`
	// Environments that it holds in; all of them when there is none.
	Environments []string `yaml:"environments,omitempty,flow" json:"environments,omitempty"`
}

// String says who revoked it, when and why.
func (r Revocation) String() string {
	return fmt.Sprintf("was revoked by %s at %s: %s", r.By, r.At.UTC().Format(time.RFC3339), r.Reason)
}

// Revoked is the first revocation of a digest for an environment, or nil. Without an
// environment any counts: who asks for none may go anywhere.
func Revoked(all []Revocation, digest, env string) *Revocation {
	n := slices.IndexFunc(all, func(r Revocation) bool {
		return r.Digest == digest && (env == "" || len(r.Environments) == 0 || slices.Contains(r.Environments, env))
	})
	if n < 0 {
		return nil
	}
	return &all[n]
}

// Revoked is the outcome for an image that was revoked, and nothing for another.
func (in Evidence) Revoked() []Outcome {
	r := Revoked(in.Revocations, step.Reference(in.Reference).Digest(), in.Environment)
	if r == nil {
		return nil
	}
	return []Outcome{{
		Rule: RequireUnrevoked, Verdict: Refuse, Reason: "it " + r.String(),
		Mend: "release another image; whoever may change revocations.yaml on the platform's branch can take the entry out",
	}}
}
