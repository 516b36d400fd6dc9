package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/evidence"
	"slipway/ci/receipt"
	"slipway/ci/render"
	"slipway/step"
	"slipway/step/printable"
	"slipway/step/result/argocd"
)

const (
	kubernetesAlias = "kubernetes"
	defaultDeadline = "10m"
)

// Outcome is how the wait for a release ended.
type Outcome string

const (
	// The release's commit is synced, and the app was found healthy after that.
	Healthy Outcome = "HEALTHY"
	// The release is synced, but what it runs does not become healthy.
	Degraded Outcome = "DEGRADED"
	// Argo CD can't apply the release's commit.
	SyncFailed Outcome = "SYNC_FAILED"
	// A newer commit has put another image in the release's place.
	Superseded Outcome = "SUPERSEDED"
	// The time was up before anything else was certain.
	Deadline Outcome = "DEADLINE"
	// The cluster's API stopped answering.
	Lost Outcome = "LOST"
	// Argo CD has no Application for the app in the environment.
	Missing Outcome = "MISSING"
)

// Observation is what was seen of a release in the cluster.
type Observation struct {
	// Outcome is how the wait ended.
	Outcome Outcome
	// Revision is the commit that Argo CD last synced or tried to.
	Revision string
	// Message says why, in a line.
	Message string
	// Waited is how long it took, such as 4.2s.
	Waited string
	Seen   *Waited // +private
}

// Observe waits as Wait does, but returns however the wait ended, even when it ended
// badly.
//
// Example: dagger call signed --app hello --digest sha256:… release --env dev observe outcome
//
// +cache="never"
func (r *Release) Observe(
	ctx context.Context,
	// How long to wait, such as 10m.
	// +default="10m"
	deadline string,
) (*Observation, error) {
	seen, outcome, err := r.observe(ctx, deadline)
	if err != nil {
		return nil, err
	}
	return &Observation{Outcome: outcome, Revision: seen.Revision, Message: printable.Line(seen.Message), Waited: seen.Waited, Seen: seen}, nil
}

func (r *Release) observe(ctx context.Context, deadline string) (*argocd.Waited, Outcome, error) {
	cluster, err := r.Slipway.argocd(ctx, "wait", r.Environment)
	if err != nil {
		return nil, "", err
	}
	seen, err := result[argocd.Waited](cluster.Wait(ctx, application(r.App, r.Environment), r.Commit, r.Reference.String(), dagger.GitopsClusterWaitOpts{
		Deadline: deadline, Service: cluster.at.Service, Connect: cluster.at.Connect,
	}))
	if err != nil {
		return nil, "", err
	}
	outcome, ok := outcomes[seen.Outcome]
	if !ok {
		return nil, "", fmt.Errorf("the wait ended with an unknown outcome %q", seen.Outcome)
	}
	return &seen, outcome, nil
}

var outcomes = map[argocd.Outcome]Outcome{
	argocd.Healthy: Healthy, argocd.Degraded: Degraded, argocd.SyncFailed: SyncFailed, argocd.Superseded: Superseded,
	argocd.Deadline: Deadline, argocd.Lost: Lost, argocd.Missing: Missing,
}

// Json is everything that was seen, as JSON, including the failing resources with their
// messages and last events.
//
// +cache="168h"
func (o *Observation) Json() (string, error) { return render.JSON(o.Seen) }

// Wait waits until Argo CD has synced the release's commit and has found the app
// healthy after that. It refuses everything else, naming the failing resource,
// its message and its last events: a degraded app, a failed sync, a newer
// release in this one's place, the deadline, a lost connection.
//
// Example: dagger call signed --app hello --digest sha256:… release --env dev wait receipt text
//
// +cache="never"
func (r *Release) Wait(
	ctx context.Context,
	// How long to wait, such as 10m.
	// +default="10m"
	deadline string,
) (*LiveRelease, error) {
	began := time.Now()
	seen, outcome, err := r.observe(ctx, deadline)
	if err != nil {
		return nil, err
	}
	if outcome != Healthy {
		return nil, r.refusal(outcome, seen)
	}
	r.Stages = after(r.Stages, "wait", began)
	live := &LiveRelease{Revision: seen.Revision, Health: seen.Health, HealthyAt: seen.HealthyAt, Waited: seen.Waited, Release: r}
	return live, live.record(ctx)
}

