package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/step"
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

// Test runs the app's own tests and returns what they printed; failing ones are
// a refusal. The test of an app without Go code is its build.
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
	text, err := dag.Toolbox().Test(ctx, a.source())
	if err != nil {
		return "", err
	}
	var result struct {
		Passed bool   `json:"passed"`
		Output string `json:"output"`
	}
	if err := json.Unmarshal([]byte(text), &result); err != nil {
		return "", fmt.Errorf("decode the result of the tests: %w", err)
	}
	if !result.Passed {
		lines := strings.Split(strings.TrimSpace(result.Output), "\n")
		return "", step.Policy("test", "app "+a.Name, "its own tests fail", "mend them: go -C apps/"+a.Name+" test ./...", lines[max(0, len(lines)-40):]...)
	}
	return result.Output, nil
}

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
	binary := func(arch string) *dagger.File {
		return dag.Toolbox().Binary(a.source(), settings.Build.Package, dagger.ToolboxBinaryOpts{Arch: arch})
	}
	var out *dagger.Directory
	switch settings.Build.Kind {
	case config.KindGo:
		out = dag.Build().Assemble(a.Name, a.source(), binary("amd64"), binary("arm64"), settings.Port, labels)
	case config.KindDockerfile:
		checked := dag.Build().CheckDockerfile(a.source(), settings.Build.File)
		if err := decode(ctx, checked, nil); err != nil {
			return nil, err
		}
		tarball := func(arch string) (*dagger.File, error) {
			source := a.source()
			if settings.Build.Package != "" {
				source = source.WithFile("bin/"+arch+"/"+a.Name, binary(arch))
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
