package advisory

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aquasecurity/trivy-db/pkg/db"
	"github.com/aquasecurity/trivy-db/pkg/types"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

// The Go vulnerability database as a folder of OSV records is large and not
// part of this repository, so the test that reads it whole runs where it is
// given:
//
//	go test ./advisory -go-vulndb /path/to/data/osv
var goVulnDB = flag.String("go-vulndb", "", "folder of records of the Go vulnerability database")

var updatedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func input(advisories string) Input {
	return Input{Advisories: advisories, UpdatedAt: updatedAt, NextUpdate: updatedAt.Add(24 * time.Hour)}
}

// lookup opens the database in folder as Trivy does, and asks it.
func lookup(t *testing.T, folder, pkg string) map[string]types.Advisory {
	t.Helper()
	require.NoError(t, db.Init(folder))
	defer func() { require.NoError(t, db.Close()) }()
	advisories, err := db.Config{}.GetAdvisories("go::", pkg)
	require.NoError(t, err)
	found := map[string]types.Advisory{}
	for _, a := range advisories {
		found[a.VulnerabilityID] = a
	}
	return found
}

func severity(t *testing.T, folder, id string) string {
	t.Helper()
	require.NoError(t, db.Init(folder))
	defer func() { require.NoError(t, db.Close()) }()
	v, err := db.Config{}.GetVulnerability(id)
	require.NoError(t, err)
	return v.VendorSeverity["ghsa"].String()
}

func TestTheAdvisoriesCarriedHere(t *testing.T) {
	out := t.TempDir()
	summary, err := Build(input(filepath.Join("..", "advisories")), out)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"Slipway Advisories": 18}, summary.Advisories)
	require.Equal(t, 18, summary.Vulnerabilities)
	require.Equal(t, 2, summary.Version)

	text := lookup(t, out, "golang.org/x/text")
	require.Len(t, text, 3)
	require.Equal(t, []string{"<0.3.8"}, text["CVE-2022-32149"].VulnerableVersions)
	require.Equal(t, []string{"0.3.8"}, text["CVE-2022-32149"].PatchedVersions)
	require.Equal(t, []string{"GO-2022-1059", "GHSA-69ch-w2m2-3vjp"}, text["CVE-2022-32149"].VendorIDs)
	require.Equal(t, "HIGH", severity(t, out, "CVE-2022-32149"))
	require.Equal(t, "CRITICAL", severity(t, out, "CVE-2024-45337"))
	require.Equal(t, "MEDIUM", severity(t, out, "CVE-2023-45288"))
	require.Empty(t, lookup(t, out, "github.com/unknown/module"))

	data, err := os.ReadFile(filepath.Join(out, MetadataFile))
	require.NoError(t, err)
	require.JSONEq(t, `{"Version":2,"UpdatedAt":"2026-01-02T03:04:05Z","NextUpdate":"2026-01-03T03:04:05Z","DownloadedAt":"0001-01-01T00:00:00Z"}`, string(data))
}

func TestTheSameInputGivesTheSameBytes(t *testing.T) {
	built := func(file string) [sha256.Size]byte {
		out := t.TempDir()
		_, err := Build(input(filepath.Join("..", "advisories")), out)
		require.NoError(t, err)
		data, err := os.ReadFile(filepath.Join(out, file))
		require.NoError(t, err)
		return sha256.Sum256(data)
	}
	for _, file := range []string{DatabaseFile, MetadataFile} {
		first := built(file)
		// An order that comes from a map differs now and then only.
		for range 8 {
			require.Equal(t, first, built(file), file)
		}
	}
}

const record = `{"id":"GO-2026-0001","aliases":["CVE-2026-0001"],"summary":"s","details":"d",
"affected":[{"package":{"name":"example.org/m","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.3"}]}],
"ecosystem_specific":{"imports":[{"path":"example.org/m","goos":["windows"]}%s]}}]%s}`

func folder(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.json"), []byte(content), 0o644))
	return dir
}

func goRecord(imports, rest string) string {
	return fmt.Sprintf(record, imports, rest)
}

func TestGoRecordsHaveNoSeverityAndAreKeptWhole(t *testing.T) {
	out := t.TempDir()
	in := input("")
	in.GoVulnDB = folder(t, goRecord("", ""))
	_, err := Build(in, out)
	require.NoError(t, err)
	found := lookup(t, out, "example.org/m")["CVE-2026-0001"]
	require.Equal(t, []string{"<1.2.3"}, found.VulnerableVersions)
	require.Equal(t, []string{"windows"}, found.OSes)
	require.Equal(t, "UNKNOWN", severity(t, out, "CVE-2026-0001"))

	// One package that is affected everywhere makes it everywhere.
	in.GoVulnDB = folder(t, goRecord(`,{"path":"example.org/m/sub"}`, ""))
	out = t.TempDir()
	_, err = Build(in, out)
	require.NoError(t, err)
	require.Empty(t, lookup(t, out, "example.org/m")["CVE-2026-0001"].OSes)
}

