package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"slipway/build/step/commit"
	"slipway/build/step/dockerfile"
	"slipway/step"
)

func dockerfileCheck(name string, args []string) (string, func(context.Context) (any, error), error) {
	fs, out := flags(name)
	file := fs.String("file", "", "the Dockerfile")
	shown := fs.String("display", "", "what to call the file in refusals; --file when absent")
	var buildArgs list
	fs.Var(&buildArgs, "build-arg", "build argument that the builder will be given, as KEY=VALUE; repeatable")
	err := finish(fs, args, out)
	return *out, func(context.Context) (any, error) {
		given := map[string]string{}
		for _, v := range buildArgs {
			key, value, ok := strings.Cut(v, "=")
			if !ok || key == "" {
				return nil, step.Input(dockerfile.Stage, fmt.Sprintf("--build-arg %.80q", v), "is not KEY=VALUE", "give a name, an equals sign and a value")
			}
			given[key] = value
		}
		path := *shown
		if path == "" {
			path = *file
		}
		content, err := os.ReadFile(*file)
		if err != nil {
			return nil, step.Input(dockerfile.Stage, path, "can't be read", "give the path of a Dockerfile").Because(err)
		}
		checked, err := dockerfile.Check(path, content, given)
		if err != nil {
			return nil, err
		}
		say("%s: %d bases, each pinned", path, len(checked.Bases))
		return checked, nil
	}, err
}

func committed(name string, args []string) (string, func(context.Context) (any, error), error) {
	fs, out := flags(name)
	repository := fs.String("repository", "", "folder that holds the folder .git of the checkout")
	source := fs.String("source", "", "the folder that things are taken from")
	var paths, without list
	fs.Var(&paths, "path", "file or folder that is taken, in --source and in the commit; repeatable")
	fs.Var(&without, "without", "name pattern of what was left out of --source; repeatable")
	err := finish(fs, args, out)
	return *out, func(context.Context) (any, error) {
		result, err := commit.Compare(commit.Input{Repository: *repository, Source: *source, Paths: paths, Without: without})
		if err != nil {
			return nil, err
		}
		say("commit %s, %d differences", result.Commit, len(result.Uncommitted))
		return result, nil
	}, err
}
