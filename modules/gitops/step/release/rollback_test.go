package release

import (
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/gitops/step/internal/githost"
	"slipway/step"
	"slipway/step/result/gitops"
)

// The message of a plain release is read by others: it stays as it is.
func TestMessages(t *testing.T) {
	q := request(sum(7))
	assert.Equal(t, "Release hello to dev\n\nhello in dev now runs localhost:5000/hello@"+sum(7)+".\n\n"+
		"App: hello\nEnvironment: dev\nImage-Digest: "+sum(7)+"\nSource-Revision: abc\n", q.Message())
	explicit := q
	explicit.Kind = KindRelease
	assert.Equal(t, q.Message(), explicit.Message())

	promotion := q
	promotion.Env, promotion.From = "production", "dev"
	assert.Equal(t, "Promote hello from dev to production\n\nhello in production now runs localhost:5000/hello@"+sum(7)+", as dev does.\n\n"+
		"App: hello\nEnvironment: production\nImage-Digest: "+sum(7)+"\nSource-Revision: abc\nPromoted-From: dev\n", promotion.Message())

	commit := strings.Repeat("ab", 20)
	rollback := q
	rollback.RollbackOf = commit
	assert.Equal(t, "Roll back hello in dev\n\nhello in dev runs localhost:5000/hello@"+sum(7)+" again.\n\nThis reverts commit "+commit+".\n\n"+
		"App: hello\nEnvironment: dev\nImage-Digest: "+sum(7)+"\nSource-Revision: abc\nReverts: "+commit+"\n", rollback.Message())

	decided := q
	decided.Evidence = sum(8)
	assert.Equal(t, q.Message()+"Slipway-Evidence: "+sum(8)+"\n", decided.Message())

	for _, q := range []Request{q, promotion, rollback, decided} {
		parse := exec.Command("git", "interpret-trailers", "--parse")
		parse.Stdin = strings.NewReader(q.Message())
		trailers, err := parse.Output()
		require.NoError(t, err)
		assert.True(t, strings.HasSuffix(q.Message(), "\n\n"+string(trailers)))
		said := readMessage(q.Message())
		assert.Equal(t, []string{q.Digest, q.SourceRevision, q.From, q.RollbackOf, q.Evidence}, []string{said.digest, said.revision, said.from, said.reverts, said.evidence})
	}
}

func TestReadMessageLeavesOutWhatIsNotValid(t *testing.T) {
	commit := strings.Repeat("ab", 20)
	for name, c := range map[string]struct {
		message string
		want    said
	}{
		"nothing":           {"", said{}},
		"a subject alone":   {"Source-Revision: abc", said{subject: "Source-Revision: abc"}},
		"not the last part": {"S\n\nSource-Revision: abc\n\nBye\n", said{subject: "S"}},
		"DOS lines":         {"S\r\n\r\nSource-Revision: abc\r\n", said{subject: "S", revision: "abc"}},
		"a hostile value":   {"S\n\nSource-Revision: a b\nReverts: ../x\nPromoted-From: A/b\n", said{subject: "S"}},
		"git-revert":        {"Revert \"S\"\n\nThis reverts commit " + commit + ".\n", said{subject: "Revert \"S\"", reverts: commit}},
		"a merge's revert":  {"Revert \"S\"\n\nThis reverts commit " + commit + ", reversing\nchanges made to " + strings.Repeat("cd", 20) + ".\n", said{subject: "Revert \"S\"", reverts: commit}},
		"evidence":          {"S\n\nSlipway-Evidence: " + sum(8) + "\n", said{subject: "S", evidence: sum(8)}},
		"no evidence":       {"S\n\nSlipway-Evidence: sha256:8\n", said{subject: "S"}},
		"others' trailers":  {"S\n\nSource-Revision: abc\nSigned-off-by: A <a@example.com>\n", said{subject: "S", revision: "abc"}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, readMessage(c.message)) })
	}
}

