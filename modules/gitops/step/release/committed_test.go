package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/gitops/step/internal/githost"
	"slipway/step"
	"slipway/step/result/gitops"
)

// checkout clones the host's repository.
func checkout(t *testing.T, host *githost.Host, options ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "checkout")
	out, err := exec.Command("git", append(append([]string{"clone", "-q"}, options...), "file://"+host.Dir, dir)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir
}

func TestTheCommitNamesItsEvidence(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	q := request(sum(7))
	q.Evidence = sum(8)
	first, err := releaser(t, host, nil).Release(t.Context(), q)
	require.NoError(t, err)
	assert.Equal(t, sum(8), first.Evidence)
	assert.Equal(t, sum(8), host.Git("show", "-s", "--format=%(trailers:key=Slipway-Evidence,valueonly)", "main"))

	// The same release by another decision keeps its commit, and says whose it is.
	q.Evidence = sum(9)
	again, err := releaser(t, host, nil).Release(t.Context(), q)
	require.NoError(t, err)
	assert.False(t, again.Created)
	assert.Equal(t, []string{first.Commit, sum(8)}, []string{again.Commit, again.Evidence})
	assert.Equal(t, sum(8), history(t, host, 1)[0].Evidence)

	// A commit that a person made names none, whatever this call decided.
	host.Commit("By hand", map[string]string{devFile: with(sum(6))})
	q.Digest = sum(6)
	hand, err := releaser(t, host, nil).Release(t.Context(), q)
	require.NoError(t, err)
	assert.False(t, hand.Created)
	assert.Empty(t, hand.Evidence)

	// A rollback, and the same rollback again.
	q = request(sum(7))
	q.RollbackOf, q.SourceRevision, q.Evidence = hand.Commit, "", sum(5)
	back, err := releaser(t, host, nil).Release(t.Context(), q)
	require.NoError(t, err)
	assert.Equal(t, sum(5), back.Evidence)
	q.Evidence = sum(4)
	back, err = releaser(t, host, nil).Release(t.Context(), q)
	require.NoError(t, err)
	assert.False(t, back.Created)
	assert.Equal(t, sum(5), back.Evidence)
	entries := history(t, host, 50)
	require.Len(t, entries, 3)
	assert.Equal(t, []string{sum(5), "", sum(8)}, []string{entries[0].Evidence, entries[1].Evidence, entries[2].Evidence})

	q.Evidence = "sha256:8"
	_, err = releaser(t, host, nil).Release(t.Context(), q)
	fault := faultOf(t, err)
	assert.Equal(t, step.KindInput, fault.Kind)
	assert.Equal(t, `evidence "sha256:8"`, fault.Input)
}

