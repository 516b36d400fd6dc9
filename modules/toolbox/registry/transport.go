package registry

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"slipway/step/reach"
)

// guard dials through connections. It uses no proxy and reads no environment,
// unless it is Azure that it leads to, and it speaks plain HTTP with loopback names
// only: go-containerregistry would with private addresses and .local names, too, and
// a registry may name any realm or redirect anywhere.
type guard struct{ inner *http.Transport }

func newGuard(a *Access) *guard {
	t := &http.Transport{
		DialContext:           a.Connections.DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
		IdleConnTimeout:       30 * time.Second,
		ForceAttemptHTTP2:     true,
	}
	if a.Azure != nil {
		a.Azure.Route(t)
	}
	return &guard{t}
}

// plainHTTPError is a request that would go unencrypted where it must not.
type plainHTTPError struct{ reason string }

func (e *plainHTTPError) Error() string { return e.reason }

// RoundTrip is http.RoundTripper's.
func (t *guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !reach.Loopback(r.URL.Hostname()) {
		return nil, &plainHTTPError{"plain HTTP is only for loopback names, not for " + r.URL.Host}
	}
	response, err := t.inner.RoundTrip(r)
	if again, ok := r.Context().Value(again{}).(*atomic.Int64); ok {
		var after time.Duration
		if err == nil && (response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= 500) {
			after = retryAfter(response.Header, time.Now())
		}
		again.Store(int64(after))
	}
	return response, err
}

// again is the context's key of when the last answer to a try wants to be asked
// again, as a time.Duration.
type again struct{}

// retryAfter is what the header of that name says (RFC 9110, 10.2.3): seconds or a
// date. Zero is nothing.
func retryAfter(header http.Header, now time.Time) time.Duration {
	const most = 1 << 30 // seconds, which is a time.Duration still
	text := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, most)) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return max(0, at.Sub(now))
}

// secure refuses redirects from HTTPS to plain HTTP, be it to a loopback name.
func secure(to *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("redirects more than 10 times")
	}
	if to.URL.Scheme != "https" && via[len(via)-1].URL.Scheme == "https" {
		return &plainHTTPError{"redirects from HTTPS to plain HTTP, to " + to.URL.Host}
	}
	return nil
}

// trying is a context for one try, and where its last answer says when to ask again.
func trying(ctx context.Context) (context.Context, context.CancelFunc, *atomic.Int64) {
	asked := &atomic.Int64{}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, again{}, asked), perTry)
	return ctx, cancel, asked
}
