package main

import (
	"context"
	"flag"
	"path/filepath"
	"time"

	"slipway/build/step/registry"
)

// firstWait is the pause before an operation's second try.
const firstWait = 500 * time.Millisecond

// access is the flags of a subcommand that speaks with a registry.
type access struct {
	connect      list
	username     *string
	passwordFile *string
}

func accessFlags(fs *flag.FlagSet) *access {
	a := &access{
		username:     fs.String("username", "", "the registry's user name, or an Azure identity as JSON; absent means anonymous"),
		passwordFile: fs.String("password-file", "", "file with the registry's password or token, or the identity's request token"),
	}
	fs.Var(&a.connect, "connect", "dial ACTUAL for LOGICAL, as LOGICAL=ACTUAL, both host:port; repeatable")
	return a
}

func (a *access) options(stage string) (registry.Options, error) {
	connections, err := registry.ParseConnections(stage, a.connect)
	if err != nil {
		return registry.Options{}, err
	}
	o := registry.Options{Stage: stage, Connections: connections, Wait: firstWait, Say: say}
	return o, o.Credentials(*a.username, *a.passwordFile)
}

func publish(name string, args []string) (string, func(context.Context) (any, error), error) {
	const stage = "publish"
	fs, out := flags(name)
	a := accessFlags(fs)
	layout := fs.String("layout", "", "folder of the OCI layout")
	digest := fs.String("digest", "", "digest of the layout's index, as sha256:…")
	repository := fs.String("repository", "", "where to push, as REGISTRY/NAME")
	err := finish(fs, args, out)
	return *out, func(ctx context.Context) (any, error) {
		repo, err := registry.ParseRepository(stage, "--repository", *repository)
		if err != nil {
			return nil, err
		}
		o, err := a.options(stage)
		if err != nil {
			return nil, err
		}
		return registry.Publish(ctx, *layout, *digest, repo, o)
	}, err
}

func fetchVerify(name string, args []string) (string, func(context.Context) (any, error), error) {
	const stage = "verify"
	fs, out := flags(name)
	a := accessFlags(fs)
	reference := fs.String("reference", "", "the image, as REGISTRY/NAME@sha256:…")
	err := finish(fs, args, out)
	return *out, func(ctx context.Context) (any, error) {
		repo, digest, err := registry.ParseReference(stage, "--reference", *reference)
		if err != nil {
			return nil, err
		}
		o, err := a.options(stage)
		if err != nil {
			return nil, err
		}
		return registry.FetchVerify(ctx, repo, digest, o)
	}, err
}

func pull(name string, args []string) (string, func(context.Context) (any, error), error) {
	const stage = "pull"
	fs, out := flags(name)
	a := accessFlags(fs)
	reference := fs.String("reference", "", "the image, as REGISTRY/NAME@sha256:…")
	err := finish(fs, args, out)
	return *out, func(ctx context.Context) (any, error) {
		repo, digest, err := registry.ParseReference(stage, "--reference", *reference)
		if err != nil {
			return nil, err
		}
		o, err := a.options(stage)
		if err != nil {
			return nil, err
		}
		return registry.Pull(ctx, filepath.Join(*out, layoutFolder), repo, digest, registry.MaxImage, o)
	}, err
}
