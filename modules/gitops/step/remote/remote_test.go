package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/gitops/step/internal/githost"
	"slipway/gitops/step/overlay"
	"slipway/step"
)

// open is a remote of the host's branch main, and the waits that it made.
func open(t *testing.T, host *githost.Host) (*Remote, *[]time.Duration) {
	t.Helper()
	waits := &[]time.Duration{}
	r, err := Open(Options{URL: host.URL, Branch: "main", Sleep: func(ctx context.Context, d time.Duration) error {
		*waits = append(*waits, d)
		return ctx.Err()
	}})
	require.NoError(t, err)
	return r, waits
}

func faultOf(t *testing.T, kind step.Kind, err error) *step.Fault {
	t.Helper()
	fault, ok := step.AsFault(err)
	require.Truef(t, ok, "%v", err)
	assert.Equal(t, kind, fault.Kind)
	assert.Equal(t, "release", fault.Stage)
	assert.NotEmpty(t, fault.Mend)
	return fault
}

func TestOpen(t *testing.T) {
	for _, good := range []Options{
		{URL: "https://git.example.com/a.git", Branch: "main"}, {URL: "https://git.example.com/a", Branch: "a/b.c-d_1"},
		{URL: "http://localhost:1/a", Branch: "m"}, {URL: "http://127.0.0.1/a", Branch: strings.Repeat("a", 200)}, {URL: "http://[::1]/a", Branch: "0"},
	} {
		r, err := Open(good)
		require.NoError(t, err, good)
		assert.Equal(t, good.URL+" "+good.Branch, r.Name())
		assert.Nil(t, r.auth)
	}
	for url, reason := range map[string]string{
		"https://git.example.com/%zz": "is not a URL", "https://me@git.example.com/a": "carries a user name or password", "https://:secret@git.example.com/a": "carries a user name or password",
		"https:///a": "is not a repository URL", "https://git.example.com": "is not a repository URL", "https://git.example.com/": "is not a repository URL",
		"https://git.example.com/a?b": "is not a repository URL", "https://git.example.com/a#b": "is not a repository URL", "main": "is not a repository URL",
		"http://git.example.com/a": "is neither HTTPS nor on this host", "ssh://git.example.com/a": "is neither HTTPS nor on this host", "file://localhost/a": "is neither HTTPS nor on this host",
		"http://localhost.example.com/a": "is neither HTTPS nor on this host",
	} {
		_, err := Open(Options{URL: url, Branch: "main"})
		fault := faultOf(t, step.KindInput, err)
		assert.Equal(t, reason, fault.Reason, url)
		assert.NotContains(t, err.Error(), "secret")
	}
	for _, branch := range []string{"", "-a", ".a", "/a", "a..b", "a//b", "a/", "a.lock", "a b", "a\n", "a:b", "a~1", "a@{1}", strings.Repeat("a", 201)} {
		_, err := Open(Options{URL: "https://git.example.com/a", Branch: branch})
		assert.Equal(t, "is not a branch name", faultOf(t, step.KindInput, err).Reason, branch)
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	require.NoError(t, Sleep(t.Context(), 0))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Sleep(over, time.Hour), context.Canceled)
	r, err := Open(Options{URL: "https://git.example.com/a", Branch: "main"})
	require.NoError(t, err)
	require.ErrorIs(t, r.sleep(over, time.Hour), context.Canceled)
}

func TestATokenIsSentAndNothingWithoutOne(t *testing.T) {
	var sent []string
	host := githost.Start(t, githost.Sample("", nil), func(git http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			sent = append(sent, user+":"+password)
			git.ServeHTTP(w, r)
		})
	})
	for _, c := range []struct{ username, token, want string }{{"", "", ":"}, {"me", "", ":"}, {"", "t0ken", "git:t0ken"}, {"me", "t0ken", "me:t0ken"}} {
		sent = nil
		r, err := Open(Options{URL: host.URL, Branch: "main", Username: c.username, Token: c.token})
		require.NoError(t, err)
		snapshot, err := r.Snapshot(t.Context(), 1)
		require.NoError(t, err)
		change, err := snapshot.Replace("apps/hello/base/deployment.yaml", []byte(c.want), "m", Author{})
		require.NoError(t, err)
		require.NoError(t, r.Push(t.Context(), change))
		require.NotEmpty(t, sent)
		for _, got := range sent {
			assert.Equal(t, c.want, got)
		}
	}
}

