package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/result/scan"
)

var today = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// known are findings that the shipped policy excepts.
func known() scan.Findings {
	const argocd, kyverno = "gitops/platform/argocd/base/rbac.yaml", "gitops/platform/kyverno/base/rbac.yaml"
	return scan.Findings{
		TrivyVersion: "0.74.0", Scanned: []scan.Scanned{{Target: argocd, Type: "kubernetes"}, {Target: kyverno, Type: "kubernetes"}},
		Misconfigurations: []scan.Misconfiguration{
			{ID: "KSV-0044", File: argocd, Line: 8, Severity: scan.Critical, Title: "No wildcard verb and resource roles"},
			{ID: "KSV-0046", File: argocd, Line: 8, Severity: scan.Critical, Title: "Manage all resources"},
			{ID: "KSV-0046", File: argocd, Line: 59, Severity: scan.Critical, Title: "Manage all resources"},
			{ID: "KSV-0114", File: kyverno, Line: 11, Severity: scan.Critical, Title: "Manage webhookconfigurations"},
			{ID: "KSV-0125", File: argocd, Line: 9, Severity: scan.Medium, Title: "Registry"},
		},
	}
}

func judged(t *testing.T, result any, now time.Time) (string, error) {
	t.Helper()
	data, err := json.Marshal(result)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "result.json")
	require.NoError(t, os.WriteFile(file, data, 0o644))
	return judge("../../slipway.yaml", file, now)
}

func TestJudgeSaysWhatIsReportedAndExcepted(t *testing.T) {
	said, err := judged(t, map[string]any{"value": known()}, today)
	require.NoError(t, err)
	assert.Contains(t, said, "MEDIUM: KSV-0125 in gitops/platform/argocd/base/rbac.yaml:9: Registry\n")
	assert.Contains(t, said, ": KSV-0114 in gitops/platform/kyverno/base/rbac.yaml: ")
	assert.Contains(t, said, "2 scanned, none refuses at HIGH")
}

func TestJudgeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*scan.Findings)
		now   time.Time
		want  string
	}{
		"an excepted finding in another file": {
			spoil: func(f *scan.Findings) { f.Misconfigurations[3].File = "gitops/apps/hello/base/rbac.yaml" },
			want:  "CRITICAL: KSV-0114 in gitops/apps/hello/base/rbac.yaml:11: Manage webhookconfigurations",
		},
		"another finding in a file with exceptions": {
			spoil: func(f *scan.Findings) { f.Misconfigurations[4].Severity = scan.High },
			want:  "HIGH: KSV-0125 in gitops/platform/argocd/base/rbac.yaml:9: Registry",
		},
		"an exception that nothing needs": {
			spoil: func(f *scan.Findings) { f.Misconfigurations = f.Misconfigurations[:3] },
			want:  "exception KSV-0114 of platform in gitops/platform/kyverno/base/rbac.yaml: is needed by no finding",
		},
		"an expired exception": {now: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC), want: "expired on"},
		"nothing scanned":      {spoil: func(f *scan.Findings) { f.Scanned = nil }, want: "the scanner looked at nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			found, now := known(), today
			if c.spoil != nil {
				c.spoil(&found)
			}
			if !c.now.IsZero() {
				now = c.now
			}
			_, err := judged(t, map[string]any{"value": found}, now)
			fault, ok := step.AsFault(err)
			require.True(t, ok, "want a fault, got %v", err)
			assert.Equal(t, step.KindPolicy, fault.Kind)
			assert.Contains(t, err.Error(), c.want)
		})
	}
	_, err := judged(t, map[string]any{}, today)
	assert.ErrorContains(t, err, "neither a value nor a fault")
	_, err = judged(t, map[string]any{"fault": step.Policy("scan", "manifest a.yaml", "can't be parsed", "mend the YAML")}, today)
	assert.ErrorContains(t, err, "can't be parsed")
}
