package engine

import (
	"regexp"
	"strings"
)

// containerChain is the chain that the CNI bridge plugin makes per container.
var containerChain = regexp.MustCompile(`\ACNI-[0-9a-f]{24}\z`)

// Network is an engine's network: a bridge on the machine, and the addresses
// of the containers on it.
type Network struct {
	// Name is the network's; its bridge has a 0 after it.
	Name string `json:"name"`
	// Prefix is the first half of its IPv4 addresses, with a dot at the end.
	Prefix string `json:"prefix"`
}

// DefaultNetwork is Dagger's own.
var DefaultNetwork = Network{Name: "dagger", Prefix: "10.87."}

func (n Network) bridge() string { return n.Name + "0" }

// staleRules reads what iptables-save printed and returns the input for
// iptables-restore --noflush that removes the engine's rules and the chains
// they lead to; "" when there are none. Other CNI users' rules, and the chains
// that all of them share, stay.
func staleRules(saved string, network Network) string {
	var undo strings.Builder
	var table string
	var rules []string
	for line := range strings.Lines(saved) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			table, rules = line, nil
		case strings.HasPrefix(line, "-A "):
			rules = append(rules, line)
		case line == "COMMIT":
			if lines := undoTable(rules, network); len(lines) > 0 {
				undo.WriteString(table + "\n" + strings.Join(lines, "\n") + "\nCOMMIT\n")
			}
		}
	}
	return undo.String()
}

// undoTable returns the lines that remove the engine's rules of one table.
func undoTable(rules []string, network Network) []string {
	var deletes, chains []string
	own := map[string]bool{}
	for _, rule := range rules {
		if !network.owns(rule) {
			continue
		}
		deletes = append(deletes, "-D "+strings.TrimPrefix(rule, "-A "))
		if target := jumpTarget(rule); containerChain.MatchString(target) && !own[target] {
			own[target] = true
			chains = append(chains, target)
		}
	}
	// A rule inside a chain that goes anyway needs no line of its own.
	lines := deletes[:0:0]
	for _, line := range deletes {
		if !own[strings.Fields(line)[1]] {
			lines = append(lines, line)
		}
	}
	for _, chain := range chains {
		lines = append(lines, "-F "+chain, "-X "+chain)
	}
	return lines
}

// owns says whether a rule is for the network: by the comment that the CNI
// bridge plugin writes, or by an address.
func (n Network) owns(rule string) bool {
	if strings.Contains(rule, `name: \"`+n.Name+`\"`) {
		return true
	}
	fields := strings.Fields(rule)
	for i, field := range fields[:len(fields)-1] {
		if (field == "-s" || field == "-d") && strings.HasPrefix(fields[i+1], n.Prefix) {
			return true
		}
	}
	return false
}

func jumpTarget(rule string) string {
	fields := strings.Fields(rule)
	for i, field := range fields[:len(fields)-1] {
		if field == "-j" {
			return fields[i+1]
		}
	}
	return ""
}
