//go:build e2e && fresh && cluster

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// It compiles the whole cluster first, unless the engine has:
//
//	go test -tags=e2e,fresh,cluster -timeout=120m -run Node.*SharesNothing -v ./e2e
func TestNodeOnAnEngineThatSharesNothing(t *testing.T) {
	p := shared
	node, err := p.runFor(compilePatience, p.repo, append([]string{
		"-m", "modules/sandbox", "call", "publish", "--repository", "localhost:5000",
		"--key", "file:" + p.file("keys/cosign.key"), "--key-password", "file:" + p.file("password"), "--service", "tcp://" + p.sandbox,
	}, p.as("toolbox")...)...)
	require.NoError(t, err)
	onFreshEngine(t, func(took func(what string, args ...string)) {
		with := []string{
			"-m", "modules/sandbox", "call", "--toolbox", strings.TrimSpace(node), "--toolbox-key", p.file("keys/cosign.pub"),
			"--service", "tcp://" + p.sandbox,
		}
		took("the first node with a toolbox", append(with, "node-image", "sync")...)
		took("the providers", append(with, "kubectl-provider", "entries")...)
	})
}
