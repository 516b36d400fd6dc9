//go:build e2e && cluster

// These tests start a cluster of their own, whose parts take a long time to
// compile on a machine that has not: go tool task test:cluster.

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"slipway/embedded/session"
	"slipway/engine"
)

// kubernetes is a running cluster.
type kubernetes struct {
	p      *platform
	ports  map[int]int // the cluster's port, and this machine's for it
	client *http.Client
}

// clusterPatience bounds the start of a cluster that is compiled.
const clusterPatience = 10 * time.Minute

// theCluster is started by the first test that asks for it.
var theCluster = sync.OnceValues(startCluster)

func cluster(t testing.TB) *kubernetes {
	t.Helper()
	k, err := theCluster()
	require.NoError(t, err)
	return k
}

// tofu has the cluster's infrastructure provisioned by OpenTofu, whatever executable the
// machine has.
func (k *kubernetes) tofu(t testing.TB) []string {
	t.Helper()
	return []string{"--terraform", k.p.file("tofu")}
}

func startCluster() (*kubernetes, error) {
	p := shared
	if err := os.WriteFile(p.file("seed"), []byte(strings.Repeat("only for tests ", 3)), 0o600); err != nil {
		return nil, err
	}
	// The cluster trusts the key of these tests.
	tree := p.file("gitops")
	if err := os.CopyFS(tree, os.DirFS(filepath.Join(p.repo, "gitops"))); err != nil {
		return nil, err
	}
	key, err := os.ReadFile(p.file("keys/cosign.pub"))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(tree, "platform/policies/cosign.pub"), key, 0o644); err != nil {
		return nil, err
	}
	seed := exec.Command(filepath.Join(repository(), ".slipway/bin/slipway-sandbox"), "seed", "--update", "--gitops", tree, "--url", "http://"+p.sandbox+"/gitops.git", "--accounts", p.file(accountsFile))
	if out, err := seed.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("seed: %w\n%s", err, out)
	}
	for _, part := range [][]string{
		{"modules/sandbox", "call", "node-image", "sync"},
		{"modules/sandbox", "call", "kubectl-provider", "export", "--path", p.file("providers")},
		{"modules/infra", "call", "tofu", "export", "--path", p.file("tofu")},
	} {
		if _, err := p.runFor(compilePatience, p.repo, append([]string{"-m"}, part...)...); err != nil {
			return nil, err
		}
	}
	k := &kubernetes{p: p, ports: map[int]int{}}
	named := []string{"-m", "modules/sandbox", "call", "cluster", "--seed", "file:" + p.file("seed"), "--gitops", tree, "--name", "e2e"}
	for _, port := range []int{session.APIPort, session.ArgocdPort, session.AppsPort, session.StatusPort} {
		if k.ports[port], err = freePort(); err != nil {
			return nil, err
		}
	}
	dagger, err := p.look("dagger")
	if err != nil {
		return nil, err
	}
	log, err := os.Create(p.file("cluster.log"))
	if err != nil {
		return nil, err
	}
	launcher, err := engine.NewLauncher(repository(), engine.NewProgress(io.Discard))
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	running := session.Session{
		Dagger: dagger, Service: append(slices.Clone(named), "--reset=true", "--sandbox", "tcp://"+p.sandbox, "service"),
		Dir: p.repo, Env: p.env, Ports: k.ports, Direct: launcher.Native(ctx), Log: log,
	}
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx) }()
	ends = append(ends, func() {
		stop()
		fmt.Fprintln(log, "ended:", <-ended)
		_ = log.Close()
	})
	if err := k.await(ended); err != nil {
		text, _ := os.ReadFile(p.file("cluster.log"))
		return nil, fmt.Errorf("%w\n%s", err, text[max(0, len(text)-4000):])
	}
	kubeconfig, err := p.run(p.repo, append(named, "kubeconfig", "plaintext")...)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(p.file("kubeconfig"), []byte(kubeconfig), 0o600); err != nil {
		return nil, err
	}
	k.client, err = clientOf(kubeconfig)
	return k, err
}

