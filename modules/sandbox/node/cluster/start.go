package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"slipway/sandbox/node/network"
	"slipway/sandbox/node/process"
	"slipway/sandbox/pki"
)

// Cluster is the node and its control plane.
type Cluster struct {
	Authority *pki.Authority
	// Hosts are further names and addresses that the API server answers for.
	Hosts []string
	// Programs runs the parts.
	Programs *process.Group
}

// Start writes the configuration and starts the runtime and the control plane.
// It returns when the API server is ready.
func (c *Cluster) Start(ctx context.Context) (*rest.Config, error) {
	if err := files(c.Authority, c.Hosts); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	for _, dir := range []string{"/etcd", "/containerd", "/kubelet", "/logs/pods"} {
		if err := os.MkdirAll(Data+dir, 0o700); err != nil {
			return nil, err
		}
	}
	starts := [][]string{
		{"containerd", bin + "containerd", "--config", "/etc/containerd/config.toml"},
		{
			"etcd", bin + "etcd", "--name", Node, "--data-dir", Data + "/etcd",
			"--listen-client-urls", "https://127.0.0.1:2379", "--advertise-client-urls", "https://127.0.0.1:2379",
			"--listen-peer-urls", "https://127.0.0.1:2380", "--initial-advertise-peer-urls", "https://127.0.0.1:2380",
			"--initial-cluster", Node + "=https://127.0.0.1:2380",
			"--cert-file", keys + "etcd.crt", "--key-file", keys + "etcd.key", "--client-cert-auth", "--trusted-ca-file", keys + "ca.crt",
			"--peer-cert-file", keys + "etcd.crt", "--peer-key-file", keys + "etcd.key", "--peer-client-cert-auth", "--peer-trusted-ca-file", keys + "ca.crt",
			"--auto-compaction-mode", "periodic", "--auto-compaction-retention", "1h",
		},
		{
			"kube-apiserver", bin + "kube-apiserver",
			"--advertise-address", network.NodeIP, "--bind-address", "0.0.0.0", "--secure-port", "6443",
			"--etcd-servers", "https://127.0.0.1:2379", "--etcd-cafile", keys + "ca.crt", "--etcd-certfile", keys + "etcd.crt", "--etcd-keyfile", keys + "etcd.key",
			"--client-ca-file", keys + "ca.crt", "--tls-cert-file", keys + "apiserver.crt", "--tls-private-key-file", keys + "apiserver.key", "--tls-min-version", "VersionTLS12",
			"--kubelet-certificate-authority", keys + "ca.crt", "--kubelet-client-certificate", keys + "apiserver-kubelet.crt", "--kubelet-client-key", keys + "apiserver-kubelet.key",
			"--kubelet-preferred-address-types", "InternalIP",
			"--service-account-issuer", "https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file", keys + "service-accounts.key", "--service-account-signing-key-file", keys + "service-accounts.key",
			"--service-cluster-ip-range", network.Services, "--authorization-mode", "Node,RBAC", "--anonymous-auth=false",
			"--enable-admission-plugins", "NodeRestriction", "--profiling=false", "--event-ttl", "3h",
		},
		{
			"kube-controller-manager", bin + "kube-controller-manager", "--kubeconfig", kubeconfig("controller-manager"),
			"--bind-address", "127.0.0.1", "--leader-elect=false", "--use-service-account-credentials", "--profiling=false",
			"--service-account-private-key-file", keys + "service-accounts.key", "--root-ca-file", keys + "ca.crt", "--cluster-cidr", network.Pods,
			"--node-monitor-grace-period", "20s",
		},
		{
			"kube-scheduler", bin + "kube-scheduler", "--kubeconfig", kubeconfig("scheduler"),
			"--bind-address", "127.0.0.1", "--leader-elect=false", "--profiling=false",
		},
	}
	for _, argv := range starts {
		if err := c.Programs.Start(argv[0], argv[1:]...); err != nil {
			return nil, err
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig("admin"))
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 100, 200
	return config, c.answer(ctx, config)
}

// Join starts the kubelet and kube-proxy.
func (c *Cluster) Join() error {
	return errors.Join(
		c.Programs.Start("kube-proxy", bin+"kube-proxy", "--config", Run+"/proxy.json"),
		c.Programs.Start("kubelet", bin+"kubelet", "--config", Run+"/kubelet.json", "--kubeconfig", kubeconfig("kubelet"),
			"--hostname-override", Node, "--node-ip", network.NodeIP, "--root-dir", Data+"/kubelet", "--cert-dir", Run+"/kubelet"))
}

// answer waits until the API server says that it is ready.
func (c *Cluster) answer(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	var last error
	for {
		last = client.Discovery().RESTClient().Get().AbsPath("/readyz").Timeout(2 * time.Second).Do(ctx).Error()
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API server is not ready: %w", last)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Ready says whether the node takes pods, and has said so since it was started
// at a time.
func Ready(ctx context.Context, client kubernetes.Interface, since time.Time) bool {
	lease, err := client.CoordinationV1().Leases("kube-node-lease").Get(ctx, Node, metav1.GetOptions{})
	if err != nil || lease.Spec.RenewTime == nil || lease.Spec.RenewTime.Time.Before(since) {
		return false
	}
	node, err := client.CoreV1().Nodes().Get(ctx, Node, metav1.GetOptions{})
	if err != nil {
		return false
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == "Ready" {
			return condition.Status == "True"
		}
	}
	return false
}
