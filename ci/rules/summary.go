package rules

import (
	"encoding/json"
	"slices"
	"time"

	"slipway/ci/evidence"
)

// Verifier is the id that Slipway's verification summaries carry.
const Verifier = "https://slipway.dev/verifier/v1"

// buildLevel is the most that a verifier may claim of a build whose provenance
// the pipeline itself signs with a key that it holds (SLSA v1.0, Build track).
const buildLevel = "SLSA_BUILD_LEVEL_1"

// Summary is the predicate of SLSA's verification summary, version 1.
type Summary struct {
	Verifier           SummaryVerifier       `json:"verifier"`
	TimeVerified       time.Time             `json:"timeVerified"`
	ResourceURI        string                `json:"resourceUri"`
	Policy             Resource              `json:"policy"`
	InputAttestations  []evidence.Descriptor `json:"inputAttestations"`
	VerificationResult string                `json:"verificationResult"`
	VerifiedLevels     []string              `json:"verifiedLevels"`
	SLSAVersion        string                `json:"slsaVersion"`
	// Environment that it was verified for, and until when it counts; additions.
	Environment string    `json:"environment"`
	ValidUntil  time.Time `json:"validUntil"`
	// Outcomes are the verdicts of the rules; an addition.
	Outcomes []Outcome `json:"outcomes"`
}

// SummaryVerifier is who verified.
type SummaryVerifier struct {
	ID string `json:"id"`
}

// Summary is the predicate that attests the judgement; of one that refuses there
// is none.
func (j Judgement) Summary() (*Summary, bool) {
	if j.Refusal("verify") != nil {
		return nil, false
	}
	s := &Summary{
		Verifier: SummaryVerifier{ID: Verifier}, TimeVerified: j.At.Truncate(time.Second), ResourceURI: j.Reference,
		Policy:            Resource{URI: "slipway.yaml#verification", Digest: evidence.DigestSet(j.PolicyDigest)},
		InputAttestations: j.Inputs, VerificationResult: "PASSED", VerifiedLevels: []string{}, SLSAVersion: "1.0",
		Environment: j.Environment, ValidUntil: j.Until.Truncate(time.Second), Outcomes: j.Outcomes,
	}
	for _, o := range j.Outcomes {
		if o.Rule == RequireProvenance && o.Verdict == Pass {
			s.VerifiedLevels = []string{buildLevel}
		}
	}
	return s, true
}

// Answer is the judgement that a signed summary among the statements still gives:
// about this image and environment, under these very rules, of an age that they
// allow, while everything that it stands on still verifies, and while nobody has
// scanned the image again or revoked it, and while people and the time come to the same.
func Answer(in Evidence) (*Judgement, bool) {
	if len(in.Revoked())+len(in.Foreign()) > 0 {
		return nil, false
	}
	digest := in.policyDigest()
	for _, statement := range evidence.OfType(in.Statements, evidence.SummaryType) {
		var s Summary
		if json.Unmarshal(statement.Predicate, &s) != nil {
			continue
		}
		if s.Verifier.ID != Verifier || s.VerificationResult != "PASSED" || s.ResourceURI != in.Reference || s.Environment != in.Environment {
			continue
		}
		if "sha256:"+s.Policy.Digest["sha256"] != digest || s.TimeVerified.After(in.Now) || !in.Now.Before(s.ValidUntil) {
			continue
		}
		if in.Now.Sub(s.TimeVerified) >= in.Rules.SummaryMaxAge || !in.holds(s) || in.scannedSince(s) || !in.stays(s) {
			continue
		}
		return &Judgement{
			Reference: in.Reference, Environment: in.Environment, PolicyDigest: digest,
			Outcomes: s.Outcomes, At: s.TimeVerified, Until: s.ValidUntil, Inputs: s.InputAttestations,
		}, true
	}
	return nil, false
}

// holds says whether every statement that the summary stands on is among those
// that verify today: a signer may have lost the trust, a degraded signature its
// time.
func (in Evidence) holds(s Summary) bool {
	known := in.inputs()
	for _, d := range s.InputAttestations {
		if !slices.ContainsFunc(known, func(k evidence.Descriptor) bool { return k.Digest["sha256"] == d.Digest["sha256"] }) {
			return false
		}
	}
	return true
}

// stays says whether the rules by which people or the time decide come to what they
// came to.
func (in Evidence) stays(s Summary) bool {
	return !slices.ContainsFunc(in.Rules.in(in.Environment), func(rule Rule) bool {
		if !rule.waits() {
			return false
		}
		outcome, _ := in.apply(rule)
		return !slices.Contains(s.Outcomes, outcome)
	})
}

// scannedSince says whether there is a scan that the summary does not stand on.
func (in Evidence) scannedSince(s Summary) bool {
	for _, scan := range evidence.OfType(in.Statements, evidence.ScanType) {
		known := slices.ContainsFunc(s.InputAttestations, func(d evidence.Descriptor) bool {
			return "sha256:"+d.Digest["sha256"] == scan.Referrer
		})
		if !known {
			return true
		}
	}
	return false
}