func TestAReceiptsCommitIsChecked(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	before := host.Git("rev-parse", "main")
	made := releaseTo(t, host, func(q *Request) { q.Digest, q.Evidence = sum(7), sum(8) })
	elsewhere := host.Commit("Elsewhere\n\nImage-Digest: "+sum(7)+"\nSlipway-Evidence: "+sum(8), map[string]string{"README": "1"})
	hand := host.Commit("By hand", map[string]string{devFile: with(sum(6))})
	lie := host.Commit("Another image's words\n\nImage-Digest: "+sum(7)+"\nSlipway-Evidence: "+sum(8), map[string]string{devFile: with(sum(5))})
	stray := host.Git("commit-tree", made+"^{tree}", "-p", before, "-m", "Release hello to dev\n\nImage-Digest: "+sum(7)+"\nSlipway-Evidence: "+sum(8))
	host.Git("update-ref", "refs/heads/stray", stray)
	dir := checkout(t, host)
	good := gitops.Committed{Commit: made, Path: devFile, Repository: "localhost:5000/hello", Digest: sum(7), Evidence: sum(8)}
	require.NoError(t, CheckCommitted(dir, good))
	byHand := good
	byHand.Commit, byHand.Digest, byHand.Evidence = hand, sum(6), ""
	require.NoError(t, CheckCommitted(dir, byHand), "it names no decision, and nobody says that it does")

	bare := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bare, ".git"), []byte("gitdir: /elsewhere\n"), 0o644))
	empty := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(empty, ".git"), 0o755))
	for name, c := range map[string]struct {
		dir           string
		change        func(*gitops.Committed)
		kind          step.Kind
		input, reason string
	}{
		"another trailer":          {dir, func(c *gitops.Committed) { c.Evidence = sum(9) }, step.KindPolicy, "commit " + made, "has the trailer Slipway-Evidence: " + sum(8) + ", and the receipt says " + sum(9)},
		"a trailer unsaid":         {dir, func(c *gitops.Committed) { c.Evidence = "" }, step.KindPolicy, "commit " + made, "and the receipt says none"},
		"a trailer that isn't":     {dir, func(c *gitops.Committed) { c.Commit, c.Digest = hand, sum(6) }, step.KindPolicy, "commit " + hand, "has the trailer Slipway-Evidence: none"},
		"another image's trailer":  {dir, func(c *gitops.Committed) { c.Commit, c.Digest = lie, sum(5) }, step.KindPolicy, "commit " + lie, "has the trailer Slipway-Evidence: none"},
		"a commit that isn't":      {dir, func(c *gitops.Committed) { c.Commit = strings.Repeat("ab", 20) }, step.KindPolicy, "commit abab", "is not in the history of the checkout's head"},
		"a commit of no branch":    {dir, func(c *gitops.Committed) { c.Commit = stray }, step.KindPolicy, "commit " + stray, "is not in the history of the checkout's head"},
		"a commit before it":       {dir, func(c *gitops.Committed) { c.Commit = before }, step.KindPolicy, "commit " + before, devFile + " holds " + githost.Unset},
		"a commit after it":        {dir, func(c *gitops.Committed) { c.Commit = elsewhere }, step.KindPolicy, "commit " + elsewhere, "does not change " + devFile},
		"another digest":           {dir, func(c *gitops.Committed) { c.Digest = sum(6) }, step.KindPolicy, "commit " + made, devFile + " holds " + sum(7) + ", not " + sum(6)},
		"another repository":       {dir, func(c *gitops.Committed) { c.Repository = "localhost:5000/other" }, step.KindPolicy, "commit " + made, "does not name the image localhost:5000/other"},
		"another file":             {dir, func(c *gitops.Committed) { c.Path = "apps/hello/nowhere.yaml" }, step.KindPolicy, "commit " + made, "has no file apps/hello/nowhere.yaml"},
		"no commit":                {dir, func(c *gitops.Committed) { c.Commit = "main" }, step.KindInput, `commit "main"`, "is not a commit"},
		"a path that leaves":       {dir, func(c *gitops.Committed) { c.Path = "../x" }, step.KindInput, `path "../x"`, "is not a path"},
		"no digest":                {dir, func(c *gitops.Committed) { c.Digest = "" }, step.KindInput, "digest", "is not a sha256 digest"},
		"a malformed evidence":     {dir, func(c *gitops.Committed) { c.Evidence = "x" }, step.KindInput, "evidence", "is not a sha256 digest"},
		"no checkout":              {t.TempDir(), nil, step.KindInput, "repository", "has no folder .git"},
		"a worktree":               {bare, nil, step.KindInput, "repository", "has no folder .git"},
		"an empty repository":      {empty, nil, step.KindInput, "repository", "can't be read"},
		"a shallow clone":          {checkout(t, host, "--depth=1"), nil, step.KindInput, "repository", "does not have its whole history"},
		"a clone that ends before": {checkout(t, host, "--depth=4"), nil, step.KindInput, "repository", "does not have its whole history"},
	} {
		t.Run(name, func(t *testing.T) {
			want := good
			if c.change != nil {
				c.change(&want)
			}
			fault, ok := step.AsFault(CheckCommitted(c.dir, want))
			require.True(t, ok, "it is accepted, or not refused by a fault")
			assert.Equal(t, c.kind, fault.Kind)
			assert.True(t, strings.HasPrefix(fault.Input, c.input), fault.Input)
			assert.Contains(t, fault.Reason, c.reason)
			assert.NotEmpty(t, fault.Mend)
		})
	}
}

func TestAMergeChangesWhatBothSidesHadOtherwise(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	made := releaseTo(t, host, func(q *Request) { q.Evidence = sum(8) })
	side := host.Git("commit-tree", made+"^{tree}", "-p", made, "-m", "Side")
	merge := host.Git("commit-tree", made+"^{tree}", "-p", made, "-p", side, "-m", "Merge\n\nImage-Digest: "+sum(1)+"\nSlipway-Evidence: "+sum(8))
	host.Git("update-ref", "refs/heads/main", merge)
	want := gitops.Committed{Commit: merge, Path: devFile, Repository: "localhost:5000/hello", Digest: sum(1), Evidence: sum(8)}
	require.ErrorContains(t, CheckCommitted(checkout(t, host), want), "does not change")
	want.Commit = made
	require.NoError(t, CheckCommitted(checkout(t, host), want))
}
