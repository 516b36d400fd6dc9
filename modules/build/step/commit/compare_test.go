package commit_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/build/step/commit"
	"slipway/build/step/gittree"
	"slipway/step"
	"slipway/step/result/build"
	"slipway/step/steptest"
)

// git runs the real git, with nothing of this machine's settings.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "GIT_ALLOW_PROTOCOL=file",
		"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@localhost", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@localhost",
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "git %v: %s", args, out)
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

// checkout is a repository with one commit of what a delivery takes.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	write(t, dir, ".gitignore", "zz_*.go\n/apps/hello/ignored/\n")
	write(t, dir, "slipway.yaml", "registry: {}\n")
	write(t, dir, "apps/hello/main.go", "package main\n\nfunc main() {}\n")
	write(t, dir, "apps/hello/internal/a.go", "package internal\n")
	write(t, dir, "apps/other/main.go", "package main\n")
	write(t, dir, "infra/builtin/main.tf", "\n")
	write(t, dir, "gitops/apps/hello/base/deployment.yaml", "kind: Deployment\n")
	require.NoError(t, os.Symlink("main.go", filepath.Join(dir, "apps/hello/link.go")))
	save(t, dir)
	return dir
}

// save commits everything that is not ignored.
func save(t *testing.T, dir string, more ...string) {
	t.Helper()
	git(t, dir, "add", "-A")
	for _, name := range more {
		git(t, dir, "add", "-f", name)
	}
	git(t, dir, "commit", "-qm", "state")
	require.Empty(t, git(t, dir, "status", "--porcelain", "--ignored=no"))
}

// taken is what a delivery of hello takes from a checkout.
func taken(dir string) commit.Input {
	return commit.Input{
		Repository: dir, Source: dir, Without: []string{".terraform", "*.tfstate*"},
		Paths: []string{"apps/hello", "slipway.yaml", "infra", "gitops/apps/hello"},
	}
}

func compare(t *testing.T, dir string) []string {
	t.Helper()
	result, err := commit.Compare(taken(dir))
	require.NoError(t, err)
	assert.Equal(t, git(t, dir, "rev-parse", "HEAD"), result.Commit)
	return result.Uncommitted
}

