// Package target finds what is applied from a GitOps folder: every folder that
// Kustomize builds, and every file that stands for itself.
package target

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/gitops/step/overlay"
	"slipway/step"
)

const stage = "manifests"

// Target is manifests that are applied together.
type Target struct {
	// Name is the folder or file, relative to the GitOps folder.
	Name string
	// Manifests are the objects, as YAML documents.
	Manifests []byte
	// Part is true for a folder that another is built from: nobody applies it as
	// it is here.
	Part bool
}

// Find renders the targets of a GitOps folder, sorted by name. A manifest that
// lies beside a kustomization and that none names would never be applied, and
// is an input Fault; so is a Helm chart that none inflates.
func Find(tree overlay.Tree, r overlay.Renderer) ([]Target, error) {
	if len(tree.Links) > 0 {
		return nil, step.Input(stage, tree.Links[0], "is a symbolic link, and links are not followed", "replace it by the folder or file itself")
	}
	named := map[string]bool{}
	var targets []Target
	// A component is built only as a part of others.
	var components []string
	files := slices.Sorted(maps.Keys(tree.Files))
	for _, file := range files {
		if path.Base(file) != overlay.KustomizationFile {
			continue
		}
		folder := path.Dir(file)
		kind, err := names(file, tree.Files[file], named)
		if err != nil {
			return nil, err
		}
		if kind == types.ComponentKind {
			components = append(components, file)
			continue
		}
		built, err := r.Build(tree, folder)
		if err != nil {
			return nil, err
		}
		targets = append(targets, Target{Name: folder, Manifests: built})
	}
	for _, file := range components {
		if !named[path.Dir(file)] {
			return nil, step.Input(stage, file, "is a component that no kustomization names, so it is never applied",
				"name it in the components of an overlay, or remove it")
		}
	}
	for _, file := range files {
		if chart, found := chartOf(tree, file); found {
			if !named[chart] {
				return nil, step.Input(stage, file, "is part of a Helm chart that no kustomization inflates, so it is never applied",
					"name the chart in the helmCharts of an overlay, or remove it")
			}
			continue
		}
		if ext := path.Ext(file); ext != ".yaml" && ext != ".yml" && ext != ".json" || path.Base(file) == overlay.KustomizationFile || named[file] {
			continue
		}
		if kustomization := path.Join(path.Dir(file), overlay.KustomizationFile); tree.Files[kustomization] != nil {
			return nil, step.Input(stage, file, "is named by no kustomization, so it is never applied", "name it in "+kustomization+", or remove it")
		}
		targets = append(targets, Target{Name: file, Manifests: tree.Files[file]})
	}
	for i := range targets {
		targets[i].Part = named[targets[i].Name]
	}
	if len(targets) == 0 {
		return nil, step.Input(stage, "the GitOps folder", "holds no manifests", "give the folder that Argo CD follows")
	}
	slices.SortFunc(targets, func(a, b Target) int { return strings.Compare(a.Name, b.Name) })
	return targets, nil
}

// names adds every path that a kustomization may mean to those named: wherever
// they stand, and with or without a key in front. It returns the kustomization's
// kind.
func names(file string, data []byte, named map[string]bool) (kind string, err error) {
	node, err := yaml.Parse(string(data))
	if err != nil {
		return "", step.Input(stage, file, "is not YAML: "+err.Error(), "correct the file").Because(err)
	}
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode {
			named[path.Join(path.Dir(file), n.Value)] = true
			if _, value, ok := strings.Cut(n.Value, "="); ok {
				named[path.Join(path.Dir(file), value)] = true
			}
		}
		for _, child := range n.Content {
			walk(child)
		}
	}
	walk(node.YNode())
	var k struct {
		Kind        string `yaml:"kind"`
		HelmGlobals struct {
			ChartHome string `yaml:"chartHome"`
		} `yaml:"helmGlobals"`
		HelmCharts []struct {
			Name string `yaml:"name"`
		} `yaml:"helmCharts"`
	}
	if err := node.YNode().Decode(&k); err != nil {
		return "", step.Input(stage, file, "is no kustomization: "+err.Error(), "correct the file").Because(err)
	}
	for _, chart := range k.HelmCharts {
		named[path.Join(path.Dir(file), cmp.Or(k.HelmGlobals.ChartHome, "charts"), chart.Name)] = true
	}
	return k.Kind, nil
}

// chartOf is the folder of the Helm chart that a file is part of, the outermost
// where charts hold others.
func chartOf(tree overlay.Tree, file string) (chart string, found bool) {
	for folder := path.Dir(file); folder != "."; folder = path.Dir(folder) {
		if tree.Files[path.Join(folder, overlay.ChartFile)] != nil {
			chart, found = folder, true
		}
	}
	return chart, found
}

// Documents are the YAML documents of what a name stands for.
func Documents(name string, manifests []byte) ([][]byte, error) {
	var documents [][]byte
	decoder := yaml.NewDecoder(bytes.NewReader(manifests))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, step.Input(stage, name, "is not YAML: "+err.Error(), "correct the file").Because(err)
		}
		text, err := yaml.NewRNode(&node).String()
		if err != nil {
			return nil, err
		}
		documents = append(documents, []byte(text))
	}
}
