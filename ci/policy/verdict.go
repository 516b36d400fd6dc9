package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/step"
)

// Findings is what the scan step found, before any decision.
type Findings struct {
	// Digest is the scanned image index.
	Digest string `json:"digest"`
	// Database is the vulnerability database that was used.
	Database DatabaseInfo `json:"database"`
	// TrivyVersion is the scanner's.
	TrivyVersion      string             `json:"trivyVersion"`
	Vulnerabilities   []Vulnerability    `json:"vulnerabilities"`
	Secrets           []Secret           `json:"secrets"`
	Misconfigurations []Misconfiguration `json:"misconfigurations"`
	// Scanned lists what was looked at; an empty list decides nothing.
	Scanned []Scanned `json:"scanned"`
	// Packages are those of the image, on whichever of its platforms.
	Packages []Package `json:"packages"`
}

// DatabaseInfo identifies a vulnerability database and its age.
type DatabaseInfo struct {
	Digest     string    `json:"digest"`
	UpdatedAt  time.Time `json:"updatedAt"`
	NextUpdate time.Time `json:"nextUpdate"`
	Version    int       `json:"version"`
}

// Vulnerability is a known flaw in a package of the image.
type Vulnerability struct {
	ID        string   `json:"id"`
	Package   string   `json:"package"`
	Installed string   `json:"installed"`
	Fixed     string   `json:"fixed,omitempty"`
	Severity  Severity `json:"severity"`
	Platforms []string `json:"platforms"`
	Target    string   `json:"target"`
	Title     string   `json:"title,omitempty"`
}

// Secret is a credential in the source. The credential itself is never kept.
type Secret struct {
	Rule     string   `json:"rule"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title,omitempty"`
}

// Misconfiguration is a dangerous setting in a manifest or in Terraform code.
type Misconfiguration struct {
	ID       string   `json:"id"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title,omitempty"`
	Resource string   `json:"resource,omitempty"`
}

// Scanned is one thing the scanner looked at.
type Scanned struct {
	Target   string `json:"target"`
	Type     string `json:"type"`
	Packages int    `json:"packages"`
}

