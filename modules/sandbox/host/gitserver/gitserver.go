// Package gitserver is the sandbox's Git remote: one bare repository, served
// over smart HTTP by Git's own http-backend.
package gitserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Repository is the name of the one repository, and its path in a URL.
const Repository = "gitops.git"

// Branch is the repository's default branch.
const Branch = "main"

// Timeout bounds one request: the time that git may take for a fetch or push.
const Timeout = 2 * time.Minute

// config is what the repository is set to at every start. A GitOps history
// only grows: nothing may rewrite or delete what was released.
var config = [][2]string{
	{"http.receivepack", "true"},
	{"receive.denyNonFastForwards", "true"},
	{"receive.denyDeletes", "true"},
	{"receive.fsckObjects", "true"},
	{"gc.autoDetach", "false"},
}

// New makes the repository below dir where it is absent, and returns the
// handler that serves it under /gitops.git. The git found on PATH does the
// work; its http-backend has to be installed with it. What is guarded takes a push only
// from the account that accounts.Protect names, and what that may change.
func New(ctx context.Context, dir string, guarded bool) (http.Handler, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return nil, fmt.Errorf("git is not installed (install the package git): %w", err)
	}
	out, err := Run(ctx, "", "--exec-path")
	if err != nil {
		return nil, err
	}
	backend := filepath.Join(strings.TrimSpace(out), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		return nil, fmt.Errorf("git has no http-backend (install the whole package git): %w", err)
	}
	repository := filepath.Join(dir, Repository)
	if _, err := os.Stat(filepath.Join(repository, "HEAD")); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		if _, err := Run(ctx, dir, "init", "--quiet", "--bare", "--initial-branch="+Branch, Repository); err != nil {
			return nil, err
		}
	}
	for _, c := range config {
		if _, err := Run(ctx, repository, "config", c[0], c[1]); err != nil {
			return nil, err
		}
	}
	if err := guard(repository, guarded); err != nil {
		return nil, err
	}
	return &handler{backend: backend, root: dir, search: os.Getenv("PATH"), timeout: Timeout}, nil
}

// Run runs git with args in dir and returns what it printed. It sees neither
// the user's nor the system's configuration and never asks for a password. The
// error names the command and holds what git said.
func Run(ctx context.Context, dir string, args ...string) (string, error) {
	return run(ctx, nil, dir, args...)
}

// run is Run with more of an environment.
func run(ctx context.Context, env []string, dir string, args ...string) (string, error) {
	return runWith(ctx, nil, env, dir, args...)
}

// runWith is run with a standard input.
func runWith(ctx context.Context, stdin io.Reader, env []string, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Stdin = dir, stdin
	cmd.Env = slices.Concat([]string{"PATH=" + os.Getenv("PATH")}, isolated, env)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// isolated is the environment of every git process.
var isolated = []string{
	"GIT_CONFIG_NOSYSTEM=1",
	"GIT_CONFIG_GLOBAL=" + os.DevNull,
	"GIT_TERMINAL_PROMPT=0",
	"LC_ALL=C",
}
