// Package rules decides: what the findings of a scan mean, and whether an image is fit
// for an environment, by its evidence. It is pure: the same input, rules and clock give
// the same answer. What it can't decide it refuses.
package rules

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"slipway/step"
	"slipway/step/result/scan"
)

// rank orders the severities; an unlisted one comes before all.
func rank(s scan.Severity) int { return slices.Index(scan.Severities, s) }

// Action is what a policy does about a class of findings.
type Action string

const (
	// ActionRefuse stops the pipeline.
	ActionRefuse Action = "refuse"
	// ActionReport lets the pipeline go on and lists the finding in the verdict.
	ActionReport Action = "report"
)

// Policy is the scan's policy.
type Policy struct {
	// Threshold is the lowest severity that refuses.
	Threshold scan.Severity `yaml:"threshold" json:"threshold"`
	// Unfixed is what to do about a vulnerability at or above the threshold
	// for which no fixed version exists.
	Unfixed Action `yaml:"unfixed" json:"unfixed"`
	// Unknown is what to do about a finding without a severity.
	Unknown Action `yaml:"unknown" json:"unknown"`
	// EndOfLife is what to do about an image whose distribution is past its end of
	// life, so that no advisory names its new vulnerabilities. Empty means refuse.
	EndOfLife Action `yaml:"endOfLife" json:"endOfLife"`
	// VEXMaxAge is how long a statement of an app's OpenVEX document holds. Zero means
	// that no such document is read.
	VEXMaxAge time.Duration `yaml:"vexMaxAge" json:"vexMaxAge,omitempty"`
	// Exceptions let single findings pass, for a time.
	Exceptions []Exception `yaml:"exceptions" json:"exceptions,omitempty"`
	// Database is the vulnerability database that images are judged with. It is no part
	// of what is written as the policy, but of its digest.
	Database Database `yaml:"-" json:"database,omitzero"`
}

// Exception lets one finding pass until a day.
type Exception struct {
	// Class is what it is for, and nothing else. Empty means the one class that the id
	// can be of; an id that tells of none needs one.
	Class Class `yaml:"class" json:"class,omitempty"`
	// ID is the finding's: a CVE, GHSA or GO id, a misconfiguration check, a secret's
	// rule, or one of those that Slipway names.
	ID string `yaml:"id" json:"id"`
	// App limits the exception to one app; empty means every app.
	App string `yaml:"app" json:"app,omitempty"`
	// Path limits the exception to misconfigurations or ignores in one file of the
	// repository, or in one object of an overlay, which is OVERLAY/KIND-NAME.yaml
	// there, or in those of a pattern as path.Match reads it; empty means
	// misconfigurations wherever they are. A secret's is one file of the repository,
	// and an executable's one of the image.
	Path string `yaml:"path" json:"path,omitempty"`
	// SHA256 limits an exception for an executable to that content, in hexadecimal;
	// empty means whatever lies there.
	SHA256 string `yaml:"sha256" json:"sha256,omitempty"`
	// Package limits an exception for a vulnerability to one package, by its package
	// URL, and to the version and the qualifiers that this has; empty means every package.
	Package string `yaml:"package" json:"package,omitempty"`
	// Reason says why the finding is no danger here.
	Reason string `yaml:"reason" json:"reason"`
	// Owner is who answers for it.
	Owner string `yaml:"owner" json:"owner"`
	// Expires is the last day, UTC, on which it holds: YYYY-MM-DD.
	Expires string `yaml:"expires" json:"expires"`
}

var sha256Pattern = regexp.MustCompile(`\A[0-9a-f]{64}\z`)

// Validate checks the policy itself; where names it in faults. It does not
// look at the clock: an expired exception is Evaluate's to refuse.
func (p Policy) Validate(where string) error {
	if rank(p.Threshold) <= 0 {
		return step.Input("config", fmt.Sprintf("%s.threshold %q", where, p.Threshold), "is not a severity", "use LOW, MEDIUM, HIGH or CRITICAL")
	}
	for _, a := range []struct {
		key   string
		value Action
	}{{"unfixed", p.Unfixed}, {"unknown", p.Unknown}, {"endOfLife", cmp.Or(p.EndOfLife, ActionRefuse)}} {
		if a.value != ActionRefuse && a.value != ActionReport {
			return step.Input("config", fmt.Sprintf("%s.%s %q", where, a.key, a.value), "is not an action", "use refuse or report")
		}
	}
	if p.VEXMaxAge < 0 {
		return step.Input("config", where+".vexMaxAge", "is negative", "give how long an OpenVEX statement holds, such as 2160h")
	}
	seen := map[string]bool{}
	for i, e := range p.Exceptions {
		at := fmt.Sprintf("%s.exceptions[%d]", where, i)
		for _, f := range []struct{ key, value string }{{"id", e.ID}, {"reason", e.Reason}, {"owner", e.Owner}, {"expires", e.Expires}} {
			if strings.TrimSpace(f.value) == "" {
				return step.Input("config", fmt.Sprintf("%s.%s", at, f.key), "is missing", "every exception needs id, reason, owner and expires")
			}
		}
		if _, err := e.lastMoment(); err != nil {
			return step.Input("config", fmt.Sprintf("%s.expires %q", at, e.Expires), "is not a day", "write YYYY-MM-DD").Because(err)
		}
		if err := e.validClass(at); err != nil {
			return err
		}
		if err := e.validLimits(at); err != nil {
			return err
		}
		key := strings.Join([]string{string(e.class()), e.ID, e.App, e.Path, e.SHA256, e.Package}, "\x00")
		if seen[key] {
			return step.Input("config", fmt.Sprintf("%s.id %q", at, e.ID), "is listed twice", "keep one exception for each class, id, app, path, sha256 and package")
		}
		seen[key] = true
	}
	return nil
}

func (e Exception) lastMoment() (time.Time, error) {
	day, err := time.ParseInLocation(time.DateOnly, e.Expires, time.UTC)
	return day.AddDate(0, 0, 1), err
}
