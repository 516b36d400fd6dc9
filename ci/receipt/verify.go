package receipt

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/step"
	"slipway/step/result/sign"
)

// Open reads a receipt out of a statement whose signature was checked: its
// predicate type, the digest (sha256:…) that it is about, and its predicate. It
// refuses another type, a document that is not valid or is about another image,
// and one that does not go from a decision with a digest to Healthy.
//
// The error is a *step.Fault of stage receipt.
func Open(predicateType, digest string, predicate []byte) (*Document, error) {
	if predicateType != PredicateType {
		return nil, malformed("predicate type", predicateType, "is not a receipt's", "give the bundle of a receipt, of predicate type "+PredicateType)
	}
	d, err := Parse(predicate)
	if err != nil {
		return nil, err
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	if own := d.Image.Reference.Digest(); own != digest {
		return nil, step.Policy(stage, "image.reference "+quote(d.Image.Reference.String()), "is not the image that the statement is about: "+quote(digest),
			"take the receipt from beside the image again, and find out who signs with the platform's key")
	}
	const mend = "release the image again: a receipt that is whole is written when the release is healthy"
	for _, part := range []struct {
		name  string
		there bool
	}{
		{"decision", d.Decision != nil}, {"decision.digest", d.Decision != nil && d.Decision.Digest != ""},
		{"gitops", d.GitOps != nil}, {"live", d.Live != nil},
	} {
		if !part.there {
			return nil, step.Policy(stage, part.name, "is missing", mend)
		}
	}
	return d, nil
}

// signedBy names who signed a receipt: a key by its hint, or an identity with the
// issuer that vouches for it and when logs and timestamp authorities first saw the
// signature.
func signedBy(s sign.Signer) string {
	if s.Identity == "" {
		return "the key " + s.KeyHint
	}
	text := fmt.Sprintf("the identity %s of issuer %s", quote(s.Identity), quote(s.Issuer))
	if len(s.Times) > 0 {
		text += ", seen at " + slices.MinFunc(s.Times, time.Time.Compare).UTC().Format(time.RFC3339)
	}
	return text
}

// Checked is what Open has checked, one line each, for a statement by signer.
func (d *Document) Checked(signer sign.Signer) []string {
	digest := d.Image.Reference.Digest()
	pass, warn, _ := d.Decision.count()
	lines := []string{
		"signature: by " + signedBy(signer),
		"image: the statement and the receipt are about " + digest,
		fmt.Sprintf("decision: %s is the digest of %s of %s, %s",
			d.Decision.Digest, plural(pass+warn, "verdict", "verdicts"), plural(len(d.Evidence), "statement", "statements"), d.Decision.PolicyDigest),
	}
	if n := len(d.Stages); n > 0 {
		lines = append(lines, fmt.Sprintf("stages: %s in order", plural(n, "stage", "stages")))
	}
	return lines
}

// Binding is what the commit's trailer comes to, in a line; where it is another
// decision's, or none, it says so.
func (d *Document) Binding() string {
	return strings.TrimSpace("evidence: " + d.bound() + " " + d.GitOps.Evidence)
}
