//go:build e2e && cluster

package e2e

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const applications = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"

// push commits files to the GitOps remote, empty ones are removed, and has Argo CD look
// at the Application that they belong to.
func (k *kubernetes) push(t *testing.T, files map[string]string, application string) {
	t.Helper()
	clone := k.p.remote(t)
	for name, text := range files {
		if text == "" {
			git(t, clone, "rm", "-q", name)
			continue
		}
		write(t, filepath.Join(clone, name), text)
	}
	git(t, clone, "add", "-A")
	git(t, clone, "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "-qm", "somebody's change")
	git(t, clone, "push", "-q", "origin", "HEAD:main")
	require.Equal(t, http.StatusOK, k.api(t, http.MethodPatch, applications+"/"+application, merge,
		map[string]any{"metadata": map[string]any{"annotations": map[string]any{"argocd.argoproj.io/refresh": "normal"}}}, nil))
}

// said is everything that Argo CD says about an Application and its last sync.
func (k *kubernetes) said(t *testing.T, application string) string {
	t.Helper()
	var app struct {
		Status struct {
			Conditions     []struct{ Message string }
			OperationState struct {
				Message    string
				SyncResult struct {
					Resources []struct{ Message string }
				}
			}
		}
	}
	require.Equal(t, http.StatusOK, k.api(t, http.MethodGet, applications+"/"+application, "", nil, &app))
	said := []string{app.Status.OperationState.Message}
	for _, c := range app.Status.Conditions {
		said = append(said, c.Message)
	}
	for _, r := range app.Status.OperationState.SyncResult.Resources {
		said = append(said, r.Message)
	}
	return strings.Join(said, "\n")
}

// Who may write to a folder of the GitOps repository changes no more in the cluster than
// the folder is for.
func TestClusterConfinesHostileCommits(t *testing.T) {
	k := cluster(t)
	released, err := k.deliver(t, k.p.repo, "hello", "dev")
	require.NoError(t, err)
	_, digest, _ := strings.Cut(released.Image, "@")
	application := func(name, project, namespace, path, more string) string {
		return "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: " + name + ", namespace: argocd}\nspec:\n  project: " + project +
			"\n  source: {repoURL: \"http://localhost:5000/gitops.git\", targetRevision: main, path: " + path + "}\n  destination: {server: \"https://kubernetes.default.svc\", namespace: " + namespace + "}\n" + more
	}
	const binding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: evil}\n" +
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: ServiceAccount, name: default, namespace: hello-dev}]\n"

	for name, c := range map[string]struct{ text, refusal, object string }{
		"a right in the cluster": {binding, "is not permitted in project apps", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/evil"},
		"an Application of the platform's project": {
			application("evil", "platform", "kube-system", "gitops/apps/hello/overlays/dev", ""), "argocd/evil has to be of the project and in the namespace of its name", applications + "/evil",
		},
		"an Application in another's namespace": {
			application("evil", "hello-dev", "hello-dev", "gitops/apps/hello/overlays/dev", ""), "argocd/evil has to be of the project and in the namespace of its name", applications + "/evil",
		},
		"another Application platform": {
			application("platform", "platform", "argocd", "gitops/platform/policies", ""), "argocd/platform is the platform's own", applications + "/evil",
		},
		"an Application of another folder": {
			application("evil", "evil", "evil", "gitops/platform/sandbox", ""), "argocd/evil has to be of an overlay of its name", applications + "/evil",
		},
		"an Application that labels its namespace": {
			application("evil-dev", "evil-dev", "evil-dev", "gitops/apps/evil/overlays/dev", "  syncPolicy: {syncOptions: [CreateNamespace=true], managedNamespaceMetadata: {labels: {slipway.dev/app: hello, slipway.dev/environment: dev}}}\n"),
			"argocd/evil-dev must not change its namespace", applications + "/evil-dev",
		},
	} {
		t.Run(name, func(t *testing.T) {
			const file = "gitops/argocd/evil.yaml"
			k.push(t, map[string]string{file: c.text}, "apps")
			t.Cleanup(func() { k.push(t, map[string]string{file: ""}, "apps") })
			eventually(t, c.refusal, func() bool { return strings.Contains(k.said(t, "apps"), c.refusal) })
			assert.Equal(t, http.StatusNotFound, k.api(t, http.MethodGet, c.object, "", nil, nil))
			var platform struct {
				Spec struct{ Source struct{ Path string } }
			}
			require.Equal(t, http.StatusOK, k.api(t, http.MethodGet, applications+"/platform", "", nil, &platform))
			assert.Equal(t, "gitops/platform/sandbox", platform.Spec.Source.Path)
		})
	}

	const overlay = "gitops/apps/hello/overlays/dev/"
	t.Run("a signed digest that nobody has decided to release", func(t *testing.T) {
		dir := source(t, map[string]string{"apps/hello/greeting/extra.go": "package greeting\n\n// Extra makes another image.\nconst Extra = \"pushed\"\n"})
		out, err := k.p.call(dir, k.p.options(), "app", "--name", "hello", "build", "scan", "publish", "sign", "reference")
		require.NoError(t, err)
		_, pushed, _ := strings.Cut(strings.TrimSpace(out), "@")
		file := overlay + "kustomization.yaml"
		before := read(t, filepath.Join(k.p.remote(t), file))
		require.Contains(t, before, digest)
		k.push(t, map[string]string{file: strings.Replace(before, digest, pushed, 1)}, "hello-dev")
		t.Cleanup(func() {
			k.push(t, map[string]string{file: before}, "hello-dev")
			eventually(t, "hello-dev is as before", func() bool { return k.runs(t, digest) })
		})
		eventually(t, "its pods are refused", func() bool {
			var sets struct {
				Items []struct {
					Status struct {
						Conditions []struct{ Type, Message string }
					}
				}
			}
			require.Equal(t, http.StatusOK, k.api(t, http.MethodGet, "/apis/apps/v1/namespaces/hello-dev/replicasets", "", nil, &sets))
			for _, set := range sets.Items {
				for _, c := range set.Status.Conditions {
					if c.Type == "ReplicaFailure" && strings.Contains(c.Message, "has no signed admission to dev") {
						return true
					}
				}
			}
			return false
		})
		status, _ := k.ask(t, "hello.dev.localhost")
		assert.Equal(t, http.StatusOK, status, "what was released goes on")
	})

	t.Run("a kind that no app may have", func(t *testing.T) {
		before := read(t, filepath.Join(k.p.remote(t), overlay+"kustomization.yaml"))
		t.Cleanup(func() {
			k.push(t, map[string]string{overlay + "kustomization.yaml": before, overlay + "evil.yaml": ""}, "hello-dev")
			eventually(t, "hello-dev is as before", func() bool { return k.runs(t, digest) })
		})
		require.Contains(t, before, "resources:\n")
		k.push(t, map[string]string{overlay + "kustomization.yaml": strings.Replace(before, "resources:\n", "resources:\n  - evil.yaml\n", 1), overlay + "evil.yaml": binding}, "hello-dev")
		eventually(t, "refused", func() bool { return strings.Contains(k.said(t, "hello-dev"), "is not permitted in project hello-dev") })
		assert.Equal(t, http.StatusNotFound, k.api(t, http.MethodGet, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/evil", "", nil, nil))
	})
}

// runs says whether hello's Deployment in dev has come to run a digest.
func (k *kubernetes) runs(t *testing.T, digest string) bool {
	t.Helper()
	var d deployment
	return k.api(t, http.MethodGet, "/apis/apps/v1/namespaces/hello-dev/deployments/hello", "", nil, &d) == http.StatusOK &&
		strings.HasSuffix(d.Spec.Template.Spec.Containers[0].Image, "@"+digest) && d.Status.ReadyReplicas == d.Spec.Replicas
}
