package packages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"slipway/step"
	"slipway/step/reach"
)

// Reach is how registries are reached.
type Reach struct {
	// Netrc are credentials, by host.
	Netrc Netrc
	// Connections are the host:port to dial for a registry's own host:port, where that
	// is not what it is reached at.
	Connections reach.Connections
}

// Client asks one registry, and where it redirects to or keeps its files; never in
// plain HTTP, and never this machine or what is beside it, unless that is the registry
// itself.
type Client struct {
	// Base is the registry's address.
	Base *url.URL

	origin Origin
	netrc  Netrc
	limits Limits
	http   *http.Client
}

// newClient is nil for an origin without an address.
func newClient(origin Origin, access Reach, limits Limits) (*Client, error) {
	if origin.Address == "" {
		return nil, nil
	}
	base, err := url.Parse(origin.Address)
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" || base.RawPath != "" ||
		base.Scheme != "https" && (base.Scheme != "http" || !reach.Loopback(base.Hostname())) {
		return nil, step.Input(Stage, fmt.Sprintf("%s %.200q", origin.What, Redacted(origin.Address)), "is not an https address", "give https://host/path, without user, query or fragment")
	}
	c := &Client{Base: base, origin: origin, netrc: access.Netrc, limits: limits}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           guarded(base.Hostname(), access.Connections),
			TLSHandshakeTimeout:   30 * time.Second,
			ResponseHeaderTimeout: time.Minute,
			MaxIdleConnsPerHost:   workers,
			ForceAttemptHTTP2:     true,
			// A file is wanted as it is.
			DisableCompression: true,
		},
		CheckRedirect: func(to *http.Request, via []*http.Request) error {
			if len(via) > 5 {
				return step.Infrastructure(Stage, c.subject(), "redirects more than 5 times: "+via[0].URL.Redacted(), "mend it, or name another one as "+origin.Setting)
			}
			if !c.May(to.URL) {
				return step.Policy(Stage, c.subject(), "redirects to "+to.URL.Redacted(), "name one, as "+origin.Setting+", that has its packages at https addresses of its own")
			}
			return nil
		},
	}
	return c, nil
}

// subject names the registry in faults.
func (c *Client) subject() string { return c.origin.What + " " + c.Base.Redacted() }

// May says whether an address that the registry names may be asked.
func (c *Client) May(u *url.URL) bool {
	if u.User != nil {
		return false
	}
	return u.Scheme == c.Base.Scheme && u.Host == c.Base.Host || u.Scheme == "https" && u.Host != "" && !near(u.Hostname())
}

// tries is how often a package is asked for while the registry doesn't answer.
const tries = 4

// Get asks for an address until it is answered, at most as often as tries says, and
// has the answer taken. An error of take is tried again, unless it is a fault or one
// of a file here. At is what wants it.
func (c *Client) Get(ctx context.Context, at, address, accept string, take func(*http.Response) error) error {
	pause := c.limits.Pause
	for try := 1; ; try++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		again, err := c.try(ctx, at, address, accept, take)
		if err == nil || !again || try == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// try asks once, and says whether another try can help.
func (c *Client) try(parent context.Context, at, address, accept string, take func(*http.Response) error) (again bool, err error) {
	ctx, cancel := context.WithTimeout(parent, c.limits.Try)
	defer cancel()
	broken := func(err error) (bool, error) {
		if parent.Err() != nil {
			return false, parent.Err()
		}
		if refused, ok := step.AsFault(err); ok {
			return false, refused
		}
		if path := (*fs.PathError)(nil); errors.As(err, &path) {
			return false, err
		}
		return true, step.Infrastructure(Stage, at, "can't be fetched from "+address+": "+err.Error(), "see that the registry answers, then try again").Because(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false, err
	}
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	if who, ok := c.netrc[request.URL.Hostname()]; ok {
		request.SetBasicAuth(who.Login, who.Password)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return broken(err)
	}
	defer response.Body.Close()
	switch code := response.StatusCode; {
	case code == http.StatusOK:
	case code == http.StatusTooManyRequests || code >= 500:
		return broken(errors.New(response.Status))
	case code == http.StatusNotFound || code == http.StatusGone:
		return false, step.Input(Stage, at, "is not in the registry: "+address+": "+response.Status, "see that the version is published there, then "+c.origin.Anew)
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return false, step.Infrastructure(Stage, at, "can't be fetched from "+address+": "+response.Status, "give the registry's credentials by with-packages --netrc, or have the platform name another one as "+c.origin.Setting)
	default:
		return false, step.Infrastructure(Stage, at, "can't be fetched from "+address+": "+response.Status, "see that the registry gives it, or have the platform name another one as "+c.origin.Setting)
	}
	if err := take(response); err != nil {
		return broken(err)
	}
	return false, nil
}

// Body is an answer's, if it is as short as a lock file has to be.
func (c *Client) Body(at string, response *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, c.limits.Lock+1))
	if int64(len(body)) > c.limits.Lock {
		return nil, step.Policy(Stage, at, fmt.Sprintf("has a page in the registry that is larger than %d bytes", c.limits.Lock), "have the platform name another one as "+c.origin.Setting)
	}
	return body, err
}

// Redacted is an address without a password.
func Redacted(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return address
}

// guarded dials no address of this machine, except for one host's and for what
// connections name.
func guarded(home string, connections map[string]string) func(context.Context, string, string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: 30 * time.Second}
	checked := &net.Dialer{Timeout: 30 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		if host, _, err := net.SplitHostPort(address); err != nil || near(host) {
			return fmt.Errorf("%s is an address of this machine or beside it", address)
		}
		return nil
	}}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, _ := net.SplitHostPort(address)
		if host != home {
			return checked.DialContext(ctx, network, address)
		}
		if actual, ok := connections[address]; ok {
			address = actual
		}
		return plain.DialContext(ctx, network, address)
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
