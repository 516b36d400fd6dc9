package rules

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// Decision is what a judgement comes to, without its times and its words: who
// decides the same again gets the same digest. decision.md defines it.
type Decision struct {
	Environment string `json:"environment"`
	// Image is repository@digest.
	Image string `json:"image"`
	// Manifests is the sha256:… of what the overlay renders to with the image; empty
	// where none was.
	Manifests string `json:"manifests,omitempty"`
	// Outcomes are in the order of the rules.
	Outcomes []DecidedRule `json:"outcomes"`
	// Platform is where the rules are from; absent where that is not known.
	Platform *Platform `json:"platform,omitempty"`
	// Policy is the digest of the rules and the scan's policy.
	Policy string `json:"policy"`
	// Statements are in the order of digest and predicate type.
	Statements []DecidedBy `json:"statements"`
}

// Basis is what a judgement is about and by, besides the image and its statements.
type Basis struct {
	// Manifests is the sha256:… of what the environment's overlay renders to with the
	// image, which was scanned; empty where none was.
	Manifests string `json:"manifests,omitempty"`
	// Platform is where the rules are from; absent where that is not known.
	Platform *Platform `json:"platform,omitempty"`
}

// Platform is the commit of the platform's repository that the rules are from.
type Platform struct {
	// Branch is the protected one that the commit is on, as remote#branch; empty where
	// the environment doesn't demand that.
	Branch string `json:"branch,omitempty"`
	// Commit is its id, with -dirty behind it where a rule differs from it.
	Commit string `json:"commit"`
}

// String is the platform in a line, for people.
func (p *Platform) String() string {
	switch {
	case p == nil:
		return ""
	case p.Branch != "":
		return p.Commit + ", on " + p.Branch
	}
	return p.Commit
}

// DecidedRule is a rule's verdict.
type DecidedRule struct {
	Rule    Kind   `json:"rule"`
	Verdict Ruling `json:"verdict"`
}

// DecidedBy is a signed statement that was looked at.
type DecidedBy struct {
	// Digest is that of the manifest that holds it.
	Digest        string `json:"digest"`
	PredicateType string `json:"predicateType"`
}

// Decision is what the judgement comes to.
func (j Judgement) Decision() Decision {
	var statements []DecidedBy
	for _, input := range j.Inputs {
		statements = append(statements, DecidedBy{Digest: sha256Of(input.Digest), PredicateType: input.URI})
	}
	return NewDecision(j.Reference, j.Environment, j.Basis, j.PolicyDigest, j.Outcomes, statements)
}

// NewDecision puts a decision together from its parts; the statements may be in
// any order.
func NewDecision(image, environment string, basis Basis, policyDigest string, outcomes []Outcome, statements []DecidedBy) Decision {
	d := Decision{
		Environment: environment, Image: image, Manifests: basis.Manifests, Platform: basis.Platform, Policy: policyDigest,
		Outcomes: []DecidedRule{}, Statements: append([]DecidedBy{}, statements...),
	}
	for _, o := range outcomes {
		d.Outcomes = append(d.Outcomes, DecidedRule{Rule: o.Rule, Verdict: o.Verdict})
	}
	slices.SortFunc(d.Statements, func(a, b DecidedBy) int {
		return cmp.Or(cmp.Compare(a.Digest, b.Digest), cmp.Compare(a.PredicateType, b.PredicateType))
	})
	return d
}

// Encode is the canonical form: one line of JSON, members in the order of their
// names, no white space and no line end.
func (d Decision) Encode() []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(d); err != nil {
		panic(err) // plain data always encodes
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Digest is sha256:… of the canonical form.
func (d Decision) Digest() string {
	sum := sha256.Sum256(d.Encode())
	return "sha256:" + hex.EncodeToString(sum[:])
}

func sha256Of(digests map[string]string) string {
	if digests["sha256"] == "" {
		return ""
	}
	return "sha256:" + digests["sha256"]
}
