package config

import (
	"fmt"
	"net"
	"net/url"

	"slipway/step"
	"slipway/step/reach"
)

// HostPort returns host:port of a URL, or of a registry reference written as
// //host[:port]/path. A missing port is the scheme's.
func HostPort(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "", step.Input(stage, fmt.Sprintf("address %q", address), "has no host", "give a URL or host[:port]/path")
	}
	port := u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// Local reports whether an address is this machine's own: the embedded parts
// are, and only they may be spoken to without TLS.
func Local(address string) bool {
	u, err := url.Parse(address)
	return err == nil && reach.Loopback(u.Hostname())
}

// SameHost reports whether two addresses are on the same host and port.
func SameHost(a, b string) bool {
	x, errX := HostPort(a)
	y, errY := HostPort(b)
	return errX == nil && errY == nil && x == y
}

// Shown is an address for people: without a password, if it has one.
func Shown(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return address
	}
	return u.Redacted()
}
