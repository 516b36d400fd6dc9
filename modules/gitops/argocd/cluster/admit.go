package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"slipway/step"
	"slipway/step/result/argocd"
)

// StageAdmit is the stage of the cluster's own policy.
const StageAdmit = "admit"

// Admit asks the API server, by a dry run, whether it would admit the pods of
// rendered manifests: the very policies that judge the real pods decide, with
// the very digest. Nothing is stored. It refuses manifests without a podOwner:
// then nothing would be judged.
func (c *Cluster) Admit(ctx context.Context, file string) (*argocd.Admitted, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, step.Input(StageAdmit, fmt.Sprintf("manifests %q", file), "can't be read", "give the rendered manifests").Because(err)
	}
	owners, err := podOwners(data)
	if err != nil {
		return nil, step.Input(StageAdmit, "manifests", "can't be decoded: "+err.Error(), "mend the overlay").Because(err)
	}
	if len(owners) == 0 {
		return nil, step.Policy(StageAdmit, "manifests", "hold no workload whose pods could be judged", "release an overlay with a Deployment")
	}
	done := &argocd.Admitted{Pods: []string{}}
	for _, w := range owners {
		pod := &corev1.Pod{ObjectMeta: *w.template.ObjectMeta.DeepCopy(), Spec: w.template.Spec}
		pod.Name, pod.GenerateName, pod.Namespace = "", w.name+"-admit-", w.namespace
		err := c.dryRun(ctx, pod)
		if err != nil {
			return nil, c.refused(w, err)
		}
		done.Pods = append(done.Pods, w.String())
	}
	return done, nil
}

func (c *Cluster) dryRun(ctx context.Context, pod *corev1.Pod) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := c.kube.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// refused tells a decision from a cluster that could not decide; both stop a
// release.
func (c *Cluster) refused(w podOwner, err error) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Code >= 500 || status.Status().Code == 429 || status.Status().Code == 401 {
		return step.Infrastructure(StageAdmit, c.Server, "the cluster can't say whether it would admit "+w.String()+": "+c.clean(err.Error()),
			"look at the cluster's admission webhooks, then release again").Because(err)
	}
	if apierrors.IsNotFound(err) {
		return step.Input(StageAdmit, w.String(), "its namespace is not in the cluster", "apply the environment's infrastructure first, or let Argo CD sync the app's Application")
	}
	return step.Policy(StageAdmit, w.String(), "the cluster refuses its pods: "+c.clean(status.Status().Message),
		"sign and scan what is released, and mend what the message names: the pods would be refused after the release as well")
}

// podOwner is a pod template and what it belongs to.
type podOwner struct {
	kind, namespace, name string
	template              corev1.PodTemplateSpec
}

func (w podOwner) String() string { return w.kind + "/" + w.namespace + "/" + w.name }

// podOwners finds every pod template among the objects.
func podOwners(data []byte) ([]podOwner, error) {
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	decoder := scheme.Codecs.UniversalDeserializer()
	var found []podOwner
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(string(document)) == "" {
			continue
		}
		object, kind, err := decoder.Decode(document, nil, nil)
		if runtime.IsNotRegisteredError(err) {
			continue // a custom resource has no pods of its own
		}
		if err != nil {
			return nil, err
		}
		template, meta := templateOf(object)
		if template != nil {
			found = append(found, podOwner{kind: kind.Kind, namespace: meta.Namespace, name: meta.Name, template: *template})
		}
	}
}

func templateOf(object runtime.Object) (*corev1.PodTemplateSpec, *metav1.ObjectMeta) {
	switch o := object.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template, &o.ObjectMeta
	case *appsv1.StatefulSet:
		return &o.Spec.Template, &o.ObjectMeta
	case *appsv1.DaemonSet:
		return &o.Spec.Template, &o.ObjectMeta
	case *appsv1.ReplicaSet:
		return &o.Spec.Template, &o.ObjectMeta
	case *batchv1.Job:
		return &o.Spec.Template, &o.ObjectMeta
	case *batchv1.CronJob:
		return &o.Spec.JobTemplate.Spec.Template, &o.ObjectMeta
	case *corev1.Pod:
		return &corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}, &o.ObjectMeta
	}
	return nil, nil
}