// TestReadsAreTriedAgainWhereThatMayHelp: by status, how often it is asked, what it
// waits and what the fault says.
func TestReadsAreTriedAgainWhereThatMayHelp(t *testing.T) {
	asked, status := 0, 0
	host := githost.Start(t, githost.Sample("", nil), func(git http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			if status == http.StatusFound {
				http.Redirect(w, r, "http://"+r.Host+"/elsewhere.git/info/refs?service=git-upload-pack", status)
			} else if status != 0 {
				w.WriteHeader(status)
			} else {
				git.ServeHTTP(w, r)
			}
		})
	})
	r, waits := open(t, host)
	since, err := r.Snapshot(t.Context(), 1)
	require.NoError(t, err)
	const quarter = 250 * time.Millisecond
	for code, c := range map[int]struct {
		kind   step.Kind
		reason string
		again  bool
	}{
		400: {step.KindInfrastructure, "asked once for its newest commit", false}, 302: {step.KindInfrastructure, "redirects disabled", true},
		401: {step.KindInput, "refuses these credentials", false}, 403: {step.KindInput, "refuses these credentials", false},
		404: {step.KindInput, "does not exist, or is hidden from these credentials", false},
		429: {step.KindInfrastructure, "asked 3 times for its newest commit", true}, 499: {step.KindInfrastructure, "asked once for its newest commit", false},
		500: {step.KindInfrastructure, "asked 3 times for its newest commit", true}, 503: {step.KindInfrastructure, "asked 3 times for its newest commit", true},
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			for _, read := range []func() error{
				func() error { _, err := r.Snapshot(t.Context(), 1); return err },
				func() error { _, _, err := r.Contains(t.Context(), since, plumbing.ZeroHash); return err },
			} {
				asked, status, *waits = 0, code, nil
				fault := faultOf(t, c.kind, read())
				assert.Equal(t, r.Name(), fault.Input)
				assert.Contains(t, fault.Reason, c.reason)
				want, slept := 1, []time.Duration(nil)
				if c.again {
					want, slept = 3, []time.Duration{quarter, 2 * quarter}
				}
				assert.Equal(t, want, asked)
				assert.Equal(t, slept, *waits)
			}
		})
	}
	status, asked = 503, 0
	over, cancel := context.WithCancel(t.Context())
	r.sleep = func(context.Context, time.Duration) error { cancel(); return over.Err() }
	_, err = r.Snapshot(over, 1)
	require.ErrorIs(t, err, context.Canceled)
	assert.Contains(t, faultOf(t, step.KindInfrastructure, err).Reason, "asked once for its newest commit: context canceled")
	assert.Equal(t, 1, asked)
	asked = 0
	_, err = r.Snapshot(over, 1)
	require.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, asked)
}

func TestTransient(t *testing.T) {
	for _, err := range []error{errors.New("connection reset"), io.ErrUnexpectedEOF, fmt.Errorf("read: %w", io.EOF)} {
		assert.True(t, transient(err), err)
	}
	for _, err := range []error{
		step.Infrastructure("a", "b", "c", "d"), context.Canceled, context.DeadlineExceeded, transport.ErrAuthenticationRequired, transport.ErrAuthorizationFailed,
		transport.ErrRepositoryNotFound, transport.ErrEmptyRemoteRepository,
	} {
		assert.False(t, transient(fmt.Errorf("read: %w", err)), err)
	}
	assert.Equal(t, "the answer broke off: unexpected EOF", reason(io.ErrUnexpectedEOF))
	assert.Equal(t, "the answer broke off: EOF", reason(io.EOF))
	assert.Equal(t, "a b c", reason(errors.New("a\n b\tc")))
}

func TestWhatThereIsNot(t *testing.T) {
	r, _ := open(t, githost.Start(t, nil, nil))
	_, err := r.Snapshot(t.Context(), 1)
	assert.Equal(t, "is an empty repository", faultOf(t, step.KindInput, err).Reason)
	host := githost.Start(t, githost.Sample("", nil), nil)
	r, err = Open(Options{URL: host.URL, Branch: "mai"})
	require.NoError(t, err)
	_, err = r.Snapshot(t.Context(), 1)
	fault := faultOf(t, step.KindInput, err)
	assert.Equal(t, []string{host.URL + " mai", "has no such branch"}, []string{fault.Input, fault.Reason})
}

