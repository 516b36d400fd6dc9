package findings

import (
	"encoding/json"
	"slices"
	"testing"

	dbTypes "github.com/aquasecurity/trivy-db/pkg/types"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/package-url/packageurl-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step/result/scan"
)

func flaw(severity, fixed string) types.DetectedVulnerability {
	return types.DetectedVulnerability{
		VulnerabilityID: "CVE-2023-0361", PkgName: "gnutls", InstalledVersion: "3.7.6-12.el9_0", FixedVersion: fixed,
		//nolint:staticcheck // In a report it is Trivy's choice among the vendors'.
		Vulnerability: dbTypes.Vulnerability{Severity: severity, Title: "timing side-channel"},
	}
}

func rocky(platform string, flaws ...types.DetectedVulnerability) Part {
	return Part{Kind: KindImage, Name: platform, Executables: 1, Report: &types.Report{SchemaVersion: schemaVersion, Results: types.Results{{
		Target: "rocky 9.1", Class: types.ClassOSPkg, Type: "rocky", Vulnerabilities: flaws,
		Packages: ftypes.Packages{{Name: "gnutls", Version: "3.7.6", Release: "12.el9_0"}},
	}}}}
}

// permutations are all orders of the parts.
func permutations(parts []Part) [][]Part {
	if len(parts) < 2 {
		return [][]Part{slices.Clone(parts)}
	}
	var all [][]Part
	for i := range parts {
		rest := slices.Delete(slices.Clone(parts), i, i+1)
		for _, p := range permutations(rest) {
			all = append(all, append([]Part{parts[i]}, p...))
		}
	}
	return all
}

