package rules

import (
	"encoding/json"
	"fmt"
	"time"

	"slipway/step"
	"slipway/step/result/infra"
	"slipway/step/result/scan"
)

// Verdict is the decision over findings. It exists only for findings that
// passed: a refusal is a fault.
type Verdict struct {
	Digest         string `json:"digest"`
	DatabaseDigest string `json:"databaseDigest"`
	// DatabaseUpdatedAt is when the database's advisories were taken.
	DatabaseUpdatedAt time.Time `json:"databaseUpdatedAt"`
	// DatabaseSources are what they come from, by name: a database for demos says so.
	DatabaseSources []string `json:"databaseSources,omitempty"`
	// DatabaseTrust is why the database is believed: who signed it, or its digest, or
	// that nobody has.
	DatabaseTrust string `json:"databaseTrust,omitempty"`
	// PolicyDigest is the sha256 of the policy's canonical JSON.
	PolicyDigest string `json:"policyDigest"`
	TrivyVersion string `json:"trivyVersion"`
	// Reported are findings that the policy lets pass, one line each.
	Reported []string `json:"reported"`
	// Excepted are the exceptions that were needed.
	Excepted []Exception `json:"excepted"`
	// Scanned is the number of targets that were looked at.
	Scanned int `json:"scanned"`
}

// Digest returns sha256:<hex> of the policy and of the database that it wants.
func (p Policy) Digest() string {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // a struct of strings always encodes
	}
	return sum(data)
}

// Scanned is what Evaluate decides about.
type Scanned struct {
	App      string
	Digest   string
	Findings scan.Findings
	// VEX are the app's own statements about vulnerabilities.
	VEX VEX
	Now time.Time
}

// Evaluate decides. It returns a policy fault when anything refuses, with one
// detail a finding: findings about another digest, a database that nobody vouches for,
// that is stale or from the future, nothing scanned, an expired exception, a secret, an executable
// that nothing identifies, a distribution past its end of life, and every
// vulnerability or misconfiguration that the policy does not let pass.
func (p Policy) Evaluate(in Scanned) (*Verdict, error) {
	const stage = "scan"
	subject := fmt.Sprintf("app %s at %s", in.App, in.Digest)
	if in.Digest == "" || in.Findings.Digest != in.Digest {
		return nil, step.Policy(stage, subject, fmt.Sprintf("the findings are about %q", in.Findings.Digest), "scan this very image again")
	}
	if err := p.Validate("policy"); err != nil {
		return nil, err
	}
	if err := p.Database.lets(in); err != nil {
		return nil, err
	}
	if len(in.Findings.Scanned) == 0 {
		return nil, step.Policy(stage, subject, "the scanner looked at nothing, so it can't decide", "check that the image holds a package type that Trivy knows")
	}
	if err := counted(stage, subject, in.Findings.Images); err != nil {
		return nil, err
	}
	j, err := p.judge(stage, in.App, in.Now)
	if err != nil {
		return nil, err
	}
	j.vex = in.VEX
	for _, f := range in.Findings.Vulnerabilities {
		mend := "no fixed version"
		if f.Fixed != "" {
			mend = "fixed in " + f.Fixed
		}
		line := fmt.Sprintf("%s: %s in %s %s, %s: %s", f.Severity, f.ID, f.Package, f.Installed, mend, f.Title)
		j.finding(vulnerability(f), f.Severity, f.Fixed == "", line)
	}
	j.executables(in.Findings.Unknown)
	j.systems(in.Findings.Images)
	j.manifests(in.Findings)
	if err := j.refusal(subject, "update the named packages, remove the secrets (and revoke them), mend the manifests; or add an exception with class, id, reason, owner and expires to slipway.yaml"); err != nil {
		return nil, err
	}
	return &Verdict{
		Digest: in.Digest, DatabaseDigest: in.Findings.Database.Digest, DatabaseUpdatedAt: in.Findings.Database.UpdatedAt, DatabaseSources: in.Findings.Database.Sources,
		DatabaseTrust: p.Database.Trust, PolicyDigest: p.Digest(), TrivyVersion: in.Findings.TrivyVersion, Scanned: len(in.Findings.Scanned),
		Reported: j.reported, Excepted: j.excepted,
	}, nil
}

