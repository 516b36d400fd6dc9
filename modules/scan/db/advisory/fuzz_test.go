package advisory

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aquasecurity/trivy-db/pkg/db"

	"slipway/step"
	"slipway/step/steptest"
)

// FuzzBuild: an advisory is refused, or makes a database that knows something and
// that opens again.
func FuzzBuild(f *testing.F) {
	real, err := filepath.Glob(filepath.Join("..", "advisories", "*.json"))
	if err != nil || len(real) == 0 {
		f.Fatal(real, err)
	}
	good, err := os.ReadFile(real[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, text := range []string{
		"", "null", "[]", "{}", `{"id":"GHSA-1"}`, `{"id":"GHSA-1","affected":[{"package":{"ecosystem":"Go"}}],"database_specific":{"severity":"HIGH"}}`,
		`{"id":"GHSA-1","affected":[{"package":{"ecosystem":"go","name":"a/b"}}],"database_specific":{"severity":"high"}}`,
		`{"id":"GHSA-1","affected":[{"package":{"ecosystem":"Go","name":"a/b"},"ranges":[{"type":"SEMVER","events":[{"introduced":"x"},{"fixed":"0"}]}]}],"database_specific":{"severity":"HIGH"}}`,
		`{"id":"GHSA-1","affected":[{"package":{"ecosystem":"Go","name":"a/b"},"ranges":[{"type":"SEMVER","events":[{"fixed":"1.0.0"}]}]}],"database_specific":{"severity":"HIGH"}}`,
		`{"id":"GHSA-1","withdrawn":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"Go","name":"a/b"},"versions":["1.0.0"]}],"database_specific":{"severity":"HIGH"}}`,
		`{"id":"GHSA-1","affected":[{"package":{"ecosystem":"npm","name":"a"},"versions":["1"]}],"database_specific":{"severity":"HIGH"}}`,
		`{"id":"GHSA-1","affected":[{"package":{"ecosystem":"Debian:12","name":"a"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1:2-3~x"}]}]}],"database_specific":{"severity":"LOW"}}`,
		`{"id":"GHSA-1","affected":[{"package":{"ecosystem":"debian:1","name":""},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"-"}]}]}],"database_specific":{"severity":"LOW"}}`,
		`{"id":"GHSA-1","affected":[{"package":{"ecosystem":"PyPI","name":"A_b"},"versions":["1"]},{"package":{"ecosystem":"Maven","name":"a:b"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"["},{"fixed":","}]}]}],"database_specific":{"severity":"LOW"}}`,
		`{"id":"GHSA-1","aliases":["","CVE-1","CVE-1"],"affected":[{"package":{"ecosystem":"Go","name":"` + strings.Repeat("x", 40000) + `"},"versions":["1"]}],"database_specific":{"severity":"HIGH"}}`,
		`{"id":"GHSA-1","affected":[null,{"package":{"ecosystem":"Go","name":"a"},"versions":["1"]}],"database_specific":null}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		folder, out := t.TempDir(), t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "a.json"), data, 0o644); err != nil {
			t.Fatal(err)
		}
		summary, err := Build(input(folder), out)
		if err != nil {
			if fault := steptest.Refused(t, err); summary != nil || fault.Kind != step.KindInput {
				t.Fatal(err)
			}
			return
		}
		if summary.Vulnerabilities < 1 || summary.Version != db.SchemaVersion {
			t.Fatalf("%+v", summary)
		}
		if err := db.Init(out); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
