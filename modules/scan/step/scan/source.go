package scan

import (
	"os"
	"path"
	"path/filepath"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/package-url/packageurl-go"
	"golang.org/x/mod/modfile"

	"slipway/scan/step/trivy"
	"slipway/step"
)

// packages lists the packages that a source names. They are no findings: what
// of them is delivered is in the image.
func (s *scanner) packages(tree Tree) (*types.Report, error) {
	folder, err := filepath.Abs(tree.Folder)
	if err != nil {
		return nil, err
	}
	output := filepath.Join(s.work, "report.json")
	report, err := s.read("packages", tree.Name, output, "source-packages.json", trivy.PackageArgs(s.cache, folder, output))
	if err != nil {
		return nil, err
	}
	return report, withCopies(report, folder)
}

// withCopies adds the modules that a go.mod replaces by a folder, which Trivy
// leaves out, to the packages of that go.mod: as it requires them.
func withCopies(report *types.Report, folder string) error {
	for i := range report.Results {
		result := &report.Results[i]
		if result.Type != ftypes.GoModule || path.Base(result.Target) != "go.mod" {
			continue
		}
		refuse := func(err error) error {
			return step.Input(stage, "file "+result.Target, "can't be read, so that nobody knows what it replaces", "mend it until go mod verify reads it").Because(err)
		}
		if !filepath.IsLocal(filepath.FromSlash(result.Target)) {
			return refuse(nil)
		}
		data, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(result.Target)))
		if err != nil {
			return refuse(err)
		}
		file, err := modfile.Parse(result.Target, data, nil)
		if err != nil {
			return refuse(err)
		}
		copied := map[string]bool{}
		for _, r := range file.Replace {
			if r.New.Version == "" {
				copied[r.Old.Path+"@"+r.Old.Version] = true
			}
		}
		for _, r := range file.Require {
			if !copied[r.Mod.Path+"@"] && !copied[r.Mod.Path+"@"+r.Mod.Version] {
				continue
			}
			namespace, name := path.Split(r.Mod.Path)
			purl := packageurl.NewPackageURL(packageurl.TypeGolang, path.Clean(namespace), name, r.Mod.Version, nil, "")
			result.Packages = append(result.Packages, ftypes.Package{
				ID: r.Mod.Path + "@" + r.Mod.Version, Name: r.Mod.Path, Version: r.Mod.Version, Identifier: ftypes.PkgIdentifier{PURL: purl}})
		}
	}
	return nil
}
