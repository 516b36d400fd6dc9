package actionlint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func workflows(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../wrappers/github/workflows/*")
	require.NoError(t, err)
	require.Len(t, files, 2)
	return files
}

func TestTheWorkflowsAreClean(t *testing.T) {
	for _, file := range workflows(t) {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		found, err := Lint(file, data)
		require.NoError(t, err)
		assert.Empty(t, found)
	}
}

func TestABrokenWorkflowIsFound(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"an unknown key":     {"    runs-on:", "    run-on: x\n    runs-on:", `unexpected key "run-on"`},
		"a job that is none": {"needs: dev", "needs: test", `job "test" which does not exist`},
		"a wrong expression": {"${{ vars.AZURE_CLOUD }}", "${{ var.AZURE_CLOUD }}", `undefined variable "var"`},
		"an unknown event":   {"  push:", "  pushed:", `unknown Webhook event "pushed"`},
		"an unknown right":   {"id-token: write", "id-tokens: write", `unknown permission scope "id-tokens"`},
		"what others write":  {"infra --env dev", "infra --env ${{ github.event.head_commit.message }}", "potentially untrusted"},
		"an unknown label":   {"ubuntu-24.04", "ubuntu-3", `label "ubuntu-3" is unknown`},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile("../../wrappers/github/workflows/deliver.yml")
			require.NoError(t, err)
			require.Contains(t, string(data), c.old)
			found, err := Lint("deliver.yml", []byte(strings.Replace(string(data), c.old, c.new, 1)))
			require.NoError(t, err)
			require.NotEmpty(t, found)
			assert.Contains(t, strings.Join(found, "\n"), c.want)
			assert.Contains(t, found[0], "deliver.yml:")
		})
	}
}
