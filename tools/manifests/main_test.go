package main

import (
	"context"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/gitops/step/fakehelm"
	"slipway/gitops/step/overlay"
	"slipway/step"
	"slipway/tools/manifests/conform"
	"slipway/tools/manifests/target"
)

const (
	gitopsFolder = "../../gitops"
	repository   = "../.."
)

func TestMain(m *testing.M) {
	fakehelm.As(os.Args)
	http.DefaultTransport = overlay.Offline{}
	os.Exit(m.Run())
}

// shipped are the targets of this repository.
func shipped(t *testing.T) []target.Target {
	t.Helper()
	tree, err := overlay.ReadDir(gitopsFolder)
	require.NoError(t, err)
	targets, err := target.Find(tree, overlay.Renderer{Helm: fakehelm.Program(t)})
	require.NoError(t, err)
	return targets
}

// broken are the sandbox's targets that a file has a part in, with one change to
// the file.
func broken(t *testing.T, file, old, new string) []target.Target {
	t.Helper()
	tree, err := overlay.ReadDir(gitopsFolder)
	require.NoError(t, err)
	text := string(tree.Files[file])
	require.Contains(t, text, old, file)
	tree.Files[file] = []byte(strings.Replace(text, old, new, 1))
	part := file
	for _, whole := range []string{"apps/hello/", "platform/"} {
		if strings.HasPrefix(file, whole) {
			part = whole
		}
	}
	maps.DeleteFunc(tree.Files, func(name string, _ []byte) bool {
		return !strings.HasPrefix(name, part) || strings.Contains(name, "azure")
	})
	targets, err := target.Find(tree, overlay.Renderer{Helm: fakehelm.Program(t)})
	require.NoError(t, err)
	return targets
}

// pinned are the kinds of the pinned modules, which come like every dependency of a
// test: from Go's cache, or once from its proxy.
var pinned = sync.OnceValues(func() (*conform.Kinds, error) { return kindsOf(context.Background(), repository) })

func problems(t *testing.T, targets []target.Target) []string {
	t.Helper()
	kinds, err := pinned()
	require.NoError(t, err)
	found, err := kinds.Check(targets)
	require.NoError(t, err)
	lines := []string{}
	for _, p := range found {
		lines = append(lines, p.String())
	}
	return lines
}

