package target

import (
	"bytes"
	"fmt"
	"maps"
	"path"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/gitops/step/overlay"
)

// origin is the annotation by which Kustomize says where an object comes from.
const origin = "config.kubernetes.io/origin"

// Applied returns every object as it is applied, patches and images included, in
// the file that it is written in: what is found there can be mended there. What
// a Helm chart makes is in the kustomization that inflates it.
func Applied(tree overlay.Tree, r overlay.Renderer) (map[string][]byte, error) {
	tree.Files = maps.Clone(tree.Files)
	for file, data := range tree.Files {
		if path.Base(file) == overlay.KustomizationFile {
			tree.Files[file] = append(bytes.Clone(data), "\nbuildMetadata: [originAnnotations]\n"...)
		}
	}
	targets, err := Find(tree, r)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, t := range targets {
		if t.Part {
			continue
		}
		if err := t.split(tree, files); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	return files, nil
}

// split adds the target's objects to the files that they are written in.
func (t Target) split(tree overlay.Tree, files map[string][]byte) error {
	documents, err := Documents(t.Name, t.Manifests)
	if err != nil {
		return err
	}
	for _, document := range documents {
		object, err := yaml.Parse(string(document))
		if err != nil {
			return err
		}
		file := t.Name
		if _, isFile := tree.Files[file]; !isFile {
			if file, err = t.written(object); err != nil {
				return err
			}
			if err := object.PipeE(yaml.ClearAnnotation(origin)); err != nil {
				return err
			}
			if err := yaml.ClearEmptyAnnotations(object); err != nil {
				return err
			}
		}
		text, err := object.String()
		if err != nil {
			return err
		}
		files[file] = append(append(files[file], "---\n"...), text...)
	}
	return nil
}

// written is the file that an object of a built folder is written in: the one it
// was read from, or the kustomization that generates it.
func (t Target) written(object *yaml.RNode) (string, error) {
	var from struct {
		Path         string `yaml:"path"`
		ConfiguredIn string `yaml:"configuredIn"`
	}
	if err := yaml.Unmarshal([]byte(object.GetAnnotations()[origin]), &from); err != nil {
		return "", err
	}
	file := from.Path
	if file == "" {
		file = from.ConfiguredIn
	}
	if file == "" {
		return "", fmt.Errorf("kustomize does not say where %s %s comes from", object.GetKind(), object.GetName())
	}
	return path.Join(t.Name, file), nil
}