// await waits until the node says that it is ready.
func (k *kubernetes) await(ended chan error) error {
	ctx, cancel := context.WithTimeout(context.Background(), clusterPatience)
	defer cancel()
	var phase string
	for {
		status, err := session.Ask(ctx, k.ports[session.StatusPort])
		if err == nil && status.Ready {
			return nil
		}
		if err == nil {
			phase = status.Phase
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cluster is not ready, it was %q", phase)
		case err := <-ended:
			ended <- err
			return fmt.Errorf("the cluster ended: %w", cmp.Or(err, errors.New("without an error")))
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// clientOf makes a client of the Kubernetes API from a kubeconfig.
func clientOf(kubeconfig string) (*http.Client, error) {
	var raw struct {
		Clusters []struct {
			Cluster map[string]string
		}
		Users []struct {
			User map[string]string
		}
	}
	if err := yaml.Unmarshal([]byte(kubeconfig), &raw); err != nil {
		return nil, err
	}
	decode := func(text string) []byte {
		var data []byte
		_ = json.Unmarshal([]byte(`"`+text+`"`), &data)
		return data
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(decode(raw.Clusters[0].Cluster["certificate-authority-data"]))
	pair, err := tls.X509KeyPair(decode(raw.Users[0].User["client-certificate-data"]), decode(raw.Users[0].User["client-key-data"]))
	if err != nil {
		return nil, err
	}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: "localhost", MinVersion: tls.VersionTLS12,
	}}}, nil
}

// api calls the Kubernetes API and decodes its answer; it returns the status.
func (k *kubernetes) api(t testing.TB, method, path, contentType string, body, into any) int {
	t.Helper()
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		require.NoError(t, err)
		reader = bytes.NewReader(data)
	}
	// Clean-ups ask, too: the test's own context has ended then.
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, fmt.Sprintf("https://localhost:%d%s", k.ports[session.APIPort], path), reader)
	require.NoError(t, err)
	request.Header.Set("Content-Type", contentType)
	response, err := k.client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	if into != nil {
		require.NoError(t, json.Unmarshal(data, into), string(data))
	}
	return response.StatusCode
}

// eventually asks until the answer is right. Argo CD's own period is a minute.
func eventually(t *testing.T, what string, right func() bool) {
	t.Helper()
	require.Eventually(t, right, 3*time.Minute, 500*time.Millisecond, what)
}

// options are the constructor's arguments for this cluster.
func (k *kubernetes) options() []string {
	return append(k.p.options(), "--providers", k.p.file("providers"), "--kubeconfig", "file:"+k.p.file("kubeconfig"), "--kubernetes", fmt.Sprintf("tcp://localhost:%d", k.ports[session.APIPort]))
}

type liveReceipt struct {
	receipt
	SyncedRevision string `json:"syncedRevision"`
	Health         string `json:"health"`
	HealthyAt      string `json:"healthyAt"`
}

func (k *kubernetes) deliver(t testing.TB, dir, app, env string) (liveReceipt, error) {
	t.Helper()
	var r liveReceipt
	out, err := k.p.call(dir, append(k.options(), k.tofu(t)...), "deliver", "--app", app, "--env", env, "--older", "json")
	if err == nil {
		require.NoError(t, json.Unmarshal([]byte(out), &r), out)
	}
	return r, err
}

