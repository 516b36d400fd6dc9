//go:build e2e && cluster

package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dryRun asks the cluster whether it would admit a pod with this image to hello-dev.
func (k *kubernetes) dryRun(t *testing.T, image string) (admitted bool, message string) {
	t.Helper()
	return k.dryRunIn(t, "hello-dev", image)
}

func (k *kubernetes) dryRunIn(t *testing.T, namespace, image string) (admitted bool, message string) {
	t.Helper()
	pod := map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"generateName": "probe-"},
		"spec": map[string]any{
			"automountServiceAccountToken": false,
			"securityContext":              map[string]any{"runAsNonRoot": true, "seccompProfile": map[string]any{"type": "RuntimeDefault"}},
			"containers": []any{map[string]any{
				"name": "probe", "image": image,
				"securityContext": map[string]any{"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []string{"ALL"}}},
			}},
		},
	}
	var status struct{ Kind, Message string }
	code := k.api(t, http.MethodPost, "/api/v1/namespaces/"+namespace+"/pods?dryRun=All", "application/json", pod, &status)
	if code != http.StatusCreated {
		require.Equal(t, "Status", status.Kind)
	}
	return code == http.StatusCreated, status.Message
}

// debug asks the cluster whether it would add a debug container with this image
// to the running pod of hello.
func (k *kubernetes) debug(t *testing.T, image string) (admitted bool, message string) {
	t.Helper()
	const pods = "/api/v1/namespaces/hello-dev/pods"
	var list struct{ Items []map[string]any }
	require.Equal(t, http.StatusOK, k.api(t, http.MethodGet, pods+"?labelSelector=app.kubernetes.io/name=hello", "", nil, &list))
	require.NotEmpty(t, list.Items)
	pod := list.Items[0]
	pod["spec"].(map[string]any)["ephemeralContainers"] = []any{map[string]any{
		"name": "debug", "image": image,
		"securityContext": map[string]any{
			"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []string{"ALL"}},
			"runAsNonRoot": true, "seccompProfile": map[string]any{"type": "RuntimeDefault"},
		},
	}}
	var status struct{ Kind, Message string }
	name := pod["metadata"].(map[string]any)["name"].(string)
	code := k.api(t, http.MethodPut, pods+"/"+name+"/ephemeralcontainers?dryRun=All", "application/json", pod, &status)
	return code == http.StatusOK, status.Message
}

// tampered is the signed image with one more annotation, and the signed image's
// signatures beside it.
func tampered(t *testing.T, p *platform, digest string) string {
	t.Helper()
	status, manifest := fetch(t, p, "/v2/hello/manifests/"+digest, indexType)
	require.Equal(t, http.StatusOK, status)
	var index map[string]any
	require.NoError(t, json.Unmarshal(manifest, &index))
	index["annotations"] = map[string]string{"tampered": "with"}
	changed, err := json.Marshal(index)
	require.NoError(t, err)
	put(t, p, "/v2/hello/manifests/"+digestOf(changed), indexType, changed)
	status, referrers := fetch(t, p, "/v2/hello/manifests/"+strings.Replace(digest, ":", "-", 1), indexType)
	require.Equal(t, http.StatusOK, status, "the signatures' index")
	put(t, p, "/v2/hello/manifests/"+strings.Replace(digestOf(changed), ":", "-", 1), indexType, referrers)
	return digestOf(changed)
}

// copied is the signed image in another repository, without its signatures.
func copied(t *testing.T, p *platform, digest, to string) {
	t.Helper()
	mount := func(from string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.sandbox+"/v2/"+to+"/blobs/uploads/?mount="+from+"&from=hello", nil)
		require.NoError(t, err)
		request.SetBasicAuth(p.accounts["images"].Username, p.accounts["images"].Password)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusCreated, response.StatusCode, from)
	}
	var visit func(digest string)
	visit = func(digest string) {
		status, manifest := fetch(t, p, "/v2/hello/manifests/"+digest, indexType+", application/vnd.oci.image.manifest.v1+json")
		require.Equal(t, http.StatusOK, status)
		var m struct {
			MediaType string
			Config    struct{ Digest string }
			Layers    []struct{ Digest string }
			Manifests []struct{ Digest string }
		}
		require.NoError(t, json.Unmarshal(manifest, &m))
		for _, child := range m.Manifests {
			visit(child.Digest)
		}
		for _, layer := range m.Layers {
			mount(layer.Digest)
		}
		if m.Config.Digest != "" {
			mount(m.Config.Digest)
		}
		put(t, p, "/v2/"+to+"/manifests/"+digest, m.MediaType, manifest)
	}
	visit(digest)
}

