package overlay

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/gitops/step/fakehelm"
	"slipway/step"
)

func TestAliases(t *testing.T) {
	nine := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for n, name := range []string{"a1", "a2", "a3", "a4", "a5", "a6"} {
		before := []string{"a0", "a1", "a2", "a3", "a4", "a5"}[n]
		nine += name + ": &" + name + " [" + strings.Repeat("*"+before+",", 9) + "*" + before + "]\n"
	}
	doubled := "a0: &a0 x\n"
	for n := range 64 {
		doubled += fmt.Sprintf("a%d: &a%d [*a%d, *a%d]\n", n+1, n+1, n, n)
	}
	const many, itself = "has aliases that stand for more than 1048576 values", "has an alias that holds itself"
	for name, c := range map[string]struct{ text, reason string }{
		"no alias":              {"a: {b: c}\n", ""},
		"an anchor alone":       {"a: &x b\n", ""},
		"a star alone":          {"a: '*'\n", ""},
		"aliases":               {"a: &x [1, 2]\nb: *x\nc: [*x, *x]\n", ""},
		"no YAML":               {"a: [&x *x\n", ""},
		"one of many":           {nine, many},
		"doubled too often":     {doubled, many},
		"in the second":         {"a: &x b\nc: *x\n---\n" + nine, many},
		"itself":                {"a: &x\n  b: *x\n", "line 2: " + itself},
		"itself, from the top":  {"&x {b: *x}\n", "line 1: " + itself},
		"itself, in the second": {"a: 1\n---\na:\n  - &x [1, *x]\n", "line 4: " + itself},
		"itself, further below": {"a: &x {b: {c: [*x]}}\n", "line 1: " + itself},
		"two of each other":     {"a: &x {b: &y {c: *x}, d: *y}\n", "line 1: " + itself},
	} {
		for _, beside := range []string{"", "zz"} {
			tree := Tree{Files: map[string][]byte{"x.yaml": []byte(c.text)}}
			if beside != "" {
				tree.Files["a.yaml"], tree.Files["b.yaml"] = []byte("a: b\n"), []byte("a: &x b\nc: *x\n")
			}
			err := tree.checkAliases()
			if c.reason == "" {
				require.NoError(t, err, name)
				continue
			}
			fault := faultOf(t, err)
			assert.Equal(t, []string{"x.yaml", c.reason}, []string{fault.Input, fault.Reason}, name)
		}
	}
}

