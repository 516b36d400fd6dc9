package release

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/gitops/step/internal/githost"
	"slipway/gitops/step/overlay"
	"slipway/gitops/step/remote"
	"slipway/step"
)

const devFile = "apps/hello/overlays/dev/kustomization.yaml"

func sum(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func request(digest string) Request {
	return Request{
		App: "hello", Env: "dev", Repository: "localhost:5000/hello", Digest: digest,
		SourceRevision: "abc", AuthorName: "Slipway", AuthorEmail: "slipway@example.com",
	}
}

// releaser releases to host without waiting.
func releaser(t *testing.T, host *githost.Host, change func(*remote.Options)) *Releaser {
	t.Helper()
	options := remote.Options{URL: host.URL, Branch: "main", Sleep: noSleep}
	if change != nil {
		change(&options)
	}
	r, err := remote.Open(options)
	require.NoError(t, err)
	return &Releaser{
		Remote: r, Branch: "main", Root: ".", Attempts: 5,
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }, Sleep: noSleep, Log: new(bytes.Buffer),
	}
}

func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func faultOf(t *testing.T, err error) *step.Fault {
	t.Helper()
	fault, ok := step.AsFault(err)
	require.Truef(t, ok, "%v", err)
	assert.Equal(t, "release", fault.Stage)
	assert.NotEmpty(t, fault.Mend)
	return fault
}

func isPush(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-receive-pack")
}

// beforePush calls do before each push reaches git.
func beforePush(do func(n int)) func(http.Handler) http.Handler {
	n := 0
	return func(git http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isPush(r) {
				n++
				do(n)
			}
			git.ServeHTTP(w, r)
		})
	}
}

func TestLostRaceIsMadeAgainOnTheNewHead(t *testing.T) {
	var host *githost.Host
	host = githost.Start(t, githost.Sample("", nil), beforePush(func(n int) {
		if n <= 2 {
			host.Commit("Elsewhere", map[string]string{devFile: fmt.Sprintf("# edit %d\n", n) + githost.Kustomization})
		}
	}))
	result, err := releaser(t, host, nil).Release(t.Context(), request(sum(7)))
	require.NoError(t, err)
	assert.True(t, result.Created)
	assert.Equal(t, 3, result.Attempts)
	assert.Equal(t, host.Git("rev-parse", "main"), result.Commit)
	assert.Equal(t, "4", host.Git("rev-list", "--count", "main"))
	assert.Equal(t, strings.TrimSpace("# edit 2\n"+strings.Replace(githost.Kustomization, githost.Unset, sum(7), 1)),
		host.Git("show", "main:"+devFile), "the colleague's edit is kept")
}

func TestLostRaceToTheSameDigestMakesNoCommit(t *testing.T) {
	var host *githost.Host
	var theirs string
	host = githost.Start(t, githost.Sample("", nil), beforePush(func(int) {
		theirs = host.Commit("Theirs", map[string]string{devFile: strings.Replace(githost.Kustomization, githost.Unset, sum(7), 1)})
	}))
	result, err := releaser(t, host, nil).Release(t.Context(), request(sum(7)))
	require.NoError(t, err)
	assert.False(t, result.Created)
	assert.Equal(t, 2, result.Attempts)
	assert.Equal(t, theirs, result.Commit)
}

func TestLostRaceIsBounded(t *testing.T) {
	var host *githost.Host
	host = githost.Start(t, githost.Sample("", nil), beforePush(func(n int) {
		host.Commit("Elsewhere", map[string]string{"README": fmt.Sprint(n)})
	}))
	r := releaser(t, host, nil)
	r.Attempts = 3
	_, err := r.Release(t.Context(), request(sum(7)))
	fault := faultOf(t, err)
	assert.Equal(t, step.KindInfrastructure, fault.Kind)
	assert.Contains(t, fault.Reason, "moved during each of 3 attempts")
	assert.Contains(t, fault.Mend, "--attempts")
}

