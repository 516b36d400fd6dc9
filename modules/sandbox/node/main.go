// Command slipway-node is the first process of a sandbox cluster's container: a
// single-node Kubernetes with Argo CD on it.
//
//	slipway-node --seed FILE --images DIR --bootstrap DIR [--sandbox HOST:PORT] [--host NAME]…
//
// What the cluster stores lies in /data. Listening ports:
//
//	6443  the Kubernetes API, TLS with client certificates
//	8443  Argo CD's API, TLS
//	8080  the apps, by host name
//	9000  this program's status, as JSON
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"slipway/sandbox/node/bootstrap"
	"slipway/sandbox/node/cluster"
	"slipway/sandbox/node/credentials"
	"slipway/sandbox/node/front"
	"slipway/sandbox/node/images"
	"slipway/sandbox/node/network"
	"slipway/sandbox/node/process"
	"slipway/sandbox/pki"
)

// patience bounds each phase of the start; the slowest unpacks the images for
// the first time.
const patience = 10 * time.Minute

// sandboxPort is where pods reach the sandbox's registry and Git remote, by TLS.
const sandboxPort = "5443"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "slipway-node:", err)
		os.Exit(1)
	}
}

type node struct {
	began   time.Time
	address string

	mu    sync.Mutex
	phase string
	ready bool
}

// say prints a line with the time since the start.
func (n *node) say(format string, args ...any) {
	fmt.Printf("%6.1fs %s\n", time.Since(n.began).Seconds(), fmt.Sprintf(format, args...))
}

func (n *node) enter(phase string) {
	n.mu.Lock()
	n.phase = phase
	n.mu.Unlock()
	n.say("%s", phase)
}

// ServeHTTP is the status.
func (n *node) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"ready": n.ready, "phase": n.phase, "seconds": int(time.Since(n.began).Seconds()), "address": n.address})
}

