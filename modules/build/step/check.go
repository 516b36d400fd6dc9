package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"slipway/build/step/commit"
	"slipway/build/step/dockerfile"
	"slipway/build/step/image"
	"slipway/build/step/packages"
	"slipway/build/step/packages/npm"
	"slipway/build/step/packages/pip"
	"slipway/step"
	"slipway/step/reach"
	"slipway/step/result/build"
)

// recipe are the flags that say which Dockerfile is built, and how.
type recipe struct {
	source, file             string
	platforms, args, secrets step.List
	bases                    step.List
	target, shown, network   string
	packages                 bool
	content                  []byte
	options                  dockerfile.Options
}

func recipeFlags(fs *flag.FlagSet) *recipe {
	r := &recipe{}
	fs.StringVar(&r.source, "source", "", "the app's folder, which is the build context")
	fs.StringVar(&r.file, "file", "Dockerfile", "the Dockerfile's path in it")
	fs.StringVar(&r.shown, "display", "", "what to call the file in refusals; --file when absent")
	fs.Var(&r.platforms, "platform", "platform that is built, such as linux/amd64; repeatable")
	fs.Var(&r.args, "build-arg", "build argument that the builder will be given, as KEY=VALUE; repeatable")
	fs.Var(&r.bases, "base", "image for a name that no digest pins, as NAME=REFERENCE; repeatable")
	fs.StringVar(&r.target, "target", "", "the stage that is built; the last one when absent")
	fs.Var(&r.secrets, "secret", "id of a secret that the build may mount; repeatable")
	fs.BoolVar(&r.packages, "packages", false, "the build context has a folder of fetched packages, which each command is served")
	fs.StringVar(&r.network, "network", "", "id of the mount in which each command finds its gateway; none when absent")
	return r
}

// read takes the flags for what they stand for.
func (r *recipe) read() error {
	if r.shown == "" {
		r.shown = r.file
	}
	r.options = dockerfile.Options{Platforms: r.platforms, Args: map[string]string{}, Bases: map[string]string{}, Target: r.target, Secrets: r.secrets, Packages: r.packages, Network: r.network}
	for _, v := range r.args {
		key, value, ok := strings.Cut(v, "=")
		if !ok || key == "" {
			return step.Input(dockerfile.Stage, fmt.Sprintf("--build-arg %.80q", v), "is not KEY=VALUE", "give a name, an equals sign and a value")
		}
		r.options.Args[key] = value
	}
	for _, v := range r.bases {
		written, base, ok := strings.Cut(v, "=")
		if !ok {
			return step.Input(dockerfile.Stage, fmt.Sprintf("--base %.200q", v), "is not NAME=REFERENCE", "give a name, an equals sign and a pinned reference")
		}
		r.options.Bases[written] = base
	}
	var err error
	r.content, err = r.inside(r.file)
	if err != nil {
		return step.Input(dockerfile.Stage, r.shown, "can't be read", "give the path of a Dockerfile").Because(err)
	}
	return nil
}

// inside reads a file of the app; no link leads it elsewhere.
func (r *recipe) inside(name string) ([]byte, error) {
	root, err := os.OpenRoot(r.source)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.ReadFile(name)
}

func dockerfileCheck(fs *flag.FlagSet, _ *string) step.Work {
	r := recipeFlags(fs)
	return func(context.Context) (any, error) {
		if err := r.read(); err != nil {
			return nil, err
		}
		checked, err := dockerfile.Check(r.shown, r.content, r.options)
		if err != nil {
			return nil, err
		}
		if checked.Ignore, err = r.ignored(); err != nil {
			return nil, err
		}
		step.Say("%s: %d bases, each pinned", r.shown, len(checked.Bases))
		return checked, nil
	}
}

func packagesFetch(fs *flag.FlagSet, out *string) step.Work {
	source := fs.String("source", "", "folder of the app, of which only lock files are read")
	var n npm.Source
	fs.StringVar(&n.Registry, "npm", "", "base address of the registry that npm's packages are fetched from; its lock files are refused when absent")
	var p pip.Source
	fs.StringVar(&p.Index, "pip", "", "base address of the simple index that pip's packages are fetched from; requirements are refused when absent")
	netrc := fs.String("netrc", "", "file with the credentials of registries and indexes, in .netrc's format")
	connections := reach.Flag(fs, "connect", "where an address's host:port is reached")
	return func(ctx context.Context) (any, error) {
		in := packages.Input{Source: *source, Sources: []packages.Source{n, p}}
		var err error
		if in.Reach.Connections, err = connections(packages.Stage); err != nil {
			return nil, err
		}
		if *netrc != "" {
			if in.Reach.Netrc, err = packages.ReadNetrc(*netrc); err != nil {
				return nil, err
			}
		}
		fetched, err := packages.Fetch(ctx, filepath.Join(*out, build.PackagesFolder), in)
		if err != nil {
			return nil, err
		}
		step.Say("%d lock files: %d packages, %d bytes", len(fetched.Locks), fetched.Packages, fetched.Bytes)
		return fetched, nil
	}
}

