package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/storage/memory"

	"slipway/step"
	"slipway/step/reach"
)

// tries bounds the tries of a read that fails on the way.
const tries = 3

func init() {
	// go-git hides multi_ack from its clients by default. Azure Repos serves
	// only those that ask for it, and the fetches made here (all wants and
	// haves in one request, then done) get along with it.
	transport.UnsupportedCapabilities = []capability.Capability{capability.ThinPack}
}

// Options say which branch is meant, and how it is reached.
type Options struct {
	// URL is the repository's logical URL.
	URL string
	// Branch is the branch's short name, such as main.
	Branch string
	// Connect redirects logical names; may be nil.
	Connect reach.Connections
	// Username and Token are HTTP basic credentials. An empty Token is
	// anonymous.
	Username string
	Token    string
	// Sleep waits between tries. Nil is a real wait that ends with the context.
	Sleep func(context.Context, time.Duration) error
}

// Remote is one branch of a repository.
type Remote struct {
	url    string
	branch plumbing.ReferenceName
	client transport.Transport
	point  *transport.Endpoint
	auth   transport.AuthMethod
	sleep  func(context.Context, time.Duration) error
}

var branchPattern = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._/-]{0,199}\z`)

// Open checks the options. It does not touch the network.
func Open(o Options) (*Remote, error) {
	if err := checkURL(o.URL); err != nil {
		return nil, err
	}
	if !branchPattern.MatchString(o.Branch) || strings.Contains(o.Branch, "..") ||
		strings.Contains(o.Branch, "//") || strings.HasSuffix(o.Branch, "/") || strings.HasSuffix(o.Branch, ".lock") {
		return nil, step.Input(Stage, fmt.Sprintf("branch %.80q", o.Branch), "is not a branch name",
			"use letters, digits, dots, dashes and slashes, as git check-ref-format allows")
	}
	point, err := transport.NewEndpoint(o.URL)
	if err != nil {
		return nil, step.Input(Stage, "remote", "is not a URL", "give the repository's https:// URL").Because(err)
	}
	r := &Remote{
		url:    o.URL,
		branch: plumbing.NewBranchReferenceName(o.Branch),
		client: githttp.NewClientWithOptions(client(o.Connect),
			&githttp.ClientOptions{RedirectPolicy: githttp.NoFollowRedirects}),
		point: point,
		sleep: o.Sleep,
	}
	if o.Token != "" {
		user := o.Username
		if user == "" {
			user = "git" // hosts that take tokens ignore it, but want one
		}
		r.auth = &githttp.BasicAuth{Username: user, Password: o.Token}
	}
	if r.sleep == nil {
		r.sleep = Sleep
	}
	return r, nil
}

// Sleep waits for d, or until the context ends.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Name names the branch and its repository, for faults.
func (r *Remote) Name() string {
	return r.url + " " + r.branch.Short()
}

func (r *Remote) advertised(ctx context.Context) (transport.UploadPackSession, plumbing.Hash, error) {
	session, err := r.client.NewUploadPackSession(r.point, r.auth)
	if err != nil {
		return nil, plumbing.ZeroHash, err
	}
	refs, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return nil, plumbing.ZeroHash, err
	}
	head, ok := refs.References[r.branch.String()]
	if !ok {
		return nil, plumbing.ZeroHash, step.Input(Stage, r.Name(), "has no such branch",
			"create the branch, or correct its name")
	}
	return session, head, nil
}

// Snapshot downloads the branch's newest commit with its files and depth-1
// commits before it; depth 0 is the whole history.
func (r *Remote) Snapshot(ctx context.Context, depth int) (*Snapshot, error) {
	snapshot := &Snapshot{}
	err := r.retry(ctx, "its newest commit", func() error {
		session, head, err := r.advertised(ctx)
		if err != nil {
			return err
		}
		store := memory.NewStorage()
		if err := fetch(ctx, session, store, head, plumbing.ZeroHash, depth); err != nil {
			return err
		}
		commit, err := object.GetCommit(store, head)
		if err != nil {
			return fmt.Errorf("the branch's commit is not in what the remote sent: %w", err)
		}
		snapshot.store, snapshot.head = store, commit
		return nil
	})
	if err != nil {
		return nil, err
	}
	return snapshot, nil
}

// Contains looks at the branch again: head is its newest commit, and found
// says whether commit is among those added since the snapshot was taken.
func (r *Remote) Contains(ctx context.Context, since *Snapshot, commit plumbing.Hash) (head plumbing.Hash, found bool, err error) {
	err = r.retry(ctx, "its newest commits", func() error {
		session, at, err := r.advertised(ctx)
		if err != nil {
			return err
		}
		head = at
		if at == since.head.Hash || at == commit {
			found = at == commit
			return nil
		}
		store := memory.NewStorage()
		if err := fetch(ctx, session, store, at, since.head.Hash, 0); err != nil {
			return err
		}
		// Every commit sent is one that the branch's head leads to.
		found = store.HasEncodedObject(commit) == nil
		return nil
	})
	return head, found, err
}

// fetch downloads want into store: with depth commits of history, and without
// what have and its tree already hold.
func fetch(ctx context.Context, session transport.UploadPackSession, store *memory.Storage, want, have plumbing.Hash, depth int) error {
	refs, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return err
	}
	request := packp.NewUploadPackRequestFromCapabilities(refs.Capabilities)
	// Without a side band the answer is the pack alone.
	request.Capabilities.Delete(capability.Sideband)
	request.Capabilities.Delete(capability.Sideband64k)
	if refs.Capabilities.Supports(capability.NoProgress) {
		if err := request.Capabilities.Set(capability.NoProgress); err != nil {
			return err
		}
	}
	request.Wants = []plumbing.Hash{want}
	if refs.Capabilities.Supports(capability.Shallow) {
		if err := request.Capabilities.Set(capability.Shallow); err != nil {
			return err
		}
		request.Depth = packp.DepthCommits(depth)
		if !have.IsZero() {
			request.Shallows = []plumbing.Hash{have}
		}
	}
	if !have.IsZero() {
		request.Haves = []plumbing.Hash{have}
	}
	response, err := session.UploadPack(ctx, request)
	if err != nil {
		return err
	}
	err = packfile.UpdateObjectStorage(store, response)
	return errors.Join(err, response.Close())
}

// retry runs a read up to three times while it fails on the way, and turns the
// last failure into a Fault.
func (r *Remote) retry(ctx context.Context, what string, read func() error) error {
	var err error
	for try := 1; try <= tries; try++ {
		if err = read(); err == nil {
			return nil
		}
		if !transient(err) {
			return r.fault(err, what, try)
		}
		if try < tries {
			if waited := r.sleep(ctx, time.Duration(try)*250*time.Millisecond); waited != nil {
				return r.fault(waited, what, try)
			}
		}
	}
	return r.fault(err, what, tries)
}

// transient says whether trying again may help: no answer, or an answer of
// 429 or 5xx.
func transient(err error) bool {
	if _, ok := step.AsFault(err); ok {
		return false
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if status, ok := statusOf(err); ok {
		return status == http.StatusTooManyRequests || status >= 500
	}
	return !errors.Is(err, transport.ErrAuthenticationRequired) &&
		!errors.Is(err, transport.ErrAuthorizationFailed) &&
		!errors.Is(err, transport.ErrRepositoryNotFound) &&
		!errors.Is(err, transport.ErrEmptyRemoteRepository)
}

// statusOf finds the HTTP status behind an error of go-git.
func statusOf(err error) (int, bool) {
	var unexpected *plumbing.UnexpectedError
	if errors.As(err, &unexpected) {
		err = unexpected.Err
	}
	var answer *githttp.Err
	if errors.As(err, &answer) {
		return answer.Response.StatusCode, true
	}
	return 0, false
}

// fault turns a failed request for what into a Fault, after asked tries.
func (r *Remote) fault(err error, what string, asked int) error {
	if f, ok := step.AsFault(err); ok {
		return f
	}
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		return step.Input(Stage, r.Name(), "refuses these credentials",
			"give --username and --token-file of an account that may read and push this branch").Because(err)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return step.Input(Stage, r.Name(), "does not exist, or is hidden from these credentials",
			"correct the URL, or give credentials that may read it").Because(err)
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return step.Input(Stage, r.Name(), "is an empty repository",
			"push the GitOps folder to it first").Because(err)
	}
	times := "once"
	if asked > 1 {
		times = fmt.Sprintf("%d times", asked)
	}
	return step.Infrastructure(Stage, r.Name(),
		fmt.Sprintf("asked %s for %s: %s", times, what, reason(err)),
		"see that the Git remote is up and reachable, then run the release again").Because(err)
}

// reason is an error's text on one line.
func reason(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "the answer broke off: " + err.Error()
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
