// Package bundle makes and checks Sigstore bundles (v0.3): a DSSE envelope
// around an in-toto statement (v1).
//
// Who may have signed is a Trust: one key, or one identity.
//
// Keys are the organisation's own, and no transparency log or timestamp
// authority is asked. So a bundle by a key says who signed, never when, and a
// stolen key's signatures cannot be told from its owner's: after a theft,
// replace the key and sign again.
//
// An identity is what an OIDC issuer told a certificate authority (Fulcio) that
// a trusted root names. Its certificate is valid for minutes, so a log or a
// timestamp authority of that root has to say that the signature was made then.
package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

const (
	// MediaType is a bundle's media type, and its artifact type in a registry.
	MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	// PayloadType is the DSSE payload type of an in-toto statement.
	PayloadType = "application/vnd.in-toto+json"
	// StatementType is the statement's _type.
	StatementType = "https://in-toto.io/Statement/v1"
	// SignPredicateType is the predicate type of an image's signature, whose
	// predicate is empty: cosign's.
	SignPredicateType = "https://sigstore.dev/cosign/sign/v1"
)

// Statement is an in-toto statement about one image.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// Subject is what a statement is about.
type Subject struct {
	// Digest by algorithm: "sha256" to 64 hexadecimal digits.
	Digest map[string]string `json:"digest"`
	// Annotations are the signer's claims about the image, such as its app
	// and its source revision. cosign verify -a compares them.
	Annotations map[string]string `json:"annotations,omitempty"`
}

// NewStatement makes a statement about a sha256 digest. An empty predicate is
// the empty object; annotations may be nil.
func NewStatement(digest, predicateType string, predicate []byte, annotations map[string]string) (*Statement, error) {
	algorithm, hex, ok := strings.Cut(digest, ":")
	if !ok {
		return nil, fmt.Errorf("digest %q names no algorithm", digest)
	}
	if len(predicate) == 0 {
		predicate = []byte("{}")
	}
	compact, err := object(predicate)
	if err != nil {
		return nil, err
	}
	return &Statement{
		Type:          StatementType,
		Subject:       []Subject{{Digest: map[string]string{algorithm: hex}, Annotations: annotations}},
		PredicateType: predicateType,
		Predicate:     compact,
	}, nil
}

// Claims are the annotations of the subject with this digest.
func (s *Statement) Claims(digest string) map[string]string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	for _, subject := range s.Subject {
		if subject.Digest[algorithm] == hex {
			return subject.Annotations
		}
	}
	return nil
}

// SamePredicate says whether two statements' predicates are the same JSON
// value, whatever the order of members and the spacing.
func (s *Statement) SamePredicate(other *Statement) bool {
	a, errA := canonical(s.Predicate)
	b, errB := canonical(other.Predicate)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// object checks that data is one JSON object, as in-toto wants a predicate to
// be, and takes its spacing out.
func object(data []byte) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		return nil, errors.New("predicate is not a JSON object")
	}
	var b bytes.Buffer
	_ = json.Compact(&b, data) // it was just read
	return b.Bytes(), nil
}

// canonical sorts members and keeps numbers as they are written.
func canonical(data []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	return json.Marshal(value)
}
