package gitserver

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serve starts a Git remote over dir and returns the repository's URL.
func serve(t *testing.T, dir string) string {
	t.Helper()
	handler, err := New(t.Context(), dir, false)
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/" + Repository
}

// git runs git and requires that it passes.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := Run(t.Context(), dir, args...)
	require.NoError(t, err)
	return strings.TrimSpace(out)
}

// clone clones url and sets an author.
func clone(t *testing.T, url string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	git(t, "", "clone", "--quiet", url, dir)
	git(t, dir, "config", "user.name", "Test")
	git(t, dir, "config", "user.email", "test@localhost")
	return dir
}

// commit writes a file and commits it.
func commit(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o644))
	git(t, dir, "add", "--", name)
	git(t, dir, "commit", "--quiet", "--message=Add "+name)
}

// tree makes a small GitOps tree.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "apps", "hello"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "apps", "hello", "kustomization.yaml"), []byte("resources: []\n"), 0o644))
	return dir
}

func TestCloneAndPush(t *testing.T) {
	data := t.TempDir()
	url := serve(t, data)
	first := clone(t, url)
	assert.Equal(t, "refs/heads/main", git(t, first, "symbolic-ref", "HEAD"))
	commit(t, first, "one", []byte("1\n"))
	git(t, first, "push", "--quiet", "origin", "main")

	// What was pushed outlives the server.
	second := clone(t, serve(t, data))
	content, err := os.ReadFile(filepath.Join(second, "one"))
	require.NoError(t, err)
	assert.Equal(t, "1\n", string(content))
}

// Above http.postBuffer, 1 MiB, git sends a push as a chunked body.
func TestLargePushIsChunked(t *testing.T) {
	url := serve(t, t.TempDir())
	dir := clone(t, url)
	content := make([]byte, 3<<20)
	_, err := rand.Read(content)
	require.NoError(t, err)
	commit(t, dir, "large", content)
	git(t, dir, "push", "--quiet", "origin", "main")
	got, err := os.ReadFile(filepath.Join(clone(t, url), "large"))
	require.NoError(t, err)
	assert.True(t, bytes.Equal(content, got))
}

func TestProtocolVersion2(t *testing.T) {
	url := serve(t, t.TempDir())
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/info/refs?service=git-upload-pack", nil)
	require.NoError(t, err)
	request.Header.Set("Git-Protocol", "version=2")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(response.Body)
	require.NoError(t, err)
	assert.Equal(t, "application/x-git-upload-pack-advertisement", response.Header.Get("Content-Type"))
	assert.Contains(t, body.String(), "version 2")
}

// Everyone pushes to the same branch at once, re-fetching after a lost race.
func TestConcurrentPushesAllLand(t *testing.T) {
	const pushers = 5
	url := serve(t, t.TempDir())
	_, err := Seed(t.Context(), Remote{URL: url}, tree(t), "gitops")
	require.NoError(t, err)
	dirs := make([]string, pushers)
	for i := range dirs {
		dirs[i] = clone(t, url)
		commit(t, dirs[i], fmt.Sprintf("file-%d", i), []byte("x\n"))
	}
	var group sync.WaitGroup
	failures := make(chan error, pushers)
	for _, dir := range dirs {
		group.Go(func() {
			// Each lost race means that another landed: pushers tries do.
			for range pushers {
				if _, err := Run(t.Context(), dir, "push", "--quiet", "origin", "main"); err == nil {
					return
				}
				if _, err := Run(t.Context(), dir, "pull", "--quiet", "--rebase", "origin", "main"); err != nil {
					failures <- err
					return
				}
			}
			failures <- fmt.Errorf("%s did not land", dir)
		})
	}
	group.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	last := clone(t, url)
	assert.Equal(t, fmt.Sprint(pushers+1), git(t, last, "rev-list", "--count", "HEAD"))
	git(t, last, "fsck", "--strict")
}

