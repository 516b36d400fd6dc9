// Package receipt is the record of one delivery, from the source commit to the
// healthy app: what came from what, what judged it, where it went and when. A
// Document is the predicate of an in-toto statement, and is shown as text and
// as one self-contained page.
package receipt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"slipway/ci/evidence"
	"slipway/ci/rules"
	"slipway/step"
)

// PredicateType is the in-toto predicate type of a Document, version 1.
const PredicateType = evidence.ReceiptType

// MaxSize is the most bytes that Parse reads.
const MaxSize = 1 << 20

const stage = "receipt"

// Kind is why an environment got an image.
type Kind string

const (
	// KindRelease is a delivery from source.
	KindRelease Kind = "release"
	// KindPromotion takes the digest that is healthy in another environment.
	KindPromotion Kind = "promotion"
	// KindRollback takes an earlier digest of the same environment.
	KindRollback Kind = "rollback"
)

// Document is the receipt. A stage that did not happen is absent. Digests are
// sha256:<64 hex>, commits and trees are Git object ids, times are RFC 3339.
type Document struct {
	// App that was delivered, and Environment that it was delivered to.
	App         string `json:"app"`
	Environment string `json:"environment"`
	Kind        Kind   `json:"kind"`
	// Source that the image was built from; absent when it is not known.
	Source *Source `json:"source,omitempty"`
	Image  Image   `json:"image"`
	// Scan that the image passed.
	Scan *Scan `json:"scan,omitempty"`
	// Decision of the environment's rules.
	Decision *Decision `json:"decision,omitempty"`
	// Plan of the environment's infrastructure.
	Plan *Plan `json:"plan,omitempty"`
	// GitOps is the commit that releases the image.
	GitOps *GitOps `json:"gitops,omitempty"`
	// Live is what became of it; absent when nothing waited.
	Live *Live `json:"live,omitempty"`
	// Stages in any order; some run side by side. One whose result the engine has kept
	// says when it ran.
	Stages []Stage `json:"stages,omitempty"`
	// Runner is what the pipeline ran on.
	Runner evidence.Runner `json:"runner,omitempty"`
	// Evidence lists the signed statements that the image carries.
	Evidence []Attestation `json:"evidence,omitempty"`
}

// Source is what was built.
type Source struct {
	Commit string `json:"commit"`
	// Tree is the Git tree id of the app's folder.
	Tree string `json:"tree,omitempty"`
	// Dirty is true when what was built was not that commit.
	Dirty bool `json:"dirty,omitempty"`
	// Uncommitted names what differed from it, where that is known.
	Uncommitted []string `json:"uncommitted,omitempty"`
}

// Image is what was delivered.
type Image struct {
	// Reference is repository@digest, without a tag.
	Reference step.Reference `json:"reference"`
	// Pushed is false when the registry already held the image.
	Pushed bool `json:"pushed"`
}

// Scan is a scan that passed.
type Scan struct {
	// Scanner is its package URL.
	Scanner string `json:"scanner"`
	// ScannerDigest is that of the binary that ran.
	ScannerDigest string `json:"scannerDigest,omitempty"`
	// Database is the vulnerability database's digest.
	Database string `json:"database"`
	// DatabaseUpdatedAt is when its advisories were taken.
	DatabaseUpdatedAt string `json:"databaseUpdatedAt"`
	// PolicyDigest is that of the scan's policy.
	PolicyDigest string `json:"policyDigest"`
	// Targets is the number of things that were looked at.
	Targets int `json:"targets"`
	// Reported are findings that the policy lets pass, one line each.
	Reported []string `json:"reported,omitempty"`
	// Excepted are the exceptions that were needed.
	Excepted []rules.Exception `json:"excepted,omitempty"`
}

// Decision is what the environment's rules said of the image.
type Decision struct {
	// PolicyDigest is that of the rules and the scan's policy.
	PolicyDigest string `json:"policyDigest"`
	// Basis is absent from receipts of before it was recorded.
	rules.Basis
	// Digest is that of the decision, as rules/decision.md defines it. Receipts
	// from before there was one have none.
	Digest    string          `json:"digest,omitempty"`
	Outcomes  []rules.Outcome `json:"outcomes"`
	DecidedAt string          `json:"decidedAt"`
	// Until is when it has to be decided again.
	Until string `json:"until,omitempty"`
}

// Plan is the saved infrastructure plan that was checked.
type Plan struct {
	// SHA256 is sha256:<hex> of the plan.
	SHA256 string `json:"sha256"`
	// Code is sha256:<hex> of what was planned, with the environment's variables.
	// Receipts from before it was kept have none.
	Code string `json:"code,omitempty"`
	// Program made it: Terraform or OpenTofu, its version, the sha256 of the executable.
	Program string `json:"program,omitempty"`
	// Changes says in a few words what it changed.
	Changes string `json:"changes,omitempty"`
}

