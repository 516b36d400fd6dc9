//go:build e2e

package e2e

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// toolbox publishes the pipeline's programs on the platform's registry.
func (p *platform) toolbox(t *testing.T) string {
	t.Helper()
	reference, err := p.call(p.repo, p.options(), "toolbox", "publish")
	require.NoError(t, err)
	require.Regexp(t, regexp.MustCompile(`\Alocalhost:5000/(.+/)?toolbox@sha256:[0-9a-f]{64}\s*\z`), reference)
	return strings.TrimSpace(reference)
}

func TestEvidenceToolboxIsVerifiedBeforeItIsUsed(t *testing.T) {
	p := shared
	toolbox := p.toolbox(t)
	assert.Equal(t, toolbox, p.toolbox(t), "the same programs are the same image")
	scan := []string{"app", "--name", "hello", "build", "scan", "verdict"}
	with := func(dir, reference, key string) (string, error) {
		return p.call(dir, append(p.options(), "--toolbox", reference, "--toolbox-key", p.file(key)), scan...)
	}
	const key = "keys/cosign.pub"

	compiled, err := p.call(p.repo, p.options(), scan...)
	require.NoError(t, err)
	pulled, err := with(p.repo, toolbox, key)
	require.NoError(t, err)
	assert.Equal(t, compiled, pulled, "the pulled scanner finds what the compiled one finds")

	t.Run("another key", func(t *testing.T) {
		_, err := p.run(p.repo, "-m", "modules/sign", "call", "keygen", "--password", "file:"+p.file("password"), "export", "--path", p.file("stranger"))
		require.NoError(t, err)
		_, err = with(p.repo, toolbox, "stranger/cosign.pub")
		refused(t, err, "refused by policy", toolbox)
	})
	t.Run("an app's image, signed by the same key", func(t *testing.T) {
		_, err := with(p.repo, "localhost:5000/hello@"+published(t, p), key)
		refused(t, err, "refused by policy", "https://slipway.dev/attestations/toolbox/v1")
	})
	t.Run("a tag", func(t *testing.T) {
		_, err := with(p.repo, strings.SplitN(toolbox, "@", 2)[0]+":1.0", key)
		refused(t, err, "bad input", "digest")
	})
	t.Run("a digest that nobody pushed", func(t *testing.T) {
		_, err := with(p.repo, strings.SplitN(toolbox, "@", 2)[0]+"@sha256:"+strings.Repeat("0", 64), key)
		refused(t, err, strings.Repeat("0", 64))
	})
	t.Run("programs for other sources", func(t *testing.T) {
		dir := source(t, map[string]string{filepath.Join("modules", "scan", "step", "later.go"): "package main\n"})
		_, err := with(dir, toolbox, key)
		refused(t, err, "toolbox: refused by policy: the programs for scan were compiled from other sources")
	})
}
