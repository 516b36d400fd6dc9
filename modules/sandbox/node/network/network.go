// Package network prepares the node's addresses and packet rules.
package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"

	"slipway/sandbox/node/process"
)

// The cluster's addresses. The node's own stays the same wherever its container
// runs, so that what the cluster has stored stays true.
const (
	NodeIP      = "10.95.0.1"
	Pods        = "10.244.0.0/16"
	Services    = "10.96.0.0/16"
	APIService  = "10.96.0.1"
	DNS         = "10.96.0.10"
	forwardFile = "/proc/sys/net/ipv4/ip_forward"
)

// rules lets pods reach what is outside of the cluster through the node's own
// address. Traffic between pods keeps its addresses; kube-proxy sees to services.
const rules = `add table ip slipway
delete table ip slipway
table ip slipway {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr ` + Pods + ` ip daddr != ` + Pods + ` masquerade
	}
}
`

// Prepare gives the node its address and turns on forwarding and address
// translation.
func Prepare(ctx context.Context) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find the loopback interface: %w", err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(NodeIP), Mask: net.CIDRMask(32, 32)}}
	if err := netlink.AddrAdd(lo, address); err != nil && !errors.Is(err, syscall.EEXIST) {
		return fmt.Errorf("give the node its address: %w", err)
	}
	if err := os.WriteFile(forwardFile, []byte("1"), 0o644); err != nil {
		return fmt.Errorf("turn on forwarding: %w", err)
	}
	if err := process.Run(ctx, strings.NewReader(rules), "/usr/sbin/nft", "-f", "-"); err != nil {
		return fmt.Errorf("set the packet rules: %w", err)
	}
	return nil
}

// Address is where the node's container is reached from outside.
func Address() (string, error) {
	// Connecting a datagram socket sends nothing: it only chooses the route.
	conn, err := net.Dial("udp4", "192.0.2.1:9")
	if err != nil {
		return "", fmt.Errorf("the node's container has no way out: %w", err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).IP.String(), nil
}
