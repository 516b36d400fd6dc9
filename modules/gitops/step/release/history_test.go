package release

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/gitops/step/internal/githost"
	"slipway/step"
	"slipway/step/result/gitops"
)

const prodFile = "apps/hello/overlays/production/kustomization.yaml"

// with is the sample overlay with another digest.
func with(digest string) string {
	return strings.Replace(githost.Kustomization, githost.Unset, digest, 1)
}

// releaseTo makes one release and returns its commit.
func releaseTo(t *testing.T, host *githost.Host, change func(*Request)) string {
	t.Helper()
	q := request(sum(1))
	change(&q)
	result, err := releaser(t, host, nil).Release(t.Context(), q)
	require.NoError(t, err)
	require.True(t, result.Created)
	return result.Commit
}

func releaseOf(t *testing.T, host *githost.Host, n int) string {
	t.Helper()
	return releaseTo(t, host, func(q *Request) { q.Digest, q.SourceRevision = sum(n), fmt.Sprintf("rev%d", n) })
}

func history(t *testing.T, host *githost.Host, limit int) []gitops.Entry {
	t.Helper()
	history, err := History(t.Context(), releaser(t, host, nil).Remote, ".", "hello", "dev", "", limit)
	require.NoError(t, err)
	return history.Releases
}

func commits(entries []gitops.Entry) []string {
	var list []string
	for _, e := range entries {
		list = append(list, e.Commit)
	}
	return list
}

func TestHistoryBeforeTheFirstReleaseIsAnEmptyList(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	entries := history(t, host, 50)
	assert.NotNil(t, entries, "[] in JSON, not null")
	assert.Empty(t, entries)
}

func TestHistoryAcrossUnrelatedCommits(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	first := releaseOf(t, host, 1)
	host.Commit("Elsewhere", map[string]string{"README": "1"})
	releaseTo(t, host, func(q *Request) { q.Env, q.Digest = "production", sum(1) })
	host.Commit("A comment", map[string]string{devFile: "# moved\n" + with(sum(1))})
	hand := host.Commit("By\thand\x1b[31m", map[string]string{devFile: with(sum(2))})
	host.Commit("Take it away", map[string]string{devFile: githost.Kustomization})
	host.Commit("Break it", map[string]string{devFile: "images: ["})
	again := host.Commit("Mend it", map[string]string{devFile: with(sum(2))})
	last := releaseOf(t, host, 3)
	host.Commit("Later", map[string]string{"README": "2"})

	entries := history(t, host, 50)
	require.Equal(t, []string{last, again, hand, first}, commits(entries))
	assert.Equal(t, gitops.Entry{
		Digest: sum(3), Repository: "localhost:5000/hello", Commit: last,
		Author: "Slipway", Email: "slipway@example.com", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Subject: "Release hello to dev", SourceRevision: "rev3",
	}, entries[0])
	assert.Equal(t, "Tester", entries[2].Author)
	assert.Equal(t, `By hand\x1b[31m`, entries[2].Subject, "nothing that a terminal would obey")
	assert.Equal(t, sum(2), entries[2].Digest)
	assert.Empty(t, entries[2].SourceRevision)

	assert.Equal(t, []string{last, again}, commits(history(t, host, 2)))
	setter, err := LastSet(t.Context(), releaser(t, host, nil).Remote, devFile, "")
	require.NoError(t, err)
	assert.Equal(t, last, setter.Commit, "show and history name one commit")
}

// tree is the tree of the branch's head with one file replaced, made without
// a work tree.
func tree(t *testing.T, host *githost.Host, digest string) string {
	t.Helper()
	head := host.Git("rev-parse", "main")
	made := host.Commit("scratch", map[string]string{devFile: with(digest)})
	host.Git("update-ref", "refs/heads/main", head)
	return host.Git("rev-parse", made+"^{tree}")
}

