package cluster

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"slipway/step"
)

const manifests = `apiVersion: v1
kind: Service
metadata: {name: hello, namespace: hello-dev}
---
apiVersion: example.org/v1
kind: Thing
metadata: {name: unknown-to-the-client}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: hello, namespace: hello-dev}
spec:
  selector: {matchLabels: {app: hello}}
  template:
    metadata: {labels: {app: hello}}
    spec:
      containers:
        - {name: hello, image: "localhost:5000/hello@sha256:1111111111111111111111111111111111111111111111111111111111111111"}
`

// judge is a cluster whose API server answers every dry run of a pod so.
func judge(t *testing.T, answer func(w http.ResponseWriter, pod *corev1.Pod)) *Cluster {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, http.MethodPost, r.Method)
		assert.Equal(t, "/api/v1/namespaces/hello-dev/pods", r.URL.Path)
		assert.Equal(t, "All", r.URL.Query().Get("dryRun"), "anything else would start a pod")
		pod := &corev1.Pod{}
		if assert.NoError(t, json.NewDecoder(r.Body).Decode(pod)) {
			answer(w, pod)
		}
	}))
	t.Cleanup(server.Close)
	kube, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	require.NoError(t, err)
	return &Cluster{Server: server.URL, kube: kube, secrets: []string{"a-token"}}
}

func rendered(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifests.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	return file
}

func TestAdmitTriesThePodsOfEveryWorkload(t *testing.T) {
	var images []string
	c := judge(t, func(w http.ResponseWriter, pod *corev1.Pod) {
		images = append(images, pod.Spec.Containers[0].Image)
		assert.Equal(t, map[string]string{"app": "hello"}, pod.Labels)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		assert.NoError(t, json.NewEncoder(w).Encode(pod))
	})
	done, err := c.Admit(t.Context(), rendered(t, manifests))
	require.NoError(t, err)
	assert.Equal(t, []string{"Deployment/hello-dev/hello"}, done.Pods)
	assert.Equal(t, []string{"localhost:5000/hello@sha256:1111111111111111111111111111111111111111111111111111111111111111"}, images)
}

func TestAdmitRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		code          int
		message, want string
		kind          step.Kind
	}{
		"a webhook's denial":   {400, `admission webhook "x" denied the request: no signature; a-token`, "no signature", step.KindPolicy},
		"a policy's denial":    {422, "ValidatingAdmissionPolicy 'images' denied request: tag", "denied request: tag", step.KindPolicy},
		"pod security":         {403, "violates PodSecurity restricted", "violates PodSecurity", step.KindPolicy},
		"a webhook that fails": {500, "failed calling webhook", "can't say whether it would admit", step.KindInfrastructure},
		"no namespace":         {404, `namespaces "hello-dev" not found`, "is not in the cluster", step.KindInput},
		"no credentials":       {401, "Unauthorized", "can't say whether it would admit", step.KindInfrastructure},
	} {
		t.Run(name, func(t *testing.T) {
			c := judge(t, func(w http.ResponseWriter, _ *corev1.Pod) { fail(w, tc.code, tc.message) })
			_, err := c.Admit(t.Context(), rendered(t, manifests))
			f := faultOf(t, err, tc.kind, StageAdmit)
			assert.Contains(t, f.Reason, tc.want)
			assert.NotContains(t, f.Error(), "a-token")
		})
	}
}

func TestAdmitRefusesWhatHasNothingToJudge(t *testing.T) {
	c := judge(t, func(http.ResponseWriter, *corev1.Pod) { t.Error("nothing was to be asked") })
	for name, text := range map[string]string{"no workload": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "nothing": ""} {
		_, err := c.Admit(t.Context(), rendered(t, text))
		assert.Equal(t, "hold no workload whose pods could be judged", faultOf(t, err, step.KindPolicy, StageAdmit).Reason, name)
	}
	_, err := c.Admit(t.Context(), rendered(t, "apiVersion: apps/v1\nkind: Deployment\nspec: 7\n"))
	assert.Contains(t, faultOf(t, err, step.KindInput, StageAdmit).Reason, "can't be decoded")
	_, err = c.Admit(t.Context(), filepath.Join(t.TempDir(), "absent"))
	assert.NotEmpty(t, faultOf(t, err, step.KindInput, StageAdmit).Mend)
}
