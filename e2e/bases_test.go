//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The engine has a network of its own: what it builds on from the embedded registry
// gets to it as everything else of the sandbox does.
func TestADockerfileBuildsOnTheEmbeddedRegistry(t *testing.T) {
	p := shared
	base := p.sandbox + "/hello@" + published(t, p)
	dockerfile := read(t, p.repo+"/apps/pages/Dockerfile")
	const last = "FROM scratch\n"
	require.Contains(t, dockerfile, last)
	build := func(base string) (string, error) {
		dir := source(t, map[string]string{"apps/pages/Dockerfile": strings.Replace(dockerfile, last, "FROM "+base+"\n", 1)})
		return p.call(dir, p.options(), "app", "--name", "pages", "build", "digest")
	}
	digest, err := build(base)
	require.NoError(t, err)
	assert.Regexp(t, `\Asha256:[0-9a-f]{64}\s*\z`, digest)

	_, err = build(p.sandbox + "/hello@sha256:" + strings.Repeat("0", 64))
	refused(t, err, "build: bad input: app pages: Dockerfile: can't be built for linux/", "not found")
}