func TestRollbackPutsTheEarlierDigestBack(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	releaseOf(t, host, 1)
	bad := releaseOf(t, host, 2)
	host.Commit("Elsewhere", map[string]string{"README": "1", devFile: "# a comment\n" + with(sum(2))})

	q := request(sum(1))
	q.RollbackOf, q.SourceRevision = bad, ""
	result, err := releaser(t, host, nil).Release(t.Context(), q)
	require.NoError(t, err)
	assert.True(t, result.Created)
	assert.Equal(t, host.Git("rev-parse", "main"), result.Commit)
	assert.Equal(t, "5", host.Git("rev-list", "--count", "main"), "on top: nothing is taken out of the history")
	assert.Equal(t, strings.TrimSpace("# a comment\n"+with(sum(1))), host.Git("show", "main:"+devFile))
	message := host.Git("show", "-s", "--format=%B", "main")
	assert.Contains(t, message, "This reverts commit "+bad+".")
	assert.Contains(t, message, "Source-Revision: rev1", "as the earlier release says")

	again, err := releaser(t, host, nil).Release(t.Context(), q)
	require.NoError(t, err)
	assert.False(t, again.Created)
	assert.Equal(t, result.Commit, again.Commit)
	assert.Equal(t, "5", host.Git("rev-list", "--count", "main"))

	// A rollback can be taken back like any release.
	q.Digest, q.RollbackOf = sum(2), result.Commit
	forth, err := releaser(t, host, nil).Release(t.Context(), q)
	require.NoError(t, err)
	assert.True(t, forth.Created)
	assert.Contains(t, host.Git("show", "-s", "--format=%B", "main"), "Source-Revision: rev2")
	host.Git("fsck", "--strict")
}

func TestRollbackToAReleaseByHandNamesNoRevision(t *testing.T) {
	host := githost.Start(t, githost.Sample("", map[string]string{devFile: with(sum(1))}), nil)
	bad := releaseOf(t, host, 2)
	releaseTo(t, host, func(q *Request) { q.RollbackOf, q.SourceRevision = bad, "" })
	assert.NotContains(t, host.Git("show", "-s", "--format=%B", "main"), "Source-Revision")
	assert.Empty(t, history(t, host, 1)[0].SourceRevision)
}

func TestRollbackLooksPastTheFirstCommits(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	releaseOf(t, host, 1)
	bad := releaseOf(t, host, 2)
	at, same := bad, host.Git("rev-parse", "main^{tree}")
	for i := range 60 {
		at = host.Git("commit-tree", same, "-p", at, "-m", fmt.Sprint(i))
	}
	host.Git("update-ref", "refs/heads/main", at)
	back := releaseTo(t, host, func(q *Request) { q.RollbackOf = bad })
	assert.Equal(t, at, host.Git("rev-parse", back+"^"))
	host.Git("fsck", "--strict")
}

func TestRollbackRefuses(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	first := releaseOf(t, host, 1)
	second := releaseOf(t, host, 2)
	head := host.Git("rev-parse", "main")
	for name, c := range map[string]struct {
		change        func(*Request)
		input, reason string
	}{
		"unknown app":          {func(q *Request) { q.App = "nope" }, "apps/nope/overlays/dev", "does not exist"},
		"never released":       {func(q *Request) { q.Env = "production" }, prodFile, "runs no release"},
		"the present digest":   {func(q *Request) { q.Digest = sum(2) }, "digest " + sum(2), "is what the overlay runs already, since commit " + second},
		"an older release":     {func(q *Request) { q.RollbackOf = first }, "rollback-of " + first, "commit " + second + " did"},
		"no commit of it":      {func(q *Request) { q.RollbackOf = strings.Repeat("ab", 20) }, "rollback-of ab", "commit " + second + " did"},
		"a digest of nowhere":  {func(q *Request) { q.Digest = sum(9) }, "digest " + sum(9), "was never released to " + devFile},
		"a short commit":       {func(q *Request) { q.RollbackOf = second[:12] }, "rollback-of", "is not a commit"},
		"an option for commit": {func(q *Request) { q.RollbackOf = "--all" }, "rollback-of", "is not a commit"},
		"all zeros":            {func(q *Request) { q.Digest = githost.Unset }, "digest", "was never released"},
	} {
		t.Run(name, func(t *testing.T) {
			q := request(sum(1))
			q.RollbackOf = second
			c.change(&q)
			_, err := releaser(t, host, nil).Release(t.Context(), q)
			fault := faultOf(t, err)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Contains(t, fault.Input, c.input)
			assert.Contains(t, fault.Reason, c.reason)
			assert.Equal(t, head, host.Git("rev-parse", "main"), "nothing is pushed")
		})
	}
}

