// Package sign has the results of the program that makes keys, signs images and
// checks their signatures.
package sign

import (
	"encoding/json"
	"time"
)

// Key is a key that was made or read.
type Key struct {
	// PublicKey is the PEM, as cosign.pub below --out holds it.
	PublicKey string `json:"publicKey"`
	// KeyHint names the key in bundles.
	KeyHint string `json:"keyHint"`
}

// Attached is one statement that an image carries now.
type Attached struct {
	// Reference is repository@digest of the image, Digest its digest.
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	// Signed is false when this very statement, signed by this key, was there.
	Signed bool `json:"signed"`
	// Referrer is the digest of the manifest that holds the bundle.
	Referrer      string `json:"referrer"`
	PredicateType string `json:"predicateType"`
	// KeyHint names the key, Identity and Issuer who signed without one.
	KeyHint  string `json:"keyHint"`
	Identity string `json:"identity,omitempty"`
	Issuer   string `json:"issuer,omitempty"`
	// Degraded is set when a service was down: the signature lacks its evidence
	// and stops to count.
	Degraded *Degraded `json:"degraded,omitempty"`
}

// Degraded marks a statement whose signature lacks evidence that was asked for,
// because a service was down.
type Degraded struct {
	// Missing are the services that gave nothing.
	Missing []string `json:"missing"`
	// Expires is when the statement stops to count.
	Expires time.Time `json:"expires"`
}

// Signed is an image's signature, with what was attested beside it.
type Signed struct {
	*Attached
	// Attestations are those of the statements that were given, in their order.
	Attestations []*Attached `json:"attestations"`
}

// Attested is what was attested about an image.
type Attested struct {
	// Attestations are those of the statements, in their order.
	Attestations []*Attached `json:"attestations"`
}

// Envelope is how a statement is wrapped.
type Envelope string

const (
	// EnvelopeBundle is a Sigstore bundle.
	EnvelopeBundle Envelope = "bundle"
	// EnvelopeDSSE is a DSSE envelope alone.
	EnvelopeDSSE Envelope = "dsse"
)

// Signer is who signed a statement, as it was verified.
type Signer struct {
	// KeyHint names the key, Identity and Issuer what the certificate says: one
	// or the other.
	KeyHint  string `json:"keyHint,omitempty"`
	Identity string `json:"identity,omitempty"`
	Issuer   string `json:"issuer,omitempty"`
	// Repository is the address of the repository whose job signed, if the certificate
	// names one: Fulcio's extension 1.3.6.1.4.1.57264.1.12.
	Repository string `json:"repository,omitempty"`
	// Times are when logs and timestamp authorities saw the signature; none for
	// a key.
	Times []time.Time `json:"times,omitempty"`
	// Degraded is the statement's mark, if it has one.
	Degraded *Degraded `json:"degraded,omitempty"`
}

// Statement is one that who is trusted signed about an image.
type Statement struct {
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
	// Annotations are the claims about the image; never null.
	Annotations map[string]string `json:"annotations"`
	// Referrer is the digest of the manifest that holds it.
	Referrer string   `json:"referrer"`
	Envelope Envelope `json:"envelope"`
	// Signer is who signed it; absent when a key is trusted.
	Signer *Signer `json:"signer,omitempty"`
}

// Evidence is everything that who is trusted signed about an image.
type Evidence struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	KeyHint   string `json:"keyHint"`
	// Statements are in the order of the registry's list; the image's signature
	// is one of them.
	Statements []Statement `json:"statements"`
	// Ignored is one line for each that somebody else signed.
	Ignored []string `json:"ignored,omitempty"`
}

// Found are an image's statements of one type.
type Found struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	// KeyHint is empty when an identity is trusted.
	KeyHint string `json:"keyHint"`
	// Verified is the number of statements that count: at least 1.
	Verified      int    `json:"verified"`
	PredicateType string `json:"predicateType"`
	// Predicates and Annotations are those of each statement, in the order of
	// the registry's list; Referrers are the manifests that hold them.
	Predicates  []json.RawMessage   `json:"predicates"`
	Annotations []map[string]string `json:"annotations"`
	Referrers   []string            `json:"referrers"`
	// Signers are who signed each statement, in the same order; absent when a
	// key is trusted.
	Signers []Signer `json:"signers,omitempty"`
	// Ignored is one line for each bundle that does not count.
	Ignored []string `json:"ignored,omitempty"`
}

// Verified is an image that carries what was asked for.
type Verified struct {
	*Found
	// Attestation is absent when none was asked for.
	Attestation *Found `json:"attestation,omitempty"`
}

// Bundled is the one signed statement of a bundle.
type Bundled struct {
	// Digest is that of the image that the statement is about.
	Digest        string `json:"digest"`
	PredicateType string `json:"predicateType"`
	// Predicate is as it was signed.
	Predicate json.RawMessage `json:"predicate"`
	// Annotations are the claims about the image; never null.
	Annotations map[string]string `json:"annotations"`
	Signer      Signer            `json:"signer"`
}
