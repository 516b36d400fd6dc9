package target_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/gitops/step/fakehelm"
	"slipway/gitops/step/overlay"
	"slipway/step"
	"slipway/tools/manifests/target"
)

const config = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"

func tree(files map[string]string) overlay.Tree {
	tree := overlay.Tree{Files: map[string][]byte{}}
	for name, text := range files {
		tree.Files[name] = []byte(text)
	}
	return tree
}

func TestFind(t *testing.T) {
	targets, err := target.Find(tree(map[string]string{
		"README.md":                     "no manifest",
		"argocd/app.yaml":               config,
		"base/kustomization.yaml":       "resources: [config.yaml]\nnamespace: one\n",
		"base/config.yaml":              config,
		"over/kustomization.yaml":       "resources: [../base]\npatches: [{path: patch.yaml}]\nconfigMapGenerator: [{name: g, files: [key=data.json]}]\n",
		"over/patch.yaml":               "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {patched: yes-it-is}\n",
		"over/data.json":                "{}",
		"shared/patches-of-nobody.yaml": config,
	}), overlay.Renderer{})
	require.NoError(t, err)
	var names []string
	for _, target := range targets {
		names = append(names, target.Name)
	}
	assert.Equal(t, []string{"argocd/app.yaml", "base", "over", "shared/patches-of-nobody.yaml"}, names)
	assert.Equal(t, config, string(targets[0].Manifests))
	assert.Contains(t, string(targets[1].Manifests), "namespace: one")
	assert.Contains(t, string(targets[2].Manifests), "patched: yes-it-is")
}

func TestAComponentIsBuiltAsAPartOfOthers(t *testing.T) {
	const component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches: [{target: {kind: ConfigMap}, patch: \"- {op: add, path: /data, value: {patched: by-it}}\"}]\n"
	files := map[string]string{
		"base/config.yaml":             config,
		"base/kustomization.yaml":      "resources: [config.yaml]\ncomponents: [../component]\n",
		"component/kustomization.yaml": component,
	}
	targets, err := target.Find(tree(files), overlay.Renderer{})
	require.NoError(t, err)
	require.Len(t, targets, 1)
	assert.Equal(t, "base", targets[0].Name)
	assert.Contains(t, string(targets[0].Manifests), "patched: by-it")

	files["base/kustomization.yaml"] = "resources: [config.yaml]\n"
	_, err = target.Find(tree(files), overlay.Renderer{})
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, step.KindInput, fault.Kind)
	assert.Equal(t, "component/kustomization.yaml", fault.Input)
	assert.Contains(t, fault.Mend, "components")
}

func TestMain(m *testing.M) {
	fakehelm.As(os.Args)
	os.Exit(m.Run())
}

func TestChartsAreFound(t *testing.T) {
	files := map[string]string{
		"chart/Chart.yaml":            "apiVersion: v2\nname: a\nversion: 1.0.0\n",
		"chart/values.yaml":           "value: its own\n",
		"chart/values.schema.json":    "{}",
		"chart/templates/config.yaml": strings.Replace(config, "name: a", "name: {{ .Chart.Name }}", 1) + "data: {value: \"{{ .Values.value }}\"}\n",
		"over/kustomization.yaml":     "helmGlobals: {chartHome: ..}\nhelmCharts: [{name: chart, releaseName: a, valuesMerge: replace, valuesInline: {value: given}}]\n",
	}
	with := overlay.Renderer{Helm: fakehelm.Program(t)}
	targets, err := target.Find(tree(files), with)
	require.NoError(t, err)
	require.Len(t, targets, 1)
	assert.Equal(t, "over", targets[0].Name)
	assert.Contains(t, string(targets[0].Manifests), "value: given\n")
	applied, err := target.Applied(tree(files), with)
	require.NoError(t, err)
	require.Len(t, applied, 1)
	assert.YAMLEq(t, config+"data: {value: given}\n", strings.TrimPrefix(string(applied["over/kustomization.yaml"]), "---\n"))

	files["over/kustomization.yaml"] = "resources: [config.yaml]\n"
	files["over/config.yaml"] = config
	_, err = target.Find(tree(files), with)
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, "chart/Chart.yaml", fault.Input)
	assert.Contains(t, fault.Reason, "no kustomization inflates")
}

func TestFindRefuses(t *testing.T) {
	linked := tree(map[string]string{"a.yaml": config})
	linked.Links = []string{"b.yaml"}
	for name, c := range map[string]struct {
		tree  overlay.Tree
		input string
	}{
		"a forgotten manifest": {tree(map[string]string{"base/kustomization.yaml": "resources: [a.yaml]\n", "base/a.yaml": config, "base/b.yaml": config}), "base/b.yaml"},
		"a link":               {linked, "b.yaml"},
		"nothing":              {tree(map[string]string{"README.md": ""}), "the GitOps folder"},
		"a folder that does not build": {
			tree(map[string]string{"base/kustomization.yaml": "resources: [a.yaml]\nnope: 1\n", "base/a.yaml": config}), "base",
		},
		"a remote base": {tree(map[string]string{"base/kustomization.yaml": "resources: ['https://example.com/x']\n"}), "base/kustomization.yaml line 1"},
		"no YAML":       {tree(map[string]string{"base/kustomization.yaml": "a: [\n"}), "base/kustomization.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := target.Find(c.tree, overlay.Renderer{})
			fault, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Equal(t, c.input, fault.Input)
			assert.NotEmpty(t, fault.Mend)
		})
	}
}
