//go:build e2e && cluster

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The unit tests of the programs that only the cluster needs. They stand on
// thousands of packages, which the engine has compiled for the programs.
func TestClusterProgramsPassTheirOwnTests(t *testing.T) {
	for name, folders := range map[string][]string{
		"modules/gitops/argocd": {"modules/gitops/argocd", "modules/step", "gitops"},
		"modules/sandbox/node":  {"modules/sandbox/node", "modules/sandbox/pki"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, folder := range folders {
				require.NoError(t, os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(shared.repo, folder))))
			}
			write(t, filepath.Join(dir, "slipway.yaml"), read(t, filepath.Join(shared.repo, "slipway.yaml")))
			out, err := shared.runFor(compilePatience, shared.repo, "-m", "modules/toolbox", "call", "test-program", "--source", dir, "--folder", name)
			require.NoError(t, err)
			assert.Regexp(t, `(?m)^ok\s+slipway/`, out)
		})
	}
}
