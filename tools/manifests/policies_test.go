package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"slipway/step"
)

// end is one end of a connection: pods, or an address outside of the cluster.
type end struct {
	name    string
	pod     *Pod
	address netip.Addr
}

// Reaches says whether from may open a connection to a port of to, and what
// decided that. Each is the name of pods, <namespace>/<name>, or an IP address. An
// address of a pod, a name or a port that is not known, and a policy that can't be
// decided, are input Faults.
func (c *Cluster) Reaches(from, to string, port Port) (allowed bool, why string, err error) {
	if err := c.known(); err != nil {
		return false, "", err
	}
	source, err := c.end(from)
	if err != nil {
		return false, "", err
	}
	target, err := c.end(to)
	if err != nil {
		return false, "", err
	}
	port.Protocol = protocolOf(port.Protocol)
	if port.Number == 0 {
		if port, err = target.named(port); err != nil {
			return false, "", err
		}
	}
	allowed, why, err = c.decide(networkingv1.PolicyTypeEgress, source, target, target, port)
	if err != nil || !allowed {
		return false, why, err
	}
	in, whyIn, err := c.decide(networkingv1.PolicyTypeIngress, target, source, target, port)
	return in, why + "; " + whyIn, err
}

func (c *Cluster) end(name string) (end, error) {
	if pod, ok := c.pods[name]; ok {
		return end{name: name, pod: &pod}, nil
	}
	address, err := netip.ParseAddr(name)
	if err != nil {
		return end{}, step.Input(stage, fmt.Sprintf("%.200q", name), "is neither the name of pods nor an IP address",
			"name one of "+strings.Join(c.Pods(), ", ")).Because(err)
	}
	address = address.Unmap()
	if c.addresses.Contains(address) {
		return end{}, step.Input(stage, name, "is an address of pods", "name the pods")
	}
	return end{name: name, address: address}, nil
}

// named is the port of an end by its name.
func (e end) named(port Port) (Port, error) {
	if e.pod != nil {
		for _, p := range e.pod.Ports {
			if p.Name == port.Name && p.Protocol == port.Protocol {
				return p, nil
			}
		}
	}
	return Port{}, step.Input(stage, fmt.Sprintf("port %.80q of %s", port.Name, e.name), "is not known", "name a port of its containers, or give a number")
}

// decide says what the policies of one end, the subject, say about the other.
func (c *Cluster) decide(direction networkingv1.PolicyType, subject, peer, target end, port Port) (bool, string, error) {
	what := fmt.Sprintf("%s of %s", strings.ToLower(string(direction)), subject.name)
	if subject.pod == nil {
		return true, what + " is not the cluster's", nil
	}
	var deny []string
	for _, policy := range c.policies {
		selected, err := matches(&policy.Spec.PodSelector, subject.pod.Labels)
		if err != nil {
			return false, "", undecided(policy, err)
		}
		if policy.Namespace != subject.pod.Namespace || !selected || !about(policy, direction) {
			continue
		}
		for i, rule := range rules(policy, direction) {
			ok, err := c.rule(policy, rule, peer, target, port)
			if err != nil {
				return false, "", undecided(policy, err)
			}
			if ok {
				return true, fmt.Sprintf("%s: rule %d of %s", what, i, policy.Name), nil
			}
		}
		deny = append(deny, policy.Name)
	}
	if len(deny) == 0 {
		return true, what + ": no policy", nil
	}
	slices.Sort(deny)
	return false, what + ": no rule of " + strings.Join(deny, ", "), nil
}

func undecided(policy networkingv1.NetworkPolicy, err error) error {
	return step.Input(stage, "NetworkPolicy "+policy.Namespace+"/"+policy.Name, "can't be decided: "+err.Error(), "correct the policy").Because(err)
}

// about says whether a policy says anything about a direction.
func about(policy networkingv1.NetworkPolicy, direction networkingv1.PolicyType) bool {
	if len(policy.Spec.PolicyTypes) > 0 {
		return slices.Contains(policy.Spec.PolicyTypes, direction)
	}
	return direction == networkingv1.PolicyTypeIngress || len(policy.Spec.Egress) > 0
}

