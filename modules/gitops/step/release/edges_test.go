package release

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/gitops/step/internal/githost"
	"slipway/gitops/step/overlay"
	"slipway/gitops/step/remote"
	"slipway/step"
)

// A branch that moves in between proves that pushes arrive: refusals are counted anew.
func TestRefusalsAreCountedWhileTheBranchStays(t *testing.T) {
	var host *githost.Host
	host = githost.Start(t, githost.Sample("", nil), beforePush(func(n int) {
		if n == 3 {
			host.Hook("pre-receive", "exit 0")
			host.Commit("Elsewhere", map[string]string{"README": "1"})
			return
		}
		host.Hook("pre-receive", fmt.Sprintf("exit %d", map[bool]int{true: 1}[n < 6]))
	}))
	r := releaser(t, host, nil)
	r.Attempts = 20
	result, err := r.Release(t.Context(), request(sum(7)))
	require.NoError(t, err)
	assert.Equal(t, 6, result.Attempts)
	assert.Equal(t, result.Commit, host.Git("rev-parse", "main"))
}

func TestAttemptsEndAReleaseThatIsRefused(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	host.Hook("pre-receive", "exit 1")
	r := releaser(t, host, nil)
	r.Attempts = 2
	_, err := r.Release(t.Context(), request(sum(7)))
	assert.Contains(t, faultOf(t, err).Reason, "rejected the push (2 times)")
	for attempts, ok := range map[int]bool{0: false, 1: true, 100: true, 101: false} {
		r.Attempts = attempts
		assert.Equal(t, ok, r.Check(request(sum(1))) == nil, attempts)
	}
}

