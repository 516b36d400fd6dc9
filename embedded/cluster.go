package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"slipway/embedded/plain"
	"slipway/embedded/session"
	"slipway/engine"
)

// clusterPatience bounds the wait for a cluster to be ready; the first start
// compiles it.
const clusterPatience = 80 * time.Minute

// cluster is the launcher that keeps the cluster running: ClusterKeep.
func (p *Platform) cluster() engine.Background {
	return engine.Background{
		Name: "the cluster", Lock: p.path("cluster", "lock"), Log: p.path("cluster", "log"),
		// A clean end, so that the engine lets go of the node's data. It stops a
		// session's services without asking them, as v0.21.7 does: the node's
		// programs take their data up again as after a crash.
		End: syscall.SIGINT, Patience: 2 * time.Minute, Progress: p.Progress,
	}
}

// ClusterUp starts Kubernetes and Argo CD and says how they are reached.
func (p *Platform) ClusterUp(ctx context.Context, out io.Writer) error {
	if err := p.Up(ctx); err != nil {
		return err
	}
	if err := p.push(ctx); err != nil {
		return err
	}
	err := p.cluster().Exclusive(ctx, func() error {
		running, err := p.cluster().Running()
		if err != nil {
			return err
		}
		if running {
			return p.awaitNode(ctx, p.cluster().Await)
		}
		if err := p.clusterSeed(); err != nil {
			return err
		}
		return p.Progress.Do("start Kubernetes and Argo CD", func() error { return p.startCluster(ctx) })
	})
	if err != nil {
		return err
	}
	if err := p.clusterFiles(ctx); err != nil {
		return err
	}
	if err := p.defaults(p.address); err != nil {
		return err
	}
	return p.sayCluster(out)
}

// ClusterBuild compiles, or pulls, everything that the cluster is made of.
func (p *Platform) ClusterBuild(ctx context.Context) error {
	if err := p.Up(ctx); err != nil {
		return err
	}
	return p.Progress.Do("compile Kubernetes, Argo CD and Kyverno", func() error {
		if err := p.Dagger(ctx, nil, "-m", "modules/sandbox", "call", "node-image", "sync"); err != nil {
			return err
		}
		return p.providers(ctx)
	})
}

// providers exports the provider that infra/local is written for. An export of
// what is there already changes nothing.
func (p *Platform) providers(ctx context.Context) error {
	return p.Dagger(ctx, nil, "-m", "modules/sandbox", "call", "kubectl-provider", "export", "--path", p.path("cluster", "providers"))
}

// push brings the embedded Git remote to the checkout's GitOps tree, with the
// checkout's own key as the one whose signatures the cluster accepts.
func (p *Platform) push(ctx context.Context) error {
	tree := p.path("cluster", "gitops")
	if err := os.RemoveAll(tree); err != nil {
		return err
	}
	if err := os.CopyFS(tree, os.DirFS(filepath.Join(p.Launcher.Repo, "gitops"))); err != nil {
		return err
	}
	key, err := os.ReadFile(p.path("keys", "cosign.pub"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tree, "platform", "policies", "cosign.pub"), key, 0o644); err != nil {
		return err
	}
	return p.seed(ctx, p.address, tree, "--update")
}

// clusterSeed makes the cluster's seed and the name of its data, together and
// once: data belongs to the seed that it was made with.
func (p *Platform) clusterSeed() error {
	seed := p.path("cluster", "seed")
	if _, err := os.Stat(seed); err == nil {
		return nil
	}
	if err := os.WriteFile(p.path("cluster", "name"), []byte("c"+strings.ToLower(rand.Text())), 0o600); err != nil {
		return err
	}
	return os.WriteFile(seed, []byte(rand.Text()+rand.Text()), 0o600)
}

// clusterArgs name the cluster of this checkout to the module.
func (p *Platform) clusterArgs() ([]string, error) {
	name, err := os.ReadFile(p.path("cluster", "name"))
	if err != nil {
		return nil, err
	}
	return []string{
		"-m", "modules/sandbox", "call", "cluster", "--seed", "file:" + p.path("cluster", "seed"),
		"--gitops", p.path("cluster", "gitops"), "--name", string(name),
	}, nil
}

// startCluster starts the process that keeps the cluster running, and returns when
// the node is ready.
func (p *Platform) startCluster(ctx context.Context) error {
	launcher, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(launcher, "cluster", "keep")
	cmd.Dir = p.Launcher.Repo
	return p.awaitNode(ctx, func(ctx context.Context, ready func() error) error {
		return p.cluster().Start(ctx, cmd, ready)
	})
}

// ClusterKeep starts the cluster and keeps it running until ctx ends. What it
// says goes to out.
func (p *Platform) ClusterKeep(ctx context.Context, out io.Writer) error {
	lock, err := engine.Hold(p.cluster().Lock)
	if err != nil {
		return err
	}
	defer lock.Close()
	address, err := p.startSandbox(ctx)
	if err != nil {
		return err
	}
	named, err := p.clusterArgs()
	if err != nil {
		return err
	}
	cluster := session.Session{
		Dagger: filepath.Join(p.Launcher.Dirs.CLI(), "dagger"), Service: append(named, "--sandbox", "tcp://"+address, "service"),
		Dir: p.Launcher.Repo, Env: append(os.Environ(), p.Launcher.Environ(ctx)...), Direct: p.Launcher.Native(ctx), Log: out,
		Ports: map[int]int{},
	}
	for _, port := range []int{session.APIPort, session.ArgocdPort, session.AppsPort, session.StatusPort} {
		cluster.Ports[port] = port
	}
	return cluster.Run(ctx)
}

