package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/gitops/step/overlay"
)

const (
	infraLocal = "../../infra/local"
	clusterTF  = "../../infra/modules/cluster/variables.tf"
)

// production is the environment in Azure: its platform, hello, what infra/local
// gives hello, and the pods of Azure's add-ons.
func production(t *testing.T, tree overlay.Tree, infra string) *Cluster {
	t.Helper()
	var pods string
	require.NoError(t, variableDefault(clusterTF, "pod_cidr", &pods))
	c := newCluster(netip.MustParsePrefix(pods))
	given, err := infraObjects(infra, "production-azure")
	require.NoError(t, err)
	require.NoError(t, c.Read(infra, given))
	for _, folder := range []string{azurePlatform, azureHello} {
		manifests, err := overlay.Renderer{}.Build(tree, folder)
		require.NoError(t, err)
		require.NoError(t, c.Read(folder, manifests))
	}
	for _, namespace := range []string{"kube-system", "aks-istio-system", "default"} {
		c.Namespace(namespace, nil)
	}
	c.Namespace("other-production-azure", map[string]string{"environment": "production-azure"})
	dns := []Port{{Name: "dns", Number: 53, Protocol: corev1.ProtocolUDP}, {Name: "dns-tcp", Number: 53, Protocol: corev1.ProtocolTCP}}
	for name, pod := range map[string]Pod{
		"kube-system/coredns":     {Labels: map[string]string{"k8s-app": "kube-dns"}, Ports: dns},
		"kube-system/ama-metrics": {Labels: map[string]string{"rsName": "ama-metrics"}},
		"kube-system/somebody":    {},
		"aks-istio-system/istiod": {Labels: map[string]string{"app": "istiod"}},
		// Not in Git: what somebody starts beside hello.
		"hello-production-azure/debug": {},
		"gateway/proxy":                {Labels: map[string]string{"gateway.networking.k8s.io/gateway-name": "gateway"}},
		"gateway/somebody":             {},
		"default/somebody":             {},
		"other-production-azure/other": {Labels: map[string]string{"app.kubernetes.io/name": "other"}},
	} {
		pod.Namespace, _, _ = strings.Cut(name, "/")
		c.Pod(name, pod)
	}
	return c
}

const (
	helloPod   = "hello-production-azure/hello"
	debug      = "hello-production-azure/debug"
	repoServer = "argocd/argocd-repo-server"
	controller = "argocd/argocd-application-controller"
	redis      = "argocd/argocd-redis"
	kyverno    = "kyverno/kyverno-admission-controller"
	collector  = "kube-system/ama-metrics"
	proxy      = "gateway/proxy"
	dnsPods    = "kube-system/coredns"
	metadata   = "169.254.169.254"
	wireServer = "168.63.129.16"
	outside    = "203.0.113.7"
)

func tcp(number int32) Port  { return Port{Number: number} }
func named(name string) Port { return Port{Name: name} }
func udp(number int32) Port {
	return Port{Number: number, Protocol: corev1.ProtocolUDP}
}