func TestEverythingBelowGitopsConforms(t *testing.T) {
	targets := shipped(t)
	assert.Empty(t, problems(t, targets))

	// Whatever else is added is found as well; these must not get lost.
	var names []string
	for _, target := range targets {
		names = append(names, target.Name)
	}
	for _, pattern := range []string{"apps/*/overlays/*", "argocd/*.yaml", "platform/*/overlays/*", "platform/sandbox", "platform/azure"} {
		folders, err := filepath.Glob(filepath.Join(gitopsFolder, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, folders, pattern)
		for _, folder := range folders {
			name, err := filepath.Rel(gitopsFolder, folder)
			require.NoError(t, err)
			assert.Contains(t, names, filepath.ToSlash(name))
		}
	}
}

// No app may be synced before what refuses its image is in place.
func TestThePlatformIsSyncedInOrder(t *testing.T) {
	targets := shipped(t)
	for _, platform := range []string{"platform/sandbox", "platform/azure"} {
		waves := map[string]string{}
		for _, object := range objects(t, targets, platform) {
			waves[object.GetKind()+" "+object.GetName()] = object.GetAnnotations()["argocd.argoproj.io/sync-wave"]
		}
		inOrder(t, waves)
	}
}

// objects are those of one target.
func objects(t *testing.T, targets []target.Target, name string) []*yaml.RNode {
	t.Helper()
	at := slices.IndexFunc(targets, func(x target.Target) bool { return x.Name == name })
	require.GreaterOrEqual(t, at, 0, name)
	var all []*yaml.RNode
	for _, document := range strings.Split(string(targets[at].Manifests), "\n---\n") {
		object, err := yaml.Parse(document)
		require.NoError(t, err)
		all = append(all, object)
	}
	return all
}

func inOrder(t *testing.T, waves map[string]string) {
	t.Helper()
	for object, wave := range map[string]string{
		"Deployment kyverno-admission-controller": "",
		"ImageValidatingPolicy released":          "1",
		"ValidatingAdmissionPolicy images":        "1",
		"ValidatingAdmissionPolicyBinding images": "1",
		"ConfigMap slipway-signing-key":           "1",
		"Application apps":                        "2",
	} {
		found, ok := waves[object]
		assert.True(t, ok, object)
		assert.Equal(t, wave, found, object)
	}
}

func TestBrokenManifestsAreRefused(t *testing.T) {
	const (
		deployment = "apps/hello/base/deployment.yaml"
		dev        = "apps/hello/overlays/dev: Deployment hello-dev/hello"
		project    = "platform/root/platform.yaml"
	)
	for name, c := range map[string]struct{ file, old, new, want string }{
		"a field that a Deployment does not have": {
			deployment, "progressDeadlineSeconds: 60", "progressDeadlineSecs: 60",
			dev + " /spec: additional properties 'progressDeadlineSecs' not allowed",
		},
		"a field that a container does not have": {
			deployment, "imagePullPolicy: IfNotPresent", "pullPolicy: IfNotPresent",
			dev + " /spec/template/spec/containers/0: additional properties 'pullPolicy' not allowed",
		},
		"a field of metadata": {
			deployment, "  name: hello\n", "  name: hello\n  label: {}\n",
			dev + " /metadata: additional properties 'label' not allowed",
		},
		"a value of another type": {
			deployment, "revisionHistoryLimit: 3", `revisionHistoryLimit: "3"`,
			dev + " /spec/revisionHistoryLimit: got string, want integer",
		},
		"null": {
			deployment, "periodSeconds: 1\n", "periodSeconds:\n",
			dev + " /spec/template/spec/containers/0/startupProbe/periodSeconds: got null, want integer",
		},
		"a quantity that is none": {
			deployment, "memory: 128Mi", "memory: 128MB",
			dev + " /spec/template/spec/containers/0/resources/limits/memory: '128MB' does not match pattern",
		},
		"a required field": {
			deployment, "containerPort: 8080", "protocol: TCP",
			dev + " /spec/template/spec/containers/0/ports/0: missing property 'containerPort'",
		},
		"a status": {
			deployment, "spec:\n", "status: {}\nspec:\n",
			dev + ": additional properties 'status' not allowed",
		},
		"an unknown kind": {
			"apps/hello/base/service.yaml", "kind: Service", "kind: Servlet",
			`apps/hello/overlays/dev: Servlet hello-dev/hello: the cluster has no kind "Servlet" of apiVersion "v1"`,
		},
		"a kind in other letters": {
			"apps/hello/base/service.yaml", "kind: Service", "kind: service",
			`apps/hello/overlays/dev: service hello-dev/hello: the cluster has no kind "service" of apiVersion "v1"`,
		},
		"a version that is not served": {
			deployment, "apiVersion: apps/v1", "apiVersion: apps/v1beta1",
			`apps/hello/overlays/dev: Deployment hello-dev/hello: the cluster has no kind "Deployment" of apiVersion "apps/v1beta1"`,
		},
		"a typo in an AppProject": {
			project, "sourceRepos:", "sourceRepo:",
			"platform/sandbox: AppProject argocd/platform /spec: additional properties 'sourceRepo' not allowed",
		},
		"a destination of an AppProject that is no list": {
			project, "clusterResourceWhitelist:\n    - group: \"*\"\n      kind: \"*\"", "clusterResourceWhitelist: all",
			"platform/sandbox: AppProject argocd/platform /spec/clusterResourceWhitelist: got string, want array",
		},
		"an Application without a project": {
			"argocd/hello-dev.yaml", "  project: ", "  projct: ",
			"argocd/hello-dev.yaml: Application argocd/hello-dev /spec: missing property 'project'",
		},
		"a typo in Kyverno's policy": {
			"platform/policies/released.yaml", "required: true", "require: true",
			"platform/policies: ImageValidatingPolicy released /spec/validationConfigurations: additional properties 'require' not allowed",
		},
		"an object without a name": {
			"argocd/hello-dev.yaml", "  name: hello-dev\n", "",
			"argocd/hello-dev.yaml: Application argocd/ /metadata: missing property 'name'",
		},
		"a key given twice": {
			"argocd/hello-dev.yaml", "  namespace: argocd\n", "  namespace: argocd\n  namespace: default\n",
			`key "namespace" already set in map`,
		},
		"a file without objects": {
			"argocd/hello-dev.yaml", "apiVersion: argoproj.io/v1alpha1\nkind: Application\n", "",
			`argocd/hello-dev.yaml: argocd/hello-dev: the cluster has no kind "" of apiVersion ""`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := problems(t, broken(t, c.file, c.old, c.new))
			assert.Contains(t, strings.Join(lines, "\n"), c.want)
		})
	}
}

