// Package registry pushes images to a registry and reads them back, over the
// OCI distribution API 1.1, believing nothing but digests.
package registry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"slipway/step"
	"slipway/step/azure"
)

// Connections maps the host:port that a reference says to the host:port to
// dial for it. A registry that a pipeline runs beside itself has another
// address inside a container than in the references that outlive the run.
type Connections map[string]string

// ParseConnections reads flags of the form "LOGICAL=ACTUAL", both host:port.
func ParseConnections(stage string, values []string) (Connections, error) {
	connections := Connections{}
	for _, v := range values {
		logical, actual, ok := strings.Cut(v, "=")
		input := fmt.Sprintf("--connect %.200q", v)
		if !ok || !isHostPort(logical) || !isHostPort(actual) {
			return nil, step.Input(stage, input, "is not LOGICAL=ACTUAL", "give two addresses as host:port, such as localhost:5000=registry:5000")
		}
		if _, twice := connections[logical]; twice {
			return nil, step.Input(stage, input, "is given twice", "give each logical address once")
		}
		connections[logical] = actual
	}
	return connections, nil
}

func isHostPort(value string) bool {
	host, port, err := net.SplitHostPort(value)
	return err == nil && host != "" && port != ""
}

// transport dials through connections. It uses no proxy and reads no
// environment, and it speaks plain HTTP with loopback names only.
type transport struct {
	inner *http.Transport
}

func newTransport(connections Connections) *transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &transport{inner: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if actual, ok := connections[address]; ok {
				address = actual
			}
			return dialer.DialContext(ctx, network, address)
		},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
		ForceAttemptHTTP2:     true,
	}}
}

// plainHTTPError is a URL that would go unencrypted over a network.
type plainHTTPError struct{ host string }

func (e *plainHTTPError) Error() string {
	return "plain HTTP is only for loopback names, not for " + e.host
}

// RoundTrip is http.RoundTripper's.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !isLoopback(r.URL.Hostname()) {
		return nil, &plainHTTPError{r.URL.Host}
	}
	return t.inner.RoundTrip(r)
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// Credentials says who o's client is: a user name and the file that holds the
// password or token; both empty means anonymous. One newline at the file's end
// is not part of the password. An Azure identity is a user name, too.
func (o *Options) Credentials(username, passwordFile string) (err error) {
	switch {
	case username == "" && passwordFile == "":
		return nil
	case username == "" || passwordFile == "":
		return step.Input(o.Stage, "--username and --password-file", "is one without the other", "give both, or neither for anonymous access")
	case azure.Is(username):
		o.Azure, err = azure.Open(o.Stage, username, passwordFile)
		return err
	}
	data, err := os.ReadFile(passwordFile)
	if err != nil {
		return step.Input(o.Stage, "--password-file", "can't be read", "give a file that holds the password").Because(err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if password == "" {
		return step.Input(o.Stage, "--password-file", "is empty", "give a file that holds the password")
	}
	o.Auth = &authn.Basic{Username: username, Password: password}
	return nil
}