func TestTheTreeBelowARoot(t *testing.T) {
	host := githost.Start(t, map[string]string{"a/b/file": "1", "a/b/deep/er": "2", "a/b/link": "-> file", "a/top": "3", "a/linked": "-> b", "z": "4"}, nil)
	r, _ := open(t, host)
	snapshot, err := r.Snapshot(t.Context(), 1)
	require.NoError(t, err)
	assert.Equal(t, host.Git("rev-parse", "main"), snapshot.Head().String())
	tree, err := snapshot.Tree("a/b")
	require.NoError(t, err)
	assert.Equal(t, overlay.Tree{Files: map[string][]byte{"file": []byte("1"), "deep/er": []byte("2")}, Links: []string{"link"}}, tree)
	tree, err = snapshot.Tree(".")
	require.NoError(t, err)
	assert.Len(t, tree.Files, 4)
	assert.Equal(t, []string{"a/b/link", "a/linked"}, tree.Links)
	for _, root := range []string{"z", "a/top", "a/linked", "nowhere", "a/nowhere", "nowhere/b", "a/linked/deep"} {
		_, err := snapshot.Tree(root)
		fault := faultOf(t, step.KindInput, err)
		assert.Equal(t, []string{"root " + root, "is not a folder of the repository"}, []string{fault.Input, fault.Reason})
	}
}

// A remote that leaves an object out gives no tree with a hole in it.
func TestObjectsThatWereNotSent(t *testing.T) {
	host := githost.Start(t, map[string]string{"a/b/file": "1", "z": "2"}, nil)
	for name, root := range map[string]string{"main^{tree}": ".", "main:a": "a", "main:a/b": "a", "main:a/b/file": "a", "main:z": "."} {
		r, _ := open(t, host)
		snapshot, err := r.Snapshot(t.Context(), 1)
		require.NoError(t, err)
		hash := plumbing.NewHash(host.Git("rev-parse", name))
		delete(snapshot.store.Objects, hash)
		delete(snapshot.store.Blobs, hash)
		delete(snapshot.store.Trees, hash)
		tree, err := snapshot.Tree(root)
		require.ErrorIs(t, err, plumbing.ErrObjectNotFound, name)
		assert.Empty(t, tree, name)
		data, err := snapshot.File(snapshot.Head(), "a/b/file")
		if name == "main:z" {
			require.NoError(t, err)
			assert.Equal(t, "1", string(data))
			continue
		}
		require.Error(t, err, name)
		assert.Empty(t, data, name)
		if name != "main:a/b/file" {
			_, err = snapshot.Replace("a/b/file", []byte("3"), "m", Author{})
			require.ErrorIs(t, err, plumbing.ErrObjectNotFound, name)
		}
	}
}

func TestASubmoduleIsLeftOut(t *testing.T) {
	host := githost.Start(t, map[string]string{"file": "1"}, nil)
	head := host.Git("rev-parse", "main")
	host.Git("read-tree", "main")
	host.Git("update-index", "--add", "--cacheinfo", "160000,"+head+",sub", "--cacheinfo", "100755,"+host.Git("rev-parse", "main:file")+",file")
	host.Git("update-ref", "refs/heads/main", host.Git("commit-tree", host.Git("write-tree"), "-p", head, "-m", "Submodule"))
	r, _ := open(t, host)
	snapshot, err := r.Snapshot(t.Context(), 1)
	require.NoError(t, err)
	tree, err := snapshot.Tree(".")
	require.NoError(t, err)
	assert.Equal(t, overlay.Tree{Files: map[string][]byte{"file": []byte("1")}}, tree)
	change, err := snapshot.Replace("file", []byte("2"), "m", Author{})
	require.NoError(t, err)
	require.NoError(t, r.Push(t.Context(), change))
	assert.Equal(t, "100755 160000", strings.Join(strings.Fields(host.Git("ls-tree", "--format=%(objectmode)", "main")), " "))
	_, err = snapshot.Tree("sub")
	assert.Equal(t, "is not a folder of the repository", faultOf(t, step.KindInput, err).Reason)
	for name, reason := range map[string]string{"sub": "is no regular file or folder", "sub/file": "is no regular file or folder", "file/deeper": "is no regular file or folder", "other": "entry not found"} {
		_, err := snapshot.Replace(name, nil, "m", Author{})
		require.ErrorContains(t, err, "replace "+name+": ")
		require.ErrorContains(t, err, reason)
	}
}