func TestAnEmptyFileIsRefused(t *testing.T) {
	tree := overlay.Tree{Files: map[string][]byte{"argocd/empty.yaml": []byte("# nothing\n")}}
	targets, err := target.Find(tree, overlay.Renderer{Helm: fakehelm.Program(t)})
	require.NoError(t, err)
	assert.Equal(t, []string{"argocd/empty.yaml: no object: there is nothing to check"}, problems(t, targets))

	targets[0].Part = true
	assert.Empty(t, problems(t, targets), "values for what it is a part of")
}

func TestCheckSaysWhatToMend(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "service.yaml"), []byte("apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  port: 80\n"), 0o644))
	_, err := run(t.Context(), []string{"check", "--gitops", folder})
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, step.KindPolicy, fault.Kind)
	assert.Equal(t, []string{"service.yaml: Service web /spec: additional properties 'port' not allowed"}, fault.Details)
}

func TestRenderWritesEveryObjectWhereItIsWritten(t *testing.T) {
	out := t.TempDir()
	render := []string{"render", "--gitops", gitopsFolder, "--out", out, "--helm", fakehelm.Program(t)}
	_, err := run(t.Context(), render)
	require.NoError(t, err)
	_, err = run(t.Context(), render)
	require.ErrorContains(t, err, "is not empty", "what somebody has there is not deleted")
	written, err := overlay.ReadDir(out)
	require.NoError(t, err)
	files := written.Files
	hello := string(files["apps/hello/base/deployment.yaml"])
	for _, namespace := range []string{"hello-dev", "hello-staging", "hello-production"} {
		assert.Equal(t, 1, strings.Count(hello, "namespace: "+namespace+"\n"), namespace)
	}
	assert.NotContains(t, hello, "annotations:", "the object as it is applied")
	patched := string(files["platform/argocd/base/repo-server.yaml"])
	assert.Contains(t, patched, "image: slipway.internal/pod:1", "the patch of the overlay")
	assert.Contains(t, patched, "image: slipway.internal/argocd:")
	assert.Equal(t, 2, strings.Count(patched, "kind: Deployment"), "once for each platform, and not the base as well")
	assert.Contains(t, string(files["platform/policies/kustomization.yaml"]), "name: slipway-signing-key", "what it generates")
	assert.Contains(t, string(files["apps/pages/overlays/dev/kustomization.yaml"]), "namespace: pages-dev\n", "what its chart makes")
	assert.NotContains(t, files, "apps/pages/chart/templates/deployment.yaml")
	assert.Contains(t, files, "argocd/hello-dev.yaml")
	assert.NotContains(t, files, "platform/argocd/overlays/sandbox/forward.yaml")
}

func TestArguments(t *testing.T) {
	for want, args := range map[string][]string{
		"usage: ":               nil,
		"unknown command":       {"chek", "--gitops", gitopsFolder, "--helm", fakehelm.Program(t)},
		"unexpected argument":   {"check", "x"},
		"--out is missing":      {"render", "--gitops", gitopsFolder, "--helm", fakehelm.Program(t)},
		"--findings is missing": {"judge"},
		"give a GitOps folder":  {"check", "--gitops", "no/such/folder"},
		"flag provided but not": {"check", "--strict"},
	} {
		_, err := run(t.Context(), args)
		assert.ErrorContains(t, err, want)
	}
}