func TestWhatARequestMayNotSay(t *testing.T) {
	commit := strings.Repeat("ab", 20)
	promotion := func(q *Request) { q.From = "staging" }
	back := func(q *Request) { q.RollbackOf = commit }
	r := &Releaser{Root: ".", Attempts: 1}
	for name, c := range map[string]struct {
		change func(*Request)
		reason string
	}{
		"a release":                 {func(*Request) {}, ""},
		"named a release":           {func(q *Request) { q.Kind = KindRelease }, ""},
		"a promotion":               {promotion, ""},
		"named a promotion":         {func(q *Request) { promotion(q); q.Kind = KindPromotion }, ""},
		"a rollback":                {back, ""},
		"a rollback of no source":   {func(q *Request) { back(q); q.SourceRevision = "" }, ""},
		"everything":                {func(q *Request) { q.Before, q.Manifests, q.Evidence = sum(2), sum(3), sum(4) }, ""},
		"another kind":              {func(q *Request) { q.Kind = "x" }, "is no kind of release"},
		"a promotion from nowhere":  {func(q *Request) { q.Kind = KindPromotion }, "does not go with from"},
		"a release from somewhere":  {func(q *Request) { promotion(q); q.Kind = KindRelease }, "does not go with from"},
		"a rollback from somewhere": {func(q *Request) { promotion(q); back(q) }, "does not go with from"},
		"a rollback of nothing":     {func(q *Request) { q.Kind = KindRollback }, "does not go with rollback-of"},
		"a release of a rollback":   {func(q *Request) { back(q); q.Kind = KindRelease }, "does not go with rollback-of"},
		"from itself":               {func(q *Request) { q.From = "dev" }, "is the environment to promote to"},
		"from no name":              {func(q *Request) { q.From = "../x" }, "is not a valid name"},
		"of no commit":              {func(q *Request) { q.RollbackOf = "HEAD" }, "is not a commit of the GitOps repository"},
		"before no digest":          {func(q *Request) { q.Before = "latest" }, "is not a sha256 digest"},
		"manifests of none":         {func(q *Request) { q.Manifests = "x" }, "is not a sha256 digest"},
		"evidence of none":          {func(q *Request) { q.Evidence = "x" }, "is not a sha256 digest"},
		"no source":                 {func(q *Request) { q.SourceRevision = "" }, "is not a revision"},
		"a promotion of no source":  {func(q *Request) { promotion(q); q.SourceRevision = "" }, "is not a revision"},
		"a rollback's bad source":   {func(q *Request) { back(q); q.SourceRevision = "a b" }, "is not a revision"},
		"a long source":             {func(q *Request) { q.SourceRevision = strings.Repeat("a", 201) }, "is not a revision"},
		"no author":                 {func(q *Request) { q.AuthorName = "" }, "is not a name"},
		"a long author":             {func(q *Request) { q.AuthorName = strings.Repeat("a", 201) }, "is not a name"},
		"an author as long as may":  {func(q *Request) { q.AuthorName = strings.Repeat("a", 200) }, ""},
		"an author with spaces":     {func(q *Request) { q.AuthorName = "a " }, "is not a name"},
		"an author of two lines":    {func(q *Request) { q.AuthorName = "a\nb" }, "is not a name"},
		"an author in brackets":     {func(q *Request) { q.AuthorName = "a<b" }, "is not a name"},
		"no address":                {func(q *Request) { q.AuthorEmail = "a" }, "is not an e-mail address"},
		"a long address":            {func(q *Request) { q.AuthorEmail = strings.Repeat("a", 199) + "@b" }, "is not an e-mail address"},
		"an address as long as may": {func(q *Request) { q.AuthorEmail = strings.Repeat("a", 198) + "@b" }, ""},
		"no app":                    {func(q *Request) { q.App = "" }, "is not a valid name"},
		"no environment":            {func(q *Request) { q.Env = "x y" }, "is not a valid name"},
		"no repository":             {func(q *Request) { q.Repository = "hello" }, "is not an image repository"},
		"a tag":                     {func(q *Request) { q.Digest = "v1" }, "is not a sha256 digest"},
		"never released":            {func(q *Request) { q.Digest = overlay.Unreleased }, "stands for an overlay that was never released"},
	} {
		q := request(sum(1))
		c.change(&q)
		err := r.Check(q)
		if c.reason == "" {
			require.NoError(t, err, name)
			said := readMessage(q.Message())
			assert.Equal(t, []string{q.Digest, q.SourceRevision, q.From, q.RollbackOf, q.Evidence}, []string{said.digest, said.revision, said.from, said.reverts, said.evidence}, name)
			continue
		}
		fault := faultOf(t, err)
		assert.Equal(t, step.KindInput, fault.Kind, name)
		assert.Contains(t, fault.Reason, c.reason, name)
	}
	for root, ok := range map[string]bool{
		".": true, "gitops": true, "a/b.c_d": true, strings.Repeat("a", 200): true, strings.Repeat("a", 201): false, "": false, "/a": false, "a/": false, "../a": false, "a//b": false, "./a": false,
		"-a": false, "a b": false, "a$b": false, `a\b`: false, "a\x7f": false, "a\n": false,
	} {
		assert.Equal(t, ok, CheckRoot(root) == nil, "%q", root)
	}
}

