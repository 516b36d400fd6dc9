package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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

// fuzzPackage is a package with fuzz targets.
type fuzzPackage struct {
	// module is the folder of its Go module, folder its own; both from the
	// checkout's root, with slashes.
	module, folder string
	targets        []string
}

// run compiles the tests of every package with fuzz targets, and runs one target
// after the other. What an input breaks is kept below the package's
// testdata/fuzz, where every later test run tries it again.
func (z *fuzzing) run(ctx context.Context, repo string, progress *engine.Progress, out io.Writer) error {
	wanted, err := z.check()
	if err != nil {
		return err
	}
	packages, err := fuzzPackages(ctx, repo, wanted)
	if err != nil {
		return err
	}
	if len(packages) == 0 {
		return errors.New("no fuzz target was found")
	}
	bin, err := os.MkdirTemp("", "slipway-fuzz-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	err = progress.Do(fmt.Sprintf("compile the fuzz targets of %d packages", len(packages)), func() error {
		var group errgroup.Group
		group.SetLimit(2)
		for i, p := range packages {
			group.Go(func() error { return p.compile(ctx, repo, binary(bin, i)) })
		}
		return errors.Join(group.Wait(), ctx.Err())
	})
	if err != nil {
		return err
	}
	count := 0
	var failed []string
	for i, p := range packages {
		for _, target := range p.targets {
			count++
			cmd := exec.CommandContext(ctx, binary(bin, i), fuzzArgs(target, z.Time, filepath.Join(repo, ".slipway", "fuzz", filepath.FromSlash(p.folder)))...)
			cmd.Dir = filepath.Join(repo, filepath.FromSlash(p.folder))
			// Interrupted, it still keeps what it has found.
			cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
			cmd.WaitDelay = 10 * time.Second
			said, err := cmd.CombinedOutput()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			result := readFuzz(said, err)
			fmt.Fprintln(out, result.line(p.folder+":"+target))
			if result.failed {
				failed = append(failed, p.folder+":"+target)
				fmt.Fprint(out, p.mend(target, result))
			}
		}
	}
	fmt.Fprintf(out, "%d fuzz targets, %d failed\n", count, len(failed))
	if len(failed) > 0 {
		return fmt.Errorf("failed fuzz targets: %s", strings.Join(failed, ", "))
	}
	return nil
}

func binary(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("%d.test", i)) }

// compile makes the package's test binary. Only code of this repository is
// instrumented: its dependencies stay as every other build has them in its cache.
func (p fuzzPackage) compile(ctx context.Context, repo, binary string) error {
	dir := filepath.Join(repo, filepath.FromSlash(p.module))
	rel, err := filepath.Rel(filepath.FromSlash(p.module), filepath.FromSlash(p.folder))
	if err != nil {
		return err
	}
	var said bytes.Buffer
	if err := goRun(ctx, dir, &said, compileArgs(runtime.GOARCH, binary, filepath.ToSlash(rel))...); err != nil {
		return fmt.Errorf("compile the tests of %s: %w\n%s", p.folder, err, said.String())
	}
	return nil
}

func compileArgs(architecture, binary, folder string) []string {
	args := []string{"test", "-c", "-vet=off", "-o", binary}
	if architecture == "amd64" || architecture == "arm64" {
		args = append(args, "-gcflags=slipway/...=-d=libfuzzer")
	}
	return append(args, "./"+folder)
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
func (p fuzzPackage) mend(target string, r fuzzResult) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(r.said)) {
		b.WriteString("    " + strings.TrimRight(line, "\n") + "\n")
	}
	again := "^" + target + "$"
	if r.input != "" {
		fmt.Fprintf(&b, "  input kept: %s\n", path.Join(p.folder, filepath.ToSlash(r.input)))
		again += "/^" + path.Base(filepath.ToSlash(r.input)) + "$"
	}
	rel, err := filepath.Rel(filepath.FromSlash(p.module), filepath.FromSlash(p.folder))
	if err != nil {
		rel = "."
	}
	fmt.Fprintf(&b, "  run again:  go -C %s test -run '%s' ./%s\n", p.module, again, filepath.ToSlash(rel))
	return b.String()
}

// fuzzPackages finds the fuzz targets of every Go module of the checkout, but for
// those that only the engine compiles.
func fuzzPackages(ctx context.Context, repo string, wanted *regexp.Regexp) ([]fuzzPackage, error) {
	mods, err := gitFiles(ctx, repo, "*go.mod")
	if err != nil {
		return nil, fmt.Errorf("list the Go modules: %w", err)
	}
	files, err := gitFiles(ctx, repo, "*_test.go")
	if err != nil {
		return nil, fmt.Errorf("list the tests: %w", err)
	}
	found := map[string]*fuzzPackage{}
	for _, file := range files {
		folder := path.Dir(file)
		module, ok := moduleOf(mods, folder)
		if !ok || slices.Contains(clusterModules, module) || slices.ContainsFunc(strings.Split(folder, "/"), ignored) {
			continue
		}
		targets, err := targetsIn(filepath.Join(repo, filepath.FromSlash(file)))
		if err != nil {
			return nil, err
		}
		for _, target := range targets {
			if !wanted.MatchString(folder + ":" + target) {
				continue
			}
			if found[folder] == nil {
				found[folder] = &fuzzPackage{module: module, folder: folder}
			}
			found[folder].targets = append(found[folder].targets, target)
		}
	}
	var packages []fuzzPackage
	for _, p := range found {
		slices.Sort(p.targets)
		packages = append(packages, *p)
	}
	slices.SortFunc(packages, func(a, b fuzzPackage) int { return strings.Compare(a.folder, b.folder) })
	return packages, nil
}

// moduleOf is the folder of the Go module that a folder belongs to.
func moduleOf(mods []string, folder string) (string, bool) {
	for at := folder; ; at = path.Dir(at) {
		if slices.Contains(mods, path.Join(at, "go.mod")) {
			return at, true
		}
		if at == "." {
			return "", false
		}
	}
}

// ignored says whether the go command leaves a folder out.
func ignored(name string) bool {
	return name == "testdata" || name != "." && (name[0] == '.' || name[0] == '_')
}

// targetsIn lists the fuzz targets of a file that this machine compiles.
func targetsIn(file string) ([]string, error) {
	if ok, err := build.Default.MatchFile(filepath.Dir(file), filepath.Base(file)); err != nil || !ok {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // deleted, but not yet in Git's index
		}
		return nil, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("look for fuzz targets: %w", err)
	}
	var targets []string
	for _, declaration := range parsed.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Recv != nil {
			continue
		}
		rest, ok := strings.CutPrefix(function.Name.Name, "Fuzz")
		if first, _ := utf8.DecodeRuneInString(rest); ok && !unicode.IsLower(first) {
			targets = append(targets, function.Name.Name)
		}
	}
	return targets, nil
}
