package findings

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"

	"slipway/step"
	"slipway/step/result/scan"
	"slipway/step/steptest"
)

// FuzzParse: a report is read without the lines that it quotes, and what is made
// of it is the same each time, has only known severities and null nowhere.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"image.json", "source.json", "manifests.json"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		for kind := range 3 {
			f.Add(data, kind, "apps/sample")
		}
	}
	for _, text := range []string{
		"", "null", "[]", `{"SchemaVersion":1}`, `{"SchemaVersion":2}`, `{"SchemaVersion":2,"Results":[null]}`, `{"SchemaVersion":2,"Results":[{"Class":"custom"}]}`,
		`{"SchemaVersion":2,"Results":[{"Class":"lang-pkgs","Packages":[{}],"Vulnerabilities":[{"Severity":"worst"},{"Severity":"high"}]}]}`,
		`{"SchemaVersion":2,"Metadata":{"OS":{"Family":"debian","Name":"10.13","EOSL":true}},"Results":[{"Class":"os-pkgs","Packages":[{}]}]}`,
		`{"SchemaVersion":2,"Results":[{"Class":"secret","Target":"../x","Secrets":[{"Match":"hunter2","Code":{"Lines":[{"Content":"hunter2"}]}}]}]}`,
		`{"SchemaVersion":2,"Results":[{"Class":"config","Misconfigurations":[{"ID":"KSV-0109","Status":"FAIL","Message":"hunter2","CauseMetadata":{"Code":{"Lines":[{"Content":"hunter2"}]},"RenderedCause":{"Raw":"hunter2"}}}]}]}`,
		`{"SchemaVersion":2,"Results":[{"Class":"config","Misconfigurations":[{"Status":"EXCEPTION"}],"ExperimentalModifiedFindings":[{}]}]}`,
	} {
		for kind := range 3 {
			f.Add([]byte(text), kind, "x")
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, kind int, name string) {
		report, err := Parse(data)
		if err != nil {
			if fault := steptest.Refused(t, err); fault.Kind != step.KindInfrastructure || report != nil {
				t.Fatal(err)
			}
			return
		}
		for _, result := range report.Results {
			quoteless(t, result)
		}
		part := Part{Kind: Kind(kind % 3), Name: name, Report: report}
		d, err := Merge(digest, "0.74.0", database, []Part{part, part}, nil)
		if err != nil {
			_ = steptest.Refused(t, err)
			return
		}
		for _, v := range d.Vulnerabilities {
			known(t, v.Severity, v.Title)
			if len(v.Platforms) != 1 {
				t.Fatalf("platforms %v", v.Platforms)
			}
		}
		for _, s := range d.Secrets {
			known(t, s.Severity, s.Title)
		}
		for _, m := range d.Misconfigurations {
			known(t, m.Severity, m.Title+m.Message)
		}
		written, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		// Read anew: Merge must not have changed the report.
		fresh, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		part.Report = fresh
		d, err = Merge(digest, "0.74.0", database, []Part{part, part}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(d); err != nil || !bytes.Equal(written, again) {
			t.Fatalf("%s, and then %s", written, again)
		}
		for _, list := range []string{"vulnerabilities", "secrets", "misconfigurations", "scanned", "packages", "images", "unknownExecutables"} {
			if bytes.Contains(written, []byte(`"`+list+`":null`)) {
				t.Fatalf("%s are null", list)
			}
		}
		if all := Combine(digest, []Part{part}, nil); len(all.Results) != len(report.Results)+len(part.rows()) {
			t.Fatalf("%d results became %d", len(report.Results), len(all.Results))
		}
	})
}

// quoteless fails when a result holds what stands in a scanned file.
func quoteless(t *testing.T, result types.Result) {
	t.Helper()
	empty := func(code ftypes.Code) bool { return len(code.Lines) == 0 }
	for _, s := range result.Secrets {
		if s.Match != masked || !empty(s.Code) {
			t.Fatalf("a secret's line is kept: %+v", s)
		}
	}
	for _, m := range result.Misconfigurations {
		if !empty(m.CauseMetadata.Code) || m.CauseMetadata.RenderedCause.Raw != "" || quoting[m.ID] && m.Message != m.Title {
			t.Fatalf("a manifest's line is kept: %+v", m)
		}
	}
}

func known(t *testing.T, severity scan.Severity, text string) {
	t.Helper()
	if !slices.Contains(scan.Severities, severity) || strings.ContainsAny(text, "\r\n") {
		t.Fatalf("severity %q, %q", severity, text)
	}
}
