package overlay

import (
	"bytes"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/gitops/step/internal/githost"
	"slipway/step"
	"slipway/step/steptest"
)

// addedLine is the line that an edit adds where there was no digest. Without the
// carriage return, that is the end of what was there.
var addedLine = []*regexp.Regexp{regexp.MustCompile(`\n *digest: ` + sum(5)), regexp.MustCompile(`\r\n *digest: ` + sum(5))}

// FuzzSetDigestKeepsTheRest: an edit that is accepted sets one digest, and every
// other node, comment and byte stays as it is.
func FuzzSetDigestKeepsTheRest(f *testing.F) {
	for _, source := range []string{
		githost.Kustomization, "images:\n- name: " + repo + "\n  digest: \"" + sum(1) + "\" # now\n", "images:\r\n- name: " + repo + "\r\n", "images:\n- name: " + repo,
		"images:\n- name: hello\n  newName: " + repo + "\nx: &a {b: c}\ny: *a\n", "images:\n- {name: \"" + repo + "\", digest: \"" + sum(1) + "\"}\n",
		"images:\n- name: " + repo + "\n  digest: &d " + sum(1) + "\nx: *d\n", "images:\n- ? name\n  : " + repo + "\n", "images:\n- \"name\": " + repo + "\n  \"digest\": ''\n",
		"images:\n- name: &n " + repo + "\n- name: other\n  newName: *n\n", "images:\n- name: " + repo + " #\n\n\n# end", "images:\n- name: " + repo + " #\n#0", "images:\n  - name: |-\n      " + repo + "\n",
		"%YAML 1.1\n---\nimages:\n- name: " + repo + "\n...\n", "\xef\xbb\xbfimages:\n- name: " + repo + "\n", "images:\n- name: " + repo + "\u2028\n", "images:\n- name: " + repo + "\u0085  digest: x\n",
		"images:\n- <<: {name: " + repo + "}\n", "images:\n- name: " + repo + "\n  digest: " + sum(1) + sum(1) + "\n", "images:\n-\tname: " + repo + "\n", "images: [{name: " + repo + ", digest: ''}]\n",
		"images:\n- name: " + repo + "\rnamespace: x\n", "x: !!binary aGk=\nimages:\n- name: !!str " + repo + "\n  digest: !!str " + sum(1) + "\n",
	} {
		f.Add([]byte(source))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		want := sum(5)
		before, findErr := Find(file, source, repo)
		got, err := SetDigest(file, source, repo, want)
		if err != nil {
			if fault := steptest.Refused(t, err); got != nil || fault.Kind != step.KindInput || !strings.HasPrefix(fault.Input, file) {
				t.Fatal(err)
			}
			return
		}
		if findErr != nil || before.Repository() != repo {
			t.Fatalf("edited without an entry: %+v, %v", before, findErr)
		}
		after, err := Find(file, got, repo)
		if err != nil || after.Digest != want {
			t.Fatalf("%+v, %v", after, err)
		}
		if after.Digest = before.Digest; after != before {
			t.Fatalf("%+v became %+v", before, after)
		}
		// Put back, it is the source again: nothing else has moved.
		if before.Digest != "" {
			if back := bytes.Replace(got, []byte(want), []byte(before.Digest), 1); !bytes.Equal(back, source) && bytes.Count(source, []byte(want)) == 0 {
				t.Fatalf("%q became %q", source, got)
			}
		} else if bytes.Count(source, []byte("digest")) == 0 && !slices.ContainsFunc(addedLine, func(line *regexp.Regexp) bool { return bytes.Equal(line.ReplaceAll(got, nil), source) }) {
			t.Fatalf("%q became %q", source, got)
		}
		if again, err := SetDigest(file, got, repo, want); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("edited again: %q, %v", again, err)
		}
		if old, new := tree(t, source), tree(t, got); !reflect.DeepEqual(old, new) {
			t.Fatalf("%v became %v", old, new)
		}
	})
}

// tree is a document without the digests of its images. That only one of them
// has changed, the bytes say.
func tree(t *testing.T, source []byte) any {
	t.Helper()
	var document map[any]any
	if err := yaml.Unmarshal(source, &document); err != nil {
		t.Fatal(err)
	}
	images, _ := document["images"].([]any)
	for _, image := range images {
		switch entry := image.(type) {
		case map[string]any:
			delete(entry, "digest")
		case map[any]any: // not every key is a text
			delete(entry, "digest")
		}
	}
	return document
}

