// Command step is the step program of the release stage. It sets digests in the
// GitOps repository, shows what is set there, was set before or would change,
// and renders overlays:
//
//	step release --remote URL --app NAME --env NAME --repository REPO --digest DIGEST … --out DIR
//	step preview --remote URL --app NAME --env NAME --repository REPO --digest DIGEST … --out DIR
//	step show    --remote URL --app NAME --env NAME … --out DIR
//	step history --remote URL --app NAME --env NAME … --out DIR
//	step merged  --remote URL --branch NAME --commit HASH --out DIR
//	step render  --tree DIR --app NAME --env NAME --out DIR
//	step check-commit --checkout DIR --commit HASH --path FILE --repository REPO --digest DIGEST [--evidence DIGEST] --out DIR
//
// A release with --from ENV is a promotion, and one with --rollback-of COMMIT
// a rollback: a commit like every other, whose message says what it is.
//
// Each subcommand lists its flags with -h. It ends as package step says:
// result.json below --out holds its result or its Fault.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"

	"slipway/gitops/step/overlay"
	"slipway/step"
)

// work is what a subcommand does once its flags are read.
type work func(context.Context) (any, error)

func main() {
	// Rendering must not download anything, and Kustomize would.
	http.DefaultTransport = overlay.Offline{}
	out, do, err := command(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	step.Main(out, do)
}

// command reads the arguments: the output folder and the work to do.
func command(args []string) (string, work, error) {
	const usage = "usage: step release|preview|show|history|merged|render|check-commit [flags]"
	if len(args) == 0 {
		return "", nil, errors.New(usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	out := flags.String("out", "", "`folder` that receives result.json and result files")
	var do work
	switch args[0] {
	case "release":
		do = releaseCommand(flags)
	case "preview":
		do = previewCommand(flags, out)
	case "history":
		do = historyCommand(flags)
	case "merged":
		do = mergedCommand(flags)
	case "show":
		do = showCommand(flags)
	case "render":
		do = renderCommand(flags, out)
	case "check-commit":
		do = checkCommitCommand(flags)
	default:
		return "", nil, fmt.Errorf("unknown command %.40q; %s", args[0], usage)
	}
	if err := flags.Parse(args[1:]); err != nil {
		return "", nil, err
	}
	if flags.NArg() > 0 {
		return "", nil, fmt.Errorf("unexpected argument %.40q", flags.Arg(0))
	}
	if *out == "" {
		return "", nil, errors.New("--out is missing")
	}
	return *out, do, nil
}
