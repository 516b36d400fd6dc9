// Package cluster configures and starts the parts of a single-node Kubernetes.
package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"slipway/sandbox/node/network"
	"slipway/sandbox/pki"
)

// Node is the name of the cluster's one node.
const Node = "sandbox"

// Where things are. Secrets are below Run, which is in memory; Data outlives
// the container.
const (
	Data = "/data"
	Run  = "/run/slipway"
	bin  = "/usr/local/bin/"
	keys = Run + "/pki/"
)

// files writes keys, certificates and configurations, anew at every start.
func files(authority *pki.Authority, hosts []string) error {
	w := &writer{}
	w.put(keys+"ca.crt", authority.Certificate())
	w.pair("etcd", server(authority, "etcd", "localhost", "127.0.0.1"))
	w.pair("apiserver", server(authority, "kube-apiserver", append([]string{
		"localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local", network.APIService, network.NodeIP,
	}, hosts...)...))
	w.pair("kubelet", server(authority, "kubelet", Node, network.NodeIP))
	w.pair("apiserver-kubelet", client(authority, "kube-apiserver-kubelet", "system:masters"))
	w.key("service-accounts", authority)
	for _, c := range []struct{ file, user, group string }{
		{"controller-manager", "system:kube-controller-manager", ""},
		{"scheduler", "system:kube-scheduler", ""},
		{"kubelet", "system:node:" + Node, "system:nodes"},
		{"proxy", "system:kube-proxy", ""},
		{"admin", "slipway-node", "system:masters"},
	} {
		var groups []string
		if c.group != "" {
			groups = []string{c.group}
		}
		text, err := authority.Kubeconfig("https://127.0.0.1:6443", c.user, groups...)
		if err != nil {
			return err
		}
		w.put(kubeconfig(c.file), []byte(text))
	}
	w.json(Run+"/kubelet.json", kubelet())
	w.json(Run+"/proxy.json", proxy())
	w.json("/etc/cni/net.d/10-slipway.conflist", cni())
	w.put("/etc/containerd/config.toml", []byte(containerd))
	w.put("/etc/containerd/certs.d/localhost:5000/hosts.toml", []byte(registryHosts))
	return w.err
}

func kubeconfig(name string) string { return Run + "/kubeconfig/" + name }

func server(a *pki.Authority, name string, hosts ...string) func() (*pki.Pair, error) {
	return func() (*pki.Pair, error) { return a.Server(name, hosts...) }
}

func client(a *pki.Authority, user string, groups ...string) func() (*pki.Pair, error) {
	return func() (*pki.Pair, error) { return a.Client(user, groups...) }
}

// writer writes files until the first error.
type writer struct{ err error }

func (w *writer) put(path string, data []byte) {
	if w.err != nil {
		return
	}
	if w.err = os.MkdirAll(filepath.Dir(path), 0o700); w.err == nil {
		w.err = os.WriteFile(path, data, 0o600)
	}
}

func (w *writer) pair(name string, make func() (*pki.Pair, error)) {
	pair, err := make()
	if err != nil {
		w.err = fmt.Errorf("%s: %w", name, err)
		return
	}
	w.put(keys+name+".crt", pair.Certificate)
	w.put(keys+name+".key", pair.Key)
}

func (w *writer) key(name string, authority *pki.Authority) {
	key, err := authority.Key(name)
	if err != nil {
		w.err = err
		return
	}
	data, err := pki.EncodeKey(key)
	if err != nil {
		w.err = err
		return
	}
	w.put(keys+name+".key", data)
}

func (w *writer) json(path string, value any) {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		w.err = err
		return
	}
	w.put(path, data)
}

type object = map[string]any

// kubelet is a KubeletConfiguration (kubelet.config.k8s.io/v1beta1). The node
// lives in a container: its control groups are the container's own, so limits
// of pods are enforced by the runtime one by one.
func kubelet() object {
	return object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": object{
			"anonymous": object{"enabled": false},
			"webhook":   object{"enabled": true},
			"x509":      object{"clientCAFile": keys + "ca.crt"},
		},
		"authorization":                 object{"mode": "Webhook"},
		"tlsCertFile":                   keys + "kubelet.crt",
		"tlsPrivateKeyFile":             keys + "kubelet.key",
		"readOnlyPort":                  0,
		"containerRuntimeEndpoint":      "unix:///run/containerd/containerd.sock",
		"cgroupDriver":                  "cgroupfs",
		"cgroupsPerQOS":                 false,
		"enforceNodeAllocatable":        []string{},
		"failCgroupV1":                  false,
		"failSwapOn":                    false,
		"localStorageCapacityIsolation": false,
		"clusterDomain":                 "cluster.local",
		"clusterDNS":                    []string{network.DNS},
		"resolvConf":                    "/etc/resolv.conf",
		"serializeImagePulls":           false,
		"maxParallelImagePulls":         4,
		"evictionHard":                  object{"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
		"imageGCHighThresholdPercent":   99,
		"imageGCLowThresholdPercent":    98,
		"makeIPTablesUtilChains":        false,
		"volumePluginDir":               Data + "/kubelet/plugins/volume",
		"podLogsDir":                    Data + "/logs/pods",
	}
}

// proxy is a KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1).
func proxy() object {
	return object{
		"apiVersion":         "kubeproxy.config.k8s.io/v1alpha1",
		"kind":               "KubeProxyConfiguration",
		"mode":               "nftables",
		"clusterCIDR":        network.Pods,
		"hostnameOverride":   Node,
		"bindAddress":        "0.0.0.0",
		"healthzBindAddress": "127.0.0.1:10256",
		"metricsBindAddress": "127.0.0.1:10249",
		"clientConnection":   object{"kubeconfig": kubeconfig("proxy")},
		"conntrack":          object{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
	}
}

// cni connects each pod to the node by a pair of interfaces of its own, so that
// traffic between pods passes the node's packet rules as well.
func cni() object {
	return object{
		"cniVersion": "1.0.0",
		"name":       "slipway",
		"plugins": []object{{
			"type": "ptp",
			"ipam": object{
				"type": "host-local", "dataDir": "/run/cni",
				"ranges": [][]object{{{"subnet": network.Pods}}},
				"routes": []object{{"dst": "0.0.0.0/0"}},
			},
		}},
	}
}

// containerd is the runtime's configuration, version 3. A container may not
// lower its out-of-memory score where the node itself may not.
const containerd = `version = 3
root = "` + Data + `/containerd"
state = "/run/containerd"
imports = []

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "slipway.internal/pause:1"
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "/etc/containerd/certs.d"

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "/usr/sbin/runc"
        SystemdCgroup = false
`

const registryHosts = `server = "http://localhost:5000"

[host."http://localhost:5000"]
  capabilities = ["pull", "resolve"]
`
