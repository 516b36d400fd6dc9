package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/step"
	"slipway/step/printable"
	"slipway/step/result/build"
)

// App is one folder of apps/.
type App struct {
	// The app's name.
	Name string
	// +private
	Slipway *Slipway
}

// Apps lists the apps that can be delivered.
//
// +cache="168h"
func (s *Slipway) Apps(ctx context.Context) ([]string, error) {
	files, err := s.Source.Glob(ctx, "apps/*/"+config.AppFile)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(files))
	for _, f := range files {
		names = append(names, strings.Split(f, "/")[1])
	}
	slices.Sort(names)
	return names, nil
}

// App is the app in a folder of apps/.
//
// Example: dagger call app --name hello test
//
// +cache="168h"
func (s *Slipway) App(
	ctx context.Context,
	// The app's folder below apps/.
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
	if err := step.Name("app", "app", name); err != nil {
		return nil, err
	}
	names, err := s.Apps(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, name) {
		return nil, step.Input("app", fmt.Sprintf("app %q", name), "is not a folder of apps/ with an "+config.AppFile,
			"use one of "+strings.Join(names, ", "))
	}
	text, err := s.Source.File("apps/" + name + "/" + config.AppFile).Contents(ctx)
	if err != nil {
		return nil, err
	}
	return config.ParseApp(name, []byte(text))
}

// charted says whether an app's overlays inflate a Helm chart.
func (s *Slipway) charted(ctx context.Context, app string) (bool, error) {
	settings, err := s.settings(ctx, app)
	if err != nil {
		return false, err
	}
	return settings.Packaging == config.PackagingHelm, nil
}

func (a *App) source() *dagger.Directory { return a.Slipway.Source.Directory("apps/" + a.Name) }

// Test runs the app's own tests and says how each package's went; failing ones are
// a refusal, and so are none. They run without a network, as an ordinary user, within
// the limits of slipway.yaml. The test of an app without Go code is its build.
//
// Example: dagger call app --name hello test
//
// +cache="168h"
func (a *App) Test(ctx context.Context) (string, error) {
	settings, err := a.Slipway.settings(ctx, a.Name)
	if err != nil {
		return "", err
	}
	if settings.Build.Package == "" {
		image, err := a.Build(ctx)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("built %s\n", image.Digest), nil
	}
	tests, err := a.tests(ctx)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, p := range tests.Packages {
		fmt.Fprintf(&b, "ok  \t%s\t%d passed, %d skipped\n", p.Name, p.Passed, p.Skipped)
	}
	return printable.Text(b.String()), nil
}

// tests are the app's own, which have passed; none for an app without Go code.
func (a *App) tests(ctx context.Context) (build.Tests, error) {
	var tests build.Tests
	settings, err := a.Slipway.settings(ctx, a.Name)
	if err != nil || settings.Build.Package == "" {
		return tests, err
	}
	app, err := a.goApp(settings)
	if err != nil {
		return tests, err
	}
	return tests, decode(ctx, app.Test(), &tests)
}

// goApp is the app in its box.
func (a *App) goApp(settings *config.App) (*dagger.BuildGoApp, error) {
	c, err := a.Slipway.config()
	if err != nil {
		return nil, err
	}
	limits, err := c.Build.Limits.Lowered("apps/"+a.Name+"/"+config.AppFile+": limits", settings.Limits)
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

// arches are the architectures that every image is for.
var arches = []string{"amd64", "arm64"}

// Build makes the app's image for linux/amd64 and linux/arm64. The same source
// gives the same digest on every engine.
//
// Example: dagger call app --name hello build digest
//
// +cache="168h"
func (a *App) Build(ctx context.Context) (*Image, error) {
	settings, err := a.Slipway.settings(ctx, a.Name)
	if err != nil {
		return nil, err
	}
	labels := settings.Labels()
	var binaries *dagger.Directory
	if settings.Build.Package != "" {
		app, err := a.goApp(settings)
		if err != nil {
			return nil, err
		}
		var define string
		if settings.Build.Version != "" {
			define = settings.Build.Version + "=" + a.Slipway.Revision
		}
		binaries = app.Binaries(settings.Build.Mains(), arches, dagger.BuildGoAppBinariesOpts{Define: define})
		if err := decode(ctx, binaries, nil); err != nil {
			return nil, err
		}
	}
	var out *dagger.Directory
	switch settings.Build.Kind {
	case config.KindGo:
		out = dag.Build().Assemble(a.Name, a.source(), binaries, arches, settings.Port, labels)
	case config.KindDockerfile:
		checked := dag.Build().CheckDockerfile(a.source(), settings.Build.File)
		if err := decode(ctx, checked, nil); err != nil {
			return nil, err
		}
		tarball := func(arch string) (*dagger.File, error) {
			source := a.source()
			if binaries != nil {
				source = source.WithDirectory("bin/"+arch, binaries.Directory(arch))
			}
			image, err := dockerfileImage(ctx, source, settings.Build.File, arch)
			if err != nil {
				return nil, dockerfileFault(a.Name, settings.Build.File, arch, err)
			}
			return image.AsTarball(dagger.ContainerAsTarballOpts{MediaTypes: dagger.ImageMediaTypesOcimediaTypes}), nil
		}
		var amd64, arm64 *dagger.File
		if err := sideBySide(
			func() (err error) { amd64, err = tarball("amd64"); return },
			func() (err error) { arm64, err = tarball("arm64"); return },
		); err != nil {
			return nil, err
		}
		out = dag.Build().Normalize(a.source(), amd64, arm64, labels)
	}
	var built struct {
		Digest   string `json:"digest"`
		Revision string `json:"revision"`
	}
	if err := decode(ctx, out, &built); err != nil {
		return nil, err
	}
	return &Image{Digest: built.Digest, Tree: built.Revision, App: a, Layout: out.Directory("layout")}, nil
}
