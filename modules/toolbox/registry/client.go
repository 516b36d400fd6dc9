package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"slipway/registry/verify"
)

const (
	// Tries is how often something is asked of a registry before its failure is
	// the step's.
	Tries = 3
	// perTry bounds one try, a blob's transfer included.
	perTry = 10 * time.Minute
	// patience is the longest that a registry is left alone between two tries,
	// when it asks for it.
	patience = 2 * time.Minute
	// firstPause is Access.Pause's default.
	firstPause = 500 * time.Millisecond
)

// Right is what somebody wants to do in a repository.
type Right string

// What Client asks a registry's token service for.
const (
	Pull Right = "pull"
	Push Right = "push,pull"
)

// Client speaks with one repository of a registry. Its methods may be called at the
// same time.
type Client struct {
	access Access
	repo   name.Repository
	right  Right
	base   http.RoundTripper

	mu   sync.Mutex
	http *http.Client // nil until signed in
}

// New makes a client; it does not connect yet.
func New(access Access, repo name.Repository, right Right) *Client {
	if access.Pause == 0 {
		access.Pause = firstPause
	}
	return &Client{access: access, repo: repo, right: right, base: newGuard(&access)}
}

// At is the reference of a digest in the client's repository.
func (c *Client) At(d v1.Hash) string { return c.repo.Name() + "@" + d.String() }

// asked is something that is asked of a registry.
type asked struct {
	// verb and of name it, as in "upload" and "localhost:5000/hello@sha256:…".
	verb, of string
	// part says that a manifest which is there names what is asked for.
	part bool
}

// do tries something up to Tries times, while its failure may pass. The error is a
// fault, whose cause is one of those that a caller decides by.
func (c *Client) do(ctx context.Context, what asked, try func(context.Context, *http.Client) error) error {
	pause := c.access.Pause
	for n := 1; ; n++ {
		after, err := c.once(ctx, try)
		if err == nil {
			return nil
		}
		if n == Tries || ctx.Err() != nil || !passing(err) || after > patience {
			return c.fault(what, n, after, err)
		}
		c.access.Report("%s: %s %s, try %d of %d: %s", c.repo.RegistryStr(), what.verb, what.of, n, Tries, brief(err))
		if err := c.access.wait(ctx, max(pause, after)); err != nil {
			return c.fault(what, n, 0, err)
		}
		pause *= 2
	}
}

// once tries it once, and says how long the registry wants to be left alone.
func (c *Client) once(ctx context.Context, try func(context.Context, *http.Client) error) (time.Duration, error) {
	ctx, cancel, after := trying(ctx)
	defer cancel()
	client, err := c.signedIn(ctx)
	if err == nil {
		err = try(ctx, client)
	}
	return time.Duration(after.Load()), err
}

// signedIn signs in at the first call that the registry answers.
func (c *Client) signedIn(ctx context.Context) (*http.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http != nil {
		return c.http, nil
	}
	signed, err := transport.NewWithContext(ctx, c.repo.Registry, c.access.authenticator(c.repo.RegistryStr()), c.base, []string{c.repo.Scope(string(c.right))})
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	c.http = &http.Client{Transport: signed, CheckRedirect: secure}
	return c.http, nil
}

// Transport is the client's own, signed in, for requests below the repository: it
// neither tries again nor verifies.
func (c *Client) Transport(ctx context.Context) (http.RoundTripper, error) {
	var signed http.RoundTripper
	err := c.do(ctx, asked{verb: "log in to", of: c.repo.Name()}, func(_ context.Context, client *http.Client) error {
		signed = client.Transport
		return nil
	})
	return signed, err
}

// url is one below the repository. A signed-in transport puts the scheme there that
// the registry has answered by.
func (c *Client) url(kind, last string) string {
	u := url.URL{Scheme: c.repo.Scheme(), Host: c.repo.RegistryStr(), Path: "/v2/" + c.repo.RepositoryStr() + "/" + kind + "/" + last}
	return u.String()
}

// content is the URL of what d describes.
func (c *Client) content(d v1.Descriptor) string {
	if verify.IsManifest(d) {
		return c.url("manifests", d.Digest.String())
	}
	return c.url("blobs", d.Digest.String())
}

// request is one that a registry answers with status want.
type request struct {
	method, url string
	body        io.Reader
	length      int64
	header      http.Header
	want        int
}

// send makes one request. With an error there is no body to close, but there may be
// what the response's header says.
func send(ctx context.Context, client *http.Client, q request) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, q.method, q.url, q.body)
	if err != nil {
		return nil, err
	}
	if q.body != nil {
		r.ContentLength = q.length
	}
	for key, values := range q.header {
		r.Header[key] = values
	}
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	if err := transport.CheckError(response, q.want); err != nil {
		response.Body.Close()
		if response.StatusCode == http.StatusNotFound && (q.method == http.MethodGet || q.method == http.MethodHead) {
			err = fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		return response, err
	}
	return response, nil
}
