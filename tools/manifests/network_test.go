package main

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	k8syaml "sigs.k8s.io/yaml"

	"slipway/step"
	"slipway/tools/manifests/target"
)

// Cluster is what decides about traffic: namespaces, pods and policies. It says which
// pod may reach which, as the Kubernetes API defines policies and Calico enforces them.
type Cluster struct {
	// addresses are those of all pods.
	addresses  netip.Prefix
	namespaces map[string]map[string]string
	pods       map[string]Pod
	policies   []networkingv1.NetworkPolicy
}

// Pod is a pod as policies see it.
type Pod struct {
	Namespace string
	Labels    map[string]string
	Ports     []Port
}

// Port is a port of a pod. A Number of zero is the port of that Name.
type Port struct {
	Name     string
	Number   int32
	Protocol corev1.Protocol
}

// newCluster makes a cluster whose pods have addresses of the prefix.
func newCluster(addresses netip.Prefix) *Cluster {
	return &Cluster{addresses: addresses, namespaces: map[string]map[string]string{}, pods: map[string]Pod{}}
}

// Namespace adds a namespace. Its name is among its labels, as in every cluster.
func (c *Cluster) Namespace(name string, labels map[string]string) {
	all := map[string]string{"kubernetes.io/metadata.name": name}
	for key, value := range labels {
		all[key] = value
	}
	c.namespaces[name] = all
}

// Pod adds the pods of a name that is like <namespace>/<name>.
func (c *Cluster) Pod(name string, pod Pod) { c.pods[name] = pod }

// Read adds the namespaces, policies and pods of rendered manifests. What decides
// about traffic and is not understood is an input Fault.
func (c *Cluster) Read(what string, manifests []byte) error {
	documents, err := target.Documents(what, manifests)
	if err != nil {
		return err
	}
	for _, document := range documents {
		if err := c.add(what, document); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) add(what string, text []byte) error {
	var kind struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name      string            `json:"name"`
			Namespace string            `json:"namespace"`
			Labels    map[string]string `json:"labels"`
		} `json:"metadata"`
	}
	if err := k8syaml.Unmarshal(text, &kind); err != nil {
		return step.Input(stage, what, "holds something that is no object: "+err.Error(), "correct the manifest").Because(err)
	}
	name := kind.Metadata.Namespace + "/" + kind.Metadata.Name
	group, _, _ := strings.Cut(kind.APIVersion, "/")
	switch {
	case kind.APIVersion == "v1" && kind.Kind == "Namespace":
		c.Namespace(kind.Metadata.Name, kind.Metadata.Labels)
	case kind.APIVersion == "networking.k8s.io/v1" && kind.Kind == "NetworkPolicy":
		var policy networkingv1.NetworkPolicy
		if err := k8syaml.UnmarshalStrict(text, &policy); err != nil {
			return step.Input(stage, what+": NetworkPolicy "+name, "is not read: "+err.Error(), "correct the manifest").Because(err)
		}
		c.policies = append(c.policies, policy)
	case group == "apps":
		var workload struct {
			Spec struct {
				Template corev1.PodTemplateSpec `json:"template"`
			} `json:"spec"`
		}
		if err := k8syaml.Unmarshal(text, &workload); err != nil {
			return step.Input(stage, what+": "+kind.Kind+" "+name, "is not read: "+err.Error(), "correct the manifest").Because(err)
		}
		template := workload.Spec.Template
		if template.Spec.HostNetwork {
			return step.Input(stage, what+": "+kind.Kind+" "+name, "has the node's network, which no policy is about", "leave hostNetwork out")
		}
		c.pods[name] = podOf(kind.Metadata.Namespace, template)
	case kind.Kind == "NetworkPolicy", strings.HasSuffix(kind.Kind, "GlobalNetworkPolicy"), strings.HasSuffix(kind.Kind, "AdminNetworkPolicy"),
		kind.APIVersion == "v1" && (kind.Kind == "Pod" || kind.Kind == "ReplicationController"), group == "batch":
		return step.Input(stage, what+": "+kind.APIVersion+" "+kind.Kind+" "+name, "decides about traffic, and is of a kind that is not read",
			"use networking.k8s.io/v1 NetworkPolicy and kinds of apps/v1, or teach the tests of tools/manifests to read it")
	}
	return nil
}

func podOf(namespace string, template corev1.PodTemplateSpec) Pod {
	pod := Pod{Namespace: namespace, Labels: template.Labels}
	for _, containers := range [][]corev1.Container{template.Spec.InitContainers, template.Spec.Containers} {
		for _, container := range containers {
			for _, port := range container.Ports {
				pod.Ports = append(pod.Ports, Port{port.Name, port.ContainerPort, protocolOf(port.Protocol)})
			}
		}
	}
	return pod
}

func protocolOf(protocol corev1.Protocol) corev1.Protocol {
	if protocol == "" {
		return corev1.ProtocolTCP
	}
	return protocol
}

// Pods are the names of all pods, sorted.
func (c *Cluster) Pods() []string { return slices.Sorted(maps.Keys(c.pods)) }

// known refuses policies and pods in namespaces that nobody has described.
func (c *Cluster) known() error {
	for _, policy := range c.policies {
		if c.namespaces[policy.Namespace] == nil {
			return unknown("NetworkPolicy "+policy.Name, policy.Namespace)
		}
	}
	for name, pod := range c.pods {
		if c.namespaces[pod.Namespace] == nil {
			return unknown("pod "+name, pod.Namespace)
		}
	}
	return nil
}

func unknown(what, namespace string) error {
	return step.Input(stage, what, "is in the namespace "+strconv.Quote(namespace)+", which is not known", "add the namespace, with its labels")
}
