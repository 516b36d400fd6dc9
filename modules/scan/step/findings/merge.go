// Package findings turns Trivy's reports into one list of findings: the same input
// gives the same bytes, and no line of scanned source is in it.
package findings

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/aquasecurity/trivy/pkg/scan/utils"
	"github.com/aquasecurity/trivy/pkg/types"

	"slipway/step"
	"slipway/step/result/scan"
)

const stage = "scan"

// Kind is what a report is about.
type Kind int

// The kinds of reports, and with them the result classes that they may hold.
const (
	// KindImage is the packages of one platform's image.
	KindImage Kind = iota
	// KindSource is the secrets of a source tree.
	KindSource
	// KindManifests is the misconfigurations and secrets of manifests.
	KindManifests
)

// Part is one report that findings are made of.
type Part struct {
	Kind Kind
	// Name is the platform of an image, or the folder of a tree as the
	// repository calls it.
	Name string
	// Trees are the folders, below the scanned one, that must each hold a
	// file that was checked; for KindManifests only.
	Trees []string
	// Objects are the files, below the scanned folder, that hold Kubernetes
	// objects: each must have been checked.
	Objects []string
	// Executables is how many executable files the image holds, and Unknown are
	// those that nothing identifies; for KindImage only.
	Executables int
	Unknown     []scan.Executable
	Report      *types.Report
}

// Merge makes the findings of all parts; extra are misconfigurations that were
// found without Trivy. What several parts say of one thing is one finding, as bad
// as the worst of them, in whatever order they come. A result that it doesn't
// know, an image without packages and manifests without a checked file are
// faults: there is no verdict about what nobody looked at.
func Merge(digest, version string, database scan.Database, parts []Part, extra []scan.Misconfiguration) (*scan.Findings, error) {
	d := &scan.Findings{
		Digest: digest, Database: database, TrivyVersion: version,
		Vulnerabilities: []scan.Vulnerability{}, Secrets: []scan.Secret{}, Misconfigurations: []scan.Misconfiguration{},
		Images: []scan.Image{}, Unknown: []scan.Executable{}, Scanned: []scan.Scanned{}, Packages: []scan.Package{},
	}
	for _, part := range parts {
		if err := add(d, part); err != nil {
			return nil, err
		}
	}
	for _, v := range vulnerabilities(parts) {
		d.Vulnerabilities = append(d.Vulnerabilities, *v)
	}
	d.Misconfigurations = append(d.Misconfigurations, extra...)
	d.Unknown = unknown(d.Unknown)
	sorted(d)
	d.Packages = slices.Compact(d.Packages)
	return d, nil
}

