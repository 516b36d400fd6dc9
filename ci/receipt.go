package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/evidence"
	"slipway/ci/receipt"
	"slipway/ci/render"
	"slipway/ci/rules"
	"slipway/step/printable"
	"slipway/step/result/sign"
)

// Receipt is the record of one delivery: what came from which commit, what it
// was judged by, and where it went.
type Receipt struct {
	// App that was delivered.
	App string `json:"app"`
	// Environment it was delivered to.
	Environment string `json:"environment"`
	// SourceRevision is the commit it was delivered from.
	SourceRevision string `json:"sourceRevision"`
	// Uncommitted names whatever was taken and differs from that commit.
	Uncommitted []string `json:"uncommitted,omitempty"`
	// SourceTree is the Git tree id of the app's folder.
	SourceTree string `json:"sourceTree,omitempty"`
	// Image is repository@digest.
	Image string `json:"image"`
	// ImagePushed is false when the registry already held the image.
	ImagePushed bool `json:"imagePushed"`
	// Verdict is the scan's decision, as JSON.
	Verdict string `json:"verdict"`
	// Plan is the sha256 of the applied or unchanged infrastructure plan.
	Plan string `json:"plan,omitempty"`
	// PlanProgram is the executable that planned, with its version and sha256.
	PlanProgram string `json:"planProgram,omitempty"`
	// PlanChanges says in a few words what the plan changed.
	PlanChanges string `json:"planChanges,omitempty"`
	// GitopsCommit is the commit in the GitOps repository.
	GitopsCommit string `json:"gitopsCommit"`
	// GitopsPath is the file that holds the digest.
	GitopsPath string `json:"gitopsPath"`
	// GitopsEvidence is the digest of the decision that the commit names, if it
	// names one.
	GitopsEvidence string `json:"gitopsEvidence,omitempty"`
	// ReleaseCreated is false when the GitOps repository already held the release.
	ReleaseCreated bool `json:"releaseCreated"`
	// SyncedRevision is the commit that Argo CD had synced when it found the app
	// healthy: GitopsCommit, or a later one that holds the same release. Empty
	// when nothing waited.
	SyncedRevision string `json:"syncedRevision,omitempty"`
	// Health is the app's health, assessed after that sync.
	Health string `json:"health,omitempty"`
	// HealthyAt is when it was assessed, in RFC 3339.
	HealthyAt string   `json:"healthyAt,omitempty"`
	Release   *Release `json:"release,omitempty"` // +private
}

// Receipt is what was done, for the record.
//
// Example: dagger call app --name hello build scan publish sign release --env dev receipt json
//
// +cache="168h"
func (r *Release) Receipt() (*Receipt, error) {
	receipt := &Receipt{
		App: r.App, Environment: r.Environment, SourceRevision: r.Revision, Uncommitted: r.Uncommitted, SourceTree: r.Tree, Image: r.Reference.String(),
		ImagePushed:  r.Moved,
		GitopsCommit: r.Commit, GitopsPath: r.Path, GitopsEvidence: r.Evidence, ReleaseCreated: r.Created, Release: r,
	}
	if a := r.Applied; a != nil {
		receipt.Plan, receipt.PlanProgram, receipt.PlanChanges = a.Sha256, a.Program, a.Changes
	}
	if r.Verdict == nil {
		return receipt, nil
	}
	data, err := json.Marshal(r.Verdict)
	receipt.Verdict = printable.JSON(string(data))
	return receipt, err
}

// Receipt is what was done and what became of it.
//
// +cache="168h"
func (l *LiveRelease) Receipt() (*Receipt, error) {
	receipt, err := l.Release.Receipt()
	if err != nil {
		return nil, err
	}
	receipt.SyncedRevision, receipt.Health, receipt.HealthyAt = l.Revision, l.Health, l.HealthyAt
	return receipt, nil
}

// hasReceipt says whether the image carries the receipt of this very commit.
func (r *Release) hasReceipt() bool {
	return slices.ContainsFunc(r.Statements, func(s sign.Statement) bool {
		if s.PredicateType != receipt.PredicateType {
			return false
		}
		d, err := receipt.Parse(s.Predicate)
		return err == nil && d.GitOps != nil && d.GitOps.Commit == r.Commit && d.Environment == r.Environment
	})
}

