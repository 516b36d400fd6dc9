// Package bootstrap applies the objects that have to be there before Argo CD
// can reconcile: those that Argo CD itself consists of, among others.
package bootstrap

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// Manager owns the fields that are applied here. Argo CD takes them over when it
// applies the same objects from Git.
const Manager = "slipway-bootstrap"

// Read reads every YAML file of a folder, in the order of their names.
func Read(folder string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
		for {
			object := &unstructured.Unstructured{}
			if err := decoder.Decode(object); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			if len(object.Object) > 0 {
				objects = append(objects, object)
			}
		}
	})
	return objects, err
}

// Layers are objects in the order in which they can be applied.
type Layers struct {
	// Namespaces hold the rest.
	Namespaces []*unstructured.Unstructured
	// Platform is what has to run before anything is reconciled.
	Platform []*unstructured.Unstructured
	// Applications are what Argo CD reconciles.
	Applications []*unstructured.Unstructured
}

// Split sorts objects into their layers.
func Split(objects []*unstructured.Unstructured) Layers {
	var layers Layers
	for _, object := range objects {
		switch object.GetKind() {
		case "Namespace":
			layers.Namespaces = append(layers.Namespaces, object)
		case "Application", "ApplicationSet":
			layers.Applications = append(layers.Applications, object)
		default:
			layers.Platform = append(layers.Platform, object)
		}
	}
	return layers
}

// The config map that remembers what was applied last, by its checksum.
const (
	memoryNamespace = "kube-system"
	memoryName      = "slipway-bootstrap"
)

func checksum(objects []*unstructured.Unstructured) (string, error) {
	sum := sha256.New()
	for _, object := range objects {
		data, err := object.MarshalJSON()
		if err != nil {
			return "", err
		}
		sum.Write(data)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Applied says whether exactly these objects were applied last. What became of
// them since is Argo CD's affair.
func Applied(ctx context.Context, client kubernetes.Interface, objects []*unstructured.Unstructured) (bool, error) {
	want, err := checksum(objects)
	if err != nil {
		return false, err
	}
	memory, err := client.CoreV1().ConfigMaps(memoryNamespace).Get(ctx, memoryName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return memory.Data["sha256"] == want, nil
}

// Remember records that the objects were applied.
func Remember(ctx context.Context, client kubernetes.Interface, objects []*unstructured.Unstructured) error {
	sum, err := checksum(objects)
	if err != nil {
		return err
	}
	want := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: memoryName, Namespace: memoryNamespace}, Data: map[string]string{"sha256": sum}}
	maps := client.CoreV1().ConfigMaps(memoryNamespace)
	if _, err = maps.Update(ctx, want, metav1.UpdateOptions{}); apierrors.IsNotFound(err) {
		_, err = maps.Create(ctx, want, metav1.CreateOptions{})
	}
	return err
}

// Judged says whether one of the webhooks judges pods by an image policy of
// Kyverno, and refuses them when it does not answer.
func Judged(configurations []admissionv1.ValidatingWebhookConfiguration) bool {
	for _, c := range configurations {
		for _, hook := range c.Webhooks {
			if hook.FailurePolicy == nil || *hook.FailurePolicy != admissionv1.Fail || !strings.Contains(hook.Name, "ivpol") {
				continue
			}
			for _, rule := range hook.Rules {
				if slices.Contains(rule.Resources, "pods") {
					return true
				}
			}
		}
	}
	return false
}

// rank orders what others depend on before the others.
func rank(object *unstructured.Unstructured) int {
	switch object.GetKind() {
	case "Namespace":
		return 0
	case "CustomResourceDefinition":
		return 1
	case "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ConfigMap", "Secret":
		return 2
	case "AppProject":
		return 4
	case "Application", "ApplicationSet":
		return 5
	}
	return 3
}

// Apply applies objects by server-side apply. An object whose kind is not
// served yet is tried again until ctx ends.
func Apply(ctx context.Context, config *rest.Config, objects []*unstructured.Unstructured) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))
	ordered := slices.Clone(objects)
	slices.SortStableFunc(ordered, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	for _, object := range ordered {
		for {
			err := apply(ctx, client, mapper, object)
			if err == nil {
				break
			}
			if !meta.IsNoMatchError(err) {
				return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
			case <-time.After(200 * time.Millisecond):
				mapper.Reset()
			}
		}
	}
	return nil
}

func apply(ctx context.Context, client dynamic.Interface, mapper meta.RESTMapper, object *unstructured.Unstructured) error {
	kind := object.GroupVersionKind()
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	var into dynamic.ResourceInterface = client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		into = client.Resource(mapping.Resource).Namespace(object.GetNamespace())
	}
	_, err = into.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: Manager, Force: true})
	return err
}
