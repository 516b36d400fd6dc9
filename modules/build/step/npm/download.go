package npm

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"slipway/step"
)

type fetcher struct {
	out      string
	registry *url.URL
	limits   Limits
	client   *http.Client
	total    atomic.Int64
}

// tries is how often a package is asked for while the registry doesn't answer.
const tries = 4

// fetch stores a package's tarball and returns its file's name.
func (f *fetcher) fetch(ctx context.Context, p pinned) (string, error) {
	pause := f.limits.Pause
	for try := 1; ; try++ {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		name, again, err := f.try(ctx, p)
		if err == nil || !again || try == tries {
			return name, err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// try fetches a package once, and says whether another try can help.
func (f *fetcher) try(parent context.Context, p pinned) (name string, again bool, err error) {
	ctx, cancel := context.WithTimeout(parent, f.limits.Try)
	defer cancel()
	broken := func(err error) (string, bool, error) {
		if parent.Err() != nil {
			return "", false, parent.Err()
		}
		var refused *step.Fault
		if errors.As(err, &refused) {
			return "", false, refused
		}
		return "", true, step.Infrastructure(Stage, p.at, "can't be fetched from "+p.url+": "+err.Error(), "see that the registry answers, then try again").Because(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return "", false, err
	}
	response, err := f.client.Do(request)
	if err != nil {
		return broken(err)
	}
	defer response.Body.Close()
	switch code := response.StatusCode; {
	case code == http.StatusOK:
	case code == http.StatusTooManyRequests || code >= 500:
		return broken(errors.New(response.Status))
	case code == http.StatusNotFound || code == http.StatusGone:
		return "", false, step.Input(Stage, p.at, "is not in the registry: "+p.url+": "+response.Status, "see that the version is published there, then "+anew)
	default:
		return "", false, step.Infrastructure(Stage, p.at, "can't be fetched from "+p.url+": "+response.Status, "see that the registry gives it to everyone, or have the platform name another one as build.npm.registry")
	}
	return f.store(p, response.Body, broken)
}

// store writes a tarball that is what the lock file says, and nothing else.
func (f *fetcher) store(p pinned, body io.Reader, broken func(error) (string, bool, error)) (name string, again bool, err error) {
	file, err := os.CreateTemp(f.out, ".tarball-*")
	if err != nil {
		return "", false, err
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	sum := hashes[p.algorithm]()
	size, err := io.Copy(io.MultiWriter(file, sum), io.LimitReader(body, f.limits.Tarball+1))
	switch {
	case size > f.limits.Tarball:
		return "", false, step.Policy(Stage, p.at, fmt.Sprintf("is larger than %d bytes", f.limits.Tarball), "depend on another package")
	case err != nil:
		return broken(err)
	}
	digest := string(sum.Sum(nil))
	if !slices.Contains(p.sums, digest) {
		return "", false, step.Policy(Stage, p.at, "is not what the lock file pins: "+p.url+" has another "+p.algorithm,
			"find out who changed the package; if the change is a wanted one, "+anew)
	}
	if f.total.Add(size) > f.limits.Total {
		return "", false, step.Policy(Stage, p.at, fmt.Sprintf("and the packages before it are larger than %d bytes", f.limits.Total), "depend on fewer packages")
	}
	name = fileName(p.algorithm, digest)
	return name, false, errors.Join(file.Chmod(0o644), os.Rename(file.Name(), filepath.Join(f.out, name)))
}

var hashes = map[string]func() hash.Hash{"sha512": sha512.New, "sha384": sha512.New384, "sha256": sha256.New}

// client speaks to the registry and to where it redirects; never in plain HTTP, and
// never to this machine or what is beside it, unless that is the registry itself.
func client(registry *url.URL) *http.Client {
	home := registry.Hostname()
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           guarded(home),
			TLSHandshakeTimeout:   30 * time.Second,
			ResponseHeaderTimeout: time.Minute,
			MaxIdleConnsPerHost:   workers,
			ForceAttemptHTTP2:     true,
			// The tarball is wanted as it is.
			DisableCompression: true,
		},
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			switch {
			case len(via) > 5:
				return step.Infrastructure(Stage, "npm registry "+registry.Redacted(), "redirects more than 5 times: "+via[0].URL.Redacted(), "mend the registry, or name another one as build.npm.registry")
			case to.URL.Scheme == registry.Scheme && to.URL.Host == registry.Host:
				return nil
			case to.URL.Scheme != "https" || to.URL.User != nil || near(to.URL.Hostname()):
				return step.Policy(Stage, "npm registry "+registry.Redacted(), "redirects to "+to.URL.Redacted(), "name a registry that has its packages at https addresses of its own")
			}
			return nil
		},
	}
}

// guarded dials no address of this machine, except for one host's.
func guarded(home string) func(context.Context, string, string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: 30 * time.Second}
	checked := &net.Dialer{Timeout: 30 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		if host, _, err := net.SplitHostPort(address); err != nil || near(host) {
			return fmt.Errorf("%s is an address of this machine or beside it", address)
		}
		return nil
	}}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, _, _ := net.SplitHostPort(address); host == home {
			return plain.DialContext(ctx, network, address)
		}
		return checked.DialContext(ctx, network, address)
	}
}

// near says whether a host is an address of this machine, of its link, or of nobody.
func near(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return false // a name; what it stands for is looked at when it is dialled
	}
	address = address.Unmap().WithZone("")
	return address.IsLoopback() || address.IsLinkLocalUnicast() || address.IsUnspecified() || address.IsMulticast()
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.Unmap().IsLoopback()
}
