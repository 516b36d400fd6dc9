// Package remote is a small Git client for one branch of one repository over
// smart HTTP: read its head, write one commit on top, look again. It keeps
// everything in memory and needs no git executable. The protocol is that of
// gitprotocol-http(5) and gitprotocol-pack(5), spoken by go-git.
package remote

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"slipway/step"
	"slipway/step/reach"
)

// Stage is the stage named by this package's faults.
const Stage = "release"

// client is an HTTP client that dials through connections, uses no proxy and gives
// up on a remote that does not begin to answer.
func client(connections reach.Connections) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:           connections.DialContext,
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
	case u.Scheme == "http" && reach.Loopback(u.Hostname()):
		return nil
	}
	return step.Input(Stage, shown, "is neither HTTPS nor on this host",
		"use https://; plain HTTP is for localhost alone")
}
