package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/argoproj/gitops-engine/pkg/health"
	"github.com/argoproj/gitops-engine/pkg/sync/common"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"slipway/step"
	"slipway/step/reach"
	"slipway/step/result/argocd"
)

var (
	before  = strings.Repeat("0", 40)
	commit  = strings.Repeat("a", 40)
	later   = strings.Repeat("b", 40)
	image   = "localhost:5000/hello@sha256:" + strings.Repeat("1", 64)
	other   = "localhost:5000/hello@sha256:" + strings.Repeat("2", 64)
	request = Request{Namespace: "argocd", Application: "hello-dev", Commit: commit, Image: image, Deadline: 10 * time.Minute}
)

type edit = func(*v1alpha1.Application)

// application is hello-dev, edited.
func application(edits ...edit) *v1alpha1.Application {
	app := &v1alpha1.Application{
		TypeMeta:   metav1.TypeMeta{APIVersion: "argoproj.io/v1alpha1", Kind: "Application"},
		ObjectMeta: metav1.ObjectMeta{Name: "hello-dev", Namespace: "argocd"},
	}
	app.Status.Resources = []v1alpha1.ResourceStatus{
		{Version: "v1", Kind: "Service", Namespace: "hello-dev", Name: "hello", Health: &v1alpha1.HealthStatus{Status: health.HealthStatusHealthy}},
		{Group: "apps", Version: "v1", Kind: "Deployment", Namespace: "hello-dev", Name: "hello"},
	}
	for _, e := range edits {
		e(app)
	}
	return app
}

func all(edits ...edit) edit {
	return func(app *v1alpha1.Application) {
		for _, e := range edits {
			e(app)
		}
	}
}

// compared is what a comparison writes at its end, at second at.
func compared(at int, revision string, sync v1alpha1.SyncStatusCode, state health.HealthStatusCode, runs ...string) edit {
	return func(app *v1alpha1.Application) {
		app.Status.ReconciledAt = moment(at)
		app.Status.Sync.Revision, app.Status.Sync.Status = revision, sync
		if app.Status.Health.Status != state {
			app.Status.Health = v1alpha1.HealthStatus{Status: state, LastTransitionTime: moment(at)}
		}
		app.Status.Resources[1].Status = sync
		app.Status.Resources[1].Health = &v1alpha1.HealthStatus{Status: state}
		app.Status.Summary.Images = runs
	}
}

// started is a sync to revision that begins at second at.
func started(at int, revision string) edit {
	return func(app *v1alpha1.Application) {
		app.Operation = &v1alpha1.Operation{Sync: &v1alpha1.SyncOperation{Revision: revision}}
		app.Status.OperationState = &v1alpha1.OperationState{
			Phase: common.OperationRunning, StartedAt: *moment(at), Operation: *app.Operation,
			SyncResult: &v1alpha1.SyncOperationResult{Revision: revision},
		}
	}
}

// finished is that sync's end.
func finished(at int, phase common.OperationPhase, message string, results ...*v1alpha1.ResourceResult) edit {
	return func(app *v1alpha1.Application) {
		app.Operation = nil
		state := app.Status.OperationState
		state.Phase, state.FinishedAt, state.Message, state.SyncResult.Resources = phase, moment(at), message, results
	}
}

func synced(at int, revision string) edit {
	return all(started(at-1, revision), finished(at, common.OperationSucceeded, "successfully synced"))
}

func condition(kind, message string) edit {
	return func(app *v1alpha1.Application) {
		app.Status.Conditions = []v1alpha1.ApplicationCondition{{Type: kind, Message: message}}
	}
}

// answers is a controller's step: the edits one after the other, the refresh
// answered by the first.
func answers(edits ...edit) func(*api) {
	return func(a *api) {
		a.answer(edits[0])
		for _, e := range edits[1:] {
			a.set(e)
		}
	}
}

// old is an Application that was well at the release before.
func old() *v1alpha1.Application {
	return application(synced(-100, before), compared(-100, before, v1alpha1.SyncStatusCodeSynced, health.HealthStatusHealthy, other))
}

// live is the end of a good release at revision.
func live(at int, revision string) edit {
	return compared(at, revision, v1alpha1.SyncStatusCodeSynced, health.HealthStatusHealthy, image)
}

