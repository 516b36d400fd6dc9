package rules

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"slipway/ci/evidence"
	"slipway/step"
	"slipway/step/result/sign"
)

// RequireSoak is that the image has been healthy for a time in another environment.
const RequireSoak Kind = "soak"

// Soaks are the environments in which rules of an environment want an image to have been
// healthy before.
func (r Rules) Soaks(env string) []string {
	var elsewhere []string
	for _, rule := range r.in(env) {
		if rule.Require == RequireSoak && !slices.Contains(elsewhere, rule.In) {
			elsewhere = append(elsewhere, rule.In)
		}
	}
	return elsewhere
}

// checkSoak checks a rule's other environment; at names the rule, and environments are
// those that there are.
func (r Rule) checkSoak(at string, environments []string) error {
	const stage = "config"
	switch {
	case r.Require != RequireSoak:
		return nil
	case !slices.Contains(environments, r.In):
		return step.Input(stage, fmt.Sprintf("%s.in %.80q", at, r.In), "is not an environment", "give the one in which an image has to be healthy before")
	case r.applies(r.In):
		return step.Input(stage, fmt.Sprintf("%s.in %.80q", at, r.In), "is an environment that the rule holds in", "name the rule's environments, and another one as in")
	case r.For <= 0:
		return step.Input(stage, at+".for", "is missing, or negative", "give how long an image has to have been healthy there, such as 24h")
	}
	return nil
}

// soak takes the first receipt of the other environment, by who may sign there, that
// says that the image was healthy.
func (in Evidence) soak(rule Rule) (finding, time.Time) {
	var since time.Time
	for _, s := range evidence.OfType(in.Elsewhere[rule.In], evidence.ReceiptType) {
		if at := in.healthy(s, rule.In); !at.IsZero() && (since.IsZero() || at.Before(since)) {
			since = at
		}
	}
	if since.IsZero() {
		return finding{"no signed receipt says that it was healthy in " + rule.In, "release it to " + rule.In + " with a kubeconfig and a signer, wait until it is healthy, and then for " + rule.For.String()}, time.Time{}
	}
	reason := fmt.Sprintf("healthy in %s since %s", rule.In, since.UTC().Format(time.RFC3339))
	if end := since.Add(rule.For); in.Now.Before(end) {
		return finding{reason + ", and the rule wants " + rule.For.String(), "wait until " + end.UTC().Format(time.RFC3339)}, end
	}
	return finding{reason: reason}, time.Time{}
}

// healthy is when the image was seen healthy in an environment, by what a receipt says;
// zero for another receipt. One that a log has seen is not older than that.
func (in Evidence) healthy(s sign.Statement, env string) time.Time {
	var r struct {
		Environment string `json:"environment"`
		Image       struct {
			Reference string `json:"reference"`
		} `json:"image"`
		Live struct {
			Health    string    `json:"health"`
			HealthyAt time.Time `json:"healthyAt"`
		} `json:"live"`
	}
	if json.Unmarshal(s.Predicate, &r) != nil || r.Environment != env || r.Image.Reference != in.Reference || r.Live.Health != "Healthy" {
		return time.Time{}
	}
	at := r.Live.HealthyAt
	if s.Signer != nil && len(s.Signer.Times) > 0 {
		if seen := slices.MinFunc(s.Signer.Times, time.Time.Compare); seen.After(at) {
			at = seen
		}
	}
	return at
}