func TestWhatAMessageSays(t *testing.T) {
	q := request(sum(1))
	assert.Equal(t, "Release hello to dev\n\nhello in dev now runs localhost:5000/hello@"+sum(1)+".\n\nApp: hello\nEnvironment: dev\nImage-Digest: "+sum(1)+"\nSource-Revision: abc\n", q.Message())
	q.From, q.Evidence = "staging", sum(2)
	assert.Equal(t, "Promote hello from staging to dev\n\nhello in dev now runs localhost:5000/hello@"+sum(1)+", as staging does.\n\nApp: hello\nEnvironment: dev\nImage-Digest: "+sum(1)+"\nSource-Revision: abc\nPromoted-From: staging\nSlipway-Evidence: "+sum(2)+"\n", q.Message())
	commit := strings.Repeat("ab", 20)
	q.From, q.Evidence, q.RollbackOf, q.SourceRevision = "", "", commit, ""
	assert.Equal(t, "Roll back hello in dev\n\nhello in dev runs localhost:5000/hello@"+sum(1)+" again.\n\nThis reverts commit "+commit+".\n\nApp: hello\nEnvironment: dev\nImage-Digest: "+sum(1)+"\nReverts: "+commit+"\n", q.Message())

	other := strings.Repeat("cd", 20)
	for message, want := range map[string]said{
		"":                             {},
		"subject":                      {subject: "subject"},
		"\r\nsubject\r\n\r\nbody\r\n":  {subject: "subject"},
		"Image-Digest: " + sum(1):      {subject: "Image-Digest: " + sum(1)},
		"s\nImage-Digest: " + sum(1):   {subject: "s"},
		"s\n\nImage-Digest: " + sum(1): {subject: "s", digest: sum(1)},
		"s\n\nImage-Digest: " + sum(1) + "\n\nlast":                                                                {subject: "s"},
		"s\n\nImage-Digest: latest\nSource-Revision: a b\nPromoted-From: ../x\nReverts: HEAD\nSlipway-Evidence: x": {subject: "s"},
		"s\n\nThis reverts commit " + commit + ".":                                                                 {subject: "s", reverts: commit},
		"s\n\nx This reverts commit " + commit + ".":                                                               {subject: "s"},
		"s\n\nThis reverts commit " + commit + "ab":                                                                {subject: "s"},
		"s\n\nThis reverts commit " + commit + ".\n\nReverts: " + other:                                            {subject: "s", reverts: other},
		"s\n\nx:y\nImage-Digest:   " + sum(1) + "  \nPromoted-From: a\nSlipway-Evidence: " + sum(2):                {subject: "s", digest: sum(1), from: "a", evidence: sum(2)},
	} {
		assert.Equal(t, want, readMessage(message), message)
	}
}

// What another image's message says is not said of the one that a person put there.
func TestAnotherImagesMessageSaysNothingOfThisOne(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	q := request(sum(9))
	q.From, q.Evidence = "staging", sum(2)
	hand := host.Commit(q.Message(), map[string]string{devFile: with(sum(1))})
	entries := history(t, host, 5)
	require.Len(t, entries, 1)
	assert.Equal(t, []string{hand, sum(1), "", "", ""}, []string{entries[0].Commit, entries[0].Digest, entries[0].SourceRevision, entries[0].PromotedFrom, entries[0].Evidence})
}

func TestDeepenLooksAsDeepAsItHasTo(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	from := releaser(t, host, nil).Remote
	looks := 0
	err := deepen(t.Context(), from, []int{1, 2, 0}, func(*remote.Snapshot) error {
		if looks++; looks < 3 {
			return fmt.Errorf("look: %w", errShallow)
		}
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, 3, looks)
	looks = 0
	err = deepen(t.Context(), from, []int{1, 2}, func(*remote.Snapshot) error { looks++; return errOvertaken })
	require.ErrorIs(t, err, errOvertaken)
	assert.Equal(t, 1, looks)
	err = deepen(t.Context(), from, []int{1, 2}, func(*remote.Snapshot) error { return errShallow })
	assert.Equal(t, "does not give its whole history", faultOf(t, err).Reason)
}

func TestWhatCannotBeReadIsNoHistory(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	r := releaser(t, host, nil)
	require.NoError(t, deepen(t.Context(), r.Remote, []int{0}, func(snapshot *remote.Snapshot) error {
		p := &releaseRecord{snapshot: snapshot}
		parents, err := p.parents(plumbing.NewHash(strings.Repeat("1", 40)))
		require.ErrorContains(t, err, "read commit "+strings.Repeat("1", 40))
		assert.Empty(t, parents)
		setter, err := p.setter(plumbing.NewHash(strings.Repeat("1", 40)))
		require.Error(t, err)
		assert.True(t, setter.IsZero())
		return nil
	}))
	ended, end := context.WithCancel(t.Context())
	end()
	require.ErrorIs(t, r.overtaken(ended, request(sum(7))), context.Canceled, "nobody is said to have won who isn't known")
}