func TestEachChartIsChecked(t *testing.T) {
	const good = "  - {name: chart, releaseName: hi-dev, valuesMerge: replace, valuesInline: {replicas: 2}}\n"
	const globals = "helmGlobals: {chartHome: ../..}\n"
	for name, c := range map[string]struct {
		changes       map[string]string
		input, reason string
	}{
		"the second of two": {map[string]string{hiDev: globals + "helmCharts:\n" + good + "  - {name: other, releaseName: x}\n"}, hiDev, `chart "other" is not in the GitOps folder`},
		"the base's": {map[string]string{hiDev: "resources: [../../base]\n" + globals + "helmCharts:\n" + good,
			"apps/hi/base/kustomization.yaml": "helmCharts: [{name: x, releaseName: x, repo: 'https://example.com'}]\n"}, "apps/hi/base/kustomization.yaml", "nothing is pulled"},
		"a dot":          {map[string]string{hiDev: "helmGlobals: {chartHome: ../../chart}\nhelmCharts:\n" + strings.Replace(good, "chart,", ".,", 1)}, hiDev, `chart "." is not the name of a folder`},
		"two dots":       {map[string]string{hiDev: "helmGlobals: {chartHome: ../../chart/templates}\nhelmCharts:\n" + strings.Replace(good, "chart,", "..,", 1)}, hiDev, `chart ".." is not the name of a folder`},
		"a backslash":    {map[string]string{hiDev: globals + "helmCharts:\n" + strings.Replace(good, "chart,", `'a\b',`, 1)}, hiDev, "is not the name of a folder"},
		"from the top":   {map[string]string{hiDev: "helmGlobals: {chartHome: /../../}\nhelmCharts:\n" + good}, hiDev, "is not in the GitOps folder"},
		"merged values":  {map[string]string{hiDev: globals + "helmCharts:\n" + strings.Replace(good, "replace", "merge", 1)}, hiDev, "Kustomize does not read its values"},
		"empty values":   {map[string]string{hiDev: globals + "helmCharts:\n" + strings.Replace(good, "{replicas: 2}", "{}", 1)}, hiDev, "Kustomize does not read its values"},
		"a second need":  {map[string]string{hiChart: "apiVersion: v2\nname: hi\nversion: 1.0.0\ndependencies: [{name: redis}, {name: other}]\n", "apps/hi/chart/charts/redis/Chart.yaml": "name: redis\n"}, hiChart, `needs the chart "other"`},
		"a need's name":  {map[string]string{hiChart: "apiVersion: v2\nname: hi\nversion: 1.0.0\ndependencies: [{name: redis}]\n", "apps/hi/chart/charts/redis2/Chart.yaml": "name: redis\n"}, hiChart, `needs the chart "redis"`},
		"settings below": {map[string]string{hiDev: "helmGlobals: {chartHome: ../.., configHome: x}\nhelmCharts:\n" + good}, hiDev, "configHome is not Git's to say"},
	} {
		t.Run(name, func(t *testing.T) {
			calls := fakehelm.Calls(t)
			_, err := Renderer{Helm: fakehelm.Program(t)}.Render(charted(c.changes), "hi", "dev")
			fault := faultOf(t, err)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Equal(t, c.input, fault.Input)
			assert.Contains(t, fault.Reason, c.reason)
			assert.Empty(t, calls(), "Helm has not run")
		})
	}
}

func TestVendors(t *testing.T) {
	for file, want := range map[string]bool{
		"c/charts/redis/Chart.yaml": true, "c/charts/redis-1.0.0.tgz": true, "c/charts/redis-1.0.0.tar": false, "c/charts/other-1.0.0.tgz": false, "c/charts/redis.tgz": false,
		"c/charts/x/redis-1.0.0.tgz": false, "c/charts/redis-x/a.tgz": false, "c/charts/redis/values.yaml": false, "c/redis-1.0.0.tgz": false, "redis-1.0.0.tgz": false, "charts/redis/Chart.yaml": false,
		"d/charts/redis/Chart.yaml": false, "redis/Chart.yaml": false,
	} {
		for _, beside := range []string{"c/Chart.yaml", "z"} {
			tree := Tree{Files: map[string][]byte{file: nil, beside: nil}}
			assert.Equal(t, want, tree.vendors("c", "redis"), file)
		}
	}
	assert.False(t, Tree{}.vendors("c", "redis"))
}

func TestPlainNames(t *testing.T) {
	for part, want := range map[string]string{"": "-", "hello": "hello", "a b": "a_b", "a\x7fb": "a_b", "~": "~", "ä": "_", "a\n": "a_", "!": "!"} {
		assert.Equal(t, want, plain(part))
	}
}

