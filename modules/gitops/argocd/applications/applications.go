// Package applications writes the Argo CD objects of a GitOps folder: one Application
// per overlay. They are built as argo-cd's own types, so a field that Argo CD
// does not have can't be written.
package applications

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"slipway/step"
)

const (
	// Namespace is where Argo CD runs and looks for its objects.
	Namespace = "argocd"
	// Finalizer makes Argo CD delete an Application's resources with it, in the
	// foreground.
	Finalizer = v1alpha1.ResourcesFinalizerName

	cluster = v1alpha1.KubernetesInternalAPIServerAddr
	header  = "# Generated from the folders apps/*/overlays/*: change those, and generate again.\n"
)

// Overlay names one overlay: apps/<App>/overlays/<Env>.
type Overlay struct {
	App string
	Env string
}

// Name is the overlay's Application, AppProject and namespace: <app>-<env>.
func (o Overlay) Name() string { return o.App + "-" + o.Env }

// path is the overlay's folder below the GitOps folder.
func (o Overlay) path() string { return path.Join("apps", o.App, "overlays", o.Env) }

// Source is where Argo CD reads the overlays from.
type Source struct {
	// RepoURL is the GitOps repository.
	RepoURL string
	// Branch is the branch that the cluster follows.
	Branch string
	// Root is the GitOps folder's path inside the repository, or ".".
	Root string
}

// Application is the Application of one overlay. It is synced automatically,
// with prune and self-heal: what is not in Git does not stay. Its AppProject and
// its namespace are infrastructure: until they are provisioned, Argo CD refuses
// it.
func Application(o Overlay, s Source) *v1alpha1.Application {
	factor := int64(2)
	return &v1alpha1.Application{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "Application"},
		ObjectMeta: metav1.ObjectMeta{
			Name:       o.Name(),
			Namespace:  Namespace,
			Labels:     map[string]string{"app.kubernetes.io/name": o.App},
			Finalizers: []string{Finalizer},
		},
		Spec: v1alpha1.ApplicationSpec{
			Project: o.Name(),
			Source: &v1alpha1.ApplicationSource{
				RepoURL:        s.RepoURL,
				TargetRevision: s.Branch,
				Path:           path.Join(s.Root, o.path()),
			},
			Destination: v1alpha1.ApplicationDestination{Server: cluster, Namespace: o.Name()},
			SyncPolicy: &v1alpha1.SyncPolicy{
				Automated:   &v1alpha1.SyncPolicyAutomated{Prune: true, SelfHeal: true},
				SyncOptions: v1alpha1.SyncOptions{"PrunePropagationPolicy=foreground", "ApplyOutOfSyncOnly=true"},
				Retry: &v1alpha1.RetryStrategy{
					Limit:   5,
					Backoff: &v1alpha1.Backoff{Duration: "5s", Factor: &factor, MaxDuration: "3m"},
				},
			},
		},
	}
}

// Files are the generated files of a GitOps folder by name: <app>-<env>.yaml for
// each overlay. Two overlays that would share a name, as
// a-b in c and a in b-c would, are an input Fault.
func Files(overlays []Overlay, s Source) (map[string][]byte, error) {
	overlays = slices.Clone(overlays)
	slices.SortFunc(overlays, func(a, b Overlay) int { return strings.Compare(a.Name(), b.Name()) })
	files := map[string][]byte{}
	for i, o := range overlays {
		if i > 0 && overlays[i-1].Name() == o.Name() {
			return nil, step.Input(Stage, "overlays "+overlays[i-1].path()+" and "+o.path(),
				"would share the name "+o.Name(), "rename one of them")
		}
		data, err := Encode(Application(o, s))
		if err != nil {
			return nil, err
		}
		files[o.Name()+".yaml"] = data
	}
	return files, nil
}

// Encode writes object as YAML without what only the cluster fills in: its
// status and its creation time.
func Encode(object any) ([]byte, error) {
	data, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", object, err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("encode %T: %w", object, err)
	}
	delete(fields, "status")
	if metadata, ok := fields["metadata"].(map[string]any); ok && metadata["creationTimestamp"] == nil {
		delete(metadata, "creationTimestamp")
	}
	out, err := yaml.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", object, err)
	}
	return append([]byte(header), out...), nil
}
