package main

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/rules"
	"slipway/step"
)

// revocations is the text of the platform's file of revocations; empty without one.
func revocations(ctx context.Context, source *dagger.Directory) (string, error) {
	found, err := source.Glob(ctx, config.RevocationsFile)
	if err != nil || len(found) == 0 {
		return "", err
	}
	text, err := source.File(config.RevocationsFile).Contents(ctx)
	if err == nil && text == "" {
		err = step.Input("config", config.RevocationsFile, "is empty", "write revocations: [] where none is, or remove the file")
	}
	return text, err
}

// Revoke takes an image back: it returns revocations.yaml with one more entry, to be
// committed in gitops/platform/policies on the platform's protected branch. From then on
// the image is refused by verify, release, promote and rollback, and by the cluster's
// admission, whatever is signed about it and whoever deletes something from the registry.
// A pod that runs keeps running: rescan and status show it, and a rollback ends it.
//
// Example: dagger call revoke --app hello --digest sha256:… --reason "writes tokens into its log" --by jane@acme.example export --path gitops/platform/policies/revocations.yaml
//
// +cache="never"
func (s *Slipway) Revoke(
	ctx context.Context,
	// The app.
	app string,
	// The image index's digest, sha256:….
	digest string,
	// Why, in a line.
	reason string,
	// Who takes it back: a name or an e-mail address.
	by string,
	// Environments to take it back from; by default all of them.
	// +optional
	envs []string,
) (*dagger.File, error) {
	return s.revoke(ctx, Revocation{App: app, Digest: digest, Reason: reason, By: by, Environments: envs})
}

// revoke is revocations.yaml with more entries, made now.
func (s *Slipway) revoke(ctx context.Context, entries ...Revocation) (*dagger.File, error) {
	text, err := revocations(ctx, s.Source)
	if err != nil {
		return nil, err
	}
	for n := range entries {
		entries[n].At = time.Now().UTC().Truncate(time.Second)
	}
	changed, err := config.Revoke([]byte(text), s.Config.EnvironmentNames(), entries...)
	return dag.File(path.Base(config.RevocationsFile), string(changed)), err
}

// Revocations proposes to revoke, in this environment, each release that has fallen out
// of policy: it returns revocations.yaml with their entries, to be read and committed.
//
// Example: dagger call rescan --env production revocations --by jane@acme.example export --path gitops/platform/policies/revocations.yaml
//
// +cache="never"
func (r *Rescan) Revocations(
	ctx context.Context,
	// Who takes them back: a name or an e-mail address.
	by string,
) (*dagger.File, error) {
	var entries []Revocation
	for _, app := range r.Rows {
		if app.Rescanned == nil || app.Passed {
			continue
		}
		var found []string
		for _, v := range app.Refused {
			if !slices.Contains(found, v.ID) && len(found) < 10 {
				found = append(found, v.ID)
			}
		}
		entries = append(entries, Revocation{App: app.App, Digest: app.Digest, By: by, Environments: []string{r.Environment}, Reason: "fell out of policy: " + strings.Join(found, ", ")})
	}
	return r.Slipway.revoke(ctx, entries...)
}

// unrevoked refuses an image that is revoked for an environment.
func (i *SignedImage) unrevoked(stage, env string) error {
	return rules.Judgement{Reference: i.Reference.String(), Environment: env, Outcomes: rules.Evidence{
		Reference: i.Reference.String(), Environment: env, Revocations: i.Slipway.Revocations,
	}.Revoked()}.Refusal(stage)
}
