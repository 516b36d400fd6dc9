package release

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/gitops/step/internal/githost"
	"slipway/step"
)

func TestReleaseThatLostItsOverlayIsToldWhoWon(t *testing.T) {
	var host *githost.Host
	var theirs string
	race := func(t *testing.T, win func()) (string, error) {
		host = githost.Start(t, githost.Sample("", nil), beforePush(func(n int) {
			if n == 2 { // the release below comes first
				win()
			}
		}))
		releaseOf(t, host, 1)
		result, err := releaser(t, host, nil).Release(t.Context(), request(sum(2)))
		if err != nil {
			return "", err
		}
		return result.Commit, nil
	}

	_, err := race(t, func() {
		q := request(sum(3))
		q.SourceRevision = "rev3"
		theirs = host.Commit(q.Message(), map[string]string{devFile: with(sum(3))})
	})
	assert.Equal(t, "release: refused by policy: "+devFile+": was changed by another release meanwhile: commit "+theirs+" put "+sum(3)+
		" there, built from rev3, where "+sum(1)+" was when this release was decided\n"+
		"  mend: look at what it released; to release this image over it, decide again: run the release again", faultOf(t, err).Error())
	assert.Equal(t, theirs, host.Git("rev-parse", "main"), "the newer release stays")

	_, err = race(t, func() { theirs = host.Commit("By hand", map[string]string{devFile: with(sum(3))}) })
	assert.Contains(t, faultOf(t, err).Reason, "commit "+theirs+" put "+sum(3)+" there, built from a source that it does not name")

	made, err := race(t, func() { theirs = host.Commit("Elsewhere", map[string]string{prodFile: with(sum(3))}) })
	require.NoError(t, err, "a release of another overlay is in nobody's way")
	assert.Equal(t, theirs, host.Git("rev-parse", made+"^"))
}

func TestReleaseIsMadeOverWhatItWasDecidedOver(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	releaseOf(t, host, 1)
	newer := releaseOf(t, host, 2)
	q := request(sum(3))
	for _, stale := range []string{githost.Unset, sum(1)} {
		q.Before = stale
		_, err := releaser(t, host, nil).Release(t.Context(), q)
		fault := faultOf(t, err)
		assert.Equal(t, step.KindPolicy, fault.Kind)
		assert.Contains(t, fault.Reason, "commit "+newer+" put "+sum(2)+" there, built from rev2, where "+stale+" was")
		assert.Equal(t, newer, host.Git("rev-parse", "main"))
	}
	q.Digest = sum(2)
	result, err := releaser(t, host, nil).Release(t.Context(), q)
	require.NoError(t, err, "somebody else's release of the same image is as good")
	assert.Equal(t, newer, result.Commit)

	q.Before, q.Digest = sum(2), sum(3)
	result, err = releaser(t, host, nil).Release(t.Context(), q)
	require.NoError(t, err)
	assert.True(t, result.Created)

	q.Before = "latest"
	assert.Equal(t, step.KindInput, faultOf(t, (&Releaser{Root: ".", Attempts: 1}).Check(q)).Kind)
}

func TestReleaseGoesBackOnlyWithAYes(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	var made []string
	for n := 1; n <= 3; n++ {
		made = append(made, releaseOf(t, host, n))
	}
	released := func(n int, change func(*Request)) error {
		q := request(sum(n))
		if change != nil {
			change(&q)
		}
		_, err := releaser(t, host, nil).Release(t.Context(), q)
		return err
	}
	back := func(n int, by, now, rev string) string {
		return fmt.Sprintf("release: refused by policy: %s: would go back: %s was released by commit %s, before what runs now\n"+
			"  - runs: %s, since commit %s, built from %s\n"+
			"  mend: take the newer release back with rollback, or say --older to put the older image over it", devFile, sum(n), by, sum(3), now, rev)
	}
	for n := 1; n <= 2; n++ {
		assert.Equal(t, back(n, made[n-1], made[2], "rev3"), faultOf(t, released(n, nil)).Error())
		q := previewRequest(sum(n))
		_, _, err := PreviewRemote(t.Context(), releaser(t, host, nil).Remote, q)
		assert.Equal(t, back(n, made[n-1], made[2], "rev3"), faultOf(t, err).Error())
		q.Older = true
		_, _, err = PreviewRemote(t.Context(), releaser(t, host, nil).Remote, q)
		require.NoError(t, err)
	}
	assert.Equal(t, made[2], host.Git("rev-parse", "main"))
	require.NoError(t, released(3, nil), "what runs is not older")

	// What a rollback took back is the past, too.
	require.NoError(t, released(2, func(q *Request) { q.RollbackOf = made[2] }))
	assert.Contains(t, faultOf(t, released(3, nil)).Reason, "would go back: "+sum(3)+" was released by commit "+made[2])
	require.NoError(t, released(3, func(q *Request) { q.Older = true }))

	// A promotion is no way around it.
	host.Commit("Long ago in dev", map[string]string{prodFile: with(sum(1))})
	promote := func(q *Request) { q.From = "production" }
	assert.Contains(t, faultOf(t, released(1, promote)).Reason, "would go back: "+sum(1))
	require.NoError(t, released(1, func(q *Request) { promote(q); q.Older = true }))

	// Over an overlay that runs nothing, nothing is older.
	host.Commit("Taken out", map[string]string{devFile: with(githost.Unset)})
	require.NoError(t, released(2, nil))
}