// A Secret's values are hidden wherever the Secret is, and whatever they are.
func TestEverySecretsValuesAreHidden(t *testing.T) {
	const text = `
apiVersion: v1
kind: List
items:
  - {kind: ConfigMap, data: {a: shown}}
  - {kind: Secret, metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: hush1, other: shown}}, data: {a: hush2, b: hush3}, stringData: {c: hush4}}
  - {kind: Secret, data: hush5, stringData: [hush6]}
  - {kind: Secret, data: null}
`
	out, err := Diff("x", nil, []byte(text))
	require.NoError(t, err)
	assert.NotContains(t, string(out), "hush")
	assert.Equal(t, 2, strings.Count(string(out), "shown"))
	assert.Equal(t, 6, strings.Count(string(out), "sha256:"))
	assert.Contains(t, string(out), "data: null")

	// One that appears, one that goes and one that changes, each by its name.
	before := "kind: A\nmetadata: {name: same}\n---\nkind: B\nmetadata: {name: goes}\n---\nkind: C\nmetadata: {name: changes}\nx: 1\ny: 2\n---\nkind: E\nmetadata: {name: empty}\n"
	after := "kind: A\nmetadata: {name: same}\n---\nkind: C\nmetadata: {name: changes}\nx: 1\ny: 3\n---\nkind: D\nmetadata: {name: new}\n"
	out, err = Diff("x", []byte(before), []byte(after))
	require.NoError(t, err)
	assert.NotContains(t, string(out), "same")
	for _, line := range []string{"--- a/B/goes\n+++ /dev/null\n", "--- a/C/changes\n+++ b/C/changes\n", "\n x: 1\n-\"y\": 2\n+\"y\": 3\n", "--- /dev/null\n+++ b/D/new\n", "--- a/E/empty\n+++ /dev/null\n"} {
		assert.Contains(t, string(out), line)
	}
}

func TestRepositoriesAreNamedWithTheirRegistry(t *testing.T) {
	long := "localhost:5000/" + strings.Repeat("a", 240)
	for value, ok := range map[string]bool{
		"localhost:5000/hello": true, "ghcr.io/acme/hello": true, "a/b": true, "r.example/a_b.c-d/e__f": true, long: true, long + "a": false,
		"": false, "hello": false, "hello:v1": false, "a/b:v1": false, "a/b@" + sum(1): false, "A/b": false, "a/B": false, "a//b": false, "a/b/": false, "/a/b": false, "-a/b": false, "a/-b": false, "a:b/c": false, "a/b\n": false,
		"a:123456/b": false, "https://a/b": false, "a/..": false,
	} {
		err := Repository(value)
		if ok {
			require.NoError(t, err, value)
			continue
		}
		fault := faultOf(t, err)
		assert.Equal(t, []any{step.KindInput, "is not an image repository"}, []any{fault.Kind, fault.Reason}, value)
		assert.LessOrEqual(t, len(fault.Input), 120)
	}
}

