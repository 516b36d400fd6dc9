package overlay

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

const service = `apiVersion: v1
kind: Service
metadata:
  name: hello
spec:
  type: ClusterIP
`

func diffOf(t *testing.T, before, after string) string {
	t.Helper()
	out, err := Diff("apps/hello/overlays/dev", []byte(before), []byte(after))
	require.NoError(t, err)
	return string(out)
}

func TestDiffNamesEachObject(t *testing.T) {
	config := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  a: \"1\"\n"
	account := "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: hello\n"
	got := diffOf(t, service+"---\n"+config, account+"---\n"+strings.Replace(service, "ClusterIP", "NodePort", 1))
	for _, part := range []string{
		"--- a/ConfigMap/settings\n+++ /dev/null\n@@ -1,6 +0,0 @@\n-apiVersion: v1\n-data:\n-  a: \"1\"\n",
		"--- a/Service/hello\n+++ b/Service/hello\n@@ -3,4 +3,4 @@ kind: Service\n metadata:\n   name: hello\n spec:\n-  type: ClusterIP\n+  type: NodePort\n",
		"--- /dev/null\n+++ b/ServiceAccount/hello\n@@ -0,0 +1,4 @@\n+apiVersion: v1\n",
	} {
		assert.Contains(t, got, part)
	}
	assert.Empty(t, diffOf(t, service, service))
	assert.Empty(t, diffOf(t, service+"---\n"+config, config+"---\n# a comment\n"+service+"---\n"), "order and comments are no difference")
}

// What Diff writes is what git-apply(1) takes.
func TestDiffIsAPatch(t *testing.T) {
	after := strings.Replace(service, "ClusterIP", "NodePort", 1)
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoErrorf(t, err, "%s", out)
	}
	git("init", "-q")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "Service"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Service", "hello"), []byte(service), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "diff.patch"), []byte(diffOf(t, service, after)), 0o644))
	git("apply", "diff.patch")
	got, err := os.ReadFile(filepath.Join(dir, "Service", "hello"))
	require.NoError(t, err)
	assert.Equal(t, after, string(got))
}

func TestDiffNeverHoldsSecrets(t *testing.T) {
	secret := func(password string) string {
		return `apiVersion: v1
kind: Secret
metadata:
  name: hello
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{"data":{"password":"` + password + `"}}'
    note: mine
data:
  same: c3RheXM=
  password: ` + password + `
stringData:
  plain: |
    first ` + password + `
    second
`
	}
	got := diffOf(t, secret("aHVudGVyMg=="), secret("aHVudGVyMw=="))
	assert.Contains(t, got, "+++ b/Secret/hello\n")
	for _, hidden := range []string{"aHVudGVyMg", "aHVudGVyMw", "c3RheXM", "second"} {
		assert.NotContains(t, got, hidden)
	}
	assert.Regexp(t, `(?m)^-  password: sha256:[0-9a-f]{12}$`, got)
	assert.Regexp(t, `(?m)^\+  password: sha256:[0-9a-f]{12}$`, got)
	assert.Regexp(t, `(?m)^   same: sha256:[0-9a-f]{12}$`, got, "what stays the same is shown as such")
	assert.Contains(t, got, "note: mine")

	// Wherever it is: new, gone, in a list, behind an anchor, or malformed.
	list := "apiVersion: v1\nkind: List\nitems:\n  - {kind: Secret, apiVersion: v1, metadata: {name: x}, data: {a: aHVudGVyMg==}}\n"
	anchored := "kind: Secret\nmetadata: {name: x, annotations: {a: &v aHVudGVyMg==}}\ndata: {a: *v}\n"
	malformed := "kind: Secret\nmetadata: {name: x}\ndata: [aHVudGVyMg==]\nstringData: aHVudGVyMg==\n"
	for _, manifest := range []string{secret("aHVudGVyMg=="), list, malformed} {
		assert.NotContains(t, diffOf(t, manifest, ""), "aHVudGVyMg")
		assert.NotContains(t, diffOf(t, "", manifest), "aHVudGVyMg")
	}
	assert.Equal(t, 1, strings.Count(diffOf(t, "", anchored), "aHVudGVyMg"), "the data is hidden; an annotation is no secret")
}

func TestDiffTellsNamesakesApart(t *testing.T) {
	other := strings.Replace(service, "v1", "serving.knative.dev/v1", 1)
	got := diffOf(t, service+"---\n"+other, service+"---\n"+strings.Replace(other, "ClusterIP", "NodePort", 1))
	assert.Contains(t, got, "+++ b/Service/serving.knative.dev/v1/-/hello\n")
	assert.Equal(t, 1, strings.Count(got, "diff --git"))
	got = diffOf(t, service+"---\n"+service, service)
	assert.Contains(t, got, "--- a/Service/v1/-/hello#2\n+++ /dev/null\n")
	hostile := "kind: ConfigMap\nmetadata: {name: \"x\\n+++ b/Service/hello\"}\n"
	assert.Contains(t, diffOf(t, "", hostile), "+++ b/ConfigMap/x_+++_b/Service/hello\n")
}

func TestDiffRefusesWhatIsNotYAML(t *testing.T) {
	for _, pair := range [][2]string{{"a: [", service}, {service, "a: ["}} {
		_, err := Diff("apps/hello/overlays/dev", []byte(pair[0]), []byte(pair[1]))
		assert.Equal(t, step.KindInput, faultOf(t, err).Kind)
	}
}