func TestWhatDiffersFromTheCommitIsNamed(t *testing.T) {
	pointerText := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("4d", 32) + "\nsize 12345\n"
	for name, tc := range map[string]struct {
		change func(t *testing.T, dir string)
		want   []string
	}{
		"nothing": {func(*testing.T, string) {}, nil},
		"an ignored file that is compiled in": {func(t *testing.T, dir string) {
			write(t, dir, "apps/hello/zz_local.go", "package main\n\nfunc init() {}\n")
			require.Empty(t, git(t, dir, "status", "--porcelain"), "Git sees nothing")
		}, []string{"added apps/hello/zz_local.go"}},
		"a file that only this checkout ignores": {func(t *testing.T, dir string) {
			write(t, dir, ".git/info/exclude", "*.local\n")
			write(t, dir, "apps/hello/internal/b.local", "x")
		}, []string{"added apps/hello/internal/b.local"}},
		"an ignored folder": {func(t *testing.T, dir string) {
			write(t, dir, "apps/hello/ignored/x/y.go", "package x\n")
		}, []string{"added apps/hello/ignored/x/y.go"}},
		"a tracked file that an ignore rule matches": {func(t *testing.T, dir string) {
			write(t, dir, "apps/hello/zz_kept.go", "package main\n")
			save(t, dir, "apps/hello/zz_kept.go")
		}, nil},
		"the same, changed": {func(t *testing.T, dir string) {
			write(t, dir, "apps/hello/zz_kept.go", "package main\n")
			save(t, dir, "apps/hello/zz_kept.go")
			write(t, dir, "apps/hello/zz_kept.go", "package main // other\n")
		}, []string{"changed apps/hello/zz_kept.go"}},
		"a checkout with CRLF": {func(t *testing.T, dir string) {
			git(t, dir, "config", "core.autocrlf", "true")
			for _, name := range []string{"apps/hello/main.go", "slipway.yaml"} {
				require.NoError(t, os.Remove(filepath.Join(dir, name)))
				git(t, dir, "checkout", "--", name)
			}
			require.Empty(t, git(t, dir, "status", "--porcelain"), "Git sees nothing")
			data, err := os.ReadFile(filepath.Join(dir, "slipway.yaml"))
			require.NoError(t, err)
			require.Contains(t, string(data), "\r\n")
		}, []string{"changed apps/hello/main.go (line endings)", "changed slipway.yaml (line endings)"}},
		"a commit with CRLF, taken as LF": {func(t *testing.T, dir string) {
			write(t, dir, "apps/hello/a.txt", "a\r\nb\r\n")
			save(t, dir)
			write(t, dir, "apps/hello/a.txt", "a\nb\n")
		}, []string{"changed apps/hello/a.txt (line endings)"}},
		"a commit with CRLF, taken as it is": {func(t *testing.T, dir string) {
			write(t, dir, "apps/hello/a.txt", "a\r\nb\r\n")
			save(t, dir)
		}, nil},
		"an attribute that converts": {func(t *testing.T, dir string) {
			write(t, dir, ".gitattributes", "*.bat text eol=crlf\n")
			write(t, dir, "apps/hello/run.bat", "x\r\n")
			save(t, dir)
		}, []string{"changed apps/hello/run.bat (line endings)"}},
		"marked as unchanged": {func(t *testing.T, dir string) {
			git(t, dir, "update-index", "--assume-unchanged", "apps/hello/main.go")
			git(t, dir, "update-index", "--skip-worktree", "slipway.yaml")
			write(t, dir, "apps/hello/main.go", "package main // other\n")
			write(t, dir, "slipway.yaml", "registry: {repository: elsewhere}\n")
			require.Empty(t, git(t, dir, "status", "--porcelain"), "Git sees nothing")
		}, []string{"changed apps/hello/main.go", "changed slipway.yaml"}},
		"in the index only": {func(t *testing.T, dir string) {
			write(t, dir, "apps/hello/main.go", "package main // other\n")
			git(t, dir, "add", "-A")
		}, []string{"changed apps/hello/main.go"}},
		"the index only": {func(t *testing.T, dir string) {
			text, err := os.ReadFile(filepath.Join(dir, "apps/hello/main.go"))
			require.NoError(t, err)
			write(t, dir, "apps/hello/main.go", "other")
			git(t, dir, "add", "-A")
			write(t, dir, "apps/hello/main.go", string(text))
		}, nil},
		"executable": {func(t *testing.T, dir string) {
			require.NoError(t, os.Chmod(filepath.Join(dir, "apps/hello/main.go"), 0o755))
		}, []string{"changed apps/hello/main.go (now executable)"}},
		"executable for others only": {func(t *testing.T, dir string) {
			require.NoError(t, os.Chmod(filepath.Join(dir, "apps/hello/main.go"), 0o655))
		}, nil},
		"no longer executable": {func(t *testing.T, dir string) {
			require.NoError(t, os.Chmod(filepath.Join(dir, "apps/hello/main.go"), 0o755))
			save(t, dir)
			require.NoError(t, os.Chmod(filepath.Join(dir, "apps/hello/main.go"), 0o644))
		}, []string{"changed apps/hello/main.go (no longer executable)"}},
		"another target of a link": {func(t *testing.T, dir string) {
			link := filepath.Join(dir, "apps/hello/link.go")
			require.NoError(t, os.Remove(link))
			require.NoError(t, os.Symlink("internal/a.go", link))
		}, []string{"changed apps/hello/link.go"}},
		"a file where the commit has a link": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "apps/hello/link.go")))
			write(t, dir, "apps/hello/link.go", "main.go") // as a checkout without links has it
		}, []string{"changed apps/hello/link.go (no longer a symbolic link)"}},
		"a link where the commit has a file": {func(t *testing.T, dir string) {
			file := filepath.Join(dir, "apps/hello/main.go")
			require.NoError(t, os.Remove(file))
			require.NoError(t, os.Symlink("x", file))
		}, []string{"changed apps/hello/main.go (now a symbolic link)"}},
		"removed": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "apps/hello/internal/a.go")))
		}, []string{"removed apps/hello/internal/a.go"}},
		"renamed": {func(t *testing.T, dir string) {
			require.NoError(t, os.Rename(filepath.Join(dir, "apps/hello/main.go"), filepath.Join(dir, "apps/hello/start.go")))
		}, []string{"removed apps/hello/main.go", "added apps/hello/start.go"}},
		"another case": {func(t *testing.T, dir string) {
			require.NoError(t, os.Rename(filepath.Join(dir, "apps/hello/main.go"), filepath.Join(dir, "apps/hello/Main.go")))
		}, []string{"added apps/hello/Main.go", "removed apps/hello/main.go"}},
		"a folder where the commit has a file": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "apps/hello/main.go")))
			write(t, dir, "apps/hello/main.go/x", "")
		}, []string{"removed apps/hello/main.go", "added apps/hello/main.go/x"}},
		"the whole app": {func(t *testing.T, dir string) {
			git(t, dir, "rm", "-rq", "--cached", "apps/hello")
			git(t, dir, "commit", "-qm", "without it")
		}, []string{"added apps/hello/internal/a.go", "added apps/hello/link.go", "added apps/hello/main.go"}},
		"empty folders": {func(t *testing.T, dir string) {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "apps/hello/empty/in/empty"), 0o755))
		}, nil},
		"another app, and what no delivery takes": {func(t *testing.T, dir string) {
			write(t, dir, "apps/other/main.go", "package other\n")
			write(t, dir, "gitops/apps/other/x.yaml", "")
			write(t, dir, "README.md", "")
			write(t, dir, "apps/hello2/main.go", "")
		}, nil},
		"the platform's files": {func(t *testing.T, dir string) {
			write(t, dir, "slipway.yaml", "registry: {repository: elsewhere}\n")
			write(t, dir, "infra/builtin/more.tf", "")
			write(t, dir, "gitops/apps/hello/base/deployment.yaml", "kind: Job\n")
		}, []string{"changed gitops/apps/hello/base/deployment.yaml", "added infra/builtin/more.tf", "changed slipway.yaml"}},
		"tracked, but never taken": {func(t *testing.T, dir string) {
			for _, name := range []string{"infra/builtin/.terraform/x/y", "infra/builtin/a.tfstate.backup", "infra/c.tfstate"} {
				write(t, dir, name, "{}")
			}
			save(t, dir)
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "infra/builtin/.terraform")))
			require.NoError(t, os.Remove(filepath.Join(dir, "infra/builtin/a.tfstate.backup")))
			write(t, dir, "infra/c.tfstate", "taken all the same")
		}, []string{"changed infra/c.tfstate"}},
		"Git LFS, the pointer": {func(t *testing.T, dir string) {
			write(t, dir, "apps/hello/model.bin", pointerText)
			save(t, dir)
		}, []string{"changed apps/hello/model.bin (Git LFS has the file, and the commit only a pointer to it)"}},
		"Git LFS, the file": {func(t *testing.T, dir string) {
			write(t, dir, "apps/hello/model.bin", pointerText)
			save(t, dir)
			write(t, dir, "apps/hello/model.bin", "the model")
		}, []string{"changed apps/hello/model.bin (Git LFS has the file, and the commit only a pointer to it)"}},
		"hostile names": {func(t *testing.T, dir string) {
			write(t, dir, "apps/hello/a b\n::error::x\x1b[31m", "")
			write(t, dir, "apps/hello/ünï.go", "package main\n")
			write(t, dir, "apps/hello/\xff", "")
		}, []string{`added "apps/hello/a b\n::error::x\x1b[31m"`, "added apps/hello/ünï.go", `added "apps/hello/\xff"`}},
		"a replaced commit": {func(t *testing.T, dir string) {
			before := git(t, dir, "rev-parse", "HEAD")
			write(t, dir, "apps/hello/main.go", "package main // other\n")
			save(t, dir)
			git(t, dir, "replace", before, "HEAD")
			git(t, dir, "update-ref", "refs/heads/main", before)
			require.Empty(t, git(t, dir, "status", "--porcelain"), "Git sees nothing")
		}, []string{"changed apps/hello/main.go"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := checkout(t)
			tc.change(t, dir)
			assert.Equal(t, tc.want, compare(t, dir))
		})
	}
}

