package main

import (
	"context"
	"path/filepath"

	"slipway/build/step/folder"
	"slipway/build/step/transfer"
	"slipway/registry"
)

// filesFolder is the name of the unpacked folder below --out.
const filesFolder = "files"

func publishFolder(name string, args []string) (string, func(context.Context) (any, error), error) {
	const stage = "publish"
	fs, out := flags(name)
	a := registry.AddFlags(fs, say)
	source := fs.String("folder", "", "what to publish: a folder with a folder for each part")
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
		layout := filepath.Join(*out, layoutFolder)
		packed, err := folder.Pack(layout, *source)
		if err != nil {
			return nil, err
		}
		say("packed %d layers, %d bytes: %s", packed.Layers, packed.Size, packed.Digest)
		return transfer.Publish(ctx, layout, packed.Digest, repo, who)
	}, err
}

func unpack(name string, args []string) (string, func(context.Context) (any, error), error) {
	fs, out := flags(name)
	layout := fs.String("layout", "", "folder of the OCI layout that publish-folder made")
	err := finish(fs, args, out)
	return *out, func(context.Context) (any, error) {
		return folder.Unpack(*layout, filepath.Join(*out, filesFolder))
	}, err
}
