package sbom

import (
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"slipway/scan/step/internal/sample"
)

var formats = map[string]string{"CycloneDX": sample.CycloneDX, "SPDX": sample.SPDX}

// follows checks both documents of a bill against their schemas.
func follows(t *testing.T, b *Bill) {
	t.Helper()
	for format, data := range documents(t, b) {
		require.NoError(t, sample.Schema(t, "schema", formats[format]).Validate(sample.JSON(t, data)), format)
	}
}

func TestDocumentsFollowTheirSchemas(t *testing.T) {
	follows(t, imageBill(t))
	follows(t, sourceBill(t))
	follows(t, bill(t, Subject{Name: "sample", Digest: amd64}, Part{Platform: "linux/amd64", Digest: amd64, Report: recorded(t, "amd64")}))
	empty := recorded(t, "source")
	empty.Results = nil
	follows(t, bill(t, Subject{Name: "apps/bare"}, Part{Report: empty}))
}

// object is one JSON object of a document.
type object = map[string]any

func TestAChangedDocumentBreaksItsSchema(t *testing.T) {
	first := func(document object, list string) object { return document[list].([]any)[0].(object) }
	for format, changes := range map[string]map[string]func(object){
		"CycloneDX": {
			"no version of the specification": func(d object) { delete(d, "specVersion") },
			"another format":                  func(d object) { d["bomFormat"] = "SPDX" },
			"a serial number that is no UUID": func(d object) { d["serialNumber"] = "urn:uuid:1" },
			"a time that is none":             func(d object) { d["metadata"].(object)["timestamp"] = "today" },
			"a component without a name":      func(d object) { delete(first(d, "components"), "name") },
			"a component of an unknown type":  func(d object) { first(d, "components")["type"] = "package" },
			"a hash of the wrong length":      func(d object) { first(first(d, "components"), "hashes")["content"] = "00" },
			"a licence that SPDX does not list": func(d object) {
				first(d, "components")["licenses"] = []any{object{"license": object{"id": "unheard-of"}}}
			},
			"a licence beside an expression": func(d object) {
				first(d, "components")["licenses"] = []any{object{"expression": "MIT"}, object{"license": object{"id": "MIT"}}}
			},
			"a field of a later version": func(d object) { first(d, "components")["isExternal"] = true },
			"a component twice":          func(d object) { d["components"] = append(d["components"].([]any), d["components"].([]any)[0]) },
		},
		"SPDX": {
			"no version of the specification": func(d object) { delete(d, "spdxVersion") },
			"no creation":                     func(d object) { delete(d, "creationInfo") },
			"a package without a name":        func(d object) { delete(first(d, "packages"), "name") },
			"a package without an origin":     func(d object) { delete(first(d, "packages"), "downloadLocation") },
			"an unknown relationship":         func(d object) { first(d, "relationships")["relationshipType"] = "HOLDS" },
			"a relationship to nothing":       func(d object) { delete(first(d, "relationships"), "relatedSpdxElement") },
			"an unknown checksum":             func(d object) { first(first(d, "packages"), "checksums")["algorithm"] = "CRC32" },
			"an unknown category":             func(d object) { first(first(d, "packages"), "externalRefs")["referenceCategory"] = "PURL" },
			"an unknown field":                func(d object) { first(d, "packages")["purl"] = "pkg:oci/a" },
		},
	} {
		schema := sample.Schema(t, "schema", formats[format])
		for name, change := range changes {
			t.Run(format+": "+name, func(t *testing.T) {
				value := sample.JSON(t, documents(t, imageBill(t))[format])
				require.NoError(t, schema.Validate(value))
				change(value.(object))
				var invalid *jsonschema.ValidationError
				require.ErrorAs(t, schema.Validate(value), &invalid)
			})
		}
	}
}