func TestWhoHasMadeTheCommitIsNamed(t *testing.T) {
	dir := checkout(t)
	write(t, dir, "apps/hello/main.go", "package main // by four\n")
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "--author", "Ada <Ada@Acme.example>", "-m", "Subject\n\nCo-authored-by: Jo <jo@acme.example>\nco-authored-by: kim <kim@acme.example>\nReviewed-by: Lee <lee@acme.example>\n")
	result, err := commit.Compare(taken(dir))
	require.NoError(t, err)
	assert.Equal(t, []string{"ada@acme.example", "jo@acme.example", "kim@acme.example", "t@localhost"}, result.Authors)
}

func TestAtMostTwentyAreNamed(t *testing.T) {
	dir := checkout(t)
	for n := range 23 {
		write(t, dir, fmt.Sprintf("apps/hello/zz_%02d.go", n), "package main\n")
	}
	got := compare(t, dir)
	require.Len(t, got, commit.Most+1)
	assert.Equal(t, []string{"added apps/hello/zz_00.go", "added apps/hello/zz_19.go", "and 3 more"}, []string{got[0], got[19], got[20]})
}

// The files that are found agree with the tree ids of Git and of gittree.
func TestFilesAreThoseOfTheTree(t *testing.T) {
	dir := checkout(t)
	id, err := gittree.Hash(filepath.Join(dir, "apps/hello"))
	require.NoError(t, err)
	assert.Equal(t, git(t, dir, "rev-parse", "HEAD:apps/hello"), id.String())
	files, err := gittree.Files(dir, "apps/hello")
	require.NoError(t, err)
	var listed []string
	for name, f := range files {
		listed = append(listed, fmt.Sprintf("%o blob %s\t%s", uint32(f.Mode), f.ID, name))
	}
	assert.ElementsMatch(t, strings.Split(git(t, dir, "ls-tree", "-r", "HEAD", "apps/hello"), "\n"), listed)
}

