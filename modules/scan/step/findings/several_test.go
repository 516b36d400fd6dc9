package findings

import (
	"slices"
	"testing"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/result/scan"
)

// reported is a vulnerability as Trivy reports it.
func reported(id, severity, title, fixed string) types.DetectedVulnerability {
	v := types.DetectedVulnerability{VulnerabilityID: id, PkgName: "p", InstalledVersion: "1", FixedVersion: fixed}
	v.Severity, v.Title = severity, title //nolint:staticcheck // As a report has them.
	return v
}

func image(name string, vulnerabilities ...types.DetectedVulnerability) Part {
	return Part{Kind: KindImage, Name: name, Report: &types.Report{Results: types.Results{
		{Target: "app", Class: types.ClassLangPkg, Type: ftypes.GoBinary, Packages: ftypes.Packages{{Name: "p", Version: "1"}}, Vulnerabilities: vulnerabilities},
	}}}
}

func merged(t *testing.T, parts ...Part) *scan.Findings {
	t.Helper()
	all, err := Merge(digest, "0.74.0", database, parts, nil)
	require.NoError(t, err)
	return all
}

// Each finding of a result counts, and only what has failed.
func TestEachFindingOfAResultCounts(t *testing.T) {
	all := merged(t,
		Part{Kind: KindSource, Name: "app", Report: &types.Report{Results: types.Results{{Target: "a", Class: types.ClassSecret, Secrets: []types.DetectedSecret{
			{RuleID: "second", StartLine: 2, Severity: "high", Title: "b"}, {RuleID: "first", StartLine: 1, Severity: "CRITICAL", Title: "a"},
		}}}}},
		Part{Kind: KindManifests, Name: "manifests", Objects: []string{"x.yaml"}, Report: &types.Report{Results: types.Results{{Target: "x.yaml", Class: types.ClassConfig, Type: "kubernetes", Misconfigurations: []types.DetectedMisconfiguration{
			{ID: "passed", Status: types.MisconfStatusPassed, Severity: "HIGH"}, {ID: "failed", Status: types.MisconfStatusFailure, Severity: "HIGH"},
			{ID: "excepted", Status: types.MisconfStatusException, Severity: "HIGH"}, {ID: "too", Status: types.MisconfStatusFailure, Severity: "strange", Title: "Its\ntitle", Message: " its  message", Resolution: "its resolution\n", CauseMetadata: ftypes.CauseMetadata{StartLine: 3, Resource: "Pod/x"}},
		}}}}},
	)
	require.Equal(t, []scan.Secret{{Rule: "first", File: "app/a", Line: 1, Severity: scan.Critical, Title: "a"}, {Rule: "second", File: "app/a", Line: 2, Severity: scan.High, Title: "b"}}, all.Secrets)
	require.Equal(t, []scan.Misconfiguration{{ID: "failed", File: "x.yaml", Severity: scan.High}, {ID: "too", File: "x.yaml", Line: 3, Severity: scan.Unknown, Title: "Its title", Message: "its message", Resource: "Pod/x", Resolution: "its resolution"}}, all.Misconfigurations)
	require.Equal(t, map[string]int{"HIGH": 1, "UNKNOWN": 1}, Count(all.Misconfigurations, func(m scan.Misconfiguration) string { return string(m.Severity) }))
}

// The order of what is found says nothing of the order that it was found in.
func TestFindingsAreInTheirOrder(t *testing.T) {
	want := func() *scan.Findings {
		return &scan.Findings{
			Vulnerabilities: []scan.Vulnerability{{Severity: scan.Critical}, {Severity: scan.High, ID: "b"}, {}, {Target: "b"}, {Installed: "b"}, {Package: "b"}, {ID: "b"}},
			Secrets:         []scan.Secret{{Severity: scan.Low, Title: "b"}, {}, {Title: "b"}, {Rule: "b", Severity: scan.High}, {Line: 1}, {File: "b"}},
			Misconfigurations: []scan.Misconfiguration{
				{Severity: scan.High, File: "b"}, {}, {Title: "b"}, {Message: "b"}, {Resource: "b"}, {Line: 1}, {ID: "b"}, {File: "b"},
			},
			Images:   []scan.Image{{}, {Executables: 1}, {System: "b"}, {Platform: "b"}},
			Scanned:  []scan.Scanned{{}, {Packages: 1}, {Type: "b"}, {Target: "b"}},
			Packages: []scan.Package{{}, {Version: "b"}, {Name: "b"}, {Type: "b"}, {Class: "b"}},
		}
	}
	got := want()
	slices.Reverse(got.Vulnerabilities)
	slices.Reverse(got.Secrets)
	slices.Reverse(got.Misconfigurations)
	slices.Reverse(got.Images)
	slices.Reverse(got.Scanned)
	slices.Reverse(got.Packages)
	sorted(got)
	require.Equal(t, want(), got)
}

