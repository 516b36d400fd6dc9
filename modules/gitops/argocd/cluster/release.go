package cluster

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// release is what the cluster runs of an Application.
type release struct {
	// known says that at least one workload's pod template was read.
	known bool
	// carries says that a pod template holds the release's image.
	carries bool
	// faults are what can't heal by waiting.
	faults []hopeless
}

// hopeless is a state of a pod, or of what makes pods, that stays.
type hopeless struct {
	// key is the same when the state is seen again.
	key     string
	message string
	// settle is set when the state must last before it counts.
	settle bool
}

// workload is an object with a pod template, and those of its pods that were
// made from the template as it is now.
type workload struct {
	object   runtime.Object
	kind     schema.GroupVersionKind
	meta     metav1.ObjectMeta
	template corev1.PodSpec
	// settled says that its controller has seen the newest template.
	settled bool
	// set is a Deployment's ReplicaSet for the template.
	set  *appsv1.ReplicaSet
	pods []corev1.Pod
}

// look reads the workloads among resources. onlyCarrying leaves the faults of
// workloads without the image aside: while a sync is in progress those may not
// have been applied yet.
func (c *Cluster) look(ctx context.Context, resources []v1alpha1.ResourceStatus, image string, onlyCarrying bool) (*release, error) {
	r := &release{}
	for _, resource := range resources {
		w, err := c.workload(ctx, resource)
		if err != nil {
			return nil, err
		}
		if w == nil {
			continue
		}
		r.known = true
		carries := slices.Contains(images(w.template), image)
		r.carries = r.carries || carries
		if !w.settled || (onlyCarrying && !carries) {
			continue
		}
		if message := refused(w.set); message != "" {
			r.faults = append(r.faults, hopeless{
				key:     string(w.set.UID),
				message: fmt.Sprintf("the pods of %s %s are refused: %s", w.kind.Kind, w.meta.Name, message),
				settle:  true,
			})
		}
		for i := range w.pods {
			faults, err := c.podFaults(ctx, &w.pods[i])
			if err != nil {
				return nil, err
			}
			r.faults = append(r.faults, faults...)
		}
	}
	for i := range r.faults {
		r.faults[i].message = c.clean(r.faults[i].message)
	}
	return r, nil
}

// workload reads a resource with its pods. It is nil for a resource that makes
// no pods, or that is not there.
func (c *Cluster) workload(ctx context.Context, r v1alpha1.ResourceStatus) (*workload, error) {
	w := &workload{settled: true}
	var selector *metav1.LabelSelector
	var version string // label of pods that are at the newest template
	read := func(object runtime.Object, meta metav1.ObjectMeta, template corev1.PodSpec, s *metav1.LabelSelector) {
		w.object, w.meta, w.template, selector = object, meta, template, s
	}
	options := metav1.GetOptions{}
	var err error
	switch r.Group + "/" + r.Kind {
	case "apps/Deployment":
		var o *appsv1.Deployment
		if o, err = c.kube.AppsV1().Deployments(r.Namespace).Get(ctx, r.Name, options); err == nil {
			read(o, o.ObjectMeta, o.Spec.Template.Spec, o.Spec.Selector)
			w.settled = o.Status.ObservedGeneration >= o.Generation
			w.set, err = c.newestSet(ctx, o)
		}
	case "apps/ReplicaSet":
		var o *appsv1.ReplicaSet
		if o, err = c.kube.AppsV1().ReplicaSets(r.Namespace).Get(ctx, r.Name, options); err == nil {
			read(o, o.ObjectMeta, o.Spec.Template.Spec, o.Spec.Selector)
			w.set = o
		}
	case "apps/StatefulSet":
		var o *appsv1.StatefulSet
		if o, err = c.kube.AppsV1().StatefulSets(r.Namespace).Get(ctx, r.Name, options); err == nil {
			read(o, o.ObjectMeta, o.Spec.Template.Spec, o.Spec.Selector)
			w.settled, version = o.Status.ObservedGeneration >= o.Generation, o.Status.UpdateRevision
		}
	case "apps/DaemonSet":
		var o *appsv1.DaemonSet
		if o, err = c.kube.AppsV1().DaemonSets(r.Namespace).Get(ctx, r.Name, options); err == nil {
			read(o, o.ObjectMeta, o.Spec.Template.Spec, o.Spec.Selector)
			w.settled = o.Status.ObservedGeneration >= o.Generation
		}
	case "batch/Job":
		var o *batchv1.Job
		if o, err = c.kube.BatchV1().Jobs(r.Namespace).Get(ctx, r.Name, options); err == nil {
			read(o, o.ObjectMeta, o.Spec.Template.Spec, o.Spec.Selector)
		}
	case "batch/CronJob":
		var o *batchv1.CronJob
		if o, err = c.kube.BatchV1().CronJobs(r.Namespace).Get(ctx, r.Name, options); err == nil {
			read(o, o.ObjectMeta, o.Spec.JobTemplate.Spec.Template.Spec, nil)
		}
	case "/Pod":
		var o *corev1.Pod
		if o, err = c.kube.CoreV1().Pods(r.Namespace).Get(ctx, r.Name, options); err == nil {
			read(o, o.ObjectMeta, o.Spec, nil)
			w.pods = []corev1.Pod{*o}
		}
	default:
		return nil, nil
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	w.kind = schema.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind}
	owner := w.meta.UID
	if r.Kind == "Deployment" {
		if w.set == nil {
			return w, nil
		}
		owner = w.set.UID
	}
	if selector == nil {
		return w, nil
	}
	matching, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, err
	}
	pods, err := c.kube.CoreV1().Pods(r.Namespace).List(ctx, metav1.ListOptions{LabelSelector: matching.String()})
	if err != nil {
		return nil, err
	}
	for _, pod := range pods.Items {
		if !owned(&pod, owner) || pod.DeletionTimestamp != nil ||
			(version != "" && pod.Labels[appsv1.ControllerRevisionHashLabelKey] != version) ||
			(r.Kind == "DaemonSet" && !slices.Equal(images(pod.Spec), images(w.template))) {
			continue
		}
		w.pods = append(w.pods, pod)
	}
	return w, nil
}

