package rules_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/step/result/scan"
)

// TestREADMEShowsThisRefusal: what the first page shows is what the pipeline says of
// that finding, which the scanner once made.
func TestREADMEShowsThisRefusal(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("../..", name))
		require.NoError(t, err)
		return data
	}
	var scanned scan.Findings
	require.NoError(t, json.Unmarshal(read("modules/scan/step/findings/testdata/findings.golden.json"), &scanned))
	require.Len(t, scanned.Vulnerabilities, 1)
	in := clean()
	in.App, in.Findings.Vulnerabilities = "legacy", scanned.Vulnerabilities
	_, err := strict().Evaluate(in)
	require.Error(t, err)
	var shown strings.Builder
	for line := range strings.Lines(strings.Replace(err.Error(), digest, "sha256:…", 1) + "\n") {
		shown.WriteString("    " + line)
	}
	assert.Contains(t, string(read("README.md")), "\n\n"+shown.String()+"\n")
}
