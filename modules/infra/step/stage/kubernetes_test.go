package stage

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	pathpkg "path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/infra/step/plan"
	"slipway/step"
	"slipway/step/reach"
	"slipway/step/result/infra"
)

const (
	namespace = "slipway-system"
	// The name in the test server's certificate.
	api   = "example.com:6443"
	token = "cluster-token"

	statePath = "/api/v1/namespaces/" + namespace + "/secrets/tfstate-default-local-dev"
	lockPath  = "/apis/coordination.k8s.io/v1/namespaces/" + namespace + "/leases/lock-tfstate-default-local-dev"
)

// kubeServer is the least of a Kubernetes API that Terraform's kubernetes
// backend needs: objects by their path, in memory, with versions.
type kubeServer struct {
	*httptest.Server
	// good says whose token is taken.
	good    func(token string) bool
	mu      sync.Mutex
	objects map[string]map[string]any
	version int
}

func newKubeServer(t *testing.T) *kubeServer {
	t.Helper()
	s := &kubeServer{objects: map[string]map[string]any{}, good: func(given string) bool { return given == token }}
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *kubeServer) object(path string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[path]
}

// holder is who holds the state's lock.
func (s *kubeServer) holder() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	spec, _ := s.objects[lockPath]["spec"].(map[string]any)
	return spec["holderIdentity"]
}

// lock holds the state's lock, as a killed run leaves it behind.
func (s *kubeServer) lock(id string) {
	info := `{"ID":"` + id + `","Operation":"OperationTypeApply","Info":"","Who":"ci@runner-7","Version":"1.11.4","Created":"2026-11-25T20:10:39Z","Path":""}`
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	s.objects[lockPath] = map[string]any{
		"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
		"metadata": map[string]any{
			"name": pathpkg.Base(lockPath), "namespace": namespace, "resourceVersion": strconv.Itoa(s.version),
			"annotations": map[string]any{"app.terraform.io/lock-info": info},
		},
		"spec": map[string]any{"holderIdentity": id},
	}
}

func (s *kubeServer) unlock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, lockPath)
}

// ServeHTTP answers one request.
func (s *kubeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := func(status int, body map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	refuse := func(status int, reason string) {
		answer(status, map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason, "code": status, "message": reason + " " + r.URL.Path})
	}
	if given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); !s.good(given) {
		refuse(http.StatusUnauthorized, "Unauthorized")
		return
	}
	var body map[string]any
	if r.Method != http.MethodGet && json.NewDecoder(r.Body).Decode(&body) != nil {
		refuse(http.StatusBadRequest, "BadRequest")
		return
	}
	meta, _ := body["metadata"].(map[string]any)
	put := func(status int, at string) {
		if strings.Contains(at, "/secrets/") {
			body["apiVersion"], body["kind"] = "v1", "Secret"
		}
		s.version++
		meta["resourceVersion"] = strconv.Itoa(s.version)
		s.objects[at] = body
		answer(status, body)
	}
	old := s.objects[r.URL.Path]
	collection := strings.HasSuffix(r.URL.Path, "/secrets") || strings.HasSuffix(r.URL.Path, "/leases")
	switch {
	case r.Method == http.MethodGet && collection:
		items := []any{}
		for at, object := range s.objects {
			if pathpkg.Dir(at) == r.URL.Path && selected(object, r.URL.Query().Get("labelSelector")) {
				items = append(items, object)
			}
		}
		answer(http.StatusOK, map[string]any{"apiVersion": "v1", "kind": "SecretList", "metadata": map[string]any{}, "items": items})
	case r.Method == http.MethodPost && collection:
		at := r.URL.Path + "/" + meta["name"].(string)
		if s.objects[at] != nil {
			refuse(http.StatusConflict, "AlreadyExists")
			return
		}
		put(http.StatusCreated, at)
	case old == nil:
		refuse(http.StatusNotFound, "NotFound")
	case r.Method == http.MethodGet:
		answer(http.StatusOK, old)
	case r.Method == http.MethodPut:
		if v, ok := meta["resourceVersion"]; ok && v != old["metadata"].(map[string]any)["resourceVersion"] {
			refuse(http.StatusConflict, "Conflict")
			return
		}
		put(http.StatusOK, r.URL.Path)
	default:
		refuse(http.StatusMethodNotAllowed, "MethodNotAllowed")
	}
}

func selected(object map[string]any, selector string) bool {
	meta, _ := object["metadata"].(map[string]any)
	labels, _ := meta["labels"].(map[string]any)
	for _, pair := range strings.Split(selector, ",") {
		if name, want, ok := strings.Cut(pair, "="); ok && labels[name] != want {
			return false
		}
	}
	return true
}

// inCluster is a site whose state is in a cluster.
type inCluster struct {
	*site
	kube       *kubeServer
	kubeconfig string
}

func newInCluster(t *testing.T) *inCluster {
	t.Helper()
	return inClusterOf(t, newSite(t))
}

