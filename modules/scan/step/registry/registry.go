// Package registry is how the scan step reaches an OCI registry: under a logical
// name that appears in references, over a connection that may lead elsewhere,
// with bounded retries, and with faults that name what was asked.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"slipway/step"
	"slipway/step/azure"
)

// Client reaches registries. The zero value connects to the names themselves,
// anonymously.
type Client struct {
	// Stage is the stage that the client's faults name.
	Stage string
	// Connect maps a logical host:port to the host:port to dial instead.
	Connect map[string]string
	// Username and Password authenticate; both empty is anonymous.
	Username, Password string
	// Azure signs in to a registry of Azure's instead; nil does not.
	Azure *azure.Credential
	// Pause is the wait before the second try of a request, three times as
	// long before the third and last; zero is half a second.
	Pause time.Duration
}

// ParseConnect reads LOGICAL=ACTUAL pairs, each side a host:port.
func ParseConnect(stage string, pairs []string) (map[string]string, error) {
	connect := map[string]string{}
	for _, pair := range pairs {
		logical, actual, _ := strings.Cut(pair, "=")
		for _, side := range []string{logical, actual} {
			host, port, err := net.SplitHostPort(side)
			if err != nil || host == "" || port == "" {
				return nil, step.Input(stage, fmt.Sprintf("--connect %q", pair),
					"is not a pair of addresses", "give LOGICAL=ACTUAL, each as host:port")
			}
		}
		connect[logical] = actual
	}
	return connect, nil
}

// Credentials says who the client is: a user name, and a file with its password; a
// last line break is not part of it. An Azure identity is a user name, too. Both
// empty is nobody.
func (c *Client) Credentials(username, path string) (err error) {
	if azure.Is(username) {
		c.Azure, err = azure.Open(c.Stage, username, path)
		return err
	}
	c.Username = username
	if path == "" {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return step.Input(c.Stage, "--password-file", "can't be read",
			"give a file that holds the registry's password").Because(err)
	}
	c.Password = strings.TrimRight(string(data), "\r\n")
	return nil
}

// repositoryPattern is a host, which may have a port, and a repository name of
// the OCI distribution specification.
var repositoryPattern = regexp.MustCompile(`\A[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)+\z`)

// Repository parses a repository's logical name. Plain HTTP is spoken with a
// loopback name only; any other registry must speak HTTPS.
func (c *Client) Repository(value string) (name.Repository, error) {
	repository, err := name.NewRepository(value, name.StrictValidation)
	if err != nil || !repositoryPattern.MatchString(value) {
		return repository, step.Input(c.Stage, fmt.Sprintf("repository %.80q", value),
			"is not the name of a repository", "give HOST/PATH without a tag, such as registry.example.org/team/app").Because(err)
	}
	if repository.Scheme() != "https" && !loopback(repository.RegistryStr()) {
		return repository, step.Input(c.Stage, fmt.Sprintf("repository %.80q", value),
			"names a registry that would be spoken to over plain HTTP", "use a host name that serves HTTPS; plain HTTP is for localhost only")
	}
	return repository, nil
}

// tagPattern is the grammar of tags in the OCI distribution specification.
var tagPattern = regexp.MustCompile(`\A[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\z`)

// Tag parses a tag of a repository.
func (c *Client) Tag(repository name.Repository, tag string) (name.Tag, error) {
	if !tagPattern.MatchString(tag) {
		return name.Tag{}, step.Input(c.Stage, fmt.Sprintf("tag %.80q", tag), "is not a valid tag",
			"use 1 to 128 letters, digits, dots, dashes and underscores, the first a letter, digit or underscore")
	}
	return repository.Tag(tag), nil
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}

// Transport dials the actual address of a logical one. It uses no proxy and
// reads no environment.
func (c *Client) Transport() http.RoundTripper {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if actual, ok := c.Connect[address]; ok {
			address = actual
		}
		return dialer.DialContext(ctx, network, address)
	}
	t.ResponseHeaderTimeout = 30 * time.Second
	if c.Azure != nil {
		c.Azure.Route(t)
	}
	return t
}

// Authenticator is who the client is to a registry.
func (c *Client) Authenticator(registry name.Registry) authn.Authenticator {
	if c.Azure != nil {
		return azureLogin{c.Azure, registry.RegistryStr()}
	}
	if c.Username == "" && c.Password == "" {
		return authn.Anonymous
	}
	return &authn.Basic{Username: c.Username, Password: c.Password}
}

// Options are the options of each call to a registry: three tries, no keychain.
func (c *Client) Options(ctx context.Context, registry name.Registry) []remote.Option {
	pause := c.Pause
	if pause == 0 {
		pause = 500 * time.Millisecond
	}
	return []remote.Option{
		remote.WithContext(ctx),
		remote.WithTransport(c.Transport()),
		remote.WithAuth(c.Authenticator(registry)),
		remote.WithRetryBackoff(remote.Backoff{Duration: pause, Factor: 3, Steps: 3}),
		remote.WithRetryPredicate(retryable),
	}
}

// retryable says whether a failed request is worth another try. Nothing
// listening counts: a registry may be starting.
func retryable(err error) bool {
	var answer *transport.Error
	if errors.As(err, &answer) {
		return answer.Temporary()
	}
	var network net.Error
	return errors.As(err, &network)
}

// Fault says what a registry's refusal or silence means. asked is what the
// client wanted of it, such as "push of localhost:5000/app".
func (c *Client) Fault(asked string, err error) error {
	if refused, ok := step.AsFault(err); ok {
		return refused
	}
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return step.Infrastructure(c.Stage, asked, "the registry can't be reached or broke off: "+err.Error(),
			"check that the registry runs and that its address is right, then run again").Because(err)
	}
	switch answer.StatusCode {
	case http.StatusNotFound:
		return step.Infrastructure(c.Stage, asked, "the registry has no such thing (404)",
			"check the repository and the tag, or publish it first").Because(err)
	case http.StatusUnauthorized, http.StatusForbidden:
		if c.Azure != nil {
			return c.Azure.Denied(asked, err)
		}
		return step.Input(c.Stage, asked, fmt.Sprintf("the registry refuses these credentials (%d)", answer.StatusCode),
			"give a user name and a password that may do this").Because(err)
	default:
		return step.Infrastructure(c.Stage, asked, fmt.Sprintf("the registry answered %d, three times where a retry could help", answer.StatusCode),
			"see the registry's log; run again when it is well").Because(err)
	}
}