func committed(fs *flag.FlagSet, _ *string) step.Work {
	repository := fs.String("repository", "", "folder that holds the folder .git of the checkout")
	source := fs.String("source", "", "the folder that things are taken from")
	var paths, without step.List
	fs.Var(&paths, "path", "file or folder that is taken, in --source and in the commit; repeatable")
	fs.Var(&without, "without", "name pattern of what was left out of --source; repeatable")
	since := fs.String("since", "", "id of another commit to compare with (default: the checkout's head)")
	return func(context.Context) (any, error) {
		result, err := commit.Compare(commit.Input{Repository: *repository, Source: *source, Paths: paths, Without: without, Since: *since})
		if err != nil {
			return nil, err
		}
		step.Say("commit %s, %d differences", result.Commit, len(result.Uncommitted))
		return result, nil
	}
}

func order(fs *flag.FlagSet, _ *string) step.Work {
	repository := fs.String("repository", "", "folder that holds the folder .git of the checkout")
	source := fs.String("source", "", "the checkout")
	older := fs.String("older", "", "the commit that may be an ancestor")
	newer := fs.String("newer", "", "the commit whose history is looked through")
	return func(context.Context) (any, error) { return commit.Order(*repository, *source, *older, *newer) }
}

// ignored are the patterns of the ignore file that the builder would take: the
// Dockerfile's own if it isn't empty, else that of the folder.
func (r *recipe) ignored() ([]string, error) {
	for _, name := range []string{r.file + ".dockerignore", ".dockerignore"} {
		content, err := r.inside(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, step.Input(dockerfile.Stage, name, "can't be read", "make it a file of the app").Because(err)
		}
		if len(content) > 0 {
			return dockerfile.Ignored(name, content)
		}
	}
	return []string{}, nil
}

func dockerfileRewrite(fs *flag.FlagSet, out *string) step.Work {
	r := recipeFlags(fs)
	var box, images step.List
	fs.Var(&box, "box", "argument of the box that runs each command; repeatable, in order")
	fs.Var(&images, "image", "base image as REFERENCE=PLATFORM=PATH of an OCI archive that has its config; repeatable")
	return func(context.Context) (any, error) {
		if err := r.read(); err != nil {
			return nil, err
		}
		configs, err := configs(r, images, *out)
		if err != nil {
			return nil, err
		}
		rewritten, err := dockerfile.Rewrite(r.shown, r.content, r.options, box, configs)
		if err != nil {
			return nil, err
		}
		scripts := filepath.Join(*out, build.ScriptsFolder)
		if err := os.MkdirAll(scripts, 0o755); err != nil {
			return nil, err
		}
		for name, script := range rewritten.Scripts {
			if err := os.WriteFile(filepath.Join(scripts, name), script, 0o755); err != nil {
				return nil, err
			}
		}
		return struct{}{}, os.WriteFile(filepath.Join(*out, "Dockerfile"), rewritten.Dockerfile, 0o644)
	}
}

// configs are those of the base images.
func configs(r *recipe, images step.List, out string) (map[dockerfile.Config]dockerfile.ImageConfig, error) {
	all := map[dockerfile.Config]dockerfile.ImageConfig{}
	// Beside the result, where there is room: /tmp may be memory.
	scratch := filepath.Join(out, ".scratch")
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return nil, fmt.Errorf("make scratch folder: %w", err)
	}
	defer os.RemoveAll(scratch)
	for _, value := range images {
		reference, archive, ok := strings.Cut(value, "=")
		if !ok || len(r.platforms) != 1 {
			return nil, step.Input(dockerfile.Stage, fmt.Sprintf("--image %.200q", value), "is not REFERENCE=PLATFORM=PATH for one --platform", "give the base image's archive")
		}
		source, err := image.ParseSource("image", archive)
		if err != nil {
			return nil, err
		}
		config, err := image.ReadConfig(scratch, source)
		if err != nil {
			return nil, err
		}
		all[dockerfile.Config{Build: r.platforms[0], Platform: source.Platform, Reference: reference}] = dockerfile.ImageConfig{Shell: config.Shell, OnBuild: config.OnBuild}
	}
	return all, nil
}
