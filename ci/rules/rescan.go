package rules

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/step"
	"slipway/step/result/scan"
)

// rescanner names Slipway's rescan in an attestation. Unlike a scan it looks at
// the image only: its source and manifests are those of another day.
const rescanner = "urn:slipway:rescan"

// Results of a rescan.
const (
	passed  = "PASSED"
	refused = "REFUSED"
)

// Rescanned is what a rescan says of an image that was released.
type Rescanned struct {
	// Passed is false when the image has fallen out of policy.
	Passed bool `json:"passed"`
	// Since is the age of the advisories with which it first fell out, as far as
	// attested scans tell; zero while it passes.
	Since time.Time `json:"since,omitzero"`
	// Refused are the vulnerabilities that the policy does not let pass.
	Refused []Seen `json:"refused"`
	// Unfixed are those without a fixed version that it lets pass.
	Unfixed []Seen `json:"unfixed"`
	// Reason says why it was refused, where that is not a vulnerability.
	Reason string `json:"reason,omitempty"`
	// DatabaseUpdatedAt is when the advisories were taken.
	DatabaseUpdatedAt time.Time `json:"databaseUpdatedAt"`
}

// AppRescan is what a rescan says of the release of an app.
type AppRescan struct {
	App string `json:"app"`
	// Digest of the release that Git says; empty when there was never one.
	Digest string `json:"digest,omitempty"`
	// Running is what the cluster says about it: true, false, or absent without one.
	Running *bool `json:"running,omitempty"`
	// Overlay says why the overlay, as it is at the remote, would be refused today;
	// absent where it would pass.
	Overlay string `json:"overlay,omitempty"`
	// Revoked is the revocation of the digest for the environment, if there is one.
	Revoked *Revocation `json:"revoked,omitempty"`
	*Rescanned
}

// Elsewhere says whether the cluster runs another digest than Git says.
func (r *AppRescan) Elsewhere() bool { return r.Running != nil && !*r.Running }

// InPolicy says whether what runs was looked at, and may run.
func (r *AppRescan) InPolicy() bool {
	return r.Rescanned == nil || r.Passed && !r.Elsewhere() && r.Overlay == "" && r.Revoked == nil
}

// Refusals are what refuses it, one line each.
func (r *AppRescan) Refusals() []string {
	var lines []string
	if r.Revoked != nil {
		lines = append(lines, r.Revoked.String())
	}
	for _, v := range r.Refused {
		lines = append(lines, v.Line())
	}
	for line := range strings.Lines(r.Overlay) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}

// InPolicy refuses an environment in which a release has fallen out of policy.
func InPolicy(environment string, apps []*AppRescan) error {
	var fallen, details []string
	for _, row := range apps {
		if row.InPolicy() {
			continue
		}
		fallen = append(fallen, row.App)
		if row.Elsewhere() {
			details = append(details, row.App+": does not run "+row.Digest+", which Git says and which was scanned")
		}
		for _, line := range row.Refusals() {
			details = append(details, row.App+": "+line)
		}
	}
	if len(fallen) == 0 {
		return nil
	}
	return step.Policy("rescan", "environment "+environment, "has releases that fell out of policy, are revoked, or are not what runs: "+strings.Join(fallen, ", "),
		"update the named packages and deliver again; roll back what is revoked; or add an exception with class, id, reason, owner and expires to slipway.yaml", details...)
}

// Seen is a vulnerability, and the age of the advisories that first named it.
type Seen struct {
	scan.Vulnerability
	FirstSeen time.Time `json:"firstSeen"`
}

// Line is the vulnerability for people.
func (s Seen) Line() string {
	mend := "no fixed version"
	if s.Fixed != "" {
		mend = "fixed in " + s.Fixed
	}
	return fmt.Sprintf("%s: %s in %s %s, %s, first seen with the advisories of %s", s.Severity, s.ID, s.Package, s.Installed, mend, s.FirstSeen.UTC().Format(time.RFC3339))
}

// Rescan decides again about the vulnerabilities of an image, by today's findings,
// and returns the statement to attest. History is every scan and rescan that was
// attested before.
func (p Policy) Rescan(reference string, in Scanned, history []json.RawMessage, run Run) (Rescanned, Scan) {
	in.Findings.Secrets, in.Findings.Misconfigurations = nil, nil
	in.Findings.Unknown = slices.DeleteFunc(slices.Clone(in.Findings.Unknown), ofSource)
	past := decodeScans(reference, history)
	taken := in.Findings.Database.UpdatedAt
	r := Rescanned{Passed: true, Refused: []Seen{}, Unfixed: []Seen{}, DatabaseUpdatedAt: taken}
	verdict, err := p.Evaluate(in)
	if err != nil {
		r.Passed = false
		verdict = &Verdict{
			Digest: in.Digest, DatabaseDigest: in.Findings.Database.Digest, DatabaseUpdatedAt: taken, DatabaseTrust: p.Database.Trust, PolicyDigest: p.Digest(),
			TrivyVersion: in.Findings.TrivyVersion, Scanned: len(in.Findings.Scanned), Reported: []string{}, Excepted: []Exception{},
		}
		r.Reason = err.Error()
		if f, ok := step.AsFault(err); ok {
			r.Reason = f.Reason
		}
	}
	for _, v := range in.Findings.Vulnerabilities {
		seen := Seen{Vulnerability: v, FirstSeen: firstSeen(past, v, taken)}
		switch {
		case p.excused(in.App, v, in.VEX, in.Now):
		case p.refuses(v.Severity, v.Fixed == ""):
			r.Refused = append(r.Refused, seen)
		case v.Fixed == "":
			r.Unfixed = append(r.Unfixed, seen)
		}
	}
	statement := Attest(reference, *verdict, in.Findings, run)
	statement.Decision.By = rescanner
	if !r.Passed {
		statement.Decision.Result = refused
		r.Since = fellOut(past, p.Digest(), taken)
	}
	return r, statement
}