// A push whose answer is lost has arrived all the same: the remote says so,
// even after others have pushed on top.
func TestLostAnswerIsDecidedByTheRemote(t *testing.T) {
	for name, later := range map[string]bool{"still the head": false, "others pushed on top": true} {
		t.Run(name, func(t *testing.T) {
			var host *githost.Host
			host = githost.Start(t, githost.Sample("", nil), func(git http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !isPush(r) {
						git.ServeHTTP(w, r)
						return
					}
					git.ServeHTTP(httptest.NewRecorder(), r)
					if later {
						host.Commit("Later", map[string]string{"README": "1"})
						host.Commit("Later still", map[string]string{"README": "2"})
					}
					http.Error(w, "the gateway gave up", http.StatusBadGateway)
				})
			})
			result, err := releaser(t, host, nil).Release(t.Context(), request(sum(7)))
			require.NoError(t, err)
			assert.True(t, result.Created)
			assert.Equal(t, 1, result.Attempts)
			assert.Contains(t, strings.Fields(host.Git("log", "--format=%H", "main")), result.Commit)
			assert.Equal(t, "made", host.Git("log", "--grep=Image-Digest", "--format=tformat:made", "main"), "one commit")
		})
	}
}

func TestRejectedPushCarriesTheRemotesWords(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	head := host.Git("rev-parse", "main")
	host.Hook("pre-receive", "echo 'freeze until Monday' >&2; printf 'ask \\033[31mthe on-call\\n' >&2; exit 1")
	_, err := releaser(t, host, nil).Release(t.Context(), request(sum(7)))
	fault := faultOf(t, err)
	assert.Equal(t, step.KindPolicy, fault.Kind)
	assert.Equal(t, host.URL+" main", fault.Input)
	assert.Contains(t, fault.Reason, "rejected the push (3 times)")
	assert.Contains(t, fault.Reason, "pre-receive hook declined")
	assert.Equal(t, []string{"freeze until Monday", "ask [31mthe on-call"}, fault.Details)
	assert.Equal(t, head, host.Git("rev-parse", "main"))
}

// One refusal can be another push that holds the branch's lock.
func TestRefusedOnceIsTriedAgain(t *testing.T) {
	var host *githost.Host
	host = githost.Start(t, githost.Sample("", nil), beforePush(func(n int) {
		host.Hook("pre-receive", fmt.Sprintf("exit %d", max(0, 2-n)))
	}))
	result, err := releaser(t, host, nil).Release(t.Context(), request(sum(7)))
	require.NoError(t, err)
	assert.Equal(t, 2, result.Attempts)
	assert.True(t, result.Created)
}

func TestPushThatNeverArrives(t *testing.T) {
	var pushes atomic.Int32
	host := githost.Start(t, githost.Sample("", nil), func(git http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if isPush(r) {
				pushes.Add(1)
				http.Error(w, "full", http.StatusInsufficientStorage)
				return
			}
			git.ServeHTTP(w, r)
		})
	})
	_, err := releaser(t, host, nil).Release(t.Context(), request(sum(7)))
	fault := faultOf(t, err)
	assert.Equal(t, step.KindInfrastructure, fault.Kind)
	assert.Contains(t, fault.Reason, "the push did not arrive (3 times)")
	assert.Contains(t, fault.Reason, "507")
	assert.Equal(t, int32(3), pushes.Load())
}

func TestRemoteThatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct {
		status   int
		kind     step.Kind
		requests int
		reason   string
	}{
		"500":                 {500, step.KindInfrastructure, 3, "asked 3 times for its newest commit"},
		"429":                 {429, step.KindInfrastructure, 3, "429"},
		"no such repository":  {404, step.KindInput, 1, "does not exist"},
		"credentials refused": {401, step.KindInput, 1, "refuses these credentials"},
		"forbidden":           {403, step.KindInput, 1, "refuses these credentials"},
		"redirect":            {302, step.KindInfrastructure, 0, "asked"},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			requests := 0
			host := githost.Start(t, githost.Sample("", nil), func(http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					mu.Lock()
					defer mu.Unlock()
					requests++
					w.Header().Set("Location", "http://127.0.0.1:1/elsewhere.git/info/refs")
					w.WriteHeader(c.status)
				})
			})
			_, err := releaser(t, host, nil).Release(t.Context(), request(sum(7)))
			fault := faultOf(t, err)
			assert.Equal(t, c.kind, fault.Kind)
			assert.Contains(t, fault.Reason, c.reason)
			if c.requests > 0 {
				assert.Equal(t, c.requests, requests)
			}
		})
	}
}

