package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway/engine"
)

// fuzzWorkers is how many processes try inputs of a target at once.
const fuzzWorkers = 2

// fuzzing runs the fuzz targets of the checkout.
type fuzzing struct {
	// Time is how long each target runs, as -fuzztime of go test takes it: a
	// duration, or a number of inputs such as 1000x.
	Time string
	// Run says which targets: those whose folder:name matches.
	Run string
}

// Flags declares the flags of the verb.
func (z *fuzzing) Flags(flags *flag.FlagSet) {
	flags.StringVar(&z.Time, "time", "2s", "how long each target runs: a duration, or a number of inputs such as 1000x")
	flags.StringVar(&z.Run, "run", "", "run only the targets whose folder:name matches this expression")
}

var targetName = regexp.MustCompile(`\AFuzz\w*\z`)

var inputs = regexp.MustCompile(`\A[1-9][0-9]{0,11}x\z`)

func (z *fuzzing) check() (*regexp.Regexp, error) {
	if d, err := time.ParseDuration(z.Time); (err != nil || d <= 0) && !inputs.MatchString(z.Time) {
		return nil, fmt.Errorf("--time %q is neither a duration such as 5m nor a number of inputs such as 1000x", z.Time)
	}
	wanted, err := regexp.Compile(z.Run)
	if err != nil {
		return nil, fmt.Errorf("--run: %w", err)
	}
	return wanted, nil
}

// run compiles the tests of every package with fuzz targets, and runs one target
// after the other. What an input breaks is kept below the package's
// testdata/fuzz, where every later test run tries it again.
func (z *fuzzing) run(ctx context.Context, repo string, progress *engine.Progress, out io.Writer) error {
	wanted, err := z.check()
	if err != nil {
		return err
	}
	folders, err := fuzzFolders(ctx, repo, wanted)
	if err != nil {
		return err
	}
	if len(folders) == 0 {
		return errors.New("no fuzz target was found")
	}
	bin, err := os.MkdirTemp("", "slipway-fuzz-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	err = progress.Do(fmt.Sprintf("compile the fuzz targets of %d packages", len(folders)), func() error {
		var group errgroup.Group
		group.SetLimit(2)
		for i, folder := range folders {
			group.Go(func() error { return compileFuzz(ctx, repo, folder, binary(bin, i)) })
		}
		return errors.Join(group.Wait(), ctx.Err())
	})
	if err != nil {
		return err
	}
	count := 0
	var failed []string
	for i, folder := range folders {
		list := exec.CommandContext(ctx, binary(bin, i), "-test.list=^Fuzz")
		list.Dir = filepath.Join(repo, folder)
		said, err := list.CombinedOutput()
		if err != nil {
			return fmt.Errorf("list the fuzz targets of %s: %w\n%s", folder, err, said)
		}
		// A TestMain may say something as well.
		for _, target := range slices.Sorted(strings.Lines(string(said))) {
			target = strings.TrimSpace(target)
			name := folder + ":" + target
			if !targetName.MatchString(target) || !wanted.MatchString(name) {
				continue
			}
			count++
			cmd := exec.CommandContext(ctx, binary(bin, i), fuzzArgs(target, z.Time, filepath.Join(repo, ".slipway", "fuzz", folder))...)
			cmd.Dir = filepath.Join(repo, folder)
			// Interrupted, it still keeps what it has found.
			cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
			cmd.WaitDelay = 10 * time.Second
			said, err := cmd.CombinedOutput()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			result := readFuzz(said, err)
			fmt.Fprintln(out, result.line(name))
			if result.failed {
				failed = append(failed, name)
				fmt.Fprint(out, result.mend(folder, target))
			}
		}
	}
	if count == 0 {
		return errors.New("no fuzz target was found")
	}
	fmt.Fprintf(out, "%d fuzz targets, %d failed\n", count, len(failed))
	if len(failed) > 0 {
		return fmt.Errorf("failed fuzz targets: %s", strings.Join(failed, ", "))
	}
	return nil
}

func binary(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("%d.test", i)) }

// compileFuzz makes the test binary of a package. Only code of this repository is
// instrumented: its dependencies stay as every other build has them in its cache.
func compileFuzz(ctx context.Context, repo, folder, binary string) error {
	var said bytes.Buffer
	if err := goRun(ctx, filepath.Join(repo, folder), &said, compileArgs(runtime.GOARCH, binary)...); err != nil {
		return fmt.Errorf("compile the tests of %s: %w\n%s", folder, err, said.String())
	}
	return nil
}

