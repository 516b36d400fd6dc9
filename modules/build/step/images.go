package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"slipway/build/step/image"
	"slipway/step"
	"slipway/step/result/build"
)

// layoutFolder is the name of the layout below --out.
const layoutFolder = "layout"

func assemble(fs *flag.FlagSet, out *string) step.Work {
	var binaries, labels, ports step.List
	fs.Var(&binaries, "binary", "static executable as PLATFORM=PATH; repeat for each platform")
	app := fs.String("name", "app", "the binary's name in the image")
	zoneinfo := fs.String("zoneinfo", "", "Go's lib/time/zoneinfo.zip")
	fs.Var(&ports, "port", "TCP port to expose; repeatable")
	fs.Var(&labels, "label", "label and annotation as KEY=VALUE; repeatable")
	tree := fs.String("tree", "", "folder of the app, whose Git tree id becomes the revision")
	return func(context.Context) (any, error) {
		in := image.AssembleInput{Name: *app, Zoneinfo: *zoneinfo, Ports: ports, Tree: *tree}
		var err error
		if in.Binaries, err = sources("binary", binaries); err != nil {
			return nil, err
		}
		if in.Labels, err = image.ParseLabels(labels); err != nil {
			return nil, err
		}
		built, err := image.Assemble(filepath.Join(*out, layoutFolder), in)
		return told(built, err)
	}
}

func normalize(fs *flag.FlagSet, out *string) step.Work {
	var images, labels step.List
	fs.Var(&images, "image", "OCI archive or layout as PLATFORM=PATH; repeat for each platform")
	fs.Var(&labels, "label", "label and annotation as KEY=VALUE; repeatable")
	tree := fs.String("tree", "", "folder of the app, whose Git tree id becomes the revision")
	return func(context.Context) (any, error) {
		in := image.NormalizeInput{Tree: *tree}
		var err error
		if in.Images, err = sources("image", images); err != nil {
			return nil, err
		}
		if in.Labels, err = image.ParseLabels(labels); err != nil {
			return nil, err
		}
		// Beside the result, where there is room: /tmp may be memory.
		scratch := filepath.Join(*out, ".scratch")
		if err := os.MkdirAll(scratch, 0o700); err != nil {
			return nil, fmt.Errorf("make scratch folder: %w", err)
		}
		defer os.RemoveAll(scratch)
		built, err := image.Normalize(filepath.Join(*out, layoutFolder), scratch, in)
		return told(built, err)
	}
}

func sources(flag string, values []string) ([]image.Source, error) {
	var out []image.Source
	for _, v := range values {
		s, err := image.ParseSource(flag, v)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func told(built build.Built, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	for _, p := range built.Platforms {
		step.Say("built %s: %s, %d bytes", p.Platform, p.Digest, p.Size)
	}
	step.Say("index %s of source %s", built.Digest, built.Revision)
	return built, nil
}
