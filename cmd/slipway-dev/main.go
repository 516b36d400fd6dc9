// Command slipway-dev sets a machine up for Slipway and runs its Dagger
// engine:
//
//	slipway-dev up              set up and start the embedded default
//	slipway-dev down            stop it; data and caches stay
//	slipway-dev demo            set up, then release apps/hello to dev
//	slipway-dev demo cluster    release it until healthy on Kubernetes, break it, roll it back
//	slipway-dev cluster build   compile everything that the cluster is made of
//	slipway-dev cluster up      start Kubernetes and Argo CD
//	slipway-dev cluster keep    what cluster up leaves behind: it keeps them running
//	slipway-dev cluster down    stop them; their data stays
//	slipway-dev cluster status  say what runs; exit status 3 when nothing does
//	slipway-dev cluster reset   stop them and begin with an empty cluster
//	slipway-dev toolbox publish publish the compiled programs, signed, for other machines
//	slipway-dev check           formatting, vet and lint of every Go module
//	slipway-dev test unit       vet and test every Go module, without an engine
//	slipway-dev test fuzz       run every fuzz target of every Go module for a moment
//	slipway-dev test languages  test services in Node, Java and Python, on base images of Debian's packages
//	slipway-dev test interop    test beside a browser, the stock cosign and key management services
//	slipway-dev test azure      test infra/azure, with the real provider, on a stand-in for Azure
//	slipway-dev bench           measure the pipeline beside the raw tools and the stock cosign
//	slipway-dev environ         print the environment of the dagger CLI
//	slipway-dev setup           install what the system must provide
//	slipway-dev engine build    build the engine, the CLI and the Go SDK image
//	slipway-dev engine up       build what is missing, start, write .slipway/env
//	slipway-dev engine down     stop; the caches stay
//	slipway-dev engine status   say what runs; exit status 3 when nothing does
//	slipway-dev engine reset    stop and remove the caches
//	slipway-dev engine env      print what .slipway/env holds
//
// up, demo, cluster build and cluster up take --toolbox, --node and --toolbox-key: published
// programs that are verified and pulled instead of compiled. test fuzz takes --time, how
// long each target runs, and --run, which targets.
//
// Where Docker's daemon answers or _EXPERIMENTAL_DAGGER_RUNNER_HOST names an
// engine, that engine is used, and only the CLI is built.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"slipway/embedded"
	"slipway/engine"
)

// exitDown is the exit status of a status command when nothing runs.
const exitDown = 3

const usage = "usage: slipway-dev up|down|demo [cluster]|toolbox publish|check|environ | test unit|fuzz|languages|interop|azure | bench | cluster build|up|keep|down|status|reset | setup | engine build|up|down|status|reset|env"

func main() {
	if len(os.Args) == 3 && os.Args[1] == engine.EnterCommand {
		fail(engine.Enter(os.Args[2]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fail(run(ctx, os.Args[1:]))
}

func fail(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "slipway-dev:", err)
	if errors.Is(err, engine.ErrDown) {
		os.Exit(exitDown)
	}
	os.Exit(1)
}

func run(ctx context.Context, args []string) error {
	progress := engine.NewProgress(os.Stderr)
	launcher, err := engine.NewLauncher(".", progress)
	if err != nil {
		return err
	}
	words := args
	if i := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "-") }); i >= 0 {
		words = args[:i]
	}
	verb := strings.Join(words, " ")
	platform := &embedded.Platform{Launcher: launcher, Progress: progress}
	registry := embedded.Registry{}
	fuzz := fuzzing{}
	flags := flag.NewFlagSet("slipway-dev "+verb, flag.ContinueOnError)
	switch verb {
	case "up", "demo", "demo cluster", "cluster build", "cluster up":
		platform.Toolbox.Flags(flags)
	case "toolbox publish":
		registry.Flags(flags)
	case "test fuzz":
		fuzz.Flags(flags)
	}
	if err := flags.Parse(args[len(words):]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s takes no argument after its flags: %q", flags.Name(), flags.Arg(0))
	}
	if err := platform.Toolbox.Given(flags); err != nil {
		return err
	}
	if verb == "toolbox publish" {
		return platform.PublishToolbox(ctx, registry, os.Stdout)
	}
	if verb == "test fuzz" {
		return fuzz.run(ctx, launcher.Repo, progress, os.Stdout)
	}
	if ok, err := task(ctx, platform, verb); ok {
		return err
	}
	switch verb {
	case "setup":
		return launcher.Setup(ctx)
	case "engine build":
		return launcher.Build(ctx)
	case "engine up":
		return launcher.Up(ctx)
	case "engine down":
		return launcher.Down(ctx)
	case "engine reset":
		return launcher.Reset(ctx)
	case "engine status":
		status, err := launcher.Status(ctx)
		fmt.Print(status)
		return err
	case "engine env":
		fmt.Print(launcher.Env(ctx))
		return nil
	}
	return errors.New(usage)
}