func (k *kubernetes) ask(t *testing.T, host string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://localhost:%d/", k.ports[session.AppsPort]), nil)
	require.NoError(t, err)
	request.Host = host
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

// deployment is what the tests look at of a Deployment.
type deployment struct {
	Spec struct {
		Replicas int
		Template struct {
			Spec struct{ Containers []struct{ Image string } }
		}
	}
	Status struct{ ReadyReplicas int }
}

const merge = "application/merge-patch+json"

func TestClusterReleasesUntilHealthy(t *testing.T) {
	k := cluster(t)
	first, err := k.deliver(t, k.p.repo, "hello", "dev")
	require.NoError(t, err)
	assert.Equal(t, "Healthy", first.Health)
	git(t, k.p.remote(t), "merge-base", "--is-ancestor", first.GitopsCommit, first.SyncedRevision)
	var d deployment
	require.Equal(t, http.StatusOK, k.api(t, http.MethodGet, "/apis/apps/v1/namespaces/hello-dev/deployments/hello", "", nil, &d))
	assert.Equal(t, first.Image, d.Spec.Template.Spec.Containers[0].Image)
	assert.Equal(t, 1, d.Status.ReadyReplicas)
	status, body := k.ask(t, "hello.dev.localhost")
	assert.Equal(t, http.StatusOK, status)
	assert.JSONEq(t, `{"greeting":"Hello","language":"en"}`, body)
	status, body = k.ask(t, "hello.nowhere.localhost")
	assert.Equal(t, http.StatusNotFound, status, body)

	t.Run("a signed receipt says all of it", func(t *testing.T) {
		out, err := k.p.call(k.p.repo, k.options(), "receipt", "--app", "hello", "--env", "dev", "json")
		require.NoError(t, err)
		var r struct {
			Image struct {
				Reference string
				Pushed    bool
			}
			Source   struct{ Tree string }
			Scan     struct{ Database string }
			Decision struct {
				Outcomes []struct{ Rule, Verdict string }
			}
			Plan   struct{ SHA256 string }
			GitOps struct{ Commit string }
			Live   struct{ SyncedRevision, Health string }
			Stages []struct{ Name string }
		}
		require.NoError(t, json.Unmarshal([]byte(out), &r), out)
		assert.Equal(t, first.Image, r.Image.Reference)
		assert.Equal(t, first.SourceTree, r.Source.Tree)
		assert.Equal(t, first.Verdict.DatabaseDigest, r.Scan.Database)
		// The receipt is of the call that made the commit, which may have been an
		// earlier one, with a plan of its own.
		assert.Regexp(t, "^sha256:[0-9a-f]{64}$", r.Plan.SHA256)
		assert.Equal(t, first.GitopsCommit+" "+first.GitopsCommit+" Healthy", r.GitOps.Commit+" "+r.Live.SyncedRevision+" "+r.Live.Health)
		assert.NotEmpty(t, r.Decision.Outcomes)
		var stages []string
		for _, s := range r.Stages {
			stages = append(stages, s.Name)
		}
		ran := []string{"build", "scan", "test", "plan", "check", "admit", "commit", "wait"}
		if r.Image.Pushed {
			// Else a decision of an earlier test may stand.
			ran = append(ran, "publish", "sign", "verify")
		}
		assert.Subset(t, stages, ran)
		page, err := k.p.call(k.p.repo, k.options(), "receipt", "--app", "hello", "--env", "dev", "html", "contents")
		require.NoError(t, err)
		assert.Contains(t, page, first.GitopsCommit)
		assert.NotContains(t, page, "<script")

		bundle := filepath.Join(t.TempDir(), "receipt.sigstore.json")
		_, err = k.p.call(k.p.repo, k.options(), "receipt", "--app", "hello", "--env", "dev", "bundle", "export", "--path", bundle)
		require.NoError(t, err)
		receiptVerifies(t, k.p, bundle)

		_, err = k.p.call(k.p.repo, k.options(), "receipt", "--app", "hello", "--env", "production", "text")
		refused(t, err, "receipt: refused by policy: hello in production: was never released")
	})

	t.Run("a drill asks the cluster, too", func(t *testing.T) {
		before := git(t, k.p.remote(t), "rev-parse", "HEAD")
		out, err := k.p.call(k.p.repo, append(k.options(), k.tofu(t)...), "drill", "--env", "dev", "json")
		require.NoError(t, err)
		found := byVerdict(t, out)
		assert.Equal(t, slices.Concat(imageAttacks, planAttacks, clusterAttacks), found["stopped"])
		assert.Len(t, found, 1)
		assert.Equal(t, before, git(t, k.p.remote(t), "rev-parse", "HEAD"))
	})
	t.Run("nobody gets in without a certificate", func(t *testing.T) {
		stranger := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
			RootCAs: k.client.Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "localhost", MinVersion: tls.VersionTLS12,
		}}}
		for _, path := range []string{"/api/v1/pods", "/version", "/healthz"} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("https://localhost:%d%s", k.ports[session.APIPort], path), nil)
			require.NoError(t, err)
			response, err := stranger.Do(request)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			assert.Equal(t, http.StatusUnauthorized, response.StatusCode, path)
		}
	})

	t.Run("a change made by hand is taken back", func(t *testing.T) {
		const path = "/apis/apps/v1/namespaces/hello-dev/deployments/hello"
		require.Equal(t, http.StatusOK, k.api(t, http.MethodPatch, path, merge, map[string]any{"spec": map[string]any{"replicas": 3}}, nil))
		eventually(t, "replicas are one again", func() bool {
			var d deployment
			return k.api(t, http.MethodGet, path, "", nil, &d) == http.StatusOK && d.Spec.Replicas == 1
		})
	})

	t.Run("what is removed from Git is pruned, and comes back with it", func(t *testing.T) {
		const path = "/apis/networking.k8s.io/v1/namespaces/hello-dev/networkpolicies/hello"
		require.Equal(t, http.StatusOK, k.api(t, http.MethodGet, path, "", nil, nil))
		clone := k.p.remote(t)
		file := clone + "/gitops/apps/hello/base/kustomization.yaml"
		text := read(t, file)
		require.Contains(t, text, "  - networkpolicy.yaml\n")
		push := func(text, message string) {
			write(t, file, text)
			git(t, clone, "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "-qam", message)
			git(t, clone, "push", "-q", "origin", "HEAD:main")
			require.Equal(t, http.StatusOK, k.api(t, http.MethodPatch, "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/hello-dev", merge,
				map[string]any{"metadata": map[string]any{"annotations": map[string]any{"argocd.argoproj.io/refresh": "normal"}}}, nil))
		}
		push(strings.Replace(text, "  - networkpolicy.yaml\n", "", 1), "take the policy out")
		eventually(t, "the policy is gone", func() bool { return k.api(t, http.MethodGet, path, "", nil, nil) == http.StatusNotFound })
		push(text, "put the policy back")
		eventually(t, "the policy is back", func() bool { return k.api(t, http.MethodGet, path, "", nil, nil) == http.StatusOK })
	})
}

