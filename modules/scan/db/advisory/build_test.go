package advisory

import (
	"crypto/sha256"
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

var updatedAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func input(advisories string) Input {
	return Input{Advisories: advisories, UpdatedAt: updatedAt, NextUpdate: updatedAt.Add(24 * time.Hour)}
}

// lookup opens the database in folder as Trivy does, and asks it.
func lookup(t *testing.T, folder, pkg string) map[string]types.Advisory {
	t.Helper()
	return lookupIn(t, folder, "go::", pkg)
}

// lookupIn asks for another ecosystem than Go.
func lookupIn(t *testing.T, folder, ecosystem, pkg string) map[string]types.Advisory {
	t.Helper()
	require.NoError(t, db.Init(folder))
	defer func() { require.NoError(t, db.Close()) }()
	advisories, err := db.Config{}.GetAdvisories(ecosystem, pkg)
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
	require.Equal(t, map[string]int{"Slipway Demo Advisories": 31}, summary.Advisories)
	require.Equal(t, 31, summary.Vulnerabilities)
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

	for _, c := range []struct {
		ecosystem, pkg, id, severity string
		vulnerable, patched          []string
		fixed                        string
	}{
		{"npm::", "minimist", "CVE-2021-44906", "CRITICAL", []string{"<0.2.4", ">=1.0.0, <1.2.6"}, []string{"0.2.4", "1.2.6"}, ""},
		{"npm::", "lodash-es", "CVE-2021-23337", "HIGH", []string{"<4.17.21"}, []string{"4.17.21"}, ""},
		{"pip::", "jinja2", "CVE-2019-10906", "HIGH", []string{"<2.10.1"}, []string{"2.10.1"}, ""},
		{"maven::", "org.yaml:snakeyaml", "CVE-2022-1471", "HIGH", []string{"<2.0"}, []string{"2.0"}, ""},
		{"debian 12", "glibc", "CVE-2023-4911", "HIGH", nil, nil, "2.36-9+deb12u3"},
		{"debian 13", "glibc", "CVE-2023-4911", "HIGH", nil, nil, "2.37-12"},
		{"debian 12", "expat", "CVE-2024-45491", "CRITICAL", nil, nil, "2.5.0-1+deb12u1"},
	} {
		found := lookupIn(t, out, c.ecosystem, c.pkg)
		require.Contains(t, found, c.id, c.ecosystem)
		a := found[c.id]
		require.Equal(t, c.vulnerable, a.VulnerableVersions, c.id)
		require.Equal(t, c.patched, a.PatchedVersions, c.id)
		require.Equal(t, c.fixed, a.FixedVersion, c.id)
		require.Equal(t, "Slipway Demo Advisories", a.DataSource.Name)
		require.Equal(t, c.severity, severity(t, out, c.id))
	}
	require.Empty(t, lookupIn(t, out, "debian 11", "glibc"))

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

// The records of the Go vulnerability database may say so; a finding too many is the
// safe side.
func TestAnAdvisoryIsAboutEverySystem(t *testing.T) {
	out := t.TempDir()
	_, err := Build(input(folder(t, goRecord("", `,"database_specific":{"severity":"CRITICAL"}`))), out)
	require.NoError(t, err)
	found := lookup(t, out, "example.org/m")["CVE-2026-0001"]
	require.Equal(t, []string{"<1.2.3"}, found.VulnerableVersions)
	require.Empty(t, found.OSes)
	require.Equal(t, "CRITICAL", severity(t, out, "CVE-2026-0001"))
}

func TestAWithdrawnAdvisoryIsLeftOut(t *testing.T) {
	in := input(t.TempDir())
	require.NoError(t, os.CopyFS(in.Advisories, os.DirFS(filepath.Join("..", "advisories"))))
	withdrawn := goRecord("", `,"withdrawn":"2026-01-01T00:00:00Z","database_specific":{"severity":"LOW"}`)
	require.NoError(t, os.WriteFile(filepath.Join(in.Advisories, "a.json"), []byte(withdrawn), 0o644))
	out := t.TempDir()
	summary, err := Build(in, out)
	require.NoError(t, err)
	require.Equal(t, 31, summary.Vulnerabilities)
	require.Equal(t, map[string]int{"Slipway Demo Advisories": 32}, summary.Advisories)
	require.Empty(t, lookup(t, out, "example.org/m"))
}

// ranges is an advisory with one affected range of these events, behind one that
// a stray end could be taken for.
func ranges(events string) string {
	return `{"id":"a","affected":[{"package":{"name":"x","ecosystem":"Go"},"ranges":[` +
		`{"type":"SEMVER","events":[{"introduced":"0"}]},{"type":"SEMVER","events":` + events + `}]}],"database_specific":{"severity":"LOW"}}`
}

// of is an advisory about a package x of an ecosystem.
func of(ecosystem, rest string) string {
	return `{"id":"a","affected":[{"package":{"name":"x","ecosystem":"` + ecosystem + `"},` + rest + `}],"database_specific":{"severity":"LOW"}}`
}

func TestAnUnfixedPackageOfADistribution(t *testing.T) {
	out := t.TempDir()
	_, err := Build(input(folder(t, of("debian:12", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]`))), out)
	require.NoError(t, err)
	found := lookupIn(t, out, "debian 12", "x")
	require.Contains(t, found, "a")
	require.Empty(t, found["a"].FixedVersion)
}

func TestBuildRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		in     Input
		reason string
	}{
		"no folder at all":               {input(""), "is no folder of advisories"},
		"a folder that is not there":     {input("/nowhere"), "is no folder of advisories"},
		"an empty folder":                {input(t.TempDir()), "no file ends in .json"},
		"a file that is not JSON":        {input(folder(t, "x")), "a.json"},
		"a file that is no advisory":     {input(folder(t, "{}")), "has no id or affects nothing"},
		"a range that ends only":         {input(folder(t, ranges(`[{"fixed":"1.0.0"}]`))), `ends at "1.0.0" before anything is introduced`},
		"a range that ends first":        {input(folder(t, ranges(`[{"last_affected":"1.0.0"},{"introduced":"2.0.0"}]`))), `ends at "1.0.0"`},
		"a range without a beginning":    {input(folder(t, ranges(`[{"limit":"1.0.0"}]`))), "introduces nothing"},
		"an advisory without a severity": {input(folder(t, goRecord("", `,"database_specific":{}`))), "can't be used"},
		"an odd severity":                {input(folder(t, goRecord("", `,"database_specific":{"severity":"SEVERE"}`))), `severity "SEVERE"`},
		"another ecosystem":              {input(folder(t, of("RubyGems", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]`))), `a.json: is about a package of "RubyGems"`},
		"another distribution":           {input(folder(t, of("Ubuntu:24.04", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]`))), `is about a package of "Ubuntu:24.04"`},
		"no versions":                    {input(folder(t, of("npm", `"ranges":[]`))), "has neither ranges nor versions"},
		"a version that is none":         {input(folder(t, of("npm", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"soon"}]}]`))), "can't be compared with a version"},
		"nothing but what is withdrawn":  {input(folder(t, goRecord("", `,"withdrawn":"2026-01-01T00:00:00Z","database_specific":{"severity":"LOW"}`))), "hold no vulnerability"},
		"no release of Debian":           {input(folder(t, of("Debian:", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]`))), `"Debian:" is no release`},
		"a code name":                    {input(folder(t, of("Debian:bookworm", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]`))), `"Debian:bookworm" is no release`},
		"Debian's versions one by one":   {input(folder(t, of("Debian:12", `"versions":["1-1"]`))), "has not one range of versions of x in Debian:12"},
		"Debian's later beginning":       {input(folder(t, of("Debian:12", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"1-1"},{"fixed":"1-2"}]}]`))), "does not begin at 0"},
		"Debian's range in parts":        {input(folder(t, of("Debian:12", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1-2"},{"introduced":"2-1"}]}]`))), "or is in parts"},
		"Debian's last affected":         {input(folder(t, of("Debian:12", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"last_affected":"1-2"}]}]`))), "ends in no fixed version"},
		"no version of Debian's":         {input(folder(t, of("Debian:12", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"soon"}]}]`))), `"soon" is no version of a Debian package`},
		"Debian's package twice": {input(folder(t, of("Debian:12", `"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]},`+
			`{"package":{"name":"x","ecosystem":"Debian:12"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]`))), "names Debian:12 x twice"},
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