func compileArgs(architecture, binary string) []string {
	args := []string{"test", "-c", "-vet=off", "-o", binary}
	if architecture == "amd64" || architecture == "arm64" {
		args = append(args, "-gcflags=slipway/...=-d=libfuzzer")
	}
	return append(args, ".")
}

func fuzzArgs(target, limit, corpus string) []string {
	return []string{
		"-test.run=^$", "-test.fuzz=^" + target + "$", "-test.fuzztime=" + limit, "-test.fuzzminimizetime=5s",
		"-test.fuzzcachedir=" + corpus, fmt.Sprintf("-test.parallel=%d", fuzzWorkers), "-test.timeout=0",
	}
}

// fuzzResult is how the run of one target ended.
type fuzzResult struct {
	failed bool
	// executions and fresh are how many inputs were tried, and how many of
	// them reached new code.
	executions, fresh string
	// input is the file of the input that failed, from the package's folder;
	// empty when it is none of the run's own.
	input string
	said  string
}

var (
	fuzzProgress = regexp.MustCompile(`execs: (\d+) .*new interesting: (\d+)`)
	fuzzInput    = regexp.MustCompile(`Failing input written to (\S+)`)
)

// readFuzz reads what a test binary said while it was fuzzing; err is how it
// ended.
func readFuzz(said []byte, err error) fuzzResult {
	r := fuzzResult{failed: err != nil, executions: "0", fresh: "0", said: string(said)}
	if all := fuzzProgress.FindAllSubmatch(said, -1); len(all) > 0 {
		last := all[len(all)-1]
		r.executions, r.fresh = string(last[1]), string(last[2])
	}
	if found := fuzzInput.FindSubmatch(said); found != nil {
		r.input = string(found[1])
	}
	// The end of -fuzztime, when it comes between two steps of package testing.
	deadline := bytes.Contains(said, []byte("context deadline exceeded")) && !bytes.Contains(said, []byte("panic:"))
	if r.failed && r.input == "" && r.executions != "0" && deadline {
		r.failed = false
	}
	return r
}

func (r fuzzResult) line(name string) string {
	state := "ok    "
	if r.failed {
		state = "FAILED"
	}
	return fmt.Sprintf("%s %s: %s executions, %s new inputs", state, name, r.executions, r.fresh)
}

// mend says what a failed target said, where its input is, and how it is run
// again.
func (r fuzzResult) mend(folder, target string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(r.said)) {
		b.WriteString("    " + strings.TrimRight(line, "\n") + "\n")
	}
	again := "^" + target + "$"
	if r.input != "" {
		fmt.Fprintf(&b, "  input kept: %s\n", path.Join(folder, filepath.ToSlash(r.input)))
		again += "/^" + path.Base(filepath.ToSlash(r.input)) + "$"
	}
	fmt.Fprintf(&b, "  run again:  go -C %s test -run '%s' .\n", folder, again)
	return b.String()
}

// fuzzFolders are the packages whose tests may hold wanted fuzz targets, but for those
// that only the engine compiles: which targets there are, a package's test binary
// knows.
func fuzzFolders(ctx context.Context, repo string, wanted *regexp.Regexp) ([]string, error) {
	out, err := exec.CommandContext(ctx, "git", "-C", repo, "grep", "--untracked", "-zoE", "^func Fuzz[^(]*",
		"--", "*_test.go", ":(exclude,glob)**/testdata/**").Output()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() == 1 {
		return nil, nil // nothing is found
	}
	if err != nil {
		return nil, fmt.Errorf("look for fuzz targets: %w", err)
	}
	var folders []string
	for line := range strings.Lines(string(out)) {
		file, function, _ := strings.Cut(strings.TrimSpace(line), "\x00")
		folder := path.Dir(file)
		engines := slices.ContainsFunc(clusterModules, func(module string) bool { return strings.HasPrefix(folder+"/", module+"/") })
		if !engines && wanted.MatchString(folder+":"+strings.TrimPrefix(function, "func ")) {
			folders = append(folders, folder)
		}
	}
	slices.Sort(folders)
	return slices.Compact(folders), nil
}
