//go:build e2e && cosign

// The stock cosign takes about eleven CPU-minutes to compile, so this test has
// a tag of its own: go test -tags=e2e,cosign -run StockCosign ./e2e

package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStockCosignAcceptsTheSignature(t *testing.T) {
	p := shared
	digest := published(t, p)
	tool := cosign(t, p)
	for _, predicateType := range append([]string{""}, statementTypes...) {
		out, err := cosignVerify(t, p, tool, digest, "keys/cosign.pub", predicateType)
		require.NoError(t, err, out)
		assert.Contains(t, out, "The signatures were verified against the specified public key", predicateType)
	}
	out, err := cosignVerify(t, p, tool, digest, "keys/cosign.pub", "https://example.org/other")
	require.Error(t, err, "nothing of that type is there: %s", out)

	_, err = p.run(p.repo, "-m", "modules/sign", "call", "keygen", "--password", "file:"+p.file("password"), "export", "--path", p.file("stranger"))
	require.NoError(t, err)
	out, err = cosignVerify(t, p, tool, digest, "stranger/cosign.pub", "")
	require.Error(t, err, "a stranger's key must not do: %s", out)
}
