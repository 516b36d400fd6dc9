package embedded

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

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
		as, err := p.account("toolbox")
		if want != "" {
			require.ErrorContains(t, err, want)
			assert.ErrorContains(t, err, "remove the file")
			assert.NotContains(t, err.Error(), "s3cret")
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, "toolbox-x s3cret", as.Username+" "+as.Password)
	}

	require.NoError(t, p.defaults("localhost:5001"))
	text, err := os.ReadFile(filepath.Join(p.Launcher.Repo, ".env"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "SLIPWAY_SANDBOX=tcp://localhost:5001\nSLIPWAY_ACCOUNTS=file://"+p.accounts()+"\n")
	assert.Contains(t, string(text), "\nSLIPWAY_DATABASEKEY="+p.path("keys", "cosign.pub")+"\n")
	assert.NotContains(t, string(text), "s3cret")
}

// A database of before there were signatures, or of a key that is no more, is made again.
func TestADatabaseIsTheKeysAndYoung(t *testing.T) {
	mark, now := filepath.Join(t.TempDir(), "database"), time.Now()
	assert.False(t, current(mark, []byte("key"), now), "there is none")
	for text, want := range map[string]bool{"": false, "another": false, "key": true} {
		require.NoError(t, os.WriteFile(mark, []byte(text), 0o600))
		assert.Equal(t, want, current(mark, []byte("key"), now), text)
	}
	require.NoError(t, os.WriteFile(mark, []byte("key"), 0o600))
	require.NoError(t, os.Chtimes(mark, now, now.Add(-databaseAge)))
	assert.False(t, current(mark, []byte("key"), now), "it is old")
}
