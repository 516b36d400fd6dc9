//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What an environment has of its own takes the place of what the others share: the key of
// who signs for it, and the branch that it follows.
func TestEnvironmentsAreApart(t *testing.T) {
	p := shared
	digest := published(t, p)
	keys, branch := t.TempDir(), "live-"+unseen()
	_, err := p.run(p.repo, "-m", "modules/sign", "call", "keygen", "--password", "file:"+p.file("password"), "export", "--path", keys)
	require.NoError(t, err)
	clone := p.remote(t)
	git(t, clone, "push", "-q", "origin", "HEAD:refs/heads/"+branch)
	before := git(t, clone, "rev-parse", "HEAD")

	const together = "  production: {}\n"
	settings := read(t, p.repo+"/slipway.yaml")
	require.Contains(t, settings, together)
	dir := source(t, map[string]string{
		"slipway.yaml": strings.Replace(settings, together,
			"  production: {infra: ignore, gitops: {branch: "+branch+"}, signing: {publicKey: gitops/platform/production.pub}}\n", 1),
		"gitops/platform/production.pub": read(t, filepath.Join(keys, "cosign.pub")),
	})
	release := []string{"release", "--env", "production", "--older", "commit"}

	_, err = p.call(dir, p.options(), append([]string{"signed", "--app", "hello", "--digest", digest}, release...)...)
	refused(t, err, "verify: refused by policy: ", "has no valid signature by key")
	assert.Equal(t, before, git(t, clone, "ls-remote", "origin", "refs/heads/"+branch)[:40], "dev's key releases nothing to production")

	theirs := append(p.place(), "--key", "file:"+filepath.Join(keys, "cosign.key"), "--key-password", "file:"+p.file("password"))
	commit, err := p.call(dir, theirs, append([]string{"app", "--name", "hello", "build", "scan", "publish", "sign", "--env", "production"}, release...)...)
	require.NoError(t, err)
	commit = strings.TrimSpace(commit)
	git(t, clone, "fetch", "-q", "origin")
	assert.Equal(t, "origin/"+branch, git(t, clone, "branch", "-r", "--contains", commit), "it is on the environment's own branch, and on no other")
	assert.Equal(t, "gitops/apps/hello/overlays/production/kustomization.yaml", git(t, clone, "show", "--format=", "--name-only", commit))

	status, err := p.call(dir, p.options(), "status", "--app", "hello", "json")
	require.NoError(t, err)
	assert.Contains(t, status, commit, "what is asked about all environments looks at each where it is")

	_, err = p.call(dir, p.options(), "signed", "--app", "hello", "--digest", digest, "verify", "--env", "dev", "reference")
	require.NoError(t, err, "dev's key counts for dev as it did")
	_, err = p.call(dir, theirs, "with-public-key", "--key", filepath.Join(keys, "cosign.pub"), "signed", "--app", "hello", "--digest", digest, "verify", "--env", "dev", "reference")
	require.NoError(t, err, "a key that is given counts for every environment")

	objects := t.TempDir()
	_, err = p.call(dir, p.options(), "applications", "export", "--path", objects)
	require.NoError(t, err)
	for file, follows := range map[string]string{"hello-production.yaml": branch, "hello-dev.yaml": "main", "hello-production-azure.yaml": "main"} {
		assert.Contains(t, read(t, filepath.Join(objects, file)), "targetRevision: "+follows+"\n", file)
	}
}
