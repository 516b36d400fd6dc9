package findings

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/result/scan"
)

var update = flag.Bool("update", false, "write the golden files anew")

const digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

var database = scan.Database{
	Digest:    "sha256:2222222222222222222222222222222222222222222222222222222222222222",
	UpdatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), NextUpdate: time.Date(2026, 1, 3, 3, 4, 5, 0, time.UTC), Version: 2,
}

func recorded(t *testing.T, name string) *types.Report {
	t.Helper()
	report, err := Read(filepath.Join("testdata", name))
	require.NoError(t, err)
	return report
}

func parts(t *testing.T) []Part {
	return []Part{
		{Kind: KindImage, Name: "linux/arm64", Report: recorded(t, "image.json")},
		{Kind: KindImage, Name: "linux/amd64", Report: recorded(t, "image.json")},
		{Kind: KindSource, Name: "apps/sample", Report: recorded(t, "source.json")},
		{Kind: KindManifests, Name: "manifests", Trees: []string{"gitops/apps/sample", "infra/local"}, Report: recorded(t, "manifests.json")},
	}
}

func golden(t *testing.T, name string, value any) {
	t.Helper()
	got, err := json.MarshalIndent(value, "", "  ")
	require.NoError(t, err)
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, append(got, '\n'), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got)+"\n")
}

func TestMergeMakesTheSameFindingsInAnyOrder(t *testing.T) {
	extra := []scan.Misconfiguration{{ID: "SLIPWAY-INLINE-IGNORE", File: "infra/local/main.tf", Line: 1, Severity: "HIGH", Title: "A comment"}}
	document, err := Merge(digest, "0.74.0", database, parts(t), extra)
	require.NoError(t, err)
	golden(t, "findings.golden.json", document)

	turned := parts(t)
	turned[0], turned[1], turned[2], turned[3] = turned[3], turned[2], turned[1], turned[0]
	again, err := Merge(digest, "0.74.0", database, turned, extra)
	require.NoError(t, err)
	require.Equal(t, document, again)
}

func TestEachPackageIsListedOnceWithTheVersionThatVulnerabilitiesName(t *testing.T) {
	amd64, arm64 := recorded(t, "image.json"), recorded(t, "image.json")
	arm64.Results[0].Packages[2].Version = "v0.3.8"
	amd64.Results = append(amd64.Results, types.Result{Target: "debian 12", Class: types.ClassOSPkg, Type: "debian", Packages: ftypes.Packages{
		{Name: "libc6", Version: "2.36", Release: "9+deb12u4"}, {Name: "tzdata", Version: "2024a", Release: "0+deb12u1", Epoch: 1}, {Name: "odd\n\tname"},
	}})
	document, err := Merge(digest, "0.74.0", database, []Part{
		{Kind: KindImage, Name: "linux/arm64", Report: arm64}, {Kind: KindImage, Name: "linux/amd64", Report: amd64},
	}, nil)
	require.NoError(t, err)
	require.Equal(t, []scan.Package{
		{Class: "lang-pkgs", Type: "gobinary", Name: "golang.org/x/text", Version: "v0.3.7"},
		{Class: "lang-pkgs", Type: "gobinary", Name: "golang.org/x/text", Version: "v0.3.8"},
		{Class: "lang-pkgs", Type: "gobinary", Name: "sample", Version: ""},
		{Class: "lang-pkgs", Type: "gobinary", Name: "stdlib", Version: "v1.26.8"},
		{Class: "os-pkgs", Type: "debian", Name: "libc6", Version: "2.36-9+deb12u4"},
		{Class: "os-pkgs", Type: "debian", Name: "odd name", Version: ""},
		{Class: "os-pkgs", Type: "debian", Name: "tzdata", Version: "1:2024a-0+deb12u1"},
	}, document.Packages)

	document, err = Merge("", "0.74.0", database, []Part{{Kind: KindSource, Name: "infra", Report: recorded(t, "source.json")}}, nil)
	require.NoError(t, err)
	require.Equal(t, []scan.Package{}, document.Packages)
}

