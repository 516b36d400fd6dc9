package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/argoproj/gitops-engine/pkg/health"
	"github.com/argoproj/gitops-engine/pkg/sync/common"

	"slipway/step/result/argocd"
)

// view is all that a verdict rests on.
//
// The freshness rule comes from Argo CD's controller (v2.14.21,
// controller/appcontroller.go). A comparison that finds the refresh annotation
// (needRefreshAppStatus) resolves the branch anew, and its one patch at the end
// (persistAppStatus) writes sync, health, images and reconciledAt and removes
// the annotation. A comparison that had begun before the annotation was set
// does not remove it, and comparisons of one Application never overlap. So the
// annotation's removal, and nothing else, proves that what stands in the status
// was compared after the refresh was asked for. reconciledAt alone does not: it
// is the comparison's end, in whole seconds, and stays as it is when a change
// in the cluster makes Argo CD assess health again (CompareWithRecent).
type view struct {
	app    *v1alpha1.Application
	commit string
	image  string
	// fresh is the number of our refreshes that were processed.
	fresh int
	// proven is the operation that was over when the last one of them was
	// asked for.
	proven string
	// release is what the cluster runs; nil when it was not looked at since
	// the last refresh.
	release *release
	// hopeless says what in it can't heal by waiting, if anything.
	hopeless string
}

// verdict is what a view says.
type verdict struct {
	// outcome is empty while there is none yet.
	outcome argocd.Outcome
	message string
	// pending says that a look at the workloads has to come first.
	pending bool
	// refresh asks for one more refresh before anything can be said.
	refresh bool
	// confirm is how many more refreshes, each asked for after a pause, have
	// to leave the outcome as it is.
	confirm int
	after   time.Duration
}

func (v view) judge() verdict {
	status := v.app.Status
	if v.fresh == 0 {
		return wait("Argo CD has not processed the refresh yet")
	}
	revision, operation := revisionOf(v.app, v.commit), status.OperationState
	target := operationRevision(v.app, v.commit)
	if inProgress(v.app) {
		if v.hopeless != "" && (target == v.commit || v.carries()) {
			return verdict{outcome: argocd.Degraded, message: v.hopeless}
		}
		return wait("a sync is in progress")
	}
	synced := status.Sync.Status
	if operation != nil && !operation.Phase.Successful() && synced != v1alpha1.SyncStatusCodeUnknown && target != "" && target == revision {
		return verdict{outcome: argocd.SyncFailed, message: fmt.Sprintf("the sync to %s failed: %s", short(revision), operation.Message)}
	}
	if failing := errorConditions(v.app); len(failing) > 0 {
		return verdict{outcome: argocd.SyncFailed, message: strings.Join(failing, "; "), confirm: 2, after: 10 * time.Second}
	}
	if synced != v1alpha1.SyncStatusCodeSynced {
		return wait(fmt.Sprintf("the sync status is %s", synced))
	}
	if operation != nil && (v.proven != operationID(v.app) || status.ReconciledAt == nil ||
		operation.FinishedAt == nil || status.ReconciledAt.Before(operation.FinishedAt)) {
		return verdict{message: "health was not assessed since the sync ended", refresh: v.proven != operationID(v.app)}
	}
	runs := slices.Contains(status.Summary.Images, v.image)
	if revision != v.commit && !runs {
		switch {
		case v.release == nil:
			return verdict{message: "a later commit is synced", pending: true}
		case v.release.known && !v.release.carries,
			!v.release.known && status.Health.Status == health.HealthStatusHealthy:
			return verdict{outcome: argocd.Superseded, confirm: 1,
				message: fmt.Sprintf("the later commit %s is synced, and holds another image", short(revision))}
		}
	}
	switch {
	case runs && status.Health.Status == health.HealthStatusHealthy:
		return verdict{outcome: argocd.Healthy, message: "synced and healthy"}
	case status.Health.Status == health.HealthStatusDegraded:
		return verdict{outcome: argocd.Degraded, message: "degraded after the sync", confirm: 1, after: 10 * time.Second}
	case v.hopeless != "":
		return verdict{outcome: argocd.Degraded, message: v.hopeless}
	case !runs && v.carries() && status.Health.Status == health.HealthStatusHealthy && len(status.Summary.Images) == 0:
		return wait("the image runs, but Argo CD lists none: the Application's AppProject has to permit the kinds Pod and ReplicaSet")
	case !runs:
		return wait("the image does not run yet")
	}
	return wait(fmt.Sprintf("health is %s", status.Health.Status))
}

