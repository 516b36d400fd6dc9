package overlay

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/gitops/step/internal/githost"
	"slipway/step"
)

func sample(changes map[string]string) Tree {
	tree := Tree{Files: map[string][]byte{}}
	for name, content := range githost.Sample("", changes) {
		tree.Files[name] = []byte(content)
	}
	return tree
}

func faultOf(t *testing.T, err error) *step.Fault {
	t.Helper()
	fault, ok := step.AsFault(err)
	require.Truef(t, ok, "%v", err)
	assert.Equal(t, "release", fault.Stage)
	assert.NotEmpty(t, fault.Mend)
	return fault
}

func TestRender(t *testing.T) {
	got, err := Renderer{}.Render(sample(nil), "hello", "dev")
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(string(got), "image: localhost:5000/hello@"+Unreleased))
	assert.Contains(t, string(got), "image: localhost:5000/proxy@"+"sha256:1111")
}

func TestRenderRefuses(t *testing.T) {
	dev := "apps/hello/overlays/dev/kustomization.yaml"
	for name, c := range map[string]struct {
		kustomization string
		reason        string
	}{
		"a remote base":       {"resources: ['https://example.com/base?ref=main']\n", "is not in the GitOps folder"},
		"a remote file":       {"resources: ['https://example.com/x.yaml']\n", "is not in the GitOps folder"},
		"a git remote":        {"resources: ['git@example.com:x/y']\n", "is not in the GitOps folder"},
		"a missing file":      {"resources: [gone.yaml]\n", "is not in the GitOps folder"},
		"an absolute path":    {"resources: [/etc/passwd]\n", "is not in the GitOps folder"},
		"outside the folder":  {"resources: [../../../../../etc]\n", "is not in the GitOps folder"},
		"a remote component":  {"components: [example.com/x]\n", "is not in the GitOps folder"},
		"a remote generator":  {"resources: [../../base]\ngenerators: ['https://example.com/g']\n", "is not in the GitOps folder"},
		"a remote patch":      {"resources: [../../base]\npatches: [{path: 'http://localhost:1/p.yaml'}]\n", "does not build with kustomize"},
		"a Helm chart":        {"helmCharts: [{name: x, repo: 'https://example.com'}]\n", "nothing is pulled"},
		"an unknown field":    {"resources: [../../base]\nresorces: [x]\n", "does not build with kustomize"},
		"no mapping, in YAML": {"- a\n", "does not build with kustomize"},
	} {
		t.Run(name, func(t *testing.T) {
			saved := http.DefaultTransport
			http.DefaultTransport = Offline{}
			defer func() { http.DefaultTransport = saved }()
			_, err := Renderer{}.Render(sample(map[string]string{dev: c.kustomization}), "hello", "dev")
			fault := faultOf(t, err)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Contains(t, fault.Input, "apps/hello/overlays/dev")
			assert.Contains(t, fault.Reason, c.reason)
		})
	}
}

// Kustomize would download what any of these fields names.
func TestEachFieldOfPathsIsChecked(t *testing.T) {
	dev := "apps/hello/overlays/dev/kustomization.yaml"
	for _, field := range []string{"resources", "components", "crds", "configurations", "generators", "transformers", "validators", "bases", "patchesStrategicMerge"} {
		for _, remote := range []string{"https://example.com/x.yaml", "../../../../../etc/passwd", "/etc/passwd", "gone.yaml"} {
			_, err := Renderer{}.Render(sample(map[string]string{dev: "# text\n" + field + ":\n- " + remote + "\n"}), "hello", "dev")
			fault := faultOf(t, err)
			assert.Equal(t, dev+" line 3", fault.Input)
			assert.Equal(t, field+`: "`+remote+`" is not in the GitOps folder`, fault.Reason)
		}
	}
	inline := "resources: [../../base]\npatchesStrategicMerge:\n- |-\n  apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: hello}\n  spec: {replicas: 7}\n"
	got, err := Renderer{}.Render(sample(map[string]string{dev: inline}), "hello", "dev")
	require.NoError(t, err)
	assert.Contains(t, string(got), "replicas: 7")
}