// rollout is one deployment, with its old ReplicaSet and the one that this
// release made, and pods for that.
func (a *api) rollout(set appsv1.ReplicaSetStatus, runs string, pods ...corev1.PodStatus) {
	name := map[string]string{"app": "hello"}
	template := func(image string) corev1.PodTemplateSpec {
		return corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "hello"}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "hello", Image: image}}},
		}
	}
	one := int32(1)
	a.deployments = []appsv1.Deployment{{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: "hello", Namespace: "hello-dev", UID: "deployment", Generation: 2},
		Spec:       appsv1.DeploymentSpec{Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: name}, Template: template(runs)},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 1},
	}}
	for _, s := range []struct {
		hash, image string
		status      appsv1.ReplicaSetStatus
	}{{"old", before, appsv1.ReplicaSetStatus{Replicas: 1}}, {"new", runs, set}} {
		made := template(s.image)
		made.Labels["pod-template-hash"] = s.hash
		a.sets = append(a.sets, appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{
				Name: "hello-" + s.hash, Namespace: "hello-dev", UID: types.UID("set-" + s.hash), Labels: name,
				OwnerReferences: owner("Deployment", "hello", "deployment"),
			},
			Spec:   appsv1.ReplicaSetSpec{Replicas: &one, Template: made},
			Status: s.status,
		})
		if s.hash == "old" {
			// A pod of the release before is broken, which is not our affair.
			a.pods = append(a.pods, corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{
					Name: "hello-old-0", Namespace: "hello-dev", UID: "pod-old", Labels: name,
					OwnerReferences: owner("ReplicaSet", "hello-old", "set-old"),
				},
				Status: waiting("InvalidImageName", "bad"),
			})
		}
	}
	for i, status := range pods {
		a.pods = append(a.pods, corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprintf("hello-new-%d", i), Namespace: "hello-dev", UID: types.UID(fmt.Sprintf("pod-%d", i)), Labels: name,
				OwnerReferences: owner("ReplicaSet", "hello-new", "set-new"),
			},
			Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyAlways,
				Containers:    []corev1.Container{{Name: "hello", Image: runs}},
			},
			Status: status,
		})
	}
}

func owner(kind, name string, uid types.UID) []metav1.OwnerReference {
	yes := true
	return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: name, UID: uid, Controller: &yes}}
}

func waiting(reason, message string) corev1.PodStatus {
	return corev1.PodStatus{
		Phase: corev1.PodPending,
		Conditions: []corev1.PodCondition{{
			Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady",
			Message: "containers with unready status: [hello]",
		}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: "hello", Image: image, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		}},
	}
}

func crashed(restarts int32) corev1.PodStatus {
	s := waiting("CrashLoopBackOff", "back-off 40s restarting failed container")
	s.ContainerStatuses[0].RestartCount = restarts
	s.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 7, Reason: "Error"}
	return s
}

func event(at int, kind, name string, uid types.UID, reason, message string) corev1.Event {
	return corev1.Event{
		InvolvedObject: corev1.ObjectReference{Kind: kind, Namespace: "hello-dev", Name: name, UID: uid},
		Type:           "Warning", Reason: reason, Message: message, Count: 2, LastTimestamp: *moment(at),
	}
}

// waited runs a wait to its decided end, and holds what must hold of each.
func waited(t *testing.T, a *api, c *clock, l *log) *argocd.Waited {
	t.Helper()
	result, err := (&Waiter{Cluster: a.open(), Clock: c, Log: l}).Wait(t.Context(), request)
	require.NoError(t, err)
	data, err := json.Marshal(result)
	require.NoError(t, err)
	assert.NotContains(t, string(data), token)
	assert.NotContains(t, l.String(), token)
	assert.NotNil(t, result.Resources)
	assert.Equal(t, []string{"hello-dev", commit, image}, []string{result.Application, result.Commit, result.Image})
	_, err = time.ParseDuration(result.Waited)
	require.NoError(t, err)
	t.Logf("%s\n%s", l, data)
	return result
}