func TestHistoryAcrossAMerge(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	first := releaseOf(t, host, 1)
	second := tree(t, host, sum(2))
	third := tree(t, host, sum(3))
	// A branch that released twice; main went on beside it.
	early := host.Git("commit-tree", second, "-p", first, "-m", "Release on the branch")
	side := host.Git("commit-tree", third, "-p", early, "-m", "Release on the branch again\n\nImage-Digest: "+sum(3)+"\nSource-Revision: side\n")
	after := host.Git("commit-tree", third, "-p", side, "-m", "Later on the branch")
	main := host.Commit("Beside", map[string]string{"README": "1"})
	merge := host.Git("commit-tree", third, "-p", main, "-p", after, "-m", "Merge")
	host.Git("update-ref", "refs/heads/main", merge)

	entries := history(t, host, 50)
	assert.Equal(t, []string{side, first}, commits(entries), "what the branch brought, by the commit that made it")
	assert.Equal(t, "side", entries[0].SourceRevision)
	setter, err := LastSet(t.Context(), releaser(t, host, nil).Remote, devFile, "")
	require.NoError(t, err)
	assert.Equal(t, side, setter.Commit)

	// A merge that decides for itself is its own release.
	own := host.Git("commit-tree", tree(t, host, sum(4)), "-p", merge, "-p", early, "-m", "Merge, and decide")
	host.Git("update-ref", "refs/heads/main", own)
	assert.Equal(t, []string{own, side, first}, commits(history(t, host, 50)))
}

func TestHistoryLooksPastTheFirstCommits(t *testing.T) {
	depths := 0
	host := githost.Start(t, githost.Sample("", nil), func(git http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
				depths++
			}
			git.ServeHTTP(w, r)
		})
	})
	first := releaseOf(t, host, 1)
	at, same := first, host.Git("rev-parse", "main^{tree}")
	for i := range 60 {
		at = host.Git("commit-tree", same, "-p", at, "-m", fmt.Sprint(i))
	}
	host.Git("update-ref", "refs/heads/main", at)
	second := releaseOf(t, host, 2)

	depths = 0
	assert.Equal(t, []string{second}, commits(history(t, host, 1)))
	assert.Equal(t, 1, depths, "no deeper than needed")
	depths = 0
	assert.Equal(t, []string{second, first}, commits(history(t, host, 50)))
	assert.Equal(t, 2, depths)
}

func TestHistoryTellsPromotionsAndRollbacks(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	releaseTo(t, host, func(q *Request) { q.Env, q.Digest = "production", sum(1) })
	first := releaseTo(t, host, func(q *Request) { q.Digest, q.From = sum(1), "production" })
	second := releaseOf(t, host, 2)
	back := releaseTo(t, host, func(q *Request) { q.Digest, q.RollbackOf = sum(1), second })
	// A person's own revert, as git-revert(1) says it.
	person := host.Commit(fmt.Sprintf("Revert \"Roll back hello in dev\"\n\nThis reverts commit %s.", back), map[string]string{devFile: with(sum(2))})

	entries := history(t, host, 50)
	require.Equal(t, []string{person, back, second, first}, commits(entries))
	assert.Equal(t, []string{back, second, "", ""}, []string{entries[0].Reverts, entries[1].Reverts, entries[2].Reverts, entries[3].Reverts})
	assert.Equal(t, "production", entries[3].PromotedFrom)
	assert.Equal(t, "Promote hello from production to dev", entries[3].Subject)
	assert.Equal(t, sum(1), entries[1].Digest)
}

func TestHistoryFollowsAMovedRepository(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	first := releaseOf(t, host, 1)
	moved := strings.Replace(with(sum(1)), "    digest:", "    newName: mirror.example/hello\n    digest:", 1)
	host.Commit("Move to the mirror", map[string]string{devFile: moved})
	second := host.Commit("Release there", map[string]string{devFile: strings.Replace(moved, sum(1), sum(2), 1)})
	entries := history(t, host, 50)
	require.Equal(t, []string{second, first}, commits(entries))
	assert.Equal(t, "mirror.example/hello", entries[0].Repository)
	assert.Equal(t, "localhost:5000/hello", entries[1].Repository)
}