func (v view) carries() bool { return v.release != nil && v.release.carries }

// looks says whether it is worth looking at what the cluster runs.
func (v view) looks() bool {
	return v.fresh > 0 && (inProgress(v.app) || v.app.Status.Sync.Status == v1alpha1.SyncStatusCodeSynced)
}

func wait(message string) verdict { return verdict{message: message} }

// key tells verdicts apart that need confirming.
func (v verdict) key() string {
	if v.confirm == 0 {
		return ""
	}
	return string(v.outcome)
}

// revisionOf is the revision of the last comparison. Of an Application with
// several sources it is commit, if one of them is at it.
func revisionOf(app *v1alpha1.Application, commit string) string {
	return pick(app.Status.Sync.Revision, app.Status.Sync.Revisions, commit)
}

// operationRevision is the revision of the last or current operation.
func operationRevision(app *v1alpha1.Application, commit string) string {
	if state := app.Status.OperationState; state != nil {
		if result := state.SyncResult; result != nil {
			if r := pick(result.Revision, result.Revisions, commit); r != "" {
				return r
			}
		}
		if sync := state.Operation.Sync; sync != nil {
			return pick(sync.Revision, sync.Revisions, commit)
		}
	} else if app.Operation != nil && app.Operation.Sync != nil {
		return pick(app.Operation.Sync.Revision, app.Operation.Sync.Revisions, commit)
	}
	return ""
}

func pick(one string, several []string, commit string) string {
	switch {
	case one != "" || len(several) == 0:
		return one
	case slices.Contains(several, commit):
		return commit
	}
	return several[0]
}

// inProgress says whether an operation runs, is asked for or waits for a retry.
func inProgress(app *v1alpha1.Application) bool {
	return app.Operation != nil || (app.Status.OperationState != nil && !app.Status.OperationState.Phase.Completed())
}

// operationID tells the operation that the status shows from any other.
func operationID(app *v1alpha1.Application) string {
	state := app.Status.OperationState
	if state == nil || inProgress(app) {
		return ""
	}
	id := []string{state.StartedAt.UTC().Format(time.RFC3339), string(state.Phase), operationRevision(app, "")}
	if state.FinishedAt != nil {
		id = append(id, state.FinishedAt.UTC().Format(time.RFC3339))
	}
	return strings.Join(id, " ")
}

// errorConditions are the conditions that keep Argo CD from comparing or
// syncing. A SyncError beside Synced is an old one: a sync window keeps Argo CD
// from taking it away.
func errorConditions(app *v1alpha1.Application) []string {
	var failing []string
	for _, c := range app.Status.Conditions {
		switch c.Type {
		case v1alpha1.ApplicationConditionSyncError:
			if app.Status.Sync.Status != v1alpha1.SyncStatusCodeSynced {
				failing = append(failing, c.Type+": "+c.Message)
			}
		case v1alpha1.ApplicationConditionComparisonError, v1alpha1.ApplicationConditionInvalidSpecError,
			v1alpha1.ApplicationConditionUnknownError:
			failing = append(failing, c.Type+": "+c.Message)
		}
	}
	return failing
}

// failedResult says whether a sync could not do what it wanted with a resource.
func failedResult(r *v1alpha1.ResourceResult) bool {
	return r.Status == common.ResultCodeSyncFailed || r.HookPhase == common.OperationFailed || r.HookPhase == common.OperationError
}

// short is a revision as people read it.
func short(revision string) string {
	if len(revision) > 7 {
		return revision[:7]
	}
	return revision
}
