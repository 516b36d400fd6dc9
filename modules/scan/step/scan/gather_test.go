package scan

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/result/scan"
)

func TestFilesWithKubernetesObjectsAreListed(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"pod.yaml":           "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n",
		"second.yml":         "a: 1\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: b}\n",
		"kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n",
		"values.yaml":        "a: 1\n",
		"README.md":          "apiVersion, kind, metadata\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644))
	}
	objects, _, err := gather(Tree{Name: "gitops/apps", Folder: folder}, t.TempDir())
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"gitops/apps/pod.yaml", "gitops/apps/second.yml"}, objects)
}

// Helm makes manifests of templates, which are no YAML: the scanner has to list
// each. Beside a chart, and without one, the same file is refused.
func TestTemplatesOfAChartAreObjects(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		file := filepath.Join(folder, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	for _, file := range []string{
		"templates/deployment.yaml", "templates/more/service.yml", "templates/config.tpl",
		"templates/_names.yaml", "templates/_names.tpl", "templates/NOTES.txt",
		"charts/inner/Chart.yaml", "charts/inner/templates/pod.yaml",
	} {
		write("hi/chart/"+file, "a: {{ .Values.a }}\n")
	}
	for name, text := range map[string]string{
		"Chart.yaml": "name: hi\n", "values.yaml": "a: 1\n", "charts/inner/Chart.yaml": "name: inner\n",
		"crds/crd.yaml": "apiVersion: v1\nkind: X\nmetadata: {name: x}\n",
	} {
		write("hi/chart/"+name, text)
	}
	in := Tree{Name: "gitops/apps", Folder: folder}
	objects, _, err := gather(in, t.TempDir())
	require.NoError(t, err)
	const chart = "gitops/apps/hi/chart/"
	assert.ElementsMatch(t, []string{
		chart + "templates/deployment.yaml", chart + "templates/more/service.yml", chart + "templates/config.tpl",
		chart + "charts/inner/templates/pod.yaml", chart + "crds/crd.yaml",
	}, objects)

	write("hi/folder/Chart.yaml/README.md", "")
	require.NoError(t, os.Mkdir(filepath.Join(folder, "hi/link"), 0o755))
	require.NoError(t, os.Symlink("../chart/Chart.yaml", filepath.Join(folder, "hi/link/Chart.yaml")))
	for _, spoilt := range []string{"hi/chart/values.yaml", "hi/other/templates/deployment.yaml",
		"hi/folder/templates/deployment.yaml", "hi/link/templates/deployment.yaml"} {
		write(spoilt, "a: {{ .Values.a }}\n")
		_, _, err = gather(in, t.TempDir())
		fault, ok := step.AsFault(err)
		require.True(t, ok, "want a fault, got %v", err)
		assert.Equal(t, "manifest gitops/apps/"+spoilt, fault.Input)
		require.NoError(t, os.Remove(filepath.Join(folder, spoilt)))
	}
}

func TestManifestThatCannotBeParsedIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"key twice": "a: 1\na: 2\n",
		"no YAML":   "a: [\n",
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(folder, "pod.yaml"), []byte(text), 0o644))
			_, _, err := gather(Tree{Name: "gitops/apps", Folder: folder}, t.TempDir())
			fault, ok := step.AsFault(err)
			require.True(t, ok, "want a fault, got %v", err)
			assert.Equal(t, step.KindPolicy, fault.Kind)
			assert.Equal(t, "manifest gitops/apps/pod.yaml", fault.Input)
			assert.Contains(t, fault.Reason, "can't be parsed, so it can't be checked")
		})
	}
}

// Whatever Trivy's parser takes for a rule is a finding, in every order of its parts, and
// nothing else is.
func TestCommentsThatTrivyObeysAreFindings(t *testing.T) {
	for text, obeyed := range map[string]bool{
		"#trivy:ignore:KSV-0017":                         true,
		"# trivy:ignore:*":                               true,
		"// tfsec:ignore:AVD-AZU-0011":                   true,
		"# trivy:exp:2099-01-01:ignore:KSV-0017":         true,
		"# trivy:ws:production:ignore:AVD-AZU-0011":      true,
		"# tfsec:ws:production:exp:2099-01-01:ignore:*":  true,
		"# as agreed tfsec:exp:2099-01-01:ignore:*":      true,
		"privileged: true # trivy:x:y:ignore:KSV-0017\r": true,
		"note: trivy:ignore:KSV-0017[name=x]":            true,
		"# trivy:ignore:":                                false,
		"# trivy: ignore:KSV-0017":                       false,
		"# trivy:exp:2099-01-01":                         false,
		"Write no `trivy:ignore:KSV-0017` here.":         false,
		"# cfsec:ignore:AWS001":                          false,
		"# fine":                                         false,
	} {
		t.Run(text, func(t *testing.T) {
			folder := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(folder, "main.tf"), []byte("# first\n"+text+"\n"), 0o644))
			_, found, err := gather(Tree{Name: "infra/local", Folder: folder}, t.TempDir())
			require.NoError(t, err)
			if !obeyed {
				assert.Empty(t, found)
				return
			}
			assert.Equal(t, []scan.Misconfiguration{{
				ID: "SLIPWAY-INLINE-IGNORE", File: "infra/local/main.tf", Line: 2, Severity: scan.Critical, Title: "A comment makes the scanner skip a check",
				Message: "Exceptions belong in the scan policy, where they have a reason, an owner and an expiry",
			}}, found)
		})
	}
}

// Trivy renders a packed chart with the comments in it, which no line of the tree shows.
func TestPackedChartIsRefused(t *testing.T) {
	for name, packed := range map[string]bool{
		"hi/chart/charts/redis-1.2.3.tgz": true, "chart.tar.gz": true, "hi/chart.tgz.md": false, "chart.zip": false,
	} {
		folder := t.TempDir()
		file := filepath.Join(folder, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte("x"), 0o644))
		_, _, err := gather(Tree{Name: "gitops/apps", Folder: folder}, t.TempDir())
		if !packed {
			require.NoError(t, err, name)
			continue
		}
		fault, ok := step.AsFault(err)
		require.True(t, ok, name)
		assert.Equal(t, step.KindPolicy, fault.Kind)
		assert.Equal(t, "archive gitops/apps/"+name, fault.Input)
		assert.Equal(t, "is read by the scanner as a chart, with whatever comments in it make it skip checks, so there is no verdict", fault.Reason)
		assert.Equal(t, "unpack it into a folder of its name, such as charts/redis for charts/redis-1.2.3.tgz, and remove it", fault.Mend)
	}
}