// EvaluateManifests decides about manifests: only their secrets and misconfigurations
// count. Exceptions for an app are for its own alone; platform's have an empty app.
func (p Policy) EvaluateManifests(stage, app, subject string, found scan.Findings, now time.Time) (*Verdict, error) {
	if err := p.Validate("policy"); err != nil {
		return nil, err
	}
	if len(found.Scanned) == 0 {
		return nil, step.Policy(stage, subject, "the scanner looked at nothing, so it can't decide", "give a folder with manifests")
	}
	j, err := p.judge(stage, app, now)
	if err != nil {
		return nil, err
	}
	j.manifests(found)
	if err := j.refusal(subject, "remove the secrets (and revoke them), mend the manifests; or add an exception with class, id, path, reason, owner and expires to slipway.yaml"); err != nil {
		return nil, err
	}
	return &Verdict{
		PolicyDigest: p.Digest(), TrivyVersion: found.TrivyVersion, Scanned: len(found.Scanned),
		Reported: j.reported, Excepted: j.excepted,
	}, nil
}

// valid returns the exceptions for an app; one that has expired is a refusal. One
// with a path is looked at again where a finding needs it: what has expired for
// the platform's manifests is no reason to refuse an app.
func (p Policy) valid(stage, app string, now time.Time) ([]Exception, error) {
	var exceptions []Exception
	for _, e := range p.Exceptions {
		if e.App != "" && e.App != app {
			continue
		}
		if e.Path == "" {
			if err := e.holds(stage, now); err != nil {
				return nil, err
			}
		}
		exceptions = append(exceptions, e)
	}
	return exceptions, nil
}

// holds refuses an exception whose last day is over, or can't be read.
func (e Exception) holds(stage string, now time.Time) error {
	until, err := e.lastMoment()
	if err != nil || !now.Before(until) {
		return step.Policy(stage, fmt.Sprintf("exception %s of %s", e.ID, e.Owner), "expired on "+e.Expires,
			"mend the finding, or have the owner renew the exception with a new reason")
	}
	return nil
}

// EvaluateCode decides about Terraform code, by what was found in it: a secret refuses,
// and so does each misconfiguration that no exception for every app lets pass, at or
// above the threshold or of no known severity. The verdict is about the code of that
// digest, for the check of a plan that was made of it.
func (p Policy) EvaluateCode(stage, digest string, found scan.Checked, now time.Time) (*infra.Judged, error) {
	if err := p.Validate("policy"); err != nil {
		return nil, err
	}
	j, err := p.judge(stage, "", now)
	if err != nil {
		return nil, err
	}
	var details []string
	for _, f := range found.Misconfigurations {
		if j.excused(misconfiguration(f)) {
			continue
		}
		if rank(f.Severity) > 0 && rank(f.Severity) < rank(p.Threshold) {
			continue
		}
		details = append(details, step.Detail(fmt.Sprintf("%s:%d: %s %s: %s", f.File, f.Line, f.Severity, f.ID, f.Title), f.Resolution))
	}
	for _, f := range found.Secrets {
		if j.excused(secret(f)) {
			continue
		}
		details = append(details, step.Detail(fmt.Sprintf("%s:%d: %s %s: secret: %s", f.File, f.Line, scan.Critical, f.Rule, f.Title),
			"take it out of the code and of its history, and replace it"))
	}
	if j.expired != nil {
		return nil, j.expired
	}
	if len(details) > 0 {
		return nil, step.Policy(stage, "code", fmt.Sprintf("has misconfigurations at or above %s: %d", p.Threshold, len(details)),
			"mend each as its line says, or have the policy's owner except it", details...)
	}
	return &infra.Judged{CodeSHA256: digest, PolicyDigest: p.Digest(), Threshold: string(p.Threshold)}, nil
}

func (p Policy) refuses(s scan.Severity, unfixed bool) bool {
	if rank(s) < 0 {
		return true
	}
	if s == scan.Unknown {
		return p.Unknown == ActionRefuse
	}
	if rank(s) < rank(p.Threshold) {
		return false
	}
	return !unfixed || p.Unfixed == ActionRefuse
}

// skew is how far the clocks of others may be ahead.
const skew = 5 * time.Minute
