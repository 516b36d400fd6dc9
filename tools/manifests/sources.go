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
	"slipway/tools/manifests/conform"
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

// fetch has Go provide the module, verified by the pin's go.sum, and returns the
// source's place on the disk.
func (s source) fetch(ctx context.Context, repository string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", s.module)
	cmd.Dir = filepath.Join(repository, filepath.FromSlash(s.pin))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, runErr := cmd.Output()
	var module struct{ Dir, Error string }
	if err := json.Unmarshal(out, &module); err != nil || module.Error != "" || module.Dir == "" {
		return "", step.Infrastructure(stage, "module "+s.module+" of "+cmd.Dir, "can't be had: "+strings.TrimSpace(module.Error+said.String()),
			"let Go reach a module proxy, or fill its module cache").Because(errors.Join(runErr, err))
	}
	return filepath.Join(module.Dir, filepath.FromSlash(s.path)), nil
}

// kindsOf are the kinds that the clusters have, by the pins of a repository.
func kindsOf(ctx context.Context, repository string) (*conform.Kinds, error) {
	place, err := kubernetes.fetch(ctx, repository)
	if err != nil {
		return nil, err
	}
	document, err := os.ReadFile(place)
	if err != nil {
		return nil, err
	}
	kinds, err := conform.Kubernetes(document)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, err)
	}
	for _, s := range customs {
		if place, err = s.fetch(ctx, repository); err != nil {
			return nil, err
		}
		err = filepath.WalkDir(place, func(file string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || filepath.Ext(file) != ".yaml" {
				return err
			}
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			return kinds.Define(file, data, s.group)
		})
		if err != nil {
			return nil, err
		}
	}
	return kinds, nil
}