func TestConcurrentPushDuringARollback(t *testing.T) {
	for name, c := range map[string]struct {
		files   map[string]string
		message string
		check   func(t *testing.T, host *githost.Host, theirs string, result *gitops.Released, err error)
	}{
		"elsewhere: the rollback lands on top": {
			map[string]string{"README": "1"}, "Elsewhere",
			func(t *testing.T, host *githost.Host, theirs string, result *gitops.Released, err error) {
				require.NoError(t, err)
				assert.True(t, result.Created)
				assert.Equal(t, 2, result.Attempts)
				assert.Equal(t, theirs, host.Git("rev-parse", result.Commit+"^"))
				assert.Equal(t, strings.TrimSpace(with(sum(1))), host.Git("show", "main:"+devFile))
			},
		},
		"another release: it is not taken back unseen": {
			map[string]string{devFile: with(sum(3))}, "Release a mended one",
			func(t *testing.T, host *githost.Host, theirs string, _ *gitops.Released, err error) {
				fault := faultOf(t, err)
				assert.Equal(t, step.KindInput, fault.Kind)
				assert.Contains(t, fault.Reason, "commit "+theirs+" did")
				assert.Contains(t, strings.Join(fault.Details, "\n"), "Release a mended one")
				assert.Equal(t, theirs, host.Git("rev-parse", "main"))
			},
		},
		"the same rollback: one commit": {
			map[string]string{devFile: with(sum(1))}, "Revert",
			func(t *testing.T, host *githost.Host, theirs string, result *gitops.Released, err error) {
				require.NoError(t, err)
				assert.False(t, result.Created)
				assert.Equal(t, theirs, result.Commit)
				assert.Equal(t, theirs, host.Git("rev-parse", "main"))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var host *githost.Host
			var bad, theirs string
			host = githost.Start(t, githost.Sample("", nil), beforePush(func(n int) {
				if n == 3 { // the two releases below come first
					theirs = host.Commit(c.message+"\n\nThis reverts commit "+bad+".", c.files)
				}
			}))
			releaseOf(t, host, 1)
			bad = releaseOf(t, host, 2)
			q := request(sum(1))
			q.RollbackOf = bad
			result, err := releaser(t, host, nil).Release(t.Context(), q)
			c.check(t, host, theirs, result, err)
		})
	}
}

func TestConcurrentRollbacksMakeOneCommit(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	releaseOf(t, host, 1)
	bad := releaseOf(t, host, 2)
	var wg sync.WaitGroup
	results := make([]*gitops.Released, 4)
	failures := make([]error, len(results))
	for i := range results {
		r := releaser(t, host, nil)
		wg.Go(func() {
			q := request(sum(1))
			q.RollbackOf = bad
			results[i], failures[i] = r.Release(t.Context(), q)
		})
	}
	wg.Wait()
	for i := range results {
		require.NoError(t, failures[i])
		assert.Equal(t, host.Git("rev-parse", "main"), results[i].Commit)
	}
	assert.Equal(t, "4", host.Git("rev-list", "--count", "main"))
}

func TestPromotion(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	promotion := request(sum(1))
	promotion.Env, promotion.From = "production", "dev"
	release := func(q Request) (*gitops.Released, error) { return releaser(t, host, nil).Release(t.Context(), q) }
	refused := func(q Request, kind step.Kind, input, reason string) {
		t.Helper()
		head := host.Git("rev-parse", "main")
		_, err := release(q)
		fault := faultOf(t, err)
		assert.Equal(t, kind, fault.Kind)
		assert.Contains(t, fault.Input, input)
		assert.Contains(t, fault.Reason, reason)
		assert.Equal(t, head, host.Git("rev-parse", "main"))
	}

	refused(promotion, step.KindInput, devFile, "was never released")
	releaseOf(t, host, 2)
	refused(promotion, step.KindPolicy, devFile, "runs another image than the one to promote: "+sum(2)+", not "+sum(1))
	unknown := promotion
	unknown.From = "qa"
	refused(unknown, step.KindInput, "apps/hello/overlays/qa", "does not exist")

	promotion.Digest = sum(2)
	made, err := release(promotion)
	require.NoError(t, err)
	assert.Equal(t, "Promote hello from dev to production", host.Git("show", "-s", "--format=%s", "main"))
	assert.Equal(t, strings.TrimSpace(with(sum(2))), host.Git("show", "main:"+prodFile))

	// dev goes on: the same promotion again is no new decision.
	releaseOf(t, host, 3)
	again, err := release(promotion)
	require.NoError(t, err)
	assert.False(t, again.Created)
	assert.Equal(t, made.Commit, again.Commit)
}

