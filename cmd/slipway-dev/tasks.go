package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"slipway/embedded"
	"slipway/engine"
)

// task runs a verb about the checkout as a whole; ok is false for another verb.
func task(ctx context.Context, platform *embedded.Platform, verb string) (ok bool, err error) {
	launcher, progress := platform.Launcher, platform.Progress
	switch verb {
	case "up":
		return true, platform.Up(ctx)
	case "down":
		return true, platform.Down(ctx)
	case "demo":
		return true, platform.Demo(ctx, os.Stdout)
	case "demo cluster":
		return true, platform.DemoCluster(ctx, os.Stdout)
	case "cluster build":
		return true, platform.ClusterBuild(ctx)
	case "cluster up":
		return true, platform.ClusterUp(ctx, os.Stdout)
	case "cluster keep":
		return true, platform.ClusterKeep(ctx, os.Stdout)
	case "cluster down":
		return true, platform.ClusterDown(ctx)
	case "cluster status":
		return true, platform.ClusterStatus(ctx, os.Stdout)
	case "cluster reset":
		return true, platform.ClusterReset(ctx)
	case "environ":
		for _, line := range launcher.Environ(ctx) {
			fmt.Println(line)
		}
		return true, nil
	case "check":
		return true, check(ctx, launcher.Repo, progress)
	case "test unit":
		return true, everyModule(ctx, launcher.Repo, progress, func(folder string) bool {
			return !slices.Contains(clusterModules, folder) && !slices.Contains(slowModules, folder)
		}, vetAndTest(ctx))
	case "test languages":
		return true, testLanguages(ctx, launcher)
	case "test interop":
		return true, testInterop(ctx, launcher)
	case "test azure":
		return true, testAzure(ctx, launcher)
	case "bench":
		return true, bench(ctx, launcher)
	}
	return false, nil
}

// bootstrap makes base images of Debian's packages.
var bootstrap = engine.Package{Name: "mmdebstrap", Paths: []string{"/usr/bin/mmdebstrap"}}

// npm says which registry this machine takes its packages from.
var npm = engine.Package{Name: "npm", Paths: []string{"/usr/bin/npm"}}

// testLanguages tests services in languages whose toolchains and packages are not Go's.
func testLanguages(ctx context.Context, launcher *engine.Launcher) error {
	needed := []engine.Package{bootstrap}
	if _, err := exec.LookPath(npm.Name); err != nil {
		needed = append(needed, npm)
	}
	if err := engine.Install(ctx, launcher.Progress, needed); err != nil {
		return err
	}
	return goRun(ctx, launcher.Repo, os.Stdout, "test", "-v", "-count=1", "-timeout=60m", "-tags=e2e,languages", "-run=^TestLanguage", "./e2e")
}

// jq reads outputs in the commands of docs/azure.md.
var jq = engine.Package{Name: "jq", Paths: []string{"/usr/bin/jq"}}

// testAzure tests infra/azure, with states in Azurite, which is npm's.
func testAzure(ctx context.Context, launcher *engine.Launcher) error {
	var needed []engine.Package
	for _, p := range []engine.Package{npm, jq} {
		if _, err := exec.LookPath(p.Name); err != nil {
			needed = append(needed, p)
		}
	}
	if err := engine.Install(ctx, launcher.Progress, needed); err != nil {
		return err
	}
	return goRun(ctx, launcher.Repo, os.Stdout, "test", "-v", "-count=1", "-timeout=120m", "-tags=e2e,azure", "-run=^TestAzure", "./e2e")
}

// browser shows the receipt's page in its test.
var browser = engine.Package{Name: "chromium", Paths: []string{"/usr/bin/chromium"}}

// testInterop tests beside what others have made, which takes minutes to compile or
// has to be installed: a browser, the clients of key management services, cosign.
func testInterop(ctx context.Context, launcher *engine.Launcher) error {
	if err := engine.Install(ctx, launcher.Progress, []engine.Package{browser}); err != nil {
		return err
	}
	if err := goRun(ctx, filepath.Join(launcher.Repo, "ci"), os.Stdout, "test", "-v", "-count=1", "-tags=browser", "-run=Browser", "./receipt"); err != nil {
		return err
	}
	for _, folder := range slowModules {
		if err := goRun(ctx, filepath.Join(launcher.Repo, folder), os.Stdout, "test", "./..."); err != nil {
			return err
		}
	}
	return goRun(ctx, launcher.Repo, os.Stdout, "test", "-v", "-count=1", "-timeout=60m", "-tags=e2e,cosign,kms", "-run=^(TestStockCosign|TestAManagedKey)", "./e2e")
}

// bench measures the pipeline, in pairs whose medians count: five of each.
func bench(ctx context.Context, launcher *engine.Launcher) error {
	if err := engine.Install(ctx, launcher.Progress, []engine.Package{bootstrap}); err != nil {
		return err
	}
	return goRun(ctx, launcher.Repo, os.Stdout, "test", "-v", "-count=1", "-timeout=120m", "-tags=e2e", "-run=^$", "-bench=.", "-benchtime=5x", "./e2e/...")
}

// clusterModules are tested with the cluster, in the engine, which has compiled
// what they stand on: that takes minutes, and nothing else needs it.
var clusterModules = []string{"modules/gitops/argocd", "modules/sandbox/node"}

// slowModules stand on what takes minutes to compile, and nothing else needs it.
var slowModules = []string{"modules/sign/kms"}

// toolModules hold only pins of tools or imports: the seed's warm the Go SDK image's
// caches, CoreDNS's are its plugins. They hold no code of ours that could be tested.
var toolModules = []string{"engine/dist", "engine/seed", "modules/gitops/helm", "modules/infra/tofu", "modules/sandbox/coredns", "modules/scan/trivy", "modules/sign/cosign", "tools/act", "tools/golangci-lint"}

// vetAndTest is the work of the unit tests.
func vetAndTest(ctx context.Context) func(dir string, packages []string, out io.Writer) error {
	return func(dir string, packages []string, out io.Writer) error {
		if err := goRun(ctx, dir, out, append([]string{"vet"}, packages...)...); err != nil {
			return err
		}
		// The whole of vet has just run; test's own would look at every
		// dependency a second time.
		return goRun(ctx, dir, out, append([]string{"test", "-vet=off"}, packages...)...)
	}
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
