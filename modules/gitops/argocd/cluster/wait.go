package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/argoproj/gitops-engine/pkg/sync/common"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"slipway/step"
	"slipway/step/printable"
	"slipway/step/result/argocd"
)

const (
	// grace is how long the API server may go without a good answer.
	grace = time.Minute
	// settle is how long a state that may pass has to last before it counts.
	settle = 15 * time.Second
	// between is the least time from one look at the workloads to the next.
	between = time.Second
)

// Request is what to wait for.
type Request struct {
	// Namespace is where the Application object is.
	Namespace string
	// Application is its name.
	Application string
	// Commit is the release's commit in the GitOps repository.
	Commit string
	// Image is the release's image, repository@sha256:….
	Image string
	// Deadline bounds the wait.
	Deadline time.Duration
}

var (
	commitPattern = regexp.MustCompile(`\A[0-9a-f]{40}\z`)
	imagePattern  = regexp.MustCompile(`\A[a-z0-9][a-zA-Z0-9._:/-]{0,400}@sha256:[0-9a-f]{64}\z`)
)

// Check refuses a request that can't be meant.
func (q Request) Check() error {
	if err := step.Name(StageWait, "namespace", q.Namespace); err != nil {
		return err
	}
	if err := step.Name(StageWait, "application", q.Application); err != nil {
		return err
	}
	switch {
	case !commitPattern.MatchString(q.Commit):
		return step.Input(StageWait, fmt.Sprintf("commit %.80q", q.Commit), "is not a commit of the GitOps repository",
			"give 40 lower-case hexadecimal digits")
	case !imagePattern.MatchString(q.Image):
		return step.Input(StageWait, fmt.Sprintf("image %.80q", q.Image), "is not an image by digest",
			"give repository@sha256: and 64 lower-case hexadecimal digits")
	case q.Deadline <= 0:
		return step.Input(StageWait, fmt.Sprintf("deadline %q", q.Deadline), "is not a time to wait", "give a duration such as 10m")
	}
	return nil
}

// Waiter waits for a release.
type Waiter struct {
	Cluster *Cluster
	Clock   Clock
	// Log receives a line at each change.
	Log io.Writer
}

// Wait waits until the release is live, or until it is known that it won't be.
// Every such end is a Result. The error is a bad request, or that ctx ended.
func (w *Waiter) Wait(ctx context.Context, q Request) (*argocd.Waited, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	r := &run{
		Waiter: w, q: q, start: w.Clock.Now(),
		patches: make(chan patched, 1), looks: make(chan observation, 1), ring: make(chan struct{}, 1),
		nudged: map[string]bool{}, since: map[string]time.Time{},
		want: true,
	}
	deadline := w.Clock.After(q.Deadline)
	events := make(chan seen)
	go (&follower{
		cluster: w.Cluster, clock: w.Clock, namespace: q.Namespace, name: q.Application, grace: grace, out: events,
	}).run(watching)
	for {
		var end *verdict
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s: %w", q.Application, context.Cause(ctx))
		case <-deadline:
			end = r.overdue()
		case s := <-events:
			end = r.seen(s)
		case p := <-r.patches:
			end = r.patched(p)
		case <-r.retry:
			r.retry = nil
		case <-r.recheck:
			r.recheck, r.want = nil, true
			r.due = r.fresh
			if r.patching || r.asked != 0 {
				r.due++
			}
		case l := <-r.looks:
			r.observed(l)
		case <-r.ring:
			r.stale = true
		case <-r.again:
			r.again = nil
		}
		if end == nil {
			end = r.step(watching)
		}
		if end != nil {
			result := r.result(ctx, *end)
			if ctx.Err() != nil {
				return nil, fmt.Errorf("wait for %s: %w", q.Application, context.Cause(ctx))
			}
			return result, nil
		}
	}
}

// run is one wait. Only its own goroutine touches it.
type run struct {
	*Waiter
	q     Request
	start time.Time
	app   *v1alpha1.Application
	shown string
	last  verdict

	// Refreshes: view explains what they are for.
	want     bool             // one is to be asked for
	patching bool             // the request for it is on its way
	asked    uint64           // the version that the request made; 0 when none is pending
	basis    string           // the operation that was over then
	fresh    int              // how many were processed
	proven   string           // the basis of the last of those
	outdated string           // the version at which a request came too late
	retry    <-chan time.Time // when to try again after a failure
	failures int
	failing  time.Time
	patches  chan patched

	// The outcome that needs confirming.
	suspect   string
	confirmed int
	due       int // refreshes before this one don't confirm
	recheck   <-chan time.Time

	// Looks at the workloads.
	stale   bool // something has changed since the last one
	looking bool
	release *release
	at      int // fresh, when the last look began
	since   map[string]time.Time
	again   <-chan time.Time // not before; nil is now
	looks   chan observation
	ring    chan struct{}
	nudged  map[string]bool
}

