// Package command is the command line of slipway-sandbox.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"slipway/sandbox/host/accounts"
	"slipway/sandbox/host/gitserver"
	"slipway/sandbox/host/server"
)

// The exit codes.
const (
	// ExitOK says that it was done.
	ExitOK = 0
	// ExitFailed says that it was not; the reason is on stderr.
	ExitFailed = 1
	// ExitUsage says that the command line is wrong.
	ExitUsage = 2
)

const usage = `slipway-sandbox runs a registry, a Git remote and a Terraform state backend on this machine.

  slipway-sandbox serve --data DIR             run it
  slipway-sandbox seed --gitops DIR --url URL  fill an empty Git remote with a GitOps tree
  slipway-sandbox accounts --data DIR --environment NAME
                                               write what a job for one environment gets

Each command explains its flags with -h.
`

// Run runs one command line without the program's name, and returns the exit
// code. What the command answers is JSON on stdout; all else goes to stderr.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	commands := map[string]func(context.Context, *flag.FlagSet, []string, io.Writer) (int, error){
		"serve": serve, "seed": seed, "accounts": some,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		fmt.Fprint(stderr, usage)
		return ExitUsage
	}
	flags := flag.NewFlagSet("slipway-sandbox "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	code, err := commands[args[0]](ctx, flags, args[1:], stdout)
	if errors.Is(err, flag.ErrHelp) {
		return ExitOK
	}
	if err != nil {
		fmt.Fprintln(stderr, "sandbox:", err)
	}
	return code
}

// parse parses flags, and refuses further arguments and the absence of a
// required flag.
func parse(flags *flag.FlagSet, args []string, required ...string) error {
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is not a flag of %s", flags.Arg(0), flags.Name())
	}
	for _, name := range required {
		if flags.Lookup(name).Value.String() == "" {
			return fmt.Errorf("%s needs -%s", flags.Name(), name)
		}
	}
	return nil
}

func serve(ctx context.Context, flags *flag.FlagSet, args []string, _ io.Writer) (int, error) {
	data := flags.String("data", "", "`folder` of what the parts keep (required)")
	ready := flags.String("ready-file", "", "`file` to write the endpoint to, as JSON, once it listens")
	open := flags.Bool("open", false, "let everybody write, for a sandbox that ends with what it is for; by default the data folder's "+server.AccountsFile+" says who may")
	environments := flags.String("environments", "", "`names` of the environments, with commas between, that get accounts of their own where they have none")
	address := flags.String("listen", server.DefaultAddress, "`host:port` to listen on; port 0 takes a free one")
	prefer := flags.String("prefer", "", "`host:port` to listen on if that is free, and another port of the host if not")
	if err := parse(flags, args, "data"); err != nil {
		return ExitUsage, err
	}
	listen := server.Listen
	if *prefer != "" {
		listen, address = server.Prefer, prefer
	}
	listener, err := listen(*address)
	if err != nil {
		return ExitFailed, err
	}
	log.Printf("registry %[1]s, git http://%[1]s/%[2]s, state http://%[1]s/state/, process %[3]d", listener.Addr(), gitserver.Repository, os.Getpid())
	may := server.Access{Everybody: *open}
	if *environments != "" {
		may.Environments = strings.Split(*environments, ",")
	}
	if err := server.Serve(ctx, *data, listener, *ready, may); err != nil {
		return ExitFailed, err
	}
	log.Print("stopped")
	return ExitOK, nil
}

func seed(ctx context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) (int, error) {
	tree := flags.String("gitops", "", "`folder` of the GitOps tree (required)")
	url := flags.String("url", "", "`URL` of the Git remote to fill (required)")
	root := flags.String("root", "gitops", "`folder` of the tree inside the repository")
	update := flags.Bool("update", false, "bring a seeded remote to the tree as well, all but the digests that releases have set")
	file := flags.String("accounts", "", "`file` of the sandbox's accounts, accounts.json of its data folder")
	if err := parse(flags, args, "gitops", "url"); err != nil {
		return ExitUsage, err
	}
	remote := gitserver.Remote{URL: *url}
	if *file != "" {
		who, err := accounts.Read(*file)
		if err != nil {
			return ExitFailed, err
		}
		var there bool
		if remote.Account, there = who[accounts.Platform]; !there {
			return ExitFailed, fmt.Errorf("%s has no account for %s, who fills the remote: start the sandbox again, which adds it", *file, accounts.Platform)
		}
	}
	fill := gitserver.Seed
	if *update {
		fill = gitserver.Update
	}
	s, err := fill(ctx, remote, *tree, *root)
	if err != nil {
		return ExitFailed, err
	}
	if !s.Seeded && !*update {
		fmt.Fprintln(flags.Output(), "sandbox: the Git remote has a history already; left alone")
	}
	return respond(stdout, s)
}

func some(_ context.Context, flags *flag.FlagSet, args []string, stdout io.Writer) (int, error) {
	data := flags.String("data", "", "`folder` of what the parts keep (required)")
	environment := flags.String("environment", "", "`name` of the environment (required)")
	if err := parse(flags, args, "data", "environment"); err != nil {
		return ExitUsage, err
	}
	all, err := accounts.Read(filepath.Join(*data, server.AccountsFile))
	if err != nil {
		return ExitFailed, err
	}
	its, err := all.Of(*environment)
	if err != nil {
		return ExitFailed, err
	}
	return respond(stdout, its)
}

func respond(w io.Writer, value any) (int, error) {
	if err := json.NewEncoder(w).Encode(value); err != nil {
		return ExitFailed, err
	}
	return ExitOK, nil
}