func TestHistoryIsNeitherRewrittenNorDeleted(t *testing.T) {
	url := serve(t, t.TempDir())
	_, err := Seed(t.Context(), Remote{URL: url}, tree(t), "gitops")
	require.NoError(t, err)
	dir := clone(t, url)
	head := git(t, dir, "rev-parse", "HEAD")
	git(t, dir, "commit", "--quiet", "--amend", "--message=Rewritten")
	_, err = Run(t.Context(), dir, "push", "--force", "origin", "main")
	require.ErrorContains(t, err, "non-fast-forward")
	_, err = Run(t.Context(), dir, "push", "origin", ":main")
	require.ErrorContains(t, err, "deletion prohibited")
	assert.Equal(t, head+"\trefs/heads/main", git(t, "", "ls-remote", url, "refs/heads/main"))
}

func TestPushRefusedByAHookReachesTheClient(t *testing.T) {
	data := t.TempDir()
	url := serve(t, data)
	hook := "#!/bin/sh\necho protected by its owner >&2\nexit 1\n"
	require.NoError(t, os.MkdirAll(filepath.Join(data, Repository, "hooks"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(data, Repository, "hooks", "pre-receive"), []byte(hook), 0o755))
	dir := clone(t, url)
	commit(t, dir, "one", []byte("1\n"))
	_, err := Run(t.Context(), dir, "push", "origin", "main")
	require.ErrorContains(t, err, "protected by its owner")
	assert.Empty(t, git(t, "", "ls-remote", url))
}

func TestOtherPathsAreNotFound(t *testing.T) {
	server := strings.TrimSuffix(serve(t, t.TempDir()), "/"+Repository)
	for _, path := range []string{"/", "/other.git/info/refs", "/gitops.gitx/HEAD", "/gitops.git/..%2f..%2fetc/passwd"} {
		response, err := http.Get(server + path)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, http.StatusNotFound, response.StatusCode, path)
	}
}

// program writes an executable that stands for http-backend.
func program(t *testing.T, script string) *handler {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "backend")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755))
	return &handler{backend: path, root: dir, search: os.Getenv("PATH"), timeout: time.Minute}
}

func TestHangingBackendIsEnded(t *testing.T) {
	h := program(t, "exec sleep 600\n")
	h.timeout = 50 * time.Millisecond
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+Repository+"/info/refs", nil))
	assert.Equal(t, http.StatusGatewayTimeout, w.Code)
	assert.Contains(t, w.Body.String(), "http-backend failed")
}

func TestBackendThatFailsHalfwayBreaksTheConnection(t *testing.T) {
	h := program(t, "printf 'Content-Type: text/plain\\r\\n\\r\\nhalf'\nexit 1\n")
	server := httptest.NewServer(h)
	defer server.Close()
	response, err := http.Get(server.URL + "/" + Repository + "/HEAD")
	if err == nil {
		_, err = new(bytes.Buffer).ReadFrom(response.Body)
		response.Body.Close()
	}
	assert.Error(t, err, "a cut answer looks whole")
}

func TestBackendThatSaysNothing(t *testing.T) {
	h := program(t, "echo broken >&2\nexit 3\n")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+Repository+"/HEAD", nil))
	assert.Equal(t, http.StatusInternalServerError, w.Code)
	assert.NotContains(t, w.Body.String(), "broken")
}

func TestSeedOnlyOnce(t *testing.T) {
	url := serve(t, t.TempDir())
	source := tree(t)
	first, err := Seed(t.Context(), Remote{URL: url}, source, "gitops")
	require.NoError(t, err)
	assert.True(t, first.Seeded)
	assert.Equal(t, first.Commit+"\trefs/heads/main", git(t, "", "ls-remote", url, "refs/heads/main"))
	content, err := os.ReadFile(filepath.Join(clone(t, url), "gitops", "apps", "hello", "kustomization.yaml"))
	require.NoError(t, err)
	assert.Equal(t, "resources: []\n", string(content))

	require.NoError(t, os.WriteFile(filepath.Join(source, "new"), nil, 0o644))
	second, err := Seed(t.Context(), Remote{URL: url}, source, "gitops")
	require.NoError(t, err)
	assert.Equal(t, Seeded{Seeded: false, Commit: first.Commit}, second)
}