func TestEachObjectAndTreeIsChecked(t *testing.T) {
	results := types.Results{{Target: "a/x.yaml", Class: types.ClassConfig}, {Target: "b/y.yaml", Class: types.ClassConfig}, {Target: "c/secret", Class: types.ClassSecret}}
	for name, c := range map[string]struct {
		objects, trees []string
		input          string
	}{
		"all":               {[]string{"a/x.yaml", "b/y.yaml"}, []string{"a", "b", "b/y.yaml"}, ""},
		"the second object": {[]string{"a/x.yaml", "b/z.yaml"}, nil, "manifest b/z.yaml"},
		"the first object":  {[]string{"b/z.yaml", "a/x.yaml"}, nil, "manifest b/z.yaml"},
		"the second tree":   {nil, []string{"a", "c"}, "manifests c"},
		"a tree's prefix":   {nil, []string{"a", "b/y"}, "manifests b/y"},
	} {
		_, err := Merge(digest, "0.74.0", database, []Part{{Kind: KindManifests, Name: "manifests", Objects: c.objects, Trees: c.trees, Report: &types.Report{Results: results}}}, nil)
		if c.input == "" {
			require.NoError(t, err, name)
			continue
		}
		fault, ok := step.AsFault(err)
		require.True(t, ok, "%s: %v", name, err)
		require.Equal(t, step.KindPolicy, fault.Kind)
		require.Equal(t, c.input, fault.Input)
	}
}

func TestEachClassHasItsKind(t *testing.T) {
	classes := []types.ResultClass{types.ClassOSPkg, types.ClassLangPkg, types.ClassConfig, types.ClassSecret, types.ClassLicense, types.ClassCustom, types.ClassUnknown}
	for kind, known := range map[Kind][]types.ResultClass{KindImage: classes[:2], KindSource: classes[3:4], KindManifests: classes[2:4]} {
		for _, class := range classes {
			require.Equal(t, contains(known, class), expected(kind, class), "%d, %s", kind, class)
		}
	}
}

func contains(list []types.ResultClass, class types.ResultClass) bool {
	for _, one := range list {
		if one == class {
			return true
		}
	}
	return false
}

// What several say of one vulnerability, in whatever order, is the worst, the first title
// and every fix.
func TestTheWorstOfSeveralCounts(t *testing.T) {
	for _, order := range [][]types.DetectedVulnerability{
		{reported("CVE-2", "LOW", "", ""), reported("CVE-1", "LOW", "b", "2"), reported("CVE-1", "HIGH", "", ""), reported("CVE-1", "MEDIUM", "a", "3, 2"), reported("CVE-1", "MEDIUM", "c", "")},
		{reported("CVE-1", "HIGH", "c", "2"), reported("CVE-1", "MEDIUM", "a", "3, 2"), reported("CVE-1", "LOW", "b", ""), reported("CVE-1", "LOW", "", ""), reported("CVE-2", "LOW", "", "")},
		{reported("CVE-1", "MEDIUM", "", "2, 3"), reported("CVE-2", "LOW", "", ""), reported("CVE-1", "MEDIUM", "b", ""), reported("CVE-1", "HIGH", "a", "")},
	} {
		for _, parts := range [][]Part{{image("linux/amd64", order...)}, {image("linux/amd64", order[:2]...), image("linux/arm64", order[2:]...)}} {
			all := merged(t, parts...)
			require.Len(t, all.Vulnerabilities, 2)
			v := all.Vulnerabilities[0]
			require.Equal(t, []any{"CVE-1", scan.High, "a", "2, 3"}, []any{v.ID, v.Severity, v.Title, v.Fixed})
			require.Equal(t, "CVE-2", all.Vulnerabilities[1].ID)

			report := Combine("app", parts, nil)
			for _, result := range report.Results {
				for i, v := range result.Vulnerabilities {
					if v.VulnerabilityID == "CVE-1" {
						require.Equal(t, []any{"HIGH", "a", "2, 3"}, []any{v.Severity, v.Title, v.FixedVersion}) //nolint:staticcheck // As a report has them.
					}
					require.True(t, i == 0 || result.Vulnerabilities[i-1].VulnerabilityID < v.VulnerabilityID, "each once, in order")
				}
			}
		}
	}
	unknown := merged(t, image("linux/amd64", reported("CVE-1", "", "", ""), reported("CVE-1", "LOW", "", "")))
	require.Len(t, unknown.Vulnerabilities, 2, "what is not known is no better, nor worse")
}

