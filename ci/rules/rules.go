package rules

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"slipway/ci/evidence"
	"slipway/step"
)

// Kind is what a rule requires of an image.
type Kind string

const (
	// RequireScan is an attested scan under the current policy. It holds in every
	// environment from the first day on, whether or not a rule says so.
	RequireScan Kind = "scan"
	// RequireTests is an attested result of tests that have passed.
	RequireTests Kind = "tests"
	// RequireProvenance is SLSA provenance by an allowed builder.
	RequireProvenance Kind = "provenance"
	// RequireSBOM is a CycloneDX and an SPDX document.
	RequireSBOM Kind = "sbom"
	// RequireBases is that the provenance names no base image but allowed ones.
	RequireBases Kind = "base-images"
	// RequireLicences is that the SBOM names no licence but allowed ones.
	RequireLicences Kind = "licences"
	// RequireBox is that whatever the app brought along was built and tested in the
	// box, and is stated with what the box held it to.
	RequireBox Kind = "box"
)

// NetworkNone refuses what was built with a network.
const NetworkNone = "none"

// DatabaseVerified refuses what was scanned with a database that nobody vouches for.
const DatabaseVerified = "verified"

var kinds = []Kind{RequireScan, RequireTests, RequireProvenance, RequireSBOM, RequireBases, RequireLicences, RequireBox, RequireApproval, RequireSoak, RequireNoFreeze}

// Rule is one requirement.
type Rule struct {
	Require Kind `yaml:"require" json:"require"`
	// Environments that it holds in; all of them when there is none.
	Environments []string `yaml:"environments" json:"environments,omitempty"`
	// From is the first day, UTC, on which it refuses: YYYY-MM-DD. Before that
	// day it warns. Empty means that it has always refused.
	From string `yaml:"from" json:"from,omitempty"`
	// MaxAge is how old the scan and its database may be, for scan, and how long an
	// approval counts, for approval and no-freeze.
	MaxAge time.Duration `yaml:"maxAge" json:"maxAge,omitempty"`
	// Database is verified where the scan's database must be signed or pinned, for scan;
	// one that slipway.yaml trusts unsigned will do when it is empty.
	Database string `yaml:"database" json:"database,omitempty"`
	// Runners that may have built the image, for provenance; any when empty. All but
	// local count only where an identity of that runner has signed the provenance.
	Runners []evidence.Runner `yaml:"runners" json:"runners,omitempty"`
	// Committed refuses what was built with uncommitted changes, for provenance.
	Committed bool `yaml:"committed" json:"committed,omitempty"`
	// Minimum is how many tests have to have passed, for tests; one unless said.
	Minimum int `yaml:"minimum" json:"minimum,omitempty"`
	// Network is none where the build must have had no network, for box; named hosts
	// may be reached when it is empty.
	Network string `yaml:"network" json:"network,omitempty"`
	// Allow lists base images by repository or licences by SPDX id; patterns as
	// path.Match reads them. For base-images, nothing else is allowed. For
	// licences, nothing else is allowed when there is an Allow.
	Allow []string `yaml:"allow" json:"allow,omitempty"`
	// Deny lists licences that are refused, in the same form.
	Deny []string `yaml:"deny" json:"deny,omitempty"`
	// By are the names of those whose approval counts, for approval; those of all
	// approvers when empty. For no-freeze they are those who may override one; nobody
	// when empty.
	By []string `yaml:"by" json:"by,omitempty"`
	// Count is how many of them have to approve, for approval; one unless said.
	Count int `yaml:"count" json:"count,omitempty"`
	// In is the environment in which it has to have been healthy, and For how long, for
	// soak.
	In  string        `yaml:"in" json:"in,omitempty"`
	For time.Duration `yaml:"for" json:"for,omitempty"`
	// Freezes are when nothing is to change, for no-freeze.
	Freezes []Freeze `yaml:"freezes" json:"freezes,omitempty"`
	// Unknown is what to do about packages whose licence is not known, for licences:
	// refuse, also when it is empty, or report.
	Unknown Action `yaml:"unknown" json:"unknown,omitempty"`
}

// Rules are everything that is required, and how long a decision counts.
type Rules struct {
	// SummaryMaxAge is how long a decision that was attested answers for the
	// image without a new one. Zero means never.
	SummaryMaxAge time.Duration `yaml:"summaryMaxAge" json:"summaryMaxAge,omitempty"`
	// Named are those who may approve, by a name that rules call them by.
	Named map[string]Approver `yaml:"approvers" json:"approvers,omitempty"`
	Rules []Rule              `yaml:"rules" json:"rules,omitempty"`
}