func TestHealthy(t *testing.T) {
	a := serve(t, old(),
		answers(
			all(started(5, commit), compared(5, commit, v1alpha1.SyncStatusCodeOutOfSync, health.HealthStatusHealthy, other)),
			finished(9, common.OperationSucceeded, "successfully synced (all tasks run)"),
			compared(9, commit, v1alpha1.SyncStatusCodeSynced, health.HealthStatusProgressing, image, other),
			// Argo CD assesses health again without a new reconciledAt.
			compared(9, commit, v1alpha1.SyncStatusCodeSynced, health.HealthStatusHealthy, image),
		),
		answers(live(15, commit)))
	l := &log{}
	result := waited(t, a, newClock(), l)
	assert.Equal(t, &argocd.Waited{
		Outcome: argocd.Healthy, Relation: argocd.Exact, Application: "hello-dev", Commit: commit, Revision: commit, Image: image,
		Health: "Healthy", Sync: "Synced", Message: "synced and healthy",
		SyncedAt: stampOf(9), HealthyAt: stampOf(9), Waited: result.Waited, Resources: []argocd.Resource{},
	}, result)
	assert.Equal(t, 2, a.asked, "one refresh at the beginning, one after the sync")
	assert.Contains(t, l.String(), "hello-dev aaaaaaa sync=Synced health=Healthy operation=Succeeded: synced and healthy\n")
	lines := strings.Split(strings.TrimSpace(l.String()), "\n")
	for i := 1; i < len(lines); i++ {
		assert.NotEqual(t, lines[i-1], lines[i])
	}
}

// A sync that was over before the wait began needs no second refresh.
func TestAlreadyLive(t *testing.T) {
	a := serve(t, application(synced(-9, commit), live(-8, commit)), answers(live(1, commit)))
	result := waited(t, a, newClock(), &log{})
	assert.Equal(t, argocd.Healthy, result.Outcome)
	assert.Equal(t, stampOf(-9), result.SyncedAt)
	assert.Equal(t, 1, a.asked)
}

// Healthy and Synced at the right revision, but not known to be so now.
func TestStale(t *testing.T) {
	healthy := application(synced(-9, commit), live(-8, commit))
	t.Run("before the refresh", func(t *testing.T) {
		c := newClock()
		a := serve(t, healthy.DeepCopy(), func(a *api) {
			// Written by a comparison that had begun before.
			a.set(live(1, commit))
			c.expire()
		})
		result := waited(t, a, c, &log{})
		assert.Equal(t, argocd.Deadline, result.Outcome)
		assert.Equal(t, "after 10m0s: Argo CD has not processed the refresh yet", result.Message)
		assert.Empty(t, result.Relation)
	})
	t.Run("somebody else's refresh", func(t *testing.T) {
		c := newClock()
		app := healthy.DeepCopy()
		app.Annotations = map[string]string{v1alpha1.AnnotationKeyRefresh: "normal"}
		a := serve(t, app, func(*api) { c.expire() })
		l := &log{lines: map[string]func(){"aaaaaaa sync=Synced": func() {
			// It is answered once the wait has seen it.
			go a.locked(func() {
				if a.asked == 0 {
					a.answer(live(2, commit))
				}
			})
		}}}
		result := waited(t, a, c, l)
		assert.Equal(t, argocd.Deadline, result.Outcome)
		assert.Equal(t, 1, a.asked)
	})
	t.Run("no refresh over a pending one", func(t *testing.T) {
		app := healthy.DeepCopy()
		app.Annotations = map[string]string{v1alpha1.AnnotationKeyRefresh: "normal"}
		r := &run{
			Waiter: &Waiter{Cluster: serve(t, healthy.DeepCopy()).open()}, q: request, app: app,
			want: true, patches: make(chan patched, 1),
		}
		app.ResourceVersion = "100"
		r.ask(t.Context())
		assert.Equal(t, []bool{true, false}, []bool{r.want, r.patching})
		delete(app.Annotations, v1alpha1.AnnotationKeyRefresh)
		r.ask(t.Context())
		assert.Equal(t, []bool{false, true}, []bool{r.want, r.patching})
		require.NoError(t, (<-r.patches).err)
	})
	t.Run("before the sync ended", func(t *testing.T) {
		c := newClock()
		a := serve(t, old(),
			answers(
				all(started(5, commit), compared(5, commit, v1alpha1.SyncStatusCodeOutOfSync, health.HealthStatusHealthy, other)),
				// This comparison began in second 9 before the sync ended in
				// second 9, and looks as if it had begun after that.
				finished(9, common.OperationSucceeded, ""),
				live(9, commit),
			),
			answers(compared(10, commit, v1alpha1.SyncStatusCodeSynced, health.HealthStatusProgressing, image)))
		l := &log{lines: map[string]func(){"Succeeded: health is Progressing": c.expire}}
		result := waited(t, a, c, l)
		assert.Equal(t, argocd.Deadline, result.Outcome)
		assert.Equal(t, 2, a.asked)
	})
	t.Run("while a sync is in progress", func(t *testing.T) {
		c := newClock()
		a := serve(t, old(), answers(all(started(5, commit), live(6, commit))))
		l := &log{lines: map[string]func(){"operation=Running": c.expire}}
		assert.Equal(t, argocd.Deadline, waited(t, a, c, l).Outcome)
	})
	t.Run("without the image", func(t *testing.T) {
		c := newClock()
		a := serve(t, old(), answers(all(synced(3, commit),
			compared(4, commit, v1alpha1.SyncStatusCodeSynced, health.HealthStatusHealthy, other))),
			answers(compared(5, commit, v1alpha1.SyncStatusCodeSynced, health.HealthStatusHealthy, other)))
		l := &log{lines: map[string]func(){"the image does not run yet": c.expire}}
		assert.Equal(t, argocd.Deadline, waited(t, a, c, l).Outcome)
	})
	t.Run("in a project that hides the pods", func(t *testing.T) {
		app := application(synced(9, commit), compared(9, commit, v1alpha1.SyncStatusCodeSynced, health.HealthStatusHealthy))
		require.Empty(t, app.Status.Summary.Images)
		v := view{app: app, commit: commit, image: image, fresh: 1, proven: operationID(app)}
		assert.Equal(t, "the image does not run yet", v.judge().message)
		v.release = &release{known: true, carries: true}
		assert.Contains(t, v.judge().message, "AppProject has to permit the kinds Pod and ReplicaSet")
		assert.Empty(t, v.judge().outcome)
	})
	t.Run("reconciled before the sync ended", func(t *testing.T) {
		app := application(synced(9, commit), live(8, commit))
		v := view{app: app, commit: commit, image: image, fresh: 1, proven: operationID(app)}
		assert.Equal(t, "health was not assessed since the sync ended", v.judge().message)
		app.Status.ReconciledAt = moment(9)
		assert.Equal(t, argocd.Healthy, v.judge().outcome)
		v.proven = ""
		assert.Equal(t, verdict{message: "health was not assessed since the sync ended", refresh: true}, v.judge())
		v.fresh = 0
		assert.Empty(t, v.judge().outcome)
	})
}

