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
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"slipway/engine"
)

// optional are packages that only some of the tests need.
var optional = []engine.Package{
	// It makes base images of Debian's packages.
	{Name: "mmdebstrap", Paths: []string{"/usr/bin/mmdebstrap"}},
	// It says which registry this machine takes its packages from.
	{Name: "npm", Paths: []string{"/usr/bin/npm"}},
	// It reads outputs in the commands of docs/azure.md.
	{Name: "jq", Paths: []string{"/usr/bin/jq"}},
	// It shows the receipt's page in its test.
	{Name: "chromium", Paths: []string{"/usr/bin/chromium"}},
}

// tools are those of the optional packages that are wanted.
type tools struct{ wanted []engine.Package }

// Flags declares the flag of the verb.
func (t *tools) Flags(flags *flag.FlagSet) {
	flags.Func("with", "a package that some tests need, too; repeatable", func(name string) error {
		i := slices.IndexFunc(optional, func(p engine.Package) bool { return p.Name == name })
		if i < 0 {
			return errors.New("no test needs it")
		}
		t.wanted = append(t.wanted, optional[i])
		return nil
	})
}

// install installs what is wanted, unless its program is there in another way.
func (t *tools) install(ctx context.Context, progress *engine.Progress) error {
	return engine.Install(ctx, progress, slices.DeleteFunc(slices.Clone(t.wanted), func(p engine.Package) bool {
		_, err := exec.LookPath(p.Name)
		return err == nil
	}))
}

// clusterModules are tested with the cluster, in the engine, which has compiled
// what they stand on: that takes minutes, and nothing else needs it.
var clusterModules = []string{"modules/gitops/argocd", "modules/sandbox/node"}

// slowModules stand on what takes minutes to compile, and nothing else needs it.
var slowModules = []string{"modules/sign/kms"}

// toolModules hold only pins of tools or imports: the seed's warm the Go SDK image's
// caches, CoreDNS's are its plugins. They hold no code of ours that could be tested.
var toolModules = []string{"engine/dist", "engine/seed", "modules/gitops/helm", "modules/infra/tofu", "modules/sandbox/coredns", "modules/scan/trivy", "modules/sign/cosign", "tools/act", "tools/golangci-lint"}

// testUnit vets and tests what needs no engine.
func testUnit(ctx context.Context, repo string, progress *engine.Progress) error {
	return everyModule(ctx, repo, progress, func(folder string) bool {
		return !slices.Contains(clusterModules, folder) && !slices.Contains(slowModules, folder)
	}, func(dir string, packages []string, out io.Writer) error {
		if err := goRun(ctx, dir, out, append([]string{"vet"}, packages...)...); err != nil {
			return err
		}
		// The whole of vet has just run; test's own would look at every
		// dependency a second time.
		return goRun(ctx, dir, out, append([]string{"test", "-vet=off"}, packages...)...)
	})
}

// everyModule runs work in every wanted Go module of the checkout, two at a time: the
// tests of one wait for processes and servers while another compiles. What
// work writes is shown once it has ended. The main packages of Dagger modules
// need generated code and are left to the engine.
func everyModule(ctx context.Context, repo string, progress *engine.Progress, wanted func(folder string) bool, work func(dir string, packages []string, out io.Writer) error) error {
	list, err := gitFiles(ctx, repo, "*go.mod")
	if err != nil {
		return fmt.Errorf("list the Go modules: %w", err)
	}
	var (
		group  errgroup.Group
		mu     sync.Mutex
		passed int
		failed []string
	)
	group.SetLimit(2)
	for _, file := range list {
		folder := filepath.Dir(file)
		if slices.Contains(toolModules, folder) || strings.HasPrefix(folder, "engine/dist/") || strings.HasPrefix(folder, "modules/sandbox/pins/") || !wanted(folder) {
			continue
		}
		group.Go(func() error {
			packages, err := testable(ctx, repo, folder)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil || len(packages) == 0 {
				return err
			}
			var out bytes.Buffer
			err = progress.Do(folder, func() error { return work(filepath.Join(repo, folder), packages, &out) })
			mu.Lock()
			defer mu.Unlock()
			fmt.Printf("== %s\n%s", folder, out.String())
			if err != nil {
				failed = append(failed, folder)
			} else {
				passed++
			}
			return nil
		})
	}
	if err := errors.Join(group.Wait(), ctx.Err()); err != nil {
		return err
	}
	fmt.Printf("%d passed, %d failed\n", passed, len(failed))
	if len(failed) > 0 {
		slices.Sort(failed)
		return fmt.Errorf("failed Go modules: %s", strings.Join(failed, ", "))
	}
	return nil
}

// testable lists the packages of a Go module that need no generated code.
func testable(ctx context.Context, repo, folder string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-e", "-f", "{{.Dir}}", "./...")
	cmd.Dir = filepath.Join(repo, folder)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages of %s: %w", folder, err)
	}
	_, statErr := os.Stat(filepath.Join(repo, folder, "dagger.json"))
	generated := statErr == nil || folder == "ci"
	var packages []string
	for _, dir := range strings.Fields(string(out)) {
		rel, err := filepath.Rel(cmd.Dir, dir)
		if err != nil {
			return nil, err
		}
		if generated && (rel == "." || rel == "internal" || strings.HasPrefix(rel, "internal"+string(filepath.Separator))) && folder != "." {
			continue
		}
		packages = append(packages, "./"+filepath.ToSlash(rel))
	}
	return packages, nil
}

// goRun runs the go command; both of its outputs go to out.
func goRun(ctx context.Context, dir string, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	return cmd.Run()
}

// every wants all modules.
func every(string) bool { return true }