// Each way in which a kustomization does not say which digest is meant.
func TestImagesThatCannotBeTold(t *testing.T) {
	const block = "images:\n  - name: a/b\n    digest: " + Unreleased + "\n  - name: x\n    newName: c/d\n"
	for name, c := range map[string]struct {
		text, repository string
		input, reason    string
		details          int
	}{
		"no UTF-8":          {"a: \xff\n", "a/b", "f", "is not UTF-8", 0},
		"no YAML":           {"a: [\n", "a/b", "f", "is not YAML: ", 0},
		"nothing":           {"", "a/b", "f", "is not YAML: ", 0},
		"two documents":     {block + "---\n" + block, "a/b", "f", "holds more than one YAML document", 0},
		"a key twice":       {"a: 1\na: 2\n", "a/b", "f", "is not valid YAML", 0},
		"a list":            {"- a\n", "a/b", "f", "is not a YAML mapping", 0},
		"no images":         {"a: b\n", "a/b", "f", "has no images entry for a/b", 0},
		"images of nothing": {"images:\n", "a/b", "f", "has no images entry for a/b", 0},
		"images of text":    {"images: a\n", "a/b", "f", "has an images field that is not a list", 0},
		"an entry of text":  {"images:\n  - a/b\n", "a/b", "f", "line 2: an images entry is not a mapping", 0},
		"an entry of lists": {"images:\n  - name: [a]\n", "a/b", "f", "line 2: ", 0},
		"another":           {block, "a/c", "f", "has no images entry for a/c", 2},
		"two of it":         {block + "  - name: a/b\n", "a/b", "f", "has more than one images entry for a/b", 3},
		"a tag":             {"images:\n  - name: a/b\n    newTag: v1\n", "a/b", "f line 2", "carries a tag", 0},
		"a suffix":          {"images:\n  - name: a/b\n    tagSuffix: x\n", "a/b", "f line 2", "carries a tag", 0},
	} {
		_, err := Find("f", []byte(c.text), c.repository)
		fault := faultOf(t, err)
		assert.Equal(t, c.input, fault.Input, name)
		assert.Contains(t, fault.Reason, c.reason, name)
		assert.Len(t, fault.Details, c.details, name)
		edited, err := SetDigest("f", []byte(c.text), c.repository, sum(1))
		assert.Equal(t, fault.Error(), faultOf(t, err).Error(), name)
		assert.Nil(t, edited)
	}
	for text, count := range map[string]string{"a: b\n": "has 0 images entries", block: "has 2 images entries"} {
		_, err := Find("f", []byte(text), "")
		assert.Equal(t, count, faultOf(t, err).Reason)
	}
	image, err := Find("f", []byte("images:\n  - name: a/b\n"), "")
	require.NoError(t, err)
	assert.Equal(t, "a/b", image.Repository())
	image, err = Find("f", []byte(block), "c/d")
	require.NoError(t, err)
	assert.Equal(t, []string{"x", "c/d", ""}, []string{image.Name, image.Repository(), image.Digest})

	for name, text := range map[string]string{
		"a flow":              "images: [{name: a/b}]\n",
		"a name of two lines": "images:\n  - name: >-\n      a/b\n",
		"a name by an alias":  "x: &n {name: a/b}\nimages:\n  - <<: *n\n",
		"a digest by one":     "x: &d " + Unreleased + "\nimages:\n  - name: a/b\n    digest: *d\n",
		"a folded digest":     "images:\n  - name: a/b\n    digest: >-\n      " + Unreleased + "\n",
	} {
		edited, err := SetDigest("f", []byte(text), "a/b", sum(1))
		fault := faultOf(t, err)
		assert.Contains(t, fault.Reason, "the images entry can't be edited", name)
		assert.Nil(t, edited)
	}
	for text, want := range map[string]string{
		"images:\n  - name: a/b":                        "images:\n  - name: a/b\n    digest: " + sum(1),
		"images:\r\n  - name: a/b\r\n":                  "images:\r\n  - name: a/b\r\n    digest: " + sum(1) + "\r\n",
		"images:\n  - digest: \"\"\n    name: a/b\n":    "images:\n  - digest: \"" + sum(1) + "\"\n    name: a/b\n",
		"images:\n  - digest: 'x' # c\n    name: a/b\n": "images:\n  - digest: '" + sum(1) + "' # c\n    name: a/b\n",
		"images:\n  - newName: a/b\n    name: x\n":      "images:\n  - newName: a/b\n    digest: " + sum(1) + "\n    name: x\n",
	} {
		edited, err := SetDigest("f", []byte(text), "a/b", sum(1))
		require.NoError(t, err, text)
		assert.Equal(t, want, string(edited))
	}
}

func TestWhereAContainersImageIs(t *testing.T) {
	for at, want := range map[string]bool{
		"spec.template.spec.containers.0.image": true, "spec.initContainers.1.image": true, "spec.ephemeralContainers.0.image": true, "containers.0.image": true, "0.image": false, "image": false,
		"spec.containers.0.name": false, "spec.containers.image": false, "spec.others.0.image": false, "spec.containers.0.image.x": false,
		"spec.volumes.0.image.reference": true, "volumes.0.image.reference": true, "0.image.reference": false, "spec.volumes.0.image.pullPolicy": false, "spec.volumes.0.configMap.reference": false, "spec.others.0.image.reference": false, "": false,
	} {
		var path []string
		if at != "" {
			path = strings.Split(at, ".")
		}
		assert.Equal(t, want, isContainerImage(path), at)
	}
	for image, want := range map[string]string{
		"localhost:5000/a": "localhost:5000/a", "localhost:5000/a:v1": "localhost:5000/a", "a:v1@" + sum(1): "a", "a@" + sum(1): "a", "a": "a", "": "", "a/b:c/d": "a/b:c/d", ":x": "",
	} {
		assert.Equal(t, want, repositoryOf(image), image)
	}
}

