package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"slipway/step"
	"slipway/step/result/build"
)

// goTest parses the arguments of go-test.
func goTest(args []string) (func(context.Context) (any, error), string, error) {
	var limits Limits
	a := &goApp{stage: "test"}
	flags := flag.NewFlagSet("box go-test", flag.ContinueOnError)
	limits.register(flags)
	a.register(flags)
	network := flags.String("network", "", "folder of the socket of the gateway that tests find as their HTTP proxy")
	if err := flags.Parse(args); err != nil {
		return nil, "", err
	}
	if a.App == "" || a.Out == "" || flags.NArg() > 0 {
		return nil, "", errors.New("go-test needs --app and --out, and takes no argument")
	}
	return func(ctx context.Context) (any, error) {
		if err := a.prepare(limits); err != nil {
			return nil, err
		}
		if *network != "" {
			address, err := serveNetwork(*network)
			if err != nil {
				return nil, step.Infrastructure(a.stage, "app "+a.App, err.Error(), "use an engine of the version that slipway names, or take test.network out of app.yaml")
			}
			a.proxy = address
		}
		return a.test(ctx)
	}, a.Out, nil
}

// test vets and tests a Go app. The tests are compiled by the toolchain's user, into
// a cache that only it writes to, and run by another, who can change nothing but a
// copy of the source: what an app's tests leave behind changes no later result.
func (a *goApp) test(ctx context.Context) (*build.Tests, error) {
	result := &build.Tests{Started: time.Now().UTC()}
	found, err := a.list(ctx, a.environment(), "work")
	if err != nil {
		return nil, err
	}
	_, stderr, ok, err := a.run(ctx, a.environment(), "go", "vet", "work")
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, step.Policy(a.stage, "app "+a.App, "go vet finds fault with it", "mend it: go vet ./... in the app's folder says the same", tail(stderr, 40)...)
	}
	tested, err := a.compileTests(ctx, found)
	if err != nil {
		return nil, err
	}
	converter, err := a.converter(ctx)
	if err != nil {
		return nil, err
	}
	// A user id of its own lets the kernel count the tests' processes.
	uid := 1<<20 + int(rand.Uint32N(1<<29))
	scratch := filepath.Join(os.TempDir(), "tests")
	if err := os.Mkdir(scratch, 0o755); err != nil {
		return nil, err
	}
	for _, dir := range []string{a.Source, scratch} {
		if err := own(dir, uid); err != nil {
			return nil, err
		}
	}
	var failures []string
	for _, t := range tested {
		counts, lines, err := a.testPackage(ctx, t, uid, scratch, converter)
		if err != nil {
			return nil, err
		}
		result.Packages = append(result.Packages, build.TestPackage{Name: t.ImportPath, Counts: counts})
		result.Add(counts)
		failures = append(failures, lines...)
	}
	if len(failures) > 0 {
		return nil, step.Policy(a.stage, "app "+a.App, "its own tests fail", "mend them: go test ./... in the app's folder says the same", failures[:min(len(failures), 60)]...)
	}
	if result.Passed == 0 {
		reason := "has no test that ran"
		if result.Skipped > 0 {
			reason = fmt.Sprintf("has no test that ran: each of its %d skips itself", result.Skipped)
		}
		return nil, step.Policy(a.stage, "app "+a.App, reason, "write a test of what it does, which runs without a network")
	}
	return result, nil
}

// testBinary is a package's compiled test.
type testBinary struct {
	goPackage
	file string
}

// compileTests compiles the tests of packages; those without are left out. The
// toolchain names a test after the last part of its package's path, so packages
// that share it are compiled in several rounds.
func (a *goApp) compileTests(ctx context.Context, found []goPackage) ([]testBinary, error) {
	var all []testBinary
	rounds := []map[string]testBinary{}
	for _, p := range found {
		if len(p.TestGoFiles)+len(p.XTestGoFiles) == 0 {
			continue
		}
		base, round := path.Base(p.ImportPath), 0
		for round < len(rounds) && rounds[round][base].file != "" {
			round++
		}
		if round == len(rounds) {
			rounds = append(rounds, map[string]testBinary{})
		}
		t := testBinary{goPackage: p, file: filepath.Join(a.Home, "tests", fmt.Sprint(round), base+".test")}
		rounds[round][base] = t
		all = append(all, t)
	}
	for i, round := range rounds {
		dir := filepath.Join(a.Home, "tests", fmt.Sprint(i)) + string(filepath.Separator)
		if err := errors.Join(os.MkdirAll(dir, 0o755), own(filepath.Join(a.Home, "tests"), nobody), own(dir, nobody)); err != nil {
			return nil, err
		}
		argv := []string{"go", "test", "-c", "-o", dir}
		for _, t := range all {
			if round[path.Base(t.ImportPath)].ImportPath == t.ImportPath {
				argv = append(argv, t.ImportPath)
			}
		}
		_, stderr, ok, err := a.run(ctx, a.environment(), argv...)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, step.Policy(a.stage, "app "+a.App, "its own tests don't compile", "mend them: go vet ./... in the app's folder says the same", tail(stderr, 40)...)
		}
	}
	return all, nil
}

