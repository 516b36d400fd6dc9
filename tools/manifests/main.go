// Command manifests holds everything below gitops/ to the schemas of its kinds.
// From its own folder:
//
//	manifests check      render everything and check it; no network
//	manifests generate   write the schemas of the kinds in use, from the pinned modules
//	manifests render     write what is rendered below --out, one file a target
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"slipway/gitops/step/overlay"
	"slipway/step"
	"slipway/tools/manifests/conform"
	"slipway/tools/manifests/target"
)

const stage = "manifests"

func main() {
	// Rendering must not download anything, and Kustomize would.
	http.DefaultTransport = overlay.Offline{}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	said, err := run(ctx, os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(said)
}

// run does what the arguments say and returns what is to be said about it.
func run(ctx context.Context, args []string) (string, error) {
	const usage = "usage: manifests check|generate|render [flags]"
	if len(args) == 0 {
		return "", errors.New(usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	gitops := flags.String("gitops", "../../gitops", "the GitOps `folder`")
	schemas := flags.String("schemas", "schemas", "the `folder` of schemas")
	pins := flags.String("pins", "../../modules/sandbox/pins", "the `folder` with the pins of the cluster's programs")
	out := flags.String("out", "", "render: the `folder` to write to")
	if err := flags.Parse(args[1:]); err != nil {
		return "", err
	}
	if flags.NArg() > 0 {
		return "", fmt.Errorf("unexpected argument %.40q", flags.Arg(0))
	}
	tree, err := overlay.ReadDir(*gitops)
	if err != nil {
		return "", err
	}
	targets, err := target.Find(tree)
	if err != nil {
		return "", err
	}
	switch args[0] {
	case "check":
		problems, err := conform.Check(ctx, *schemas, targets)
		if err != nil {
			return "", err
		}
		if len(problems) > 0 {
			return "", refusal(*gitops, problems)
		}
		return fmt.Sprintf("%d targets conform", len(targets)), nil
	case "generate":
		kinds, err := conform.Kinds(targets)
		if err != nil {
			return "", err
		}
		files, err := generate(ctx, *pins, kinds)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d schemas in %s", len(files), *schemas), write(*schemas, files)
	case "render":
		if *out == "" {
			return "", errors.New("--out is missing")
		}
		return fmt.Sprintf("%d targets in %s", len(targets), *out), render(*out, targets)
	}
	return "", fmt.Errorf("unknown command %.40q; %s", args[0], usage)
}

func refusal(folder string, problems []conform.Problem) error {
	var details []string
	for _, p := range problems {
		details = append(details, p.String())
	}
	return step.Policy(stage, folder, fmt.Sprintf("%d problems", len(problems)), "mend the named fields", details...)
}

// render writes each target to a file of its own: <target>.yaml, or the file's
// own name.
func render(out string, targets []target.Target) error {
	for _, t := range targets {
		name := t.Name
		if !strings.Contains(filepath.Base(name), ".") {
			name += ".yaml"
		}
		file := filepath.Join(out, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, t.Manifests, 0o644); err != nil {
			return err
		}
	}
	return nil
}
