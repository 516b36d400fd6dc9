package main

import (
	"encoding/json"
	"fmt"

	"slipway/ci/render"
	"slipway/ci/rules"
	"slipway/step/printable"
)

// Release is a commit in the GitOps repository.
type Release struct {
	// Commit is the GitOps repository's commit that holds the release.
	Commit string
	// Created is false when the repository already held this release.
	Created bool
	// Kind is release, promotion or rollback.
	Kind string
	// Attempts is how often the commit was pushed until it landed.
	Attempts int
	// Path is the file that holds the digest.
	Path string
	// Evidence is the digest of the decision that the commit's trailer
	// Slipway-Evidence names: this release's own when Created, else that of the
	// release that made the commit. Empty when the commit has no such trailer.
	Evidence string
	// NotRefreshed is why Argo CD could not be asked to look at the commit at
	// once: it does so at its next poll. Empty when it was asked, and without a
	// kubeconfig.
	NotRefreshed string
	// Environment is where the app is released to.
	Environment string
	// Reference is repository@digest.
	Reference Reference
	// Revision is the commit that the image was built from, as its provenance says.
	Revision    string
	Uncommitted []string    // +private
	Judgement   *Judgement  // +private
	Statements  []Statement // +private
	Stages      []Stage     // +private
	Tree        string      // +private
	Verdict     *Verdict    // +private
	Applied     *Applied    // +private
	Moved       bool        // +private
	App         string      // +private
	Slipway     *Slipway    // +private
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
