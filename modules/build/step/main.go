// Command build is the step program that makes, checks, publishes and reads
// back images. Each subcommand reads flags and files and writes its decision
// to --out, as package slipway/step defines.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"slipway/step"
	"slipway/step/printable"
)

// command parses its arguments into the output folder and the work to do.
type command func(name string, args []string) (out string, work func(context.Context) (any, error), err error)

var commands = map[string]command{
	"assemble":           assemble,
	"normalize":          normalize,
	"dockerfile-check":   dockerfileCheck,
	"dockerfile-rewrite": dockerfileRewrite,
	"packages-fetch":     packagesFetch,
	"committed":          committed,
	"order":              order,
	"publish":            publish,
	"fetch-verify":       fetchVerify,
	"pull":               pull,
	"publish-folder":     publishFolder,
	"unpack":             unpack,
}

func main() {
	out, work, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	step.Main(out, work)
}

func parse(args []string) (string, func(context.Context) (any, error), error) {
	names := make([]string, 0, len(commands))
	for name := range commands {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(args) == 0 || commands[args[0]] == nil {
		return "", nil, fmt.Errorf("usage: build %s [flags]", strings.Join(names, "|"))
	}
	return commands[args[0]](args[0], args[1:])
}

// list is a flag that can be repeated.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// flags begins a subcommand's flag set with --out.
func flags(name string) (*flag.FlagSet, *string) {
	fs := flag.NewFlagSet("build "+name, flag.ContinueOnError)
	return fs, fs.String("out", "", "folder for result.json and the result's files (required)")
}

// finish parses args; a step takes no arguments besides flags.
func finish(fs *flag.FlagSet, args []string, out *string) error {
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("%s takes no argument: %q", fs.Name(), fs.Arg(0))
	}
	if *out == "" {
		return fmt.Errorf("%s: --out is missing", fs.Name())
	}
	return nil
}

// progress is where a person can see what a step does.
var progress io.Writer = os.Stderr

func say(format string, args ...any) {
	fmt.Fprintln(progress, printable.Line(fmt.Sprintf(format, args...)))
}