func TestATreeHasASize(t *testing.T) {
	half := strings.Repeat("a", overlay.MaxTree/2)
	host := githost.Start(t, map[string]string{"fits/a": half, "fits/b": half, "more/a": half, "more/b": half, "more/c": "1"}, nil)
	r, _ := open(t, host)
	snapshot, err := r.Snapshot(t.Context(), 1)
	require.NoError(t, err)
	_, err = snapshot.Tree("fits")
	require.NoError(t, err)
	_, err = snapshot.Tree("more")
	assert.Equal(t, overlay.TooBig("root more").Error(), faultOf(t, step.KindInput, err).Error())
}

func TestCommitsOfASnapshot(t *testing.T) {
	host := githost.Start(t, map[string]string{"a": "1"}, nil)
	first := plumbing.NewHash(host.Git("rev-parse", "main"))
	second := plumbing.NewHash(host.Commit("Second", map[string]string{"a": "2", "b": "3"}))
	r, _ := open(t, host)
	whole, err := r.Snapshot(t.Context(), 0)
	require.NoError(t, err)
	parents, complete, err := whole.Parents(second)
	require.NoError(t, err)
	assert.True(t, complete)
	assert.Equal(t, []plumbing.Hash{first}, parents)
	parents, complete, err = whole.Parents(first)
	require.NoError(t, err)
	assert.True(t, complete)
	assert.Empty(t, parents)
	for commit, want := range map[plumbing.Hash]string{first: "1", second: "2"} {
		data, err := whole.File(commit, "a")
		require.NoError(t, err)
		assert.Equal(t, want, string(data))
	}
	_, err = whole.File(first, "b")
	require.ErrorIs(t, err, object.ErrFileNotFound)
	commit, err := whole.Commit(second)
	require.NoError(t, err)
	assert.Equal(t, "Second\n", commit.Message)

	shallow, err := r.Snapshot(t.Context(), 1)
	require.NoError(t, err)
	parents, complete, err = shallow.Parents(second)
	require.NoError(t, err)
	assert.False(t, complete, "its history ends before the branch's")
	assert.Nil(t, parents)
	_, _, err = shallow.Parents(first)
	require.ErrorIs(t, err, plumbing.ErrObjectNotFound)
	_, err = shallow.Commit(first)
	require.ErrorIs(t, err, plumbing.ErrObjectNotFound)
	_, err = shallow.File(first, "a")
	require.ErrorIs(t, err, plumbing.ErrObjectNotFound)
	side := plumbing.NewHash(host.Git("commit-tree", host.Git("rev-parse", "main^{tree}"), "-p", second.String(), "-p", first.String(), "-m", "Merge"))
	host.Git("update-ref", "refs/heads/main", side.String())
	whole, err = r.Snapshot(t.Context(), 0)
	require.NoError(t, err)
	parents, complete, err = whole.Parents(side)
	require.NoError(t, err)
	assert.True(t, complete)
	assert.Equal(t, []plumbing.Hash{second, first}, parents)
}

// TestAChangeIsOneFile: everything else of the tree stays, and what is pushed is whole.
func TestAChangeIsOneFile(t *testing.T) {
	host := githost.Start(t, githost.Sample("", map[string]string{"link": "-> apps"}), nil)
	base := host.Git("rev-parse", "main")
	const file = "apps/hello/base/deployment.yaml"
	r, _ := open(t, host)
	snapshot, err := r.Snapshot(t.Context(), 1)
	require.NoError(t, err)
	change, err := snapshot.Replace("./"+file, []byte("new\n"), "Subject\n\nBody\n", Author{Name: "Me", Email: "me@example.com", When: time.Unix(1_700_000_000, 0).UTC()})
	require.NoError(t, err)
	assert.Equal(t, base, host.Git("rev-parse", "main"), "nothing is pushed yet")
	require.NoError(t, r.Push(t.Context(), change))
	assert.Equal(t, change.Commit.String(), host.Git("rev-parse", "main"))
	assert.Equal(t, "M\t"+file, host.Git("diff", "--name-status", base, "main"))
	assert.Equal(t, "new", host.Git("show", "main:"+file))
	assert.Equal(t, base+"|Me <me@example.com> 1700000000|Me <me@example.com> 1700000000|Subject\n\nBody", host.Git("show", "-s", "--format=%P|%an <%ae> %at|%cn <%ce> %ct|%B", "main"))
	host.Git("fsck", "--strict")
	for _, name := range []string{"link", "link/hello", "apps", "nowhere", "apps/nowhere", file + "/deeper"} {
		_, err := snapshot.Replace(name, nil, "m", Author{})
		require.Error(t, err, name)
	}
}