func TestCredentialsAreSentAndNeverShown(t *testing.T) {
	const secret = "s3cret-token"
	guard := func(git http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user != "git" || password != secret {
				http.Error(w, "who?", http.StatusUnauthorized)
				return
			}
			git.ServeHTTP(w, r)
		})
	}
	host := githost.Start(t, githost.Sample("", nil), guard)
	_, err := releaser(t, host, func(o *remote.Options) { o.Token = secret + "x" }).Release(t.Context(), request(sum(7)))
	fault := faultOf(t, err)
	assert.Equal(t, step.KindInput, fault.Kind)
	assert.NotContains(t, fault.Error(), secret)
	assert.NotContains(t, fmt.Sprint(fault.Unwrap()), secret)

	_, err = releaser(t, host, func(o *remote.Options) { o.Token = secret }).Release(t.Context(), request(sum(7)))
	require.NoError(t, err)
}

func TestReadOnlyCredentials(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), func(git http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.RawQuery+r.URL.Path, "receive-pack") {
				http.Error(w, "read only", http.StatusForbidden)
				return
			}
			git.ServeHTTP(w, r)
		})
	})
	_, err := releaser(t, host, nil).Release(t.Context(), request(sum(7)))
	fault := faultOf(t, err)
	assert.Equal(t, step.KindInput, fault.Kind)
	assert.Contains(t, fault.Mend, "push this branch")
}

func TestReleaseRefusesWhatIsNotThere(t *testing.T) {
	host := githost.Start(t, githost.Sample("", map[string]string{"apps/hello/overlays/linked": "-> dev"}), nil)
	for name, c := range map[string]struct {
		change func(*Releaser, *Request)
		branch string
		kind   step.Kind
		input  string
		reason string
	}{
		"unknown app":        {func(_ *Releaser, q *Request) { q.App = "nope" }, "main", step.KindInput, "apps/nope/overlays/dev", "does not exist"},
		"unknown env":        {func(_ *Releaser, q *Request) { q.Env = "qa" }, "main", step.KindInput, "apps/hello/overlays/qa", "does not exist"},
		"linked env":         {func(_ *Releaser, q *Request) { q.Env = "linked" }, "main", step.KindInput, "apps/hello/overlays/linked", "symbolic link"},
		"unknown root":       {func(r *Releaser, _ *Request) { r.Root = "gitops" }, "main", step.KindInput, "root gitops", "not a folder"},
		"unknown branch":     {nil, "trunk", step.KindInput, "trunk", "has no such branch"},
		"unknown repository": {func(_ *Releaser, q *Request) { q.Repository = "localhost:5000/other" }, "main", step.KindInput, devFile, "no images entry"},
	} {
		t.Run(name, func(t *testing.T) {
			r := releaser(t, host, func(o *remote.Options) { o.Branch = c.branch })
			q := request(sum(7))
			if c.change != nil {
				c.change(r, &q)
			}
			_, err := r.Release(t.Context(), q)
			fault := faultOf(t, err)
			assert.Equal(t, c.kind, fault.Kind)
			assert.Contains(t, fault.Input, c.input)
			assert.Contains(t, fault.Reason, c.reason)
		})
	}
	empty := githost.Start(t, nil, nil)
	_, err := releaser(t, empty, nil).Release(t.Context(), request(sum(7)))
	assert.Equal(t, step.KindInput, faultOf(t, err).Kind)
}

