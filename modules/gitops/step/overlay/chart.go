package overlay

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/step"
)

// ChartFile is the file that makes a folder a Helm chart.
const ChartFile = "Chart.yaml"

// inflate builds a folder whose charts w has found. Helm is a program of its
// own, so the tree is written to a temporary folder first, without its links.
func (r Renderer) inflate(w *walk, target string) (manifests []byte, err error) {
	if err := w.checkCharts(); err != nil {
		return nil, err
	}
	if r.Helm == "" {
		mend := "give the path of helm"
		if rest, ok := strings.CutPrefix(target, "apps/"); ok {
			app, _, _ := strings.Cut(rest, "/")
			mend = "write packaging: helm in apps/" + app + "/app.yaml, or give the step --helm"
		}
		return nil, step.Input(Stage, w.charts[0].file, "inflates a Helm chart, and there is no Helm", mend)
	}
	// Where the temporary folder is itself behind a link, Kustomize says the
	// real one.
	parent, err := filepath.EvalSymlinks(os.TempDir())
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(parent, "slipway-gitops-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if err := w.tree.write(folder); err != nil {
		return nil, err
	}
	options := krusty.MakeDefaultOptions()
	options.PluginConfig.HelmConfig = types.HelmConfig{Enabled: true, Command: r.Helm}
	return build(filesys.MakeFsOnDisk(), options, folder, target)
}

// write puts the files of the tree below folder, and nowhere else.
func (t Tree) write(folder string) (err error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for name, data := range t.Files {
		local := filepath.FromSlash(name)
		if err := root.MkdirAll(filepath.Dir(local), 0o700); err != nil {
			return fmt.Errorf("prepare %s for helm: %w", name, err)
		}
		if err := root.WriteFile(local, data, 0o600); err != nil {
			return fmt.Errorf("prepare %s for helm: %w", name, err)
		}
	}
	return nil
}

// checkCharts refuses every chart that is not whole in the tree: Kustomize and
// Helm would look for it elsewhere.
func (w *walk) checkCharts() error {
	for _, k := range w.generators {
		return step.Input(Stage, k.file, "generators: can't stand beside a Helm chart, since a generator can pull charts",
			"move what they generate into the chart, or into files of the GitOps folder")
	}
	for _, k := range w.charts {
		if len(k.HelmChartInflationGenerator) > 0 {
			return step.Input(Stage, k.file, "helmChartInflationGenerator: is an old form", "use helmCharts and helmGlobals")
		}
		home := types.HelmDefaultHome
		if k.HelmGlobals != nil {
			if k.HelmGlobals.ConfigHome != "" {
				return step.Input(Stage, k.file, "helmGlobals: configHome is not Git's to say", "leave it out")
			}
			if k.HelmGlobals.ChartHome != "" {
				home = k.HelmGlobals.ChartHome
			}
		}
		for _, chart := range k.HelmCharts {
			if err := w.checkChart(k, home, chart); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *walk) checkChart(k kustomization, home string, chart types.HelmChart) error {
	refuse := func(reason, mend string) error {
		return step.Input(Stage, k.file, fmt.Sprintf("helmCharts: chart %q %s", chart.Name, reason), mend)
	}
	const vendor = "commit the chart below the GitOps folder, and name its parent as helmGlobals.chartHome"
	folder := path.Join(k.folder, home, chart.Name)
	file := path.Join(folder, ChartFile)
	data, found := w.tree.Files[file]
	switch {
	case chart.Name == "." || chart.Name == ".." || strings.ContainsAny(chart.Name, `/\`):
		return refuse("is not the name of a folder", "name the chart's folder, and its parent as helmGlobals.chartHome")
	case chart.Repo != "":
		return refuse(fmt.Sprintf("comes from the repository %q, and nothing is pulled", chart.Repo), vendor+", without repo")
	case path.IsAbs(home) || !found:
		return refuse(fmt.Sprintf("is not in the GitOps folder: there is no %s", path.Join(home, chart.Name, ChartFile)), vendor)
	case step.Name(Stage, "releaseName", chart.ReleaseName) != nil:
		return refuse(fmt.Sprintf("has the releaseName %.80q, which is not a valid name", chart.ReleaseName),
			"give lower-case letters, digits and dashes, such as hello-dev; without one, Helm makes up another each time")
	case chart.Debug:
		return refuse("has debug, which would show whole manifests in errors", "leave debug out")
	}
	inside := strings.HasPrefix(folder, k.folder+"/")
	own := chart.ValuesFile != "" || chart.ValuesMerge == "replace" && len(chart.ValuesInline) > 0
	if !inside && !own {
		return refuse("lies outside of the overlay's folder, where Kustomize does not read its values",
			"give this environment's values as valuesInline, with valuesMerge: replace; Helm lays them over the chart's own")
	}
	var about struct {
		Dependencies []struct {
			Name string `yaml:"name"`
		} `yaml:"dependencies"`
	}
	if err := yaml.Unmarshal(data, &about); err != nil {
		return step.Input(Stage, file, "is not a chart: "+err.Error(), "correct the file").Because(err)
	}
	for _, needed := range about.Dependencies {
		if !w.tree.vendors(folder, needed.Name) {
			return step.Input(Stage, file, fmt.Sprintf("needs the chart %q, which is not in its folder charts", needed.Name),
				"commit the dependency there, unpacked into a folder of its name (helm dependency update fetches it): nothing is pulled")
		}
	}
	return nil
}

// vendors says whether the chart in folder holds the dependency name, as a
// folder or as an archive.
func (t Tree) vendors(folder, name string) bool {
	charts := path.Join(folder, "charts") + "/"
	return slices.ContainsFunc(slices.Collect(maps.Keys(t.Files)), func(file string) bool {
		rest, ok := strings.CutPrefix(file, charts)
		if !ok {
			return false
		}
		archive := strings.HasPrefix(rest, name+"-") && strings.HasSuffix(rest, ".tgz") && !strings.Contains(rest, "/")
		return archive || rest == name+"/"+ChartFile
	})
}
