//go:build e2e && cluster

package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkClusterCommitToHealthy releases two images in turn and, beside each
// release, rolls the same images out by hand in a Deployment of the same kind.
// What a release takes from its commit on, less the rollout by hand, is what
// Argo CD and the wait cost. Argo CD and Git give times in whole seconds.
func BenchmarkClusterCommitToHealthy(b *testing.B) {
	k := cluster(b)
	digests := [2]string{}
	for n, greeting := range []string{"first", "second"} {
		dir := source(b, map[string]string{"apps/hello/greeting/extra.go": "package greeting\n\n// Extra makes another image.\nconst Extra = \"" + greeting + "\"\n"})
		r, err := k.deliver(b, dir, "hello", "dev")
		require.NoError(b, err)
		_, digests[n], _ = strings.Cut(r.Image, "@")
	}
	k.copyDeployment(b, digests[1])

	var released, byHand time.Duration
	for n := 0; b.Loop(); n++ {
		digest := digests[n%2]
		out, err := k.p.call(k.p.repo, append(k.options(), k.tofu(b)...), "signed", "--app", "hello", "--digest", digest, "release", "--env", "dev", "--older", "wait", "receipt", "json")
		require.NoError(b, err)
		var r liveReceipt
		require.NoError(b, json.Unmarshal([]byte(out), &r), out)
		healthy, err := time.Parse(time.RFC3339, r.HealthyAt)
		require.NoError(b, err)
		committed, err := time.Parse(time.RFC3339, git(b, k.p.remote(b), "show", "-s", "--format=%cI", r.GitopsCommit))
		require.NoError(b, err)
		released += healthy.Sub(committed)

		began := time.Now()
		k.rollOut(b, digest)
		byHand += time.Since(began)
	}
	perOp := func(d time.Duration) float64 { return d.Seconds() / float64(b.N) }
	b.ReportMetric(perOp(released), "commit-to-healthy-s/op")
	b.ReportMetric(perOp(byHand), "rollout-by-hand-s/op")
	b.ReportMetric(perOp(released-byHand), "beyond-the-rollout-s/op")
	b.ReportMetric(released.Seconds()/byHand.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

const byHandPath = "/apis/apps/v1/namespaces/hello-dev/deployments"

// copyDeployment makes a Deployment like hello's that Argo CD does not know.
func (k *kubernetes) copyDeployment(b *testing.B, digest string) {
	b.Helper()
	var hello map[string]any
	require.Equal(b, http.StatusOK, k.api(b, http.MethodGet, byHandPath+"/hello", "", nil, &hello))
	spec := hello["spec"].(map[string]any)
	labels := map[string]any{"app.kubernetes.io/name": "by-hand"}
	spec["selector"] = map[string]any{"matchLabels": labels}
	spec["template"].(map[string]any)["metadata"] = map[string]any{"labels": labels}
	copied := map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "by-hand"}, "spec": spec}
	require.Equal(b, http.StatusCreated, k.api(b, http.MethodPost, byHandPath, "application/json", copied, nil))
	b.Cleanup(func() { k.api(b, http.MethodDelete, byHandPath+"/by-hand", "", nil, nil) })
	k.rollOut(b, digest)
}

// rollOut sets the copy's image and returns when all of it runs that.
func (k *kubernetes) rollOut(b *testing.B, digest string) {
	b.Helper()
	patch := map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
		"containers": []any{map[string]any{"name": "hello", "image": "localhost:5000/hello@" + digest}},
	}}}}
	require.Equal(b, http.StatusOK, k.api(b, http.MethodPatch, byHandPath+"/by-hand", "application/strategic-merge-patch+json", patch, nil))
	require.Eventually(b, func() bool {
		var d struct {
			Metadata struct{ Generation int }
			Status   struct{ ObservedGeneration, Replicas, UpdatedReplicas, AvailableReplicas int }
		}
		require.Equal(b, http.StatusOK, k.api(b, http.MethodGet, byHandPath+"/by-hand", "", nil, &d))
		s := d.Status
		return s.ObservedGeneration == d.Metadata.Generation && s.UpdatedReplicas == 1 && s.AvailableReplicas == 1 && s.Replicas == 1
	}, 3*time.Minute, 100*time.Millisecond, "the copy runs "+digest)
}