func run(ctx context.Context) error {
	seedFile := flag.String("seed", "", "`file` with the secret that the cluster's keys are derived from")
	imageDir := flag.String("images", "", "`folder` of the images that the node brings along")
	bootstrapDir := flag.String("bootstrap", "", "`folder` of the objects to apply first")
	sandbox := flag.String("sandbox", "", "`host:port` of the sandbox's registry and Git remote")
	reset := flag.Bool("reset", false, "delete what an earlier cluster has stored")
	var hosts []string
	flag.Func("host", "further host `name` of the Kubernetes API; may be repeated", func(name string) error {
		hosts = append(hosts, name)
		return nil
	})
	flag.Parse()
	n := &node{began: time.Now()}
	seed, err := os.ReadFile(*seedFile)
	if err != nil {
		return fmt.Errorf("read the seed: %w", err)
	}
	authority, err := pki.New(seed)
	if err != nil {
		return err
	}
	unlock, err := lockData()
	if err != nil {
		return err
	}
	defer unlock()
	if *reset {
		if err := emptyData(); err != nil {
			return fmt.Errorf("delete the earlier cluster: %w", err)
		}
	}
	if err := own(authority); err != nil {
		return err
	}
	if n.address, err = network.Address(); err != nil {
		return err
	}
	if err := serve(ctx, ":9000", n); err != nil {
		return err
	}
	n.enter("preparing the network")
	if err := network.Prepare(ctx); err != nil {
		return err
	}
	if *sandbox != "" {
		if err := n.reachSandbox(ctx, authority, *sandbox); err != nil {
			return err
		}
	}
	programs := &process.Group{Logs: cluster.Data + "/logs", Say: n.say, Environment: []string{"HOME=/root", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
	if err := os.MkdirAll(programs.Logs, 0o755); err != nil {
		return err
	}
	defer programs.Stop()

	n.enter("starting the control plane")
	starting, cancel := context.WithTimeoutCause(ctx, patience, errors.New("it took too long"))
	defer cancel()
	kube := &cluster.Cluster{Authority: authority, Hosts: hosts, Programs: programs}
	config, err := kube.Start(starting)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	n.enter("loading the images")
	names, err := images.Import(starting, *imageDir)
	if err != nil {
		return err
	}
	n.say("%d images", len(names))
	n.enter("joining the node")
	if err := kube.Join(); err != nil {
		return err
	}
	objects, err := bootstrap.Read(*bootstrapDir)
	if err != nil {
		return err
	}
	if err := n.bootstrap(starting, config, client, authority, objects); err != nil {
		return err
	}
	if err := n.openDoors(ctx, client); err != nil {
		return err
	}
	n.enter("waiting for the node, Argo CD and Kyverno")
	if err := wait(starting, func() bool {
		return cluster.Ready(starting, client, n.began) && serving(starting, client, n.began, "kube-system", "kyverno", credentials.Namespace)
	}); err != nil {
		return fmt.Errorf("the node, Argo CD or Kyverno is not ready: %w", err)
	}
	n.mu.Lock()
	n.ready = true
	n.mu.Unlock()
	n.enter("ready")
	<-ctx.Done()
	n.enter("stopping")
	return nil
}

// lockData keeps a second node away from the same data.
func lockData() (func(), error) {
	if err := os.MkdirAll(cluster.Data, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(cluster.Data+"/lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, errors.New("another node runs on the same data: stop it first, or give this one another name")
	}
	return func() { _ = file.Close() }, nil
}

// own refuses data that was made with another seed: nothing in it would verify.
func own(authority *pki.Authority) error {
	key, err := authority.Key("data")
	if err != nil {
		return err
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		return err
	}
	const file = cluster.Data + "/owner"
	mark := hex.EncodeToString(public)
	switch was, err := os.ReadFile(file); {
	case errors.Is(err, os.ErrNotExist):
		return os.WriteFile(file, []byte(mark), 0o600)
	case err != nil:
		return err
	case string(was) != mark:
		return errors.New("the data belongs to a cluster with another seed: give that seed, another name, or --reset")
	}
	return nil
}

// emptyData deletes what an earlier cluster has stored.
func emptyData() error {
	entries, err := os.ReadDir(cluster.Data)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != "lock" {
			if err := os.RemoveAll(cluster.Data + "/" + entry.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// reachSandbox makes localhost:5000 of the node, and a TLS port for its pods,
// the sandbox's registry and Git remote.
func (n *node) reachSandbox(ctx context.Context, authority *pki.Authority, address string) error {
	to := func(context.Context) (string, error) { return address, nil }
	plain, err := net.Listen("tcp", "127.0.0.1:5000")
	if err != nil {
		return err
	}
	pair, err := authority.Server("sandbox", "sandbox", "sandbox.slipway-system.svc", "sandbox.slipway-system.svc.cluster.local")
	if err != nil {
		return err
	}
	encrypted, err := front.TLS(network.NodeIP+":"+sandboxPort, pair.Certificate, pair.Key)
	if err != nil {
		return err
	}
	go front.Forward(ctx, plain, to, n.say)
	go front.Forward(ctx, encrypted, to, n.say)
	return nil
}

// bootstrap applies what is new in the objects since the last start. What Argo CD
// reconciles comes last, when the judge of images is there: nothing runs before
// it.
func (n *node) bootstrap(ctx context.Context, config *rest.Config, client kubernetes.Interface, authority *pki.Authority, objects []*unstructured.Unstructured) error {
	layers := bootstrap.Split(objects)
	done, err := bootstrap.Applied(ctx, client, objects)
	if err != nil {
		return err
	}
	if done {
		return credentials.Ensure(ctx, client, authority)
	}
	n.enter(fmt.Sprintf("applying %d objects", len(objects)))
	if err := bootstrap.Apply(ctx, config, layers.Namespaces); err != nil {
		return err
	}
	if err := credentials.Ensure(ctx, client, authority); err != nil {
		return err
	}
	if err := bootstrap.Apply(ctx, config, layers.Platform); err != nil {
		return err
	}
	n.enter("waiting for the admission policies")
	err = wait(ctx, func() bool {
		hooks, err := client.AdmissionregistrationV1().ValidatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
		return err == nil && bootstrap.Judged(hooks.Items) && serving(ctx, client, n.began, "kyverno")
	})
	if err != nil {
		return fmt.Errorf("the admission policies are not in force: %w", err)
	}
	if err := bootstrap.Apply(ctx, config, layers.Applications); err != nil {
		return err
	}
	return bootstrap.Remember(ctx, client, objects)
}

// openDoors opens the ports that lead to Argo CD and to the apps.
func (n *node) openDoors(ctx context.Context, client kubernetes.Interface) error {
	argocd, err := net.Listen("tcp", ":8443")
	if err != nil {
		return err
	}
	go front.Forward(ctx, argocd, front.Service(client, "argocd", "argocd-server", "https"), n.say)
	return serve(ctx, ":8080", front.Apps(client))
}

func serve(ctx context.Context, address string, handler http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }()
	return nil
}

// serving says whether every pod of the namespaces is ready, and was
// started by this node: what the API has stored may be about an earlier one.
func serving(ctx context.Context, client kubernetes.Interface, since time.Time, namespaces ...string) bool {
	for _, namespace := range namespaces {
		pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil || len(pods.Items) == 0 {
			return false
		}
		for _, pod := range pods.Items {
			if pod.DeletionTimestamp == nil && !ready(&pod, since) {
				return false
			}
		}
	}
	return true
}

func ready(pod *corev1.Pod, since time.Time) bool {
	for _, container := range pod.Status.ContainerStatuses {
		// The API's times are whole seconds.
		if container.State.Running == nil || container.State.Running.StartedAt.Before(&metav1.Time{Time: since.Truncate(time.Second)}) {
			return false
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func wait(ctx context.Context, done func() bool) error {
	for !done() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(500 * time.Millisecond):
		}
	}
	return nil
}
