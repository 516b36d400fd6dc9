package applications

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"slipway/step"
)

var source = Source{RepoURL: "https://git.example.com/team/gitops.git", Branch: "main", Root: "gitops"}

// folder makes a GitOps folder with overlays such as hello/dev.
func folder(t *testing.T, overlays ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, o := range overlays {
		app, env, _ := strings.Cut(o, "/")
		at := filepath.Join(dir, "apps", app, "overlays", env)
		require.NoError(t, os.MkdirAll(at, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(at, "kustomization.yaml"), nil, 0o644))
	}
	return dir
}

func faultOf(t *testing.T, err error) *step.Fault {
	t.Helper()
	fault, ok := step.AsFault(err)
	require.Truef(t, ok, "%v", err)
	assert.Equal(t, "release", fault.Stage)
	assert.NotEmpty(t, fault.Mend)
	return fault
}

func TestGolden(t *testing.T) {
	dir := folder(t, "hello/production", "hello/dev")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "apps/hello/overlays/empty"), 0o755))
	files, err := Generate(dir, source)
	require.NoError(t, err)
	assert.Len(t, files, 2)
	for _, name := range []string{"hello-dev.yaml", "hello-production.yaml"} {
		golden, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(t, err)
		assert.Equalf(t, string(golden), string(files[name]), "%s", name)
	}
}

// What was written means to Argo CD's own types what was asked for.
func TestReadBack(t *testing.T) {
	files, err := Generate(folder(t, "hello/dev"), source)
	require.NoError(t, err)
	var app v1alpha1.Application
	require.NoError(t, yaml.UnmarshalStrict(files["hello-dev.yaml"], &app))
	assert.Equal(t, *Application(Overlay{App: "hello", Env: "dev"}, source), app)
	assert.True(t, app.Spec.SyncPolicy.Automated.Prune && app.Spec.SyncPolicy.Automated.SelfHeal)
	assert.Equal(t, int64(5), app.Spec.SyncPolicy.Retry.Limit)
	assert.Equal(t, "hello-dev", app.Spec.Project)
	assert.Equal(t, "hello-dev", app.Spec.Destination.Namespace)
}

func TestWriteThenCheck(t *testing.T) {
	files, err := Generate(folder(t, "hello/dev", "hello/staging"), source)
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "argocd")

	fault := faultOf(t, Check(out, files))
	assert.Equal(t, []string{"hello-dev.yaml: is missing", "hello-staging.yaml: is missing"}, fault.Details)

	require.NoError(t, Write(out, files))
	require.NoError(t, Check(out, files))

	require.NoError(t, os.WriteFile(filepath.Join(out, "hello-dev.yaml"), []byte("x"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(out, "gone-dev.yaml"), []byte("x"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(out, "README.md"), []byte("x"), 0o644))
	fault = faultOf(t, Check(out, files))
	assert.Equal(t, step.KindPolicy, fault.Kind)
	assert.Equal(t, out, fault.Input)
	assert.Equal(t, []string{"gone-dev.yaml: has no overlay", "hello-dev.yaml: differs"}, fault.Details)

	require.NoError(t, Write(out, files))
	require.NoError(t, Check(out, files))
	assert.FileExists(t, filepath.Join(out, "README.md"))
}

func TestGenerateRefuses(t *testing.T) {
	good := folder(t, "hello/dev")
	for name, c := range map[string]struct {
		dir    string
		source Source
		input  string
	}{
		"no folder":          {filepath.Join(good, "gone"), source, "gone"},
		"no overlays":        {t.TempDir(), source, ""},
		"an app name":        {folder(t, "He llo/dev"), source, "app"},
		"an env name":        {folder(t, "hello/-rf"), source, "environment"},
		"a name too long":    {folder(t, strings.Repeat("a", 50)+"/"+strings.Repeat("b", 50)), source, "namespace"},
		"no URL":             {good, Source{Branch: "main", Root: "."}, "remote"},
		"a URL with a token": {good, Source{RepoURL: "https://u:p@h/x", Branch: "main", Root: "."}, "remote"},
		"no branch":          {good, Source{RepoURL: source.RepoURL, Root: "."}, "branch"},
		"a root outside":     {good, Source{RepoURL: source.RepoURL, Branch: "main", Root: "../x"}, "root"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Generate(c.dir, c.source)
			fault := faultOf(t, err)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Contains(t, fault.Input, c.input)
			assert.NotContains(t, fault.Error(), "u:p@")
		})
	}
	_, err := Generate(folder(t, "a-b/c", "a/b-c"), source)
	fault := faultOf(t, err)
	assert.Equal(t, step.KindInput, fault.Kind)
	for _, overlay := range []string{"apps/a-b/overlays/c", "apps/a/overlays/b-c"} {
		assert.Contains(t, fault.Input, overlay)
	}
	assert.Equal(t, "would share the name a-b-c", fault.Reason)
}
