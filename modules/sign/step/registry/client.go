// Package registry reads an image's referrers and attaches new ones, as the
// OCI distribution specification 1.1 defines: through the referrers API, and
// through the referrers tag schema where a registry has no such API. Whatever
// is read by digest is checked against it.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"slipway/step"
	"slipway/step/azure"
)

// The errors that a caller decides by.
var (
	// ErrContent means that bytes do not have the digest they were asked by.
	ErrContent = errors.New("content does not match its digest")
	// ErrNotFound means that the registry answered and has no such content.
	ErrNotFound = errors.New("is not in the registry")
	// ErrDenied means that the registry refuses the credentials.
	ErrDenied = errors.New("registry refuses access")
	// ErrPlainHTTP means that a request would have left this machine without
	// TLS.
	ErrPlainHTTP = errors.New("plain HTTP is allowed to localhost only")
	// ErrTooLarge means that an answer is longer than any that is expected.
	ErrTooLarge = errors.New("answer is too large")
)

// Attempts is how often one request is tried before its failure counts.
const Attempts = 3

// Options say how a registry is reached.
type Options struct {
	// Connect maps a registry's host:port as references name it to the
	// host:port to dial instead.
	Connect map[string]string
	// Username and Password are sent as the registry's challenge wants; both
	// empty means anonymous.
	Username, Password string
	// Azure signs in to a registry of Azure's instead; nil does not.
	Azure *azure.Credential
	// Push asks for the right to push, too.
	Push bool
	// Pause is the wait after the first failed try; it doubles after each.
	// Zero is half a second.
	Pause time.Duration
}

// Client talks to one repository.
type Client struct {
	repository name.Repository
	options    Options
	base       *http.Transport

	mu   sync.Mutex
	auth http.RoundTripper
}

// New makes a client; it does not connect yet.
func New(repository name.Repository, options Options) *Client {
	if options.Pause == 0 {
		options.Pause = 500 * time.Millisecond
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	base := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if actual, ok := options.Connect[address]; ok {
				address = actual
			}
			return dialer.DialContext(ctx, network, address)
		},
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		IdleConnTimeout:       30 * time.Second,
	}
	return &Client{repository: repository, options: options, base: base}
}

// loopbackOnly refuses plain HTTP to any other host: go-containerregistry
// would use it for private addresses and .local names, too, and follows a
// redirect or a token realm anywhere.
type loopbackOnly struct{ inner http.RoundTripper }

func (l loopbackOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !loopback(r.URL.Hostname()) {
		return nil, fmt.Errorf("%s: %w", r.URL.Host, ErrPlainHTTP)
	}
	return l.inner.RoundTrip(r)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// session authenticates once and keeps the result.
func (c *Client) session(ctx context.Context) (http.RoundTripper, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.auth != nil {
		return c.auth, nil
	}
	scopes := []string{c.repository.Scope(transport.PullScope)}
	if c.options.Push {
		scopes = []string{c.repository.Scope(transport.PushScope)}
	}
	auth := authn.Anonymous
	switch {
	case c.options.Azure != nil:
		auth = azureLogin{c.options.Azure, c.repository.RegistryStr()}
		c.options.Azure.Route(c.base)
	case c.options.Username != "" || c.options.Password != "":
		auth = &authn.Basic{Username: c.options.Username, Password: c.options.Password}
	}
	wrapped, err := transport.NewWithContext(ctx, c.repository.Registry, auth, loopbackOnly{c.base}, scopes)
	if err != nil {
		return nil, err
	}
	c.auth = wrapped
	return wrapped, nil
}

// try runs one request, up to Attempts times while its failure may pass.
// what names the request in the error.
func (c *Client) try(ctx context.Context, what string, request func(http.RoundTripper) error) error {
	pause := c.options.Pause
	for attempt := 1; ; attempt++ {
		session, err := c.session(ctx)
		if err == nil {
			err = request(session)
		}
		if err == nil {
			return nil
		}
		err = classify(err)
		if c.options.Azure != nil && errors.Is(err, ErrDenied) {
			err = c.options.Azure.Denied("repository "+c.repository.Name(), err)
		}
		if permanent(ctx, err) {
			return fmt.Errorf("%s: %w", what, err)
		}
		if attempt == Attempts {
			return fmt.Errorf("%s: %d tries: %w", what, attempt, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// classify gives the answers that a caller decides by their error.
func classify(err error) error {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return err
	}
	switch answer.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return err
}

func permanent(ctx context.Context, err error) bool {
	for _, known := range []error{ErrContent, ErrNotFound, ErrDenied, ErrPlainHTTP, ErrTooLarge} {
		if errors.Is(err, known) {
			return true
		}
	}
	// Who could not sign in has been told why.
	if _, refused := step.AsFault(err); refused {
		return true
	}
	var answer *transport.Error
	if errors.As(err, &answer) {
		return answer.StatusCode < 500 && answer.StatusCode != http.StatusRequestTimeout && answer.StatusCode != http.StatusTooManyRequests
	}
	return ctx.Err() != nil
}
