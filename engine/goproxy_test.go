package engine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFileProxy(t *testing.T) {
	assert.Equal(t, map[string]string{
		"dagger.io/dagger/@v/1309520660f6a5b35ef97b4fbe151e32a06a8dc5.info": "{\"Version\":\"v0.21.7\",\"Time\":\"2026-06-17T17:36:04Z\"}\n",
		"github.com/dagger/querybuilder/@latest":                            "{\"Version\":\"v0.0.0-20260402040506-574a5e81cb59\",\"Time\":\"2026-04-02T04:05:06Z\"}\n",
		"github.com/dagger/querybuilder/@v/list":                            "",
		"github.com/dagger/otel-go/@latest":                                 "{\"Version\":\"v1.43.1-0.20260515012101-af7cd0684887\",\"Time\":\"2026-05-15T01:21:01Z\"}\n",
		"github.com/dagger/otel-go/@v/list":                                 "",
	}, FileProxy())
}

func TestWriteFileProxy(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, writeFileProxy(root))
	for name, want := range FileProxy() {
		content, err := os.ReadFile(filepath.Join(root, proxyPath, name))
		require.NoError(t, err)
		assert.Equal(t, want, string(content), name)
	}
}

func TestGoProxy(t *testing.T) {
	assert.Equal(t, "file:///usr/local/share/slipway/goproxy,https://proxy.example,direct", GoProxy("https://proxy.example,direct"))
	assert.Equal(t, "file:///usr/local/share/slipway/goproxy", GoProxy(""))
}
