package build

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// hostName is a DNS name whose last part begins with a letter, so that nothing takes
// it for an address.
var hostName = regexp.MustCompile(`\A([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?\z`)

// ParseHost reads host:port as lists of hosts name it: a DNS name in small letters or
// an IP address in its canonical form, and a port. There is one way to write each, so
// that equal texts are equal hosts.
func ParseHost(text string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(text)
	if err != nil {
		return "", "", fmt.Errorf("%.100q is not host:port", text)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 || strconv.FormatUint(number, 10) != port {
		return "", "", fmt.Errorf("%.100q has no port from 1 to 65535", text)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" || ip.Is4In6() || net.JoinHostPort(ip.String(), port) != text {
			return "", "", fmt.Errorf("%.100q is not the canonical form of an address", text)
		}
		return host, port, nil
	}
	if len(host) > 253 || !hostName.MatchString(host) || host == "localhost" || strings.HasSuffix(host, ".localhost") || net.JoinHostPort(host, port) != text {
		return "", "", fmt.Errorf("%.100q names no host: it has to be an address, or a name in small letters, without a wildcard", text)
	}
	return host, port, nil
}

// Use is what was reached of a host.
type Use struct {
	// Host is host:port.
	Host string `json:"host"`
	// Connections that were made to it.
	Connections int64 `json:"connections"`
	// Sent and Received are bytes, as the host counts TCP's.
	Sent     int64 `json:"sent"`
	Received int64 `json:"received"`
}

// Usage is what a box's gateway was used for.
type Usage struct {
	// Used are the hosts that were reached, in order.
	Used []Use `json:"used"`
	// Refused counts what was refused: other hosts, and requests that are not for the
	// host that they name.
	Refused int64 `json:"refused"`
}

// Add adds another usage.
func (u *Usage) Add(other Usage) {
	u.Refused += other.Refused
	for _, use := range other.Used {
		i := slices.IndexFunc(u.Used, func(known Use) bool { return known.Host == use.Host })
		if i < 0 {
			u.Used = append(u.Used, use)
			continue
		}
		u.Used[i].Connections += use.Connections
		u.Used[i].Sent += use.Sent
		u.Used[i].Received += use.Received
	}
	slices.SortFunc(u.Used, func(a, b Use) int { return strings.Compare(a.Host, b.Host) })
}

// Box is what the box held the app's own commands to. It runs nothing that it can't
// hold to all of this.
type Box struct {
	// Network are the hosts that could be reached, as host:port. Empty means none,
	// and that there was no network; nil, that nothing is known.
	Network []string `json:"network"`
	Usage
	// User is who the commands ran as.
	User string `json:"user"`
	// Capabilities are those that a root among them had, of capabilities(7).
	Capabilities []string `json:"capabilities"`
	// Limits are those of each command, as build.limits of slipway.yaml names them.
	Limits map[string]string `json:"limits"`
}

// LimitNames are the limits that a box has.
var LimitNames = []string{"disk", "memory", "output", "processes", "time"}

// Incomplete says what is missing of a box, or contradicts itself; empty if nothing.
func (b *Box) Incomplete() string {
	switch {
	case b == nil:
		return "says nothing of the box"
	case b.Network == nil:
		return "does not say which network there was"
	case b.User == "" || b.Capabilities == nil:
		return "does not say as whom it ran"
	}
	for _, name := range LimitNames {
		if b.Limits[name] == "" {
			return "does not say which limit of " + name + " held"
		}
	}
	for _, host := range b.Network {
		if _, _, err := ParseHost(host); err != nil {
			return "names a network that is none: " + err.Error()
		}
	}
	for _, use := range b.Used {
		if !slices.Contains(b.Network, use.Host) {
			return fmt.Sprintf("reached %.100q, which is not of its network", use.Host)
		}
	}
	return ""
}

// Said is the box's network for people.
func (b *Box) Said() string {
	if len(b.Network) == 0 {
		return "without a network"
	}
	var used []string
	for _, use := range b.Used {
		used = append(used, fmt.Sprintf("%s (%d connections, %d bytes sent, %d received)", use.Host, use.Connections, use.Sent, use.Received))
	}
	said := "with a network of " + strings.Join(b.Network, ", ")
	if len(used) == 0 {
		said += ", none of which was reached"
	} else {
		said += "; reached: " + strings.Join(used, ", ")
	}
	if b.Refused > 0 {
		said += fmt.Sprintf("; %d requests were refused", b.Refused)
	}
	return said
}

// Names of a box's gateway.
const (
	// GatewayFolder is its mount's, GatewaySocket its socket's in it.
	GatewayFolder = "net"
	GatewaySocket = "gateway"
	// UsageFile holds its Usage, beside the result of what had a network.
	UsageFile = "usage.json"
)
