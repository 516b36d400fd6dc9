package findings

import (
	"cmp"
	"path"
	"slices"
	"strings"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"

	"slipway/step/result/scan"
)

// What a report calls the findings of an image that Trivy has no name for.
const (
	UnknownExecutable = "unknown-executable"
	EndOfLife         = "end-of-life"
)

// Combine makes one Trivy report of all parts, for Trivy itself to render: what
// the findings say, whatever the order of the parts. Each target says where it
// belongs. extra are further misconfigurations, by file.
func Combine(name string, parts []Part, extra []scan.Misconfiguration) *types.Report {
	all := &types.Report{
		SchemaVersion: schemaVersion,
		ArtifactName:  name,
		ArtifactType:  ftypes.TypeFilesystem,
	}
	merged := vulnerabilities(parts)
	rows := slices.Clone(extra)
	for _, part := range parts {
		if part.Report.Trivy.Version > all.Trivy.Version {
			all.Trivy = part.Report.Trivy
		}
		for _, result := range part.Report.Results {
			result.Vulnerabilities = agreed(result, merged)
			result.Target = part.path(result.Target)
			if part.Kind == KindImage {
				result.Target = path.Join(part.Name, result.Target)
				for i := range result.Vulnerabilities {
					// Trivy's SARIF prefers the package's path to the target.
					if p := result.Vulnerabilities[i].PkgPath; p != "" {
						result.Vulnerabilities[i].PkgPath = path.Join(part.Name, p)
					}
				}
			}
			all.Results = append(all.Results, result)
		}
		rows = append(rows, part.rows()...)
	}
	for _, m := range rows {
		all.Results = append(all.Results, types.Result{
			Target: m.File, Class: types.ClassConfig, Type: "text",
			MisconfSummary: &types.MisconfSummary{Failures: 1},
			Misconfigurations: []types.DetectedMisconfiguration{{
				ID: m.ID, Title: m.Title, Message: m.Message, Severity: string(m.Severity), Status: types.MisconfStatusFailure,
				CauseMetadata: ftypes.CauseMetadata{StartLine: m.Line, EndLine: m.Line},
			}},
		})
	}
	slices.SortStableFunc(all.Results, func(a, b types.Result) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Type, b.Type))
	})
	return all
}

// agreed are the vulnerabilities of a result, each once, as the findings have
// them.
func agreed(result types.Result, merged map[identity]*scan.Vulnerability) []types.DetectedVulnerability {
	var list []types.DetectedVulnerability
	seen := map[identity]bool{}
	for _, v := range result.Vulnerabilities {
		key := identify(v, result)
		if seen[key] {
			continue
		}
		seen[key] = true
		v.FixedVersion, v.Title = merged[key].Fixed, merged[key].Title
		//nolint:staticcheck // What a report shows as the severity.
		v.Severity = string(merged[key].Severity)
		list = append(list, v)
	}
	slices.SortStableFunc(list, func(a, b types.DetectedVulnerability) int {
		return cmp.Or(cmp.Compare(a.VulnerabilityID, b.VulnerabilityID), cmp.Compare(a.PkgName, b.PkgName), cmp.Compare(a.InstalledVersion, b.InstalledVersion))
	})
	return list
}

// rows are an image's findings that are not Trivy's.
func (p Part) rows() []scan.Misconfiguration {
	var rows []scan.Misconfiguration
	for _, e := range p.Unknown {
		rows = append(rows, scan.Misconfiguration{
			ID: UnknownExecutable, File: path.Join(p.Name, e.Path), Severity: scan.Critical,
			Title: "Nothing identifies this executable", Message: strings.Join([]string{e.Kind, e.Reason}, ": "),
		})
	}
	if os := p.Report.Metadata.OS; p.Kind == KindImage && os != nil && os.Eosl {
		rows = append(rows, scan.Misconfiguration{
			ID: EndOfLife, File: path.Join(p.Name, "etc", "os-release"), Severity: scan.Critical,
			Title: "The distribution is past its end of life", Message: line(string(os.Family) + " " + os.Name),
		})
	}
	return rows
}