func TestACombinedReportSaysWhereEachIs(t *testing.T) {
	first, second := reported("CVE-1", "HIGH", "", ""), reported("CVE-2", "HIGH", "", "")
	first.PkgPath, second.PkgPath = "usr/bin/a", "usr/bin/b"
	old, newer := image("linux/amd64", reported("CVE-0", "HIGH", "", ""), first, second), image("linux/arm64")
	old.Report.Trivy.Version, newer.Report.Trivy.Version = "0.74.0", "0.75.0"
	newer.Report.Metadata.OS = &ftypes.OS{Family: "debian", Name: "10", Eosl: true}
	old.Report.Metadata.OS = &ftypes.OS{Family: "debian", Name: "12"}
	old.Unknown = []scan.Executable{{Path: "opt/y", Kind: "ELF"}, {Path: "opt/x", Kind: "ELF"}}
	source := Part{Kind: KindSource, Name: "src", Report: &types.Report{Metadata: types.Metadata{OS: &ftypes.OS{Family: "debian", Name: "10", Eosl: true}}, Results: types.Results{{Target: "a", Class: types.ClassSecret}}}}
	for _, parts := range [][]Part{{old, newer, source}, {source, newer, old}} {
		all := Combine("app", parts, []scan.Misconfiguration{{ID: "x", File: "main.tf"}})
		require.Equal(t, "0.75.0", all.Trivy.Version)
		var targets, paths []string
		for _, result := range all.Results {
			targets = append(targets, result.Target)
			for _, v := range result.Vulnerabilities {
				paths = append(paths, v.PkgPath)
			}
		}
		require.Equal(t, []string{"linux/amd64/app", "linux/amd64/opt/x", "linux/amd64/opt/y", "linux/arm64/app", "linux/arm64/etc/os-release", "main.tf", "src/a"}, targets)
		require.Equal(t, []string{"", "linux/amd64/usr/bin/a", "linux/amd64/usr/bin/b"}, paths)
	}
	require.Equal(t, "usr/bin/a", old.Report.Results[0].Vulnerabilities[1].PkgPath, "the report stays as it is")
}

// No line of a scanned file is in what is kept of it.
func TestEverySecretIsMasked(t *testing.T) {
	report, err := Parse([]byte(`{"SchemaVersion":2,"ReportID":"1","CreatedAt":"2026-01-02T03:04:05Z","Results":[
		{"Target":"a","Class":"secret","Secrets":[{"RuleID":"x","Match":"hush-1","Code":{"Lines":[{"Content":"hush-2"}]}},{"RuleID":"y","Match":"hush-3","Code":{"Lines":[{"Content":"hush-4"}]}}]},
		{"Target":"b","Class":"secret","Secrets":[{"RuleID":"z","Match":"hush-5","Code":{"Lines":[{"Content":"hush-6"}]}}]}]}`))
	require.NoError(t, err)
	require.Empty(t, report.ReportID)
	require.True(t, report.CreatedAt.IsZero())
	for _, result := range report.Results {
		for _, s := range result.Secrets {
			require.NotContains(t, s.Match, "hush")
			require.Empty(t, s.Code.Lines)
		}
	}
	require.Len(t, report.Results[0].Secrets, 2)
	for _, none := range []string{"", "{", "[]", `{"SchemaVersion":1}`} {
		_, err := Parse([]byte(none))
		require.Error(t, err, none)
	}
}