func TestLater(t *testing.T) {
	// The later commit changed nothing of this app: no sync was needed.
	a := serve(t, application(synced(-9, commit), live(-8, commit)), answers(live(1, later)))
	result := waited(t, a, newClock(), &log{})
	assert.Equal(t, []any{argocd.Healthy, argocd.Later, later}, []any{result.Outcome, result.Relation, result.Revision})

	// The rollout of our image is under way at a later commit: not superseded.
	a = serve(t, old(),
		answers(
			all(started(3, later), compared(3, later, v1alpha1.SyncStatusCodeOutOfSync, health.HealthStatusHealthy, other)),
			finished(4, common.OperationSucceeded, ""),
			compared(4, later, v1alpha1.SyncStatusCodeSynced, health.HealthStatusProgressing, other)),
		answers(compared(5, later, v1alpha1.SyncStatusCodeSynced, health.HealthStatusProgressing, other)))
	a.rollout(appsv1.ReplicaSetStatus{Replicas: 1}, image)
	l := &log{lines: map[string]func(){"the image does not run yet": func() {
		go a.locked(func() { a.set(live(6, later)) })
	}}}
	result = waited(t, a, newClock(), l)
	assert.Equal(t, []any{argocd.Healthy, argocd.Later, later}, []any{result.Outcome, result.Relation, result.Revision})
}

func TestSuperseded(t *testing.T) {
	steps := []func(*api){
		answers(all(synced(3, later), compared(4, later, v1alpha1.SyncStatusCodeSynced, health.HealthStatusProgressing, other))),
		answers(compared(5, later, v1alpha1.SyncStatusCodeSynced, health.HealthStatusProgressing, other)),
		answers(compared(6, later, v1alpha1.SyncStatusCodeSynced, health.HealthStatusHealthy, other)),
		answers(compared(7, later, v1alpha1.SyncStatusCodeSynced, health.HealthStatusHealthy, other)),
	}
	a := serve(t, old(), steps...)
	a.rollout(appsv1.ReplicaSetStatus{Replicas: 1}, other)
	result := waited(t, a, newClock(), &log{})
	assert.Equal(t, []any{argocd.Superseded, argocd.Later, later}, []any{result.Outcome, result.Relation, result.Revision})
	assert.Equal(t, "the later commit bbbbbbb is synced, and holds another image", result.Message)

	// Without a workload to look at, it is known once the other image is well.
	a = serve(t, old(), steps[0], steps[2], steps[3])
	result = waited(t, a, newClock(), &log{})
	assert.Equal(t, argocd.Superseded, result.Outcome)
	assert.Equal(t, "Healthy", result.Health)
}

