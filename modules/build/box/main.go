// Command box runs what an app brings along: its build, its tests, the commands of
// its Dockerfile. It is the first process of a container that the engine has given
// no network, and everything in it runs without capabilities, without a way to gain
// any, and within limits of time, memory, processes, output and disk.
//
//	box run [limits] [--keep-user] [--packages DIR] [--network DIR] -- ARGV…
//	                                               one command, whose output and exit code it passes on
//	box go-build [limits] --out DIR …              compiles a Go app, result.json and programs in DIR
//	box go-test [limits] [--network DIR] --out DIR …
//	                                               vets and tests a Go app, result.json in DIR
//
// --network names the folder of a gateway's socket, which is the only way out of the
// container. The gateway is in another container, with a network:
//
//	box gateway --dir DIR --status ADDRESS --host HOST:PORT…
//	                                               lets the named hosts be reached
//	box usage ADDRESS                              prints what a gateway was used for
//
// run ends with 125 and a last line on stderr when a limit was hit:
//
//	slipway-box: limit: memory: its processes took more than 4GiB of memory
//
// A last line names the packages that are not in DIR and that a command which fails has
// asked for.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"slipway/step"
	"slipway/step/printable"
)

// exitLimit is run's exit code when the box stopped the command, or could not start
// it at all.
const exitLimit = 125

func main() {
	if len(os.Args) < 2 {
		usageFault(errors.New("usage: box run|go-build|go-test|gateway|usage [flags]"))
	}
	switch verb, args := os.Args[1], os.Args[2:]; verb {
	case "enter":
		fmt.Fprintln(os.Stderr, enter(args))
		os.Exit(exitLimit + 1)
	case "run":
		os.Exit(run(args))
	case "go-build":
		work, out, err := goBuild(args)
		boxed(work, out, err)
	case "go-test":
		work, out, err := goTest(args)
		boxed(work, out, err)
	case "gateway":
		usageFault(serveGateway(args))
	case "usage":
		if err := gatewayUsage(args); err != nil {
			usageFault(err)
		}
	default:
		usageFault(fmt.Errorf("%q is not a command of the box", verb))
	}
}

func usageFault(err error) {
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, "slipway-box:", err)
	os.Exit(exitLimit)
}

// exitRefused is the exit code of go-build and go-test after a refusal, which is also
// on stdout: so the engine takes it for a failure, which it does not keep, and what
// failed by chance can pass the next time.
const exitRefused = 3

// boxed runs a stage's work as a step program does, but for how it ends after a
// refusal.
func boxed(work func(context.Context) (any, error), out string, err error) {
	if err != nil {
		usageFault(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	value, workErr := work(ctx)
	stop()
	if err := step.Write(out, value, workErr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if workErr == nil {
		os.Exit(0)
	}
	result, err := os.ReadFile(filepath.Join(out, step.ResultFile))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s", result)
	os.Exit(exitRefused)
}

// run runs one command, whose output it makes safe to show, and returns the exit code.
func run(args []string) int {
	var limits Limits
	flags := flag.NewFlagSet("box run", flag.ContinueOnError)
	limits.register(flags)
	keepUser := flags.Bool("keep-user", false, "run it as the box's own user, root without capabilities if that is root")
	packages := flags.String("packages", "", "folder of fetched packages, which the command finds in the registry that its npm and pip ask")
	network := flags.String("network", "", "folder of the socket of the gateway that the command finds as its HTTP proxy")
	if err := flags.Parse(args); err != nil {
		usageFault(err)
	}
	if flags.NArg() == 0 {
		usageFault(errors.New("run needs a command"))
	}
	if err := noNetwork(); err != nil {
		usageFault(err)
	}
	env := os.Environ()
	var served *registry
	if *packages != "" {
		address := "http://" + registryAddress
		var err error
		if served, err = newRegistry(*packages, address); err != nil {
			usageFault(err)
		}
		if err := served.serve(); err != nil {
			usageFault(err)
		}
		env = registryEnv(env, address)
	}
	writable := []string{"/"}
	if *network != "" {
		address, err := serveNetwork(*network)
		if err != nil {
			usageFault(err)
		}
		// Root may write beside the socket, too.
		env, writable = networkEnv(env, address), append(writable, *network)
	}
	s, err := NewSupervisor(limits)
	if err != nil {
		usageFault(err)
	}
	uid := nobody
	if *keepUser {
		uid = -1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	stdout, stderr := &lines{to: os.Stdout}, &lines{to: os.Stderr}
	code, hit, err := s.Run(ctx, Command{
		Argv: flags.Args(), Dir: ".", Env: env, UID: uid, Writable: writable, Stdout: stdout, Stderr: stderr,
	})
	err = errors.Join(err, stdout.Close(), stderr.Close())
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "slipway-box:", err)
		return exitLimit
	case hit != nil:
		fmt.Fprintf(os.Stderr, "\nslipway-box: limit: %s: %s\n", hit.Limit, hit.Text)
		return exitLimit
	case code != 0 && code != exitLimit && served != nil && served.lacked() != "":
		fmt.Fprintln(os.Stderr, "\nslipway-box:", printable.Line(served.lacked()))
	}
	return code
}

// nobody is the ordinary user that trusted tools run as.
const nobody = 65532

// noNetwork errs where the engine has given the container a network: what runs in
// the box would reach whatever the engine reaches.
func noNetwork() error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("list the network's interfaces: %w", err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
			return fmt.Errorf("the container has a network (%s), and must have none: this engine does not do what RUN --network=none asks", i.Name)
		}
	}
	return nil
}