// awaitNode waits, in the way given, until the node says that it is ready. Until then
// it follows the cluster's log, which says what is compiled.
func (p *Platform) awaitNode(ctx context.Context, wait func(context.Context, func() error) error) error {
	ctx, cancel := context.WithTimeout(ctx, clusterPatience)
	defer cancel()
	steps := plain.New(time.Now)
	defer p.Progress.Follow(steps.Now)()
	var log *os.File
	defer func() { _ = log.Close() }()
	var phase string
	return wait(ctx, func() (err error) {
		if log == nil {
			if log, err = os.Open(p.cluster().Log); err != nil {
				return err
			}
		}
		if _, err := io.Copy(steps, log); err != nil {
			return err
		}
		status, err := session.Ask(ctx, session.StatusPort)
		if err != nil || status.Ready {
			return err
		}
		if status.Phase != phase {
			phase = status.Phase
			p.Progress.Say("%s", phase)
		}
		return errors.New(phase)
	})
}

// clusterFiles writes what clients need: a kubeconfig, the authority's
// certificate and Argo CD's password.
func (p *Platform) clusterFiles(ctx context.Context) error {
	named, err := p.clusterArgs()
	if err != nil {
		return err
	}
	for file, args := range map[string][]string{
		"kubeconfig":      {"kubeconfig", "plaintext"},
		"ca.crt":          {"certificate", "contents"},
		"argocd-password": {"argocd", "password", "plaintext"},
	} {
		path := p.path("cluster", file)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		var out bytes.Buffer
		if err := p.Dagger(ctx, &out, append(slices.Clone(named), args...)...); err != nil {
			return err
		}
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return p.providers(ctx)
}

func (p *Platform) sayCluster(out io.Writer) error {
	_, err := fmt.Fprintf(out, `The cluster is ready.
  Kubernetes API  https://localhost:%d    kubectl --kubeconfig %[2]s get pods -A
  Argo CD API     https://localhost:%[3]d    user admin, password in %[4]s, certificate by %[5]s
  the apps        http://<app>.<environment>.localhost:%[6]d, such as curl -H "Host: hello.dev.localhost" http://localhost:%[6]d/
`, session.APIPort, p.relative("cluster", "kubeconfig"), session.ArgocdPort, p.relative("cluster", "argocd-password"), p.relative("cluster", "ca.crt"), session.AppsPort)
	return err
}

func (p *Platform) relative(parts ...string) string {
	return filepath.Join(append([]string{".slipway"}, parts...)...)
}

// ClusterDown stops the cluster; its data stays. From then on .env doesn't name
// it, so that no call waits for it.
func (p *Platform) ClusterDown(ctx context.Context) error {
	pid, err := p.cluster().PID()
	if err != nil {
		return err
	}
	if pid == 0 {
		return p.forgetCluster()
	}
	return p.Progress.Do("stop Kubernetes and Argo CD", func() error {
		lock, err := p.cluster().Stop(ctx, pid)
		if err != nil {
			return err
		}
		return errors.Join(lock.Close(), p.forgetCluster())
	})
}

// clusterArguments are the arguments of .env that a call needs for a cluster, and
// that make it want one.
var clusterArguments = []string{"SLIPWAY_KUBECONFIG", "SLIPWAY_KUBERNETES", "SLIPWAY_PROVIDERS"}

// forgetCluster takes the cluster's arguments out of the .env that the set-up
// has made.
func (p *Platform) forgetCluster() error {
	file := filepath.Join(p.Launcher.Repo, ".env")
	old, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !strings.HasPrefix(string(old), envMark) {
		return nil
	}
	if err != nil {
		return err
	}
	var kept strings.Builder
	for line := range strings.Lines(string(old)) {
		name, _, _ := strings.Cut(line, "=")
		if !slices.Contains(clusterArguments, name) {
			kept.WriteString(line)
		}
	}
	if kept.String() == string(old) {
		return nil
	}
	return os.WriteFile(file, []byte(kept.String()), 0o600)
}

// downCluster is the error when no cluster runs. It is engine.ErrDown's kind, with
// words of its own.
type downCluster struct{}

func (downCluster) Error() string {
	return "the cluster does not run: start it with go tool task cluster:up"
}

func (downCluster) Is(target error) bool { return target == engine.ErrDown }

// ClusterStatus says what runs; its error is engine.ErrDown when nothing does.
func (p *Platform) ClusterStatus(ctx context.Context, out io.Writer) error {
	running, err := p.cluster().Running()
	if err != nil {
		return err
	}
	if !running {
		return downCluster{}
	}
	status, err := session.Ask(ctx, session.StatusPort)
	switch {
	case err != nil:
		_, err = fmt.Fprintf(out, "The cluster is starting; its log is %s.\n", p.relative("cluster", "log"))
		return err
	case !status.Ready:
		_, err = fmt.Fprintf(out, "The cluster is starting, since %d s: %s\n", status.Seconds, status.Phase)
		return err
	}
	return p.sayCluster(out)
}

// ClusterReset stops the cluster and forgets it: the next one begins empty, with
// new keys. The old data goes when the engine's caches need the room.
func (p *Platform) ClusterReset(ctx context.Context) error {
	if err := p.ClusterDown(ctx); err != nil {
		return err
	}
	for _, file := range []string{"seed", "name", "kubeconfig", "ca.crt", "argocd-password"} {
		if err := os.RemoveAll(p.path("cluster", file)); err != nil {
			return err
		}
	}
	return nil
}