// newestSet finds the Deployment's ReplicaSet whose template is the
// Deployment's, which is how its controller finds it.
func (c *Cluster) newestSet(ctx context.Context, d *appsv1.Deployment) (*appsv1.ReplicaSet, error) {
	matching, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return nil, err
	}
	sets, err := c.kube.AppsV1().ReplicaSets(d.Namespace).List(ctx, metav1.ListOptions{LabelSelector: matching.String()})
	if err != nil {
		return nil, err
	}
	for i := range sets.Items {
		set := &sets.Items[i]
		template := set.Spec.Template.DeepCopy()
		delete(template.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
		if owned(set, d.UID) && equality.Semantic.DeepEqual(*template, d.Spec.Template) {
			return set, nil
		}
	}
	return nil, nil
}

// refused is the message of a ReplicaSet that could not make a single pod.
func refused(set *appsv1.ReplicaSet) string {
	if set == nil || set.Status.Replicas > 0 || (set.Spec.Replicas != nil && *set.Spec.Replicas == 0) {
		return ""
	}
	for _, c := range set.Status.Conditions {
		if c.Type == appsv1.ReplicaSetReplicaFailure && c.Status == corev1.ConditionTrue && c.Reason == "FailedCreate" {
			return c.Message
		}
	}
	return ""
}

// restarts is how often a container has crashed before that counts as its way.
const restarts = 3

// denied is a registry's answer that another try won't change. What the network
// says, such as "no such host", is not.
var denied = regexp.MustCompile(`(?i)not found|manifest unknown|name unknown|does not exist|forbidden|unauthorized|denied|authorization failed|no basic auth`)

// podFaults says which containers of the pod can't heal by waiting.
func (c *Cluster) podFaults(ctx context.Context, pod *corev1.Pod) ([]hopeless, error) {
	var faults []hopeless
	for _, container := range containers(pod) {
		waiting := container.State.Waiting
		if waiting == nil {
			continue
		}
		fault := hopeless{
			key:     string(pod.UID) + "/" + container.Name + "/" + waiting.Reason,
			message: fmt.Sprintf("container %s of pod %s: %s: %s", container.Name, pod.Name, waiting.Reason, waiting.Message),
		}
		switch waiting.Reason {
		case "InvalidImageName":
		case "CreateContainerConfigError":
			fault.settle = true
		case "CrashLoopBackOff":
			if container.RestartCount < restarts {
				continue
			}
		case "ErrImagePull", "ImagePullBackOff":
			if !denied.MatchString(pullError(waiting.Message, container.Image)) {
				said, err := c.pullEvent(ctx, pod, container.Image)
				if err != nil {
					return nil, err
				}
				if said == "" {
					continue
				}
				fault.message += ": " + said
			}
		default:
			continue
		}
		faults = append(faults, fault)
	}
	return faults, nil
}

// pullError leaves the image's own name out of what is said about it: a name
// may hold any word.
func pullError(message, image string) string { return strings.ReplaceAll(message, image, "") }

// pullEvent finds the newest event that says why a pull of the image failed, if
// that is a reason for good. Older kubelets name it only there while they back off.
func (c *Cluster) pullEvent(ctx context.Context, pod *corev1.Pod, image string) (string, error) {
	events, err := c.events(ctx, "Pod", pod.Namespace, pod.Name, string(pod.UID))
	if err != nil {
		return "", err
	}
	for _, event := range slices.Backward(events) {
		if event.Reason == "Failed" && strings.Contains(event.Message, image) && strings.Contains(event.Message, "pull") {
			if denied.MatchString(pullError(event.Message, image)) {
				return event.Message, nil
			}
			return "", nil
		}
	}
	return "", nil
}

// containers are the states of the pod's containers, those that come first
// first.
func containers(pod *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
}

func images(spec corev1.PodSpec) []string {
	var names []string
	for _, container := range slices.Concat(spec.InitContainers, spec.Containers) {
		names = append(names, container.Image)
	}
	return names
}

func owned(object metav1.Object, by types.UID) bool {
	owner := metav1.GetControllerOf(object)
	return owner != nil && owner.UID == by
}