type patched struct {
	version string
	basis   string
	before  string
	err     error
}

type observation struct {
	release *release
	at      int
	err     error
}

func (r *run) seen(s seen) *verdict {
	switch {
	case s.lost != nil:
		return &verdict{outcome: argocd.Lost, message: r.lost(s.lost)}
	case s.gone != "":
		r.app = nil
		return &verdict{outcome: argocd.Missing, message: s.gone}
	}
	r.app, r.stale = s.app, true
	r.processed()
	return nil
}

func (r *run) lost(err error) string {
	return fmt.Sprintf("%s gave no good answer for %s: %s", r.Cluster.Server, grace, r.Cluster.because(err))
}

// processed notices that the controller has answered a refresh.
func (r *run) processed() {
	if _, pending := r.app.IsRefreshRequested(); r.asked == 0 || pending || version(r.app.ResourceVersion) <= r.asked {
		return
	}
	r.asked, r.proven = 0, r.basis
	r.fresh++
	r.stale = true
}

// version is a resource version as a number, which grows with every change.
func version(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// ask requests a refresh, at exactly the version that was seen: then what is
// known about the last operation was so at that moment, and nobody else's
// refresh, which may have begun before, can be taken for this one.
func (r *run) ask(ctx context.Context) {
	if !r.want || r.patching || r.asked != 0 || r.retry != nil || r.app == nil || r.app.ResourceVersion == r.outdated {
		return
	}
	if _, pending := r.app.IsRefreshRequested(); pending {
		return
	}
	r.want, r.patching = false, true
	p := patched{basis: operationID(r.app), before: r.app.ResourceVersion}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": p.before,
		"annotations":     map[string]string{v1alpha1.AnnotationKeyRefresh: string(v1alpha1.RefreshTypeNormal)},
	}})
	apps := r.Cluster.apps.ArgoprojV1alpha1().Applications(r.q.Namespace)
	go func() {
		short, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		var app *v1alpha1.Application
		if err == nil {
			app, err = apps.Patch(short, r.q.Application, types.MergePatchType, patch, metav1.PatchOptions{})
		}
		if p.err = err; err == nil {
			p.version = app.ResourceVersion
		}
		r.patches <- p
	}()
}

func (r *run) patched(p patched) *verdict {
	r.patching = false
	switch {
	case p.err == nil:
		r.failures, r.failing = 0, time.Time{}
		r.asked, r.basis = version(p.version), p.basis
		r.processed()
	case apierrors.IsConflict(p.err):
		r.want, r.outdated = true, p.before
	default:
		if r.failing.IsZero() {
			r.failing = r.Clock.Now()
		} else if r.Clock.Now().Sub(r.failing) >= grace {
			return &verdict{outcome: argocd.Lost, message: r.lost(p.err)}
		}
		r.want, r.retry = true, r.Clock.After(backoff(r.failures))
		r.failures++
	}
	return nil
}

func (r *run) observed(l observation) {
	r.looking = false
	now := r.Clock.Now()
	if l.err != nil {
		r.stale, r.again = true, r.Clock.After(5*time.Second)
		return
	}
	r.release, r.at = l.release, l.at
	next := between
	kept := map[string]time.Time{}
	for _, fault := range l.release.faults {
		first, known := r.since[fault.key]
		if !known {
			first = now
		}
		kept[fault.key] = first
		if fault.settle && now.Sub(first) < settle {
			// It is looked at again even if nothing changes.
			r.stale, next = true, max(between, min(settle-now.Sub(first), 5*time.Second))
		}
	}
	r.since, r.again = kept, r.Clock.After(next)
}

// hopeless is the first fault that has lasted long enough.
func (r *run) hopeless() string {
	if r.release == nil {
		return ""
	}
	for _, fault := range r.release.faults {
		if !fault.settle || r.Clock.Now().Sub(r.since[fault.key]) >= settle {
			return fault.message
		}
	}
	return ""
}

func (r *run) view() view {
	v := view{app: r.app, commit: r.q.Commit, image: r.q.Image, fresh: r.fresh, proven: r.proven}
	if r.release != nil && r.at == r.fresh {
		v.release, v.hopeless = r.release, r.hopeless()
	}
	return v
}

