//go:build e2e && cluster

package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// infra calls an environment's infrastructure in this cluster.
func (k *kubernetes) infra(t *testing.T, env string, args ...string) (string, error) {
	t.Helper()
	return k.p.call(k.p.repo, append(k.options(), k.tofu(t)...), append([]string{"infra", "--env", env}, args...)...)
}

// provision applies an environment's infrastructure.
func (k *kubernetes) provision(t *testing.T, env string) {
	t.Helper()
	_, err := k.infra(t, env, "plan", "check", "apply", "sha-256")
	require.NoError(t, err)
}

func TestClusterProvisionsATeamsShare(t *testing.T) {
	k := cluster(t)
	const env, namespace = "staging", "hello-staging"
	k.provision(t, env)
	provisioned := func() bool {
		out, err := k.infra(t, env, "plan", "changes")
		require.NoError(t, err)
		return strings.TrimSpace(out) == "false"
	}
	assert.True(t, provisioned(), "the second plan finds nothing to do")
	require.Equal(t, http.StatusOK, k.api(t, http.MethodGet, "/api/v1/namespaces/slipway-system/secrets/tfstate-default-local-"+env, "", nil, nil), "the state is in the cluster")

	t.Run("the namespace takes no pod in the node's network", func(t *testing.T) {
		pod := map[string]any{
			"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"generateName": "probe-"},
			"spec": map[string]any{"hostNetwork": true, "containers": []any{map[string]any{
				"name": "probe", "image": "localhost:5000/hello@sha256:" + strings.Repeat("1", 64),
			}}},
		}
		var status struct{ Message string }
		require.Equal(t, http.StatusForbidden, k.api(t, http.MethodPost, "/api/v1/namespaces/"+namespace+"/pods?dryRun=All", "application/json", pod, &status))
		assert.Contains(t, status.Message, `violates PodSecurity "restricted`)
	})

	t.Run("the project lets nothing else in", func(t *testing.T) {
		const file = "gitops/argocd/" + namespace + ".yaml"
		before := read(t, filepath.Join(k.p.remote(t), file))
		t.Cleanup(func() {
			k.push(t, map[string]string{file: before}, "apps")
			eventually(t, namespace+" is as before", func() bool { return !strings.Contains(k.said(t, namespace), "in project '"+namespace+"'") })
		})
		const own, refusal = "repoURL: http://localhost:5000/gitops.git", "is not permitted in project '" + namespace + "'"
		require.Contains(t, before, own)
		k.push(t, map[string]string{file: strings.Replace(before, own, "repoURL: http://localhost:5000/other.git", 1)}, "apps")
		eventually(t, refusal, func() bool { return strings.Contains(k.said(t, namespace), refusal) })
	})

	t.Run("a change by hand is drift, stops releases and is taken back", func(t *testing.T) {
		released, err := k.deliver(t, k.p.repo, "hello", "dev")
		require.NoError(t, err)
		_, digest, _ := strings.Cut(released.Image, "@")
		const quota = "/api/v1/namespaces/" + namespace + "/resourcequotas/share"
		require.Equal(t, http.StatusOK, k.api(t, http.MethodPatch, quota, merge, map[string]any{"spec": map[string]any{"hard": map[string]any{"pods": "500"}}}, nil))
		require.Equal(t, http.StatusOK, k.api(t, http.MethodDelete, "/apis/networking.k8s.io/v1/namespaces/"+namespace+"/networkpolicies/default-deny", "", nil, nil))

		out, err := k.infra(t, env, "drift", "json")
		require.NoError(t, err, "drift is a result, not a failure")
		var drift struct {
			Drifted   bool
			Resources []struct{ Address, Action string }
		}
		require.NoError(t, json.Unmarshal([]byte(out), &drift), out)
		assert.True(t, drift.Drifted)
		var seen []string
		for _, r := range drift.Resources {
			seen = append(seen, r.Address+" "+r.Action)
		}
		assert.ElementsMatch(t, []string{`kubectl_manifest.quota["hello"] update`, `kubectl_manifest.default_deny["hello"] delete`}, seen)

		_, err = k.infra(t, env, "drift", "check", "text")
		refused(t, err, "drift: refused by policy: environment staging: was changed outside of Terraform: 2", `kubectl_manifest.quota["hello"]`)
		before := git(t, k.p.remote(t), "rev-parse", "HEAD")
		_, err = k.p.call(k.p.repo, append(k.options(), k.tofu(t)...), "signed", "--app", "hello", "--digest", digest, "release", "--env", env, "commit")
		refused(t, err, "release: refused by policy: infrastructure of staging: was changed outside of Terraform")
		assert.Equal(t, before, git(t, k.p.remote(t), "rev-parse", "HEAD"))

		k.provision(t, env)
		var restored struct {
			Spec struct{ Hard map[string]string }
		}
		require.Equal(t, http.StatusOK, k.api(t, http.MethodGet, quota, "", nil, &restored))
		assert.Equal(t, "20", restored.Spec.Hard["pods"])
		_, err = k.infra(t, env, "drift", "check", "text")
		require.NoError(t, err)
	})

	t.Run("a held lock is waited for, its holder named, and given back only by its id", func(t *testing.T) {
		const id = "6f1b2c3d-0000-4000-8000-000000000001"
		const lease = "/apis/coordination.k8s.io/v1/namespaces/slipway-system/leases/lock-tfstate-default-local-" + env
		info := `{"ID":"` + id + `","Operation":"OperationTypeApply","Who":"ci@runner-7","Version":"1.9.0","Created":"2026-11-25T20:10:39Z"}`
		held := map[string]any{"metadata": map[string]any{"annotations": map[string]any{"app.terraform.io/lock-info": info}}, "spec": map[string]any{"holderIdentity": id}}
		require.Equal(t, http.StatusOK, k.api(t, http.MethodPatch, lease, merge, held, nil))
		_, err := k.infra(t, env, "plan", "changes")
		refused(t, err, "plan: ", "is held by another run: ci@runner-7", id)
		_, err = k.infra(t, env, "unlock", "--id", "6f1b2c3d-0000-4000-8000-000000000002")
		refused(t, err, "unlock: refused by policy", "is not the one that is held")
		_, err = k.infra(t, env, "unlock", "--id", id)
		require.NoError(t, err)
		assert.True(t, provisioned())
	})
}