// GitOps is a commit in the GitOps repository.
type GitOps struct {
	// Remote is the repository's http(s) URL, without credentials.
	Remote string `json:"remote"`
	Commit string `json:"commit"`
	// Path is the file that holds the image's digest.
	Path string `json:"path"`
	// Created is false when the repository already held this release.
	Created bool `json:"created"`
	// Evidence is the digest of a decision in the commit's trailer: this receipt's
	// own when Created, else that of the call that made the commit. Empty when the
	// commit has no such trailer.
	Evidence string `json:"evidence,omitempty"`
}

// Live is the release as Argo CD has seen it.
type Live struct {
	// SyncedRevision is the release's commit, or a later one that holds the same
	// release.
	SyncedRevision string `json:"syncedRevision"`
	// Health after that sync: Healthy.
	Health    string `json:"health"`
	HealthyAt string `json:"healthyAt"`
}

// Healthy is the one health that a receipt can state, in Argo CD's word.
const Healthy = "Healthy"

// Stage is when a stage ran.
type Stage struct {
	// Name of the stage, such as build.
	Name      string  `json:"name"`
	StartedAt string  `json:"startedAt"`
	Seconds   float64 `json:"seconds"`
}

// Took is a stage that began and ended at these times.
func Took(name string, began, ended time.Time) Stage {
	return Stage{Name: name, StartedAt: rfc3339(began), Seconds: math.Round(ended.Sub(began).Seconds()*10) / 10}
}

// Attestation is a signed statement about the image.
type Attestation struct {
	PredicateType string `json:"predicateType"`
	// Digest is that of the manifest that holds it.
	Digest string `json:"digest"`
}

// FromScan is what an attested scan says, for a receipt.
func FromScan(s rules.Scan) *Scan {
	return &Scan{
		Scanner: s.Scanner.URI, ScannerDigest: sha256Of(s.Scanner.Digest),
		Database: sha256Of(s.Scanner.DB.Digest), DatabaseUpdatedAt: rfc3339(s.Scanner.DB.LastUpdate),
		PolicyDigest: sha256Of(s.Decision.Policy.Digest), Targets: s.Decision.Scanned,
		Reported: s.Decision.Reported, Excepted: s.Decision.Excepted,
	}
}

// FromJudgement is what a judgement says, for a receipt: the decision, and the
// statements that it stands on.
func FromJudgement(j rules.Judgement) (*Decision, []Attestation) {
	var statements []Attestation
	for _, input := range j.Inputs {
		statements = append(statements, Attestation{PredicateType: input.URI, Digest: sha256Of(input.Digest)})
	}
	return &Decision{
		PolicyDigest: j.PolicyDigest, Basis: j.Basis, Digest: j.Decision().Digest(), Outcomes: j.Outcomes, DecidedAt: rfc3339(j.At), Until: rfc3339(j.Until),
	}, statements
}

func sha256Of(digests map[string]string) string {
	if digests["sha256"] == "" {
		return ""
	}
	return "sha256:" + digests["sha256"]
}

// Parse reads a Document from JSON. It refuses more than MaxSize bytes, unknown
// and repeated fields, names in another case, and whatever stands behind the
// document. It does not validate.
//
// Every error is a *step.Fault of kind input.
func Parse(data []byte) (*Document, error) {
	const mend = "give the receipt as it was written, of predicate type " + PredicateType
	refuse := func(reason string, err error) error { return step.Input(stage, "JSON", reason, mend).Because(err) }
	switch {
	case len(data) > MaxSize:
		return nil, refuse(fmt.Sprintf("has more than %d bytes", MaxSize), nil)
	case !utf8.Valid(data):
		return nil, refuse("is not UTF-8", nil)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	d := &Document{}
	if err := decoder.Decode(d); err != nil {
		return nil, refuse("can't be read: "+err.Error(), err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, refuse("has something behind the document", err)
	}
	if bytes.Equal(bytes.TrimSpace(data), []byte("null")) {
		return nil, refuse("is null", nil)
	}
	if err := exact(json.NewDecoder(bytes.NewReader(data))); err != nil {
		return nil, refuse(err.Error(), err)
	}
	return d, nil
}

// names are the fields of every object in a Document.
var names = fieldNames(reflect.TypeFor[Document](), map[string]bool{})

func fieldNames(t reflect.Type, all map[string]bool) map[string]bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return fieldNames(t.Elem(), all)
	case reflect.Struct:
		for n := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(n).Tag.Get("json"), ",")
			all[name] = true
			fieldNames(t.Field(n).Type, all)
		}
	}
	return all
}

// exact refuses what encoding/json lets pass: two fields of one name, of which
// the last would count, and names that differ only in case.
func exact(decoder *json.Decoder) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		seen := map[string]bool{}
		for decoder.More() {
			key, err := decoder.Token()
			if err != nil {
				return err
			}
			name := fmt.Sprint(key)
			if !names[name] {
				return fmt.Errorf("has an unknown field %s", quote(name))
			}
			if seen[name] {
				return fmt.Errorf("has the field %s twice", quote(name))
			}
			seen[name] = true
			if err := exact(decoder); err != nil {
				return err
			}
		}
	case json.Delim('['):
		for decoder.More() {
			if err := exact(decoder); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = decoder.Token()
	return err
}
