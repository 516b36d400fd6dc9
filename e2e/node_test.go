//go:build e2e && languages

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A Node service with dependencies of npm's registry is built by the Dockerfile that
// it has, with npm ci in a RUN without a network; tested, scanned and released. What
// the lock file does not pin is refused, and so is a package with a known
// vulnerability, by name.
func TestLanguageNode(t *testing.T) {
	t.Parallel()
	p := shared
	base := debianBase(t, p, "bases/node", "nodejs", "npm")
	s := newService(t, p, "ages")
	dockerfile := strings.Replace(s.read(t, "Dockerfile"), "FROM base ", "FROM "+base+" ", 1)
	registry, err := exec.CommandContext(t.Context(), "npm", "config", "get", "registry").Output()
	require.NoError(t, err, "npm says which registry this machine takes its packages from")
	s.rule(t, "build:\n", "build:\n  npm: {registry: "+strings.TrimRight(string(registry), "/\n")+"}\n")
	s.commit(t, map[string]string{"Dockerfile": dockerfile})

	out, err := s.app(p, "test")
	require.NoError(t, err)
	assert.Contains(t, out, "| # pass 1\n")
	assert.Contains(t, out, "Dockerfile --target test\t1 passed, 0 skipped\n")

	// Packages are there only while a command runs: none of what was fetched for them
	// is in the image.
	layout := filepath.Join(t.TempDir(), "layout")
	_, err = s.app(p, "build", "oci-layout", "export", "--path", layout)
	require.NoError(t, err)
	assert.True(t, holds(t, layout, "app/node_modules/ms/package.json"))
	assert.False(t, holds(t, layout, "app/node_modules/is-number/package.json"))
	assert.False(t, holds(t, layout, "~slipway"))

	packages := s.bill(t, p)
	assert.Contains(t, packages, "pkg:npm/ms@2.1.3")
	assert.NotContains(t, packages, "pkg:npm/is-number@7.0.0")
	s.release(t, p)

	lock, manifest := s.read(t, "package-lock.json"), s.read(t, "package.json")
	vulnerable := strings.NewReplacer(`"ms": "2.1.3"
`, `"minimist": "1.2.5",
        "ms": "2.1.3"
`,
		`    "node_modules/ms": {`, `    "node_modules/minimist": {
      "version": "1.2.5",
      "integrity": "sha512-FM9nNUYrRBAELZQT3xeZQ7fmMOBg6nWNmJKTcgsJeaLstP/UODVpGsr5OhXhhXg6f+qtJ8uiZ+PUxkDWcgIXLw=="
    },
    "node_modules/ms": {`)
	s.commit(t, map[string]string{"package-lock.json": vulnerable.Replace(lock), "package.json": vulnerable.Replace(manifest)})
	_, err = s.app(p, "build", "scan", "digest")
	refused(t, err, "scan: refused by policy: app ages at sha256:", "CRITICAL: CVE-2021-44906 in minimist 1.2.5, fixed in 0.2.4, 1.2.6")

	// A package that the lock file does not name is not to be had.
	s.commit(t, map[string]string{
		"package-lock.json": lock, "package.json": manifest,
		"Dockerfile": strings.Replace(dockerfile, "RUN npm ci --omit=dev", "RUN npm install left-pad", 1),
	})
	_, err = s.app(p, "build", "digest")
	refused(t, err, "build: bad input: app ages: Dockerfile: ", "npm install left-pad fails for linux/amd64", "no lock file of the app names it")

	for name, tc := range map[string]struct{ old, new, refusal string }{
		"another content": {"sha512-6FlzubTLZG3J2a", "sha512-7FlzubTLZG3J2a", "build: refused by policy: package-lock.json: \"node_modules/ms\": is not what the lock file pins"},
		"no integrity":    {`"integrity": "sha512-6Flz`, `"was": "sha512-6Flz`, "\"node_modules/ms\" has no integrity"},
		"a Git address":   {`"resolved": "https:`, `"resolved": "git+https:`, "\"node_modules/escape-html\" comes from \"git+https:"},
	} {
		require.Contains(t, lock, tc.old, name)
		s.commit(t, map[string]string{"package-lock.json": strings.Replace(lock, tc.old, tc.new, 1)})
		_, err = s.app(p, "build", "digest")
		refused(t, err, tc.refusal)
	}
}
