package scan

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	dbTypes "github.com/aquasecurity/trivy-db/pkg/types"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"slipway/scan/step/database"
	"slipway/scan/step/findings"
	"slipway/scan/step/internal/sample"
	"slipway/scan/step/inventory"
	"slipway/step/result/scan"
)

func (b *bench) findings(t *testing.T) scan.Findings {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(b.out, FindingsFile))
	require.NoError(t, err)
	var document scan.Findings
	require.NoError(t, json.Unmarshal(data, &document))
	return document
}

// One program that the report lists says nothing about another.
func TestAStrangerBesideTheExpectedProgramIsFound(t *testing.T) {
	b := newBench(t)
	stranger := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 57)
	b.in.Layout, b.in.Digest = sample.Layout(t, sample.Index(t,
		sample.Files(t, "amd64", map[string]string{"app": "text", "opt/x": stranger, "bin/run": "#!/bin/sh\n"}),
		sample.Files(t, "arm64", map[string]string{"app": "text", "opt/x": stranger})))
	require.NoError(t, os.WriteFile(filepath.Join(b.in.Source.Folder, "run.sh"), []byte("#!/bin/sh\n"), 0o644))
	_, err := b.run()
	require.NoError(t, err)
	document := b.findings(t)
	require.Len(t, document.Unknown, 1)
	assert.Equal(t, "opt/x", document.Unknown[0].Path)
	assert.Equal(t, []string{"linux/amd64", "linux/arm64"}, document.Unknown[0].Platforms)
	assert.Equal(t, []scan.Image{{Platform: "linux/amd64", Executables: 2}, {Platform: "linux/arm64", Executables: 1}}, document.Images)
	table, err := os.ReadFile(filepath.Join(b.out, TableFile))
	require.NoError(t, err)
	assert.Contains(t, string(table), "linux/arm64/opt/x", "the report shows what the verdict is about")
}

func TestEndOfLifeReachesTheFindings(t *testing.T) {
	b := newBench(t)
	file := filepath.Join(b.home, "image.json")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	data = []byte(strings.Replace(string(data), `"Results": [`, `"Metadata": {"OS": {"Family": "debian", "Name": "10.13", "EOSL": true}}, "Results": [`, 1))
	require.NoError(t, os.WriteFile(file, data, 0o644))
	_, err = b.run()
	require.NoError(t, err)
	assert.Equal(t, scan.Image{Platform: "linux/amd64", System: "debian 10.13", EndOfLife: true}, b.findings(t).Images[0])
}

// advised is what a database says that knows an advisory for golang.org/x/text.
func advised(t *testing.T, b *bench) *database.Coverage {
	t.Helper()
	db, err := bolt.Open(filepath.Join(b.in.Cache, "db", "trivy.db"), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		_, err := tx.Bucket([]byte("go::Sample")).CreateBucket([]byte("golang.org/x/text"))
		return err
	}))
	require.NoError(t, db.Close())
	_, coverage, err := database.Load(b.in.Cache)
	require.NoError(t, err)
	return coverage
}

func TestReplacedModulesAreJudgedUnderTheirOwnName(t *testing.T) {
	b := newBench(t)
	coverage := advised(t, b)
	flaw := types.DetectedVulnerability{
		VulnerabilityID: "CVE-2022-32149", PkgName: "golang.org/x/text", InstalledVersion: "v0.3.7", FixedVersion: "0.3.8",
		//nolint:staticcheck // In a report it is Trivy's choice among the vendors'.
		Vulnerability: dbTypes.Vulnerability{Severity: "HIGH", Title: "slow parsing"},
	}
	answer := types.Report{SchemaVersion: 2, Results: types.Results{
		{Target: "0/go.mod", Class: types.ClassLangPkg, Type: ftypes.GoModule, Packages: ftypes.Packages{{Name: "golang.org/x/text", Version: "v0.3.7"}}, Vulnerabilities: []types.DetectedVulnerability{flaw}},
		{Target: "1/go.mod", Class: types.ClassLangPkg, Type: ftypes.GoModule, Packages: ftypes.Packages{{Name: "golang.org/x/text", Version: "v0.3.8"}}},
	}}
	data, err := json.Marshal(answer)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(b.home, "modules.json"), data, 0o644))

	run := func(modules ...inventory.Module) (*findings.Part, []inventory.Module) {
		s := &scanner{ctx: context.Background(), runner: b.runner, cache: b.in.Cache, work: t.TempDir(), out: t.TempDir(), say: func(string, ...any) {}}
		require.NoError(t, s.prepare())
		part := &findings.Part{Kind: findings.KindImage, Name: "linux/amd64", Report: &types.Report{}}
		unknown, err := s.modules(part, modules, coverage)
		require.NoError(t, err)
		for n := range part.Report.Results {
			written, err := os.ReadFile(filepath.Join(s.work, "modules-linux-amd64", strconv.Itoa(n), "go.mod"))
			require.NoError(t, err)
			assert.Equal(t, "go 1.17\n\nrequire golang.org/x/text "+[]string{"v0.3.7", "v0.3.8"}[n]+"\n", string(written))
		}
		return part, unknown
	}
	old := inventory.Module{Program: "app", Path: "golang.org/x/text", Version: "v0.3.7", Replacement: "./copy"}
	mended := inventory.Module{Program: "b", Path: "golang.org/x/text", Version: "v0.3.8", Replacement: "./copy"}
	part, unknown := run(inventory.Module{Program: "app", Path: "example.com/app"}, mended, old)
	assert.Empty(t, unknown)
	require.Len(t, part.Report.Results, 2)
	assert.Equal(t, types.Result{Target: "app", Class: types.ClassLangPkg, Type: ftypes.GoBinary, Packages: answer.Results[0].Packages, Vulnerabilities: answer.Results[0].Vulnerabilities}, part.Report.Results[0])
	assert.Equal(t, "b", part.Report.Results[1].Target)
	assert.Empty(t, part.Report.Results[1].Vulnerabilities)

	lost := inventory.Module{Program: "app", Path: "golang.org/x/text", Replacement: "./copy"}
	own := inventory.Module{Program: "app", Path: "example.com/own", Replacement: "../own"}
	part, unknown = run(lost, own)
	assert.Equal(t, []inventory.Module{lost}, unknown, "no version, and advisories that it matters to")
	assert.Empty(t, part.Report.Results)

	// What the scanner leaves out it has not judged.
	_, unknown = run(inventory.Module{Program: "app", Path: "golang.org/x/text", Version: "v0.3.7", Replacement: "./copy"},
		inventory.Module{Program: "b", Path: "golang.org/x/text", Version: "v0.3.8", Replacement: "./copy"})
	require.Empty(t, unknown)
	answer.Results = answer.Results[:1]
	data, err = json.Marshal(answer)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(b.home, "modules.json"), data, 0o644))
	_, unknown = run(old, mended)
	assert.Equal(t, []inventory.Module{mended}, unknown)
}

func TestAStrangersModuleIsNamed(t *testing.T) {
	m := inventory.Module{Program: "app", SHA256: "1", Path: "example.com/lib"}
	want := scan.Executable{Path: "app", SHA256: "1", Kind: "Go program", Platforms: []string{"linux/arm64"},
		Reason: "is built of the module example.com/lib, in no version that advisories could be compared with"}
	assert.Equal(t, want, stranger(m, "linux/arm64"))
	m.Replacement = "../lib"
	want.Reason = "is built of ../lib instead of the module example.com/lib, and says in no version that advisories could be compared with"
	assert.Equal(t, want, stranger(m, "linux/arm64"))
}