func TestTheWorstSeverityAndAnyFixCountInAnyOrder(t *testing.T) {
	for name, c := range map[string]struct {
		parts []Part
		want  [][2]string // severity and fixed version
	}{
		"a fix on one platform": {
			[]Part{rocky("linux/amd64", flaw("HIGH", "")), rocky("linux/arm64", flaw("HIGH", "3.7.6-18.el9_1"))},
			[][2]string{{"HIGH", "3.7.6-18.el9_1"}}},
		"a worse severity on one platform": {
			[]Part{rocky("linux/amd64", flaw("MEDIUM", "")), rocky("linux/arm64", flaw("CRITICAL", ""))},
			[][2]string{{"CRITICAL", ""}}},
		"one has the fix and the other the severity": {
			[]Part{rocky("linux/amd64", flaw("LOW", "1")), rocky("linux/arm64", flaw("CRITICAL", ""))},
			[][2]string{{"CRITICAL", "1"}}},
		"twice in one report": {
			[]Part{rocky("linux/amd64", flaw("LOW", ""), flaw("CRITICAL", "1"), flaw("LOW", ""))},
			[][2]string{{"CRITICAL", "1"}}},
		"several fixes": {
			[]Part{rocky("linux/amd64", flaw("HIGH", "2, 1")), rocky("linux/arm64", flaw("HIGH", "3,1")), rocky("linux/arm/v7", flaw("HIGH", ""))},
			[][2]string{{"HIGH", "1, 2, 3"}}},
		"one fix as the advisory writes it": {
			[]Part{rocky("linux/amd64", flaw("HIGH", "2, 1")), rocky("linux/arm64", flaw("HIGH", "2, 1"))},
			[][2]string{{"HIGH", "2, 1"}}},
		"an unknown severity is not hidden by a low one": {
			[]Part{rocky("linux/amd64", flaw("LOW", "")), rocky("linux/arm64", flaw("", ""))},
			[][2]string{{"LOW", ""}, {"UNKNOWN", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, order := range permutations(c.parts) {
				document, err := Merge(digest, "0.74.0", database, order, nil)
				require.NoError(t, err)
				var got [][2]string
				for _, v := range document.Vulnerabilities {
					got = append(got, [2]string{string(v.Severity), v.Fixed})
				}
				require.Equal(t, c.want, got)
				require.Equal(t, "timing side-channel", document.Vulnerabilities[0].Title)

				shown := map[[2]string]bool{}
				for _, result := range Combine(digest, order, nil).Results {
					for _, v := range result.Vulnerabilities {
						shown[[2]string{string(rated(v)), v.FixedVersion}] = true
					}
					require.LessOrEqual(t, len(result.Vulnerabilities), len(c.want), "a finding is shown twice")
				}
				for _, one := range c.want {
					require.Contains(t, shown, one, "the report shows what the verdict is about")
				}
				require.Len(t, shown, len(c.want))
			}
		})
	}
}

func TestEveryOrderOfThePartsGivesTheSameBytes(t *testing.T) {
	all := parts(t)
	all[0].Report.Results = append(all[0].Report.Results, rocky("", flaw("MEDIUM", "2"), flaw("HIGH", "")).Report.Results...)
	all[0].Report.Metadata.OS = &ftypes.OS{Family: "rocky", Name: "9.1", Eosl: true}
	all[0].Executables, all[0].Unknown = 3, []scan.Executable{{Path: "usr/bin/x", SHA256: "1", Kind: "ELF file", Reason: "r", Platforms: []string{"linux/arm64"}}}
	all[1].Unknown = []scan.Executable{
		{Path: "usr/bin/x", SHA256: "2", Kind: "ELF file", Reason: "r", Platforms: []string{"linux/amd64"}},
		{Path: "usr/bin/x", SHA256: "1", Kind: "ELF file", Reason: "r", Platforms: []string{"linux/amd64"}},
	}
	all = append(all, rocky("linux/arm/v7", flaw("CRITICAL", "1"), flaw("", "")))

	var want, wantCombined string
	for _, order := range permutations(all) {
		document, err := Merge(digest, "0.74.0", database, order, nil)
		require.NoError(t, err)
		got, err := json.Marshal(document)
		require.NoError(t, err)
		combined, err := json.Marshal(Combine(digest, order, nil))
		require.NoError(t, err)
		if want == "" {
			want, wantCombined = string(got), string(combined)
			require.Equal(t, []scan.Executable{
				{Path: "usr/bin/x", SHA256: "1", Kind: "ELF file", Reason: "r", Platforms: []string{"linux/amd64", "linux/arm64"}},
				{Path: "usr/bin/x", SHA256: "2", Kind: "ELF file", Reason: "r", Platforms: []string{"linux/amd64"}},
			}, document.Unknown)
			require.Equal(t, []scan.Image{
				{Platform: "linux/amd64"}, {Platform: "linux/arm/v7", Executables: 1}, {Platform: "linux/arm64", System: "rocky 9.1", EndOfLife: true, Executables: 3},
			}, document.Images)
		}
		require.Equal(t, want, string(got))
		require.Equal(t, wantCombined, string(combined))
	}
}

func TestReportsShowWhatOnlyTheFindingsSay(t *testing.T) {
	part := rocky("linux/amd64")
	part.Report.Metadata.OS = &ftypes.OS{Family: "centos", Name: "8.4", Eosl: true}
	part.Unknown = []scan.Executable{{Path: "opt/x", SHA256: "1", Kind: "ELF file", Reason: "is of no package"}}
	shown := map[string]string{}
	for _, result := range Combine(digest, []Part{part}, nil).Results {
		for _, m := range result.Misconfigurations {
			shown[result.Target] = m.ID + ": " + m.Message
		}
	}
	assert.Equal(t, map[string]string{
		"linux/amd64/opt/x":          "unknown-executable: ELF file: is of no package",
		"linux/amd64/etc/os-release": "end-of-life: centos 8.4",
	}, shown)
}

// An exception for a package has to be for all of them.
func TestPackageURLsOfAllPlatformsAreKept(t *testing.T) {
	named := func(purl string) types.DetectedVulnerability {
		v := flaw("HIGH", "")
		if purl != "" {
			parsed, err := packageurl.FromString(purl)
			require.NoError(t, err)
			v.PkgIdentifier.PURL = &parsed
		}
		return v
	}
	const amd64, arm64 = "pkg:rpm/rocky/gnutls@3.7.6-12.el9_0?arch=x86_64", "pkg:rpm/rocky/gnutls@3.7.6-12.el9_0?arch=aarch64"
	for _, order := range permutations([]Part{rocky("linux/amd64", named(amd64)), rocky("linux/arm64", named(arm64), named(arm64)), rocky("linux/arm/v7", named(""))}) {
		document, err := Merge(digest, "0.74.0", database, order, nil)
		require.NoError(t, err)
		require.Len(t, document.Vulnerabilities, 1)
		assert.Equal(t, []string{"", arm64, amd64}, document.Vulnerabilities[0].PURLs)
	}
}
