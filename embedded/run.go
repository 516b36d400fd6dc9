package embedded

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"slipway/embedded/plain"
)

// run runs a program; its standard error goes to this process's.
func (p *Platform) run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stderr = p.Launcher.Repo, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", filepath.Base(name), strings.Join(args, " "), err)
	}
	return nil
}

// Dagger runs the dagger CLI on the checkout's engine. Its standard output goes
// to out; what it says while it works is kept and shown only when it fails. Meanwhile
// long work says which of its calls is under way.
func (p *Platform) Dagger(ctx context.Context, out io.Writer, args ...string) error {
	return p.daggerWith(ctx, nil, out, args...)
}

// daggerWith is Dagger with more of an environment.
func (p *Platform) daggerWith(ctx context.Context, env []string, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(p.Launcher.Dirs.CLI(), "dagger"), append([]string{"--progress=plain"}, args...)...)
	cmd.Dir = p.Launcher.Repo
	cmd.Env = slices.Concat(os.Environ(), p.Launcher.Environ(ctx), env)
	// A clean end lets the engine forget the session at once.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var log bytes.Buffer
	steps := plain.New(time.Now)
	defer p.Progress.Follow(steps.Now)()
	cmd.Stdout, cmd.Stderr = out, io.MultiWriter(&log, steps)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("dagger %s: %w\n%s", strings.Join(args, " "), err, log.String())
	}
	return nil
}

// Demo releases the app hello to dev and shows the receipt.
func (p *Platform) Demo(ctx context.Context, out io.Writer) error {
	if err := p.Up(ctx); err != nil {
		return err
	}
	var receipt bytes.Buffer
	err := p.Progress.Do("dagger call deliver --app hello --env dev text", func() error {
		return p.Dagger(ctx, &receipt, "call", "deliver", "--app", "hello", "--env", "dev", "text")
	})
	if err != nil {
		return err
	}
	_, err = receipt.WriteTo(out)
	return err
}
