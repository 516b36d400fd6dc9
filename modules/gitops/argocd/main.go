// Command argocd writes the Argo CD objects of a GitOps folder from its
// apps/*/overlays/* folders, checks that committed ones are up to date, and asks
// the cluster what became of them:
//
//	argocd generate --tree DIR --remote URL --branch main --objects DIR
//	argocd check    --tree DIR --remote URL --branch main --objects DIR
//	argocd wait     --kubeconfig FILE --application NAME --commit SHA --image REPO@DIGEST --out DIR
//	argocd status   --kubeconfig FILE --application NAME … --out DIR
//	argocd admit    --kubeconfig FILE --manifests FILE --out DIR
//	argocd refresh  --kubeconfig FILE --application NAME --out DIR
//
// generate replaces the .yaml files of --objects. check writes nothing and fails,
// naming the files, when they differ from what generate would write. With --out
// they end as package step says: result.json there holds the names of the files,
// or the Fault.
//
// wait ends when a release is live or won't be, and status says where
// Applications stand; admit asks whether the cluster would take the manifests'
// pods, and refresh asks Argo CD to look at Git now. They always write
// result.json. How a wait ended is its value's outcome, never a Fault.
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

	"slipway/gitops/argocd/applications"
	"slipway/step"
)

// generated is the result of generate and check.
type generated struct {
	// Files are the names of the files, below --objects.
	Files []string `json:"files"`
}

// work is what a subcommand does once its flags are read.
type work func(context.Context) (any, error)

func main() {
	out, do, err := command(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if out != "" {
		step.Main(out, do)
	}
	if _, err := do(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// command reads the arguments: the folder of result.json, which may be absent,
// and the work to do.
func command(args []string) (string, work, error) {
	const usage = "usage: argocd generate|check|wait|status|admit|refresh [flags]"
	if len(args) == 0 {
		return "", nil, errors.New(usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	out := flags.String("out", "", "`folder` that receives result.json")
	var do work
	switch args[0] {
	case "generate":
		do = folderCommand(flags, applications.Write)
	case "check":
		do = folderCommand(flags, applications.Check)
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
	if *out == "" && slices.Contains([]string{"wait", "status", "admit", "refresh"}, args[0]) {
		return "", nil, errors.New("--out is missing")
	}
	return *out, do, nil
}

// folderCommand generates the files, and ends with finish.
func folderCommand(flags *flag.FlagSet, finish func(string, map[string][]byte) error) work {
	tree := flags.String("tree", "gitops", "GitOps `folder`")
	objects := flags.String("objects", "", "`folder` of the generated files (default <tree>/argocd)")
	var source applications.Source
	flags.StringVar(&source.RepoURL, "remote", "", "`URL` of the GitOps repository, as Argo CD reaches it")
	flags.StringVar(&source.Branch, "branch", "main", "`branch` that the cluster follows")
	flags.StringVar(&source.Root, "root", "gitops", "`path` of the GitOps folder inside the repository")
	return func(context.Context) (any, error) {
		if *objects == "" {
			*objects = filepath.Join(*tree, "argocd")
		}
		files, err := applications.Generate(*tree, source)
		if err != nil {
			return nil, err
		}
		if err := finish(*objects, files); err != nil {
			return nil, err
		}
		return generated{Files: slices.Sorted(maps.Keys(files))}, nil
	}
}
