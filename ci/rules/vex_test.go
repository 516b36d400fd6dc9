package rules_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/scan"
)

const vex = `{
  "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex/1", "author": "team-a", "timestamp": "2026-11-01T10:00:00Z", "version": 1,
  "statements": [
    {"vulnerability": {"name": "CVE-2026-7", "aliases": ["GHSA-1"]}, "products": [{"@id": "pkg:oci/hello@sha256%3Aaa?repository_url=ghcr.io/acme"}],
     "status": "not_affected", "justification": "vulnerable_code_not_in_execute_path", "impact_statement": "the parser is never called"},
    {"vulnerability": {"name": "CVE-2026-8"}, "products": [{"@id": "pkg:oci/hello"}], "status": "not_affected",
     "impact_statement": "no input reaches it", "timestamp": "2026-11-20T10:00:00Z", "supplier": "team-b"},
    {"vulnerability": {"name": "CVE-2026-9"}, "products": [{"@id": "pkg:oci/other"}], "status": "under_investigation"}
  ]
}`

func TestOpenVEXMakesExceptionsThatExpire(t *testing.T) {
	got, err := rules.ParseVEX("apps/hello/openvex.json", "hello", []byte(vex), 30*24*time.Hour)
	require.NoError(t, err)
	assert.Equal(t, []rules.Exception{
		{ID: "CVE-2026-7", App: "hello", Reason: "vulnerable_code_not_in_execute_path: the parser is never called", Owner: "team-a", Expires: "2026-12-01"},
		{ID: "GHSA-1", App: "hello", Reason: "vulnerable_code_not_in_execute_path: the parser is never called", Owner: "team-a", Expires: "2026-12-01"},
		{ID: "CVE-2026-8", App: "hello", Reason: "no input reaches it", Owner: "team-b", Expires: "2026-12-20"},
	}, got)

	p, in := strict(), clean()
	in.Findings.Vulnerabilities = []scan.Vulnerability{vulnerability("CVE-2026-7", scan.Critical, "0.3.8")}
	_, err = p.Evaluate(in)
	require.Error(t, err)
	in.Exceptions = got
	v, err := p.Evaluate(in)
	require.NoError(t, err)
	assert.Equal(t, got[:1], v.Excepted)
	assert.Equal(t, p.Digest(), v.PolicyDigest, "what an app says of itself is no part of the platform's policy")
	in.Now, in.Findings.Database.UpdatedAt = now.AddDate(0, 0, 10), now.AddDate(0, 0, 10)
	_, err = p.Evaluate(in)
	require.ErrorContains(t, err, "expired on 2026-12-01")
}

func TestOpenVEXThatSaysNothingIsRefused(t *testing.T) {
	for name, tc := range map[string]struct{ old, new, input, reason string }{
		"no JSON":          {`{`, ``, "apps/hello/openvex.json", "is not JSON"},
		"another format":   {"openvex.dev/ns/v0.2.0", "openvex.dev/ns", `apps/hello/openvex.json: @context "https://openvex.dev/ns"`, "is not OpenVEX 0.2"},
		"no author":        {`"author": "team-a", `, ``, "apps/hello/openvex.json: author", "is missing"},
		"no vulnerability": {`"name": "CVE-2026-7", `, ``, "apps/hello/openvex.json: statements[0].vulnerability.name", "is missing"},
		"a status":         {"under_investigation", "harmless", `apps/hello/openvex.json: statements[2].status "harmless"`, "is not OpenVEX's"},
		"no product":       {`[{"@id": "pkg:oci/hello"}]`, `[]`, "apps/hello/openvex.json: statements[1].products", "is empty"},
		"another product":  {`"pkg:oci/hello"`, `"pkg:oci/hello2"`, `apps/hello/openvex.json: statements[1].products "pkg:oci/hello2"`, "is not this app's image"},
		"another type":     {`"pkg:oci/hello"`, `"hello"`, `apps/hello/openvex.json: statements[1].products "hello"`, "is not this app's image"},
		"no reason":        {`"impact_statement": "no input reaches it", `, ``, `apps/hello/openvex.json: statements[1].justification ""`, "or there is none"},
		"a justification":  {"vulnerable_code_not_in_execute_path", "because", `apps/hello/openvex.json: statements[0].justification "because"`, "is not OpenVEX's"},
		"a time":           {"2026-11-20T10:00:00Z", "lately", `apps/hello/openvex.json: statements[1].timestamp "lately"`, "is not a time"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, vex, tc.old)
			_, err := rules.ParseVEX("apps/hello/openvex.json", "hello", []byte(strings.Replace(vex, tc.old, tc.new, 1)), time.Hour)
			f, ok := step.AsFault(err)
			require.True(t, ok, "want a fault, got %v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, tc.input, f.Input)
			assert.Contains(t, f.Reason, tc.reason)
			assert.NotEmpty(t, f.Mend)
		})
	}
	_, err := rules.ParseVEX("apps/hello/openvex.json", "hello", []byte(vex), 0)
	require.ErrorContains(t, err, "scan.policy.vexMaxAge is not set")
}
