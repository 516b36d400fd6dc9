// Package rules decides: what the findings of a scan mean, and whether an image is fit
// for an environment, by its evidence. It is pure: the same input, rules and clock give
// the same answer. What it can't decide it refuses.
package rules

import (
	"cmp"
	"fmt"
	"path"
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
	// ID is the finding's: a CVE, GHSA or GO id, a misconfiguration check,
	// EndOfLife or UnknownExecutable.
	ID string `yaml:"id" json:"id"`
	// App limits the exception to one app; empty means every app.
	App string `yaml:"app" json:"app,omitempty"`
	// Path limits the exception to misconfigurations in one file of the
	// repository, or in those of a pattern as path.Match reads it; empty means
	// findings of every kind, wherever they are. For UnknownExecutable it is that
	// one file of the image, and must be given.
	Path string `yaml:"path" json:"path,omitempty"`
	// SHA256 limits an exception for UnknownExecutable to that content, in
	// hexadecimal; empty means whatever lies there.
	SHA256 string `yaml:"sha256" json:"sha256,omitempty"`
	// Reason says why the finding is no danger here.
	Reason string `yaml:"reason" json:"reason"`
	// Owner is who answers for it.
	Owner string `yaml:"owner" json:"owner"`
	// Expires is the last day, UTC, on which it holds: YYYY-MM-DD.
	Expires string `yaml:"expires" json:"expires"`
}

// The ids of findings about an image that are no vulnerabilities, for exceptions.
const (
	// UnknownExecutable is an executable file that nothing identifies.
	UnknownExecutable = "unknown-executable"
	// EndOfLife is a distribution past its end of life.
	EndOfLife = "end-of-life"
)

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
		if err := e.validPath(at); err != nil {
			return err
		}
		key := strings.Join([]string{e.ID, e.App, e.Path, e.SHA256}, "\x00")
		if seen[key] {
			return step.Input("config", fmt.Sprintf("%s.id %q", at, e.ID), "is listed twice", "keep one exception for each id, app, path and sha256")
		}
		seen[key] = true
	}
	return nil
}

// validPath checks what the exception is limited to.
func (e Exception) validPath(at string) error {
	bad := path.IsAbs(e.Path) || e.Path != "" && path.Clean(e.Path) != e.Path
	if e.ID == UnknownExecutable {
		if bad || e.Path == "" {
			return step.Input("config", fmt.Sprintf("%s.path %q", at, e.Path), "is not a path in the image", "name the one file, like usr/local/bin/tool; there is no exception for several")
		}
		if e.SHA256 != "" && !sha256Pattern.MatchString(e.SHA256) {
			return step.Input("config", fmt.Sprintf("%s.sha256 %.80q", at, e.SHA256), "is not a SHA-256", "write 64 lower-case hexadecimal digits, as the refusal names them, or leave it out")
		}
		return nil
	}
	if _, err := path.Match(e.Path, ""); err != nil || bad {
		return step.Input("config", fmt.Sprintf("%s.path %q", at, e.Path), "is not a path in the repository", "write it like gitops/platform/argocd/base/rbac.yaml; * stands for any part of one name")
	}
	if e.SHA256 != "" {
		return step.Input("config", fmt.Sprintf("%s.sha256 %.80q", at, e.SHA256), "limits nothing for "+e.ID, "leave it out; it is for exceptions with id "+UnknownExecutable)
	}
	return nil
}

// covers reports whether the exception is for a finding; file is empty for one
// that is in no file of the repository.
func (e Exception) covers(id, file string) bool {
	if e.ID != id {
		return false
	}
	if e.Path == "" {
		return true
	}
	ok, err := path.Match(e.Path, file)
	return err == nil && ok && file != ""
}

// coversExecutable reports whether the exception is for this very file.
func (e Exception) coversExecutable(x scan.Executable) bool {
	return e.ID == UnknownExecutable && e.Path == x.Path && (e.SHA256 == "" || e.SHA256 == x.SHA256)
}

func (e Exception) lastMoment() (time.Time, error) {
	day, err := time.ParseInLocation(time.DateOnly, e.Expires, time.UTC)
	return day.AddDate(0, 0, 1), err
}
