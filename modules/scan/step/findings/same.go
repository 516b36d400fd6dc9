package findings

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/aquasecurity/trivy/pkg/types"

	"slipway/step/result/scan"
)

// identity is what makes a vulnerability the same on two platforms. Nothing in it
// may be what a policy decides by, except that an unknown severity stays apart: it
// is neither better nor worse than a known one.
type identity struct {
	ID, Package, Installed, Target string
	Unknown                        bool
}

func identify(v types.DetectedVulnerability, result types.Result) identity {
	return identity{v.VulnerabilityID, v.PkgName, v.InstalledVersion, cmp.Or(v.PkgPath, result.Target), rated(v) == scan.Unknown}
}

// rated is the severity of a vulnerability.
func rated(v types.DetectedVulnerability) scan.Severity {
	//nolint:staticcheck // In a report it is Trivy's choice among the vendors' for this target.
	return severity(v.Severity)
}

// vulnerabilities are those of all parts, each once: as bad as the worst that any
// part says, fixed where any has a fix.
func vulnerabilities(parts []Part) map[identity]*scan.Vulnerability {
	all := map[identity]*scan.Vulnerability{}
	fixes := map[identity][]string{}
	for _, part := range parts {
		for _, result := range part.Report.Results {
			for _, v := range result.Vulnerabilities {
				key, title := identify(v, result), line(v.Title)
				known := all[key]
				if known == nil {
					known = &scan.Vulnerability{ID: key.ID, Package: key.Package, Installed: key.Installed, Target: key.Target, Severity: rated(v), Title: title}
					all[key] = known
				}
				if worse(known.Severity, rated(v)) > 0 {
					known.Severity = rated(v)
				}
				if known.Title == "" || title != "" && title < known.Title {
					known.Title = title
				}
				known.Platforms = append(known.Platforms, part.Name)
				purl := ""
				if v.PkgIdentifier.PURL != nil {
					purl = v.PkgIdentifier.PURL.String()
				}
				known.PURLs = append(known.PURLs, purl)
				if v.FixedVersion != "" {
					fixes[key] = append(fixes[key], v.FixedVersion)
				}
			}
		}
	}
	for key, v := range all {
		v.Platforms, v.PURLs = distinct(v.Platforms), distinct(v.PURLs)
		v.Fixed = anyOf(fixes[key])
	}
	return all
}

// anyOf lists the versions of all lists, each once; one list stays as it is.
func anyOf(lists []string) string {
	if lists = distinct(lists); len(lists) == 1 {
		return lists[0]
	}
	versions := map[string]bool{}
	for _, list := range lists {
		for _, version := range strings.Split(list, ",") {
			versions[strings.TrimSpace(version)] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(versions)), ", ")
}

// unknown lists executables each once, with the platforms that hold it.
func unknown(list []scan.Executable) []scan.Executable {
	all := map[[4]string]*scan.Executable{}
	for _, e := range list {
		key := [4]string{e.Path, e.SHA256, e.Kind, e.Reason}
		if all[key] == nil {
			all[key] = &scan.Executable{Path: e.Path, SHA256: e.SHA256, Kind: e.Kind, Reason: e.Reason}
		}
		all[key].Platforms = append(all[key].Platforms, e.Platforms...)
	}
	out := []scan.Executable{}
	for _, e := range all {
		e.Platforms = distinct(e.Platforms)
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b scan.Executable) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.SHA256, b.SHA256), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

func distinct(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}