func TestContains(t *testing.T) {
	host := githost.Start(t, map[string]string{"a": "1"}, nil)
	r, _ := open(t, host)
	since, err := r.Snapshot(t.Context(), 1)
	require.NoError(t, err)
	old := since.Head()
	for _, asked := range []string{old.String(), strings.Repeat("ab", 20)} {
		head, found, err := r.Contains(t.Context(), since, plumbing.NewHash(asked))
		require.NoError(t, err)
		assert.Equal(t, old, head)
		assert.Equal(t, asked == old.String(), found)
	}
	second := plumbing.NewHash(host.Commit("Second", map[string]string{"a": "2"}))
	third := plumbing.NewHash(host.Commit("Third", map[string]string{"a": "3"}))
	for commit, want := range map[plumbing.Hash]bool{second: true, third: true, plumbing.NewHash(strings.Repeat("ab", 20)): false} {
		head, found, err := r.Contains(t.Context(), since, commit)
		require.NoError(t, err)
		assert.Equal(t, third, head)
		assert.Equal(t, want, found, commit)
	}
}

// pkt is one line of Git's protocol.
func pkt(text string) string { return fmt.Sprintf("%04x%s", len(text)+4, text) }

// TestAPushHasArrivedWhereTheRemoteSaysSo: for this branch, once.
func TestAPushHasArrivedWhereTheRemoteSaysSo(t *testing.T) {
	const unpacked = "unpack ok\n"
	for name, c := range map[string]struct {
		status int
		answer string
		// rejected is the reason of a decision; failed is of any other error.
		rejected, failed string
		fault            step.Kind
	}{
		"arrived":          {200, pkt(unpacked) + pkt("ok refs/heads/main\n") + "0000", "", "", ""},
		"no report at all": {200, "", "", "the remote did not report what became of the push", ""},
		"an empty report":  {200, pkt(unpacked) + "0000", "no report on the branch", "", ""},
		"another branch":   {200, pkt(unpacked) + pkt("ok refs/heads/other\n") + "0000", "no report on the branch", "", ""},
		"two reports":      {200, pkt(unpacked) + pkt("ok refs/heads/main\n") + pkt("ok refs/heads/main\n") + "0000", "no report on the branch", "", ""},
		"refused":          {200, pkt(unpacked) + pkt("ng refs/heads/main no  way\n") + "0000", "command error on refs/heads/main: no way", "", ""},
		"refused after ok": {200, pkt(unpacked) + pkt("ok refs/heads/main\n") + pkt("ng refs/heads/main no\n") + "0000", "command error on refs/heads/main: no", "", ""},
		"not unpacked":     {200, pkt("unpack disk full\n") + pkt("ok refs/heads/main\n") + "0000", "unpack error: disk full", "", ""},
		"cut off":          {200, pkt(unpacked) + pkt("ok refs/heads/main\n"), "", "missing flush", ""},
		"no report's text": {200, pkt("hello\n") + "0000", "", "malformed unpack status", ""},
		"broken":           {503, "", "", "503", ""},
		"signed out":       {401, "", "", "refuses these credentials", step.KindInput},
		"forbidden":        {403, "", "", "refuses these credentials", step.KindInput},
		"bad request":      {400, "", "", "asked once for a push", step.KindInfrastructure},
	} {
		t.Run(name, func(t *testing.T) {
			host := githost.Start(t, map[string]string{"a": "1"}, func(git http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case strings.HasSuffix(r.URL.Path, "/git-receive-pack"):
						w.WriteHeader(c.status)
						_, _ = io.WriteString(w, c.answer)
					case r.URL.Query().Get("service") == "git-receive-pack":
						head := "0123456789012345678901234567890123456789 refs/heads/main\x00report-status\n"
						_, _ = io.WriteString(w, pkt("# service=git-receive-pack\n")+"0000"+pkt(head)+"0000")
					default:
						git.ServeHTTP(w, r)
					}
				})
			})
			r, _ := open(t, host)
			snapshot, err := r.Snapshot(t.Context(), 1)
			require.NoError(t, err)
			change, err := snapshot.Replace("a", []byte("2"), "m", Author{})
			require.NoError(t, err)
			err = r.Push(t.Context(), change)
			var rejected *Rejected
			switch {
			case c.rejected != "":
				require.ErrorAs(t, err, &rejected)
				assert.Equal(t, c.rejected, rejected.Reason)
				assert.Equal(t, c.rejected, err.Error())
			case c.failed != "":
				require.ErrorContains(t, err, c.failed)
				require.NotErrorAs(t, err, &rejected)
				if c.fault != "" {
					faultOf(t, c.fault, err)
				} else if _, ok := step.AsFault(err); ok {
					t.Fatalf("%v is a fault: nothing is known of the push", err)
				}
			default:
				require.NoError(t, err)
			}
		})
	}
}