// Every kind of checkout that has the objects of its head is as good as another.
func TestKindsOfCheckout(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir string) commit.Input{
		"detached": func(t *testing.T, dir string) commit.Input {
			git(t, dir, "checkout", "-q", "--detach")
			return taken(dir)
		},
		"packed": func(t *testing.T, dir string) commit.Input {
			git(t, dir, "gc", "-q")
			git(t, dir, "pack-refs", "--all")
			return taken(dir)
		},
		"shallow": func(t *testing.T, dir string) commit.Input {
			write(t, dir, "README.md", "second\n")
			save(t, dir)
			to := t.TempDir()
			git(t, to, "clone", "-q", "--depth=1", "file://"+dir, ".")
			return taken(to)
		},
		"borrowing what it does not need": func(t *testing.T, dir string) commit.Input {
			to := t.TempDir()
			git(t, to, "clone", "-q", "--shared", dir, ".")
			git(t, to, "repack", "-q", "-a", "-d")
			return taken(to)
		},
		"without blobs": func(t *testing.T, dir string) commit.Input {
			git(t, dir, "config", "uploadpack.allowFilter", "true")
			to := t.TempDir()
			git(t, to, "clone", "-q", "--filter=blob:none", "file://"+dir, ".")
			return taken(to)
		},
		"a linked worktree with its repository": func(t *testing.T, dir string) commit.Input {
			to := filepath.Join(t.TempDir(), "linked")
			git(t, dir, "worktree", "add", "-q", "-b", "other", to)
			// The repository's own checkout goes on.
			write(t, dir, "apps/hello/main.go", "package main // later\n")
			save(t, dir)
			in := taken(to)
			in.Repository = dir
			return in
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := change(t, checkout(t))
			result, err := commit.Compare(in)
			require.NoError(t, err)
			assert.Equal(t, build.Compared{Commit: git(t, in.Source, "rev-parse", "HEAD"), Authors: []string{"t@localhost"}}, result)

			write(t, in.Source, "apps/hello/zz_local.go", "package main\n")
			write(t, in.Source, "apps/hello/main.go", "package main // other\n")
			result, err = commit.Compare(in)
			require.NoError(t, err)
			assert.Equal(t, []string{"changed apps/hello/main.go", "added apps/hello/zz_local.go"}, result.Uncommitted)
		})
	}
}

