package rules

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/ci/evidence"
	"slipway/step"
	"slipway/step/result/scan"
)

// decider names Slipway's scan in an attestation.
const decider = "urn:slipway:scan"

// Scan is the predicate: what the scanner found, and Slipway's own addition,
// what was decided about it. The same scan and decision are the same statement.
type Scan struct {
	Scanner  Scanner      `json:"scanner"`
	Metadata Metadata     `json:"metadata"`
	Decision ScanDecision `json:"decision"`
}

// Scanner is which scanner looked, with which database, and what it found in the
// image.
type Scanner struct {
	// URI is the scanner's package URL.
	URI     string `json:"uri"`
	Version string `json:"version"`
	// Digest of the binary that ran; an addition.
	Digest map[string]string `json:"digest,omitempty"`
	DB     ScannerDB         `json:"db"`
	// Result has one entry for each vulnerability in each package.
	Result []Found `json:"result"`
}

// ScannerDB is a vulnerability database.
type ScannerDB struct {
	URI     string `json:"uri,omitempty"`
	Version string `json:"version,omitempty"`
	// Digest of its OCI artifact; an addition.
	Digest map[string]string `json:"digest,omitempty"`
	// LastUpdate is when its advisories were taken.
	LastUpdate time.Time `json:"lastUpdate"`
	// Trust is why it is believed; an addition.
	Trust string `json:"trust,omitempty"`
}

// Found is a vulnerability in a package.
type Found struct {
	ID          string              `json:"id"`
	Severity    []Score             `json:"severity"`
	Annotations []map[string]string `json:"annotations"`
}

// Score is a severity by a method.
type Score struct {
	Method string `json:"method"`
	Score  string `json:"score"`
}

// Metadata is when the scanner ran.
type Metadata struct {
	ScanStartedOn  time.Time `json:"scanStartedOn"`
	ScanFinishedOn time.Time `json:"scanFinishedOn"`
}

// ScanDecision is what was decided about everything that was found, and by which
// rules.
type ScanDecision struct {
	// By is who decided: urn:slipway:scan, or urn:slipway:rescan for one that looked
	// at the image only.
	By string `json:"by"`
	// Result is PASSED; a rescan's can be REFUSED.
	Result string `json:"result"`
	// Resource is the image that it is about, as repository@digest.
	Resource string `json:"resource"`
	// Policy is the scan's policy, with the database that it wants.
	Policy Resource `json:"policy"`
	// Scanned is the number of targets that were looked at, the source and the
	// Terraform code among them.
	Scanned int `json:"scanned"`
	// Reported are findings that the policy lets pass, one line each.
	Reported []string `json:"reported"`
	// Excepted are the exceptions that were needed.
	Excepted []Exception `json:"excepted"`
}

// Resource is a thing with its digest.
type Resource struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

// Run is how the scanner ran.
type Run struct {
	// TrivyDigest is the sha256:… of its binary.
	TrivyDigest string
	// Repository that the database came from.
	Repository            string
	StartedOn, FinishedOn time.Time
}

// Attest states that the verdict's image passed.
func Attest(reference string, v Verdict, found scan.Findings, run Run) Scan {
	s := Scan{
		Scanner: Scanner{
			URI: "pkg:golang/github.com/aquasecurity/trivy@v" + v.TrivyVersion, Version: v.TrivyVersion, Digest: evidence.DigestSet(run.TrivyDigest),
			DB:     ScannerDB{Version: fmt.Sprint(found.Database.Version), Digest: evidence.DigestSet(v.DatabaseDigest), LastUpdate: v.DatabaseUpdatedAt, Trust: v.DatabaseTrust},
			Result: []Found{},
		},
		Metadata: Metadata{ScanStartedOn: run.StartedOn, ScanFinishedOn: run.FinishedOn},
		Decision: ScanDecision{
			By: decider, Result: passed, Resource: reference,
			Policy:  Resource{URI: "slipway.yaml#scan", Digest: evidence.DigestSet(v.PolicyDigest)},
			Scanned: v.Scanned, Reported: v.Reported, Excepted: v.Excepted,
		},
	}
	if run.Repository != "" {
		s.Scanner.DB.URI = "oci://" + step.Refer(run.Repository, v.DatabaseDigest).String()
	}
	for _, f := range found.Vulnerabilities {
		about := map[string]string{"package": f.Package, "installed": f.Installed, "target": f.Target}
		if f.Fixed != "" {
			about["fixed"] = f.Fixed
		}
		if len(f.Platforms) > 0 {
			about["platforms"] = strings.Join(f.Platforms, ",")
		}
		s.Scanner.Result = append(s.Scanner.Result, Found{
			ID: f.ID, Severity: []Score{{Method: "trivy", Score: string(f.Severity)}}, Annotations: []map[string]string{about},
		})
	}
	return s
}

// Accept checks that a scan says that this image passed this very policy, with a
// database that the policy wants, and that the exceptions it needed still hold now.
func (p Policy) Accept(stage, reference string, s Scan, now time.Time) error {
	const mend = "scan, publish and sign the image again under the current policy"
	subject := "scan verdict of " + reference
	d := s.Decision
	switch {
	case "sha256:"+d.Policy.Digest["sha256"] != p.Digest():
		return step.Policy(stage, subject, "was made under another policy, or with another vulnerability database than it wants", mend)
	case d.By != decider:
		return step.Policy(stage, subject, fmt.Sprintf("is by %q, not by Slipway's scan", d.By), mend)
	case d.Result != passed:
		return step.Policy(stage, subject, fmt.Sprintf("says %q", d.Result), mend)
	case d.Resource != reference:
		return step.Policy(stage, subject, fmt.Sprintf("is about %q", d.Resource), mend)
	}
	for _, e := range d.Excepted {
		if err := e.holds(stage, now); err != nil {
			return err
		}
	}
	return nil
}

// Until is when the last of the exceptions that the scan needed no longer holds;
// zero when it needed none.
func (s Scan) Until() time.Time {
	var until time.Time
	for _, e := range s.Decision.Excepted {
		if last, err := e.lastMoment(); err == nil && (until.IsZero() || last.Before(until)) {
			until = last
		}
	}
	return until
}

// Newest returns the accepted scan whose database is the newest, or a later rescan
// of the image; of none, the last refusal. An image that the last rescan has
// refused is refused.
func (p Policy) Newest(stage, reference string, predicates []json.RawMessage, now time.Time) (*Scan, error) {
	subject := "scan verdict of " + reference
	var refusal error = step.Policy(stage, subject, "is missing", "scan, publish and sign the image")
	var accepted []Scan
	for _, data := range predicates {
		var scan Scan
		if err := json.Unmarshal(data, &scan); err != nil {
			refusal = step.Policy(stage, subject, "can't be read: "+err.Error(), "scan, publish and sign the image again").Because(err)
			continue
		}
		if err := p.Accept(stage, reference, scan, now); err != nil {
			refusal = err
			continue
		}
		accepted = append(accepted, scan)
	}
	if len(accepted) == 0 {
		return nil, refusal
	}
	newest, err := p.latest(stage, reference, slices.MaxFunc(accepted, func(a, b Scan) int {
		return a.Scanner.DB.LastUpdate.Compare(b.Scanner.DB.LastUpdate)
	}), predicates, now)
	if err != nil {
		return nil, err
	}
	return &newest, nil
}
