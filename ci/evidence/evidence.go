// Package evidence makes the in-toto predicates that a released image carries, and
// reads them again. Package rules judges by them. Signatures are checked before
// anything comes here.
package evidence

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"slipway/step/result/sign"
)

// Predicate types.
const (
	// ScanType is in-toto's vulnerabilities, version 0.2: a passed scan, or a rescan.
	ScanType = "https://in-toto.io/attestation/vulns/v0.2"
	// SignatureType is cosign's, for the signature itself; its predicate is empty.
	SignatureType = "https://sigstore.dev/cosign/sign/v1"
	// ProvenanceType is SLSA's provenance, version 1.
	ProvenanceType = "https://slsa.dev/provenance/v1"
	// TestResultType is in-toto's test result, version 0.1.
	TestResultType = "https://in-toto.io/attestation/test-result/v0.1"
	// CycloneDXType and SPDXType are those of bills of materials.
	CycloneDXType = "https://cyclonedx.org/bom"
	SPDXType      = "https://spdx.dev/Document"
	// SummaryType is SLSA's verification summary, version 1.
	SummaryType = "https://slsa.dev/verification_summary/v1"
	// ApprovalType is an approval's, ReceiptType a receipt's, version 1 each.
	ApprovalType = "https://slipway.dev/attestations/approval/v1"
	ReceiptType  = "https://slipway.dev/attestations/receipt/v1"
	// admissionType is the start of an Admission's. The environment is the rest, because
	// admission controllers look for a statement by its type, and take one of each.
	admissionType = "https://slipway.dev/attestations/admission/v1/"
)

// Admission is the predicate for the clusters of an environment: that it was decided, at
// least once, to let the image run there as the app. It has no end, so that what runs can
// be started again; a revocation takes it back.
type Admission struct {
	App         string `json:"app"`
	Environment string `json:"environment"`
}

// Type is the admission's predicate type.
func (a Admission) Type() string { return admissionType + a.Environment }

// File is the admission as a statement to sign.
func (a Admission) File() File { return File{PredicateType: a.Type(), Predicate: a} }

// AdmissionTo is the environment of an admission's predicate type.
func AdmissionTo(predicateType string) (environment string, ok bool) {
	return strings.CutPrefix(predicateType, admissionType)
}

// Follows says whether statements of the type are made of a decision, and so can't be
// part of what decides.
func Follows(predicateType string) bool {
	_, admits := AdmissionTo(predicateType)
	return admits || predicateType == SummaryType
}

// File is a statement to sign, in the form that the sign module reads.
type File struct {
	PredicateType string `json:"predicateType"`
	Predicate     any    `json:"predicate,omitempty"`
	// PredicateFile is the file beside it that holds the predicate.
	PredicateFile string `json:"predicateFile,omitempty"`
	// Envelope is empty for a bundle.
	Envelope sign.Envelope `json:"envelope,omitempty"`
}

// Encode is the file's content.
func (f File) Encode() (string, error) {
	data, err := json.Marshal(f)
	return string(data), err
}

// Attested says whether all files are among statements already, so that signing them
// would add nothing: the same predicate, or, for one in a file beside it, any of its
// type. Bills of materials are such files, made by the run that the scan's times name.
func Attested(statements []sign.Statement, files map[string]File) bool {
	for _, file := range files {
		known := slices.ContainsFunc(OfType(statements, file.PredicateType), func(s sign.Statement) bool {
			if file.PredicateFile != "" {
				return true
			}
			want, err := json.Marshal(file.Predicate)
			return err == nil && sameJSON(want, s.Predicate)
		})
		if !known {
			return false
		}
	}
	return true
}

// sameJSON says whether two texts are the same value, whatever their spaces and order.
func sameJSON(one, other []byte) bool {
	var a, b any
	for text, value := range map[*any][]byte{&a: one, &b: other} {
		decoder := json.NewDecoder(bytes.NewReader(value))
		decoder.UseNumber()
		if decoder.Decode(text) != nil {
			return false
		}
	}
	return reflect.DeepEqual(a, b)
}

// Descriptor is an in-toto resource descriptor (v1).
type Descriptor struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"`
	// Annotations are further facts for people.
	Annotations map[string][]string `json:"annotations,omitempty"`
}

// OfType returns the statements of one type.
func OfType(statements []sign.Statement, predicateType string) []sign.Statement {
	var some []sign.Statement
	for _, s := range statements {
		if s.PredicateType == predicateType {
			some = append(some, s)
		}
	}
	return some
}
