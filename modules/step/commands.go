package step

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"slipway/step/printable"
)

// Work is what a command does once its flags are read.
type Work func(context.Context) (any, error)

// Command adds a command's flags, and returns what it does once they are read. out is
// the folder for result.json and the result's files.
type Command func(flags *flag.FlagSet, out *string) Work

// Commands are those of a step program, by their names.
type Commands map[string]Command

// Parse reads the arguments of the program that is called name: the output folder,
// and the work to do. A step takes no arguments besides flags.
func (c Commands) Parse(name string, args []string) (string, Work, error) {
	usage := fmt.Sprintf("usage: %s %s [flags]", name, strings.Join(slices.Sorted(maps.Keys(c)), "|"))
	if len(args) == 0 {
		return "", nil, errors.New(usage)
	}
	if c[args[0]] == nil {
		return "", nil, fmt.Errorf("unknown command %.40q; %s", args[0], usage)
	}
	flags := flag.NewFlagSet(name+" "+args[0], flag.ContinueOnError)
	out := flags.String("out", "", "`folder` for result.json and the result's files (required)")
	work := c[args[0]](flags, out)
	if err := flags.Parse(args[1:]); err != nil {
		return "", nil, err
	}
	if flags.NArg() > 0 {
		return "", nil, fmt.Errorf("%s takes no argument: %.40q", flags.Name(), flags.Arg(0))
	}
	if *out == "" {
		return "", nil, fmt.Errorf("%s: --out is missing", flags.Name())
	}
	return *out, work, nil
}

// Run is the main function of a program that has commands: it does what the arguments
// say, as Main does, and exits.
func (c Commands) Run(name string, args []string) {
	out, work, err := c.Parse(name, args)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	Main(out, work)
}

// List is a flag that can be repeated.
type List []string

// String is of flag.Value.
func (l *List) String() string { return strings.Join(*l, " ") }

// Set is of flag.Value.
func (l *List) Set(text string) error {
	*l = append(*l, text)
	return nil
}

// Progress is where a person can see what a step does.
var Progress io.Writer = os.Stderr

// Say tells how far a step is, in one line.
func Say(format string, args ...any) {
	fmt.Fprintln(Progress, printable.Line(fmt.Sprintf(format, args...)))
}