// What an overlay is built from is held to the same, however far below.
func TestRenderRefusesABase(t *testing.T) {
	const base, more = "apps/hello/base/kustomization.yaml", "apps/hello/more/kustomization.yaml"
	for name, c := range map[string]struct {
		changes       map[string]string
		input, reason string
	}{
		"a remote file":    {map[string]string{base: "resources:\n- https://example.com/x.yaml\n"}, base + " line 2", `resources: "https://example.com/x.yaml" is not in the GitOps folder`},
		"no YAML":          {map[string]string{base: "a: [\n"}, base, "is not YAML: "},
		"an unknown field": {map[string]string{base: "resorces: [x]\n"}, "apps/hello/base", "does not build with kustomize"},
		"below the base":   {map[string]string{base: "resources: [../more]\n", more: "crds: [gone.yaml]\n"}, more + " line 1", `crds: "gone.yaml" is not in the GitOps folder`},
	} {
		_, err := Renderer{}.Render(sample(c.changes), "hello", "dev")
		fault := faultOf(t, err)
		assert.Equal(t, c.input, fault.Input, name)
		assert.Contains(t, fault.Reason, c.reason, name)
	}
}

func TestUnknownOverlaysAndLinksAreRefused(t *testing.T) {
	_, err := Renderer{}.Render(sample(nil), "hello", "qa")
	fault := faultOf(t, err)
	assert.Equal(t, step.KindInput, fault.Kind)
	assert.Equal(t, "apps/hello/overlays/qa/kustomization.yaml", fault.Input)
	assert.Equal(t, []string{"known: hello in dev", "known: hello in production"}, fault.Details)

	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), KustomizationFile)
	require.NoError(t, os.WriteFile(secret, []byte("resources: []\n"), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "apps/hello/overlays"), 0o755))
	require.NoError(t, os.Symlink(filepath.Dir(secret), filepath.Join(dir, "apps/hello/overlays/dev")))
	tree, err := ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, tree.Files)
	_, err = Renderer{}.Render(tree, "hello", "dev")
	fault = faultOf(t, err)
	assert.Equal(t, "apps/hello/overlays/dev", fault.Input)
	assert.Contains(t, fault.Reason, "symbolic link")

	require.NoError(t, os.MkdirAll(filepath.Join(dir, "apps/.git"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "apps/.git/config"), []byte("x"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("y"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "apps/most"), make([]byte, MaxTree-1), 0o644))
	tree, err = ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, tree.Files, 2)
	assert.Equal(t, "y", string(tree.Files[".gitignore"]))
	assert.Len(t, tree.Files["apps/most"], MaxTree-1)
	assert.Equal(t, []string{"apps/hello/overlays/dev"}, tree.Links)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "more"), []byte("z"), 0o644))
	_, err = ReadDir(dir)
	fault = faultOf(t, err)
	assert.Equal(t, dir, fault.Input)
	assert.Contains(t, fault.Reason, "holds more than")

	_, err = ReadDir(filepath.Join(dir, "gone"))
	assert.Equal(t, step.KindInput, faultOf(t, err).Kind)
}

