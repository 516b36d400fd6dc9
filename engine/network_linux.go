package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
)

// connect links the network namespace of a process to the machine's: the
// machine's half of the link, its route and its rules.
func connect(network Network, pid int, allowed []string) error {
	tool := firstExisting("/", []string{"/usr/sbin/iptables-restore", "/usr/bin/iptables-restore"})
	if tool == "" {
		return errors.New("iptables-restore is not there: run the set-up")
	}
	if err := restoreRules(network.rules(allowed), tool); err != nil {
		return err
	}
	mtu, err := uplinkMTU()
	if err != nil {
		return err
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.MTU = network.link(), mtu
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: "eth0", PeerNamespace: netlink.NsPid(pid)}); err != nil {
		return fmt.Errorf("make the link %s to the engine's network: %w", network.link(), err)
	}
	// The rules are of IPv4, and so is all that passes.
	if err := writeSetting("ipv6/conf/"+network.link()+"/disable_ipv6", "1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeSetting("ipv4/ip_forward", "1"); err != nil {
		return err
	}
	return setUp(network.link(), network.machine(), network.containers(), network.engine())
}

// connected sets the engine's half of the link up, from inside.
func connected(network Network) error {
	if err := setUp("lo", "", "", ""); err != nil {
		return err
	}
	return setUp("eth0", network.engine(), "0.0.0.0/0", network.machine())
}

// setUp sets an interface up, gives it one of the link's two addresses, and sends
// what is for a range of addresses through it to the other end.
func setUp(name, address, destination, gateway string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find the interface %s: %w", name, err)
	}
	if address != "" {
		parsed, err := netlink.ParseAddr(address + "/30")
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, parsed); err != nil {
			return fmt.Errorf("give %s the address %s: %w", name, address, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	if destination == "" {
		return nil
	}
	to, err := netlink.ParseIPNet(destination)
	if err != nil {
		return err
	}
	via, err := netip.ParseAddr(gateway)
	if err != nil {
		return err
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: to, Gw: via.AsSlice()}); err != nil {
		return fmt.Errorf("route %s through %s: %w", destination, name, err)
	}
	return nil
}

// uplinkMTU is the size of packets on the way out of the machine; 0, which is the
// kernel's own choice, when there is none.
func uplinkMTU() (int, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return 0, fmt.Errorf("list the machine's routes: %w", err)
	}
	for _, route := range routes {
		if route.Dst == nil || route.Dst.IP.IsUnspecified() {
			link, err := netlink.LinkByIndex(route.LinkIndex)
			if err != nil {
				return 0, fmt.Errorf("find the interface of the default route: %w", err)
			}
			return link.Attrs().MTU, nil
		}
	}
	return 0, nil
}

// writeSetting writes a setting below /proc/sys/net, unless it has that value:
// in some containers it can't be written, and needn't be.
func writeSetting(name, value string) error {
	file := filepath.Join("/proc/sys/net", name)
	old, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(old)) == value {
		return err
	}
	return os.WriteFile(file, []byte(value), 0o644)
}

// clean removes what an engine left that did not end by itself: its link, its
// rules, and the files that its containers' network namespaces were mounted on.
// Its processes, mounts and namespaces ended with it. The caller holds the
// engine's lock, so none is running.
func clean(state string, network Network) error {
	if err := os.RemoveAll(filepath.Join(state, "lib", "net", "cni")); err != nil {
		return fmt.Errorf("clean up after the last engine: %w", err)
	}
	// The kernel removes the link with the namespace, but in its own time. The
	// bridge was the machine's before the engine had a network of its own.
	for _, name := range []string{network.link(), network.Name + "0"} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkDel(link)
		}
		if err != nil && !errors.As(err, &netlink.LinkNotFoundError{}) && !errors.Is(err, syscall.ENODEV) {
			return fmt.Errorf("remove the last engine's interface %s: %w", name, err)
		}
	}
	if err := removeRules(network); err != nil {
		return fmt.Errorf("clean up the last engine's iptables rules: %w", err)
	}
	return nil
}

// removeRules removes the engine's rules from both of iptables' backends, as far
// as each is there: which one the machine uses may have changed.
func removeRules(network Network) error {
	for _, backend := range []string{"xtables-legacy-multi", "xtables-nft-multi"} {
		tool := firstExisting("/", []string{"/usr/sbin/" + backend, "/usr/bin/" + backend})
		if tool == "" {
			continue
		}
		// A backend that the kernel doesn't have can't hold rules.
		saved, err := exec.Command(tool, "iptables-save").Output()
		if err != nil {
			continue
		}
		if undo := network.staleRules(string(saved)); undo != "" {
			if err := restoreRules(undo, tool, "iptables-restore"); err != nil {
				return err
			}
		}
	}
	return nil
}

// restoreRules gives rules to an iptables-restore.
func restoreRules(rules string, command ...string) error {
	restore := exec.Command(command[0], append(command[1:], "--noflush", "--wait")...)
	restore.Stdin = strings.NewReader(rules)
	return run(restore)
}
