// Command applications writes the Argo CD objects of a GitOps folder from its
// apps/*/overlays/* folders, checks that committed ones are up to date, and asks
// the cluster what became of them:
//
//	applications generate --gitops DIR --repo-url URL --branch main --out DIR
//	applications check    --gitops DIR --repo-url URL --branch main --out DIR
//	applications wait     --kubeconfig FILE --application NAME --commit SHA --image REPO@DIGEST --result DIR
//	applications status   --kubeconfig FILE --application NAME … --result DIR
//	applications refresh  --kubeconfig FILE --application NAME --result DIR
//
// generate replaces the .yaml files of --out. check writes nothing and fails,
// naming the files, when they differ from what generate would write. With
// --result it ends as package step says instead: result.json there holds the
// names of the files, or the Fault.
//
// wait ends when a release is live or won't be, and status says where
// Applications stand; refresh asks Argo CD to look at Git now. They always write result.json. How a wait ended is its
// value's outcome, never a Fault.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"slipway/gitops/applications/argocd"
	"slipway/step"
)

// objects is the result of generate and check.
type objects struct {
	// Files are the names of the files, below --out.
	Files []string `json:"files"`
}

// work is what a subcommand does once its flags are read.
type work func(context.Context) (any, error)

func main() {
	result, do, err := command(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if result != "" {
		step.Main(result, do)
	}
	if _, err := do(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// command reads the arguments: the folder of result.json, which may be absent,
// and the work to do.
func command(args []string) (string, work, error) {
	const usage = "usage: applications generate|check|wait|status|admit|refresh [flags]"
	if len(args) == 0 {
		return "", nil, errors.New(usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	result := flags.String("result", "", "`folder` that receives result.json")
	var do work
	switch args[0] {
	case "generate":
		do = folderCommand(flags, argocd.Write)
	case "check":
		do = folderCommand(flags, argocd.Check)
	case "wait":
		do = waitCommand(flags)
	case "status":
		do = statusCommand(flags)
	case "admit":
		do = admitCommand(flags)
	case "refresh":
		do = refreshCommand(flags)
	default:
		return "", nil, fmt.Errorf("unknown command %.40q; %s", args[0], usage)
	}
	if err := flags.Parse(args[1:]); err != nil {
		return "", nil, err
	}
	if flags.NArg() > 0 {
		return "", nil, fmt.Errorf("unexpected argument %.40q", flags.Arg(0))
	}
	if *result == "" && slices.Contains([]string{"wait", "status", "admit", "refresh"}, args[0]) {
		return "", nil, errors.New("--result is missing")
	}
	return *result, do, nil
}

// folderCommand generates the files, and ends with finish.
func folderCommand(flags *flag.FlagSet, finish func(string, map[string][]byte) error) work {
	dir := flags.String("gitops", "gitops", "GitOps `folder`")
	out := flags.String("out", "", "`folder` of the generated files (default <gitops>/argocd)")
	var source argocd.Source
	flags.StringVar(&source.RepoURL, "repo-url", "", "`URL` of the GitOps repository, as Argo CD reaches it")
	flags.StringVar(&source.Branch, "branch", "main", "`branch` that the cluster follows")
	flags.StringVar(&source.Root, "root", "gitops", "`path` of the GitOps folder inside the repository")
	return func(context.Context) (any, error) {
		if *out == "" {
			*out = filepath.Join(*dir, "argocd")
		}
		files, err := argocd.Generate(*dir, source)
		if err != nil {
			return nil, err
		}
		if err := finish(*out, files); err != nil {
			return nil, err
		}
		return objects{Files: slices.Sorted(maps.Keys(files))}, nil
	}
}
