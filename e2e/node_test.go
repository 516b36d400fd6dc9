//go:build e2e && node

// Debian's mmdebstrap has to be on the machine, and its registries within reach:
//
//	go test -tags=e2e,node -count=1 -timeout=30m -run=TestEvidenceANodeService ./e2e

package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A Node service with dependencies of npm's registry is built by the Dockerfile that
// it has, with npm ci in a RUN without a network; what the lock file does not pin is
// refused.
func TestEvidenceANodeServiceIsBuiltAndTested(t *testing.T) {
	t.Parallel()
	p := shared
	base := debianBase(t, p, "bases/node", "nodejs", "npm")
	folder := filepath.Join(repository(), "e2e", "testdata", "ages")
	dir := withApp(t, "ages", folder, read(t, filepath.Join(folder, "app.yaml")))
	file := filepath.Join(dir, "apps", "ages", "Dockerfile")
	commit := func(name, text string) {
		write(t, filepath.Join(dir, "apps", "ages", name), text)
		git(t, dir, "add", "-A")
		git(t, dir, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", name)
	}
	dockerfile := strings.Replace(read(t, file), "FROM base ", "FROM "+base+" ", 1)
	commit("Dockerfile", dockerfile)

	out, err := p.call(dir, p.options(), "app", "--name", "ages", "test")
	require.NoError(t, err)
	assert.Contains(t, out, "| # pass 1\n")
	assert.Contains(t, out, "Dockerfile --target test\t1 passed, 0 skipped\n")

	// Packages are there only while a command runs: none of what was fetched for them
	// is in the image.
	layout := filepath.Join(t.TempDir(), "layout")
	_, err = p.call(dir, p.options(), "app", "--name", "ages", "build", "oci-layout", "export", "--path", layout)
	require.NoError(t, err)
	assert.True(t, holds(t, layout, "app/node_modules/ms/package.json"))
	assert.False(t, holds(t, layout, "app/node_modules/is-number/package.json"))
	assert.False(t, holds(t, layout, "~slipway"))

	// The demo's vulnerability database knows Go's modules only: a gate that can't decide
	// refuses.
	_, err = p.call(dir, p.options(), "app", "--name", "ages", "build", "scan", "verdict")
	refused(t, err, "scan: infrastructure failure: ", "packages of type debian, for which the vulnerability database has no advisories")

	// A package that the lock file does not name is not to be had.
	commit("Dockerfile", strings.Replace(dockerfile, "RUN npm ci --omit=dev", "RUN npm install left-pad", 1))
	_, err = p.call(dir, p.options(), "app", "--name", "ages", "build", "digest")
	refused(t, err, "build: bad input: app ages: Dockerfile: ", "npm install left-pad fails for linux/amd64", "no lock file of the app names it")

	lock := read(t, filepath.Join(dir, "apps", "ages", "package-lock.json"))
	for name, tc := range map[string]struct{ old, new, refusal string }{
		"another content": {"sha512-6FlzubTLZG3J2a", "sha512-7FlzubTLZG3J2a", "build: refused by policy: package-lock.json: \"node_modules/ms\": is not what the lock file pins"},
		"no integrity":    {`"integrity": "sha512-6Flz`, `"was": "sha512-6Flz`, "\"node_modules/ms\" has no integrity"},
		"a Git address":   {"https://registry.npmjs.org/ms/-/ms-2.1.3.tgz", "git+https://example.org/ms.git", "\"node_modules/ms\" comes from \"git+https://example.org/ms.git\""},
	} {
		require.Contains(t, lock, tc.old, name)
		commit("package-lock.json", strings.Replace(lock, tc.old, tc.new, 1))
		_, err = p.call(dir, p.options(), "app", "--name", "ages", "build", "digest")
		refused(t, err, tc.refusal)
	}
	assert.False(t, p.pushed(t, "ages"))
}
