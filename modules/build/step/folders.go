package main

import (
	"context"
	"path/filepath"

	"slipway/build/step/folder"
)

// filesFolder is the name of the unpacked folder below --out.
const filesFolder = "files"

func pack(name string, args []string) (string, func(context.Context) (any, error), error) {
	fs, out := flags(name)
	source := fs.String("folder", "", "what to pack: a folder with a folder for each part")
	err := finish(fs, args, out)
	return *out, func(context.Context) (any, error) {
		packed, err := folder.Pack(filepath.Join(*out, layoutFolder), *source)
		if err != nil {
			return nil, err
		}
		say("packed %d layers, %d bytes: %s", packed.Layers, packed.Size, packed.Digest)
		return packed, nil
	}, err
}

func unpack(name string, args []string) (string, func(context.Context) (any, error), error) {
	fs, out := flags(name)
	layout := fs.String("layout", "", "folder of the OCI layout that pack made")
	err := finish(fs, args, out)
	return *out, func(context.Context) (any, error) {
		return folder.Unpack(*layout, filepath.Join(*out, filesFolder))
	}, err
}
