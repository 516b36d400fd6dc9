package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/step/printable"
	"slipway/step/result/build"
)

// App is one folder of apps/.
type App struct {
	// The app's name.
	Name    string
	Slipway *Slipway // +private
}

// Apps lists the apps that can be delivered: the folders of apps/, and those that
// slipway.yaml registers.
//
// +cache="168h"
func (s *Slipway) Apps(ctx context.Context) ([]string, error) {
	files, err := s.Source.Glob(ctx, "apps/*/"+config.AppFile)
	if err != nil {
		return nil, err
	}
	names := slices.Collect(maps.Keys(s.Config.Apps))
	for _, f := range files {
		names = append(names, strings.Split(f, "/")[1])
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// App is an app: a folder of apps/, or one that with-app has given the code of.
//
// Example: dagger call app --name hello test
//
// +cache="168h"
func (s *Slipway) App(
	ctx context.Context,
	// The app.
	name string,
) (*App, error) {
	_, err := s.settings(ctx, name)
	if err != nil {
		return nil, err
	}
	return &App{Name: name, Slipway: s}, nil
}

// settings reads an app's descriptor.
func (s *Slipway) settings(ctx context.Context, name string) (*config.App, error) {
	text, err := s.descriptor(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.Config.App(name, []byte(text))
}

// usesHelm says whether an app's overlays inflate a Helm chart.
func (s *Slipway) usesHelm(ctx context.Context, app string) (bool, error) {
	if registered, ok := s.Config.Apps[app]; ok {
		return registered.Packaging == config.PackagingHelm, nil
	}
	settings, err := s.settings(ctx, app)
	if err != nil {
		return false, err
	}
	return settings.Packaging == config.PackagingHelm, nil
}

// Test runs the app's own tests and says how those of each package went. Failing tests
// are a refusal, and so is having none. They run as an ordinary user, within the limits
// of slipway.yaml, and without a network, except to the hosts of test.network. The test
// of an app without Go code and without test.target is its build.
//
// Example: dagger call app --name hello test
//
// +cache="168h"
func (a *App) Test(ctx context.Context) (string, error) {
	settings, err := a.Slipway.settings(ctx, a.Name)
	if err != nil {
		return "", err
	}
	if settings.Build.Package == "" && settings.Test.Target == "" {
		image, err := a.Build(ctx)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("built %s\n", image.Digest), nil
	}
	tests, output, err := a.tests(ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	// Each line is marked, so that none is one of the pipeline's own.
	for line := range strings.Lines(output) {
		b.WriteString("| " + strings.TrimRight(line, "\n") + "\n")
	}
	for _, p := range tests.Packages {
		fmt.Fprintf(&b, "ok  \t%s\t%d passed, %d skipped\n", p.Name, p.Passed, p.Skipped)
	}
	return printable.Text(b.String()), nil
}

// tests are the app's own, which have passed: those of its Go packages and the stage
// of its Dockerfile that app.yaml names, with what the stage's last command printed.
// An app without either has none.
func (a *App) tests(ctx context.Context) (tests build.Tests, output string, err error) {
	settings, err := a.Slipway.settings(ctx, a.Name)
	if err != nil {
		return tests, "", err
	}
	held, err := a.box(settings, "test")
	if err != nil {
		return tests, "", err
	}
	if settings.Build.Package != "" {
		app, err := a.goApp(settings)
		if err != nil {
			return tests, "", err
		}
		out := app.Test(dagger.BuildGoAppTestOpts{Hosts: settings.Test.Network})
		if tests, err = resultIn[build.Tests](ctx, out); err != nil {
			return tests, "", err
		}
		if len(settings.Test.Network) > 0 {
			text, err := out.File(build.UsageFile).Contents(ctx)
			if err != nil {
				return tests, "", err
			}
			if err := noted(held, text); err != nil {
				return tests, "", err
			}
		}
	}
	if settings.Test.Target != "" {
		var stage build.TestPackage
		if stage, output, err = a.dockerfileTest(ctx, settings, held); err != nil {
			return tests, "", err
		}
		tests.Packages = append(tests.Packages, stage)
		tests.Add(stage.Counts)
	}
	tests.Box = held
	return tests, output, nil
}

// limits are those of what the app brings along.
func (a *App) limits(settings *config.App) (config.Limits, error) {
	return a.Slipway.Config.Build.Limits.Lowered(a.file(config.AppFile)+": limits", settings.Limits)
}

// binaries are the app's programs, a folder for each architecture, with the commit
// compiled in where app.yaml wants it; nil for an app without Go code.
func (a *App) binaries(ctx context.Context, settings *config.App, revision string) (*dagger.Directory, error) {
	if settings.Build.Package == "" {
		return nil, nil
	}
	app, err := a.goApp(settings)
	if err != nil {
		return nil, err
	}
	var define string
	if settings.Build.Version != "" && revision != "" {
		define = settings.Build.Version + "=" + revision
	}
	binaries := app.Binaries(settings.Build.Mains(), settings.Arches(), dagger.BuildGoAppBinariesOpts{Define: define})
	return binaries, passedIn(ctx, binaries)
}

// goApp is the app in its box.
func (a *App) goApp(settings *config.App) (*dagger.BuildGoApp, error) {
	c := a.Slipway.Config
	limits, err := a.limits(settings)
	if err != nil {
		return nil, err
	}
	// Apps of the same name, of another platform, are other apps.
	zone := sha256.Sum256([]byte(c.Image(a.Name)))
	app := dag.Build().GoApp(a.Name, hex.EncodeToString(zone[:16]), a.source(), dagger.BuildGoAppOpts{Limits: limits.Flags()})
	if m := a.Slipway.Modules; m != nil {
		app = app.WithModules(dagger.BuildGoAppWithModulesOpts{Proxy: m.Proxy, Private: m.Private, Netrc: m.Netrc})
	}
	return app, nil
}

// Build makes the app's image for the platforms of its app.yaml. The same source
// gives the same digest on every engine.
//
// Example: dagger call app --name hello build digest
//
// +cache="168h"
func (a *App) Build(ctx context.Context) (*Image, error) {
	began := time.Now()
	compared := sync.OnceValues(func() (*commit, error) { return a.commit(ctx) })
	var image *Image
	if err := sideBySide(
		func() error { _, err := compared(); return err },
		func() (err error) { image, err = a.build(ctx, compared); return },
	); err != nil {
		return nil, err
	}
	from, err := compared()
	image.Revision, image.Uncommitted, image.Authors, image.Stages = from.revision(), from.Uncommitted, from.Authors, after(nil, "build", began)
	return image, err
}

// build makes the image. It waits for the commit only where its id is compiled in.
func (a *App) build(ctx context.Context, compared func() (*commit, error)) (*Image, error) {
	settings, err := a.Slipway.settings(ctx, a.Name)
	if err != nil {
		return nil, err
	}
	held, err := a.box(settings, "build")
	if err != nil {
		return nil, err
	}
	labels := settings.Labels()
	var revision string
	if settings.Build.Version != "" {
		from, err := compared()
		if err != nil {
			return nil, err
		}
		revision = from.revision()
	}
	binaries, err := a.binaries(ctx, settings, revision)
	if err != nil {
		return nil, err
	}
	var out *dagger.Directory
	switch settings.Build.Kind {
	case config.KindGo:
		out = dag.Build().Assemble(a.Name, a.source(), binaries, settings.Arches(), settings.Port, labels)
	case config.KindDockerfile:
		images, err := a.recipe(settings, binaries).archives(ctx, held)
		if err != nil {
			return nil, err
		}
		archives := dagger.BuildNormalizeOpts{Amd64: images["linux/amd64"], Arm64: images["linux/arm64"]}
		out = dag.Build().Normalize(a.source(), labels, archives)
	}
	built, err := resultIn[build.Built](ctx, out)
	if err != nil {
		return nil, err
	}
	return &Image{Digest: built.Digest, Tree: built.Revision, App: a, Layout: out.Directory("layout"), Box: *held}, nil
}