func TestARemoteHasToReportOnAPush(t *testing.T) {
	pushed, status := 0, 200
	host := githost.Start(t, map[string]string{"a": "1"}, func(git http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/git-receive-pack"):
				pushed++
			case r.URL.Query().Get("service") == "git-receive-pack":
				w.WriteHeader(status)
				if status == 200 {
					_, _ = io.WriteString(w, pkt("# service=git-receive-pack\n")+"0000"+pkt("0123456789012345678901234567890123456789 refs/heads/main\x00ofs-delta\n")+"0000")
				}
			default:
				git.ServeHTTP(w, r)
			}
		})
	})
	r, _ := open(t, host)
	snapshot, err := r.Snapshot(t.Context(), 1)
	require.NoError(t, err)
	change, err := snapshot.Replace("a", []byte("2"), "m", Author{})
	require.NoError(t, err)
	assert.Equal(t, "does not report what became of a push", faultOf(t, step.KindInfrastructure, r.Push(t.Context(), change)).Reason)
	status = 403
	assert.Equal(t, "refuses these credentials", faultOf(t, step.KindInput, r.Push(t.Context(), change)).Reason)
	status = 500
	err = r.Push(t.Context(), change)
	require.Error(t, err)
	_, fault := step.AsFault(err)
	assert.False(t, fault, "another try may cure it")
	assert.Zero(t, pushed)
}

func TestABranchThatMovedIsNotOverwritten(t *testing.T) {
	host := githost.Start(t, map[string]string{"a": "1"}, nil)
	r, _ := open(t, host)
	snapshot, err := r.Snapshot(t.Context(), 1)
	require.NoError(t, err)
	change, err := snapshot.Replace("a", []byte("2"), "m", Author{})
	require.NoError(t, err)
	theirs := host.Commit("First", map[string]string{"a": "3"})
	var rejected *Rejected
	require.ErrorAs(t, r.Push(t.Context(), change), &rejected)
	assert.Equal(t, theirs, host.Git("rev-parse", "main"))
	host.Hook("pre-receive", "echo 'ask the owner' >&2; printf '\\033[31mred\\n' >&2; exit 1")
	snapshot, err = r.Snapshot(t.Context(), 1)
	require.NoError(t, err)
	change, err = snapshot.Replace("a", []byte("2"), "m", Author{})
	require.NoError(t, err)
	require.ErrorAs(t, r.Push(t.Context(), change), &rejected)
	assert.Equal(t, []string{"ask the owner", "[31mred"}, rejected.Messages)
	assert.Equal(t, "command error on refs/heads/main: pre-receive hook declined; ask the owner; [31mred", rejected.Error())
	assert.Equal(t, theirs, host.Git("rev-parse", "main"))
}

func TestLines(t *testing.T) {
	assert.Empty(t, lines(" \n\r\n\x1b\x7f\n"))
	assert.Equal(t, []string{"a b", "[1mc~", "d"}, lines("\n a b \r[1mc\x7f~\r\n\x00\td"))
	assert.Equal(t, []string{strings.Repeat("a", 300)}, lines(strings.Repeat("a", 300)))
	assert.Equal(t, []string{strings.Repeat("a", 300) + "…"}, lines(strings.Repeat("a", 301)))
	assert.Equal(t, []string{strings.Repeat("a", 299) + "…"}, lines(strings.Repeat("a", 299)+"ää"))
	many := lines(strings.Repeat("a\n", 19) + "b\nc\n")
	assert.Len(t, many, 20)
	assert.Equal(t, "b", many[19])
}
