package gittree

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

// gitTree asks the real git for the tree id of dir.
func gitTree(t *testing.T, dir string) plumbing.Hash {
	t.Helper()
	gitDir := t.TempDir()
	run := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"--git-dir=" + gitDir, "--work-tree=" + dir}, args...)...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1", "HOME=" + gitDir}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "git %v: %s", args, out)
		return strings.TrimSpace(string(out))
	}
	run("init", "-q")
	run("-c", "core.autocrlf=false", "add", "-A", "-f", ".")
	return plumbing.NewHash(run("write-tree"))
}

func write(t *testing.T, dir, name, content string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), mode))
	require.NoError(t, os.Chmod(path, mode))
}

func TestHashIsGitsTreeID(t *testing.T) {
	dir := t.TempDir()
	// foo.go sorts before foo/ in Git though "foo" < "foo.go": the folder
	// compares as "foo/".
	write(t, dir, "foo.go", "package foo\n", 0o644)
	write(t, dir, "foo/bar.go", "package foo\n", 0o644)
	write(t, dir, "foo-bar", "", 0o600)
	write(t, dir, "foo0", "\x00\xff", 0o666)
	write(t, dir, "run", "#!/bin/true\n", 0o755)
	write(t, dir, "group-exec", "x", 0o654)
	write(t, dir, "ünï/ code", "x\r\n", 0o644)
	write(t, dir, "a/b/c/d", strings.Repeat("long\n", 100_000), 0o700)
	require.NoError(t, os.Symlink("../nowhere", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("foo", filepath.Join(dir, "dirlink")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "empty/in/empty"), 0o755))

	got, err := Hash(dir)
	require.NoError(t, err)
	assert.Equal(t, gitTree(t, dir), got)
}

func TestHashOfKnownTree(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "hello.txt", "hello\n", 0o644)
	assert.Equal(t, "ce013625030ba8dba906f756967f9e9ca394464a", Blob([]byte("hello\n")).String(), "git hash-object's documented example")
	got, err := Hash(dir)
	require.NoError(t, err)
	assert.Equal(t, gitTree(t, dir), got)
}

func TestHashIgnoresTimesAndTheTopRepository(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "1", 0o644)
	before, err := Hash(dir)
	require.NoError(t, err)

	require.NoError(t, os.Chtimes(filepath.Join(dir, "a"), time.Unix(1, 0), time.Unix(1, 0)))
	write(t, dir, ".git/HEAD", "ref: refs/heads/main\n", 0o644)
	after, err := Hash(dir)
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

func TestHashSeesEveryChangeThatGitSees(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", "1", 0o644)
	seen := map[plumbing.Hash]string{}
	check := func(what string) {
		id, err := Hash(dir)
		require.NoError(t, err)
		assert.NotContains(t, seen, id, what)
		seen[id] = what
	}
	check("start")
	write(t, dir, "a", "2", 0o644)
	check("content")
	write(t, dir, "a", "2", 0o755)
	check("executable bit")
	require.NoError(t, os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	check("name")
	require.NoError(t, os.Symlink("b", filepath.Join(dir, "a")))
	check("link")
}

func TestHashRefuses(t *testing.T) {
	empty := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(empty, "sub"), 0o755))
	nested := t.TempDir()
	write(t, nested, "lib/.git", "gitdir: ../.git/modules/lib\n", 0o644)
	special := t.TempDir()
	socket, err := net.Listen("unix", filepath.Join(special, "s"))
	require.NoError(t, err)
	defer socket.Close()
	file := filepath.Join(nested, "lib/.git")

	for name, tc := range map[string]struct{ dir, reason string }{
		"missing":           {filepath.Join(empty, "nope"), "can't be read"},
		"no folder":         {file, "is not a folder"},
		"no file":           {empty, "holds no file"},
		"nested repository": {nested, "is a repository inside the app"},
		"socket":            {special, "is neither a file, a folder nor a symbolic link"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Hash(tc.dir)
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, "build", f.Stage)
			assert.Equal(t, tc.reason, f.Reason)
			assert.NotEmpty(t, f.Mend)
		})
	}
}

// FuzzHash holds the hash against git's for names and contents of any kind.
func FuzzHash(f *testing.F) {
	f.Add("a", "b", []byte("content"), true)
	f.Add("foo", "foo.x", []byte{}, false)
	f.Add("foo-", "foo", []byte("\r\n"), false)
	f.Fuzz(func(t *testing.T, folder, file string, content []byte, executable bool) {
		for _, name := range []string{folder, file} {
			if !usable(name) {
				return
			}
		}
		dir := t.TempDir()
		mode := os.FileMode(0o644)
		if executable {
			mode = 0o755
		}
		write(t, dir, filepath.Join(folder, "x"), string(content), mode)
		if folder != file {
			write(t, dir, file, string(content), mode)
		}
		got, err := Hash(dir)
		require.NoError(t, err)
		assert.Equal(t, gitTree(t, dir), got)
	})
}

// usable leaves out what no file may be called, and what Git keeps to itself
// (any spelling of .git) or treats as instructions (.gitattributes).
func usable(name string) bool {
	return name != "" && name != "." && name != ".." && len(name) < 100 &&
		!strings.ContainsAny(name, "/\x00") && !strings.Contains(strings.ToLower(name), "git")
}