func inClusterOf(t *testing.T, s *site) *inCluster {
	t.Helper()
	kube := newKubeServer(t)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: kube.Certificate().Raw})
	s.backend = s.file("backend.json", `{"type":"kubernetes","namespace":"`+namespace+`","secret_suffix":"local-dev"}`)
	return &inCluster{site: s, kube: kube, kubeconfig: s.file("kubeconfig", `{"apiVersion":"v1","kind":"Config","current-context":"x",
		"clusters":[{"name":"x","cluster":{"server":"https://`+api+`","certificate-authority-data":"`+base64.StdEncoding.EncodeToString(ca)+`"}}],
		"users":[{"name":"x","user":{"token":"`+token+`"}}],"contexts":[{"name":"x","context":{"cluster":"x","user":"x"}}]}`)}
}

func (s *inCluster) remote() Remote {
	return Remote{BackendConfig: s.backend, Kubeconfig: s.kubeconfig, Connect: reach.Connections{api: s.kube.Listener.Addr().String()}}
}

func (s *inCluster) plan() (*infra.Planned, error) {
	return Plan(context.Background(), PlanOptions{Common: s.common("dev"), Remote: s.remote(), VarFiles: []string{s.vars}})
}

func (s *inCluster) drift() (*infra.DriftReport, error) {
	return Drift(context.Background(), DriftOptions{Common: s.common("dev"), Remote: s.remote(), VarFiles: []string{s.vars}})
}

func (s *inCluster) applyOptions() ApplyOptions {
	o := s.site.applyOptions("dev")
	o.Remote = s.remote()
	return o
}

func (s *inCluster) ready() {
	s.t.Helper()
	_, err := s.plan()
	require.NoError(s.t, err)
	_, err = s.check("dev", true)
	require.NoError(s.t, err)
}

func (s *inCluster) apply() error {
	_, err := Apply(context.Background(), s.applyOptions())
	return err
}

func TestAStateInACluster(t *testing.T) {
	s := newInCluster(t)
	seen, err := s.drift()
	require.NoError(t, err)
	assert.False(t, seen.Applied)
	assert.False(t, seen.Drifted)
	assert.Equal(t, "kubernetes://slipway-system/local-dev", seen.StateAddress)

	planned, err := s.plan()
	require.NoError(t, err)
	assert.Equal(t, "kubernetes://slipway-system/local-dev", planned.Binding.StateAddress)
	_, err = s.check("dev", false)
	require.NoError(t, err)

	elsewhere := s.applyOptions()
	elsewhere.BackendConfig = s.file("b.json", `{"type":"kubernetes","namespace":"`+namespace+`","secret_suffix":"local-staging"}`)
	_, err = Apply(context.Background(), elsewhere)
	_ = wantFault(t, err, "apply", step.KindPolicy, "is not the state that was planned on")

	require.NoError(t, s.apply())
	assert.Empty(t, s.kube.holder(), "the lock is given back")
	assert.NotNil(t, s.kube.object(statePath))
	assert.Empty(t, s.server.seen, "the http state of the code is not asked")

	seen, err = s.drift()
	require.NoError(t, err)
	assert.True(t, seen.Applied)
	assert.False(t, seen.Drifted)
	assert.Equal(t, []string{}, seen.Pending)
	s.set("dev", "two")
	seen, err = s.drift()
	require.NoError(t, err)
	assert.True(t, seen.Applied)
	assert.Equal(t, []string{"terraform_data.a (update)", "output a (update)"}, seen.Pending)

	again, err := s.plan()
	require.NoError(t, err)
	assert.Equal(t, 1, again.Summary.Update)
	saved, err := zip.OpenReader(filepath.Join(s.out, plan.File))
	require.NoError(t, err)
	defer func() { _ = saved.Close() }()
	for _, f := range saved.File {
		r, err := f.Open()
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		for _, hidden := range []string{token, s.kube.Listener.Addr().String(), "example.com", "kubeconfig"} {
			assert.NotContains(t, string(data), hidden, f.Name)
		}
	}
	left, err := os.ReadDir(s.temp)
	require.NoError(t, err)
	assert.Empty(t, left, "no working copy, and no kubeconfig, is left")
}

func TestALockInAClusterIsWaitedForNamedAndGivenBack(t *testing.T) {
	s := newInCluster(t)
	s.kube.lock("6d4e-1")
	_, err := s.plan()
	const reason = "is held by another run: ci@runner-7, Apply, since 2026-11-25 20:10:39 +0000 UTC"
	f := wantFault(t, err, "plan", step.KindInfrastructure, reason)
	assert.Equal(t, "state lock 6d4e-1", f.Input)
	assert.Contains(t, f.Mend, "delete the lease lock-tfstate-default-local-dev in slipway-system", "Terraform unlocks no state that isn't there")
	s.kube.unlock()

	unlock := func(id string) (*infra.Unlocked, error) {
		return Unlock(context.Background(), UnlockOptions{Common: s.common("dev"), Remote: s.remote(), ID: id})
	}
	s.ready()
	s.kube.lock("6d4e-3")
	f = wantFault(t, s.apply(), "apply", step.KindInfrastructure, reason)
	assert.Equal(t, "state lock 6d4e-3", f.Input)
	assert.Contains(t, f.Mend, "terraform force-unlock 6d4e-3")
	assert.Equal(t, "6d4e-3", s.kube.holder(), "a lock is never broken")
	_, err = unlock("6d4e-2")
	_ = wantFault(t, err, "unlock", step.KindPolicy, "is not the one that is held")
	got, err := unlock("6d4e-3")
	require.NoError(t, err)
	assert.Equal(t, &infra.Unlocked{StateAddress: "kubernetes://slipway-system/local-dev", ID: "6d4e-3"}, got)
	require.NoError(t, s.apply())
	_, err = unlock("6d4e-3")
	_ = wantFault(t, err, "unlock", step.KindPolicy, "is not held")
}

