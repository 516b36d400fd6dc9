//go:build e2e && fresh

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// This test takes minutes, because an engine with empty caches compiles
// everything again, and the engine in use is down meanwhile: a machine has one
// at a time. It is run by itself:
//
//	go test -tags=e2e,fresh -timeout=40m -run Reproducible ./e2e
func TestReproducibleOnAnEngineThatSharesNothing(t *testing.T) {
	dir := source(t, nil)
	digest := func() string {
		digest, err := shared.call(dir, nil, "app", "--name", "hello", "build", "digest")
		require.NoError(t, err)
		require.Regexp(t, `^sha256:[0-9a-f]{64}\s*$`, digest)
		return strings.TrimSpace(digest)
	}
	first := digest()

	onFreshEngine(t, func(took func(what string, args ...string)) {
		took("the first dagger functions", "functions", "-s")
		assert.Equal(t, first, digest())
	})
}
