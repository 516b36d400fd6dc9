package rules_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/scan"
)

var run = rules.Run{
	TrivyDigest: "sha256:trivy", Repository: "localhost:5000/slipway/trivy-db",
	StartedOn: now.Add(-time.Minute), FinishedOn: now.Add(-time.Second),
}

func attest(v rules.Verdict) rules.Scan {
	return rules.Attest("localhost:5000/hello@"+digest, v, clean().Findings, run)
}

func TestAScanIsAttestedWithItsScannerDatabaseAndFindings(t *testing.T) {
	p, in := strict(), clean()
	low := vulnerability("CVE-2022-32149", scan.Low, "0.3.8")
	low.Target, low.Platforms = "hello", []string{"linux/amd64", "linux/arm64"}
	in.Findings.Vulnerabilities = []scan.Vulnerability{low, {ID: "CVE-2", Package: "libc6", Installed: "2", Severity: scan.Medium, Title: "x", Target: "debian"}}
	in.Findings.Database.Version = 2
	v, err := p.Evaluate(in)
	require.NoError(t, err)
	data, err := json.Marshal(rules.Attest("localhost:5000/hello@"+digest, *v, in.Findings, run))
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"scanner": {
			"uri": "pkg:golang/github.com/aquasecurity/trivy@v0.74.0", "version": "0.74.0", "digest": {"sha256": "trivy"},
			"db": {
				"uri": "oci://localhost:5000/slipway/trivy-db@sha256:db", "version": "2", "digest": {"sha256": "db"},
				"lastUpdate": "2026-11-24T11:00:00Z", "trust": "signed by key sha256:01"
			},
			"result": [{
				"id": "CVE-2022-32149", "severity": [{"method": "trivy", "score": "LOW"}],
				"annotations": [{"package": "golang.org/x/text", "installed": "v0.3.7", "fixed": "0.3.8", "target": "hello", "platforms": "linux/amd64,linux/arm64"}]
			}, {"id": "CVE-2", "severity": [{"method": "trivy", "score": "MEDIUM"}], "annotations": [{"package": "libc6", "installed": "2", "target": "debian"}]}]
		},
		"metadata": {"scanStartedOn": "2026-11-24T11:59:00Z", "scanFinishedOn": "2026-11-24T11:59:59Z"},
		"decision": {
			"by": "urn:slipway:scan", "result": "PASSED", "resource": "localhost:5000/hello@`+digest+`",
			"policy": {"uri": "slipway.yaml#scan", "digest": {"sha256": "`+strings.TrimPrefix(p.Digest(), "sha256:")+`"}},
			"scanned": 1, "reported": ["LOW: CVE-2022-32149 in golang.org/x/text v0.3.7, fixed in 0.3.8: denial of service", "MEDIUM: CVE-2 in libc6 2, no fixed version: x"], "excepted": []
		}
	}`, string(data))
}

func TestAScanIsAcceptedOnlyForItsImageAndPolicy(t *testing.T) {
	const reference = "localhost:5000/hello@" + digest
	p := strict()
	v, err := p.Evaluate(clean())
	require.NoError(t, err)
	good := attest(*v)
	require.NoError(t, p.Accept("verify", reference, good, now))
	assert.Equal(t, good, attest(*v), "the same decision is the same statement")

	for name, tc := range map[string]struct {
		spoil  func(*rules.Scan)
		reason string
	}{
		"another verifier": {func(s *rules.Scan) { s.Decision.By = "me" }, `is by "me", not by Slipway's scan`},
		"failed":           {func(s *rules.Scan) { s.Decision.Result = "FAILED" }, `says "FAILED"`},
		"empty result":     {func(s *rules.Scan) { s.Decision.Result = "" }, `says ""`},
		"another image":    {func(s *rules.Scan) { s.Decision.Resource = "localhost:5000/x@" + digest }, `is about "localhost:5000/x@` + digest + `"`},
		"another policy":   {func(s *rules.Scan) { s.Decision.Policy.Digest = map[string]string{"sha256": "00"} }, otherPolicy},
		"no policy":        {func(s *rules.Scan) { s.Decision.Policy.Digest = nil }, otherPolicy},
	} {
		t.Run(name, func(t *testing.T) {
			s := attest(*v)
			tc.spoil(&s)
			f, ok := step.AsFault(p.Accept("verify", reference, s, now))
			require.True(t, ok)
			assert.Equal(t, step.KindPolicy, f.Kind)
			assert.Equal(t, "verify", f.Stage)
			assert.Equal(t, tc.reason, f.Reason)
		})
	}
}

const otherPolicy = "was made under another policy, or with another vulnerability database than it wants"