func TestDegraded(t *testing.T) {
	bad := compared(5, commit, v1alpha1.SyncStatusCodeSynced, health.HealthStatusDegraded, image)
	a := serve(t, old(), answers(all(synced(3, commit), bad)), answers(bad), answers(bad))
	a.rollout(appsv1.ReplicaSetStatus{Replicas: 1}, image, crashed(1))
	for i := range 7 {
		a.events = append(a.events, event(9-i, "Pod", "hello-new-0", "pod-0", "BackOff", fmt.Sprintf("%d Bearer %s", 9-i, token)))
	}
	a.events = append(a.events,
		event(1, "Deployment", "hello", "deployment", "ScalingReplicaSet", "Scaled up\nreplica set hello-new"),
		event(2, "Deployment", "hello", "an earlier one", "Gone", "not this one"))
	result := waited(t, a, newClock(), &log{})
	assert.Equal(t, argocd.Degraded, result.Outcome)
	assert.Equal(t, 3, a.asked, "a Degraded that passes is none")
	require.Len(t, result.Resources, 2)
	assert.Equal(t, argocd.Resource{
		Group: "apps", Kind: "Deployment", Namespace: "hello-dev", Name: "hello", Health: "Degraded",
		Message: result.Resources[0].Message,
		Events:  []argocd.Event{{At: stampOf(1), Type: "Warning", Reason: "ScalingReplicaSet", Message: "Scaled up replica set hello-new", Count: 2}},
	}, result.Resources[0])
	pod := result.Resources[1]
	assert.Equal(t, []string{"", "Pod", "hello-dev", "hello-new-0", "Degraded"}, []string{pod.Group, pod.Kind, pod.Namespace, pod.Name, pod.Health})
	assert.Equal(t, "container hello: waiting: CrashLoopBackOff: back-off 40s restarting failed container, "+
		"last terminated with exit code 7: Error, 1 restarts; containers with unready status: [hello]", pod.Message)
	require.Len(t, pod.Events, 5)
	assert.Equal(t, "5 Bearer ***", pod.Events[0].Message)
	assert.Equal(t, "9 Bearer ***", pod.Events[4].Message)

	// It passes.
	a = serve(t, old(), answers(all(synced(3, commit), bad)), answers(bad), answers(live(6, commit)))
	assert.Equal(t, argocd.Healthy, waited(t, a, newClock(), &log{}).Outcome)
}

// What can't heal by waiting ends the wait although Argo CD says Progressing.
func TestHopeless(t *testing.T) {
	refused := appsv1.ReplicaSetStatus{Conditions: []appsv1.ReplicaSetCondition{{
		Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate",
		Message: `pods "hello-new-x" is forbidden: violates PodSecurity "restricted:latest"`,
	}}}
	one := appsv1.ReplicaSetStatus{Replicas: 1}
	for name, c := range map[string]struct {
		set     appsv1.ReplicaSetStatus
		pods    []corev1.PodStatus
		event   string
		message string
		at      string
	}{
		"refused by admission": {refused, nil, "", "the pods of Deployment hello are refused: pods", "ReplicaSet hello-new"},
		"no such image": {one, []corev1.PodStatus{waiting("ErrImagePull", image+": not found")}, "",
			"container hello of pod hello-new-0: ErrImagePull: " + image + ": not found", "Pod hello-new-0"},
		"no such image, says an event": {one, []corev1.PodStatus{waiting("ImagePullBackOff", `Back-off pulling image "`+image+`"`)},
			`Failed to pull image "` + image + `": 403 Forbidden`, "403 Forbidden", "Pod hello-new-0"},
		"bad image name": {one, []corev1.PodStatus{waiting("InvalidImageName", "x")}, "", "InvalidImageName", "Pod hello-new-0"},
		"bad config": {one, []corev1.PodStatus{waiting("CreateContainerConfigError", `secret "x" not found`)}, "",
			"CreateContainerConfigError", "Pod hello-new-0"},
		"crash loop": {one, []corev1.PodStatus{crashed(3)}, "", "CrashLoopBackOff", "Pod hello-new-0"},
	} {
		for _, running := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, running=%v", name, running), func(t *testing.T) {
				progressing := compared(5, commit, v1alpha1.SyncStatusCodeSynced, health.HealthStatusProgressing, other)
				first := all(synced(3, commit), progressing)
				if running {
					first = all(started(3, commit), compared(5, commit, v1alpha1.SyncStatusCodeOutOfSync, health.HealthStatusProgressing, other))
				}
				a := serve(t, old(), answers(first), answers(progressing))
				a.rollout(c.set, image, c.pods...)
				if c.event != "" {
					a.events = append(a.events, event(4, "Pod", "hello-new-0", "pod-0", "Failed", c.event))
				}
				result := waited(t, a, newClock(), &log{})
				assert.Equal(t, argocd.Degraded, result.Outcome)
				assert.Equal(t, "Progressing", result.Health)
				assert.Contains(t, result.Message, c.message)
				var at []string
				for _, r := range result.Resources {
					at = append(at, r.Kind+" "+r.Name)
				}
				assert.Equal(t, []string{"Deployment hello", c.at}, at)
			})
		}
	}
}

