package overlay

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/gitops/step/fakehelm"
	"slipway/gitops/step/internal/githost"
	"slipway/step"
)

func TestMain(m *testing.M) {
	fakehelm.As(os.Args)
	os.Exit(m.Run())
}

const (
	hiDev    = "apps/hi/overlays/dev/kustomization.yaml"
	hiChart  = "apps/hi/chart/Chart.yaml"
	template = "apps/hi/chart/templates/deployment.yaml"
)

func charted(changes map[string]string) Tree {
	tree := Tree{Files: map[string][]byte{}}
	for name, content := range githost.SampleChart("", changes) {
		tree.Files[name] = []byte(content)
	}
	return tree
}

// temporary gives the test a folder for temporary files of its own, and returns
// what lists what is left there.
func temporary(t *testing.T) func() []string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	return func() []string {
		left, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		return left
	}
}

func TestChartIsInflated(t *testing.T) {
	left, calls := temporary(t), fakehelm.Calls(t)
	tree := charted(nil)
	tree.Links = []string{"apps/hi/chart/secret.yaml"}
	got, err := Renderer{Helm: fakehelm.Program(t)}.Render(tree, "hi", "dev")
	require.NoError(t, err)
	assert.YAMLEq(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: hi, namespace: hi-dev, labels: {tier: front}}
spec:
  replicas: 2
  template: {spec: {containers: [{name: hi, image: "localhost:5000/hi@`+Unreleased+`"}]}}
`, string(got))
	require.Len(t, calls(), 2)
	assert.Equal(t, "version --short", calls()[0])
	assert.Regexp(t, `^template hi-dev /\S+/apps/hi/chart --namespace hi-dev -f /\S+-kustomize-values\.yaml$`, calls()[1])
	assert.Empty(t, left())
}

func TestHelmRunsOnlyForCharts(t *testing.T) {
	left, calls := temporary(t), fakehelm.Calls(t)
	_, err := Renderer{Helm: fakehelm.Program(t)}.Render(charted(nil), "hello", "dev")
	require.NoError(t, err)
	assert.Empty(t, calls())
	assert.Empty(t, left())
}

func TestChartBelowABaseAndBesideAnOldName(t *testing.T) {
	base := "helmCharts: [{name: hi, releaseName: hi-dev, valuesInline: {replicas: 3}}]\n"
	for _, name := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		files := map[string]string{
			hiDev:                  "resources: [../../base]\nnamespace: hi-dev\n",
			"apps/hi/base/" + name: base,
		}
		for name, content := range githost.SampleChart("", nil) {
			if inner, ok := strings.CutPrefix(name, "apps/hi/chart/"); ok {
				files["apps/hi/base/charts/hi/"+inner] = content
			}
		}
		got, err := Renderer{Helm: fakehelm.Program(t)}.Render(charted(files), "hi", "dev")
		require.NoError(t, err, name)
		assert.Contains(t, string(got), "replicas: 3\n")
		assert.Contains(t, string(got), "tier: front\n", "the chart's own values hold under the overlay's")
	}
}

func TestChartsAreRefused(t *testing.T) {
	const pulled = "helmCharts: [{name: x, releaseName: x, repo: 'https://example.com/charts'}]\n"
	swap := func(old, fresh string) map[string]string {
		require.Contains(t, githost.Charted, old)
		return map[string]string{hiDev: strings.Replace(githost.Charted, old, fresh, 1)}
	}
	needs := "apiVersion: v2\nname: hi\nversion: 1.0.0\ndependencies: [{name: redis, version: 1.0.0, repository: 'https://example.com'}]\n"
	for name, c := range map[string]struct {
		changes             map[string]string
		input, reason, mend string
	}{
		"a repository":           {swap("  - name: chart\n", "  - name: chart\n    repo: https://example.com\n"), hiDev, `"chart" comes from the repository "https://example.com", and nothing is pulled`, "without repo"},
		"a registry":             {swap("  - name: chart\n", "  - name: chart\n    repo: oci://example.com/x\n"), hiDev, "nothing is pulled", "without repo"},
		"in a base":              {map[string]string{hiDev: "resources: [../../base]\n", "apps/hi/base/kustomization.yaml": pulled}, "apps/hi/base/kustomization.yaml", "nothing is pulled", "without repo"},
		"in a base, by an alias": {map[string]string{hiDev: "resources: &more [../../base]\ncomponents: *more\n", "apps/hi/base/Kustomization": pulled}, "apps/hi/base/Kustomization", "nothing is pulled", "without repo"},
		"in upper case":          {map[string]string{hiDev: "Resources: [../../base]\n", "apps/hi/base/kustomization.yml": strings.Replace(pulled, "helmCharts", "HELMCHARTS", 1)}, "apps/hi/base/kustomization.yml", "nothing is pulled", "without repo"},
		"the old form":           {map[string]string{hiDev: "helmChartInflationGenerator: [{chartName: x, chartRepoUrl: 'https://example.com'}]\n"}, hiDev, "is an old form", "helmCharts"},
		"a generator beside it":  {swap("images:\n", "generators: [\"apiVersion: builtin\\nkind: HelmChartInflationGenerator\\nmetadata: {name: x}\\nname: x\\nrepo: 'https://example.com'\\n\"]\nimages:\n"), hiDev, "can't stand beside a Helm chart", "into the chart"},
		"outside of the tree":    {swap("chartHome: ../..", "chartHome: ../../../../../etc"), hiDev, `is not in the GitOps folder: there is no ../../../../../etc/chart/Chart.yaml`, "commit the chart"},
		"an absolute path":       {swap("chartHome: ../..", "chartHome: /etc"), hiDev, "is not in the GitOps folder", "commit the chart"},
		"a missing chart":        {swap("name: chart", "name: other"), hiDev, `"other" is not in the GitOps folder`, "commit the chart"},
		"a path as its name":     {swap("name: chart", "name: ../hi/chart"), hiDev, "is not the name of a folder", "chartHome"},
		"no release name":        {swap("    releaseName: hi-dev\n", ""), hiDev, `the releaseName "", which is not a valid name`, "makes up another"},
		"a flag as release name": {swap("releaseName: hi-dev", "releaseName: --repo=https://example.com"), hiDev, `"--repo=https://example.com", which is not a valid name`, "letters"},
		"settings of Helm":       {swap("  chartHome: ../..\n", "  chartHome: ../..\n  configHome: ../../helm\n"), hiDev, "configHome", "leave it out"},
		"debug":                  {swap("  - name: chart\n", "  - name: chart\n    debug: true\n"), hiDev, "has debug", "leave debug out"},
		"values not given whole": {swap("    valuesMerge: replace\n", ""), hiDev, "Kustomize does not read its values", "valuesMerge: replace"},
		"no values at all":       {swap("    valuesInline:\n      replicas: 2\n", ""), hiDev, "Kustomize does not read its values", "valuesInline"},
		"a missing dependency":   {map[string]string{hiChart: needs}, hiChart, `needs the chart "redis", which is not in its folder charts`, "helm dependency update"},
		"a broken Chart.yaml":    {map[string]string{hiChart: "dependencies: x\n"}, hiChart, "is not a chart", "correct"},
		"what Helm refuses":      {map[string]string{template: `{{ fail "no tier" }}`}, "apps/hi/overlays/dev", `does not build with kustomize: Error: template: hi/templates/deployment.yaml:1:3: executing "hi/templates/deployment.yaml" at <fail "no tier">: error calling fail: no tier`, "--enable-helm"},
		"what is no manifest":    {map[string]string{template: "a: [\n"}, "apps/hi/overlays/dev", "does not build with kustomize", "kustomize build"},
	} {
		t.Run(name, func(t *testing.T) {
			left, calls := temporary(t), fakehelm.Calls(t)
			t.Setenv("SLIPWAY_TEST_SECRET", "hunter2")
			_, err := Renderer{Helm: fakehelm.Program(t)}.Render(charted(c.changes), "hi", "dev")
			fault := faultOf(t, err)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Equal(t, c.input, fault.Input)
			assert.Contains(t, fault.Reason, c.reason)
			assert.Contains(t, fault.Mend, c.mend)
			assert.NotContains(t, fault.Error(), "hunter2")
			assert.NotContains(t, fault.Error(), os.Getenv("TMPDIR"))
			assert.NotContains(t, strings.Join(calls(), "\n"), "pull")
			assert.Empty(t, left())
		})
	}
}

func TestVendoredDependenciesAreFound(t *testing.T) {
	needs := "apiVersion: v2\nname: hi\nversion: 1.0.0\ndependencies: [{name: redis}]\n"
	for _, file := range []string{"charts/redis/Chart.yaml", "charts/redis-1.0.0.tgz"} {
		_, err := Renderer{Helm: fakehelm.Program(t)}.Render(charted(map[string]string{hiChart: needs, "apps/hi/chart/" + file: "name: redis\n"}), "hi", "dev")
		require.NoError(t, err, file)
	}
}

func TestChartWithoutHelmIsRefused(t *testing.T) {
	_, err := Renderer{}.Render(charted(nil), "hi", "dev")
	fault := faultOf(t, err)
	assert.Equal(t, step.KindInput, fault.Kind)
	assert.Equal(t, hiDev, fault.Input)
	assert.Contains(t, fault.Reason, "inflates a Helm chart")
	assert.Contains(t, fault.Mend, "packaging: helm in apps/hi/app.yaml")
}

func TestFilesOutsideOfTheFolderAreNotWritten(t *testing.T) {
	left := temporary(t)
	tree := charted(nil)
	tree.Files["../../escaped"] = []byte("x")
	_, err := Renderer{Helm: fakehelm.Program(t)}.Render(tree, "hi", "dev")
	require.ErrorContains(t, err, "../../escaped")
	assert.Empty(t, left())
}

// A chart that is another one each time can't be proven: the two renderings of
// a release differ by more than the image.
func TestChartThatIsNeverTheSameIsNoProof(t *testing.T) {
	tree := charted(map[string]string{template: strings.Replace(githost.Template, "{{ .Values.tier }}", "{{ random }}", 1)})
	render := func() []byte {
		out, err := Renderer{Helm: fakehelm.Program(t)}.Render(tree, "hi", "dev")
		require.NoError(t, err)
		return out
	}
	before := render()
	tree.Files[hiDev] = []byte(strings.Replace(githost.Charted, Unreleased, sum(7), 1))
	_, err := Prove(hiDev, before, render(), "localhost:5000/hi", sum(7))
	fault := faultOf(t, err)
	assert.Equal(t, step.KindPolicy, fault.Kind)
	assert.Contains(t, fault.Reason, "change more than")
	assert.Contains(t, strings.Join(fault.Details, "\n"), "metadata.labels.tier")
}
