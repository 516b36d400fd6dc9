// Package argocd writes the Argo CD objects of a GitOps folder: one
// Application per overlay, and the AppProject they belong to. They are built
// as argo-cd's own types, so a field that Argo CD does not have can't be
// written.
package argocd

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
	// Project is the AppProject of every Application.
	Project = "slipway"
	// Finalizer makes Argo CD delete an Application's resources with it, in the
	// foreground.
	Finalizer = v1alpha1.ResourcesFinalizerName
	// ProjectFile is the AppProject's file. No overlay takes its name: theirs
	// have a dash.
	ProjectFile = "project.yaml"

	cluster = v1alpha1.KubernetesInternalAPIServerAddr
	header  = "# Generated from the folders apps/*/overlays/*: change those, and generate again.\n"
)

// Overlay names one overlay: apps/<App>/overlays/<Env>.
type Overlay struct {
	App string
	Env string
}

// Name is the overlay's Application and namespace: <app>-<env>.
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
// with prune and self-heal: what is not in Git does not stay.
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
			Project: Project,
			Source: &v1alpha1.ApplicationSource{
				RepoURL:        s.RepoURL,
				TargetRevision: s.Branch,
				Path:           path.Join(s.Root, o.path()),
			},
			Destination: v1alpha1.ApplicationDestination{Server: cluster, Namespace: o.Name()},
			SyncPolicy: &v1alpha1.SyncPolicy{
				Automated: &v1alpha1.SyncPolicyAutomated{Prune: true, SelfHeal: true},
				SyncOptions: v1alpha1.SyncOptions{
					"CreateNamespace=true",
					"PrunePropagationPolicy=foreground",
				},
				Retry: &v1alpha1.RetryStrategy{
					Limit:   5,
					Backoff: &v1alpha1.Backoff{Duration: "5s", Factor: &factor, MaxDuration: "3m"},
				},
			},
		},
	}
}

// AppProject is the project of the overlays' Applications: they may come from
// the one repository, and go to their own namespaces. The only cluster-wide
// object they may make is their namespace.
func AppProject(overlays []Overlay, s Source) *v1alpha1.AppProject {
	project := &v1alpha1.AppProject{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "AppProject"},
		ObjectMeta: metav1.ObjectMeta{Name: Project, Namespace: Namespace},
		Spec: v1alpha1.AppProjectSpec{
			Description:              "What Slipway releases",
			SourceRepos:              []string{s.RepoURL},
			ClusterResourceWhitelist: []metav1.GroupKind{{Group: "", Kind: "Namespace"}},
		},
	}
	for _, o := range overlays {
		project.Spec.Destinations = append(project.Spec.Destinations,
			v1alpha1.ApplicationDestination{Server: cluster, Namespace: o.Name()})
	}
	return project
}

// Files are the generated files of a GitOps folder by name: project.yaml and
// <app>-<env>.yaml for each overlay. Two overlays that would share a name, as
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
	data, err := Encode(AppProject(overlays, s))
	if err != nil {
		return nil, err
	}
	files[ProjectFile] = data
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
