//go:build e2e && cosign

// The stock cosign takes about eleven CPU-minutes to compile, so this test has
// a tag of its own: go test -tags=e2e,cosign -run StockCosign ./e2e

package e2e

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cosign is the stock tool, compiled from its own module by the toolbox.
func cosign(t *testing.T, p *platform) string {
	t.Helper()
	path := p.file("cosign")
	if !isExecutable(path) {
		_, err := p.run(p.repo, "-m", "modules/toolbox", "call", "binary",
			"--source", "modules/sign/cosign", "--pkg", "github.com/sigstore/cosign/v3/cmd/cosign", "export", "--path", path)
		require.NoError(t, err)
	}
	return path
}

func TestStockCosignAcceptsTheSignature(t *testing.T) {
	p := shared
	reference := p.sandbox + "/hello@" + published(t, p)
	tool := cosign(t, p)
	verify := func(args ...string) (string, error) {
		args = append(args, "--insecure-ignore-tlog=true", "--allow-http-registry", reference)
		cmd := exec.CommandContext(t.Context(), tool, args...)
		cmd.Env = append(cmd.Environ(), "HOME="+p.dir)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := verify("verify", "--key", p.file("keys/cosign.pub"))
	require.NoError(t, err, out)
	assert.Contains(t, out, "The signatures were verified against the specified public key")

	for _, predicateType := range []string{
		"https://in-toto.io/attestation/vulns/v0.2", "https://slsa.dev/provenance/v1", "https://in-toto.io/attestation/test-result/v0.1",
		"https://cyclonedx.org/bom", "https://spdx.dev/Document",
	} {
		out, err = verify("verify-attestation", "--key", p.file("keys/cosign.pub"), "--type", predicateType)
		require.NoError(t, err, out)
		assert.Contains(t, out, "The signatures were verified against the specified public key", predicateType)
	}
	out, err = verify("verify-attestation", "--key", p.file("keys/cosign.pub"), "--type", "https://example.org/other")
	require.Error(t, err, "nothing of that type is there: %s", out)

	_, err = p.run(p.repo, "-m", "modules/sign", "call", "keygen", "--password", "file:"+p.file("password"), "export", "--path", p.file("stranger"))
	require.NoError(t, err)
	out, err = verify("verify", "--key", p.file("stranger/cosign.pub"))
	require.Error(t, err, "a stranger's key must not do: %s", out)
}
