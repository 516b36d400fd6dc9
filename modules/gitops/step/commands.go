package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"slipway/gitops/step/overlay"
	"slipway/gitops/step/release"
	"slipway/gitops/step/remote"
	"slipway/step"
	"slipway/step/reach"
	"slipway/step/result/gitops"
)

// remoteFlags are the flags of every subcommand that reads the remote.
type remoteFlags struct {
	options   remote.Options
	root      string
	tokenFile string
	connect   func(stage string) (reach.Connections, error)
}

func addRemote(flags *flag.FlagSet) *remoteFlags {
	f := &remoteFlags{connect: reach.Flag(flags, "connect", "where the remote's host:port is reached")}
	flags.StringVar(&f.options.URL, "remote", "", "logical `URL` of the GitOps repository")
	flags.StringVar(&f.options.Branch, "branch", "main", "`branch` that the cluster follows")
	flags.StringVar(&f.root, "root", ".", "`path` of the GitOps folder inside the repository")
	flags.StringVar(&f.options.Username, "username", "", "user `name` for the remote (default git, when there is a token)")
	flags.StringVar(&f.tokenFile, "token-file", "", "`file` with the remote's token or password; absent is anonymous")
	return f
}

// open reads the token and checks the options.
func (f *remoteFlags) open() (*remote.Remote, error) {
	var err error
	if f.options.Connect, err = f.connect(release.Stage); err != nil {
		return nil, err
	}
	if f.tokenFile != "" {
		if f.options.Token, err = reach.Password(release.Stage, "--token-file", f.tokenFile); err != nil {
			return nil, err
		}
	}
	return remote.Open(f.options)
}

// addHelm adds the flag of every subcommand that renders. What it gives is read
// once the flags are.
func addHelm(flags *flag.FlagSet) func() (overlay.Renderer, error) {
	helm := flags.String("helm", "", "helm `program`, for overlays that inflate a chart")
	return func() (overlay.Renderer, error) {
		if *helm != "" {
			if info, err := os.Stat(*helm); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
				return overlay.Renderer{}, step.Input(release.Stage, fmt.Sprintf("helm %.80q", *helm), "is not a program",
					"give the path of the helm executable, or leave the flag out").Because(err)
			}
		}
		return overlay.Renderer{Helm: *helm}, nil
	}
}

func releaseCommand(flags *flag.FlagSet, _ *string) step.Work {
	f, renderer := addRemote(flags), addHelm(flags)
	var q release.Request
	flags.StringVar(&q.App, "app", "", "`name` of the app")
	flags.StringVar(&q.Env, "env", "", "`name` of the environment")
	flags.StringVar(&q.Repository, "repository", "", "image `repository`, such as localhost:5000/hello")
	flags.StringVar(&q.Digest, "digest", "", "image `digest`, sha256:<64 hex>")
	flags.StringVar(&q.SourceRevision, "source-revision", "", "`commit` that the image was built from (a rollback takes it from the earlier release)")
	flags.StringVar(&q.AuthorName, "author-name", "", "commit author's `name`")
	flags.StringVar(&q.AuthorEmail, "author-email", "", "commit author's `address`")
	flags.StringVar((*string)(&q.Kind), "kind", "", "`what` it is: release, promotion or rollback (default: what the next two flags make it)")
	flags.StringVar(&q.From, "from", "", "`environment` that a promotion comes from; it must run the digest")
	flags.StringVar(&q.RollbackOf, "rollback-of", "", "`commit` whose release a rollback takes back; it must be the one that runs")
	flags.StringVar(&q.Before, "before", "", "`digest` that the overlay had when the release was decided; with another one by now it is refused (default: what it has at first)")
	flags.StringVar(&q.Manifests, "manifests", "", "`sha256:<64 hex>` of what the overlay was judged to render to with the image; where it is something else by now it is refused")
	flags.BoolVar(&q.Older, "older", false, "let it bring back what the overlay ran before")
	flags.StringVar(&q.Evidence, "evidence", "", "`digest` of the decision that allows it, sha256:<64 hex>, for the commit's trailer")
	when := flags.String("time", "", "commit `time`, RFC 3339 (default now)")
	attempts := flags.Int("attempts", 20, "how `many` times to read, edit and push while others push too (1 to 100)")
	return func(ctx context.Context) (any, error) {
		now := time.Now
		if *when != "" {
			at, err := time.Parse(time.RFC3339, *when)
			if err != nil {
				return nil, step.Input(release.Stage, fmt.Sprintf("time %.80q", *when), "is not an RFC 3339 time",
					"give a time such as 2006-01-02T15:04:05Z").Because(err)
			}
			now = func() time.Time { return at }
		}
		r := &release.Releaser{
			Branch: f.options.Branch, Root: f.root, Attempts: *attempts,
			Now: now, Sleep: remote.Sleep, Log: os.Stderr,
		}
		if err := r.Check(q); err != nil {
			return nil, err
		}
		var err error
		if r.Renderer, err = renderer(); err != nil {
			return nil, err
		}
		if r.Remote, err = f.open(); err != nil {
			return nil, err
		}
		return r.Release(ctx, q)
	}
}

