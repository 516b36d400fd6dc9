package sbom

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shuffled is a report in another order.
func shuffled(t *testing.T, name string, random *rand.Rand) *types.Report {
	report := recorded(t, name)
	mix(random, report.Results)
	for _, result := range report.Results {
		mix(random, result.Packages)
		for _, p := range result.Packages {
			mix(random, p.Licenses)
			mix(random, p.DependsOn)
		}
	}
	return report
}

func mix[E any](random *rand.Rand, list []E) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

func TestTheSameReportsGiveTheSameBytes(t *testing.T) {
	for seed := range uint64(32) {
		random := rand.New(rand.NewPCG(seed, 0))
		for architecture, digest := range digests {
			report := shuffled(t, architecture, random)
			// What a run alone knows, and what is known of vulnerabilities.
			report.ReportID, report.CreatedAt = "another", time.Now()
			report.Results[0].Vulnerabilities = []types.DetectedVulnerability{{VulnerabilityID: "CVE-2026-1"}}
			report.Results = append(report.Results, types.Result{
				Class: types.ClassLicense, Type: "node-pkg", Packages: ftypes.Packages{{Name: "no package"}}})
			for i := range report.Results {
				if report.Results[i].Class == types.ClassOSPkg {
					report.Results[i].Target = "/tmp/another/view (debian 12.11)"
				}
			}
			subject := Subject{Name: "sample", Platform: "linux/" + architecture, Digest: digest}
			want := documents(t, imageBill(t, architecture))
			for format, data := range documents(t, bill(t, subject, report)) {
				require.Equal(t, string(want[format]), string(data), "%s, seed %d", format, seed)
			}
		}
		want := documents(t, sourceBill(t))
		for format, data := range documents(t, bill(t, Subject{Name: "apps/sample", Revision: revision}, shuffled(t, "source", random))) {
			require.Equal(t, string(want[format]), string(data), "%s, seed %d", format, seed)
		}
	}
}

func TestAReportStaysAsItIs(t *testing.T) {
	report := recorded(t, "amd64")
	documents(t, bill(t, Subject{Name: "sample", Platform: "linux/amd64", Digest: amd64}, report))
	assert.Equal(t, recorded(t, "amd64"), report)
}

// A document's own name is that of its content: no two documents share one.
func TestEachDocumentHasANameOfItsOwn(t *testing.T) {
	const id = `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\z`
	names := map[string]string{}
	name := func(what string, change func(*Subject, *types.Report)) {
		subject, report := Subject{Name: "sample", Platform: "linux/amd64", Digest: amd64, TrivyVersion: "0.74.0"}, recorded(t, "amd64")
		change(&subject, report)
		b, err := Of(subject, report)
		require.NoError(t, err)
		bom, _, _ := readCycloneDX(t, b)
		d, _, _ := readSPDX(t, b)
		assert.Regexp(t, `\Aurn:uuid:`+id, bom.SerialNumber)
		assert.Regexp(t, id, d.DocumentNamespace)
		for _, full := range []string{bom.SerialNumber, d.DocumentNamespace} {
			require.NotContains(t, names, full[len(full)-36:], what)
			names[full[len(full)-36:]] = what
		}
	}
	name("image", func(*Subject, *types.Report) {})
	name("source", func(s *Subject, _ *types.Report) { s.Platform, s.Digest = "", "" })
	name("another digest", func(s *Subject, _ *types.Report) { s.Digest = arm64 })
	name("another platform", func(s *Subject, _ *types.Report) { s.Platform = "linux/arm64" })
	name("another Trivy", func(s *Subject, _ *types.Report) { s.TrivyVersion = "0.74.1" })
	name("another time", func(s *Subject, _ *types.Report) { s.Created = time.Unix(1, 0) })
	name("another package", func(_ *Subject, r *types.Report) { r.Results[0].Packages[0].Version = "1.1" })
	name("another licence", func(_ *Subject, r *types.Report) { r.Results[0].Packages[0].Licenses = []string{"MIT"} })
}

// Of packages that need each other, and that nothing else needs, the subject holds the
// first by name, each time.
func TestACircleOfPackagesIsHeldByItsFirst(t *testing.T) {
	var packages ftypes.Packages
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	for n, name := range names {
		packages = append(packages, ftypes.Package{ID: name + "@1", Name: name, Version: "1", Relationship: ftypes.RelationshipIndirect, DependsOn: []string{names[(n+1)%len(names)] + "@1"}})
	}
	report := &types.Report{SchemaVersion: 2, Results: types.Results{{Class: types.ClassLangPkg, Type: ftypes.Npm, Target: "package-lock.json", Packages: packages}}}
	want := documents(t, bill(t, Subject{Name: "apps/sample", Revision: revision}, report))
	for range 20 {
		for format, data := range documents(t, bill(t, Subject{Name: "apps/sample", Revision: revision}, report)) {
			require.Equal(t, string(want[format]), string(data), format)
		}
	}
	_, _, needs := readCycloneDX(t, bill(t, Subject{Name: "apps/sample", Revision: revision}, report))
	var holders []string
	for holder, held := range needs {
		for _, one := range held {
			if one == "a" || strings.HasPrefix(one, "pkg:npm/a@") {
				holders = append(holders, holder)
			}
		}
	}
	require.Len(t, holders, 2, "the last of the circle, and the subject: %v", needs)
}
