package policy

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

func fault(t *testing.T, err error, kind step.Kind) *step.Fault {
	t.Helper()
	f, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, kind, f.Kind)
	assert.Equal(t, "check", f.Stage)
	assert.NotEmpty(t, f.Mend)
	return f
}

func TestMisconfigurationsAtTheThresholdRefuse(t *testing.T) {
	findings := []Finding{
		{ID: "AVD-1", Severity: "LOW", File: "main.tf", Line: 3, Title: "low"},
		{ID: "AVD-2", Severity: "HIGH", File: "main.tf", Line: 7, Title: "open to all", Mend: "Name who may."},
		{ID: "AVD-3", Severity: "UNKNOWN", File: "x.tf", Line: 0, Title: "unranked"},
	}
	f := fault(t, Misconfigurations("check", findings, "HIGH"), step.KindPolicy)
	assert.Equal(t, "has misconfigurations at or above HIGH: 2", f.Reason)
	assert.Equal(t, []string{"main.tf:7: HIGH AVD-2: open to all; mend: Name who may.", "x.tf:0: UNKNOWN AVD-3: unranked"}, f.Details)

	assert.Len(t, fault(t, Misconfigurations("check", findings, "LOW"), step.KindPolicy).Details, 3)
	assert.NoError(t, Misconfigurations("check", findings[:2], "CRITICAL"))
	assert.NoError(t, Misconfigurations("check", nil, "LOW"))
	_ = fault(t, Misconfigurations("check", nil, "high"), step.KindInput)
	_ = fault(t, Misconfigurations("check", nil, "UNKNOWN"), step.KindInput)
}

func TestReadFindings(t *testing.T) {
	read := func(text string) ([]Finding, error) {
		file := filepath.Join(t.TempDir(), "findings.json")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return ReadFindings("check", file)
	}
	list, err := read(`[{"id":"A","severity":"HIGH","file":"main.tf","line":2,"title":"t"}]`)
	require.NoError(t, err)
	assert.Equal(t, []Finding{{ID: "A", Severity: "HIGH", File: "main.tf", Line: 2, Title: "t"}}, list)
	list, err = read(`[{"id":"A","severity":"LOW","file":"main.tf","line":2,"title":"t","message":"m","resource":"r","mend":"x"}]`)
	require.NoError(t, err)
	assert.Equal(t, []Finding{{ID: "A", Severity: "LOW", File: "main.tf", Line: 2, Title: "t", Message: "m", Resource: "r", Mend: "x"}}, list)
	list, err = read(`[]`)
	require.NoError(t, err)
	assert.Empty(t, list)

	for _, text := range []string{"", "null", "{}", `{"Results":[]}`, `[{"ID2":"x"}]`, "[][]", "[1]"} {
		_, err := read(text)
		_ = fault(t, err, step.KindInput)
	}
	_, err = ReadFindings("check", "")
	assert.Equal(t, "is missing", fault(t, err, step.KindInput).Reason)
	_, err = ReadFindings("check", filepath.Join(t.TempDir(), "none"))
	_ = fault(t, err, step.KindInput)
}

func TestDestroysNeedAYes(t *testing.T) {
	list := []string{"terraform_data.a (delete)"}
	f := fault(t, Destroys("check", list, false), step.KindPolicy)
	assert.Equal(t, list, f.Details)
	assert.Contains(t, f.Mend, "--allow-destroy")
	assert.NoError(t, Destroys("check", list, true))
	assert.NoError(t, Destroys("check", nil, false))
}