// rule is a rule of either direction.
type rule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

func rules(policy networkingv1.NetworkPolicy, direction networkingv1.PolicyType) []rule {
	var all []rule
	if direction == networkingv1.PolicyTypeIngress {
		for _, r := range policy.Spec.Ingress {
			all = append(all, rule{r.From, r.Ports})
		}
		return all
	}
	for _, r := range policy.Spec.Egress {
		all = append(all, rule{r.To, r.Ports})
	}
	return all
}

// rule says whether a rule lets the peer and the port of the target through.
func (c *Cluster) rule(policy networkingv1.NetworkPolicy, r rule, other, target end, port Port) (bool, error) {
	if !throughPort(r.ports, target, port) {
		return false, nil
	}
	for _, peer := range r.peers {
		if ok, err := c.peer(policy, peer, other); ok || err != nil {
			return ok, err
		}
	}
	return len(r.peers) == 0, nil
}

func throughPort(ports []networkingv1.NetworkPolicyPort, target end, port Port) bool {
	for _, p := range ports {
		protocol := corev1.ProtocolTCP
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		if protocol != port.Protocol {
			continue
		}
		switch {
		case p.Port == nil:
			return true
		case p.Port.Type == intstr.String:
			// The name counts at whoever is connected to.
			if named, err := target.named(Port{Name: p.Port.StrVal, Protocol: protocol}); err == nil && named.Number == port.Number {
				return true
			}
		case p.EndPort != nil:
			if p.Port.IntVal <= port.Number && port.Number <= *p.EndPort {
				return true
			}
		case p.Port.IntVal == port.Number:
			return true
		}
	}
	return len(ports) == 0
}

func (c *Cluster) peer(policy networkingv1.NetworkPolicy, peer networkingv1.NetworkPolicyPeer, other end) (bool, error) {
	if peer.IPBlock != nil {
		return c.block(peer.IPBlock, other)
	}
	if other.pod == nil {
		return false, nil
	}
	if peer.NamespaceSelector == nil {
		if other.pod.Namespace != policy.Namespace {
			return false, nil
		}
	} else if ok, err := matches(peer.NamespaceSelector, c.namespaces[other.pod.Namespace]); !ok || err != nil {
		return false, err
	}
	if peer.PodSelector == nil {
		return true, nil
	}
	return matches(peer.PodSelector, other.pod.Labels)
}

// block says whether a block of addresses holds the other end. Calico looks at
// pods' own addresses, so that a block that holds them all holds each pod.
func (c *Cluster) block(block *networkingv1.IPBlock, other end) (bool, error) {
	held, err := c.holds(block.CIDR, other)
	if err != nil || !held {
		return false, err
	}
	for _, except := range block.Except {
		if held, err := c.holds(except, other); err != nil || held {
			return false, err
		}
	}
	return true, nil
}

func (c *Cluster) holds(cidr string, other end) (bool, error) {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return false, fmt.Errorf("%.80q is no block of addresses: %w", cidr, err)
	}
	if other.pod == nil {
		return prefix.Contains(other.address), nil
	}
	if !prefix.Overlaps(c.addresses) {
		return false, nil
	}
	if prefix.Bits() > c.addresses.Bits() {
		return false, fmt.Errorf("%s holds some of the pods' addresses, %s, and which pod has which is not known", prefix, c.addresses)
	}
	return true, nil
}

func matches(selector *metav1.LabelSelector, of map[string]string) (bool, error) {
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return false, err
	}
	return s.Matches(labels.Set(of)), nil
}

// String is the port's name, or its number, with the protocol that is not TCP.
func (p Port) String() string {
	name := cmp.Or(p.Name, strconv.Itoa(int(p.Number)))
	if protocol := protocolOf(p.Protocol); protocol != corev1.ProtocolTCP {
		return string(protocol) + "/" + name
	}
	return name
}
