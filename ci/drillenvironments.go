package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"strings"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/drill"
	"slipway/step"
)

// oneEnvironment is why attacks from one environment on another are not made.
const oneEnvironment = "name a second environment in " + config.File

// another is an environment that the drill's runner is not for; empty where there is none.
func (t *target) another() string {
	for _, env := range t.settings.EnvironmentNames() {
		if env != t.env {
			return env
		}
	}
	return ""
}

// attackEnvironments attacks another environment with what a runner for this one holds.
func (t *target) attackEnvironments(ctx context.Context) (drill.Table, error) {
	other := t.another()
	if other == "" {
		return drill.Table{drill.OtherOverlay.Skip(oneEnvironment), drill.OtherEnvironmentsState.Skip(oneEnvironment)}, nil
	}
	s, err := t.guarded(ctx, other)
	if err != nil {
		return nil, err
	}
	push := func(env string) error {
		nobody := step.Refer(s.Config.Image(drill.App), "sha256:"+strings.Repeat("0f", 32))
		rendered, err := s.render(ctx, "release", drill.App, env, nobody, false)
		if err == nil {
			_, err = rendered.release(ctx, nobody, "drill", "", releaseReason{Kind: "release"})
		}
		return err
	}
	plan := func(env string) error {
		_, err := (&Infrastructure{Environment: env, Slipway: s}).Plan(ctx)
		return err
	}
	return drill.Make([]func() drill.Result{
		func() drill.Result {
			return drill.OtherOverlay.Of(t.env).Judge(push(t.env), func() error { return push(other) })
		},
		func() drill.Result {
			return drill.OtherEnvironmentsState.Judge(plan(t.env), func() error { return plan(other) })
		},
	}), nil
}

// guarded is the target with a Git remote and a state that have accounts, for somebody
// who has those of the target's environment only, and uses them for the other one, too.
func (t *target) guarded(ctx context.Context, other string) (*Slipway, error) {
	files, err := drill.Files(other, t.settings.Registry.Repository)
	if err != nil {
		return nil, err
	}
	accounts := map[string]account{}
	for _, purpose := range []string{
		imagesAccount, databaseAccount, toolboxAccount, "platform",
		gitopsAccount + t.env, stateAccount + t.env, gitopsAccount + other, stateAccount + other,
	} {
		accounts[purpose] = account{Username: purpose, Password: rand.Text()}
	}
	text, err := json.Marshal(accounts)
	if err != nil {
		return nil, err
	}
	remote := dag.Drill(dagger.DrillOpts{Run: rand.Text(), Accounts: dag.SetSecret("drill-accounts-"+rand.Text(), string(text))})
	at := &Endpoint{Service: remote.Service()}
	for _, purpose := range []string{gitopsAccount, stateAccount} {
		own := accounts[purpose+t.env]
		password := dag.SetSecret("drill-password-"+rand.Text(), own.Password)
		for _, env := range []string{t.env, other} {
			at.Accounts = append(at.Accounts, &Account{Purpose: purpose + env, Username: own.Username, Password: password})
		}
	}
	if _, err := at.Service.Start(ctx); err != nil {
		return nil, err
	}
	next := *t.Slipway
	next.Source, next.GitOps, next.State = withFiles(t.Source, "", files), at, at
	_, err = remote.Seed(ctx, next.Source.Directory("gitops"))
	return &next, err
}

// otherKey has an image verified for another environment, whose key is not the one that
// has signed it.
func (t *target) otherKey(ctx context.Context, image *SignedImage) drill.Result {
	other := t.another()
	if other == "" {
		return drill.OtherEnvironmentsKey.Skip(oneEnvironment)
	}
	s, err := t.keysApart(ctx, other)
	verify := func(env string) error {
		if err != nil {
			return err
		}
		its := *image
		its.Slipway = s
		_, err := its.verify(ctx, "release", env, "")
		return err
	}
	return drill.OtherEnvironmentsKey.Judge(verify(t.env), func() error { return verify(other) })
}

// keysApart is the target whose key signs for its environment alone.
func (t *target) keysApart(ctx context.Context, other string) (*Slipway, error) {
	const own, theirs = "gitops/own.pub", "gitops/theirs.pub"
	s, err := t.with(func(c *config.Config) {
		c.Environments = maps.Clone(c.Environments)
		for env, file := range map[string]string{t.env: own, other: theirs} {
			e := c.Environments[env]
			e.Signing.PublicKey = file
			c.Environments[env] = e
		}
	})
	if err != nil {
		return nil, err
	}
	key, password, err := throwawayKey(ctx)
	if err != nil {
		return nil, err
	}
	s.Source = s.Source.
		WithFile(own, dag.Sign().PublicKey(t.Key, t.KeyPassword).File("cosign.pub")).
		WithFile(theirs, dag.Sign().PublicKey(key, password).File("cosign.pub"))
	return s, nil
}
