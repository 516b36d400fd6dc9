package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/argoproj/gitops-engine/pkg/health"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"slipway/step/result/argocd"
)

const (
	// mostResources, mostPods and mostEvents bound what a result names: in all,
	// of one workload and of one object.
	mostResources = 50
	mostPods      = 5
	mostEvents    = 5
)

// blame names the objects at fault for the outcome, with what the cluster says
// about them. What can't be read is left out: the outcome is decided already.
func (c *Cluster) blame(ctx context.Context, app *v1alpha1.Application, outcome argocd.Outcome) []argocd.Resource {
	b := &blamed{cluster: c, have: map[[4]string]bool{}}
	if state := app.Status.OperationState; outcome == argocd.SyncFailed && state != nil && state.SyncResult != nil {
		for _, r := range state.SyncResult.Resources {
			if failedResult(r) {
				b.add(ctx, argocd.Resource{
					Group: r.Group, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name,
					Health: "SyncFailed", Message: r.Message,
				}, "")
			}
		}
	}
	for _, r := range app.Status.Resources {
		w, err := c.workload(ctx, r)
		if err != nil {
			w = nil
		}
		at := argocd.Resource{Group: r.Group, Kind: r.Kind, Namespace: r.Namespace, Name: r.Name}
		switch {
		case r.Health != nil && r.Health.Status != "":
			at.Health, at.Message = string(r.Health.Status), r.Health.Message
		case w != nil:
			at.Health, at.Message = assess(w.object, w.kind)
		}
		if at.Health == "" || at.Health == string(health.HealthStatusHealthy) {
			if outcome != argocd.Deadline || r.Status != v1alpha1.SyncStatusCodeOutOfSync {
				continue
			}
			at.Health, at.Message = string(r.Status), "differs from Git"
		}
		uid := ""
		if w != nil {
			uid = string(w.meta.UID)
			if at.Message == "" {
				_, at.Message = assess(w.object, w.kind)
			}
		}
		b.add(ctx, at, uid)
		if w != nil {
			b.addPods(ctx, w)
		}
	}
	return b.resources
}

type blamed struct {
	cluster   *Cluster
	resources []argocd.Resource
	have      map[[4]string]bool
}

func (b *blamed) add(ctx context.Context, r argocd.Resource, uid string) {
	key := [4]string{r.Group, r.Kind, r.Namespace, r.Name}
	if b.have[key] || len(b.resources) == mostResources {
		return
	}
	b.have[key] = true
	r.Message = b.cluster.clean(r.Message)
	r.Events = []argocd.Event{}
	if events, err := b.cluster.events(ctx, r.Kind, r.Namespace, r.Name, uid); err == nil {
		r.Events = append(r.Events, events...)
	}
	b.resources = append(b.resources, r)
}

// addPods adds the unready pods that the workload's newest template made, and
// its ReplicaSet when that makes none.
func (b *blamed) addPods(ctx context.Context, w *workload) {
	if message := refused(w.set); message != "" && w.set.Name != w.meta.Name {
		b.add(ctx, argocd.Resource{
			Group: appsv1.GroupName, Kind: "ReplicaSet", Namespace: w.set.Namespace, Name: w.set.Name,
			Health: string(health.HealthStatusDegraded), Message: message,
		}, string(w.set.UID))
	}
	named := 0
	for i := range w.pods {
		pod := &w.pods[i]
		if ready(pod) || named == mostPods {
			continue
		}
		named++
		status, _ := assess(pod, corev1.SchemeGroupVersion.WithKind("Pod"))
		b.add(ctx, argocd.Resource{
			Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, Health: status, Message: describe(pod),
		}, string(pod.UID))
	}
}

// ready says whether nothing is wrong with the pod: it is ready, or done.
func ready(pod *corev1.Pod) bool {
	if pod.Status.Phase == corev1.PodSucceeded {
		return true
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// describe says why a pod is not ready: its containers' states, then its
// conditions.
func describe(pod *corev1.Pod) string {
	var parts []string
	for _, container := range containers(pod) {
		if container.Ready {
			continue
		}
		var said []string
		if s := container.State.Waiting; s != nil {
			said = append(said, "waiting: "+join(": ", s.Reason, s.Message))
		}
		if s := container.State.Terminated; s != nil {
			said = append(said, ended("terminated", s))
		}
		if s := container.LastTerminationState.Terminated; s != nil {
			said = append(said, ended("last terminated", s))
		}
		if container.RestartCount > 0 {
			said = append(said, fmt.Sprintf("%d restarts", container.RestartCount))
		}
		if len(said) > 0 {
			parts = append(parts, "container "+container.Name+": "+strings.Join(said, ", "))
		}
	}
	for _, c := range pod.Status.Conditions {
		if c.Status == corev1.ConditionFalse && c.Message != "" &&
			(c.Type == corev1.PodReady || c.Type == corev1.PodScheduled) {
			parts = append(parts, c.Message)
		}
	}
	return join("; ", append(parts, join(": ", pod.Status.Reason, pod.Status.Message))...)
}

func ended(what string, s *corev1.ContainerStateTerminated) string {
	return join(": ", fmt.Sprintf("%s with exit code %d", what, s.ExitCode), s.Reason, s.Message)
}

func join(between string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(parts), func(s string) bool { return s == "" }), between)
}

// assess is Argo CD's own opinion of an object.
func assess(object runtime.Object, kind schema.GroupVersionKind) (status, message string) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return "", ""
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(kind)
	found, err := health.GetResourceHealth(u, nil)
	if err != nil || found == nil {
		return "", ""
	}
	return string(found.Status), found.Message
}

// events are the last events of an object, the newest last. Of an earlier
// object of the same name there are none, when uid is given.
func (c *Cluster) events(ctx context.Context, kind, namespace, name, uid string) ([]argocd.Event, error) {
	only := fields.Set{"involvedObject.kind": kind, "involvedObject.name": name}
	if uid != "" {
		only["involvedObject.uid"] = uid
	}
	if namespace == "" {
		namespace = metav1.NamespaceDefault // where those of cluster-wide objects are
	}
	list, err := c.kube.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: only.String()})
	if err != nil {
		return nil, err
	}
	items := list.Items
	slices.SortStableFunc(items, func(a, b corev1.Event) int {
		return cmp.Or(at(a).Compare(at(b)), a.CreationTimestamp.Compare(b.CreationTimestamp.Time))
	})
	var events []argocd.Event
	for _, e := range items[max(0, len(items)-mostEvents):] {
		count := max(e.Count, 1)
		if e.Series != nil {
			count = max(count, e.Series.Count)
		}
		events = append(events, argocd.Event{
			At: stamp(at(e)), Type: e.Type, Reason: e.Reason, Message: c.clean(e.Message), Count: count,
		})
	}
	return events, nil
}

// at is when an event last happened.
func at(e corev1.Event) time.Time {
	if e.Series != nil {
		return e.Series.LastObservedTime.Time
	}
	for _, t := range []time.Time{e.LastTimestamp.Time, e.EventTime.Time, e.FirstTimestamp.Time} {
		if !t.IsZero() {
			return t
		}
	}
	return e.CreationTimestamp.Time
}

// stamp is a time as results hold it; empty when there is none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