func TestNoScannedLineReachesAnyReport(t *testing.T) {
	all := parts(t)
	document, err := Merge(digest, "0.74.0", database, all, nil)
	require.NoError(t, err)
	for name, value := range map[string]any{"findings": document, "raw": all, "combined": Combine(digest, all, nil)} {
		data, err := json.Marshal(value)
		require.NoError(t, err)
		text := string(data)
		require.NotContains(t, text, "hunter2", name)
		require.NotContains(t, text, "const token", name)
		require.NotContains(t, text, "privileged: true", name)
	}
}

func TestCombineSaysWhereEachTargetBelongs(t *testing.T) {
	extra := []scan.Misconfiguration{{ID: "SLIPWAY-INLINE-IGNORE", File: "infra/local/main.tf", Line: 1, Severity: "HIGH", Title: "A comment"}}
	combined := Combine(digest, parts(t), extra)
	var targets []string
	for _, result := range combined.Results {
		targets = append(targets, result.Target)
	}
	require.Equal(t, []string{
		"apps/sample/config_test.go", "gitops/apps/sample/base/cm.yaml", "gitops/apps/sample/base/pod.yaml",
		"infra/local", "infra/local/main.tf", "linux/amd64/app", "linux/arm64/app",
	}, targets)
	require.Equal(t, "SLIPWAY-INLINE-IGNORE", combined.Results[4].Misconfigurations[0].ID)
}

func TestMergeRefusesWhatNobodyLookedAt(t *testing.T) {
	edited := func(edit func(*types.Report)) *types.Report {
		report := recorded(t, "image.json")
		edit(report)
		return report
	}
	for name, c := range map[string]struct {
		part   Part
		kind   step.Kind
		reason string
	}{
		"a class of results that it does not know": {
			Part{Kind: KindImage, Name: "linux/amd64", Report: edited(func(r *types.Report) { r.Results[0].Class = "firmware" })},
			step.KindInfrastructure, `is of class "firmware"`},
		"a class that does not belong to the scan": {
			Part{Kind: KindSource, Name: "source", Report: recorded(t, "image.json")},
			step.KindInfrastructure, `is of class "lang-pkgs"`},
		"an image without packages": {
			Part{Kind: KindImage, Name: "linux/amd64", Report: edited(func(r *types.Report) { r.Results = nil })},
			step.KindPolicy, "holds no package that Trivy knows"},
		"findings that were suppressed": {
			Part{Kind: KindImage, Name: "linux/amd64", Report: edited(func(r *types.Report) {
				r.Results[0].ModifiedFindings = []types.ModifiedFinding{{}}
			})},
			step.KindInfrastructure, "was told to ignore"},
		"manifests of no known kind": {
			Part{Kind: KindManifests, Trees: []string{"gitops/apps/sample", "infra/other"}, Report: recorded(t, "manifests.json")},
			step.KindPolicy, "hold no file that Trivy can check"},
		"an object that Trivy left out": {
			Part{Kind: KindManifests, Objects: []string{"gitops/apps/sample/left-out.yaml"}, Report: recorded(t, "manifests.json")},
			step.KindPolicy, "holds a Kubernetes object that Trivy did not check"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Merge(digest, "0.74.0", database, []Part{c.part}, nil)
			fault, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			require.Equal(t, c.kind, fault.Kind)
			require.Equal(t, "scan", fault.Stage)
			require.Contains(t, fault.Reason, c.reason)
			require.NotEmpty(t, fault.Mend)
		})
	}
}

func TestParseRefusesAnotherReport(t *testing.T) {
	for name, data := range map[string]string{
		"no JSON":         "Killed",
		"another version": `{"SchemaVersion": 3}`,
		"no version":      `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(data))
			fault, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			require.Equal(t, step.KindInfrastructure, fault.Kind)
			require.True(t, strings.HasSuffix(fault.Reason, "no verdict"), fault.Reason)
		})
	}
	_, err := Read(filepath.Join(t.TempDir(), "none"))
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	require.Contains(t, fault.Reason, "was not written")
}

func TestAnOddSeverityIsUnknown(t *testing.T) {
	require.Equal(t, scan.Unknown, severity(""))
	require.Equal(t, scan.Unknown, severity("SEVERE"))
	require.Equal(t, scan.High, severity("high"))
}
