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

// pages is packaged by Helm: its way is the same as every other app's.
func TestClusterReconcilesAHelmChart(t *testing.T) {
	k := cluster(t)
	first, err := k.deliver(t, k.p.repo, "pages", "dev")
	require.NoError(t, err)
	assert.Equal(t, "Healthy", first.Health)
	assert.Equal(t, first.GitopsCommit, first.SyncedRevision)
	const file = "gitops/apps/pages/overlays/dev/kustomization.yaml"
	assert.Equal(t, "1\t1\t"+file, git(t, k.p.remote(t), "show", "--numstat", "--format=", first.GitopsCommit), "one line changes")
	var d deployment
	require.Equal(t, http.StatusOK, k.api(t, http.MethodGet, "/apis/apps/v1/namespaces/pages-dev/deployments/pages", "", nil, &d))
	assert.Equal(t, first.Image, d.Spec.Template.Spec.Containers[0].Image)
	status, body := k.ask(t, "pages.dev.localhost")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, body, "<h1>Slipway</h1>")

	k.provision(t, "staging")
	options := append(k.options(), k.tofu(t)...)
	out, err := k.p.call(k.p.repo, options, "promote", "--app", "pages", "--from", "dev", "--to", "staging", "wait", "receipt", "json")
	require.NoError(t, err)
	var promoted liveReceipt
	require.NoError(t, json.Unmarshal([]byte(out), &promoted), out)
	assert.Equal(t, first.Image, promoted.Image)
	assert.Equal(t, "Healthy", promoted.Health)
	require.Equal(t, http.StatusOK, k.api(t, http.MethodGet, "/apis/apps/v1/namespaces/pages-staging/deployments/pages", "", nil, &d))
	assert.Equal(t, 2, d.Status.ReadyReplicas, "the environment's own value")

	// Another page is another image; what came before it is the way back.
	const page = "apps/pages/site/index.html"
	text := read(t, k.p.repo+"/"+page)
	require.Contains(t, text, "<h1>Slipway</h1>")
	second, err := k.deliver(t, source(t, map[string]string{page: strings.Replace(text, "<h1>Slipway</h1>", "<h1>Another</h1>", 1)}), "pages", "dev")
	require.NoError(t, err)
	require.NotEqual(t, first.Image, second.Image)
	_, body = k.ask(t, "pages.dev.localhost")
	assert.Contains(t, body, "<h1>Another</h1>")
	out, err = k.p.call(k.p.repo, options, "rollback", "--app", "pages", "--env", "dev", "wait", "receipt", "json")
	require.NoError(t, err)
	var back liveReceipt
	require.NoError(t, json.Unmarshal([]byte(out), &back), out)
	assert.Equal(t, first.Image, back.Image)
	_, body = k.ask(t, "pages.dev.localhost")
	assert.Contains(t, body, "<h1>Slipway</h1>")
}