// What may heal does not end the wait.
func TestPatience(t *testing.T) {
	for name, status := range map[string]corev1.PodStatus{
		"network": waiting("ErrImagePull", "dial tcp: lookup registry: no such host"),
		"crashes": crashed(2),
		"starts":  waiting("ContainerCreating", ""),
	} {
		t.Run(name, func(t *testing.T) {
			progressing := compared(5, commit, v1alpha1.SyncStatusCodeSynced, health.HealthStatusProgressing, image)
			a := serve(t, old(), answers(all(synced(3, commit), progressing)), answers(progressing))
			a.rollout(appsv1.ReplicaSetStatus{Replicas: 1}, image, status)
			looks := 0
			a.listed = func() {
				if looks++; looks == 1 {
					a.set(func(*v1alpha1.Application) {})
				} else {
					a.set(live(9, commit))
				}
			}
			assert.Equal(t, argocd.Healthy, waited(t, a, newClock(), &log{}).Outcome)
		})
	}
}

func TestSyncFailed(t *testing.T) {
	outOfSync := compared(5, commit, v1alpha1.SyncStatusCodeOutOfSync, health.HealthStatusHealthy, other)
	failed := finished(9, common.OperationFailed, "one or more objects failed to apply (retried 5 times).",
		&v1alpha1.ResourceResult{Group: "apps", Kind: "Deployment", Namespace: "hello-dev", Name: "hello", Status: common.ResultCodeSynced, Message: "configured"},
		&v1alpha1.ResourceResult{Kind: "Service", Namespace: "hello-dev", Name: "hello", Status: common.ResultCodeSyncFailed, Message: "port is invalid"},
		&v1alpha1.ResourceResult{Group: "batch", Kind: "Job", Namespace: "hello-dev", Name: "migrate", HookPhase: common.OperationFailed, Message: "Job has reached the specified backoff limit"})
	a := serve(t, old(), answers(
		all(started(5, commit), outOfSync),
		// A retry is left: Argo CD goes on calling it Running.
		func(app *v1alpha1.Application) {
			app.Status.OperationState.Message = "failed. Retrying attempt #1"
			app.Status.OperationState.FinishedAt, app.Status.OperationState.RetryCount = moment(7), 1
		},
		failed,
	))
	a.events = append(a.events, event(3, "Service", "hello", "s", "Bad", "port"))
	l := &log{}
	result := waited(t, a, newClock(), l)
	assert.Equal(t, []any{argocd.SyncFailed, argocd.Exact}, []any{result.Outcome, result.Relation})
	assert.Equal(t, "the sync to aaaaaaa failed: one or more objects failed to apply (retried 5 times).", result.Message)
	assert.Contains(t, l.String(), "operation=Running: failed. Retrying attempt #1")
	require.Len(t, result.Resources, 2)
	assert.Equal(t, argocd.Resource{
		Kind: "Service", Namespace: "hello-dev", Name: "hello", Health: "SyncFailed", Message: "port is invalid",
		Events: []argocd.Event{{At: stampOf(3), Type: "Warning", Reason: "Bad", Message: "port", Count: 2}},
	}, result.Resources[0])
	assert.Equal(t, "migrate", result.Resources[1].Name)
	assert.Empty(t, result.SyncedAt)

	// The release before failed: that is no verdict on this one.
	app := application(started(-9, before), compared(-8, before, v1alpha1.SyncStatusCodeOutOfSync, health.HealthStatusHealthy, other))
	failed(app)
	a = serve(t, app, answers(outOfSync, all(synced(9, commit), live(9, commit))), answers(live(10, commit)))
	assert.Equal(t, argocd.Healthy, waited(t, a, newClock(), &log{}).Outcome)
}