func TestReleaseRefusesAnUnprovableOverlay(t *testing.T) {
	patch := "- op: replace\n  path: /spec/template/spec/containers/0/image\n  value: localhost:5000/hello:latest\n"
	for name, changes := range map[string]map[string]string{
		"nobody uses the image": {"apps/hello/base/deployment.yaml": strings.ReplaceAll(githost.Deployment, "localhost:5000/hello", "localhost:5000/hi")},
		"a later transformer tags it": {
			"apps/hello/overlays/dev/kustomization.yaml": githost.Kustomization + "transformers: [tag.yaml]\n",
			"apps/hello/overlays/dev/tag.yaml": "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: x}\ntarget: {kind: Deployment}\npatch: |\n  " +
				strings.ReplaceAll(strings.TrimSpace(patch), "\n", "\n  ") + "\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			host := githost.Start(t, githost.Sample("", changes), nil)
			head := host.Git("rev-parse", "main")
			_, err := releaser(t, host, nil).Release(t.Context(), request(sum(7)))
			fault := faultOf(t, err)
			assert.Equal(t, step.KindPolicy, fault.Kind)
			assert.Equal(t, overlay.Folder("hello", "dev"), fault.Input)
			assert.Equal(t, head, host.Git("rev-parse", "main"))
		})
	}
}

func TestStoppedWhileWaiting(t *testing.T) {
	var host *githost.Host
	host = githost.Start(t, githost.Sample("", nil), beforePush(func(n int) {
		host.Commit("Elsewhere", map[string]string{"README": fmt.Sprint(n)})
	}))
	r := releaser(t, host, nil)
	r.Sleep = func(context.Context, time.Duration) error { return context.Canceled }
	_, err := r.Release(t.Context(), request(sum(7)))
	fault := faultOf(t, err)
	assert.Equal(t, step.KindInfrastructure, fault.Kind)
	assert.ErrorIs(t, fault, context.Canceled)
}

func TestLastSetLooksPastTheFirstCommits(t *testing.T) {
	host := githost.Start(t, githost.Sample("", nil), nil)
	made, err := releaser(t, host, nil).Release(t.Context(), request(sum(7)))
	require.NoError(t, err)
	// 60 commits on top, made without a work tree.
	at, tree := made.Commit, host.Git("rev-parse", "main^{tree}")
	for i := range 60 {
		at = host.Git("commit-tree", tree, "-p", at, "-m", fmt.Sprint(i))
	}
	host.Git("update-ref", "refs/heads/main", at)
	again, err := releaser(t, host, nil).Release(t.Context(), request(sum(7)))
	require.NoError(t, err)
	assert.False(t, again.Created)
	assert.Equal(t, made.Commit, again.Commit)
}

func TestBackoffIsBounded(t *testing.T) {
	for attempt := 1; attempt <= 100; attempt++ {
		assert.Less(t, backoff(attempt, 0), 800*time.Millisecond+1)
		assert.Less(t, backoff(attempt, time.Hour), 20*time.Second)
	}
}

// The digest was there when the release looked, and is gone a moment later: whoever took
// it away had a reason.
func TestDigestTakenAwayMeanwhile(t *testing.T) {
	var host *githost.Host
	fetches := 0
	set := strings.Replace(githost.Kustomization, githost.Unset, sum(7), 1)
	host = githost.Start(t, githost.Sample("", map[string]string{devFile: set}), func(git http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/info/refs") {
				if fetches++; fetches == 2 {
					host.Commit("Back", map[string]string{devFile: githost.Kustomization})
				}
			}
			git.ServeHTTP(w, r)
		})
	})
	_, err := releaser(t, host, nil).Release(t.Context(), request(sum(7)))
	fault := faultOf(t, err)
	assert.Equal(t, step.KindPolicy, fault.Kind)
	assert.Contains(t, fault.Reason, "commit "+host.Git("rev-parse", "main")+" put "+githost.Unset+" there")
}