// Whoever can use another database can make it say that everything is fine. Also a
// refusal by one says nothing.
func TestAVerdictByAnotherDatabaseDoesNotCount(t *testing.T) {
	for name, change := range map[string]func(*rules.Database){
		"another repository": func(d *rules.Database) { d.Repository = "localhost:5000/mine" }, "another signer": func(d *rules.Database) { d.Trust = "signed by key sha256:02" },
		"nobody signed": func(d *rules.Database) { d.Trust = rules.Unsigned }, "pinned": func(d *rules.Database) { d.Trust = rules.Pinned("sha256:db") },
		"an older one": func(d *rules.Database) { d.MaxAge *= 100 },
	} {
		p, other := strict(), strict()
		change(&other.Database)
		v, err := other.Evaluate(clean())
		require.NoError(t, err, name)
		assert.Equal(t, other.Database.Trust, v.DatabaseTrust)
		elsewhere := attest(*v)
		require.NoError(t, accepted(other, now, elsewhere), name)
		f, ok := step.AsFault(accepted(p, now, elsewhere))
		require.True(t, ok, name)
		assert.Equal(t, "scan verdict of "+image, f.Input)
		assert.Equal(t, otherPolicy, f.Reason, name)
		assert.Equal(t, "scan, publish and sign the image again under the current policy", f.Mend)

		v, err = p.Evaluate(clean())
		require.NoError(t, err)
		said, fallen := other.Rescan(image, day(1, vulnerability("CVE-2026-7", scan.Critical, "0.3.8")), nil, run)
		assert.False(t, said.Passed)
		assert.Equal(t, other.Database.Trust, fallen.Scanner.DB.Trust)
		require.NoError(t, accepted(p, now, attest(*v), fallen), name)
	}
}

func TestTheNewestAcceptedScanCounts(t *testing.T) {
	const reference = "localhost:5000/hello@" + digest
	p := strict()
	v, err := p.Evaluate(clean())
	require.NoError(t, err)
	encode := func(s rules.Scan) json.RawMessage {
		data, err := json.Marshal(s)
		require.NoError(t, err)
		return data
	}
	good := encode(attest(*v))
	failed := attest(*v)
	failed.Decision.Result = "FAILED"

	older := attest(*v)
	older.Scanner.DB.LastUpdate = now.AddDate(0, 0, -1)

	for reason, predicates := range map[string][]json.RawMessage{
		"is missing":    nil,
		"can't be read": {[]byte("[]")},
		`says "FAILED"`: {encode(failed)},
	} {
		_, err := p.Newest("release", reference, predicates, now)
		require.ErrorContains(t, err, reason)
	}
	for _, predicates := range [][]json.RawMessage{{encode(failed), good, encode(older)}, {encode(older), []byte("{"), good}} {
		newest, err := p.Newest("release", reference, predicates, now)
		require.NoError(t, err)
		assert.Equal(t, now.Add(-time.Hour), newest.Scanner.DB.LastUpdate)
	}
}

func TestAnExceptionMustStillHoldWhenItsVerdictIsUsed(t *testing.T) {
	const reference = "localhost:5000/hello@" + digest
	p, in := strict(), clean()
	p.Exceptions = []rules.Exception{{ID: "CVE-2022-32149", Reason: "not reachable", Owner: "team-a", Expires: "2026-11-24"}}
	in.Findings.Vulnerabilities = []scan.Vulnerability{vulnerability("CVE-2022-32149", scan.High, "0.3.8")}
	v, err := p.Evaluate(in)
	require.NoError(t, err)
	scan := attest(*v)
	require.NoError(t, p.Accept("release", reference, scan, now))
	assert.Equal(t, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), scan.Until())
	assert.True(t, attest(rules.Verdict{}).Until().IsZero())

	err = p.Accept("release", reference, scan, now.AddDate(0, 0, 1))
	fault, ok := step.AsFault(err)
	require.True(t, ok, "want a fault, got %v", err)
	assert.Equal(t, "release", fault.Stage)
	assert.Equal(t, "expired on 2026-11-24", fault.Reason)
}

// Of several exceptions each must hold, and the first to end ends the scan.
func TestEachExceptionMustStillHold(t *testing.T) {
	p, in := strict(), clean()
	for id, day := range map[string]string{"CVE-1": "2026-11-26", "CVE-2": "2026-11-24", "CVE-3": "2026-11-27"} {
		p.Exceptions = append(p.Exceptions, rules.Exception{ID: id, Reason: "not reachable", Owner: "team-a", Expires: day})
		in.Findings.Vulnerabilities = append(in.Findings.Vulnerabilities, vulnerability(id, scan.High, "1"))
	}
	slices.SortFunc(in.Findings.Vulnerabilities, func(a, b scan.Vulnerability) int { return strings.Compare(a.ID, b.ID) })
	v, err := p.Evaluate(in)
	require.NoError(t, err)
	good := attest(*v)
	require.Len(t, good.Decision.Excepted, 3)
	assert.Equal(t, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), good.Until())
	require.NoError(t, p.Accept("release", image, good, now))
	require.ErrorContains(t, p.Accept("release", image, good, now.AddDate(0, 0, 1)), "exception CVE-2 of team-a: expired on 2026-11-24")
	good.Decision.Excepted[0].Expires = "soon"
	require.ErrorContains(t, p.Accept("release", image, good, now), "exception CVE-1 of team-a: expired on soon")
	assert.Equal(t, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC), good.Until())
}
