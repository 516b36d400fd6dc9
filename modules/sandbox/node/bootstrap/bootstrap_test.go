package bootstrap

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/fake"
)

func objects(t *testing.T, files map[string]string) []*unstructured.Unstructured {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	found, err := Read(dir)
	require.NoError(t, err)
	return found
}

func names(list []*unstructured.Unstructured) []string {
	var all []string
	for _, o := range list {
		all = append(all, o.GetKind()+"/"+o.GetName())
	}
	return all
}

const platform = `---
apiVersion: v1
kind: Namespace
metadata: {name: argocd}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: apps, namespace: argocd}
---
apiVersion: v1
kind: Service
metadata: {name: server, namespace: argocd}
`

func TestReadAndSplit(t *testing.T) {
	found := objects(t, map[string]string{"platform.yaml": platform, "crds/a.yaml": "kind: CustomResourceDefinition\napiVersion: v1\nmetadata: {name: a}\n", "README.md": "no: object"})
	layers := Split(found)
	assert.Equal(t, []string{"Namespace/argocd"}, names(layers.Namespaces))
	assert.ElementsMatch(t, []string{"CustomResourceDefinition/a", "Service/server"}, names(layers.Platform))
	assert.Equal(t, []string{"Application/apps"}, names(layers.Applications))
}

func TestReadNamesTheFileThatIsNoYAML(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad.yaml"), []byte("a: [\n"), 0o644))
	_, err := Read(dir)
	require.ErrorContains(t, err, "bad.yaml")
}

func TestOnlyTheSameObjectsCountAsApplied(t *testing.T) {
	client := fake.NewClientset()
	first := objects(t, map[string]string{"platform.yaml": platform})
	done, err := Applied(t.Context(), client, first)
	require.NoError(t, err)
	assert.False(t, done, "nothing was applied yet")
	require.NoError(t, Remember(t.Context(), client, first))
	done, err = Applied(t.Context(), client, first)
	require.NoError(t, err)
	assert.True(t, done)
	second := objects(t, map[string]string{"platform.yaml": platform + "spec: {type: ClusterIP}\n"})
	done, err = Applied(t.Context(), client, second)
	require.NoError(t, err)
	assert.False(t, done, "an object has changed")
	require.NoError(t, Remember(t.Context(), client, second))
	done, err = Applied(t.Context(), client, second)
	require.NoError(t, err)
	assert.True(t, done)
}

func TestJudgedWantsAnImagePolicyThatFailsClosed(t *testing.T) {
	fails, ignores := admissionv1.Fail, admissionv1.Ignore
	hook := func(name string, policy *admissionv1.FailurePolicyType, resources ...string) []admissionv1.ValidatingWebhookConfiguration {
		return []admissionv1.ValidatingWebhookConfiguration{{Webhooks: []admissionv1.ValidatingWebhook{{
			Name: name, FailurePolicy: policy,
			Rules: []admissionv1.RuleWithOperations{{Rule: admissionv1.Rule{Resources: resources}}},
		}}}}
	}
	assert.True(t, Judged(hook("ivpol.validate.kyverno.svc-fail", &fails, "pods")))
	assert.False(t, Judged(hook("ivpol.validate.kyverno.svc", &ignores, "pods")))
	assert.False(t, Judged(hook("ivpol.validate.kyverno.svc", nil, "pods")))
	assert.False(t, Judged(hook("ivpol.validate.kyverno.svc", &fails, "services")))
	assert.False(t, Judged(hook("vpol.validate.kyverno.svc", &fails, "pods")))
	assert.False(t, Judged(nil))
}
