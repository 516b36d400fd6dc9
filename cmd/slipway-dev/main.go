// Command slipway-dev sets a machine up for Slipway and runs its Dagger engine. It
// lists its verbs when it is given none.
//
// Where Docker's daemon answers or _EXPERIMENTAL_DAGGER_RUNNER_HOST names an
// engine, that engine is used, and only the CLI is built.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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

// verb is what the launcher does when it is asked by a name of one or two words.
type verb struct {
	name, does string
	// flags adds its flags; nil adds none.
	flags func(*flag.FlagSet)
	run   func(context.Context) error
}

func verbs(p *embedded.Platform) []verb {
	l := p.Launcher
	registry, fuzz, packages := &embedded.Registry{}, &fuzzing{}, &tools{}
	programs := p.Toolbox.Flags
	return []verb{
		{"up", "set up and start the embedded default", programs, p.Up},
		{"down", "stop it; data and caches stay", nil, p.Down},
		{"demo", "set up, then release apps/hello to dev", programs, printing(p.Demo)},
		{"demo cluster", "release it until healthy on Kubernetes, break it, roll it back", programs, printing(p.DemoCluster)},
		{"cluster build", "compile everything that the cluster is made of", programs, p.ClusterBuild},
		{"cluster up", "start Kubernetes and Argo CD", programs, printing(p.ClusterUp)},
		{"cluster keep", "what cluster up leaves behind: it keeps them running", nil, printing(p.ClusterKeep)},
		{"cluster down", "stop them; their data stays", nil, p.ClusterDown},
		{"cluster status", "say what runs; exit status 3 when nothing does", nil, printing(p.ClusterStatus)},
		{"cluster reset", "stop them and begin with an empty cluster", nil, p.ClusterReset},
		{"toolbox publish", "publish the compiled programs, signed, for other machines", registry.Flags, func(ctx context.Context) error {
			return p.PublishToolbox(ctx, *registry, os.Stdout)
		}},
		{"check", "formatting, vet and lint of every Go module", nil, func(ctx context.Context) error { return check(ctx, l.Repo, p.Progress) }},
		{"test unit", "vet and test every Go module, without an engine", nil, func(ctx context.Context) error { return testUnit(ctx, l.Repo, p.Progress) }},
		{"test fuzz", "run every fuzz target of every Go module for a moment", fuzz.Flags, func(ctx context.Context) error {
			return fuzz.run(ctx, l.Repo, p.Progress, os.Stdout)
		}},
		{"environ", "print the environment of the dagger CLI", nil, func(ctx context.Context) error {
			_, err := fmt.Println(strings.Join(l.Environ(ctx), "\n"))
			return err
		}},
		{"setup", "install what the system must provide", packages.Flags, func(ctx context.Context) error {
			return errors.Join(l.Setup(ctx), packages.install(ctx, p.Progress))
		}},
		{"engine build", "build the engine, the CLI and the Go SDK image", nil, l.Build},
		{"engine up", "build what is missing, start, write .slipway/env", nil, l.Up},
		{"engine down", "stop; the caches stay", nil, l.Down},
		{"engine status", "say what runs; exit status 3 when nothing does", nil, func(ctx context.Context) error {
			status, err := l.Status(ctx)
			fmt.Print(status)
			return err
		}},
		{"engine reset", "stop and remove the caches", nil, l.Reset},
		{"engine env", "print what .slipway/env holds", nil, func(ctx context.Context) error {
			_, err := fmt.Print(l.Env(ctx))
			return err
		}},
	}
}

// printing is work that says what came of it on the standard output.
func printing(work func(context.Context, io.Writer) error) func(context.Context) error {
	return func(ctx context.Context) error { return work(ctx, os.Stdout) }
}

func usage(verbs []verb) error {
	var b strings.Builder
	b.WriteString("usage: slipway-dev VERB [flags]; each verb lists its flags with -h\n")
	for _, v := range verbs {
		fmt.Fprintf(&b, "  %-16s %s\n", v.name, v.does)
	}
	return errors.New(strings.TrimSuffix(b.String(), "\n"))
}

func run(ctx context.Context, args []string) error {
	progress := engine.NewProgress(os.Stderr)
	launcher, err := engine.NewLauncher(".", progress)
	if err != nil {
		return err
	}
	platform := &embedded.Platform{Launcher: launcher, Progress: progress}
	words := len(args)
	if i := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "-") }); i >= 0 {
		words = i
	}
	all := verbs(platform)
	i := slices.IndexFunc(all, func(v verb) bool { return v.name == strings.Join(args[:words], " ") })
	if i < 0 {
		return usage(all)
	}
	flags := flag.NewFlagSet("slipway-dev "+all[i].name, flag.ContinueOnError)
	if all[i].flags != nil {
		all[i].flags(flags)
	}
	if err := flags.Parse(args[words:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s takes no argument after its flags: %q", flags.Name(), flags.Arg(0))
	}
	if err := platform.Toolbox.Given(flags); err != nil {
		return err
	}
	return all[i].run(ctx)
}
