package engine

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Builder builds the parts of an engine, each once.
type Builder struct {
	Repo     string
	Dirs     Dirs
	Progress *Progress
}

const (
	daggerModule = "github.com/dagger/dagger"
	tempPrefix   = ".unfinished-"
)

// helpers are the engine's static programs, by the name of their command: they
// run inside scratch containers and other roots.
var helpers = []string{"codegen", "dialstdio", "dnsname", "init"}

// buildArgs returns the arguments of go that build Dagger's commands into the
// folder out. The version is linked in because client and engine compare it.
// With Go's own resolver and user database the helpers are static although the
// engine needs cgo, and all commands share every compiled package.
func buildArgs(out string, commands ...string) []string {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-mod=readonly",
		"-tags", "dfexcludepatterns,dfparents,netgo,osusergo",
		"-ldflags", fmt.Sprintf("-s -w -X %[1]s/engine.Version=%[2]s -X %[1]s/engine.Tag=%[2]s", daggerModule, DaggerVersion),
		"-o", out + string(filepath.Separator)}
	for _, command := range commands {
		args = append(args, daggerModule+"/cmd/"+command)
	}
	return args
}

// CLI builds the dagger command.
func (b *Builder) CLI(ctx context.Context) error {
	return b.part("compile the dagger CLI", b.Dirs.CLI(), func(temp string) error {
		return b.compile(ctx, temp, "dagger")
	})
}

// Programs builds the engine and its helpers.
func (b *Builder) Programs(ctx context.Context) error {
	return b.part("compile the engine", b.Dirs.Programs(), func(temp string) error {
		if err := b.compile(ctx, temp, append([]string{"engine"}, helpers...)...); err != nil {
			return err
		}
		for _, helper := range helpers {
			if err := static(filepath.Join(temp, helper)); err != nil {
				return err
			}
		}
		return nil
	})
}

// All builds everything that a native engine needs.
func (b *Builder) All(ctx context.Context) error {
	return b.alone(ctx, func() error {
		// The SDK image compiles another set of packages than the engine does;
		// side by side they keep every processor busy to the end.
		sdk := make(chan error, 1)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() { sdk <- b.seedSDK(ctx) }()
		err := b.Programs(ctx)
		if err == nil {
			err = b.CLI(ctx)
		}
		if err != nil {
			cancel()
			return errors.Join(err, ignoreCancelled(<-sdk))
		}
		if err := <-sdk; err != nil {
			return err
		}
		return b.SDK(ctx)
	})
}

// OnlyCLI builds what another engine than the native one needs.
func (b *Builder) OnlyCLI(ctx context.Context) error {
	return b.alone(ctx, func() error { return b.CLI(ctx) })
}

// alone runs build while no other one runs, after what killed ones have left.
func (b *Builder) alone(ctx context.Context, build func() error) error {
	if err := os.MkdirAll(b.Dirs.Cache, 0o755); err != nil {
		return err
	}
	waiting := func() { b.Progress.Say("another build is running: waiting for it") }
	return exclusive(ctx, filepath.Join(b.Dirs.Cache, "build.lock"), waiting, func() error {
		if err := b.removeUnfinished(); err != nil {
			return err
		}
		return build()
	})
}

func ignoreCancelled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Built says whether a native engine has all its parts.
func (d Dirs) Built() bool {
	for _, dir := range []string{d.CLI(), d.Programs(), d.SDK()} {
		if !exists(dir) {
			return false
		}
	}
	return true
}

// part makes one folder, unless it is there. The folder gets its name only
// when it is complete, so that an interrupted build is never taken for a
// finished one.
func (b *Builder) part(what, dir string, build func(temp string) error) error {
	if exists(dir) {
		return nil
	}
	return b.Progress.Do(what, func() error {
		temp, err := os.MkdirTemp(b.Dirs.Cache, tempPrefix)
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		if err := os.Chmod(temp, 0o755); err != nil {
			return err
		}
		if err := build(temp); err != nil {
			return err
		}
		return os.Rename(temp, dir)
	})
}

// removeUnfinished removes what builds left that were killed.
func (b *Builder) removeUnfinished() error {
	left, err := filepath.Glob(filepath.Join(b.Dirs.Cache, tempPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

func (b *Builder) compile(ctx context.Context, out string, commands ...string) error {
	cmd := command(ctx, "go", buildArgs(out, commands...)...)
	cmd.Dir = filepath.Join(b.Repo, "engine", "dist")
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=1")
	return run(cmd)
}

// static refuses a program that asks for a dynamic loader.
func static(program string) error {
	file, err := elf.Open(program)
	if err != nil {
		return fmt.Errorf("read %s: %w", filepath.Base(program), err)
	}
	defer file.Close()
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is not a static program: it can't run in a scratch container", filepath.Base(program))
		}
	}
	return nil
}

// downloaded is what go mod download -json reports.
type downloaded struct{ Dir, Sum, Error string }

// downloadToolchain returns the folder of the pinned toolchain in the module
// cache.
func downloadToolchain(ctx context.Context) (string, error) {
	cmd := command(ctx, "go", "mod", "download", "-json", toolchain)
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, runErr := cmd.Output()
	return toolchainDir(out, runErr, stderr.String())
}

// toolchainDir reads the answer of go mod download and holds its sum against
// the pinned one.
func toolchainDir(out []byte, runErr error, stderr string) (string, error) {
	var got downloaded
	if err := json.Unmarshal(out, &got); err != nil || got.Error != "" || runErr != nil {
		return "", fmt.Errorf("download %s: %s", toolchain, strings.TrimSpace(got.Error+" "+stderr))
	}
	if got.Sum != toolchainSum {
		return "", fmt.Errorf("%s has the sum %s, not the pinned %s: refused", toolchain, got.Sum, toolchainSum)
	}
	return got.Dir, nil
}

// command is exec.CommandContext in a process group of its own: when ctx ends
// the whole group is asked to end, and killed if it doesn't.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// run runs a command; its error holds the end of what it printed.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, lastLines(string(out), 30))
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
