package engine

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// runnerVariable is where the dagger CLI reads which engine to use.
const runnerVariable = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"

// Runner is the kind of engine that is used.
type Runner int

const (
	// RunnerNative is an engine that this package builds and runs.
	RunnerNative Runner = iota
	// RunnerGiven is the engine that the environment names.
	RunnerGiven
	// RunnerDocker is an engine that the dagger CLI starts in Docker.
	RunnerDocker
)

// dockerTimeout is how long Docker's daemon may take to answer.
const dockerTimeout = 10 * time.Second

// Choose says which engine to use: the one that the environment names, unless
// that is own (which a sourced .slipway/env names); Docker's, where its daemon
// answers; else a native one.
func Choose(getenv func(string) string, own string, docker func() bool) Runner {
	given := getenv(runnerVariable)
	switch {
	case given == own:
		return RunnerNative
	case given != "":
		return RunnerGiven
	case docker():
		return RunnerDocker
	}
	return RunnerNative
}

// DockerAnswers says whether a docker command is there and its daemon answers:
// the command alone is no engine.
func DockerAnswers(ctx context.Context, getenv func(string) string) bool {
	docker, err := exec.LookPath("docker")
	if err != nil || !dockerConfigured(getenv, exists) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, dockerTimeout)
	defer cancel()
	out, err := command(ctx, docker, "version", "--format", "{{.Server.Version}}").Output()
	return err == nil && strings.TrimSpace(string(out)) != ""
}

// dockerConfigured says whether any daemon could be there: asking the command
// takes seconds on a machine that has none.
func dockerConfigured(getenv func(string) string, exists func(string) bool) bool {
	if getenv("DOCKER_HOST") != "" || getenv("DOCKER_CONTEXT") != "" {
		return true
	}
	paths := []string{"/var/run/docker.sock"}
	if home := getenv("HOME"); home != "" {
		// A context other than the default has its settings here.
		paths = append(paths, filepath.Join(home, ".docker", "contexts"), filepath.Join(home, ".docker", "run", "docker.sock"))
	}
	if runtime := getenv("XDG_RUNTIME_DIR"); runtime != "" {
		paths = append(paths, filepath.Join(runtime, "docker.sock"))
	}
	for _, path := range paths {
		if exists(path) {
			return true
		}
	}
	return false
}

// Launcher does what the commands of slipway-dev ask for, for one checkout.
type Launcher struct {
	Repo     string
	Dirs     Dirs
	Network  Network
	Progress *Progress
	// Getenv reads the environment.
	Getenv func(string) string
}

// NewLauncher returns the launcher for the checkout around folder dir.
func NewLauncher(dir string, progress *Progress) (*Launcher, error) {
	repo, err := FindRepo(dir)
	if err != nil {
		return nil, err
	}
	key, err := Key(repo)
	if err != nil {
		return nil, err
	}
	dirs, err := NewDirs(os.Getenv, key)
	if err != nil {
		return nil, err
	}
	return &Launcher{Repo: repo, Dirs: dirs, Network: DefaultNetwork, Progress: progress, Getenv: os.Getenv}, nil
}

func (l *Launcher) builder() *Builder {
	return &Builder{Repo: l.Repo, Dirs: l.Dirs, Progress: l.Progress}
}

// runner says which engine is used. A native engine that runs is used whatever
// else there is.
func (l *Launcher) runner(ctx context.Context) Runner {
	if l.Getenv(runnerVariable) == "" && l.running() {
		return RunnerNative
	}
	return Choose(l.Getenv, l.Dirs.RunnerHost(), func() bool { return DockerAnswers(ctx, l.Getenv) })
}

// Native says whether the engine that is used is one that this package runs: its
// containers are reached from this machine by their addresses.
func (l *Launcher) Native(ctx context.Context) bool { return l.runner(ctx) == RunnerNative }

// Setup installs what the system must provide for the engine that is used.
func (l *Launcher) Setup(ctx context.Context) error {
	return Setup(ctx, l.Progress, l.Native(ctx))
}

// Build builds what the engine that is used needs, and starts nothing.
func (l *Launcher) Build(ctx context.Context) error {
	if l.Native(ctx) {
		if l.Dirs.Built() {
			return nil
		}
		return l.builder().All(ctx)
	}
	if exists(l.Dirs.CLI()) {
		return nil
	}
	return l.builder().OnlyCLI(ctx)
}

// Env returns the content of .slipway/env for the engine that is used.
func (l *Launcher) Env(ctx context.Context) string {
	switch l.runner(ctx) {
	case RunnerNative:
		return EnvFile(l.Dirs.CLI(), l.Dirs.RunnerHost())
	case RunnerGiven:
		return EnvFile(l.Dirs.CLI(), l.Getenv(runnerVariable))
	default:
		return EnvFile(l.Dirs.CLI(), "")
	}
}
