package overlay

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/step"
)

// top is where the GitOps folder lies in the file system given to Kustomize.
const top = "/gitops"

// Render builds the overlay of app in env; see Build.
func Render(tree Tree, app, env string) ([]byte, error) {
	if _, err := tree.Lookup(app, env); err != nil {
		return nil, err
	}
	return Build(tree, Folder(app, env))
}

// Build builds a folder of the tree with Kustomize, in memory, and returns its
// manifests. A folder that does not build, or that needs anything from outside
// the tree, is an input Fault.
func Build(tree Tree, folder string) ([]byte, error) {
	if err := selfContained(tree, folder, map[string]bool{}); err != nil {
		return nil, err
	}
	files := filesys.MakeFsInMemory()
	for name, data := range tree.Files {
		if err := files.WriteFile(path.Join(top, name), data); err != nil {
			return nil, fmt.Errorf("prepare %s for kustomize: %w", name, err)
		}
	}
	// The default options: files only from below each kustomization, no
	// plugins, no Helm.
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, path.Join(top, folder))
	if err != nil {
		return nil, doesNotBuild(folder, err)
	}
	manifests, err := built.AsYaml()
	if err != nil {
		return nil, doesNotBuild(folder, err)
	}
	return manifests, nil
}

func doesNotBuild(folder string, err error) error {
	return step.Input(Stage, folder, "does not build with kustomize: "+err.Error(),
		"make `kustomize build` of that folder pass").Because(err)
}

// pathFields are the fields of a kustomization that Kustomize also takes
// remote addresses in, and would download.
var pathFields = []string{
	"resources", "bases", "components", "crds", "configurations",
	"generators", "transformers", "validators", "patchesStrategicMerge",
}

// selfContained checks that a kustomization, and those it is built from, name
// only files and folders of the tree.
func selfContained(tree Tree, folder string, seen map[string]bool) error {
	if seen[folder] {
		return nil
	}
	seen[folder] = true
	file := path.Join(folder, KustomizationFile)
	data, ok := tree.Files[file]
	if !ok {
		return nil // a plain file, or a folder that Kustomize will refuse
	}
	node, err := yaml.Parse(string(data))
	if err != nil {
		return step.Input(Stage, file, "is not YAML: "+err.Error(), "correct the file").Because(err)
	}
	for _, field := range pathFields {
		list := node.Field(field)
		if list == nil {
			continue
		}
		for _, item := range list.Value.YNode().Content {
			if strings.Contains(item.Value, "\n") {
				continue // the content itself, written in place
			}
			target := path.Join(folder, item.Value)
			if path.IsAbs(item.Value) || !tree.has(target) {
				return step.Input(Stage, fmt.Sprintf("%s line %d", file, item.Line),
					fmt.Sprintf("%s: %q is not in the GitOps folder", field, item.Value),
					"commit the file or folder there: links and remote addresses are not followed")
			}
			if err := selfContained(tree, target, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// has says whether name is a file or folder of the tree.
func (t Tree) has(name string) bool {
	if _, ok := t.Files[name]; ok {
		return true
	}
	for file := range t.Files {
		if strings.HasPrefix(file, name+"/") {
			return true
		}
	}
	return false
}

// Offline is an http.RoundTripper that refuses every request. Programs that
// render set it as http.DefaultTransport, which is what Kustomize would
// download with.
type Offline struct{}

// RoundTrip refuses the request.
func (Offline) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("remote addresses are not followed")
}