// excused says whether exceptions that still hold cover a vulnerability.
func (p Policy) excused(app string, v scan.Vulnerability, vex VEX, now time.Time) bool {
	j := &judgement{stage: "rescan", now: now, vex: vex}
	for _, e := range p.Exceptions {
		if e.App == "" || e.App == app {
			j.exceptions = append(j.exceptions, e)
		}
	}
	return j.excused(vulnerability(v)) && j.expired == nil
}

// decodeScans are the scans about an image, the oldest advisories first.
func decodeScans(reference string, predicates []json.RawMessage) []Scan {
	var scans []Scan
	for _, data := range predicates {
		var s Scan
		if json.Unmarshal(data, &s) == nil && s.Decision.Resource == reference && (s.Decision.By == decider || s.Decision.By == rescanner) {
			scans = append(scans, s)
		}
	}
	slices.SortStableFunc(scans, func(a, b Scan) int { return a.Scanner.DB.LastUpdate.Compare(b.Scanner.DB.LastUpdate) })
	return scans
}

func firstSeen(past []Scan, v scan.Vulnerability, otherwise time.Time) time.Time {
	for _, s := range past {
		for _, f := range s.Scanner.Result {
			if f.ID == v.ID && slices.ContainsFunc(f.Annotations, func(about map[string]string) bool { return about["package"] == v.Package }) {
				return s.Scanner.DB.LastUpdate
			}
		}
	}
	return otherwise
}

// fellOut is the age of the advisories of the first refusal that no pass under
// the same policy has followed.
func fellOut(past []Scan, policyDigest string, otherwise time.Time) time.Time {
	since := otherwise
	for _, s := range slices.Backward(past) {
		if "sha256:"+s.Decision.Policy.Digest["sha256"] != policyDigest {
			continue
		}
		if s.Decision.Result != refused {
			break
		}
		since = s.Scanner.DB.LastUpdate
	}
	return since
}

// latest refuses an image whose newest rescan under this policy is a refusal, and
// returns the newest advisories that it was looked at with. accepted is the newest
// scan that was accepted.
func (p Policy) latest(stage, reference string, accepted Scan, predicates []json.RawMessage, now time.Time) (Scan, error) {
	newest := accepted
	for _, s := range decodeScans(reference, predicates) {
		if s.Decision.By != rescanner || "sha256:"+s.Decision.Policy.Digest["sha256"] != p.Digest() || s.Scanner.DB.LastUpdate.Before(newest.Scanner.DB.LastUpdate) {
			continue
		}
		// Of two that know the same advisories, the refusal counts.
		if newest.Decision.Result != passed && s.Scanner.DB.LastUpdate.Equal(newest.Scanner.DB.LastUpdate) {
			continue
		}
		newest = s
	}
	if newest.Decision.Result != passed {
		var ids []string
		for _, f := range newest.Scanner.Result {
			unfixed := !slices.ContainsFunc(f.Annotations, func(about map[string]string) bool { return about["fixed"] != "" })
			if slices.ContainsFunc(f.Severity, func(s Score) bool { return p.refuses(scan.Severity(s.Score), unfixed) }) && !p.excused("", scan.Vulnerability{ID: f.ID}, nil, now) {
				ids = append(ids, f.ID)
			}
		}
		slices.Sort(ids)
		return newest, step.Policy(stage, "rescan of "+reference,
			fmt.Sprintf("refuses it since the advisories of %s: %s", newest.Scanner.DB.LastUpdate.UTC().Format(time.RFC3339), cmp.Or(strings.Join(slices.Compact(ids), ", "), "see rescan")),
			"update what rescan names, build and release again")
	}
	for _, e := range newest.Decision.Excepted {
		if err := e.holds(stage, now); err != nil {
			return newest, err
		}
	}
	return newest, nil
}

// ofSource says whether an executable is a script, which the app's source of the
// day has to account for.
func ofSource(x scan.Executable) bool { return strings.HasPrefix(x.Kind, "script") }
