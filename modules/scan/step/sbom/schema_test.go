package sbom

import (
	"slices"
	"strings"
	"testing"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/package-url/packageurl-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/scan/step/internal/sample"
	"slipway/step/result/scan"
	"slipway/step/steptest"
)

// follows checks both documents of a bill against their schemas.
func follows(t *testing.T, b *Bill) {
	t.Helper()
	for format, data := range documents(t, b) {
		require.NoError(t, sample.Schema(t, format).Validate(sample.JSON(t, data)), "%s: %s", format, data)
	}
}

func TestDocumentsFollowTheirSchemas(t *testing.T) {
	follows(t, imageBill(t, "amd64"))
	follows(t, imageBill(t, "arm64"))
	follows(t, sourceBill(t))
	empty := recorded(t, "source")
	empty.Results = nil
	follows(t, bill(t, Subject{Name: "apps/bare"}, empty))
}

// Whoever made the image names its packages, their licences and their files.
func TestDocumentsOfForeignTextFollowTheirSchemas(t *testing.T) {
	report := recorded(t, "amd64")
	texts := append(steptest.Hostile(), "((", "MIT) OR (GPL-2.0-only", "MIT OR", "AND", "WITH", "a WITH b", "LicenseRef-x", "DocumentRef-a:LicenseRef-b",
		"text://", "text://((", "FSL-1.1-MIT", "GPL-2.0+", "GPL-3.0-with-GCC-exception", "\xff", strings.Repeat("(", 200), "pkg:npm/a@1", "\"", "\\")
	// CycloneDX has no version of more than 1024 characters.
	texts = slices.DeleteFunc(texts, func(text string) bool { return len(text) > 1000 })
	for i, text := range texts {
		p := ftypes.Package{ID: text, Name: text, Version: text, Release: text, SrcName: text, SrcVersion: text, Maintainer: text, FilePath: text,
			Licenses: []string{text, "MIT"}, DependsOn: []string{text, texts[(i+1)%len(texts)]}}
		if i%2 == 0 {
			p.Identifier.PURL = packageurl.NewPackageURL("npm", text, text, text, nil, text)
		}
		for j := range 3 {
			report.Results[j].Packages = append(report.Results[j].Packages, p)
		}
		report.Results = append(report.Results, types.Result{Class: types.ClassLangPkg, Type: "npm", Target: text, Packages: ftypes.Packages{p, p}})
	}
	b := bill(t, Subject{Name: "sample", Platform: "linux/amd64", Digest: amd64}, report)
	follows(t, b)
	d, _, _ := readSPDX(t, b)
	for _, p := range d.Packages {
		assert.NotEmpty(t, p.PackageLicenseDeclared, "the licences of %q", p.PackageName)
	}
	readCycloneDX(t, b)
}

// object is one JSON object of a document.
type object = map[string]any

func TestAChangedDocumentBreaksItsSchema(t *testing.T) {
	first := func(document object, list string) object { return document[list].([]any)[0].(object) }
	with := func(document object, list, field string) object {
		for _, entry := range document[list].([]any) {
			if _, ok := entry.(object)[field]; ok {
				return entry.(object)
			}
		}
		return nil
	}
	for format, changes := range map[scan.SBOMFormat]map[string]func(object){
		scan.CycloneDX: {
			"no version of the specification": func(d object) { delete(d, "specVersion") },
			"another format":                  func(d object) { d["bomFormat"] = "SPDX" },
			"a serial number that is no UUID": func(d object) { d["serialNumber"] = "urn:uuid:1" },
			"a time that is none":             func(d object) { d["metadata"].(object)["timestamp"] = "today" },
			"a component without a name":      func(d object) { delete(first(d, "components"), "name") },
			"a component of an unknown type":  func(d object) { first(d, "components")["type"] = "package" },
			"a hash of the wrong length":      func(d object) { first(with(d, "components", "hashes"), "hashes")["content"] = "00" },
			"a licence that SPDX does not list": func(d object) {
				first(d, "components")["licenses"] = []any{object{"license": object{"id": "unheard-of"}}}
			},
			"a licence beside an expression": func(d object) {
				first(d, "components")["licenses"] = []any{object{"expression": "MIT"}, object{"license": object{"id": "MIT"}}}
			},
			"a field of a later version": func(d object) { first(d, "components")["isExternal"] = true },
			"a component twice":          func(d object) { d["components"] = append(d["components"].([]any), d["components"].([]any)[0]) },
		},
		scan.SPDX: {
			"no version of the specification": func(d object) { delete(d, "spdxVersion") },
			"no creation":                     func(d object) { delete(d, "creationInfo") },
			"a package without a name":        func(d object) { delete(first(d, "packages"), "name") },
			"a package without an origin":     func(d object) { delete(first(d, "packages"), "downloadLocation") },
			"an unknown relationship":         func(d object) { first(d, "relationships")["relationshipType"] = "HOLDS" },
			"a relationship to nothing":       func(d object) { delete(first(d, "relationships"), "relatedSpdxElement") },
			"an unknown checksum":             func(d object) { first(with(d, "packages", "checksums"), "checksums")["algorithm"] = "CRC32" },
			"an unknown category": func(d object) {
				first(with(d, "packages", "externalRefs"), "externalRefs")["referenceCategory"] = "PURL"
			},
			"an unknown field":               func(d object) { first(d, "packages")["purl"] = "pkg:oci/a" },
			"the purpose as the text has it": func(d object) { first(d, "packages")["primaryPackagePurpose"] = "OPERATING-SYSTEM" },
		},
	} {
		schema := sample.Schema(t, format)
		for name, change := range changes {
			t.Run(string(format)+": "+name, func(t *testing.T) {
				value := sample.JSON(t, documents(t, imageBill(t, "amd64"))[format])
				require.NoError(t, schema.Validate(value))
				change(value.(object))
				var invalid *jsonschema.ValidationError
				require.ErrorAs(t, schema.Validate(value), &invalid)
			})
		}
	}
}
