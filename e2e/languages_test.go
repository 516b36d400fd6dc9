//go:build e2e && languages

package e2e

import (
	"encoding/json"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// service is an app in one of the languages whose base images these tests make from
// Debian's packages, in a platform that allows them.
type service struct {
	name string
	// dir is the platform's checkout.
	dir string
	// with are the pipeline's functions that are called before, with their arguments.
	with []string
}

// newService adds an app of testdata to a platform.
func newService(t *testing.T, p *platform, name string) service {
	t.Helper()
	folder := filepath.Join(repository(), "e2e", "testdata", name)
	s := service{name: name, dir: withApp(t, name, folder, read(t, filepath.Join(folder, "app.yaml")))}
	const none = "      allow: []\n"
	s.rule(t, none, "      allow: ["+p.sandbox+"/bases/*]\n")
	s.commit(t, map[string]string{})
	return s
}

// rule changes the platform's configuration.
func (s service) rule(t *testing.T, old, new string) {
	t.Helper()
	file := filepath.Join(s.dir, "slipway.yaml")
	rules := read(t, file)
	require.Contains(t, rules, old)
	write(t, file, strings.Replace(rules, old, new, 1))
}

// read reads a file of the app.
func (s service) read(t *testing.T, name string) string {
	t.Helper()
	return read(t, filepath.Join(s.dir, "apps", s.name, name))
}

// commit commits files of the app.
func (s service) commit(t *testing.T, files map[string]string) {
	t.Helper()
	for name, text := range files {
		write(t, filepath.Join(s.dir, "apps", s.name, name), text)
	}
	git(t, s.dir, "add", "-A")
	git(t, s.dir, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "change "+s.name)
}

// app calls the pipeline about the app.
func (s service) app(p *platform, call ...string) (string, error) {
	return p.call(s.dir, append(p.options(), s.with...), append([]string{"app", "--name", s.name}, call...)...)
}

// releasing is that one of the services plans and applies the environment.
var releasing sync.Mutex

// release delivers the app to dev, whose overlay it puts into the GitOps remote first,
// and asserts that the very image that was scanned is what the remote names.
func (s service) release(t *testing.T, p *platform) {
	t.Helper()
	releasing.Lock()
	defer releasing.Unlock()
	clone := p.remote(t)
	manifests := filepath.Join("gitops", "apps", s.name)
	require.NoError(t, filepath.WalkDir(filepath.Join(s.dir, manifests), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(s.dir, path)
		if err != nil {
			return err
		}
		write(t, filepath.Join(clone, relative), read(t, path))
		return nil
	}))
	git(t, clone, "add", "-A")
	git(t, clone, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "add "+s.name)
	git(t, clone, "push", "-q", "origin", "HEAD:main")

	released := deliver(t, p, s.dir, s.name, "dev", s.with...)
	_, digest, ok := strings.Cut(released.Image, "@")
	require.True(t, ok, released.Image)
	assert.Equal(t, digest, released.Verdict.Digest)
	assert.Equal(t, git(t, s.dir, "rev-parse", "HEAD"), released.SourceRevision)
	assert.True(t, released.ReleaseCreated)
	assert.Contains(t, read(t, filepath.Join(p.remote(t), released.GitopsPath)), digest)
	assert.Equal(t, released.GitopsCommit, git(t, p.remote(t), "log", "-1", "--format=%H", "--", released.GitopsPath))
}

// bill is the CycloneDX bill of materials of the app's image.
func (s service) bill(t *testing.T, p *platform) []string {
	t.Helper()
	out, err := s.app(p, "build", "sbom", "--of", "IMAGE", "--format", "CYCLONEDX", "contents")
	require.NoError(t, err)
	var document struct {
		Components []struct{ PURL string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &document))
	var packages []string
	for _, c := range document.Components {
		packages = append(packages, c.PURL)
	}
	return packages
}