// step judges what is known, and asks for what is missing.
func (r *run) step(ctx context.Context) *verdict {
	if r.app == nil {
		return nil
	}
	v := r.view()
	said := v.judge()
	r.last = said
	r.show(said)
	if said.outcome != "" && said.confirm == 0 {
		return &said
	}
	switch {
	case said.pending:
		// What was suspected is neither confirmed nor refuted.
	case said.key() != r.suspect:
		r.suspect, r.confirmed, r.recheck = said.key(), 0, nil
		if r.suspect != "" {
			r.due, r.recheck = -1, r.Clock.After(said.after)
		}
	case r.suspect != "" && r.due >= 0 && r.fresh > r.due:
		r.confirmed++
		if r.confirmed >= said.confirm {
			return &said
		}
		r.due, r.recheck = -1, r.Clock.After(said.after)
	}
	if said.refresh && !r.patching && r.asked == 0 {
		r.want = true
	}
	r.ask(ctx)
	r.look(ctx, v)
	return nil
}

func (r *run) look(ctx context.Context, v view) {
	if !v.looks() {
		return
	}
	for _, resource := range r.app.Status.Resources {
		if ns := resource.Namespace; ns != "" && !r.nudged[ns] {
			r.nudged[ns] = true
			r.Cluster.nudge(ctx, r.Clock, ns, r.ring)
		}
	}
	if !r.stale || r.looking || r.again != nil {
		return
	}
	r.stale, r.looking = false, true
	resources, only, at := slices.Clone(r.app.Status.Resources), inProgress(r.app), r.fresh
	go func() {
		short, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		found, err := r.Cluster.look(short, resources, r.q.Image, only)
		r.looks <- observation{release: found, at: at, err: err}
	}()
}

// show writes a line when something that people follow has changed.
func (r *run) show(v verdict) {
	status := r.app.Status
	phase, message := "-", v.message
	if state := status.OperationState; state != nil {
		phase = string(state.Phase)
		if inProgress(r.app) && state.Message != "" {
			message = state.Message
		}
	}
	line := fmt.Sprintf("%s %s sync=%s health=%s operation=%s: %s", r.q.Application,
		or(short(revisionOf(r.app, r.q.Commit)), "-"), or(string(status.Sync.Status), "-"),
		or(string(status.Health.Status), "-"), phase, message)
	if line = r.Cluster.clean(line); line != r.shown {
		r.shown = line
		fmt.Fprintln(r.Log, printable.Line(line))
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// overdue is the deadline's verdict.
func (r *run) overdue() *verdict {
	message := "the Application could not be read yet"
	if r.app != nil {
		message = r.last.message
	}
	return &verdict{outcome: argocd.Deadline, message: fmt.Sprintf("after %s: %s", r.q.Deadline, message)}
}

func (r *run) result(ctx context.Context, v verdict) *argocd.Waited {
	out := &argocd.Waited{
		Outcome: v.outcome, Application: r.q.Application, Commit: r.q.Commit, Image: r.q.Image,
		Message:   r.Cluster.clean(v.message),
		Waited:    r.Clock.Now().Sub(r.start).Round(100 * time.Millisecond).String(),
		Resources: []argocd.Resource{},
	}
	if r.app == nil {
		return out
	}
	status := r.app.Status
	out.Revision = revisionOf(r.app, r.q.Commit)
	out.Sync, out.Health = string(status.Sync.Status), string(status.Health.Status)
	carries := slices.Contains(status.Summary.Images, r.q.Image) || (r.release != nil && r.release.carries)
	switch {
	case r.fresh == 0 || out.Revision == "":
	case out.Revision == r.q.Commit:
		out.Relation = argocd.Exact
	case carries || v.outcome == argocd.Superseded:
		out.Relation = argocd.Later
	}
	var synced time.Time
	if state := status.OperationState; state != nil && state.Phase == common.OperationSucceeded && state.FinishedAt != nil && r.fresh > 0 {
		synced = state.FinishedAt.Time
	} else if n := len(status.History); state == nil && n > 0 {
		synced = status.History[n-1].DeployedAt.Time
	}
	out.SyncedAt = stamp(synced)
	if v.outcome == argocd.Healthy {
		if t := status.Health.LastTransitionTime; t != nil && !t.Time.Before(synced) {
			out.HealthyAt = stamp(t.Time)
		} else if t := status.ReconciledAt; t != nil {
			out.HealthyAt = stamp(t.Time)
		}
		return out
	}
	if v.outcome != argocd.Lost {
		short, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		out.Resources = append(out.Resources, r.Cluster.blame(short, r.app, v.outcome)...)
	}
	return out
}
