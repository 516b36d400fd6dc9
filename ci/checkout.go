package main

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/evidence"
	"slipway/step"
	"slipway/step/result/build"
)

// Checkout is where the code of an app lies.
type Checkout struct {
	App        string            // +private
	Tree       *dagger.Directory // +private
	Repository *dagger.Directory // +private
}

// WithApp takes an app's code from a checkout of its own, instead of from the platform's
// repository. The rules stay the platform's: an app whose code lies in a repository of
// its own is one that slipway.yaml registers, with its folder there; any other app's lies
// in apps/<name>, as in a pull request of the platform that is judged by the rules of the
// branch it wants to enter.
//
// Example: dagger -m github.com/acme/platform@v1 call with-app --name shop --checkout . deliver --app shop --env dev
//
// +cache="168h"
func (s *Slipway) WithApp(
	// The app.
	name string,
	// A checkout of the app's repository, with its folder .git, which is read, but never
	// its settings.
	// +ignore=[".git/*", "!.git/HEAD", "!.git/packed-refs", "!.git/refs", ".git/refs/*", "!.git/refs/heads", "!.git/objects", "!.git/reftable"]
	checkout *dagger.Directory,
) (*Slipway, error) {
	if err := step.Name("config", "app", name); err != nil {
		return nil, err
	}
	next := *s
	next.Checkouts = append(slices.DeleteFunc(slices.Clone(s.Checkouts), func(c *Checkout) bool { return c.App == name }),
		&Checkout{App: name, Tree: checkout, Repository: checkout})
	return &next, nil
}

// checkout is where an app's code lies: where with-app said, or else in the platform's
// own repository; nil for a registered app that no checkout is given of.
func (s *Slipway) checkout(app string) *Checkout {
	for _, c := range s.Checkouts {
		if c.App == app {
			return c
		}
	}
	if _, elsewhere := s.Config.Apps[app]; elsewhere {
		return nil
	}
	return s.platform()
}

// descriptor is the text of an app's app.yaml.
func (s *Slipway) descriptor(ctx context.Context, app string) (string, error) {
	if err := step.Name("app", "app", app); err != nil {
		return "", err
	}
	from, folder := s.checkout(app), s.Config.Folder(app)
	if from == nil {
		return "", step.Input("app", "app "+app, "has its code in "+s.Config.Apps[app].Repository+", and no checkout of it is given",
			fmt.Sprintf("call with-app --name %s --checkout <folder> first, with a clone of it", app))
	}
	file := path.Join(folder, config.AppFile)
	found, err := from.Tree.Glob(ctx, file)
	switch {
	case err != nil:
		return "", err
	case len(found) > 0:
		return from.Tree.File(file).Contents(ctx)
	case from.Tree != s.Source:
		return "", step.Input("app", "app "+app, "has no "+file+" in its checkout",
			fmt.Sprintf("give the repository's root as --checkout; for an app elsewhere in it, say apps.%s.folder in %s", app, config.File))
	}
	names, err := s.Apps(ctx)
	if err != nil {
		return "", err
	}
	return "", step.Input("app", fmt.Sprintf("app %q", app), "is not a folder of apps/ with an "+config.AppFile, "use one of "+strings.Join(names, ", "))
}

// source is the app's folder.
func (a *App) source() *dagger.Directory {
	tree, folder := a.Slipway.checkout(a.Name).Tree, a.folder()
	if folder == "." {
		return tree.WithoutDirectory(".git").WithoutFile(".git")
	}
	return tree.Directory(folder)
}

// folder is the app's folder in its repository.
func (a *App) folder() string { return a.Slipway.Config.Folder(a.Name) }

// file is the path of a file of the app in its repository.
func (a *App) file(name string) string { return path.Join(a.folder(), name) }

// title is the path of the app's folder in its repository, or the app's name where that
// is all of it.
func (a *App) title() string {
	if folder := a.folder(); folder != "." {
		return folder
	}
	return a.Name
}

// leftOut are the name patterns of what New leaves out of infra/.
var leftOut = []string{".terraform", "*.tfstate*"}

// commit is the commit at a source's head, and what differs from it in what was taken.
type commit struct{ build.Compared }

// revision is the commit's id, marked when anything differs.
func (c *commit) revision() string {
	if len(c.Uncommitted) > 0 {
		return c.Commit + evidence.Dirty
	}
	return c.Commit
}

// commit compares everything that a delivery of the app takes from its repository with
// the commit: the app's folder, and what is the platform's where it lies there, too.
// Nothing else says whether a delivery is committed.
func (a *App) commit(ctx context.Context) (*commit, error) {
	s := a.Slipway
	from, paths := s.checkout(a.Name), []string{a.folder()}
	if from.Tree == s.Source {
		paths = append(paths, s.Config.Taken()...)
	}
	return from.committed(ctx, paths...)
}

// committed compares paths of a checkout with the commit at its head.
func (c *Checkout) committed(ctx context.Context, paths ...string) (*commit, error) {
	if c.Repository == nil {
		// A drill's source was never in Git, whose null id says so.
		return &commit{build.Compared{Commit: strings.Repeat("0", 40)}}, nil
	}
	compared, err := resultIn[build.Compared](ctx, dag.Build().Committed(c.Tree, c.Repository, paths, dagger.BuildCommittedOpts{Without: leftOut}))
	return &commit{compared}, err
}