var whoReaches = []struct {
	from, to string
	port     Port
	want     bool
}{
	// The app: in by the gateway and by the collector, out to names alone.
	{proxy, helloPod, named("http"), true},
	{collector, helloPod, named("http"), true},
	{proxy, helloPod, tcp(9999), false},
	{"gateway/somebody", helloPod, named("http"), false},
	{"kube-system/somebody", helloPod, named("http"), false},
	{"default/somebody", helloPod, named("http"), false},
	{"other-production-azure/other", helloPod, named("http"), false},
	{outside, helloPod, named("http"), false},
	{helloPod, helloPod, named("http"), false},
	{helloPod, dnsPods, udp(53), true},
	{helloPod, dnsPods, tcp(53), true},
	{helloPod, dnsPods, tcp(9153), false},
	{helloPod, "kube-system/somebody", udp(53), false},
	{helloPod, metadata, tcp(80), false},
	{helloPod, wireServer, tcp(80), false},
	{helloPod, outside, tcp(443), false},
	{helloPod, "other-production-azure/other", tcp(8080), false},
	{helloPod, repoServer, named("grpc"), false},
	{"default/somebody", debug, tcp(80), false},
	{proxy, debug, tcp(80), false},
	{debug, dnsPods, udp(53), true},
	{debug, metadata, tcp(80), false},
	{debug, outside, tcp(443), false},

	// The way in.
	{outside, proxy, tcp(443), true},
	{outside, proxy, tcp(15021), true},
	{outside, proxy, tcp(15000), false},
	{proxy, dnsPods, udp(53), true},
	{proxy, "aks-istio-system/istiod", tcp(15012), true},
	{proxy, redis, named("redis"), false},
	{proxy, outside, tcp(443), false},
	{proxy, metadata, tcp(80), false},

	// Argo CD's parts reach each other, Git and the Kubernetes API.
	{controller, repoServer, named("grpc"), true},
	{controller, redis, named("redis"), true},
	{"argocd/argocd-server", redis, named("redis"), true},
	{repoServer, redis, named("redis"), true},
	{repoServer, dnsPods, udp(53), true},
	{repoServer, outside, tcp(443), true},
	{repoServer, outside, tcp(22), false},
	{repoServer, metadata, tcp(443), false},
	{repoServer, metadata, tcp(80), false},
	{repoServer, wireServer, tcp(443), false},
	{repoServer, helloPod, named("http"), false},
	{controller, outside, tcp(443), true},
	{redis, outside, tcp(443), false},
	{redis, metadata, tcp(80), false},
	{"default/somebody", redis, named("redis"), false},
	{"default/somebody", repoServer, named("grpc"), false},
	{helloPod, redis, named("redis"), false},
	{collector, controller, named("metrics"), true},
	{collector, repoServer, named("metrics"), true},
	{collector, repoServer, named("grpc"), false},
	{"kube-system/somebody", controller, named("metrics"), false},

	// Kyverno is asked, and asks the registry.
	{outside, kyverno, named("https"), true},
	{collector, kyverno, named("metrics"), true},
	{"default/somebody", kyverno, named("metrics"), false},
	{kyverno, outside, tcp(443), true},
	{kyverno, dnsPods, udp(53), true},
	{kyverno, outside, tcp(80), false},
	{kyverno, metadata, tcp(80), false},
	{kyverno, metadata, tcp(443), false},
}

// wrong are the lines of the table that a cluster does not keep to.
func wrong(t *testing.T, c *Cluster) []string {
	t.Helper()
	lines := []string{}
	for _, x := range whoReaches {
		got, why, err := c.Reaches(x.from, x.to, x.port)
		require.NoError(t, err, "%s to %s", x.from, x.to)
		if got != x.want {
			lines = append(lines, x.from+" to "+x.to+" "+x.port.String()+": "+why)
		}
	}
	return lines
}

func TestPodsReachWhatTheyShouldInProduction(t *testing.T) {
	c := production(t, adopted(t), infraLocal)
	assert.Empty(t, wrong(t, c))
	// Whatever else is rendered: nobody gets a token of the node's, or its secrets.
	require.Subset(t, c.Pods(), []string{helloPod, repoServer, controller, redis, kyverno})
	for _, pod := range c.Pods() {
		if namespace, _, _ := strings.Cut(pod, "/"); namespace == "kube-system" || namespace == "default" || namespace == "aks-istio-system" || namespace == "other-production-azure" {
			continue // not of this repository
		}
		for _, address := range []string{metadata, wireServer} {
			for _, port := range []int32{80, 443, 32526} {
				got, why, err := c.Reaches(pod, address, tcp(port))
				require.NoError(t, err)
				assert.False(t, got, "%s to %s:%d: %s", pod, address, port, why)
			}
		}
	}
}