func TestAWholeRepositoryIsCompared(t *testing.T) {
	whole := func(dir string) []string {
		in := taken(dir)
		in.Paths = []string{"."}
		result, err := commit.Compare(in)
		require.NoError(t, err)
		return result.Uncommitted
	}
	dir := checkout(t)
	assert.Empty(t, whole(dir), "its own .git is no part of it")
	write(t, dir, "main.go", "package main\n")
	write(t, dir, "apps/other/main.go", "package other\n")
	require.NoError(t, os.Remove(filepath.Join(dir, ".gitignore")))
	assert.Equal(t, []string{"removed .gitignore", "changed apps/other/main.go", "added main.go"}, whole(dir))

	git(t, dir, "init", "-q", "vendored")
	in := taken(dir)
	in.Paths = []string{"."}
	_, err := commit.Compare(in)
	require.ErrorContains(t, err, "vendored: is a repository of its own")

	t.Run("from a linked worktree", func(t *testing.T) {
		dir := checkout(t)
		linked := filepath.Join(t.TempDir(), "linked")
		git(t, dir, "worktree", "add", "-q", linked)
		result, err := commit.Compare(commit.Input{Repository: dir, Source: linked, Paths: []string{"."}})
		require.NoError(t, err)
		assert.Empty(t, result.Uncommitted)
	})
}

func TestWhatDiffersFromAnotherCommit(t *testing.T) {
	dir := checkout(t)
	before := git(t, dir, "rev-parse", "HEAD")
	write(t, dir, "apps/hello/more.go", "package main\n")
	write(t, dir, "apps/hello2/main.go", "package main\n")
	save(t, dir)
	since := func(id string) (build.Compared, error) {
		return commit.Compare(commit.Input{Repository: dir, Source: dir, Since: id, Paths: []string{"apps/hello", "apps/hello2", "apps/other"}})
	}
	result, err := since(before)
	require.NoError(t, err)
	assert.Equal(t, before, result.Commit)
	assert.Equal(t, []string{"apps/hello", "apps/hello2"}, result.Changed)
	assert.Equal(t, []string{"added apps/hello/more.go", "added apps/hello2/main.go"}, result.Uncommitted)
	result, err = since(git(t, dir, "rev-parse", "HEAD"))
	require.NoError(t, err)
	assert.Empty(t, result.Changed)
	write(t, dir, "apps/other/main.go", "package changed\n")
	result, err = since("")
	require.NoError(t, err)
	assert.Equal(t, []string{"apps/other"}, result.Changed, "what nobody has committed counts as well")

	for id, reason := range map[string]string{
		"main": "is no commit's id", before[:12]: "is no commit's id", "--" + before[:38]: "is no commit's id", strings.ToUpper(before): "is no commit's id",
		strings.Repeat("1", 40): "is no commit of the checkout", git(t, dir, "rev-parse", "HEAD^{tree}"): "is no commit of the checkout",
	} {
		_, err := since(id)
		f := steptest.Refused(t, err)
		assert.Equal(t, step.KindInput, f.Kind, id)
		assert.Equal(t, reason, f.Reason, id)
		assert.NotEmpty(t, f.Mend)
	}
}