func TestHistoryRefuses(t *testing.T) {
	two := "resources: [../../base]\nimages:\n  - name: localhost:5000/hello\n    digest: " + sum(1) + "\n  - name: localhost:5000/proxy\n    digest: " + sum(2) + "\n"
	host := githost.Start(t, githost.Sample("", map[string]string{"apps/hello/overlays/two/kustomization.yaml": two}), nil)
	for name, c := range map[string]struct {
		root, app, env, repository string
		limit                      int
		input, reason              string
	}{
		"unknown app":        {".", "nope", "dev", "", 50, "apps/nope/overlays/dev", "does not exist"},
		"unknown env":        {".", "hello", "qa", "", 50, "apps/hello/overlays/qa", "does not exist"},
		"unknown root":       {"gitops", "hello", "dev", "", 50, "root gitops", "not a folder"},
		"a hostile app":      {".", "../x", "dev", "", 50, "app", "not a valid name"},
		"a hostile root":     {"../x", "hello", "dev", "", 50, "root", "not a clean path"},
		"two entries":        {".", "hello", "two", "", 50, "overlays/two", "has 2 images entries"},
		"another repository": {".", "hello", "dev", "localhost:5000/other", 50, devFile, "no images entry"},
		"a bad repository":   {".", "hello", "dev", "hello:v1", 50, "repository", "not an image repository"},
		"no limit":           {".", "hello", "dev", "", 0, "limit 0", "out of range"},
		"a huge limit":       {".", "hello", "dev", "", MaxHistory + 1, "limit", "out of range"},
	} {
		t.Run(name, func(t *testing.T) {
			history, err := History(t.Context(), releaser(t, host, nil).Remote, c.root, c.app, c.env, c.repository, c.limit)
			fault := faultOf(t, err)
			assert.Nil(t, history)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Contains(t, fault.Input, c.input)
			assert.Contains(t, fault.Reason, c.reason)
		})
	}
	history, err := History(t.Context(), releaser(t, host, nil).Remote, ".", "hello", "two", "localhost:5000/proxy", 50)
	require.NoError(t, err)
	require.Len(t, history.Releases, 1)
	assert.Equal(t, sum(2), history.Releases[0].Digest)
}

func TestShow(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	from := releaser(t, host, nil).Remote
	state, err := Show(t.Context(), from, "main", ".", "hello", "dev", "")
	require.NoError(t, err)
	first := host.Git("rev-parse", "main")
	assert.Equal(t, &gitops.State{App: "hello", Env: "dev", Repository: "localhost:5000/hello", Digest: githost.Unset, Commit: first, Head: first, Path: devFile, Branch: "main"}, state)

	commit := releaseOf(t, host, 1)
	head := releaseTo(t, host, func(q *Request) { q.Env = "production" })
	state, err = Show(t.Context(), from, "main", ".", "hello", "dev", "localhost:5000/hello")
	require.NoError(t, err)
	assert.Equal(t, &gitops.State{App: "hello", Env: "dev", Repository: "localhost:5000/hello", Digest: sum(1), Released: true, Commit: commit, Head: head, Path: devFile, Branch: "main"}, state)

	for name, c := range map[string]struct{ root, app, env, repository, input, reason string }{
		"unknown app":        {".", "nope", "dev", "", "apps/nope/overlays/dev", "does not exist"},
		"unknown root":       {"gitops", "hello", "dev", "", "root gitops", "not a folder"},
		"a hostile app":      {".", "../x", "dev", "", "app", "not a valid name"},
		"a hostile root":     {"../x", "hello", "dev", "", "root", "not a clean path"},
		"another repository": {".", "hello", "dev", "localhost:5000/other", devFile, "no images entry"},
		"a bad repository":   {".", "hello", "dev", "hello:v1", "repository", "not an image repository"},
	} {
		state, err := Show(t.Context(), from, "main", c.root, c.app, c.env, c.repository)
		fault := faultOf(t, err)
		assert.Nil(t, state, name)
		assert.Equal(t, step.KindInput, fault.Kind, name)
		assert.Contains(t, fault.Input, c.input, name)
		assert.Contains(t, fault.Reason, c.reason, name)
	}
}