// The environments may pull the same image from different places.
func TestPromotionFromAnotherRepository(t *testing.T) {
	const mirror = "  - name: mirror.example.org/hello\n    digest: "
	dev := "resources: [../../base]\nimages:\n" + mirror + sum(2) + "\n"
	for name, c := range map[string]struct {
		dev, digest string
		kind        step.Kind
		reason      string
	}{
		"the same image": {dev, sum(2), "", ""},
		"another image":  {dev, sum(3), step.KindPolicy, "runs another image than the one to promote: " + sum(2) + ", not " + sum(3)},
		"which of two":   {dev + "  - name: mirror.example.org/other\n    digest: " + sum(3) + "\n", sum(2), step.KindInput, "no images entry"},
		"never released": {"resources: [../../base]\nimages:\n" + mirror + githost.Unset + "\n", githost.Unset[:len(githost.Unset)-1] + "1", step.KindInput, "was never released"},
	} {
		host := githost.Start(t, githost.Sample("", map[string]string{devFile: c.dev}), nil)
		q := request(c.digest)
		q.Env, q.From = "production", "dev"
		made, err := releaser(t, host, nil).Release(t.Context(), q)
		if c.reason == "" {
			require.NoError(t, err, name)
			assert.True(t, made.Created)
			assert.Equal(t, strings.TrimSpace(with(c.digest)), host.Git("show", "main:"+prodFile))
			continue
		}
		fault := faultOf(t, err)
		assert.Equal(t, c.kind, fault.Kind, name)
		assert.Contains(t, fault.Input, devFile, name)
		assert.Contains(t, fault.Reason, c.reason, name)
	}
}

func TestKindsThatContradictThemselves(t *testing.T) {
	commit := strings.Repeat("ab", 20)
	for name, c := range map[string]struct {
		change        func(*Request)
		input, reason string
	}{
		"unknown":                   {func(q *Request) { q.Kind = "hotfix" }, `kind "hotfix"`, "is no kind of release"},
		"promotion from nowhere":    {func(q *Request) { q.Kind = KindPromotion }, `kind "promotion"`, "does not go with from"},
		"promotion to itself":       {func(q *Request) { q.From = "dev" }, "from dev", "is the environment to promote to"},
		"promotion from a path":     {func(q *Request) { q.From = "../dev" }, "from", "is not a valid name"},
		"release from":              {func(q *Request) { q.Kind, q.From = KindRelease, "staging" }, `kind "release"`, "does not go with from"},
		"release of a rollback":     {func(q *Request) { q.Kind, q.RollbackOf = KindRelease, commit }, `kind "release"`, "does not go with rollback-of"},
		"rollback of nothing":       {func(q *Request) { q.Kind = KindRollback }, `kind "rollback"`, "does not go with rollback-of"},
		"both":                      {func(q *Request) { q.From, q.RollbackOf = "staging", commit }, `kind "rollback"`, "does not go with from"},
		"a promotion's revision":    {func(q *Request) { q.From, q.SourceRevision = "staging", "" }, "source-revision", "is not a revision"},
		"a release's revision":      {func(q *Request) { q.SourceRevision = "" }, "source-revision", "is not a revision"},
		"a rollback's bad revision": {func(q *Request) { q.RollbackOf, q.SourceRevision = commit, "a\nb" }, "source-revision", "is not a revision"},
	} {
		t.Run(name, func(t *testing.T) {
			q := request(sum(1))
			c.change(&q)
			fault := faultOf(t, (&Releaser{Root: ".", Attempts: 1}).Check(q))
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Contains(t, fault.Input, c.input)
			assert.Contains(t, fault.Reason, c.reason)
		})
	}
}
