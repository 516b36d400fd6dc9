package embedded

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/engine"
)

func TestDefaultsNameTheAccountsAndHoldNoPassword(t *testing.T) {
	p := &Platform{Launcher: &engine.Launcher{Repo: t.TempDir()}, Progress: engine.NewProgress(io.Discard)}
	require.NoError(t, os.MkdirAll(filepath.Dir(p.accounts()), 0o700))
	for content, want := range map[string]string{
		`{"toolbox":{"username":"toolbox-x","password":"s3cret"}}`: "",
		`{"images":{"username":"images-x","password":"s3cret"}}`:   "has no account for toolbox",
		`{"toolbox":"s3cret"`: "has no account for toolbox",
	} {
		require.NoError(t, os.WriteFile(p.accounts(), []byte(content), 0o600))
		username, password, err := p.account("toolbox")
		if want != "" {
			require.ErrorContains(t, err, want)
			assert.ErrorContains(t, err, "remove the file")
			assert.NotContains(t, err.Error(), "s3cret")
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, "toolbox-x s3cret", username+" "+password)
	}

	require.NoError(t, p.defaults("localhost:5001"))
	text, err := os.ReadFile(filepath.Join(p.Launcher.Repo, ".env"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "SLIPWAY_SANDBOX=tcp://localhost:5001\nSLIPWAY_ACCOUNTS=file://"+p.accounts()+"\n")
	assert.NotContains(t, string(text), "s3cret")
}
