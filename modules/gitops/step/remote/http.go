// Package remote is a small Git client for one branch of one repository over
// smart HTTP: read its head, write one commit on top, look again. It keeps
// everything in memory and needs no git executable. The protocol is that of
// gitprotocol-http(5) and gitprotocol-pack(5), spoken by go-git.
package remote

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"slipway/step"
)

// Stage is the stage named by this package's faults.
const Stage = "release"

// Connect says where logical host:port names are really reached: keys as they
// stand in URLs, values what is dialled instead.
type Connect map[string]string

// ParseConnect adds one LOGICAL=ACTUAL pair, each host:port, to c.
func (c Connect) ParseConnect(value string) error {
	logical, actual, ok := strings.Cut(value, "=")
	if ok {
		for _, hostport := range []string{logical, actual} {
			host, port, err := net.SplitHostPort(hostport)
			ok = ok && err == nil && host != "" && port != ""
		}
	}
	if !ok {
		return step.Input(Stage, fmt.Sprintf("connect %q", value), "is not LOGICAL=ACTUAL",
			"give two host:port names, such as localhost:3000=git:3000")
	}
	c[logical] = actual
	return nil
}

// client is an HTTP client that dials through c, uses no proxy and gives up on
// a remote that does not begin to answer.
func (c Connect) client() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if actual, ok := c[address]; ok {
				address = actual
			}
			return dialer.DialContext(ctx, network, address)
		},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
		ForceAttemptHTTP2:     true,
	}}
}

// checkURL refuses a remote URL that is not HTTPS, except over loopback, or
// that carries a password.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return step.Input(Stage, "remote", "is not a URL", "give the repository's https:// URL")
	}
	shown := fmt.Sprintf("remote %q", u.Redacted())
	switch {
	case u.User != nil:
		return step.Input(Stage, shown, "carries a user name or password",
			"give them as --username and --token-file")
	case u.Host == "" || u.Path == "" || u.Path == "/" || u.RawQuery != "" || u.Fragment != "":
		return step.Input(Stage, shown, "is not a repository URL",
			"give scheme, host and path, such as https://git.example.com/team/gitops.git")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return step.Input(Stage, shown, "is neither HTTPS nor on this host",
		"use https://; plain HTTP is for localhost alone")
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