func TestConditions(t *testing.T) {
	for _, kind := range []string{"ComparisonError", "InvalidSpecError", "SyncError"} {
		t.Run(kind, func(t *testing.T) {
			unknown := all(compared(5, "", v1alpha1.SyncStatusCodeUnknown, health.HealthStatusUnknown), condition(kind, "kustomize build failed"))
			a := serve(t, old(), answers(unknown), answers(unknown), answers(unknown))
			result := waited(t, a, newClock(), &log{})
			assert.Equal(t, argocd.SyncFailed, result.Outcome)
			assert.Equal(t, kind+": kustomize build failed", result.Message)
			assert.Equal(t, 3, a.asked, "it has to last")
			assert.Empty(t, result.Relation)

			a = serve(t, old(), answers(unknown), answers(unknown),
				answers(all(synced(6, commit), live(7, commit), func(app *v1alpha1.Application) { app.Status.Conditions = nil })),
				answers(live(8, commit)))
			assert.Equal(t, argocd.Healthy, waited(t, a, newClock(), &log{}).Outcome, "it has passed")
		})
	}
	// A sync window keeps an old SyncError.
	a := serve(t, old(), answers(all(synced(1, commit), live(2, commit), condition("SyncError", "old"))), answers(live(3, commit)))
	assert.Equal(t, argocd.Healthy, waited(t, a, newClock(), &log{}).Outcome)
}

func TestDeadline(t *testing.T) {
	c := newClock()
	outOfSync := compared(5, commit, v1alpha1.SyncStatusCodeOutOfSync, health.HealthStatusHealthy, other)
	a := serve(t, old(), answers(outOfSync))
	result := waited(t, a, c, &log{lines: map[string]func(){"status is OutOfSync": c.expire}})
	assert.Equal(t, []any{argocd.Deadline, argocd.Exact}, []any{result.Outcome, result.Relation})
	assert.Equal(t, "after 10m0s: the sync status is OutOfSync", result.Message)
	assert.Equal(t, []argocd.Resource{{
		Group: "apps", Kind: "Deployment", Namespace: "hello-dev", Name: "hello",
		Health: "OutOfSync", Message: "differs from Git", Events: []argocd.Event{},
	}}, result.Resources)
	assert.Equal(t, "10m0s", result.Waited)
}

func TestMissing(t *testing.T) {
	a := serve(t, nil)
	result := waited(t, a, newClock(), &log{})
	assert.Equal(t, []any{argocd.Missing, "there is no such Application"}, []any{result.Outcome, result.Message})

	a.refuse = func(*http.Request) int { return http.StatusNotFound }
	result = waited(t, a, newClock(), &log{})
	assert.Equal(t, argocd.Missing, result.Outcome)
	assert.Contains(t, result.Message, "no Argo CD")

	a = serve(t, old(), func(a *api) { a.record("DELETED") })
	result = waited(t, a, newClock(), &log{})
	assert.Equal(t, []any{argocd.Missing, "the Application was deleted"}, []any{result.Outcome, result.Message})
}

func TestLost(t *testing.T) {
	for name, refuse := range map[string]func(*http.Request) int{
		"refuses all":     func(*http.Request) int { return http.StatusUnauthorized },
		"refuses a patch": func(r *http.Request) int { return map[string]int{http.MethodPatch: http.StatusForbidden}[r.Method] },
		"refuses a watch": func(r *http.Request) int {
			return map[bool]int{true: http.StatusForbidden}[r.URL.Query().Has("watch")]
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := serve(t, old())
			a.refuse = refuse
			result := waited(t, a, newClock(), &log{})
			assert.Equal(t, argocd.Lost, result.Outcome)
			assert.Contains(t, result.Message, "https://example.com:6443 gave no good answer for 1m0s: ")
			assert.Empty(t, result.Resources)
		})
	}
	t.Run("is gone", func(t *testing.T) {
		a := serve(t, old())
		c := a.open()
		a.server.Close()
		result, err := (&Waiter{Cluster: c, Clock: newClock(), Log: &log{}}).Wait(t.Context(), request)
		require.NoError(t, err)
		assert.Equal(t, argocd.Lost, result.Outcome)
	})
	t.Run("has another name", func(t *testing.T) {
		// TLS verifies the logical name, wherever the connection goes.
		a := serve(t, old())
		file := a.kubeconfig()
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, bytes.ReplaceAll(data, []byte(logical), []byte("other.test:6443")), 0o600))
		c, err := Open(StageWait, Access{Kubeconfig: file, Connect: reach.Connections{"other.test:6443": a.server.Listener.Addr().String()}})
		require.NoError(t, err)
		result, err := (&Waiter{Cluster: c, Clock: newClock(), Log: &log{}}).Wait(t.Context(), request)
		require.NoError(t, err)
		assert.Equal(t, argocd.Lost, result.Outcome)
		assert.Contains(t, result.Message, "certificate is valid for")
	})
	t.Run("comes back", func(t *testing.T) {
		a := serve(t, application(synced(-9, commit), live(-8, commit)), answers(live(1, commit)))
		left := 4
		a.refuse = func(*http.Request) int {
			a.mu.Lock()
			defer a.mu.Unlock()
			if left--; left >= 0 {
				return http.StatusServiceUnavailable
			}
			return 0
		}
		assert.Equal(t, argocd.Healthy, waited(t, a, newClock(), &log{}).Outcome)
	})
}

