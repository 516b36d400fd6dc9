package sample

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// The formats of bills of materials, by the address of their schema.
const (
	CycloneDX = "http://cyclonedx.org/schema/bom-1.6.schema.json"
	SPDX      = "http://spdx.org/rdf/terms/2.3"
)

// Schema compiles the schema of a format from the files in folder, without a
// network. The schemas are the specifications' own; see README.md there.
func Schema(t testing.TB, folder, format string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for file, address := range map[string]string{
		"bom-1.6.schema.json":  CycloneDX,
		"spdx.schema.json":     "http://cyclonedx.org/schema/spdx.schema.json",
		"jsf-0.82.schema.json": "http://cyclonedx.org/schema/jsf-0.82.schema.json",
		"spdx-2.3.schema.json": SPDX,
	} {
		data, err := os.ReadFile(filepath.Join(folder, file))
		require.NoError(t, err)
		require.NoError(t, compiler.AddResource(address, JSON(t, data)))
	}
	schema, err := compiler.Compile(format)
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