// converter is the path of the toolchain's program that reads what tests print.
func (a *goApp) converter(ctx context.Context) (string, error) {
	stdout, stderr, ok, err := a.run(ctx, a.environment(), "go", "tool", "-n", "test2json")
	if err != nil {
		return "", err
	}
	if file := strings.TrimSpace(string(stdout)); ok && filepath.IsAbs(file) {
		return file, nil
	}
	return "", fmt.Errorf("go tool -n test2json names no program: %s%s", stdout, stderr)
}

// testPackage runs one package's tests and returns how they went, with what the
// failing ones printed.
func (a *goApp) testPackage(ctx context.Context, t testBinary, uid int, scratch, converter string) (counts build.Counts, failures []string, err error) {
	printed, err := os.CreateTemp(a.Home, "printed-")
	if err != nil {
		return counts, nil, err
	}
	defer func() { err = errors.Join(err, printed.Close(), os.Remove(printed.Name())) }()
	env := []string{
		"PATH=" + a.Root + "/bin", "HOME=" + scratch, "TMPDIR=" + scratch, "GOROOT=" + a.Root, "USER=app", "PWD=" + t.Dir,
		"GOPROXY=off", "GOFLAGS=-buildvcs=false", "GOTOOLCHAIN=local", "CGO_ENABLED=0",
	}
	if a.proxy != "" {
		env = networkEnv(env, a.proxy)
	}
	code, err := a.limited(ctx, Command{
		Argv: []string{t.file, "-test.v=test2json", "-test.paniconexit0", "-test.timeout=0"},
		Dir:  t.Dir, Env: env, UID: uid, Alone: true, Writable: []string{a.Source, scratch}, Stdout: printed, Stderr: printed,
	})
	if err != nil {
		return counts, nil, err
	}
	if _, err := printed.Seek(0, io.SeekStart); err != nil {
		return counts, nil, err
	}
	var events, said bytes.Buffer
	converted, err := a.limited(ctx, Command{
		Argv: []string{converter, "-p", t.ImportPath}, Dir: a.Home, Env: a.environment(), UID: nobody, Stdin: printed,
		Stdout: &events, Stderr: &said,
	})
	if err != nil {
		return counts, nil, err
	}
	if converted != 0 {
		return counts, nil, fmt.Errorf("test2json ends with %d: %s", converted, said.Bytes())
	}
	counts, failures, err = readEvents(&events)
	if err != nil {
		return counts, nil, err
	}
	if code != 0 && counts.Failed == 0 {
		// It ended before any test could say that it failed.
		counts.Failed = 1
	}
	if code == 0 && counts.Failed == 0 {
		return counts, nil, nil
	}
	return counts, append([]string{fmt.Sprintf("%s: exit code %d, %d passed, %d failed, %d skipped", t.ImportPath, code, counts.Passed, counts.Failed, counts.Skipped)}, failures...), nil
}

// readEvents reads what test2json says of a package's tests, and returns how they
// went and what the failing ones printed last; all of it where none says that it
// failed.
func readEvents(events io.Reader) (counts build.Counts, failures []string, err error) {
	output := map[string][]string{}
	var failed []string
	lines := bufio.NewReader(events)
	for {
		line, readErr := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var event struct{ Action, Test, Output string }
			if err := json.Unmarshal(line, &event); err != nil {
				return counts, nil, fmt.Errorf("read what test2json says: %w", err)
			}
			top, _, sub := strings.Cut(event.Test, "/")
			switch event.Action {
			case "output":
				for _, key := range []string{top, ""} {
					output[key] = append(output[key], event.Output)
					output[key] = output[key][max(0, len(output[key])-400):]
					if key == top && top == "" {
						break
					}
				}
			case "pass", "fail", "skip":
				if event.Test == "" || sub {
					break
				}
				switch event.Action {
				case "pass":
					counts.Passed++
				case "fail":
					counts.Failed++
					failed = append(failed, top)
				case "skip":
					counts.Skipped++
				}
			}
		}
		if errors.Is(readErr, io.EOF) {
			break
		}
		if readErr != nil {
			return counts, nil, readErr
		}
	}
	for _, test := range failed {
		failures = append(failures, tail([]byte(strings.Join(output[test], "")), 20)...)
	}
	if len(failed) == 0 {
		failures = tail([]byte(strings.Join(output[""], "")), 20)
	}
	return counts, failures, nil
}