// Package is a package of the image.
type Package struct {
	// Class is os-pkgs or lang-pkgs, and Type what it comes as, such as
	// gobinary or debian.
	Class   string `json:"class"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Verdict is the decision over findings. It exists only for findings that
// passed: a refusal is a fault.
type Verdict struct {
	Digest         string `json:"digest"`
	DatabaseDigest string `json:"databaseDigest"`
	// DatabaseUpdatedAt is when the database's advisories were taken.
	DatabaseUpdatedAt time.Time `json:"databaseUpdatedAt"`
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

// Digest returns sha256:<hex> of the policy.
func (p Policy) Digest() string {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // a struct of strings always encodes
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Input is what Evaluate decides about.
type Input struct {
	App      string
	Digest   string
	Findings Findings
	// Exceptions are further ones, beside the policy's: those of the app itself.
	Exceptions []Exception
	MaxAge     time.Duration
	Now        time.Time
}

// Evaluate decides. It returns a policy fault when anything refuses, with one
// detail a finding: findings about another digest, a database that is stale or
// from the future, nothing scanned, an expired exception, a secret, and every
// vulnerability or misconfiguration that the policy does not let pass.
func (p Policy) Evaluate(in Input) (*Verdict, error) {
	const stage = "scan"
	subject := fmt.Sprintf("app %s at %s", in.App, in.Digest)
	if in.Digest == "" || in.Findings.Digest != in.Digest {
		return nil, step.Policy(stage, subject, fmt.Sprintf("the findings are about %q", in.Findings.Digest), "scan this very image again")
	}
	if err := p.Validate("policy"); err != nil {
		return nil, err
	}
	if err := fresh(in); err != nil {
		return nil, err
	}
	if len(in.Findings.Scanned) == 0 {
		return nil, step.Policy(stage, subject, "the scanner looked at nothing, so it can't decide", "check that the image holds a package type that Trivy knows")
	}
	own := p
	own.Exceptions = slices.Concat(p.Exceptions, in.Exceptions)
	j, err := own.judge(stage, in.App, in.Now)
	if err != nil {
		return nil, err
	}
	for _, f := range in.Findings.Vulnerabilities {
		mend := "no fixed version"
		if f.Fixed != "" {
			mend = "fixed in " + f.Fixed
		}
		j.finding(f.ID, "", f.Severity, f.Fixed == "", fmt.Sprintf("%s: %s in %s %s, %s: %s", f.Severity, f.ID, f.Package, f.Installed, mend, f.Title))
	}
	j.manifests(in.Findings)
	if err := j.refusal(subject, "update the named packages, remove the secrets (and revoke them), mend the manifests; or add an exception with id, reason, owner and expires to slipway.yaml"); err != nil {
		return nil, err
	}
	return &Verdict{
		Digest: in.Digest, DatabaseDigest: in.Findings.Database.Digest, DatabaseUpdatedAt: in.Findings.Database.UpdatedAt, PolicyDigest: p.Digest(),
		TrivyVersion: in.Findings.TrivyVersion, Scanned: len(in.Findings.Scanned),
		Reported: j.reported, Excepted: j.excepted,
	}, nil
}

// EvaluateManifests decides about manifests that belong to no image, as Evaluate
// does about those of an app: only their secrets and misconfigurations count. An
// exception for an app is none for them.
func (p Policy) EvaluateManifests(stage, subject string, found Findings, now time.Time) (*Verdict, error) {
	if err := p.Validate("policy"); err != nil {
		return nil, err
	}
	if len(found.Scanned) == 0 {
		return nil, step.Policy(stage, subject, "the scanner looked at nothing, so it can't decide", "give a folder with manifests")
	}
	j, err := p.judge(stage, "", now)
	if err != nil {
		return nil, err
	}
	j.manifests(found)
	if err := j.refusal(subject, "remove the secrets (and revoke them), mend the manifests; or add an exception with id, path, reason, owner and expires to slipway.yaml"); err != nil {
		return nil, err
	}
	return &Verdict{
		PolicyDigest: p.Digest(), TrivyVersion: found.TrivyVersion, Scanned: len(found.Scanned),
		Reported: j.reported, Excepted: j.excepted,
	}, nil
}

// judgement is a decision on its way.
type judgement struct {
	policy     Policy
	stage      string
	now        time.Time
	exceptions []Exception

	refused, reported []string
	excepted          []Exception
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

// finding decides about one; file is empty for what is in no file of the
// repository.
func (j *judgement) finding(id, file string, s Severity, unfixed bool, line string) {
	e, ok := excepting(j.exceptions, id, file)
	switch {
	case ok:
		if err := e.holds(j.stage, j.now); err != nil && j.expired == nil {
			j.expired = err
		}
		if !slices.Contains(j.excepted, e) {
			j.excepted = append(j.excepted, e)
		}
	case j.policy.refuses(s, unfixed):
		j.refused = append(j.refused, line)
	default:
		j.reported = append(j.reported, line)
	}
}

// manifests decides about secrets, which no exception lets pass, and about
// misconfigurations.
func (j *judgement) manifests(found Findings) {
	for _, f := range found.Secrets {
		j.refused = append(j.refused, fmt.Sprintf("secret: %s in %s:%d (%s)", f.Title, f.File, f.Line, f.Rule))
	}
	for _, f := range found.Misconfigurations {
		j.finding(f.ID, f.File, f.Severity, false, fmt.Sprintf("%s: %s in %s:%d: %s", f.Severity, f.ID, f.File, f.Line, f.Title))
	}
}

func (j *judgement) refusal(subject, mend string) error {
	if j.expired != nil {
		return j.expired
	}
	if len(j.refused) == 0 {
		return nil
	}
	noun := "findings"
	if len(j.refused) == 1 {
		noun = "finding"
	}
	return step.Policy(j.stage, subject, fmt.Sprintf("%d %s at or above %s", len(j.refused), noun, strings.ToUpper(string(j.policy.Threshold))), mend, j.refused...)
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

// excepting returns the first exception that covers a finding.
func excepting(exceptions []Exception, id, file string) (Exception, bool) {
	for _, e := range exceptions {
		if e.covers(id, file) {
			return e, true
		}
	}
	return Exception{}, false
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

// Unexcepted returns the misconfigurations that no exception for every app
// lets pass.
func (p Policy) Unexcepted(stage string, found []Misconfiguration, now time.Time) ([]Misconfiguration, error) {
	exceptions, err := p.valid(stage, "", now)
	if err != nil {
		return nil, err
	}
	left := []Misconfiguration{}
	for _, f := range found {
		e, ok := excepting(exceptions, f.ID, f.File)
		if !ok {
			left = append(left, f)
			continue
		}
		if err := e.holds(stage, now); err != nil {
			return nil, err
		}
	}
	return left, nil
}

func (p Policy) refuses(s Severity, unfixed bool) bool {
	n, known := rank[s]
	if !known || s == Unknown {
		return p.Unknown == Refuse || !known
	}
	if n < rank[p.Threshold] {
		return false
	}
	return !unfixed || p.Unfixed == Refuse
}

// fresh refuses a database whose age can't be trusted.
func fresh(in Input) error {
	const stage = "scan"
	db := in.Findings.Database
	subject := "vulnerability database " + db.Digest
	mend := "publish a current database and check its mirror job, or raise scan.database.maxAge"
	switch {
	case db.Digest == "" || db.UpdatedAt.IsZero():
		return step.Policy(stage, subject, "does not say when it was made", mend)
	case in.MaxAge <= 0:
		return step.Input(stage, "scan.database.maxAge", "is not positive", "give how old the database may be, such as 48h")
	case db.UpdatedAt.After(in.Now.Add(5 * time.Minute)):
		return step.Policy(stage, subject, "was made in the future, at "+db.UpdatedAt.UTC().Format(time.RFC3339), "check the clocks, then "+mend)
	case in.Now.Sub(db.UpdatedAt) > in.MaxAge:
		return step.Policy(stage, subject, fmt.Sprintf("is stale: made at %s, older than %s", db.UpdatedAt.UTC().Format(time.RFC3339), in.MaxAge), mend)
	}
	return nil
}
