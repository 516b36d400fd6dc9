package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/step"
	"slipway/step/printable"
)

// RequireNoFreeze is that no freeze holds.
const RequireNoFreeze Kind = "no-freeze"

// Freeze is a time in which an environment stays as it is.
type Freeze struct {
	// Name is what an override calls it by.
	Name string `yaml:"name" json:"name"`
	// From is its first moment, and Until the first after it.
	From  time.Time `yaml:"from" json:"from"`
	Until time.Time `yaml:"until" json:"until"`
	// Reason says why.
	Reason string `yaml:"reason" json:"reason"`
}

// checkFreezes checks a rule's freezes; at names the rule.
func (r Rule) checkFreezes(at string) error {
	const stage = "config"
	if r.Require != RequireNoFreeze {
		return nil
	}
	if len(r.Freezes) == 0 {
		return step.Input(stage, at+".freezes", "is empty", "name a time with name, from, until and reason, or take the rule out")
	}
	if len(r.By) > 0 && r.MaxAge == 0 {
		return step.Input(stage, at+".maxAge", "is missing: an override has to run out", "give how long one counts, such as 4h")
	}
	names := map[string]bool{}
	for n, f := range r.Freezes {
		at := fmt.Sprintf("%s.freezes[%d]", at, n)
		if err := step.Name(stage, at+".name", f.Name); err != nil {
			return err
		}
		switch {
		case names[f.Name]:
			return step.Input(stage, fmt.Sprintf("%s.name %q", at, f.Name), "is another one's, too", "give each freeze a name of its own: an override names one")
		case f.From.IsZero() || !f.From.Before(f.Until):
			return step.Input(stage, at+".until", "is not after from", "give two times, such as 2026-12-20T00:00:00Z and 2027-01-04T00:00:00Z")
		case f.Reason == "" || !printable.IsLine(f.Reason):
			return step.Input(stage, fmt.Sprintf("%s.reason %.80q", at, f.Reason), "is not a reason", "say in a line why nothing is to change")
		}
		names[f.Name] = true
	}
	return nil
}

// Overrides says whether somebody may override a freeze of an environment.
func (r Rules) Overrides(env, by, freeze string) bool {
	return slices.ContainsFunc(r.in(env), func(rule Rule) bool {
		return rule.asks(by) && slices.ContainsFunc(rule.Freezes, func(f Freeze) bool { return f.Name == freeze })
	})
}

// freeze refuses while a freeze holds, unless somebody who may has overridden it by name.
func (in Evidence) freeze(rule Rule) (finding, time.Time) {
	var held, passed []string
	var until, end time.Time
	for _, f := range rule.Freezes {
		switch {
		case in.Now.Before(f.From):
			until = sooner(until, f.From)
			continue
		case !in.Now.Before(f.Until):
			continue
		}
		said := fmt.Sprintf("frozen until %s (%s: %s)", f.Until.UTC().Format(time.RFC3339), f.Name, f.Reason)
		by, ends := in.override(rule, f.Name)
		if by == "" {
			held, end = append(held, said), later(end, f.Until)
			continue
		}
		passed, until = append(passed, said+", overridden by "+by), sooner(until, ends)
	}
	if len(held) == 0 {
		if len(passed) == 0 {
			return finding{reason: "no freeze"}, until
		}
		return finding{reason: strings.Join(passed, "; ")}, until
	}
	mend := "release it after " + end.UTC().Format(time.RFC3339)
	if len(rule.By) > 0 {
		mend += fmt.Sprintf(", or have one of %s override it: %s --freeze FREEZE --reason WHY", strings.Join(rule.By, ", "), in.approve())
	}
	return finding{strings.Join(append(held, passed...), "; "), mend}, until
}

// override is who has overridden a freeze and why, and until when that counts.
func (in Evidence) override(rule Rule, freeze string) (string, time.Time) {
	for _, a := range in.Approvals {
		p, err := a.read()
		if err != nil || p.Freeze != freeze || !rule.asks(a.By) {
			continue
		}
		if until, why := in.counts(rule, a); why == "" {
			return a.By + ": " + p.Reason, until
		}
	}
	return "", time.Time{}
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