// add adds what a report says, but for the vulnerabilities.
func add(d *scan.Findings, part Part) error {
	packages := 0
	var checked []string
	for _, result := range part.Report.Results {
		if !expected(part.Kind, result.Class) {
			return step.Infrastructure(stage, fmt.Sprintf("trivy result %q in %s", result.Target, part.Name),
				fmt.Sprintf("is of class %q, which has no rule here, so there is no verdict", result.Class),
				"use the Trivy that modules/scan/trivy pins, or teach the scan step this class")
		}
		if len(result.ModifiedFindings) > 0 {
			return step.Infrastructure(stage, fmt.Sprintf("trivy result %q in %s", result.Target, part.Name),
				"holds findings that Trivy was told to ignore", "remove the ignore file; exceptions belong in the scan policy")
		}
		target := part.path(result.Target)
		switch result.Class {
		case types.ClassOSPkg, types.ClassLangPkg:
			packages += len(result.Packages)
			d.Scanned = append(d.Scanned, scan.Scanned{
				Target: part.Name + ":" + result.Target, Type: string(result.Type), Packages: len(result.Packages)})
			for _, p := range result.Packages {
				d.Packages = append(d.Packages, scan.Package{
					Class: string(result.Class), Type: string(result.Type), Name: line(p.Name), Version: line(utils.FormatVersion(p))})
			}
		case types.ClassConfig:
			checked = append(checked, target)
			d.Scanned = append(d.Scanned, scan.Scanned{Target: target, Type: string(result.Type)})
		}
		for _, s := range result.Secrets {
			d.Secrets = append(d.Secrets, scan.Secret{
				Rule: s.RuleID, File: target, Line: s.StartLine, Severity: severity(s.Severity), Title: line(s.Title)})
		}
		for _, m := range result.Misconfigurations {
			if m.Status != types.MisconfStatusFailure {
				continue
			}
			d.Misconfigurations = append(d.Misconfigurations, scan.Misconfiguration{
				ID: m.ID, File: target, Line: m.CauseMetadata.StartLine, Severity: severity(m.Severity),
				Title: line(m.Title), Message: line(m.Message), Resource: m.CauseMetadata.Resource, Resolution: line(m.Resolution)})
		}
	}
	switch {
	case part.Kind == KindImage && packages == 0:
		return step.Policy(stage, "image for "+part.Name,
			"holds no package that Trivy knows, so nothing can be said about its vulnerabilities",
			"build the app in a form that Trivy reads, such as a Go binary with build information")
	case part.Kind == KindImage:
		image := scan.Image{Platform: part.Name, Executables: part.Executables}
		if os := part.Report.Metadata.OS; os != nil {
			image.System, image.EndOfLife = line(string(os.Family)+" "+os.Name), os.Eosl
		}
		d.Images = append(d.Images, image)
		d.Unknown = append(d.Unknown, part.Unknown...)
	case part.Kind == KindSource:
		d.Scanned = append(d.Scanned, scan.Scanned{Target: part.Name, Type: "secret"})
	}
	for _, file := range part.Objects {
		if !slices.Contains(checked, file) {
			return step.Policy(stage, "manifest "+file, "holds a Kubernetes object that Trivy did not check, so nothing can be said about it",
				"mend it until trivy config lists it")
		}
	}
	for _, tree := range part.Trees {
		if !slices.ContainsFunc(checked, func(file string) bool { return strings.HasPrefix(file+"/", tree+"/") }) {
			return step.Policy(stage, "manifests "+tree,
				"hold no file that Trivy can check, so nothing can be said about their configuration",
				"give a folder with Kubernetes, Terraform or Dockerfile manifests")
		}
	}
	return nil
}

// path is where a result belongs: as it is in an image and among manifests,
// below the tree's name in a source.
func (p Part) path(target string) string {
	if p.Kind == KindSource {
		return path.Join(p.Name, target)
	}
	return target
}

func expected(kind Kind, class types.ResultClass) bool {
	switch kind {
	case KindImage:
		return class == types.ClassOSPkg || class == types.ClassLangPkg
	case KindSource:
		return class == types.ClassSecret
	default:
		return class == types.ClassConfig || class == types.ClassSecret
	}
}

// severity is one of the five. What Trivy calls otherwise is unknown.
func severity(value string) scan.Severity {
	if s := scan.Severity(strings.ToUpper(value)); slices.Contains(scan.Severities, s) {
		return s
	}
	return scan.Unknown
}

// line is text on one line.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }

func sorted(d *scan.Findings) {
	slices.SortFunc(d.Vulnerabilities, func(a, b scan.Vulnerability) int {
		return cmp.Or(worse(a.Severity, b.Severity), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Package, b.Package),
			cmp.Compare(a.Installed, b.Installed), cmp.Compare(a.Target, b.Target))
	})
	slices.SortFunc(d.Secrets, func(a, b scan.Secret) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule),
			worse(a.Severity, b.Severity), cmp.Compare(a.Title, b.Title))
	})
	slices.SortFunc(d.Misconfigurations, func(a, b scan.Misconfiguration) int {
		return cmp.Or(worse(a.Severity, b.Severity), cmp.Compare(a.File, b.File), cmp.Compare(a.ID, b.ID),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Resource, b.Resource),
			cmp.Compare(a.Message, b.Message), cmp.Compare(a.Title, b.Title))
	})
	slices.SortFunc(d.Images, func(a, b scan.Image) int {
		return cmp.Or(cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.System, b.System), cmp.Compare(a.Executables, b.Executables))
	})
	slices.SortFunc(d.Scanned, func(a, b scan.Scanned) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Packages, b.Packages))
	})
	slices.SortFunc(d.Packages, func(a, b scan.Package) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
}

func worse(a, b scan.Severity) int {
	return cmp.Compare(slices.Index(scan.Severities, b), slices.Index(scan.Severities, a))
}

// Count counts findings by severity; a severity without any is left out.
func Count[F any](list []F, severity func(F) string) map[string]int {
	counts := map[string]int{}
	for _, f := range list {
		counts[severity(f)]++
	}
	return counts
}
