package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/step"
	"slipway/step/result/scan"
)

// judgement is a decision on its way.
type judgement struct {
	policy     Policy
	stage      string
	now        time.Time
	exceptions []Exception
	// vex are the app's own statements about vulnerabilities.
	vex VEX

	refused, reported []string
	// strangers and ended are the executables and distributions that are refused.
	strangers []scan.Executable
	ended     []string
	excepted  []Exception
	// expired is the first refusal of an exception that a finding needs.
	expired error
}

func (p Policy) judge(stage, app string, now time.Time) (*judgement, error) {
	exceptions, err := p.valid(stage, app, now)
	if err != nil {
		return nil, err
	}
	return &judgement{policy: p, stage: stage, now: now, exceptions: exceptions, reported: []string{}, excepted: []Exception{}}, nil
}

// finding decides about one.
func (j *judgement) finding(f excusable, s scan.Severity, unfixed bool, line string) {
	switch {
	case j.excused(f):
	case j.policy.refuses(s, unfixed):
		j.refused = append(j.refused, line)
	default:
		j.reported = append(j.reported, line)
	}
}

// excused says whether exceptions are for a finding, and notes that they were needed.
func (j *judgement) excused(f excusable) bool {
	exceptions := j.excepting(f)
	for _, e := range exceptions {
		j.expired = cmp.Or(j.expired, e.holds(j.stage, j.now))
		if !slices.Contains(j.excepted, e) {
			j.excepted = append(j.excepted, e)
		}
	}
	return len(exceptions) > 0
}

// excepting returns an exception for each package URL of a finding; none, where one of
// them has none. Of several it is the first that holds; of none that does, the first.
func (j *judgement) excepting(f excusable) []Exception {
	var all []Exception
	purls := f.purls
	if len(purls) == 0 {
		purls = []string{""}
	}
	for _, purl := range purls {
		var found []Exception
		for _, e := range slices.Concat(j.exceptions, j.vex.about(f, purl)) {
			switch {
			case !e.covers(f, purl):
			case len(found) == 0:
				found = append(found, e)
			case found[0].holds("", j.now) != nil && e.holds("", j.now) == nil:
				found[0] = e
			}
		}
		if len(found) == 0 {
			return nil
		}
		all = append(all, found...)
	}
	return all
}

// executables decides about what nothing identifies: an exception for that file
// lets it pass, and nothing else does.
func (j *judgement) executables(unknown []scan.Executable) {
	for _, x := range unknown {
		if !j.excused(excusable{class: ClassExecutable, id: UnknownExecutable, file: x.Path, sha256: x.SHA256}) {
			j.strangers = append(j.strangers, x)
		}
	}
}

// systems decides about distributions past their end of life.
func (j *judgement) systems(images []scan.Image) {
	for _, i := range images {
		switch {
		case !i.EndOfLife || j.excused(excusable{class: ClassEndOfLife, id: EndOfLife}):
		case j.policy.EndOfLife == ActionReport:
			j.reported = append(j.reported, fmt.Sprintf("%s: %s (%s)", EndOfLife, i.System, i.Platform))
		case !slices.Contains(j.ended, i.System):
			j.ended = append(j.ended, i.System)
		}
	}
}

// counted refuses findings that do not say what the images hold.
func counted(stage, subject string, images []scan.Image) error {
	const mend = "scan this very image again, with the scan step of this version"
	if len(images) == 0 {
		return step.Policy(stage, subject, "the findings do not say which executables its images hold, so it can't decide", mend)
	}
	for _, i := range images {
		if i.Executables <= 0 {
			return step.Policy(stage, subject, fmt.Sprintf("no executable file was found in the image for %s, so nothing can be said about it", i.Platform),
				"build an image that holds the app's program")
		}
	}
	return nil
}

// manifests decides about secrets, whatever their severity, and about
// misconfigurations.
func (j *judgement) manifests(found scan.Findings) {
	for _, f := range found.Secrets {
		if !j.excused(secret(f)) {
			j.refused = append(j.refused, fmt.Sprintf("secret: %s in %s:%d (%s)", f.Title, f.File, f.Line, f.Rule))
		}
	}
	for _, f := range found.Misconfigurations {
		j.finding(misconfiguration(f), f.Severity, false, step.Detail(fmt.Sprintf("%s: %s in %s:%d: %s", f.Severity, f.ID, f.File, f.Line, f.Title), f.Resolution))
	}
}

func vulnerability(v scan.Vulnerability) excusable {
	return excusable{class: ClassVulnerability, id: v.ID, purls: v.PURLs}
}

func secret(s scan.Secret) excusable { return excusable{class: ClassSecret, id: s.Rule, file: s.File} }

func misconfiguration(m scan.Misconfiguration) excusable {
	f := excusable{class: ClassMisconfiguration, id: m.ID, file: m.File}
	if m.ID == scan.InlineIgnore {
		f.class = ClassIgnore
	}
	return f
}

// mostNamed is how many unknown executables a refusal names.
const mostNamed = 20

func (j *judgement) refusal(subject, mend string) error {
	if j.expired != nil {
		return j.expired
	}
	var reasons, mends []string
	details := j.refused
	if n := len(j.refused); n > 0 {
		reasons = append(reasons, fmt.Sprintf("%s at or above %s", amount(n, "finding"), strings.ToUpper(string(j.policy.Threshold))))
		mends = append(mends, mend)
	}
	if n := len(j.strangers); n > 0 {
		reasons = append(reasons, fmt.Sprintf("%s that nothing identifies, such as %s", amount(n, "executable"), j.strangers[0].Path))
		mends = append(mends, "install the executables from packages of the distribution or of their language, build Go programs as modules and with their build information, "+
			"or leave them out; or add an exception with class "+string(ClassExecutable)+", id "+UnknownExecutable+", path, sha256, reason, owner and expires to slipway.yaml for each")
		for _, x := range j.strangers[:min(n, mostNamed)] {
			details = append(details, fmt.Sprintf("%s: %s (%s, %s, sha256 %s) %s", UnknownExecutable, x.Path, x.Kind, strings.Join(x.Platforms, " and "), x.SHA256, x.Reason))
		}
		if n > mostNamed {
			details = append(details, fmt.Sprintf("%s: and %d more", UnknownExecutable, n-mostNamed))
		}
	}
	for _, system := range j.ended {
		reasons = append(reasons, system+" is past its end of life, so that no advisory names its new vulnerabilities")
	}
	if len(j.ended) > 0 {
		mends = append(mends, "build on a release that is maintained; or say scan.policy.endOfLife: report in slipway.yaml")
	}
	if len(reasons) == 0 {
		return nil
	}
	return step.Policy(j.stage, subject, strings.Join(reasons, "; "), strings.Join(mends, "; "), details...)
}

func amount(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