func TestConcurrentSeedsMakeOneCommit(t *testing.T) {
	url := serve(t, t.TempDir())
	source := tree(t)
	results := make([]Seeded, 4)
	errs := make([]error, len(results))
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() { results[i], errs[i] = Seed(t.Context(), Remote{URL: url}, source, "gitops") })
	}
	group.Wait()
	commit, _, _ := strings.Cut(git(t, "", "ls-remote", url, "refs/heads/main"), "\t")
	for i, s := range results {
		require.NoError(t, errs[i])
		assert.Equal(t, commit, s.Commit)
	}
	assert.Equal(t, "1", git(t, clone(t, url), "rev-list", "--count", "HEAD"))
}

func TestSeedRefusals(t *testing.T) {
	url := serve(t, t.TempDir())
	_, err := Seed(t.Context(), Remote{URL: url}, filepath.Join(t.TempDir(), "absent"), "gitops")
	require.ErrorContains(t, err, "absent")
	_, err = Seed(t.Context(), Remote{URL: url}, tree(t), "../outside")
	require.ErrorContains(t, err, `"../outside" is not a folder inside a repository`)
	_, err = Seed(t.Context(), Remote{URL: strings.Replace(url, Repository, "other.git", 1)}, tree(t), "gitops")
	require.ErrorContains(t, err, "other.git")
	assert.Empty(t, git(t, "", "ls-remote", url))
}

func TestUpdateBringsTheTreeAndKeepsReleasedDigests(t *testing.T) {
	url := serve(t, t.TempDir())
	source := t.TempDir()
	overlay := filepath.Join("apps", "hello", "overlays", "dev", "kustomization.yaml")
	write := func(dir, name, content string) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	digest := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	write(source, overlay, "replicas: 1\nimages:\n  - name: hello\n    digest: "+digest("0")+"\n")
	write(source, "old.yaml", "a: b\n")
	first, err := Update(t.Context(), Remote{URL: url}, source, "gitops")
	require.NoError(t, err)
	assert.True(t, first.Seeded)

	released := clone(t, url)
	write(filepath.Join(released, "gitops"), overlay, "replicas: 1\nimages:\n  - name: hello\n    digest: "+digest("a")+"\n")
	git(t, released, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--all", "--message=Release")
	git(t, released, "push", "--quiet", "origin", "HEAD:refs/heads/main")

	write(source, overlay, "replicas: 2\nimages:\n  - name: hello\n    digest: "+digest("0")+"\n")
	write(source, "new.yaml", "c: d\n")
	require.NoError(t, os.Remove(filepath.Join(source, "old.yaml")))
	second, err := Update(t.Context(), Remote{URL: url}, source, "gitops")
	require.NoError(t, err)
	assert.True(t, second.Seeded)
	after := clone(t, url)
	content, err := os.ReadFile(filepath.Join(after, "gitops", overlay))
	require.NoError(t, err)
	assert.Equal(t, "replicas: 2\nimages:\n  - name: hello\n    digest: "+digest("a")+"\n", string(content))
	assert.FileExists(t, filepath.Join(after, "gitops", "new.yaml"))
	assert.NoFileExists(t, filepath.Join(after, "gitops", "old.yaml"))
	assert.Equal(t, "3", git(t, after, "rev-list", "--count", "HEAD"))

	third, err := Update(t.Context(), Remote{URL: url}, source, "gitops")
	require.NoError(t, err)
	assert.Equal(t, Seeded{Seeded: false, Commit: second.Commit}, third)
}
