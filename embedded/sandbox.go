package embedded

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"slipway/engine"
)

// sandboxAddress is where the sandbox listens, unless another program does: the
// address that slipway.yaml names.
const sandboxAddress = "127.0.0.1:5000"

// sandboxPatience is how long the sandbox may take to be ready, to answer, and to end.
const sandboxPatience = 10 * time.Second

// Sandbox is the program that serves registry, Git remote and state.
func (p *Platform) Sandbox() string { return p.path("bin", "slipway-sandbox") }

func (p *Platform) sandbox() engine.Background {
	return engine.Background{
		Name: "the sandbox", Lock: p.path("sandbox", "data", "lock"), Log: p.path("sandbox", "daemon.log"),
		End: syscall.SIGTERM, Patience: sandboxPatience, Progress: p.Progress,
	}
}

// sandboxReady is the file in which the sandbox says where it listens.
func (p *Platform) sandboxReady() string { return p.path("sandbox", "ready.json") }

// buildSandbox compiles the sandbox; unchanged, that takes a moment.
func (p *Platform) buildSandbox(ctx context.Context) error {
	build := func() error {
		return p.run(ctx, "go", "build", "-C", filepath.Join(p.Launcher.Repo, "modules", "sandbox", "host"), "-trimpath", "-o", p.Sandbox(), "./cmd/slipway-sandbox")
	}
	if _, err := os.Stat(p.Sandbox()); err == nil {
		return build()
	}
	return p.Progress.Do("compile the registry and Git server", build)
}

// startSandbox starts the services unless they run, fills an empty Git remote,
// and returns where they are.
func (p *Platform) startSandbox(ctx context.Context) (string, error) {
	prefer, address := cmp.Or(p.prefer, sandboxAddress), ""
	environments, err := p.environments()
	if err != nil {
		return "", err
	}
	err = p.sandbox().Exclusive(ctx, func() (err error) {
		address, err = p.findSandbox(ctx)
		if err != nil || address != "" {
			return err
		}
		if err := os.Remove(p.sandboxReady()); err == nil {
			p.Progress.Say("the sandbox ended without being stopped; starting it again")
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		cmd := exec.Command(p.Sandbox(), "serve", "--data", p.path("sandbox", "data"), "--prefer", prefer, "--ready-file", p.sandboxReady(), "--environments", strings.Join(environments, ","))
		cmd.Dir = "/"
		ctx, cancel := context.WithTimeout(ctx, sandboxPatience)
		defer cancel()
		err = p.sandbox().Start(ctx, cmd, func() error {
			_, err := os.Stat(p.sandboxReady())
			return err
		})
		if err != nil {
			return err
		}
		if address, err = p.findSandbox(ctx); err == nil && address != prefer {
			p.Progress.Say("%s is in use; the sandbox listens at %s", prefer, address)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	for _, environment := range environments {
		// The file's accounts are made when it is started.
		if _, err := p.account("gitops/" + environment); err != nil {
			return "", fmt.Errorf("the sandbox that runs is an older version's, or %s has a new environment (end it with go tool task down, then try again): %w", settings, err)
		}
	}
	_, port, _ := strings.Cut(address, ":")
	address = "localhost:" + port
	return address, p.seed(ctx, address, filepath.Join(p.Launcher.Repo, "gitops"))
}

// settings is the platform's configuration.
const settings = "slipway.yaml"

// environments are those that slipway.yaml has, each of which has accounts of its own.
func (p *Platform) environments() ([]string, error) {
	content, err := os.ReadFile(filepath.Join(p.Launcher.Repo, settings))
	if err != nil {
		return nil, err
	}
	var c struct {
		Environments map[string]any `yaml:"environments"`
	}
	if err := yaml.Unmarshal(content, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", settings, err)
	}
	if len(c.Environments) == 0 {
		return nil, fmt.Errorf("%s has no environments: name at least one, such as dev: {}", settings)
	}
	return slices.Sorted(maps.Keys(c.Environments)), nil
}

// findSandbox is where the sandbox listens; "" when it does not run. One that does
// not answer, or that somebody else has started, is an error.
func (p *Platform) findSandbox(ctx context.Context) (string, error) {
	pid, err := p.sandbox().PID()
	if err != nil || pid == 0 {
		return "", err
	}
	content, err := os.ReadFile(p.sandboxReady())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var ready struct {
		Address string
		PID     int
	}
	if err := json.Unmarshal(content, &ready); err != nil || ready.PID != pid || ready.Address == "" {
		return "", fmt.Errorf("process %d serves %s, but was not started by up: stop it", pid, p.path("sandbox", "data"))
	}
	if err := answers(ctx, ready.Address); err != nil {
		return "", fmt.Errorf("the sandbox (process %d) runs but doesn't answer; stop it with go tool task down and look into %s: %w", pid, p.sandbox().Log, err)
	}
	return ready.Address, nil
}

// answers asks each part of a sandbox for what everybody may know.
func answers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, sandboxPatience)
	defer cancel()
	for path, want := range map[string]int{
		"/v2/": http.StatusUnauthorized, "/gitops.git/info/refs?service=git-upload-pack": http.StatusOK, "/state/": http.StatusUnauthorized,
	} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil {
			return err
		}
		if response.StatusCode != want {
			return fmt.Errorf("GET %s: %s", request.URL, response.Status)
		}
	}
	return nil
}

// StopSandbox stops the services; their data stays.
func (p *Platform) StopSandbox(ctx context.Context) error {
	if _, err := os.Stat(p.path("sandbox", "data")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return p.sandbox().Exclusive(ctx, func() error {
		pid, err := p.sandbox().PID()
		if err != nil {
			return err
		}
		if pid != 0 {
			lock, err := p.sandbox().Stop(ctx, pid)
			if err != nil {
				return err
			}
			defer lock.Close()
		}
		if err := os.Remove(p.sandboxReady()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}
