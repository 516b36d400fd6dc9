package main

import (
	"context"
	"slices"

	"slipway/ci/internal/dagger"

	"slipway/ci/render"
	"slipway/step"
	"slipway/step/printable"
	"slipway/step/result/gitops"
	"slipway/step/result/scan"
)

const previewStage = "preview"

// Preview is what a release of the present source would change.
type Preview struct {
	// App that would be released.
	App string
	// Environment it would be released to.
	Environment string
	// Head is the GitOps repository's newest commit, which the release would be
	// made on.
	Head string
	// Before is the digest of the image that the environment has now; empty
	// before the first release.
	Before string
	// After is the digest of the image that it would have.
	After string
	// Changes is false when the rendered manifests would stay as they are.
	Changes bool
	// Refusal says why the scan's policy would refuse the release, or that it would go
	// back; empty when it would pass.
	Refusal string
	// Uncompared says why the two images could not be compared, such as that the
	// one that runs is gone from the registry; empty when they were.
	Uncompared string
	Repository string // +private
	Delta      *Delta // +private
	Patch      string // +private
}

// Preview builds and scans the present source and says what its release would change in
// an environment: the image, its packages and their vulnerabilities compared with the
// image that runs there now, and the rendered manifests. Misconfigurations are those of
// what the overlay would render to on both sides, since a release changes only the image. Nothing
// is pushed, signed, committed or applied. An image that the scan's policy refuses, or an
// older one than the one that runs, has a preview, too, which says so, and why.
//
// Example: dagger call preview --app hello --env dev text
//
// +cache="never"
func (s *Slipway) Preview(
	ctx context.Context,
	// The app's folder below apps/.
	app string,
	// The environment to look at.
	env string,
) (*Preview, error) {
	if err := s.checkEnvironments(previewStage, app, env); err != nil {
		return nil, err
	}
	a, err := s.App(ctx, app)
	if err != nil {
		return nil, err
	}
	var (
		image    *Image
		database *dagger.Directory
	)
	if err := sideBySide(
		func() (err error) { image, err = a.Build(ctx); return },
		func() (err error) { database, err = s.database(ctx); return },
	); err != nil {
		return nil, err
	}
	var (
		p             *Preview
		after, before *scan.Findings
		refusal       string
		manifests     []scan.Misconfiguration
	)
	if err := sideBySide(
		func() (err error) { after, refusal, err = image.previewScan(ctx, database); return },
		func() (err error) {
			if p, manifests, err = image.rendered(ctx, env); err != nil || p.Before == "" || p.Before == p.After {
				return err
			}
			before, p.Uncompared, err = image.running(ctx, p.Before, database)
			return err
		},
	); err != nil {
		return nil, err
	}
	p.Refusal = or(refusal, p.Refusal)
	for _, found := range []*scan.Findings{before, after} {
		if found != nil {
			found.Misconfigurations = slices.Concat(found.Misconfigurations, manifests)
		}
	}
	switch {
	case after == nil:
		p.Uncompared = "the scan refuses the present source before it has findings"
	case p.Before == "":
		before = &scan.Findings{}
	case p.Before == p.After:
		before = after
	}
	if p.Uncompared == "" {
		delta := render.Compare(*before, *after)
		p.Delta = &delta
	}
	return p, nil
}

// previewScan scans the image and says what the policy would refuse a release of
// it for. There are no findings where the scanner itself refuses.
func (i *Image) previewScan(ctx context.Context, database *dagger.Directory) (found *scan.Findings, refusal string, err error) {
	if _, found, err = i.findings(ctx, database); err == nil {
		_, err = i.judge(ctx, found)
	}
	refusal, err = refusalOf(err)
	return found, refusal, err
}

// refusalOf is what a refusal by policy says; any other error stays one.
func refusalOf(err error) (string, error) {
	if f, ok := step.AsFault(err); ok && f.Kind == step.KindPolicy {
		return f.Error(), nil
	}
	return "", err
}

// rendered asks the GitOps repository what a release of the image would change, and
// scans what the overlay would render to.
func (i *Image) rendered(ctx context.Context, env string) (*Preview, []scan.Misconfiguration, error) {
	s, app := i.App.Slipway, i.App.Name
	reference := step.Refer(s.Config.Image(app), i.Digest)
	seen, err := s.render(ctx, previewStage, app, env, reference, false)
	if err == nil {
		err = s.forward(ctx, app, seen, i.Revision)
	}
	refusal, err := refusalOf(err)
	if refusal != "" {
		seen, err = s.render(ctx, previewStage, app, env, reference, true)
	}
	if err != nil {
		return nil, nil, err
	}
	var manifests []scan.Misconfiguration
	found, err := s.judge(ctx, app, env, seen)
	if found != nil {
		manifests = found.Misconfigurations
	}
	unsafe, err := refusalOf(err)
	if err != nil {
		return nil, nil, err
	}
	if seen.Before == gitops.Unreleased {
		seen.Before = ""
	}
	patch, err := seen.Out.File("diff.patch").Contents(ctx)
	if err != nil {
		return nil, nil, err
	}
	return &Preview{
		App: app, Environment: env, Head: seen.Head, Before: seen.Before, After: seen.After, Changes: seen.Changes, Refusal: or(refusal, unsafe),
		Repository: s.Config.Image(app), Patch: patch,
	}, manifests, nil
}

// running takes the app's image that runs now out of the registry and scans it
// against the same database, beside the same source. An image
// that is gone or can't be scanned is a reason for not comparing, not an error:
// a release may be what mends it. What a later try or another password may mend
// is an error.
func (i *Image) running(ctx context.Context, digest string, database *dagger.Directory) (found *scan.Findings, uncompared string, err error) {
	s := i.App.Slipway
	layout, err := s.pulled(ctx, previewStage, step.Refer(s.Config.Image(i.App.Name), digest))
	if f, ok := step.AsFault(err); ok && f.Kind == step.KindPolicy {
		return nil, f.Error(), nil
	}
	if err != nil {
		return nil, "", err
	}
	running := &Image{Digest: digest, App: i.App, Layout: layout}
	_, found, err = running.findings(ctx, database)
	if f, ok := step.AsFault(err); ok && f.Kind != step.KindInfrastructure {
		return nil, f.Error(), nil
	}
	return found, "", err
}

// Diff is the unified diff of the rendered manifests, object by object, without
// the values of Secrets; empty when nothing would change.
//
// Example: dagger call preview --app hello --env dev diff
//
// +cache="168h"
func (p *Preview) Diff() string { return printable.Whole(p.Patch) }

// Json is the whole preview as JSON. Its delta lists the packages that are
// added, removed and changed, and the vulnerabilities and misconfigurations that
// are introduced, fixed and remaining; it is absent when the images could not be
// compared.
//
// Example: dagger call preview --app hello --env dev json
//
// +cache="168h"
func (p *Preview) Json() (string, error) { return render.Indented(p.shown()) }

// Text is the preview for people.
//
// Example: dagger call preview --app hello --env dev text
//
// +cache="168h"
func (p *Preview) Text() string { return p.shown().Text() }

// shown is the preview as it is printed.
func (p *Preview) shown() render.Preview {
	return render.Preview{
		App: p.App, Environment: p.Environment, Repository: p.Repository, Head: p.Head, Before: p.Before, After: p.After, Changes: p.Changes,
		Refusal: p.Refusal, Uncompared: p.Uncompared, Delta: p.Delta, Diff: p.Patch,
	}
}
