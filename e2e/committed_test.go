//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A Go file that does something when the program starts, whatever calls it.
const startsAlone = "package main\n\nimport \"os\"\n\nfunc init() { _ = os.Setenv(\"TZ\", \"UTC\") }\n"

// verified builds, signs and judges hello for an environment.
func (p *platform) verified(t *testing.T, dir, env string) error {
	t.Helper()
	out, err := p.call(dir, p.options(), "app", "--name", "hello", "build", "scan", "publish", "sign", "verify", "--env", env, "reference")
	if err == nil {
		assert.Contains(t, out, "localhost:5000/hello@sha256:")
	}
	return err
}

// cleanToGit wants that Git finds nothing in a checkout that is not committed.
func cleanToGit(t *testing.T, dir string) {
	t.Helper()
	require.Empty(t, git(t, dir, "status", "--porcelain"))
}

const notForProduction = "refused by policy: localhost:5000/hello@sha256:"

func TestIgnoredFileIsNotCommitted(t *testing.T) {
	t.Parallel()
	p := shared
	const name = "apps/hello/cmd/hello/zz_local.go"
	dir := source(t, nil)
	require.NoError(t, p.verified(t, dir, "production"), "the control: without the file")

	write(t, filepath.Join(dir, ".git/info/exclude"), "zz_local.go\n")
	write(t, filepath.Join(dir, name), startsAlone)
	cleanToGit(t, dir)
	refused(t, p.verified(t, dir, "production"), notForProduction, "it was built with uncommitted changes: added "+name, "also files that Git ignores")

	head := git(t, dir, "rev-parse", "HEAD")
	out, err := p.call(dir, append(p.options(), p.terraform(t)...), "deliver", "--app", "hello", "--env", "dev", "--older", "text")
	require.NoError(t, err, "dev may have it")
	assert.Regexp(t, `(?m)^source commit +`+head+`-dirty$`, out)
	assert.Regexp(t, `(?m)^uncommitted +added `+name+`$`, out)

	git(t, dir, "add", "-f", name)
	git(t, dir, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "the file")
	require.NoError(t, p.verified(t, dir, "production"), "committed, it is as good as any other")
}

func TestConvertedLineEndingsAreNotCommitted(t *testing.T) {
	t.Parallel()
	p := shared
	dir := filepath.Join(t.TempDir(), "converted")
	git(t, t.TempDir(), "clone", "-q", "-c", "core.autocrlf=true", source(t, nil), dir)
	cleanToGit(t, dir)
	require.Contains(t, read(t, filepath.Join(dir, "apps/hello/go.mod")), "\r\n")
	refused(t, p.verified(t, dir, "production"), notForProduction, "changed apps/hello/cmd/hello/main.go (line endings)", "more", "git config core.autocrlf false")

	git(t, dir, "config", "core.autocrlf", "false")
	git(t, dir, "rm", "-rq", "--cached", ".")
	git(t, dir, "reset", "-q", "--hard")
	require.NoError(t, p.verified(t, dir, "production"), "the control: as the refusal says")
}

func TestTrackedFileThatIsIgnoredIsCommitted(t *testing.T) {
	t.Parallel()
	p := shared
	const name = "apps/hello/cmd/hello/zz_kept.go"
	dir := source(t, map[string]string{".gitignore": "zz_kept.go\n"})
	write(t, filepath.Join(dir, name), startsAlone)
	git(t, dir, "add", "-f", name)
	git(t, dir, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "kept")
	cleanToGit(t, dir)
	require.NoError(t, p.verified(t, dir, "production"))

	write(t, filepath.Join(dir, name), strings.Replace(startsAlone, "UTC", "CET", 1))
	refused(t, p.verified(t, dir, "production"), notForProduction, "it was built with uncommitted changes: changed "+name)
}

func TestKindsOfCheckout(t *testing.T) {
	t.Parallel()
	p := shared
	dir := source(t, nil)
	head := git(t, dir, "rev-parse", "HEAD")
	revision := []string{"app", "--name", "hello", "build", "revision"}

	shallow := filepath.Join(t.TempDir(), "shallow")
	git(t, dir, "clone", "-q", "--depth=1", "file://"+dir, shallow)
	git(t, shallow, "checkout", "-q", "--detach") // as CI systems do
	out, err := p.call(shallow, p.options(), revision...)
	require.NoError(t, err)
	assert.Equal(t, head, strings.TrimSpace(out))

	linked := filepath.Join(t.TempDir(), "linked")
	git(t, dir, "worktree", "add", "-q", linked)
	_, err = p.call(linked, p.options(), revision...)
	refused(t, err, "build: bad input: repository: is a linked worktree", "--repository "+dir)
	out, err = p.call(linked, append(p.options(), "--repository", dir), revision...)
	require.NoError(t, err)
	assert.Equal(t, head, strings.TrimSpace(out))

	archive := source(t, nil)
	require.NoError(t, os.RemoveAll(filepath.Join(archive, ".git")))
	_, err = p.call(dir, append(p.options(), "--source", archive, "--repository", archive), revision...)
	refused(t, err, "build: bad input: repository: is no checkout", "git clone")
}
