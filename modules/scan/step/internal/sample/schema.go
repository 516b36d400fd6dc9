package sample

import (
	"bytes"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"slipway/step/result/scan"
)

// The formats of bills of materials, by the address of their schema.
const (
	cycloneDX = "http://cyclonedx.org/schema/bom-1.6.schema.json"
	spdx      = "http://spdx.org/rdf/terms/2.3"
)

// spdxSchema is schemas/spdx-schema.json of spdx/spdx-spec, tag v2.3, unchanged
// (CC-BY-3.0, © Linux Foundation and its contributors). No Go module carries it.
//
//go:embed spdx-2.3.schema.json
var spdxSchema []byte

// Schema compiles the schema of a format, without a network. CycloneDX's are in its
// library's module.
func Schema(t testing.TB, format scan.SBOMFormat) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if format == scan.SPDX {
		require.NoError(t, compiler.AddResource(spdx, JSON(t, spdxSchema)))
		schema, err := compiler.Compile(spdx)
		require.NoError(t, err)
		return schema
	}
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	require.NoError(t, err)
	for file, address := range map[string]string{
		"bom-1.6.schema.json":   cycloneDX,
		"spdx.schema.json":      "http://cyclonedx.org/schema/spdx.schema.json",
		"jsf-0.82.schemax.json": "http://cyclonedx.org/schema/jsf-0.82.schema.json",
	} {
		data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(module)), "schema", file))
		require.NoError(t, err)
		require.NoError(t, compiler.AddResource(address, JSON(t, data)))
	}
	schema, err := compiler.Compile(cycloneDX)
	require.NoError(t, err)
	return schema
}

// JSON decodes a document for a schema to judge.
func JSON(t testing.TB, data []byte) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	return value
}