func TestClusterPromotesOnlyWhatIsHealthy(t *testing.T) {
	k := cluster(t)
	first, err := k.deliver(t, k.p.repo, "hello", "dev")
	require.NoError(t, err)
	before := git(t, k.p.remote(t), "rev-parse", "HEAD")
	_, err = k.p.call(k.p.repo, k.options(), "promote", "--app", "hello", "--from", "production", "--to", "staging", "commit")
	refused(t, err, "promote: refused by policy: hello in production: was never released")
	_, err = k.p.call(k.p.repo, k.options(), "promote", "--app", "hello", "--from", "dev", "--to", "dev", "commit")
	refused(t, err, "promote: bad input: environment dev")
	assert.Equal(t, before, git(t, k.p.remote(t), "rev-parse", "HEAD"))

	promote := append(append(k.options(), k.tofu(t)...), "promote", "--app", "hello", "--from", "dev", "--to")
	_, err = k.p.call(k.p.repo, promote, "production", "commit")
	refused(t, err, "release: refused by policy: infrastructure of production: is not applied")
	assert.Equal(t, before, git(t, k.p.remote(t), "rev-parse", "HEAD"))

	_, revoked, _ := strings.Cut(first.Image, "@")
	dir := source(t, map[string]string{"gitops/platform/policies/revocations.yaml": "revocations:\n  - {app: hello, digest: \"" + revoked + "\", reason: a test, by: Jane, at: 2026-11-29T12:00:00Z, environments: [staging]}\n"})
	_, err = k.p.call(dir, promote, "staging", "commit")
	refused(t, err, "promote: refused by policy: "+first.Image+": is not fit for staging: revocation: it was revoked by Jane at 2026-11-29T12:00:00Z: a test")

	k.provision(t, "staging")
	out, err := k.p.call(k.p.repo, promote, "staging", "wait", "receipt", "json")
	require.NoError(t, err)
	var r liveReceipt
	require.NoError(t, json.Unmarshal([]byte(out), &r), out)
	assert.Equal(t, first.Image, r.Image)
	assert.Equal(t, "Healthy", r.Health)
	assert.Equal(t, "Promote hello from dev to staging", git(t, k.p.remote(t), "log", "-1", "--format=%s", r.GitopsCommit))

	out, err = k.p.call(k.p.repo, k.options(), "status", "--app", "hello", "json")
	require.NoError(t, err)
	var rows []struct {
		Environment, Digest, Sync, Health, Scanned string
		Running                                    bool
	}
	require.NoError(t, json.Unmarshal([]byte(out), &rows), out)
	_, digest, _ := strings.Cut(first.Image, "@")
	require.Len(t, rows, 3)
	for _, n := range []int{0, 2} {
		assert.Equal(t, digest, rows[n].Digest)
		assert.True(t, rows[n].Running)
		assert.Equal(t, "Synced Healthy", rows[n].Sync+" "+rows[n].Health)
		assert.NotEmpty(t, rows[n].Scanned)
	}
	assert.Equal(t, "production", rows[1].Environment)
	assert.Empty(t, rows[1].Digest)
}

