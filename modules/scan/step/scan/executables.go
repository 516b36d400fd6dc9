package scan

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"golang.org/x/mod/modfile"

	"slipway/scan/step/database"
	"slipway/scan/step/findings"
	"slipway/scan/step/inventory"
	"slipway/scan/step/layout"
	"slipway/scan/step/trivy"
	"slipway/step/result/scan"
)

// executables looks at every executable of the image that the last part is about,
// and adds to the part what nothing identifies, and what advisories say of the
// modules that a Go program was built from a copy of.
func (s *scanner) executables(image *layout.Layout, i layout.Image, coverage *database.Coverage, source string) error {
	part := &s.parts[len(s.parts)-1]
	layers, err := image.Layers(i)
	if err != nil {
		return err
	}
	held, err := inventory.Of(inventory.Input{Platform: i.Platform, Layers: layers, Source: source, Report: part.Report, Scratch: s.work})
	if err != nil {
		return err
	}
	part.Executables, part.Unknown = held.Executables, held.Unknown
	strangers, err := s.modules(part, held.Modules, coverage)
	if err != nil {
		return err
	}
	for _, m := range strangers {
		part.Unknown = append(part.Unknown, stranger(m, i.Platform))
	}
	s.say("executables for %s: %d, of which %d are unknown", i.Platform, part.Executables, len(part.Unknown))
	return nil
}

// stranger is a Go program with a module that nothing can be said about.
func stranger(m inventory.Module, platform string) scan.Executable {
	reason := fmt.Sprintf("is built of the module %s, in no version that advisories could be compared with", m.Path)
	if m.Replacement != "" {
		reason = fmt.Sprintf("is built of %s instead of the module %s, and says in no version that advisories could be compared with", m.Replacement, m.Path)
	}
	return scan.Executable{Path: m.Program, SHA256: m.SHA256, Kind: "Go program", Reason: reason, Platforms: []string{platform}}
}

// modules judges modules under the names that advisories have for them, and in the
// versions that the builds require: Trivy knows a replaced module by its
// replacement only, and a folder by no version at all. It adds the results to the
// part, and returns the modules that there are advisories for but no version.
func (s *scanner) modules(part *findings.Part, modules []inventory.Module, coverage *database.Coverage) ([]inventory.Module, error) {
	var names []string
	for _, m := range modules {
		names = append(names, m.Path)
	}
	if len(names) == 0 {
		return nil, nil
	}
	advised, err := coverage.GoModules(names)
	if err != nil {
		return nil, err
	}
	var unknown []inventory.Module
	programs := map[string][]inventory.Module{}
	for _, m := range modules {
		switch {
		case !advised[m.Path]:
			// Whatever its version, no advisory is about it.
		case m.Version == "":
			unknown = append(unknown, m)
		default:
			programs[m.Program] = append(programs[m.Program], m)
		}
	}
	if len(programs) == 0 {
		return unknown, nil
	}
	folder := filepath.Join(s.work, "modules-"+slug(part.Name))
	var order []string
	for program := range programs {
		order = append(order, program)
	}
	slices.Sort(order)
	for n, program := range order {
		if err := writeModules(filepath.Join(folder, strconv.Itoa(n)), programs[program]); err != nil {
			return nil, err
		}
	}
	output := filepath.Join(s.work, "report.json")
	report, err := s.read("modules", part.Name, output, "image-"+slug(part.Name)+"-modules.json", trivy.ModuleArgs(s.cache, folder, output))
	if err != nil {
		return nil, err
	}
	for n, program := range order {
		result := types.Result{Target: program, Class: types.ClassLangPkg, Type: ftypes.GoBinary}
		for _, r := range report.Results {
			if r.Target == path.Join(strconv.Itoa(n), "go.mod") {
				result.Packages = append(result.Packages, r.Packages...)
				result.Vulnerabilities = append(result.Vulnerabilities, r.Vulnerabilities...)
			}
		}
		for _, m := range programs[program] {
			// What Trivy doesn't list it hasn't judged.
			if !slices.ContainsFunc(result.Packages, func(p ftypes.Package) bool { return p.Name == m.Path && p.Version == m.Version }) {
				unknown = append(unknown, m)
			}
		}
		part.Report.Results = append(part.Report.Results, result)
	}
	return unknown, nil
}

// writeModules writes a go.mod that requires the modules.
func writeModules(folder string, modules []inventory.Module) error {
	file := &modfile.File{}
	// From 1.17 on, Trivy takes the file's word for all that is required.
	if err := file.AddGoStmt("1.17"); err != nil {
		return err
	}
	for _, m := range modules {
		file.AddNewRequire(m.Path, m.Version, false)
	}
	data, err := file.Format()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "go.mod"), data, 0o644)
}
