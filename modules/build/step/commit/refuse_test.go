package commit_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/build/step/commit"
	"slipway/build/step/gittree"
	"slipway/step"
)

func TestWhatCanNotBeComparedIsRefused(t *testing.T) {
	type refusal struct{ input, reason, mend string }
	for name, tc := range map[string]struct {
		change func(t *testing.T, dir string) commit.Input
		want   refusal
	}{
		"an archive": {func(t *testing.T, dir string) commit.Input {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, ".git")))
			return taken(dir)
		}, refusal{"repository", "is no checkout: it has no folder .git", "git clone it"}},
		"a bare repository": {func(t *testing.T, dir string) commit.Input {
			bare := t.TempDir()
			git(t, bare, "clone", "-q", "--bare", dir, ".")
			in := taken(dir)
			in.Repository = bare
			return in
		}, refusal{"repository", "is no checkout", "git clone it"}},
		"no commit": {func(t *testing.T, dir string) commit.Input {
			git(t, dir, "checkout", "-q", "--orphan", "new")
			return taken(dir)
		}, refusal{"repository", "has no commit at its head \"refs/heads/new\"", "commit the work"}},
		"a linked worktree": {func(t *testing.T, dir string) commit.Input {
			to := filepath.Join(t.TempDir(), "linked")
			git(t, dir, "worktree", "add", "-q", to)
			return taken(to)
		}, refusal{"repository", "is a linked worktree", "--repository /"}},
		"a worktree of another repository": {func(t *testing.T, dir string) commit.Input {
			to := filepath.Join(t.TempDir(), "linked")
			git(t, dir, "worktree", "add", "-q", to)
			in := taken(to)
			in.Repository = checkout(t)
			return in
		}, refusal{"repository", "has no HEAD for this checkout", "git rev-parse --git-common-dir"}},
		"a separate Git folder": {func(t *testing.T, dir string) commit.Input {
			git(t, dir, "init", "-q", "--separate-git-dir", filepath.Join(t.TempDir(), "git"))
			return taken(dir)
		}, refusal{"repository", "has a file .git instead of a folder", "full checkout"}},
		"a .git that is a link": {func(t *testing.T, dir string) commit.Input {
			to := filepath.Join(t.TempDir(), "git")
			require.NoError(t, os.Rename(filepath.Join(dir, ".git"), to))
			require.NoError(t, os.Symlink(to, filepath.Join(dir, ".git")))
			return taken(dir)
		}, refusal{"repository", "has a .git that is a symbolic link", "--repository"}},
		"SHA-256": {func(t *testing.T, _ string) commit.Input {
			dir := t.TempDir()
			git(t, dir, "init", "-q", "--object-format=sha256")
			write(t, dir, "slipway.yaml", "")
			save(t, dir)
			return taken(dir)
		}, refusal{"repository", "names its objects by SHA-256", "SHA-1"}},
		"SHA-256, detached": {func(t *testing.T, _ string) commit.Input {
			dir := t.TempDir()
			git(t, dir, "init", "-q", "--object-format=sha256")
			write(t, dir, "slipway.yaml", "")
			save(t, dir)
			git(t, dir, "checkout", "-q", "--detach")
			return taken(dir)
		}, refusal{"repository", "names its objects by SHA-256", "SHA-1"}},
		"borrowed objects": {func(t *testing.T, dir string) commit.Input {
			to := t.TempDir()
			git(t, to, "clone", "-q", "--shared", dir, ".")
			return taken(to)
		}, refusal{"repository", "borrows objects from another repository", "git repack -a -d"}},
		"a reftable": {func(t *testing.T, dir string) commit.Input {
			write(t, dir, ".git/reftable/tables.list", "")
			return taken(dir)
		}, refusal{"repository", "as a reftable", "git refs migrate"}},
		"a clone without trees": {func(t *testing.T, dir string) commit.Input {
			git(t, dir, "config", "uploadpack.allowFilter", "true")
			to := t.TempDir()
			git(t, to, "clone", "-q", "--no-checkout", "--filter=tree:0", "file://"+dir, ".")
			return taken(to)
		}, refusal{"repository", "lacks tree ", "git fetch --refetch"}},
		"a damaged object": {func(t *testing.T, dir string) commit.Input {
			id := git(t, dir, "rev-parse", "HEAD^{tree}")
			file := filepath.Join(dir, ".git/objects", id[:2], id[2:])
			require.NoError(t, os.Chmod(file, 0o644))
			require.NoError(t, os.WriteFile(file, []byte("x"), 0o644))
			return taken(dir)
		}, refusal{"repository", "it has a broken tree ", "git fsck"}},
		"another object under the tree's id": {func(t *testing.T, dir string) commit.Input {
			id := git(t, dir, "rev-parse", "HEAD:apps/hello")
			write(t, dir, "apps/hello/main.go", "package main // other\n")
			save(t, dir)
			other := git(t, dir, "rev-parse", "HEAD:apps/hello")
			git(t, dir, "reset", "-q", "--soft", "HEAD~1")
			object := func(id string) string { return filepath.Join(dir, ".git/objects", id[:2], id[2:]) }
			require.NoError(t, os.Remove(object(id)))
			data, err := os.ReadFile(object(other))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(object(id), data, 0o644))
			return taken(dir)
		}, refusal{"repository", "has another content under the id of tree ", "git fsck"}},
		"two entries of one name": {func(t *testing.T, dir string) commit.Input {
			id := git(t, dir, "rev-parse", "HEAD:apps/hello/main.go")
			entry := "100644 main.go\x00"
			raw := ""
			for n := 0; n < 40; n += 2 {
				var b byte
				_, err := fmt.Sscanf(id[n:n+2], "%02x", &b)
				require.NoError(t, err)
				raw += string([]byte{b})
			}
			file := filepath.Join(t.TempDir(), "tree")
			require.NoError(t, os.WriteFile(file, []byte(entry+raw+entry+raw), 0o644))
			tree := git(t, dir, "hash-object", "-t", "tree", "--literally", "-w", file)
			git(t, dir, "update-ref", "refs/heads/main", git(t, dir, "commit-tree", tree, "-m", "x"))
			return taken(dir)
		}, refusal{"repository", "with an entry that no folder can have: main.go", "git fsck"}},
		"a submodule": {func(t *testing.T, dir string) commit.Input {
			git(t, dir, "-c", "protocol.file.allow=always", "submodule", "add", "-q", checkout(t), "apps/hello/lib")
			save(t, dir)
			return taken(dir)
		}, refusal{"apps/hello/lib", "is a submodule", "git rm --cached"}},
		"a submodule that was not fetched": {func(t *testing.T, dir string) commit.Input {
			git(t, dir, "-c", "protocol.file.allow=always", "submodule", "add", "-q", checkout(t), "apps/hello/lib")
			save(t, dir)
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "apps/hello/lib")))
			return taken(dir)
		}, refusal{"apps/hello/lib", "is a submodule", "git rm --cached"}},
		"an app that is a submodule": {func(t *testing.T, dir string) commit.Input {
			git(t, dir, "rm", "-rqf", "apps/hello")
			git(t, dir, "-c", "protocol.file.allow=always", "submodule", "add", "-q", checkout(t), "apps/hello")
			save(t, dir)
			return taken(dir)
		}, refusal{"apps/hello", "is a submodule", "git rm --cached"}},
		"a repository in the app": {func(t *testing.T, dir string) commit.Input {
			write(t, dir, ".git/info/exclude", "lib\n")
			git(t, dir, "init", "-q", "apps/hello/lib")
			return taken(dir)
		}, refusal{"apps/hello/lib", "is a repository of its own", "without its .git"}},
		"a repository at the app": {func(t *testing.T, dir string) commit.Input {
			git(t, dir, "init", "-q", "apps/hello")
			return taken(dir)
		}, refusal{"apps/hello", "is a repository of its own", "without its .git"}},
		"an app behind a link": {func(t *testing.T, dir string) commit.Input {
			require.NoError(t, os.Rename(filepath.Join(dir, "apps/hello"), filepath.Join(dir, "elsewhere")))
			require.NoError(t, os.Symlink("../elsewhere", filepath.Join(dir, "apps/hello")))
			save(t, dir)
			return taken(dir)
		}, refusal{"apps/hello", "is a symbolic link", "put the files there"}},
		"apps behind a link": {func(t *testing.T, dir string) commit.Input {
			require.NoError(t, os.Rename(filepath.Join(dir, "apps"), filepath.Join(dir, "elsewhere")))
			require.NoError(t, os.Symlink("elsewhere", filepath.Join(dir, "apps")))
			save(t, dir)
			return taken(dir)
		}, refusal{"apps", "is a symbolic link", "put the files there"}},
		"a pipe": {func(t *testing.T, dir string) commit.Input {
			out, err := exec.Command("mkfifo", filepath.Join(dir, "apps/hello/pipe")).CombinedOutput()
			require.NoError(t, err, string(out))
			return taken(dir)
		}, refusal{"apps/hello/pipe", "is neither a file", "remove it"}},
		"a path that leaves": {func(_ *testing.T, dir string) commit.Input {
			in := taken(dir)
			in.Paths = []string{"../x"}
			return in
		}, refusal{`--path "../x"`, "is no path in the repository", "apps/hello"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := commit.Compare(tc.change(t, checkout(t)))
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, []any{step.KindInput, gittree.Stage, tc.want.input}, []any{f.Kind, f.Stage, f.Input})
			assert.Contains(t, f.Reason, tc.want.reason)
			assert.Contains(t, f.Mend, tc.want.mend)
		})
	}
}