// signal closes seen when text is written to it.
type signal struct {
	mu   sync.Mutex
	all  bytes.Buffer
	text string
	seen chan struct{}
	once sync.Once
}

func (s *signal) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Write(p)
	if strings.Contains(s.all.String(), s.text) {
		s.once.Do(func() { close(s.seen) })
	}
	return len(p), nil
}

func TestAnInterruptedApplySavesItsStateAndIsFinishedByTheNext(t *testing.T) {
	s := newInCluster(t)
	marker := filepath.Join(t.TempDir(), "go")
	s.write(filepath.Join(s.code, "slow.tf"), `
resource "terraform_data" "slow" {
  depends_on = [terraform_data.a]
  provisioner "local-exec" {
    interpreter = ["/bin/sh", "-c"]
    command     = "test -e `+marker+` || exec /bin/sleep 60"
  }
}
`)
	s.ready()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	progress := &signal{text: "terraform_data.slow: Creating", seen: make(chan struct{})}
	o := s.applyOptions()
	o.Progress = progress
	done := make(chan error, 1)
	go func() {
		_, err := Apply(ctx, o)
		done <- err
	}()
	select {
	case <-progress.seen:
	case err := <-done:
		t.Fatal(err, progress.all.String())
	}
	cancel()
	require.ErrorIs(t, <-done, context.Canceled, "no result is written")
	assert.Empty(t, s.kube.holder(), "the lock is given back")

	s.write(marker, "")
	planned, err := s.plan()
	require.NoError(t, err)
	assert.Equal(t, 2, planned.Summary.NoOp, "what was made is in the state")
	_, err = s.check("dev", true)
	require.NoError(t, err)
	require.NoError(t, s.apply())
	seen, err := s.drift()
	require.NoError(t, err)
	assert.Equal(t, []string{}, seen.Pending)
}

func TestWhatAStateInAClusterNeeds(t *testing.T) {
	s := newInCluster(t)
	for reason, spoil := range map[string]func(*Remote){
		"is missing, but the state is in a cluster": func(r *Remote) { r.Kubeconfig = "" },
		"is not for a kubernetes backend":           func(r *Remote) { r.PasswordFile = s.kubeconfig },
	} {
		remote := s.remote()
		spoil(&remote)
		_, err := Plan(context.Background(), PlanOptions{Common: s.common("dev"), Remote: remote, VarFiles: []string{s.vars}})
		_ = wantFault(t, err, "plan", step.KindInput, reason)
	}
	o := s.common("dev")
	o.Providers = filepath.Join(s.temp, "none")
	_, err := Plan(context.Background(), PlanOptions{Common: o, Remote: s.remote(), VarFiles: []string{s.vars}})
	_ = wantFault(t, err, "plan", step.KindInput, "is not a folder")
}

func TestProvidersComeFromTheMirrorAlone(t *testing.T) {
	s := newSite(t)
	s.write(filepath.Join(s.code, "more.tf"), "terraform {\n  required_providers {\n    random = {\n      source = \"registry.terraform.io/hashicorp/random\"\n      version = \"3.7.2\"\n    }\n  }\n}\n")
	s.write(filepath.Join(s.code, ".terraform.lock.hcl"), "provider \"registry.terraform.io/hashicorp/random\" {\n  version = \"3.7.2\"\n  constraints = \"3.7.2\"\n  hashes = [\"h1:GeZufZ8Trj1/nOxjhV7aCS9s7dvQp1MEAC8SB8UcZwc=\"]\n}\n")
	o := s.common("dev")
	o.Providers = t.TempDir()
	_, err := Plan(context.Background(), PlanOptions{Common: o, Remote: s.remote(), VarFiles: []string{s.vars}})
	f := wantFault(t, err, "plan", step.KindInput, "lack what the code's .terraform.lock.hcl names")
	assert.Equal(t, "providers", f.Input)

	folder := filepath.Join(o.Providers, "registry.terraform.io/hashicorp/random/3.7.2/linux_amd64")
	require.NoError(t, os.MkdirAll(folder, 0o700))
	s.write(filepath.Join(folder, "terraform-provider-random_v3.7.2"), "another program")
	_, err = Plan(context.Background(), PlanOptions{Common: o, Remote: s.remote(), VarFiles: []string{s.vars}})
	f = wantFault(t, err, "plan", step.KindInput, "does not hold what the code needs")
	assert.Equal(t, "code .terraform.lock.hcl", f.Input)
}