// document is the receipt in the form that is signed, checked for sense.
func (r *Receipt) document(ctx context.Context) (*receipt.Document, error) {
	release := r.Release
	s := release.Slipway
	c := s.Config
	remote, err := url.Parse(c.For(r.Environment).GitOps.Remote)
	if err != nil {
		return nil, fmt.Errorf("gitops.remote: %w", err)
	}
	remote.User = nil
	d := &receipt.Document{
		App: r.App, Environment: r.Environment, Kind: receipt.Kind(or(release.Kind, string(receipt.KindRelease))),
		Image:  receipt.Image{Reference: release.Reference, Pushed: r.ImagePushed},
		GitOps: &receipt.GitOps{Remote: remote.String(), Commit: r.GitopsCommit, Path: r.GitopsPath, Created: r.ReleaseCreated, Evidence: r.GitopsEvidence},
		Runner: evidence.Runner(or(s.Runner, string(evidence.RunnerLocal))),
	}
	if commit, dirty := strings.CutSuffix(r.SourceRevision, evidence.Dirty); commit != "" {
		d.Source = &receipt.Source{Commit: commit, Tree: r.SourceTree, Dirty: dirty, Uncommitted: r.Uncommitted}
	}
	if r.Plan != "" {
		d.Plan = &receipt.Plan{SHA256: r.Plan, Code: release.Applied.Code, Program: r.PlanProgram, Changes: r.PlanChanges}
	}
	if r.Health != "" {
		d.Live = &receipt.Live{SyncedRevision: r.SyncedRevision, Health: r.Health, HealthyAt: r.HealthyAt}
	}
	if release.Judgement != nil {
		d.Decision, d.Evidence = receipt.FromJudgement(*release.Judgement)
	}
	var scans []json.RawMessage
	for _, statement := range release.Statements {
		if statement.PredicateType == evidence.ScanType {
			scans = append(scans, statement.Predicate)
		}
	}
	policy, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	scan, err := policy.Newest("receipt", r.Image, scans, time.Now())
	if err != nil {
		return nil, err
	}
	d.Scan = receipt.FromScan(*scan)
	// A call that found the release there ran none of its stages.
	if release.Created {
		d.Stages = release.Stages
	}
	return d, d.Validate()
}

// verdict is the scan's decision in a few words.
func (r *Receipt) verdict() string {
	v := r.Release.Verdict
	if v == nil {
		return ""
	}
	from := fmt.Sprintf("%d sources", len(v.DatabaseSources))
	if len(v.DatabaseSources) == 1 {
		from = printable.Line(v.DatabaseSources[0])
	}
	return fmt.Sprintf("passed: %d targets, %d findings reported, %d excepted, database %s of %s", v.Scanned, len(v.Reported), len(v.Excepted), v.DatabaseDigest, from)
}

// Document is everything that this receipt binds, as JSON: the form that is signed
// and attached to the image once the release is healthy.
//
// Example: dagger call deliver --app hello --env dev document
//
// +cache="168h"
func (r *Receipt) Document(ctx context.Context) (string, error) {
	d, err := r.document(ctx)
	if err != nil {
		return "", err
	}
	return render.Indented(d)
}

// Json is the whole receipt as JSON.
//
// +cache="168h"
func (r *Receipt) Json() (string, error) {
	// The plain type has none of the methods that Dagger generates.
	type plain Receipt
	return render.Indented(struct {
		*plain
		Verdict *rules.Verdict `json:"verdict,omitempty"`
		Release *struct{}      `json:"release,omitempty"`
	}{plain: (*plain)(r), Verdict: r.Release.Verdict})
}

// Html is the receipt as one page, with the journey as a picture.
//
// Example: dagger call deliver --app hello --env dev html export --path receipt.html
//
// +cache="168h"
func (r *Receipt) Html(ctx context.Context) (*dagger.File, error) {
	d, err := r.document(ctx)
	if err != nil {
		return nil, err
	}
	page, err := d.HTML()
	return dag.File("receipt.html", string(page)), err
}

// Text is the receipt for people.
//
// Example: dagger call deliver --app hello --env dev text
//
// +cache="168h"
func (r *Receipt) Text() (string, error) {
	facts := [][3]string{{"source commit", r.SourceRevision, ""}}
	label := "uncommitted"
	for _, difference := range r.Uncommitted {
		facts = append(facts, [3]string{label, difference})
		label = ""
	}
	decision, decided := "", ""
	if j := r.Release.Judgement; j != nil {
		decision, decided = j.Decision().Digest(), "of "+j.At.Format(time.RFC3339)
	}
	return render.Facts(r.App+" is released to "+r.Environment, append(facts, [][3]string{
		{"source tree", r.SourceTree, ""},
		{"image", r.Image, render.Either(r.ImagePushed, "pushed", "was in the registry")},
		{"scan", r.verdict(), ""},
		{"infrastructure plan", r.Plan, r.PlanChanges},
		{"made by", r.PlanProgram, ""},
		{"decision", decision, decided},
		{"GitOps commit", r.GitopsCommit, render.Either(r.ReleaseCreated, "new", "was in the repository")},
		{"GitOps file", r.GitopsPath, ""},
		{"synced revision", r.SyncedRevision, render.Either(r.SyncedRevision == r.GitopsCommit, "the release's own commit", "a later commit with the same release")},
		{"health", r.Health, r.HealthyAt},
	}...)), nil
}