func showCommand(flags *flag.FlagSet, _ *string) step.Work {
	f := addRemote(flags)
	app := flags.String("app", "", "`name` of the app")
	env := flags.String("env", "", "`name` of the environment")
	repository := flags.String("repository", "", "image `repository`, where the overlay has more than one images entry")
	return func(ctx context.Context) (any, error) {
		from, err := f.open()
		if err != nil {
			return nil, err
		}
		return release.Show(ctx, from, f.options.Branch, f.root, *app, *env, *repository)
	}
}

func historyCommand(flags *flag.FlagSet, _ *string) step.Work {
	f := addRemote(flags)
	app := flags.String("app", "", "`name` of the app")
	env := flags.String("env", "", "`name` of the environment")
	repository := flags.String("repository", "", "image `repository`, where the overlay has more than one images entry")
	limit := flags.Int("limit", 50, fmt.Sprintf("how `many` releases to list (1 to %d)", release.MaxHistory))
	return func(ctx context.Context) (any, error) {
		from, err := f.open()
		if err != nil {
			return nil, err
		}
		return release.History(ctx, from, f.root, *app, *env, *repository, *limit)
	}
}

func mergedCommand(flags *flag.FlagSet, _ *string) step.Work {
	f := addRemote(flags)
	commit := flags.String("commit", "", "`commit` that must be on the branch")
	return func(ctx context.Context) (any, error) {
		from, err := f.open()
		if err != nil {
			return nil, err
		}
		return release.Merged(ctx, from, *commit)
	}
}

func previewCommand(flags *flag.FlagSet, out *string) step.Work {
	f, renderer := addRemote(flags), addHelm(flags)
	var q release.PreviewRequest
	flags.StringVar(&q.App, "app", "", "`name` of the app")
	flags.StringVar(&q.Env, "env", "", "`name` of the environment")
	flags.StringVar(&q.Repository, "repository", "", "image `repository`, such as localhost:5000/hello")
	flags.StringVar(&q.Digest, "digest", "", "image `digest`, sha256:<64 hex>")
	flags.BoolVar(&q.Older, "older", false, "let it bring back what the overlay ran before")
	dir := flags.String("tree", "", "GitOps `folder` to look at instead of the remote")
	return func(ctx context.Context) (any, error) {
		q.Root = f.root
		err := q.Check()
		if err != nil {
			return nil, err
		}
		if q.Renderer, err = renderer(); err != nil {
			return nil, err
		}
		preview, diff, err := func() (*release.Preview, []byte, error) {
			if *dir != "" {
				tree, err := overlay.ReadDir(*dir)
				if err != nil {
					return nil, nil, err
				}
				return release.PreviewTree(tree, q)
			}
			from, err := f.open()
			if err != nil {
				return nil, nil, err
			}
			return release.PreviewRemote(ctx, from, q)
		}()
		if err != nil {
			return nil, err
		}
		if err := write(*out, "manifests.yaml", preview.Manifests); err != nil {
			return nil, err
		}
		return preview, write(*out, "diff.patch", diff)
	}
}

// write stores a result file below out.
func write(out, file string, data []byte) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, file), data, 0o644)
}

func renderCommand(flags *flag.FlagSet, out *string) step.Work {
	dir := flags.String("tree", "", "GitOps `folder`")
	app := flags.String("app", "", "`name` of the app")
	env := flags.String("env", "", "`name` of the environment")
	renderer := addHelm(flags)
	return func(context.Context) (any, error) {
		if err := step.Name(release.Stage, "app", *app); err != nil {
			return nil, err
		}
		if err := step.Name(release.Stage, "environment", *env); err != nil {
			return nil, err
		}
		with, err := renderer()
		if err != nil {
			return nil, err
		}
		tree, err := overlay.ReadDir(*dir)
		if err != nil {
			return nil, err
		}
		manifests, err := with.Render(tree, *app, *env)
		if err != nil {
			return nil, err
		}
		const file = "manifests.yaml"
		if err := write(*out, file, manifests); err != nil {
			return nil, err
		}
		return gitops.Rendered{File: file, Path: overlay.Folder(*app, *env)}, nil
	}
}

func checkCommitCommand(flags *flag.FlagSet, _ *string) step.Work {
	var want gitops.Committed
	dir := flags.String("checkout", "", "`folder` with a clone of the GitOps repository")
	flags.StringVar(&want.Commit, "commit", "", "`commit` that must be in the history of the checkout's head")
	flags.StringVar(&want.Path, "path", "", "`file` that it must have changed, inside the repository")
	flags.StringVar(&want.Repository, "repository", "", "image `repository` whose digest the file must hold")
	flags.StringVar(&want.Digest, "digest", "", "image `digest` that the file must hold, sha256:<64 hex>")
	flags.StringVar(&want.Evidence, "evidence", "", "`digest` that the commit's trailer must name; none when it is empty")
	return func(context.Context) (any, error) {
		if err := release.CheckCommitted(*dir, want); err != nil {
			return nil, err
		}
		return want, nil
	}
}
