package policy

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"slipway/step"
)

// PredicateType is the in-toto predicate that a passed scan is attested with:
// the SLSA verification summary, version 1.
const PredicateType = "https://slsa.dev/verification_summary/v1"

// verifierID names Slipway's scan in a summary.
const verifierID = "urn:slipway:scan"

// Summary is a SLSA verification summary about one image. It holds no time of
// its own, so that the same decision is the same statement.
type Summary struct {
	Verifier           Verifier `json:"verifier"`
	ResourceURI        string   `json:"resourceUri"`
	Policy             Resource `json:"policy"`
	VerificationResult string   `json:"verificationResult"`
	VerifiedLevels     []string `json:"verifiedLevels"`
	// Scan is Slipway's own addition: what the decision stood on.
	Scan Basis `json:"scan"`
}

// Verifier is who decided.
type Verifier struct {
	ID      string            `json:"id"`
	Version map[string]string `json:"version,omitempty"`
}

// Resource is a thing with its digest.
type Resource struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

// Basis is what a decision stood on.
type Basis struct {
	DatabaseDigest string `json:"databaseDigest"`
	// DatabaseUpdatedAt is when the database's advisories were taken: how old
	// the scan's knowledge is.
	DatabaseUpdatedAt time.Time   `json:"databaseUpdatedAt"`
	Scanned           int         `json:"scanned"`
	Reported          []string    `json:"reported"`
	Excepted          []Exception `json:"excepted"`
}

// Summarise states that the verdict's image passed.
func Summarise(reference string, v Verdict) Summary {
	return Summary{
		Verifier:           Verifier{ID: verifierID, Version: map[string]string{"trivy": v.TrivyVersion}},
		ResourceURI:        reference,
		Policy:             Resource{URI: "slipway.yaml#scan.policy", Digest: digestSet(v.PolicyDigest)},
		VerificationResult: "PASSED",
		VerifiedLevels:     []string{},
		Scan:               Basis{DatabaseDigest: v.DatabaseDigest, DatabaseUpdatedAt: v.DatabaseUpdatedAt, Scanned: v.Scanned, Reported: v.Reported, Excepted: v.Excepted},
	}
}

// Accept checks that a summary says that this image passed this very policy,
// and that the exceptions it needed still hold now.
func (p Policy) Accept(stage, reference string, s Summary, now time.Time) error {
	const mend = "scan, publish and sign the image again under the current policy"
	subject := "scan verdict of " + reference
	switch {
	case s.Verifier.ID != verifierID:
		return step.Policy(stage, subject, fmt.Sprintf("is by %q, not by Slipway's scan", s.Verifier.ID), mend)
	case s.VerificationResult != "PASSED":
		return step.Policy(stage, subject, fmt.Sprintf("says %q", s.VerificationResult), mend)
	case s.ResourceURI != reference:
		return step.Policy(stage, subject, fmt.Sprintf("is about %q", s.ResourceURI), mend)
	case "sha256:"+s.Policy.Digest["sha256"] != p.Digest():
		return step.Policy(stage, subject, "was made under another policy", mend)
	}
	for _, e := range s.Scan.Excepted {
		if err := e.holds(stage, now); err != nil {
			return err
		}
	}
	return nil
}

// AcceptAny wants one attested summary that Accept accepts; of none, the last
// refusal is returned.
func (p Policy) AcceptAny(stage, reference string, predicates []json.RawMessage, now time.Time) error {
	subject := "scan verdict of " + reference
	var refusal error = step.Policy(stage, subject, "is missing", "scan, publish and sign the image")
	for _, data := range predicates {
		var summary Summary
		if err := json.Unmarshal(data, &summary); err != nil {
			refusal = step.Policy(stage, subject, "can't be read: "+err.Error(), "scan, publish and sign the image again").Because(err)
			continue
		}
		if refusal = p.Accept(stage, reference, summary, now); refusal == nil {
			return nil
		}
	}
	return refusal
}

func digestSet(digest string) map[string]string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return map[string]string{algorithm: hex}
}