// Between the decision and the push, somebody commits to the GitOps repository.
func TestReleaseIsOfTheManifestsThatWereJudged(t *testing.T) {
	const sidecar = "        - name: sidecar\n          image: localhost:5000/hello\n          securityContext: {privileged: true}\n"
	spoilt := strings.Replace(githost.Deployment, "      containers:\n", "      containers:\n"+sidecar, 1)
	require.Contains(t, spoilt, "sidecar")
	const base = "apps/hello/base/deployment.yaml"
	for name, c := range map[string]struct {
		commit  map[string]string
		refused bool
	}{
		"a sidecar in the base":      {map[string]string{base: spoilt}, true},
		"another label":              {map[string]string{devFile: githost.Kustomization + "commonAnnotations: {a: b}\n"}, true},
		"a comment in the overlay":   {map[string]string{devFile: "# a comment\n" + githost.Kustomization}, false},
		"another environment":        {map[string]string{prodFile: with(sum(3))}, false},
		"a file that is not built":   {map[string]string{"README": "1"}, false},
		"what was judged in the end": {map[string]string{base: githost.Deployment + "\n"}, false},
	} {
		for when, push := range map[string]int{"before the release": 0, "while it pushes": 1} {
			t.Run(name+" "+when, func(t *testing.T) {
				var host *githost.Host
				var theirs string
				host = githost.Start(t, githost.Sample("", nil), beforePush(func(n int) {
					if n == push {
						theirs = host.Commit("Theirs", c.commit)
					}
				}))
				preview, _, err := PreviewRemote(t.Context(), releaser(t, host, nil).Remote, previewRequest(sum(7)))
				require.NoError(t, err)
				if push == 0 {
					theirs = host.Commit("Theirs", c.commit)
				}
				q := request(sum(7))
				q.Before, q.Manifests = preview.Before, preview.SHA256
				result, err := releaser(t, host, nil).Release(t.Context(), q)
				if !c.refused {
					require.NoError(t, err)
					assert.Equal(t, theirs, host.Git("rev-parse", result.Commit+"^"))
					return
				}
				now, _, previewErr := PreviewRemote(t.Context(), releaser(t, host, nil).Remote, previewRequest(sum(7)))
				require.NoError(t, previewErr)
				assert.Equal(t, "release: refused by policy: apps/hello/overlays/dev: renders to other manifests at commit "+theirs+
					" than those that were judged: "+now.SHA256+", not "+preview.SHA256+"\n"+
					"  mend: look at what was committed to it meanwhile, then run the release again: it judges what is there now", faultOf(t, err).Error())
				assert.Equal(t, theirs, host.Git("rev-parse", "main"))
				q.Manifests = now.SHA256
				_, err = releaser(t, host, nil).Release(t.Context(), q)
				require.NoError(t, err, "once it is judged")
			})
		}
	}
	host := githost.Start(t, githost.Sample("", nil), nil)
	releaseOf(t, host, 7)
	q := request(sum(7))
	q.Manifests = sum(1)
	_, err := releaser(t, host, nil).Release(t.Context(), q)
	assert.Contains(t, faultOf(t, err).Reason, "not "+sum(1), "also where the digest is there already")
	q.Manifests = "5e"
	assert.Equal(t, step.KindInput, faultOf(t, (&Releaser{Root: ".", Attempts: 1}).Check(q)).Kind)
}