// Each of the policies holds something: what is taken out of it is missed.
func TestBrokenPoliciesAreNoticed(t *testing.T) {
	for name, c := range map[string]struct{ file, old, new, want string }{
		"hello lets everybody in": {
			"apps/hello/components/azure/kustomization.yaml", "          - namespaceSelector:\n              matchLabels:\n                kubernetes.io/metadata.name: gateway\n            podSelector:\n              matchLabels:\n                gateway.networking.k8s.io/gateway-name: gateway\n", "          - namespaceSelector: {}\n",
			"default/somebody to " + helloPod + " http: egress of default/somebody: no policy; ingress of " + helloPod + ": rule 0 of hello",
		},
		"hello's policy is another pod's": {
			"apps/hello/base/networkpolicy.yaml", "app.kubernetes.io/name: hello", "app.kubernetes.io/name: helo",
			proxy + " to " + helloPod + " http",
		},
		"hello may go out": {
			"apps/hello/base/networkpolicy.yaml", "  policyTypes:\n    - Ingress\n", "  policyTypes:\n    - Ingress\n    - Egress\n  egress:\n    - {}\n",
			helloPod + " to " + metadata + " 80: egress of " + helloPod + ": rule 0 of hello",
		},
		"Argo CD's pods are not known by their label": {
			"platform/argocd/base/kustomization.yaml", "includeTemplates: true", "includeTemplates: false",
			controller + " to " + repoServer + " grpc: egress of " + controller + ": no rule of argocd-egress, argocd-outside",
		},
		"Argo CD reaches the metadata service": {
			"platform/argocd/overlays/azure/networkpolicy.yaml", "              - 169.254.0.0/16\n", "",
			repoServer + " to " + metadata + " 443: egress of " + repoServer + ": rule 0 of argocd-outside",
		},
		"Argo CD reaches other pods": {
			"platform/argocd/overlays/azure/networkpolicy.yaml", "        - protocol: TCP\n          port: 443\n", "",
			repoServer + " to " + outside + " 22",
		},
		"Kyverno reaches the wire server's like": {
			"platform/kyverno/overlays/azure/networkpolicy.yaml", "              - 169.254.0.0/16\n", "",
			kyverno + " to " + metadata + " 443",
		},
		"Kyverno is not asked": {
			"platform/kyverno/overlays/azure/networkpolicy.yaml", "    - ports:\n        - protocol: TCP\n          port: https\n", "",
			outside + " to " + kyverno + " https",
		},
		"the gateway is closed": {
			"platform/azure/gateway/networkpolicy.yaml", "port: 443", "port: 8443",
			outside + " to " + proxy + " 443",
		},
		"no names for Argo CD": {
			"platform/argocd/overlays/azure/networkpolicy.yaml", "k8s-app: kube-dns", "k8s-app: coredns",
			repoServer + " to " + dnsPods + " UDP/53",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tree := adopted(t)
			text := string(tree.Files[c.file])
			require.Contains(t, text, c.old)
			tree.Files[c.file] = []byte(strings.Replace(text, c.old, c.new, 1))
			assert.Contains(t, strings.Join(wrong(t, production(t, tree, infraLocal)), "\n"), c.want)
		})
	}
}

// So do those of infra/local, which hold for whatever an app's own leave out.
func TestBrokenInfrastructureIsNoticed(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"nothing is denied": {
			`policyTypes = ["Ingress", "Egress"]`, `policyTypes = ["Egress"]`,
			"default/somebody to " + debug + " 80: egress of default/somebody: no policy; ingress of " + debug + ": no policy",
		},
		"no names": {
			`"k8s-app" = "kube-dns"`, `"k8s-app" = "coredns"`,
			helloPod + " to " + dnsPods + " UDP/53: egress of " + helloPod + ": no rule of allow-dns, default-deny",
		},
		"every pod in kube-system": {
			"          podSelector       = { matchLabels = { \"k8s-app\" = \"kube-dns\" } }\n", "",
			helloPod + " to kube-system/somebody UDP/53",
		},
	} {
		t.Run(name, func(t *testing.T) {
			infra := t.TempDir()
			require.NoError(t, os.CopyFS(infra, os.DirFS(infraLocal)))
			main := filepath.Join(infra, "main.tf")
			text, err := os.ReadFile(main)
			require.NoError(t, err)
			require.Contains(t, string(text), c.old)
			require.NoError(t, os.WriteFile(main, []byte(strings.Replace(string(text), c.old, c.new, 1)), 0o644))
			assert.Contains(t, strings.Join(wrong(t, production(t, adopted(t), infra)), "\n"), c.want)
		})
	}
}
