package main

import (
	"context"
	"flag"
	"path/filepath"

	"slipway/build/step/folder"
	"slipway/build/step/transfer"
	"slipway/registry"
	"slipway/step"
)

// filesFolder is the name of the unpacked folder below --out.
const filesFolder = "files"

// push is a command that writes a layout to a repository: made returns its folder and
// its index' digest.
func push(fs *flag.FlagSet, made func() (layout, digest string, err error)) step.Work {
	const stage = "publish"
	a := registry.AddFlags(fs, step.Say)
	repository := fs.String("repository", "", "where to push, as REGISTRY/NAME")
	return func(ctx context.Context) (any, error) {
		repo, err := registry.ParseRepository(stage, "--repository", *repository)
		if err != nil {
			return nil, err
		}
		who, err := a.Access(stage)
		if err != nil {
			return nil, err
		}
		layout, digest, err := made()
		if err != nil {
			return nil, err
		}
		return transfer.Publish(ctx, layout, digest, repo, who)
	}
}

func publish(fs *flag.FlagSet, _ *string) step.Work {
	layout := fs.String("layout", "", "folder of the OCI layout")
	digest := fs.String("digest", "", "digest of the layout's index, as sha256:…")
	return push(fs, func() (string, string, error) { return *layout, *digest, nil })
}

func publishFolder(fs *flag.FlagSet, out *string) step.Work {
	source := fs.String("folder", "", "what to publish: a folder with a folder for each part")
	return push(fs, func() (string, string, error) {
		layout := filepath.Join(*out, layoutFolder)
		packed, err := folder.Pack(layout, *source)
		if err != nil {
			return "", "", err
		}
		step.Say("packed %d layers, %d bytes: %s", packed.Layers, packed.Size, packed.Digest)
		return layout, packed.Digest, nil
	})
}

func unpack(fs *flag.FlagSet, out *string) step.Work {
	layout := fs.String("layout", "", "folder of the OCI layout that publish-folder made")
	return func(context.Context) (any, error) {
		return folder.Unpack(*layout, filepath.Join(*out, filesFolder))
	}
}

// read is a command that reads an image from its repository.
func read(fs *flag.FlagSet, stage string, take func(context.Context, *registry.Reference, registry.Access) (any, error)) step.Work {
	a := registry.AddFlags(fs, step.Say)
	reference := fs.String("reference", "", "the image, as REGISTRY/NAME@sha256:…")
	return func(ctx context.Context) (any, error) {
		ref, err := registry.ParseReference(stage, "--reference", *reference)
		if err != nil {
			return nil, err
		}
		who, err := a.Access(stage)
		if err != nil {
			return nil, err
		}
		return take(ctx, ref, who)
	}
}

func fetchVerify(fs *flag.FlagSet, _ *string) step.Work {
	return read(fs, "verify", func(ctx context.Context, ref *registry.Reference, who registry.Access) (any, error) {
		return transfer.FetchVerify(ctx, ref, who)
	})
}

func pull(fs *flag.FlagSet, out *string) step.Work {
	return read(fs, "pull", func(ctx context.Context, ref *registry.Reference, who registry.Access) (any, error) {
		return transfer.Pull(ctx, filepath.Join(*out, layoutFolder), ref, transfer.MaxImage, who)
	})
}
