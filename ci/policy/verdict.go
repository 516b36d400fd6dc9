package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
	MaxAge   time.Duration
	Now      time.Time
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
	exceptions, err := p.valid(stage, in.App, in.Now)
	if err != nil {
		return nil, err
	}
	v := &Verdict{
		Digest: in.Digest, DatabaseDigest: in.Findings.Database.Digest, DatabaseUpdatedAt: in.Findings.Database.UpdatedAt, PolicyDigest: p.Digest(),
		TrivyVersion: in.Findings.TrivyVersion, Scanned: len(in.Findings.Scanned),
		Reported: []string{}, Excepted: []Exception{},
	}
	var refused []string
	used := map[string]bool{}
	judge := func(id string, s Severity, unfixed bool, line string) {
		if e, ok := exceptions[id]; ok {
			if !used[id] {
				v.Excepted = append(v.Excepted, e)
				used[id] = true
			}
			return
		}
		if p.refuses(s, unfixed) {
			refused = append(refused, line)
		} else {
			v.Reported = append(v.Reported, line)
		}
	}
	for _, f := range in.Findings.Secrets {
		refused = append(refused, fmt.Sprintf("secret: %s in %s:%d (%s)", f.Title, f.File, f.Line, f.Rule))
	}
	for _, f := range in.Findings.Vulnerabilities {
		mend := "no fixed version"
		if f.Fixed != "" {
			mend = "fixed in " + f.Fixed
		}
		judge(f.ID, f.Severity, f.Fixed == "", fmt.Sprintf("%s: %s in %s %s, %s: %s", f.Severity, f.ID, f.Package, f.Installed, mend, f.Title))
	}
	for _, f := range in.Findings.Misconfigurations {
		judge(f.ID, f.Severity, false, fmt.Sprintf("%s: %s in %s:%d: %s", f.Severity, f.ID, f.File, f.Line, f.Title))
	}
	if len(refused) > 0 {
		noun := "findings"
		if len(refused) == 1 {
			noun = "finding"
		}
		return nil, step.Policy(stage, subject, fmt.Sprintf("%d %s at or above %s", len(refused), noun, strings.ToUpper(string(p.Threshold))),
			"update the named packages, remove the secrets (and revoke them), mend the manifests; or add an exception with id, reason, owner and expires to slipway.yaml", refused...)
	}
	return v, nil
}

// valid returns the exceptions for an app, by id; one that has expired is a
// refusal.
func (p Policy) valid(stage, app string, now time.Time) (map[string]Exception, error) {
	exceptions := map[string]Exception{}
	for _, e := range p.Exceptions {
		if e.App != "" && e.App != app {
			continue
		}
		if err := e.holds(stage, now); err != nil {
			return nil, err
		}
		exceptions[e.ID] = e
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

// Unexcepted returns the misconfigurations that no exception for every app
// lets pass.
func (p Policy) Unexcepted(stage string, found []Misconfiguration, now time.Time) ([]Misconfiguration, error) {
	exceptions, err := p.valid(stage, "", now)
	if err != nil {
		return nil, err
	}
	left := []Misconfiguration{}
	for _, f := range found {
		if _, ok := exceptions[f.ID]; !ok {
			left = append(left, f)
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