// refusal is the typed error of an outcome that is not healthy.
func (r *Release) refusal(outcome Outcome, seen *argocd.Waited) error {
	input := fmt.Sprintf("%s in %s at commit %.12s", r.App, r.Environment, r.Commit)
	var details []string
	for _, resource := range seen.Resources {
		details = append(details, fmt.Sprintf("%s %s/%s is %s: %s", resource.Kind, resource.Namespace, resource.Name, resource.Health, resource.Message))
		for _, e := range resource.Events {
			details = append(details, fmt.Sprintf("  event %s (%d times): %s", e.Reason, e.Count, strings.TrimSpace(e.Message)))
		}
	}
	say := func(kind step.Kind, reason, mend string) error {
		if seen.Message != "" {
			reason += ": " + seen.Message
		}
		return &step.Fault{Kind: kind, Stage: "wait", Input: input, Reason: reason, Mend: mend, Details: details}
	}
	rollback := fmt.Sprintf("roll back with dagger call rollback --app %s --env %s, or release a mended image", r.App, r.Environment)
	switch outcome {
	case Degraded:
		return say(step.KindPolicy, "does not become healthy", rollback)
	case SyncFailed:
		return say(step.KindPolicy, "can't be synced", "mend what the message names in the GitOps repository or the cluster's policies, and release again")
	case Superseded:
		return say(step.KindPolicy, fmt.Sprintf("was superseded by commit %.12s", seen.Revision), "wait for the newer release, or release again")
	case Missing:
		return say(step.KindInput, "has no Application in Argo CD", "generate gitops/argocd with dagger call applications, commit it, and let Argo CD sync it")
	case Lost:
		return say(step.KindInfrastructure, "can't be followed: the cluster's API stopped answering", "look at the cluster, then wait again: the release is in the repository")
	}
	return say(step.KindInfrastructure, "is not healthy in time", "wait again with a longer --deadline, or "+rollback)
}

// LiveRelease is a release that Argo CD has made healthy.
type LiveRelease struct {
	// Revision is the commit that was synced: the release's own, or a later one
	// that holds the same release.
	Revision string
	// Health as Argo CD assessed it after the sync.
	Health string
	// HealthyAt is when, in RFC 3339.
	HealthyAt string
	// Waited is how long the wait took, such as 4.2s.
	Waited  string
	Release *Release // +private
}

// healthType is the predicate type of the attestation that an image was healthy
// in an environment.
const healthType = receipt.HealthType

// health is that attestation's predicate.
type health struct {
	// Environment that it was healthy in.
	Environment string `json:"environment"`
	// Commit is the release's, in the GitOps repository.
	Commit string `json:"commit"`
}

// record attests to the image that it was healthy, where the caller may sign:
// rollback goes back only to a release that was. The receipt is attested with it, once
// for each commit.
func (l *LiveRelease) record(ctx context.Context) error {
	r := l.Release
	s := r.Slipway
	if !s.signs() {
		return nil
	}
	files := map[string]evidence.File{
		"health": {PredicateType: healthType, Predicate: health{Environment: r.Environment, Commit: r.Commit}},
	}
	if !r.hasReceipt() {
		receipted, err := l.Receipt()
		if err != nil {
			return err
		}
		document, err := receipted.document(ctx)
		if err != nil {
			return err
		}
		files["receipt"] = evidence.File{PredicateType: receipt.PredicateType, Predicate: document}
	}
	image := &SignedImage{Reference: r.Reference, App: r.App, Slipway: s}
	return image.attest(ctx, "wait", r.Environment, files)
}
