package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway/step"
)

// goApp is a Go app in the box: its source, which nobody may write to while it is
// compiled, its modules, which were fetched before, and a build cache that nothing
// but the toolchain writes to.
type goApp struct {
	*Supervisor
	stage string
	// proxy is the address of the one that tests ask; empty without a network.
	proxy string

	App    string
	Source string
	Cache  string
	Home   string
	Root   string
	Out    string
}

func (a *goApp) register(flags *flag.FlagSet) {
	flags.StringVar(&a.App, "app", "", "the app's name (required)")
	flags.StringVar(&a.Source, "source", "/src", "folder of the app's source")
	flags.StringVar(&a.Cache, "cache", "/cache", "folder of the build cache")
	flags.StringVar(&a.Home, "home", "/home/app", "folder for what the toolchain keeps of its user")
	flags.StringVar(&a.Root, "goroot", "/usr/local/go", "folder of the toolchain")
	flags.StringVar(&a.Out, "out", "", "folder for result.json and what is made (required)")
}

// prepare makes the box and gives the toolchain's user what it writes to.
func (a *goApp) prepare(limits Limits) (err error) {
	if err := noNetwork(); err != nil {
		return step.Infrastructure(a.stage, "app "+a.App, err.Error(), "use an engine that runs RUN --network=none without a network")
	}
	if a.Supervisor, err = NewSupervisor(limits); err != nil {
		return err
	}
	for _, dir := range []string{a.Cache, a.Home, os.TempDir()} {
		if err := errors.Join(os.MkdirAll(dir, 0o755), own(dir, nobody)); err != nil {
			return err
		}
	}
	// Tests have no business in what the toolchain keeps, not even as readers.
	return errors.Join(os.Chmod(a.Cache, 0o700), os.Chmod(os.TempDir(), 0o777|fs.ModeSticky))
}

// own gives a folder, and what is in it where that is another's, to a user.
func own(dir string, uid int) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != dir && entry.IsDir() {
			if info, err := entry.Info(); err == nil && owner(info) == uid {
				return filepath.SkipDir
			}
		}
		return os.Lchown(path, uid, uid)
	})
}

// environment of the toolchain: nothing is fetched, nothing is compiled by C, and
// nothing that the source says changes it. Of two values of a name, the first counts.
func (a *goApp) environment(first ...string) []string {
	return append(first, []string{
		"PATH=" + a.Root + "/bin", "HOME=" + a.Home, "TMPDIR=" + os.TempDir(),
		"GOROOT=" + a.Root, "GOPATH=/go", "GOCACHE=" + a.Cache, "GOENV=off", "GOTOOLCHAIN=local", "GOTELEMETRY=off",
		"GOPROXY=off", "GOSUMDB=off", "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0", "GOOS=linux",
	}...)
}

// run runs the toolchain and returns what it printed. A hit limit is a fault.
func (a *goApp) run(ctx context.Context, env []string, argv ...string) (stdout, stderr []byte, ok bool, err error) {
	var out, errs bytes.Buffer
	code, err := a.limited(ctx, Command{
		Argv: argv, Dir: a.Source, Env: env, UID: nobody, Writable: []string{a.Cache, a.Home, os.TempDir()}, Stdout: &out, Stderr: &errs,
	})
	return out.Bytes(), errs.Bytes(), code == 0, err
}

// limited runs a command; a hit limit is a fault.
func (a *goApp) limited(ctx context.Context, c Command) (code int, err error) {
	code, hit, err := a.Run(ctx, c)
	if err != nil {
		return 0, err
	}
	if hit != nil {
		return 0, step.Policy(a.stage, "app "+a.App, "hits the limit of "+hit.Limit+": "+hit.Text,
			"make it need less, or raise limits."+hit.Limit+" of slipway.yaml", "while this ran: "+strings.Join(c.Argv, " "))
	}
	return code, nil
}

// goPackage is what go list says of a package.
type goPackage struct {
	ImportPath, Name, Dir     string
	Standard, DepOnly         bool
	CgoFiles                  []string
	TestGoFiles, XTestGoFiles []string
	Error                     *struct{ Err, Pos string }
}

// list asks for packages, with those that they are made of. What can't be found or
// read is the input's fault.
func (a *goApp) list(ctx context.Context, env []string, args ...string) ([]goPackage, error) {
	const fields = "-json=ImportPath,Name,Dir,Standard,DepOnly,CgoFiles,TestGoFiles,XTestGoFiles,Error"
	stdout, stderr, ok, err := a.run(ctx, env, append([]string{"go", "list", "-e", fields}, args...)...)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, a.notGo(stderr)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(stdout)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("read what go list says: %w", err)
		}
		if p.Error != nil {
			return nil, a.notGo([]byte(strings.TrimSpace(p.Error.Pos + " " + p.Error.Err)))
		}
		packages = append(packages, p)
	}
}

// notGo is the fault of a source that the toolchain can't load.
func (a *goApp) notGo(said []byte) error {
	lines := tail(said, 20)
	reason, mend := "can't be loaded by the Go toolchain", "see that go build ./... works in a fresh clone of the app's folder, with GOFLAGS=-mod=readonly"
	for _, known := range []struct{ text, reason, mend string }{
		{"missing go.sum entry", "lacks lines of go.sum", "run go mod tidy in the app's folder, and commit go.sum"},
		{"updates to go.mod needed", "has a go.mod that is not up to date", "run go mod tidy in the app's folder, and commit go.mod and go.sum"},
		{"inconsistent vendoring", "has a vendor folder that does not fit its go.mod", "run go mod vendor in the app's folder, and commit what it changes"},
		{"no required module provides package", "imports a package of a module that go.mod doesn't name", "run go mod tidy in the app's folder, and commit go.mod and go.sum"},
		{"module lookup disabled by GOPROXY=off", "needs a module that go.mod and go.sum don't name", "run go mod tidy in the app's folder, and commit go.mod and go.sum"},
		{"go.mod requires go >=", "wants a newer Go toolchain", "lower the go line of its go.mod, or the platform has to take a newer toolchain"},
		{"go.mod file not found", "is no Go module", "commit a go.mod in the app's folder"},
	} {
		if bytes.Contains(said, []byte(known.text)) {
			reason, mend = known.reason, known.mend
			break
		}
	}
	return step.Input(a.stage, "app "+a.App, reason, mend, lines...)
}

// tail returns the last lines of what a tool said, without the empty ones.
func tail(said []byte, most int) []string {
	var lines []string
	for line := range strings.Lines(string(said)) {
		if line = strings.TrimRight(line, "\r\n\t "); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-most):]
}
