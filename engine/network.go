package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
)

// Network is an engine's network: a namespace of its own, in which the bridge of
// its containers is, and a link to the machine.
type Network struct {
	// Name is the network's, of eight characters at most.
	Name string `json:"name"`
	// Prefix is the first half of the containers' IPv4 addresses, with a dot at
	// the end.
	Prefix string `json:"prefix"`
	// Link is the first three quarters of the two addresses between machine and
	// engine, with a dot at the end.
	Link string `json:"link"`
}

// DefaultNetwork is Dagger's own, linked by addresses that are nobody's.
var DefaultNetwork = Network{Name: "dagger", Prefix: "10.87.", Link: "169.254.87."}

// link is the machine's end of the link; the engine's is eth0.
func (n Network) link() string       { return n.Name + "-link" }
func (n Network) machine() string    { return n.Link + "1" }
func (n Network) engine() string     { return n.Link + "2" }
func (n Network) containers() string { return n.Prefix + "0.0/16" }

// chains is what the names of the network's own iptables chains begin with.
func (n Network) chains() string { return "SLIPWAY-" + n.Name }

// rules returns the input for iptables-restore --noflush that makes the network's
// rules: the engine reaches what the machine reaches, but of the machine itself
// only what allowed matches, also where another program publishes something by a
// translated address. The machine reaches the containers; nobody else does.
func (n Network) rules(allowed []string) string {
	var accept strings.Builder
	for _, match := range allowed {
		fmt.Fprintf(&accept, "-A %s-IN %s -j ACCEPT\n", n.chains(), match)
	}
	return fmt.Sprintf(`*nat
:%[1]s-PRE - [0:0]
:%[1]s-POST - [0:0]
-I PREROUTING -i %[2]s -j %[1]s-PRE
-I POSTROUTING -s %[3]s/32 ! -o %[2]s -j %[1]s-POST
-A %[1]s-PRE -m addrtype --dst-type LOCAL -j ACCEPT
-A %[1]s-POST -j MASQUERADE
COMMIT
*filter
:%[1]s-IN - [0:0]
:%[1]s-FWD - [0:0]
-I INPUT -i %[2]s -j %[1]s-IN
-I FORWARD -i %[2]s -j %[1]s-FWD
-I FORWARD -o %[2]s -j %[1]s-FWD
-A %[1]s-IN -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
%[4]s-A %[1]s-IN -j REJECT
-A %[1]s-FWD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A %[1]s-FWD -i %[2]s -s %[3]s/32 -j ACCEPT
-A %[1]s-FWD -j REJECT
COMMIT
`, n.chains(), n.link(), n.engine(), accept.String())
}

// staleRules reads what iptables-save printed and returns the input for
// iptables-restore --noflush that removes the network's chains and what leads to
// them; "" when there are none.
func (n Network) staleRules(saved string) string {
	own := func(chain string) bool {
		hook, ok := strings.CutPrefix(chain, n.chains()+"-")
		return ok && slices.Contains([]string{"PRE", "POST", "IN", "FWD"}, hook)
	}
	var undo strings.Builder
	var table string
	var jumps, chains []string
	for line := range strings.Lines(saved) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case strings.HasPrefix(line, "*"):
			table, jumps, chains = fields[0], nil, nil
		case strings.HasPrefix(line, ":") && own(fields[0][1:]):
			chains = append(chains, "-F "+fields[0][1:], "-X "+fields[0][1:])
		case fields[0] == "-A" && !own(fields[1]) && own(fields[len(fields)-1]):
			jumps = append(jumps, "-D "+strings.Join(fields[1:], " "))
		case fields[0] == "COMMIT" && len(chains) > 0:
			undo.WriteString(strings.Join(slices.Concat([]string{table}, jumps, chains, fields), "\n") + "\n")
		}
	}
	return undo.String()
}

// resolvFiles name the machine's nameservers. The second is where systemd-resolved
// keeps those that it asks; the first then names itself, at a loopback address.
var resolvFiles = []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}

// resolvConf returns the resolv.conf of a process in a network of its own: the
// first of the files that names a server which can be reached from there, without
// the others. No file at all means no names, as on a machine without a network.
func resolvConf(files []string) (content string, servers []netip.Addr, err error) {
	var unreachable []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", nil, err
		}
		var kept strings.Builder
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "nameserver" {
				server, err := netip.ParseAddr(fields[1])
				if err != nil || !server.Is4() || server.IsLoopback() || server.IsUnspecified() {
					unreachable = append(unreachable, fields[1])
					continue
				}
				servers = append(servers, server)
			}
			kept.WriteString(line)
		}
		if len(servers) > 0 {
			return kept.String(), servers, nil
		}
	}
	if len(unreachable) > 0 {
		return "", nil, fmt.Errorf("the engine has a network of its own and can't ask the machine's nameservers there (%s): name one in %s by an IPv4 address that is not loopback",
			strings.Join(unreachable, ", "), files[0])
	}
	return "", nil, nil
}

// proxyPorts are the ports of proxies whose addresses name none.
var proxyPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

// allowances returns iptables' matches for what the engine needs and may find on
// the machine itself: nameservers, and the proxies of its environment that are
// named by an address. A proxy at a loopback address is refused: the engine has a
// loopback of its own.
func allowances(servers []netip.Addr, env []string) ([]string, error) {
	var allowed []string
	for _, server := range servers {
		allowed = append(allowed, fmt.Sprintf("-d %s/32 -p udp --dport 53", server), fmt.Sprintf("-d %s/32 -p tcp --dport 53", server))
	}
	for _, variable := range env {
		name, list, _ := strings.Cut(variable, "=")
		if upper := strings.ToUpper(name); !strings.HasSuffix(upper, "PROXY") || upper == "NO_PROXY" {
			continue
		}
		for _, value := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == '|' }) {
			if !strings.Contains(value, "://") {
				value = "http://" + value
			}
			address, err := url.Parse(value)
			if err != nil {
				// The error holds the address, which may hold a password.
				return nil, fmt.Errorf("%s holds what is no address: correct it", name)
			}
			host, port := address.Hostname(), address.Port()
			ip, err := netip.ParseAddr(host)
			if strings.EqualFold(host, "localhost") || ip.IsLoopback() || ip.IsUnspecified() {
				return nil, fmt.Errorf("%s names %s, which the engine, in a network of its own, does not reach: have the proxy listen at another address of this machine and name that", name, host)
			}
			if port == "" {
				port = proxyPorts[address.Scheme]
			}
			if err == nil && ip.Is4() && port != "" {
				allowed = append(allowed, fmt.Sprintf("-d %s/32 -p tcp --dport %s", ip, port))
			}
		}
	}
	slices.Sort(allowed)
	return slices.Compact(allowed), nil
}