func TestWatchEnds(t *testing.T) {
	a := serve(t, old(), func(a *api) {
		a.answer(all(started(5, commit), compared(5, commit, v1alpha1.SyncStatusCodeOutOfSync, health.HealthStatusHealthy, other)))
		a.kick()
		a.set(all(finished(9, common.OperationSucceeded, ""), live(10, commit)))
	}, func(a *api) {
		a.expired = 1
		a.kick()
		a.answer(live(11, commit))
	})
	a.refuse = func(r *http.Request) int {
		if r.Method == http.MethodPatch {
			<-a.opened // it is an open watch that ends
		}
		return 0
	}
	result := waited(t, a, newClock(), &log{})
	assert.Equal(t, argocd.Healthy, result.Outcome)
	a.locked(func() {
		assert.GreaterOrEqual(t, len(a.watched), 3, "%v", a.watched)
		assert.Equal(t, "100", a.watched[0])
	})
}

// Somebody writes between what was seen and the request for a refresh.
func TestConflict(t *testing.T) {
	a := serve(t, application(synced(-9, commit), live(-8, commit)), answers(live(1, commit)))
	conflicts := 0
	a.refuse = func(r *http.Request) int {
		if r.Method == http.MethodPatch && conflicts < 2 {
			conflicts++
			a.locked(func() { a.set(func(*v1alpha1.Application) {}) })
		}
		return 0
	}
	assert.Equal(t, argocd.Healthy, waited(t, a, newClock(), &log{}).Outcome)
	assert.Equal(t, 1, a.asked)
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("interrupted")
	a := serve(t, old(), func(*api) { cancel(reason) })
	result, err := (&Waiter{Cluster: a.open(), Clock: newClock(), Log: &log{}}).Wait(ctx, request)
	require.ErrorIs(t, err, reason)
	assert.Nil(t, result)
	_, ok := step.AsFault(err)
	assert.False(t, ok)
}

func TestRequest(t *testing.T) {
	for input, change := range map[string]func(*Request){
		"namespace":   func(q *Request) { q.Namespace = "-rf" },
		"application": func(q *Request) { q.Application = "../x" },
		"commit":      func(q *Request) { q.Commit = "main" },
		"image":       func(q *Request) { q.Image = "hello:latest" },
		"deadline":    func(q *Request) { q.Deadline = 0 },
	} {
		q := request
		change(&q)
		_, err := (&Waiter{}).Wait(t.Context(), q)
		fault, ok := step.AsFault(err)
		require.Truef(t, ok, "%v", err)
		assert.Equal(t, []any{step.KindInput, "wait"}, []any{fault.Kind, fault.Stage})
		assert.Contains(t, fault.Input, input)
		assert.NotEmpty(t, fault.Mend)
	}
	require.NoError(t, request.Check())
}

// The fields that the pipeline reads.
func TestShape(t *testing.T) {
	data, err := json.Marshal(argocd.Waited{Resources: []argocd.Resource{{Events: []argocd.Event{{}}}}})
	require.NoError(t, err)
	assert.JSONEq(t, `{"outcome":"","relation":"","application":"","commit":"","revision":"","image":"","health":"","sync":"",
		"message":"","syncedAt":"","healthyAt":"","waited":"","resources":[{"group":"","kind":"","namespace":"","name":"",
		"health":"","message":"","events":[{"at":"","type":"","reason":"","message":"","count":0}]}]}`, string(bytes.TrimSpace(data)))
}
