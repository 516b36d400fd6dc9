package main

import (
	"context"

	"slipway/ci/internal/dagger"
)

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