func TestProve(t *testing.T) {
	render := func(tree Tree) []byte {
		out, err := Renderer{}.Render(tree, "hello", "dev")
		require.NoError(t, err)
		return out
	}
	edited := strings.Replace(githost.Kustomization, Unreleased, sum(7), 1)
	dev := "apps/hello/overlays/dev/kustomization.yaml"
	before, after := render(sample(nil)), render(sample(map[string]string{dev: edited}))

	count, err := Prove("x", before, after, repo, sum(7))
	require.NoError(t, err)
	assert.Equal(t, 2, count)
	count, err = Prove("x", after, after, repo, sum(7))
	require.NoError(t, err)
	assert.Equal(t, 2, count)

	swap := func(old, fresh string) []byte {
		require.Contains(t, string(after), old)
		return []byte(strings.Replace(string(after), old, fresh, 1))
	}
	for name, c := range map[string]struct {
		after  []byte
		repo   string
		reason string
		detail string
	}{
		"nothing changed":      {before, repo, "a container would not run", "0.spec.template.spec.containers.0.image is " + repo + "@" + Unreleased},
		"another digest":       {swap(sum(7), sum(8)), repo, "a container would not run", sum(8)},
		"a tag beside it":      {swap(repo+"@", repo+":v1@"), repo, "a container would not run", ":v1@"},
		"another image":        {swap("proxy@sha256:1", "proxy@sha256:2"), repo, "change more than", "0.spec.template.spec.containers.1.image"},
		"another repository":   {swap(repo+"@", "evil/hello@"), repo, "change more than", "image would change"},
		"another field":        {swap("name: proxy", "name: porxy"), repo, "change more than", "containers.1.name would change"},
		"a field more":         {swap("kind: Deployment", "kind: Deployment\nx: 1"), repo, "change more than", "0 would change"},
		"a resource more":      {append([]byte("kind: Pod\n---\n"), after...), repo, "change more than", " would change"},
		"nobody uses it":       {before, "localhost:5000/other", "no container uses localhost:5000/other", ""},
		"only a prefix of it":  {before, "localhost:5000/hell", "no container uses", ""},
		"an annotation of it":  {[]byte("metadata: {annotations: {image: " + repo + "}}"), repo, "change more than", ""},
		"a container replaced": {swap("image: localhost:5000/proxy@", "image: "+repo+"@"), repo, "change more than", "containers.1.image"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Prove("apps/hello/overlays/dev", before, c.after, c.repo, sum(7))
			fault := faultOf(t, err)
			assert.Equal(t, step.KindPolicy, fault.Kind)
			assert.Equal(t, "apps/hello/overlays/dev", fault.Input)
			assert.Contains(t, fault.Reason, c.reason)
			assert.Contains(t, strings.Join(fault.Details, "\n"), c.detail)
		})
	}
	volume := strings.Replace(githost.Deployment, "      containers:\n", "      volumes: [{name: site, image: {reference: "+repo+"}}]\n      containers:\n", 1)
	mounted := map[string]string{"apps/hello/base/deployment.yaml": volume}
	before = render(sample(mounted))
	mounted[dev] = edited
	count, err = Prove("x", before, render(sample(mounted)), repo, sum(7))
	require.NoError(t, err, "an image volume is a place of the image, too")
	assert.Equal(t, 3, count)
	_, err = Prove("x", before, []byte("a: ["), repo, sum(7))
	assert.Equal(t, step.KindInput, faultOf(t, err).Kind)
}

// What is empty is no other kind of nothing.
func TestAnotherKindOfValueIsAChange(t *testing.T) {
	values := []any{nil, "", "x", 0, false, []any{}, []any{nil}, []any{"x"}, []any{"x", "y"}, map[string]any{}, map[string]any{"x": nil}, map[string]any{"y": nil}, map[string]any{"x": nil, "y": nil}}
	for i, before := range values {
		for n, after := range values {
			p := &proof{repository: repo, want: repo + "@" + sum(7)}
			p.compare([]string{"0", "spec"}, before, after)
			assert.Equal(t, i == n, p.other == nil, "%#v, %#v", before, after)
			assert.Zero(t, p.count)
			assert.Empty(t, p.wrong)
		}
	}
	p := &proof{repository: repo, want: repo + "@" + sum(7)}
	p.compare([]string{"0"}, []any{"a", map[string]any{"b": "c"}}, []any{"A", map[string]any{"b": "C"}})
	assert.Equal(t, []string{"0.0 would change", "0.1.b would change"}, p.other)
}