func TestClusterRefusesABrokenReleaseAndRollsItBack(t *testing.T) {
	k := cluster(t)
	good, err := k.deliver(t, k.p.repo, "hello", "dev")
	require.NoError(t, err)
	const file = "apps/hello/cmd/hello/main.go"
	text := read(t, filepath.Join(k.p.repo, file))
	// What the app's own tests see is refused long before.
	require.Contains(t, text, `":8080"`)
	broken := source(t, map[string]string{file: strings.Replace(text, `":8080"`, `":8081"`, 1)})
	_, err = k.deliver(t, broken, "hello", "dev")
	refused(t, err, "wait: refused by policy: hello in dev at commit", "does not become healthy", "Deployment hello-dev/hello", "Startup probe failed")
	// The pod that worked was never taken away.
	status, body := k.ask(t, "hello.dev.localhost")
	assert.Equal(t, http.StatusOK, status, body)
	bad := git(t, k.p.remote(t), "rev-parse", "HEAD")

	options := append(k.options(), k.tofu(t)...)
	out, err := k.p.call(k.p.repo, options, "rollback", "--app", "hello", "--env", "dev", "wait", "receipt", "json")
	require.NoError(t, err)
	var r liveReceipt
	require.NoError(t, json.Unmarshal([]byte(out), &r), out)
	assert.Equal(t, good.Image, r.Image)
	assert.Equal(t, "Healthy", r.Health)
	assert.Equal(t, r.GitopsCommit, r.SyncedRevision)
	assert.Contains(t, git(t, k.p.remote(t), "log", "-1", "--format=%B", r.GitopsCommit), "This reverts commit "+bad)

	out, err = k.p.call(k.p.repo, options, "rollback", "--app", "hello", "--env", "dev", "commit")
	require.NoError(t, err, "a rollback that was cut off can be repeated")
	assert.Equal(t, r.GitopsCommit, strings.TrimSpace(out), "and goes no further back")

	// An image that nobody has seen healthy in an environment is no way back.
	overlay := git(t, k.p.remote(t), "show", bad+":gitops/apps/hello/overlays/dev/kustomization.yaml")
	badDigest := regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindString(overlay)
	_, goodDigest, _ := strings.Cut(good.Image, "@")
	require.NotEqual(t, goodDigest, badDigest)
	rollback := []string{"rollback", "--app", "hello", "--env", "production", "commit"}
	// What such a release needs beside its signature is not what this is about.
	lax := source(t, map[string]string{"slipway.yaml": strings.NewReplacer(
		"production: {}", "production: {infra: ignore}", "committed: true", "committed: false",
	).Replace(read(t, k.p.repo+"/slipway.yaml"))})
	for n, digest := range []string{goodDigest, badDigest} {
		_, err = k.p.call(lax, k.p.options(), "signed", "--app", "hello", "--digest", digest, "release", "--env", "production", "commit")
		require.NoError(t, err)
		before := git(t, k.p.remote(t), "rev-parse", "HEAD")
		_, err = k.p.call(k.p.repo, k.options(), rollback...)
		refused(t, err, "rollback: refused by policy: hello in production: ", []string{
			"has no earlier release", goodDigest + ": was never seen healthy in production",
		}[n])
		assert.Equal(t, before, git(t, k.p.remote(t), "rev-parse", "HEAD"))
	}
}