// What the pipeline would release and what the cluster would run must be the
// same: a pipeline that is stricter is only in the way, and one that is laxer
// leaves releases stuck.
func TestClusterAndPipelineAgreeOnImages(t *testing.T) {
	k := cluster(t)
	p := k.p
	released, err := k.deliver(t, p.repo, "hello", "dev")
	require.NoError(t, err)
	_, signed, _ := strings.Cut(released.Image, "@")

	build := func(greeting string) string {
		dir := source(t, map[string]string{"apps/hello/greeting/extra.go": "package greeting\n\n// Extra makes another image.\nconst Extra = \"" + greeting + "\"\n"})
		out, err := p.call(dir, p.options(), "app", "--name", "hello", "build", "scan", "publish", "reference")
		require.NoError(t, err)
		_, digest, _ := strings.Cut(strings.TrimSpace(out), "@")
		return digest
	}
	unsigned := build("unsigned")
	_, err = p.run(p.repo, "-m", "modules/sign", "call", "keygen", "--password", "file:"+p.file("password"), "export", "--path", p.file("stranger"))
	require.NoError(t, err)
	strange := build("wrong key")
	_, err = p.run(p.repo, p.signing([]string{"key-file", "--key", "file:" + p.file("stranger/cosign.key"), "--password", "file:" + p.file("password")}, "sign", "--reference", "localhost:5000/hello@"+strange)...)
	require.NoError(t, err)
	copied(t, p, signed, "pages")

	for _, tc := range []struct {
		name, app, digest string
		accepted          bool
	}{
		{"signed", "hello", signed, true},
		{"unsigned", "hello", unsigned, false},
		{"wrong key", "hello", strange, false},
		{"wrong repository", "pages", signed, false},
		{"tampered", "hello", tampered(t, p, signed), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, pipeline := p.call(p.repo, k.options(), "signed", "--app", tc.app, "--digest", tc.digest, "verify", "reference")
			admitted, message := k.dryRun(t, "localhost:5000/"+tc.app+"@"+tc.digest)
			assert.Equal(t, tc.accepted, pipeline == nil, "the pipeline: %v", pipeline)
			assert.Equal(t, tc.accepted, admitted, "the cluster: %s", message)
			if !tc.accepted {
				assert.ErrorContains(t, pipeline, "verify: refused by policy")
				assert.Contains(t, message, "has no signed admission to dev by the platform's key")
			}
		})
	}

	t.Run("a debug container is judged as well", func(t *testing.T) {
		admitted, message := k.debug(t, "localhost:5000/hello@"+signed)
		assert.True(t, admitted, message)
		admitted, message = k.debug(t, "localhost:5000/hello@"+unsigned)
		assert.False(t, admitted, "an unsigned image would run beside a signed one")
		assert.Contains(t, message, "has no signed admission to dev by the platform's key")
	})

	t.Run("by tag, and from elsewhere", func(t *testing.T) {
		admitted, message := k.dryRun(t, "localhost:5000/hello:latest")
		assert.False(t, admitted)
		assert.Contains(t, message, "images are named by digest")
		admitted, message = k.dryRun(t, "registry.example.org/hello@"+signed)
		assert.False(t, admitted)
		assert.Contains(t, message, "only images of localhost:5000 may run")
		admitted, message = k.dryRun(t, "localhost:5000/hello@sha256:"+strings.Repeat("0", 64))
		assert.False(t, admitted)
		assert.Contains(t, message, "was never released")
	})

	t.Run("signed is not decided", func(t *testing.T) {
		dir := source(t, map[string]string{"apps/hello/greeting/extra.go": "package greeting\n\n// Extra makes another image.\nconst Extra = \"signed\"\n"})
		out, err := p.call(dir, p.options(), "app", "--name", "hello", "build", "scan", "publish", "sign", "reference")
		require.NoError(t, err)
		admitted, message := k.dryRun(t, strings.TrimSpace(out))
		assert.False(t, admitted)
		assert.Contains(t, message, "has no signed admission to dev by the platform's key")
	})

	t.Run("decided for another environment", func(t *testing.T) {
		k.provision(t, "staging")
		admitted, message := k.dryRunIn(t, "hello-staging", "localhost:5000/hello@"+signed)
		assert.False(t, admitted)
		assert.Contains(t, message, "has no signed admission to staging by the platform's key")
	})

	t.Run("decided for another app", func(t *testing.T) {
		admitted, message := k.dryRunIn(t, "pages-dev", "localhost:5000/hello@"+signed)
		assert.False(t, admitted)
		assert.Contains(t, message, "was admitted to dev as another app than pages")
	})

	t.Run("in a namespace of nobody", func(t *testing.T) {
		admitted, message := k.dryRunIn(t, "default", "localhost:5000/hello@"+signed)
		assert.False(t, admitted)
		assert.Contains(t, message, "namespace default is no app's")
	})

	t.Run("revoked", func(t *testing.T) {
		const file = "gitops/platform/policies/revocations.yaml"
		revoked := func(env string) string {
			return "revocations:\n  - {app: hello, digest: \"" + signed + "\", reason: a test, by: Jane, at: 2026-11-29T12:00:00Z, environments: [" + env + "]}\n"
		}
		synced := func(want string) bool {
			var c struct{ Data map[string]string }
			return k.api(t, http.MethodGet, "/api/v1/namespaces/kyverno/configmaps/slipway-revocations", "", nil, &c) == http.StatusOK && c.Data["revocations.yaml"] == want
		}
		elsewhere, here := revoked("staging"), revoked("dev")
		before := read(t, p.repo+"/"+file)
		t.Cleanup(func() {
			k.push(t, map[string]string{file: before}, "platform")
			eventually(t, "nothing is revoked", func() bool { return synced(before) })
		})
		k.push(t, map[string]string{file: elsewhere}, "platform")
		eventually(t, "it is revoked elsewhere", func() bool { return synced(elsewhere) })
		admitted, message := k.dryRun(t, "localhost:5000/hello@"+signed)
		assert.True(t, admitted, message)
		k.push(t, map[string]string{file: here}, "platform")
		eventually(t, "it is revoked", func() bool { return synced(here) })
		admitted, message = k.dryRun(t, "localhost:5000/hello@"+signed)
		assert.False(t, admitted)
		assert.Contains(t, message, "an image was revoked")
	})
}
