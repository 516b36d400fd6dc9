package overlay

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/step"
)

// top is where the GitOps folder lies in the file system given to Kustomize.
const top = "/gitops"

// Renderer builds overlays, and other folders of the tree.
type Renderer struct {
	// Helm is the path of the helm program, which inflates the charts of
	// overlays that have some. Empty means that there is none.
	Helm string
}

// Render builds the overlay of app in env; see Build.
func (r Renderer) Render(tree Tree, app, env string) ([]byte, error) {
	if _, err := tree.Lookup(app, env); err != nil {
		return nil, err
	}
	return r.Build(tree, Folder(app, env))
}

// Build builds a folder of the tree with Kustomize and returns its manifests. A
// folder that does not build, or that needs anything from outside the tree, is
// an input Fault.
func (r Renderer) Build(tree Tree, folder string) ([]byte, error) {
	w := walk{tree: tree, seen: map[string]bool{}}
	if err := tree.checkAliases(); err != nil {
		return nil, err
	}
	if err := w.visit(folder); err != nil {
		return nil, err
	}
	if len(w.charts) > 0 {
		return r.inflate(&w, folder)
	}
	files := filesys.MakeFsInMemory()
	for name, data := range tree.Files {
		if err := files.WriteFile(path.Join(top, name), data); err != nil {
			return nil, fmt.Errorf("prepare %s for kustomize: %w", name, err)
		}
	}
	return build(files, krusty.MakeDefaultOptions(), top, folder)
}

// build runs Kustomize on a folder of the GitOps folder at root. The default
// options are: files only from below each kustomization, no plugins, no Helm.
func build(files filesys.FileSystem, options *krusty.Options, root, folder string) ([]byte, error) {
	built, err := krusty.MakeKustomizer(options).Run(files, path.Join(root, folder))
	if err != nil {
		return nil, doesNotBuild(root, folder, err)
	}
	manifests, err := built.AsYaml()
	if err != nil {
		return nil, doesNotBuild(root, folder, err)
	}
	return manifests, nil
}

// doesNotBuild is the Fault of what Kustomize refuses.
func doesNotBuild(root, folder string, err error) error {
	text, mend := strings.ReplaceAll(err.Error(), root, top), "make `kustomize build` of that folder pass"
	// Where Helm refuses, Kustomize adds the whole command line to what it says.
	if said, _, byHelm := strings.Cut(text, ": unable to run: '"); byHelm {
		said = strings.TrimSuffix(strings.Join(strings.Fields(said), " "), " Use --debug flag to render out invalid YAML")
		text = cmp.Or(said, "helm failed without a word")
		mend = "mend the chart or its values: make `kustomize build --enable-helm` of that folder pass"
	}
	return step.Input(Stage, folder, "does not build with kustomize: "+text, mend).Because(err)
}

// walk goes through an overlay's kustomization and those that it is built from.
type walk struct {
	tree Tree
	seen map[string]bool
	// charts are the kustomizations that inflate charts, and generators those
	// with generators of their own.
	charts     []kustomization
	generators []kustomization
	// imageFields are the names of fields that Kustomize is told to take for images.
	imageFields []string
}

// kustomization is one kustomization of the tree.
type kustomization struct {
	folder string
	file   string
	types.Kustomization
}

// visit checks that the kustomization in folder, and those it is built from,
// name only files and folders of the tree.
func (w *walk) visit(folder string) error {
	if w.seen[folder] {
		return nil
	}
	w.seen[folder] = true
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		file := path.Join(folder, name)
		// None is a plain file, or a folder that Kustomize will refuse.
		if data, ok := w.tree.Files[file]; ok {
			if err := w.read(folder, file, data); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *walk) read(folder, file string, data []byte) error {
	node, err := yaml.Parse(string(data))
	if err != nil {
		return step.Input(Stage, file, "is not YAML: "+err.Error(), "correct the file").Because(err)
	}
	// As Kustomize reads it: it doesn't tell upper from lower case.
	k := kustomization{folder: folder, file: file}
	if err := k.Unmarshal(data); err != nil {
		return doesNotBuild(top, folder, err)
	}
	if len(k.HelmCharts) > 0 || len(k.HelmChartInflationGenerator) > 0 {
		w.charts = append(w.charts, k)
	}
	if len(k.Generators) > 0 {
		w.generators = append(w.generators, k)
	}
	w.notes(k)
	for _, field := range k.paths() {
		for _, item := range field.items {
			if strings.Contains(item, "\n") {
				continue // the content itself, written in place
			}
			target := path.Join(folder, item)
			if path.IsAbs(item) || !w.tree.has(target) {
				return step.Input(Stage, fmt.Sprintf("%s line %d", file, lineOf(node.YNode(), item)),
					fmt.Sprintf("%s: %q is not in the GitOps folder", field.name, item),
					"commit the file or folder there: links and remote addresses are not followed")
			}
			if err := w.visit(target); err != nil {
				return err
			}
		}
	}
	return nil
}

// field is a field of a kustomization that lists paths.
type field struct {
	name  string
	items []string
}

// paths are the fields that Kustomize also takes remote addresses in, and would
// download.
func (k *kustomization) paths() []field {
	fields := []field{
		{"resources", k.Resources}, {"components", k.Components}, {"crds", k.Crds}, {"configurations", k.Configurations},
		{"generators", k.Generators}, {"transformers", k.Transformers}, {"validators", k.Validators},
		//nolint:staticcheck // Old, but Kustomize still follows it.
		{"bases", k.Bases},
	}
	//nolint:staticcheck // As above.
	for _, patch := range k.PatchesStrategicMerge {
		fields = append(fields, field{"patchesStrategicMerge", []string{string(patch)}})
	}
	return fields
}

// lineOf is the first line in a file that holds a value, or 0.
func lineOf(node *yaml.Node, value string) int {
	if node.Kind == yaml.ScalarNode && node.Value == value {
		return node.Line
	}
	for _, child := range node.Content {
		if line := lineOf(child, value); line > 0 {
			return line
		}
	}
	return 0
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