// FuzzRender: a kustomization and its manifest render without a network and
// without a look for Git, or are refused; and a release that is proven runs the digest
// in every container of its image.
func FuzzRender(f *testing.F) {
	for _, kustomization := range []string{
		githost.Kustomization, "resources: ['https://example.com/base?ref=main']\n", "resources: [git@example.com:x/y]\n", "resources: [/etc/passwd]\n", "resources: [../../../../../etc]\n",
		"resources: [../../base]\npatches: [{path: 'http://localhost:1/p.yaml'}]\n", "resources: [../../base]\nconfigMapGenerator: [{name: a, files: [/etc/hostname]}]\n",
		"Resources: ['https://example.com/x.yaml']\n", "resources: [.]\n", "resources: [../dev]\n", "resources: [../production, ../../base]\n", "components: [../../base]\n",
		githost.Kustomization + "namePrefix: a\n", githost.Kustomization + "replicas: [{name: hello, count: 2}]\n", githost.Kustomization + "patches: [{patch: '{\"op\":\"x\"}', target: {kind: Deployment}}]\n",
		githost.Kustomization + "replacements: [{source: {kind: Deployment}, targets: [{select: {kind: Deployment}, fieldPaths: [a.b]}]}]\n",
		githost.Kustomization + "generators: [\"apiVersion: builtin\\nkind: ConfigMapGenerator\\nmetadata: {name: x}\\nfiles: [/etc/hostname]\\n\"]\n",
		githost.Kustomization + "helmCharts: [{name: x, releaseName: y}]\n", githost.Kustomization + "openapi: {path: 'https://example.com/x'}\n", githost.Kustomization + "vars: [{name: A, objref: {kind: Deployment, name: hello}}]\n",
		githost.Kustomization + "buildMetadata: [originAnnotations]\nresources: []\n", "images: [\n", "- a\n", "null\n",
	} {
		f.Add([]byte(kustomization), []byte(githost.Deployment))
	}
	for _, manifest := range []string{"", "null", "- a\n", "kind: X\n", strings.ReplaceAll(githost.Deployment, "hello\n", "hello:v1\n"), githost.Deployment + "---\n" + githost.Deployment, "kind: List\nitems: []\n", "a: &a [*a]\n"} {
		f.Add([]byte(githost.Kustomization), []byte(manifest))
	}
	f.Add([]byte(githost.Kustomization), []byte("kind: X\nmetadata: {name: x}\na: &a [x, x]\nb: &b ["+strings.Repeat("*a, ", 2000)+"]\nc: ["+strings.Repeat("*b, ", 2000)+"]\n"))
	online := http.DefaultTransport
	http.DefaultTransport = Offline{}
	f.Cleanup(func() { http.DefaultTransport = online })
	f.Fuzz(func(t *testing.T, kustomization, manifest []byte) {
		t.Setenv("PATH", t.TempDir())
		files := sample(nil)
		files.Files[file] = kustomization
		files.Files["apps/hello/base/deployment.yaml"] = manifest
		before, err := Renderer{}.Render(files, "hello", "dev")
		if err != nil {
			if fault := steptest.Refused(t, err); before != nil || fault.Kind != step.KindInput || strings.Contains(fault.Reason, "'git' program") {
				t.Fatal(err)
			}
			return
		}
		if _, err := manifests("dev", before); err != nil {
			t.Fatalf("what it renders to is no YAML: %v\n%s", err, before)
		}
		edited, err := SetDigest(file, kustomization, repo, sum(5))
		if err != nil {
			_ = steptest.Refused(t, err)
			return
		}
		files.Files[file] = edited
		after, err := Renderer{}.Render(files, "hello", "dev")
		if err != nil {
			_ = steptest.Refused(t, err)
			return
		}
		count, err := Prove("dev", before, after, repo, sum(5))
		if err != nil {
			_ = steptest.Refused(t, err)
			return
		}
		if count < 1 || bytes.Count(after, []byte(repo+"@"+sum(5))) < count {
			t.Fatalf("%d containers\n%s", count, after)
		}
	})
}

var diffLine = regexp.MustCompile(`\A(diff --git |new file |deleted file |index |[-+ @\\])`)

// FuzzDiff: a diff is empty for the same objects, and never shows what a Secret
// holds.
func FuzzDiff(f *testing.F) {
	const secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: x}\n"
	for _, pair := range [][2]string{
		{service, strings.Replace(service, "ClusterIP", "NodePort", 1)}, {service + "---\n" + service, service}, {"", service}, {"- a\n", "null\n"}, {secret, ""}, {"a: [\n", service},
		{"kind: List\nitems:\n- kind: Secret\n  data: [a]\n", "kind: Secret\ndata: x\n"}, {"kind: Secret\nmetadata: []\n", "kind: \"a/b\\n\"\nmetadata: {name: \"../x\"}\n"}, {"1: 2\n", "? [a]\n: b\n"}, {"a: .nan\n", "a: .nan\n"},
		{"kind: Secret\nmetadata: {annotations: {" + lastApplied + ": 'hush-hush'}}\n", "a: !!binary /w==\n"},
	} {
		f.Add([]byte(pair[0]), []byte(pair[1]), "hush-hush")
	}
	f.Fuzz(func(t *testing.T, before, after []byte, value string) {
		out, err := Diff("dev", before, after)
		if err != nil {
			_ = steptest.Refused(t, err)
			return
		}
		if same, err := Diff("dev", before, before); err != nil || len(same) > 0 {
			t.Fatalf("a render differs from itself: %q, %v", same, err)
		}
		for line := range bytes.Lines(out) {
			if !diffLine.Match(line) {
				t.Fatalf("%q is no line of a diff:\n%s", line, out)
			}
		}
		// The value is made to be nobody else's.
		value = "hush<" + value + ">hush"
		text, err := yaml.Marshal(value)
		if err != nil {
			return
		}
		hidden := "\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: fuzzed\nstringData:\n  password: " + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n    ") + "\n"
		out, err = Diff("dev", before, append(bytes.Clone(after), hidden...))
		if err != nil {
			_ = steptest.Refused(t, err)
			return
		}
		if bytes.Contains(out, []byte("hush<")) && !bytes.Contains(append(bytes.Clone(before), after...), []byte("hush<")) {
			t.Fatalf("the diff shows a Secret:\n%s", out)
		}
	})
}
