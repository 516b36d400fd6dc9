package stage

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/infra/step/backend"
	"slipway/infra/step/redact"
)

// What Terraform is given of a cluster is what the run was given, and no secret of it is
// shown.
func TestWhatTerraformIsGiven(t *testing.T) {
	const kubeconfig = `{"users":[{"name":"ci","user":{"token":"tango-oscar-kilo","client-key-data":"kilo-echo-yankee"}}]}`
	for name, c := range map[string]struct {
		kubeconfig string
		env        map[string]string
		said       string
	}{
		"no cluster": {"", map[string]string{}, "(sensitive) (sensitive) one tango-oscar-kilo kilo-echo-yankee"},
		"a cluster":  {kubeconfig, map[string]string{"KUBE_CONFIG_PATH": "kubeconfig"}, "(sensitive) (sensitive) one (sensitive) (sensitive)"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &workspace{root: t.TempDir(), dir: t.TempDir(), secrets: &redact.Secrets{}}
			file := filepath.Join(t.TempDir(), "backend.json")
			require.NoError(t, os.WriteFile(file, []byte(`{"address":"http://localhost:3333/state/dev"}`), 0o600))
			config, err := backend.Read("plan", file)
			require.NoError(t, err)
			given := map[string]string{"ARM_ACCESS_KEY": "alpha-kilo-victor", "ARM_TENANT_ID": "one", "TF_HTTP_USERNAME": "one"}
			s := &state{Endpoint: backend.Endpoint{Config: config, Password: "papa-whiskey-delta"}, env: given}
			if c.kubeconfig != "" {
				s.kubeconfig = []byte(c.kubeconfig)
			}
			env, err := s.prepare("plan", w)
			require.NoError(t, err)
			w.stop()
			want := map[string]string{"ARM_ACCESS_KEY": "alpha-kilo-victor", "ARM_TENANT_ID": "one", "TF_HTTP_USERNAME": "one"}
			assert.Equal(t, want, given, "another run's is its own")
			for name, file := range c.env {
				want[name] = filepath.Join(w.root, file)
			}
			assert.Equal(t, want, env)
			left, err := os.ReadDir(w.root)
			require.NoError(t, err)
			assert.Len(t, left, len(c.env))
			for _, file := range c.env {
				data, err := os.ReadFile(filepath.Join(w.root, file))
				require.NoError(t, err)
				assert.Equal(t, c.kubeconfig, string(data))
			}
			assert.FileExists(t, filepath.Join(w.dir, backend.OverrideFile))
			assert.Equal(t, c.said, w.secrets.Text("papa-whiskey-delta alpha-kilo-victor one tango-oscar-kilo kilo-echo-yankee"))
		})
	}
}
