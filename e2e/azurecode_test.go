//go:build e2e && azure

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mended is a text with a part of it changed, once.
func mended(t *testing.T, text, old, new string) string {
	t.Helper()
	require.Equal(t, 1, strings.Count(text, old), old)
	return strings.Replace(text, old, new, 1)
}

// The cluster of e2e/testdata/aks is refused until everything is done that the refusals
// ask for.
func TestAzureClusterOfATutorialIsRefusedWithEachMend(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	founding := c.as(founder, "founding")
	code := read(t, "testdata/aks/main.tf")
	repo := func() string {
		return source(t, map[string]string{
			"slipway.yaml":                           strings.Replace(read(t, shared.repo+"/slipway.yaml"), "code: builtin", "code: aks", 1),
			"infra/aks/main.tf":                      code,
			"infra/aks/terraform.tf":                 read(t, "testdata/aks/terraform.tf"),
			"infra/aks/.terraform.lock.hcl":          read(t, shared.repo+"/infra/azure/.terraform.lock.hcl"),
			"infra/aks/environments/dev.tfvars.json": `{"environment": "dev"}`,
		})
	}

	_, err := c.infra(repo(), founding, "plan", "check", "sha-256")
	refused(t, err, "plan: bad input: main.tf:3: ", "mend each as its line says",
		`main.tf:3: Missing required argument: The argument "location" is required, but no definition was found; mend: add the argument location`,
		`main.tf:3: Insufficient node_provisioning_profile blocks: At least 1 "node_provisioning_profile" blocks are required; mend: add a block node_provisioning_profile`)
	code = mended(t, code, "  identity {", "  location = \"westeurope\"\n\n  node_provisioning_profile {\n    mode = \"Manual\"\n  }\n\n  identity {")

	_, err = c.infra(repo(), founding, "plan", "check", "sha-256")
	refused(t, err, "plan: bad input: main.tf:3: ", "; mend: give one of dns_prefix,dns_prefix_private_cluster")
	code = mended(t, code, "  identity {", "  dns_prefix = \"secure-aks\"\n\n  identity {")

	// Now it can be planned, and must not be applied.
	_, err = c.infra(repo(), founding, "plan", "check", "sha-256")
	refused(t, err, "check: refused by policy: code: has misconfigurations at or above HIGH: 3",
		"main.tf:3: CRITICAL AZU-0041: ", "; mend: Limit the access to the API server to a limited IP range",
		"HIGH AZU-0042: ", "; mend: Enable RBAC", "HIGH AZU-0043: ", "; mend: Configure a network policy")
	code = mended(t, code, "  identity {", "  role_based_access_control_enabled = true\n\n  api_server_access_profile {\n    authorized_ip_ranges = [\"203.0.113.0/28\"]\n  }\n\n"+
		"  network_profile {\n    network_plugin = \"azure\"\n    network_policy = \"calico\"\n  }\n\n  identity {")

	out, err := c.infra(repo(), founding, "plan", "check", "sha-256")
	require.NoError(t, err)
	assert.Regexp(t, `^sha256:[0-9a-f]{64}\s*$`, out)
	assert.Empty(t, c.IDs(), "nothing was applied")
}

// What a scanner can't tell of the code is asserted by terraform test, on the real
// provider's schema.
func TestAzureCodeIsHardened(t *testing.T) {
	terraform, err := exec.LookPath("terraform")
	require.NoError(t, err)
	mirror, dir := azureProviders(t), t.TempDir()
	require.NoError(t, copyFiles(repository(), dir))
	tested := 0
	for _, folder := range []string{"infra", "infra/modules"} {
		roots, err := filepath.Glob(filepath.Join(dir, folder, "*", "tests"))
		require.NoError(t, err)
		for _, tests := range roots {
			root := filepath.Dir(tests)
			t.Run(filepath.Base(root), func(t *testing.T) {
				for _, args := range [][]string{{"init", "-backend=false", "-plugin-dir=" + mirror}, {"test"}} {
					cmd := exec.Command(terraform, args...)
					cmd.Dir = root
					out, err := cmd.CombinedOutput()
					require.NoError(t, err, string(out))
				}
			})
			tested++
		}
	}
	assert.Equal(t, 9, tested)
}