// Validate checks the rules; where names them in faults, and environments are
// those that there are.
func (r Rules) Validate(where string, environments []string) error {
	const stage = "config"
	if r.SummaryMaxAge < 0 {
		return step.Input(stage, where+".summaryMaxAge", "is negative", "give a duration such as 24h, or leave it out")
	}
	for n, rule := range r.Rules {
		at := fmt.Sprintf("%s.rules[%d]", where, n)
		if !slices.Contains(kinds, rule.Require) {
			return step.Input(stage, fmt.Sprintf("%s.require %q", at, rule.Require), "is not a requirement", fmt.Sprintf("use one of %v", kinds))
		}
		for _, env := range rule.Environments {
			if !slices.Contains(environments, env) {
				return step.Input(stage, fmt.Sprintf("%s.environments %q", at, env), "is not an environment", "use one of "+strings.Join(environments, ", "))
			}
		}
		if _, err := rule.from(); err != nil {
			return step.Input(stage, fmt.Sprintf("%s.from %q", at, rule.From), "is not a day", "write YYYY-MM-DD, in quotes").Because(err)
		}
		if rule.MaxAge < 0 {
			return step.Input(stage, at+".maxAge", "is negative", "give a duration such as 168h")
		}
		if rule.Network != "" && rule.Network != NetworkNone {
			return step.Input(stage, fmt.Sprintf("%s.network %.80q", at, rule.Network), "is not what a build's network can be held to", "write none, or leave it out for the hosts that build.network allows")
		}
		if rule.Database != "" && rule.Database != DatabaseVerified {
			return step.Input(stage, fmt.Sprintf("%s.database %.80q", at, rule.Database), "is not what a database can be held to", "write verified, or leave it out for one that scan.database trusts unsigned")
		}
		if rule.Minimum < 0 {
			return step.Input(stage, at+".minimum", "is negative", "give how many tests have to have passed, such as 10")
		}
		if key := rule.emptied(); key != "" {
			return step.Input(stage, at+"."+key, "is an empty list, and without one any is allowed", "name what is allowed, or leave the list out")
		}
		for _, runner := range rule.Runners {
			if !slices.Contains(evidence.Runners, runner) {
				return step.Input(stage, fmt.Sprintf("%s.runners %q", at, runner), "is not a runner", fmt.Sprintf("use one of %v", evidence.Runners))
			}
		}
		for _, pattern := range slices.Concat(rule.Allow, rule.Deny) {
			if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
				return step.Input(stage, fmt.Sprintf("%s: pattern %q", at, pattern), "is not a pattern", "* stands for any part of a name between slashes")
			}
		}
		if key := rule.misplaced(); key != "" {
			return step.Input(stage, at+"."+key, fmt.Sprintf("means nothing for %s", rule.Require), "take it out, or move it to the rule that it belongs to")
		}
		for _, err := range []error{r.checkApproval(rule, at), rule.checkSoak(at, environments), rule.checkFreezes(at)} {
			if err != nil {
				return err
			}
		}
		if rule.Unknown != "" && rule.Unknown != ActionRefuse && rule.Unknown != ActionReport {
			return step.Input(stage, fmt.Sprintf("%s.unknown %q", at, rule.Unknown), "is not an action", "use refuse or report")
		}
		if len(rule.Allow)+len(rule.Deny) == 0 && rule.Unknown == ActionReport {
			return step.Input(stage, at, "allows every licence", "give allow or deny, or take unknown: report out")
		}
	}
	return nil
}

// misplaced is the first key that its requirement does not read.
func (r Rule) misplaced() string {
	for _, f := range []struct {
		key   string
		given bool
		kinds []Kind
	}{
		{"maxAge", r.MaxAge != 0, []Kind{RequireScan, RequireApproval, RequireNoFreeze}},
		{"by", len(r.By) > 0, []Kind{RequireApproval, RequireNoFreeze}},
		{"count", r.Count != 0, []Kind{RequireApproval}},
		{"in", r.In != "", []Kind{RequireSoak}},
		{"for", r.For != 0, []Kind{RequireSoak}},
		{"freezes", len(r.Freezes) > 0, []Kind{RequireNoFreeze}},
		{"database", r.Database != "", []Kind{RequireScan}},
		{"minimum", r.Minimum != 0, []Kind{RequireTests}},
		{"network", r.Network != "", []Kind{RequireBox}},
		{"runners", len(r.Runners) > 0, []Kind{RequireProvenance}},
		{"committed", r.Committed, []Kind{RequireProvenance}},
		{"allow", len(r.Allow) > 0, []Kind{RequireBases, RequireLicences}},
		{"deny", len(r.Deny) > 0, []Kind{RequireLicences}},
		{"unknown", r.Unknown != "", []Kind{RequireLicences}},
	} {
		if f.given && !slices.Contains(f.kinds, r.Require) {
			return f.key
		}
	}
	return ""
}

// emptied is the first list that is there and limits nothing. An empty list of base images
// limits them to none.
func (r Rule) emptied() string {
	switch {
	case r.Runners != nil && len(r.Runners) == 0:
		return "runners"
	case r.By != nil && len(r.By) == 0:
		return "by"
	case r.Require == RequireLicences && r.Allow != nil && len(r.Allow) == 0:
		return "allow"
	}
	return ""
}

func (r Rule) from() (time.Time, error) {
	if r.From == "" {
		return time.Time{}, nil
	}
	return time.ParseInLocation(time.DateOnly, r.From, time.UTC)
}

func (r Rule) applies(env string) bool {
	return len(r.Environments) == 0 || slices.Contains(r.Environments, env)
}

// in returns the rules of one environment; the scan's is always among them, and
// refuses.
func (r Rules) in(env string) []Rule {
	rules := []Rule{}
	always := false
	for _, rule := range r.Rules {
		if rule.applies(env) {
			rules = append(rules, rule)
			always = always || rule.Require == RequireScan && rule.From == ""
		}
	}
	if !always {
		rules = append([]Rule{{Require: RequireScan}}, rules...)
	}
	return rules
}
