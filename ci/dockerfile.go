package main

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"slipway/ci/internal/dagger"

	"slipway/step"
)

// dockerfileImage builds a Dockerfile for one architecture.
//
// The engine forgets the platform of a build whose base is scratch: the files
// are the right ones, but the image says that it is for the engine's own
// platform. Its settings are then moved onto a container of the right one.
func dockerfileImage(ctx context.Context, source *dagger.Directory, file, arch string) (*dagger.Container, error) {
	platform := dagger.Platform("linux/" + arch)
	built, err := source.DockerBuild(dagger.DirectoryDockerBuildOpts{Dockerfile: file, Platform: platform}).Sync(ctx)
	if err != nil {
		return nil, err
	}
	says, err := built.Platform(ctx)
	if err != nil || says == platform {
		return built, err
	}
	image := dag.Container(dagger.ContainerOpts{Platform: platform}).WithRootfs(built.Rootfs())
	for _, move := range []func(context.Context, *dagger.Container, *dagger.Container) (*dagger.Container, error){
		moveUser, moveEntrypoint, moveArgs, moveWorkdir, moveEnv, moveLabels, movePorts,
	} {
		if image, err = move(ctx, built, image); err != nil {
			return nil, err
		}
	}
	return image, nil
}

// dockerfileFault is what an error of a Dockerfile's build means: a command that
// fails, or that the Dockerfile wants what is not there; otherwise it is the engine's
// or a registry's.
func dockerfileFault(app, file, arch string, err error) error {
	subject := "app " + app + ": " + file
	mend := "see the reason; docker build --platform linux/" + arch + " apps/" + app + " shows it by hand"
	var failed *dagger.ExecError
	if errors.As(err, &failed) {
		if strings.Contains(failed.Stderr, "exec format error") {
			mend = "run no program that is for another platform, or use an engine that emulates linux/" + arch
		}
		// It may be one of the Dockerfile, or the compilation of what it copies.
		reason := strings.Join(failed.Cmd, " ") + " fails for linux/" + arch + " with exit code " + strconv.Itoa(failed.ExitCode)
		said := strings.Split(strings.TrimSpace(failed.Stdout+"\n"+failed.Stderr), "\n")
		if last := said[len(said)-1]; last != "" {
			reason += ": " + last
		}
		return step.Input("build", subject, reason, mend, said[max(0, len(said)-20):]...)
	}
	reason := "can't be built for linux/" + arch + ": " + err.Error()
	for _, wants := range []string{"no such file or directory", "not found", "failed to convert Dockerfile"} {
		if strings.Contains(err.Error(), wants) {
			return step.Input("build", subject, reason, mend)
		}
	}
	return step.Infrastructure("build", subject, reason, mend)
}

func moveUser(ctx context.Context, from, to *dagger.Container) (*dagger.Container, error) {
	user, err := from.User(ctx)
	if err != nil || user == "" {
		return to, err
	}
	return to.WithUser(user), nil
}

func moveEntrypoint(ctx context.Context, from, to *dagger.Container) (*dagger.Container, error) {
	entrypoint, err := from.Entrypoint(ctx)
	if err != nil || len(entrypoint) == 0 {
		return to, err
	}
	return to.WithEntrypoint(entrypoint), nil
}

func moveArgs(ctx context.Context, from, to *dagger.Container) (*dagger.Container, error) {
	args, err := from.DefaultArgs(ctx)
	if err != nil || len(args) == 0 {
		return to, err
	}
	return to.WithDefaultArgs(args), nil
}

func moveWorkdir(ctx context.Context, from, to *dagger.Container) (*dagger.Container, error) {
	workdir, err := from.Workdir(ctx)
	if err != nil || workdir == "" {
		return to, err
	}
	return to.WithWorkdir(workdir), nil
}

func moveEnv(ctx context.Context, from, to *dagger.Container) (*dagger.Container, error) {
	variables, err := from.EnvVariables(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range variables {
		name, err := v.Name(ctx)
		if err != nil {
			return nil, err
		}
		value, err := v.Value(ctx)
		if err != nil {
			return nil, err
		}
		to = to.WithEnvVariable(name, value)
	}
	return to, nil
}

func moveLabels(ctx context.Context, from, to *dagger.Container) (*dagger.Container, error) {
	labels, err := from.Labels(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range labels {
		name, err := l.Name(ctx)
		if err != nil {
			return nil, err
		}
		value, err := l.Value(ctx)
		if err != nil {
			return nil, err
		}
		to = to.WithLabel(name, value)
	}
	return to, nil
}

func movePorts(ctx context.Context, from, to *dagger.Container) (*dagger.Container, error) {
	ports, err := from.ExposedPorts(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range ports {
		port, err := p.Port(ctx)
		if err != nil {
			return nil, err
		}
		protocol, err := p.Protocol(ctx)
		if err != nil {
			return nil, err
		}
		to = to.WithExposedPort(port, dagger.ContainerWithExposedPortOpts{Protocol: protocol})
	}
	return to, nil
}
