// Command argocd writes the Argo CD objects of a GitOps folder from its
// apps/*/overlays/* folders, checks that committed ones are up to date, and asks
// the cluster what became of them:
//
//	argocd generate --tree DIR --remote URL --branch main --objects DIR --out DIR
//	argocd check    --tree DIR --remote URL --branch main --objects DIR --out DIR
//	argocd wait     --kubeconfig FILE --application NAME --commit SHA --image REPO@DIGEST --out DIR
//	argocd status   --kubeconfig FILE --application NAME … --out DIR
//	argocd admit    --kubeconfig FILE --manifests FILE --out DIR
//	argocd refresh  --kubeconfig FILE --application NAME --out DIR
//
// generate replaces the .yaml files of --objects. check writes nothing and fails,
// naming the files, when they differ from what generate would write.
//
// wait ends when a release is live or won't be, and status says where
// Applications stand; admit asks whether the cluster would take the manifests'
// pods, and refresh asks Argo CD to look at Git now. How a wait ended is its
// value's outcome, never a Fault.
//
// Each ends as package step says: result.json below --out holds its result or its
// Fault.
package main

import (
	"context"
	"flag"
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

var commands = step.Commands{
	"generate": folderCommand(applications.Write),
	"check":    folderCommand(applications.Check),
	"wait":     waitCommand,
	"status":   statusCommand,
	"admit":    admitCommand,
	"refresh":  refreshCommand,
}

func main() { commands.Run("argocd", os.Args[1:]) }

// folderCommand generates the files, and ends with finish.
func folderCommand(finish func(string, map[string][]byte) error) step.Command {
	return func(flags *flag.FlagSet, _ *string) step.Work {
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
}
