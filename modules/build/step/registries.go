package main

import (
	"context"
	"path/filepath"

	"slipway/build/step/transfer"
	"slipway/registry"
)

func publish(name string, args []string) (string, func(context.Context) (any, error), error) {
	const stage = "publish"
	fs, out := flags(name)
	a := registry.AddFlags(fs, say)
	layout := fs.String("layout", "", "folder of the OCI layout")
	digest := fs.String("digest", "", "digest of the layout's index, as sha256:…")
	repository := fs.String("repository", "", "where to push, as REGISTRY/NAME")
	err := finish(fs, args, out)
	return *out, func(ctx context.Context) (any, error) {
		repo, err := registry.ParseRepository(stage, "--repository", *repository)
		if err != nil {
			return nil, err
		}
		who, err := a.Access(stage)
		if err != nil {
			return nil, err
		}
		return transfer.Publish(ctx, *layout, *digest, repo, who)
	}, err
}

func fetchVerify(name string, args []string) (string, func(context.Context) (any, error), error) {
	const stage = "verify"
	fs, out := flags(name)
	a := registry.AddFlags(fs, say)
	reference := fs.String("reference", "", "the image, as REGISTRY/NAME@sha256:…")
	err := finish(fs, args, out)
	return *out, func(ctx context.Context) (any, error) {
		ref, err := registry.ParseReference(stage, "--reference", *reference)
		if err != nil {
			return nil, err
		}
		who, err := a.Access(stage)
		if err != nil {
			return nil, err
		}
		return transfer.FetchVerify(ctx, ref, who)
	}, err
}

func pull(name string, args []string) (string, func(context.Context) (any, error), error) {
	const stage = "pull"
	fs, out := flags(name)
	a := registry.AddFlags(fs, say)
	reference := fs.String("reference", "", "the image, as REGISTRY/NAME@sha256:…")
	err := finish(fs, args, out)
	return *out, func(ctx context.Context) (any, error) {
		ref, err := registry.ParseReference(stage, "--reference", *reference)
		if err != nil {
			return nil, err
		}
		who, err := a.Access(stage)
		if err != nil {
			return nil, err
		}
		return transfer.Pull(ctx, filepath.Join(*out, layoutFolder), ref, transfer.MaxImage, who)
	}, err
}