// terraformApply is the process that applies, and the step program above it; 0
// while there is none.
func terraformApply(t *testing.T) (terraform, step int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.HasPrefix(text, []byte("/bin/terraform\x00apply\x00")) {
			continue
		}
		status, err := os.ReadFile(filepath.Join(filepath.Dir(file), "status"))
		if err != nil {
			continue
		}
		parent := regexp.MustCompile(`(?m)^PPid:\s+(\d+)$`).FindSubmatch(status)
		require.Len(t, parent, 2)
		if terraform, err = strconv.Atoi(filepath.Base(filepath.Dir(file))); err != nil {
			return 0, 0
		}
		step, err = strconv.Atoi(string(parent[1]))
		require.NoError(t, err)
	}
	return terraform, step
}

func TestClusterProvisioningThatIsKilledConverges(t *testing.T) {
	k := cluster(t)
	const env, namespace = "production", "/api/v1/namespaces/hello-production"
	require.Equal(t, http.StatusNotFound, k.api(t, http.MethodGet, namespace, "", nil, nil), "nothing is provisioned yet")

	ended := make(chan error, 1)
	go func() {
		_, err := k.p.call(k.p.repo, append(k.options(), k.tofu(t)...), "infra", "--env", env, "plan", "check", "apply", "sha-256")
		ended <- err
	}()
	deadline, terraform, step := time.Now().Add(3*time.Minute), 0, 0
	for terraform == 0 {
		require.True(t, time.Now().Before(deadline), "terraform never applied")
		time.Sleep(5 * time.Millisecond)
		terraform, step = terraformApply(t)
	}
	// It works in slices, and stands still while it is looked at.
	for part := false; !part; part = k.api(t, http.MethodGet, namespace, "", nil, nil) == http.StatusOK {
		require.True(t, time.Now().Before(deadline), "no part of the share was ever there")
		require.NoError(t, syscall.Kill(terraform, syscall.SIGCONT))
		time.Sleep(20 * time.Millisecond)
		require.NoError(t, syscall.Kill(terraform, syscall.SIGSTOP), "it ended before it could be killed")
	}
	require.NoError(t, syscall.Kill(step, syscall.SIGKILL))
	require.Error(t, <-ended, "a killed apply is no pass")

	_, err := k.infra(t, env, "plan", "changes")
	refused(t, err, "is held by another run")
	held := regexp.MustCompile(`unlock --id ([0-9a-f-]{36})`).FindStringSubmatch(err.Error())
	require.Len(t, held, 2, "the refusal says how the lock is given back: %v", err)
	_, err = k.infra(t, env, "unlock", "--id", held[1])
	require.NoError(t, err)
	k.provision(t, env)
	out, err := k.infra(t, env, "plan", "changes")
	require.NoError(t, err)
	assert.Equal(t, "false", strings.TrimSpace(out))
	for _, object := range []string{"/resourcequotas/share", "/limitranges/containers"} {
		assert.Equal(t, http.StatusOK, k.api(t, http.MethodGet, namespace+object, "", nil, nil), object)
	}
}