// Of a rendered overlay nothing else may differ, and every container that has the image
// has to have it by its digest.
func TestProveCountsEachContainer(t *testing.T) {
	const one, two = "kind: A\nspec:\n  containers: [{name: a, image: r/a}, {name: b, image: r/b}]\n", "kind: B\nspec:\n  initContainers: [{image: 'r/a:v1'}]\n  volumes: [{image: {reference: r/a}}]\n"
	want := "r/a@" + sum(1)
	put := func(text string) string { return strings.NewReplacer("r/a:v1", want, "r/a", want).Replace(text) }
	count, err := Prove("x", []byte(one+"---\n"+two), []byte(put(one)+"---\n"+put(two)), "r/a", sum(1))
	require.NoError(t, err)
	assert.Equal(t, 3, count)
	for name, c := range map[string]struct {
		before, after string
		reason        string
		details       []string
	}{
		"nobody":             {one, one, "no container uses r/c", nil},
		"another digest":     {one, strings.Replace(one, "r/a", "r/c@"+sum(2), 1), "the release would change more than the image of r/c", []string{"0.spec.containers.0.image would change"}},
		"a tag that stays":   {"spec: {containers: [{image: 'r/c:v1'}, {image: r/c}]}\n", "spec: {containers: [{image: 'r/c:v1'}, {image: 'r/c@" + sum(1) + "'}]}\n", "a container would not run r/c@" + sum(1), []string{"0.spec.containers.0.image is r/c:v1"}},
		"a container more":   {"spec: {containers: [{image: r/c}]}\n", "spec: {containers: [{image: 'r/c@" + sum(1) + "'}, {image: x}]}\n", "would change more", []string{"0.spec.containers would change"}},
		"an object more":     {"a: 1\n", "a: 1\n---\nspec: {containers: [{image: 'r/c@" + sum(1) + "'}]}\n", "would change more", []string{" would change"}},
		"a key more":         {"spec: {containers: [{image: r/c}]}\n", "spec: {containers: [{image: 'r/c@" + sum(1) + "', x: 1}]}\n", "would change more", []string{"0.spec.containers.0 would change"}},
		"another key":        {"spec: {a: 1, containers: [{image: r/c}]}\n", "spec: {b: 1, containers: [{image: 'r/c@" + sum(1) + "'}]}\n", "would change more", []string{"0.spec would change"}},
		"two things":         {"spec: {a: 1, b: 2, containers: [{image: r/c}]}\n", "spec: {a: 2, b: 3, containers: [{image: 'r/c@" + sum(1) + "'}]}\n", "would change more", []string{"0.spec.a would change", "0.spec.b would change"}},
		"elsewhere, too":     {"spec: {x: r/c, containers: [{image: r/c}]}\n", "spec: {x: 'r/c@" + sum(1) + "', containers: [{image: 'r/c@" + sum(1) + "'}]}\n", "would change more", []string{"0.spec.x would change"}},
		"in another's place": {"spec: {containers: [{image: r/z}]}\n", "spec: {containers: [{image: 'r/c@" + sum(1) + "'}]}\n", "would change more", []string{"0.spec.containers.0.image would change"}},
		"a map for a list":   {"spec: {containers: [{image: r/c}]}\n", "spec: {containers: {image: r/c}}\n", "would change more", []string{"0.spec.containers would change"}},
		"a list for a map":   {"spec: {a: 1}\n", "spec: [1]\n", "would change more", []string{"0.spec would change"}},
	} {
		count, err := Prove("x", []byte(c.before), []byte(c.after), "r/c", sum(1))
		fault := faultOf(t, err)
		assert.Equal(t, step.KindPolicy, fault.Kind)
		assert.Contains(t, fault.Reason, c.reason, name)
		assert.Equal(t, c.details, fault.Details, name)
		assert.Zero(t, count)
	}
	for _, sides := range [][2]string{{"a: [", one}, {one, "a: ["}} {
		_, err := Prove("x", []byte(sides[0]), []byte(sides[1]), "r/a", sum(1))
		assert.Contains(t, faultOf(t, err).Reason, "is not YAML")
	}
}
