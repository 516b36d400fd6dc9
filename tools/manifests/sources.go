package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"slipway/step"
	"slipway/tools/manifests/schema"
)

// source is a Go module that says what its kinds look like: exactly the one that
// the cluster's programs are compiled from.
type source struct {
	// pin is the folder of the repository whose go.mod names the module's version.
	pin, module string
	// path is the file or folder in the module.
	path string
	// group is the API group of its kinds, where a build gives them another.
	group string
}

const azure = "tools/manifests/pins/azure"

var (
	kubernetes = source{pin: "modules/sandbox/pins/kubernetes", module: "k8s.io/kubernetes", path: "api/openapi-spec/swagger.json"}
	customs    = []source{
		{pin: "modules/sandbox/pins/argocd", module: "github.com/argoproj/argo-cd/v2", path: "manifests/crds"},
		{pin: "modules/sandbox/pins/kyverno", module: "github.com/kyverno/kyverno", path: "config/crds"},
		{pin: azure, module: "sigs.k8s.io/gateway-api", path: "config/crd/standard"},
		{pin: azure, module: "sigs.k8s.io/secrets-store-csi-driver", path: "config/crd/bases"},
		// Azure's operator is this one, built with another name for its group.
		{
			pin: azure, module: "github.com/prometheus-operator/prometheus-operator",
			path: "example/prometheus-operator-crd", group: "azmonitoring.coreos.com",
		},
	}
)

// fetch has Go provide the module, verified by the pin's go.sum. It returns the
// source's place on the disk, and what schemas name as their origin.
func (s source) fetch(ctx context.Context, repository string) (place, origin string, err error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", s.module)
	cmd.Dir = filepath.Join(repository, filepath.FromSlash(s.pin))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, runErr := cmd.Output()
	var module struct{ Version, Dir, Error string }
	if err := json.Unmarshal(out, &module); err != nil || module.Error != "" || module.Dir == "" {
		return "", "", step.Infrastructure(stage, "module "+s.module+" of "+cmd.Dir, "can't be had: "+strings.TrimSpace(module.Error+said.String()),
			"let Go reach a module proxy, or fill its module cache").Because(errors.Join(runErr, err))
	}
	return filepath.Join(module.Dir, filepath.FromSlash(s.path)), s.module + " " + module.Version, nil
}

// generate returns the schema of each kind, by its file.
func generate(ctx context.Context, repository string, kinds []schema.Kind) (map[string][]byte, error) {
	place, origin, err := kubernetes.fetch(ctx, repository)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(place)
	if err != nil {
		return nil, err
	}
	builtin, err := schema.ReadKubernetes(data, origin)
	if err != nil {
		return nil, err
	}
	var custom schema.Custom
	for _, s := range customs {
		if err := s.add(ctx, repository, &custom); err != nil {
			return nil, err
		}
	}
	files := map[string][]byte{}
	for _, kind := range kinds {
		data, ok, err := builtin.Schema(kind)
		if err == nil && !ok {
			data, ok, err = custom.Schema(kind, builtin)
		}
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, step.Input(stage, kind.String(), "is no kind of "+origin+", nor of "+strings.Join(modules(), ", "),
				"correct the manifest's apiVersion and kind, or add the module that defines them to tools/manifests/sources.go")
		}
		files[kind.File()] = data
	}
	return files, nil
}

// modules are those of the custom kinds.
func modules() []string {
	var names []string
	for _, s := range customs {
		names = append(names, s.module)
	}
	return names
}

// add reads the source's custom resource definitions.
func (s source) add(ctx context.Context, repository string, custom *schema.Custom) error {
	place, origin, err := s.fetch(ctx, repository)
	if err != nil {
		return err
	}
	return filepath.WalkDir(place, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Ext(file) != ".yaml" {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := custom.Add(data, origin, s.group); err != nil {
			return fmt.Errorf("%s: %w", d.Name(), err)
		}
		return nil
	})
}

// read returns the files of a folder of schemas, by their paths in it.
func read(folder string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(folder, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, file)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(name)], err = os.ReadFile(file)
		return err
	})
	return files, err
}

// write makes the folder hold exactly the files.
func write(folder string, files map[string][]byte) error {
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	for name, data := range files {
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