func TestAWithdrawnAdvisoryIsLeftOut(t *testing.T) {
	in := input(filepath.Join("..", "advisories"))
	in.GoVulnDB = folder(t, goRecord("", `,"withdrawn":"2026-01-01T00:00:00Z"`))
	out := t.TempDir()
	summary, err := Build(in, out)
	require.NoError(t, err)
	require.Equal(t, 18, summary.Vulnerabilities)
	require.Empty(t, lookup(t, out, "example.org/m"))
}

func TestAGradedSourceGradesTheGoDatabase(t *testing.T) {
	in := input(folder(t, goRecord("", `,"database_specific":{"severity":"CRITICAL"}`)))
	in.GoVulnDB = in.Advisories
	out := t.TempDir()
	_, err := Build(in, out)
	require.NoError(t, err)
	require.Equal(t, "CRITICAL", severity(t, out, "CVE-2026-0001"))
}

// ranges is an advisory with one affected range of these events, behind one that
// a stray end could be taken for.
func ranges(events string) string {
	return `{"id":"a","affected":[{"package":{"name":"x","ecosystem":"Go"},"ranges":[` +
		`{"type":"SEMVER","events":[{"introduced":"0"}]},{"type":"SEMVER","events":` + events + `}]}],"database_specific":{"severity":"LOW"}}`
}

func TestBuildRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		in     Input
		reason string
	}{
		"no folder at all":               {input(""), "hold no vulnerability"},
		"a folder that is not there":     {input("/nowhere"), "is no folder of advisories"},
		"an empty folder":                {input(t.TempDir()), "no file ends in .json"},
		"a file that is not JSON":        {input(folder(t, "x")), "a.json"},
		"a file that is no advisory":     {input(folder(t, "{}")), "has no id or affects nothing"},
		"a range that ends only":         {input(folder(t, ranges(`[{"fixed":"1.0.0"}]`))), `ends at "1.0.0" before anything is introduced`},
		"a range that ends first":        {input(folder(t, ranges(`[{"last_affected":"1.0.0"},{"introduced":"2.0.0"}]`))), `ends at "1.0.0"`},
		"a range without a beginning":    {input(folder(t, ranges(`[{"limit":"1.0.0"}]`))), "introduces nothing"},
		"an advisory without a severity": {input(folder(t, goRecord("", `,"database_specific":{}`))), "can't be used"},
		"an odd severity":                {input(folder(t, goRecord("", `,"database_specific":{"severity":"SEVERE"}`))), `severity "SEVERE"`},
		"another ecosystem":              {input(folder(t, `{"id":"a","affected":[{"package":{"name":"x","ecosystem":"npm"}}],"database_specific":{"severity":"LOW"}}`)), "hold no vulnerability"},
		"a next update in the past": {Input{Advisories: filepath.Join("..", "advisories"), UpdatedAt: updatedAt, NextUpdate: updatedAt},
			"is not later"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Build(c.in, t.TempDir())
			fault, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			require.Equal(t, step.KindInput, fault.Kind)
			require.Equal(t, "scan", fault.Stage)
			require.Contains(t, fault.Reason, c.reason)
			require.NotEmpty(t, fault.Mend)
		})
	}
}

func TestTheWholeGoDatabase(t *testing.T) {
	if *goVulnDB == "" {
		t.Skip("give the records of the Go vulnerability database with -go-vulndb FOLDER")
	}
	in := input(filepath.Join("..", "advisories"))
	in.GoVulnDB = *goVulnDB
	out := t.TempDir()
	summary, err := Build(in, out)
	require.NoError(t, err)
	require.Greater(t, summary.Vulnerabilities, 4000)
	text := lookup(t, out, "golang.org/x/text")
	require.Contains(t, text, "CVE-2022-32149")
	require.Equal(t, "HIGH", severity(t, out, "CVE-2022-32149"))
	// A module that only the Go database knows.
	require.Contains(t, lookup(t, out, "github.com/dgrijalva/jwt-go"), "CVE-2020-26160")
	require.Equal(t, "UNKNOWN", severity(t, out, "CVE-2020-26160"))
}
