package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/policy"
	"slipway/step"
)

const digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func strict() policy.Policy {
	return policy.Policy{Threshold: policy.High, Unfixed: policy.Report, Unknown: policy.Refuse}
}

// clean is an input that passes; each test spoils one thing.
func clean() policy.Input {
	return policy.Input{
		App: "hello", Digest: digest, MaxAge: 48 * time.Hour, Now: now,
		Findings: policy.Findings{
			Digest: digest, TrivyVersion: "0.74.0",
			Database: policy.DatabaseInfo{Digest: "sha256:db", UpdatedAt: now.Add(-time.Hour)},
			Scanned:  []policy.Scanned{{Target: "app", Type: "gobinary", Packages: 12}},
		},
	}
}

func vulnerability(id string, s policy.Severity, fixed string) policy.Vulnerability {
	return policy.Vulnerability{ID: id, Package: "golang.org/x/text", Installed: "v0.3.7", Fixed: fixed, Severity: s, Title: "denial of service"}
}

func TestCleanFindingsPass(t *testing.T) {
	v, err := strict().Evaluate(clean())
	require.NoError(t, err)
	assert.Equal(t, digest, v.Digest)
	assert.Equal(t, "sha256:db", v.DatabaseDigest)
	assert.Equal(t, 1, v.Scanned)
	assert.Empty(t, v.Reported)
	assert.Regexp(t, `^sha256:[0-9a-f]{64}$`, v.PolicyDigest)
}

func TestRefusals(t *testing.T) {
	expired := policy.Exception{ID: "CVE-2022-32149", Reason: "not reachable", Owner: "team-a", Expires: "2026-11-23"}
	for name, tc := range map[string]struct {
		policy func(*policy.Policy)
		spoil  func(*policy.Input)
		reason string
		detail string
	}{
		"fixed vulnerability at the threshold": {
			spoil: func(in *policy.Input) {
				in.Findings.Vulnerabilities = []policy.Vulnerability{vulnerability("CVE-2022-32149", policy.High, "0.3.8")}
			},
			reason: "1 finding at or above HIGH",
			detail: "HIGH: CVE-2022-32149 in golang.org/x/text v0.3.7, fixed in 0.3.8: denial of service",
		},
		"unfixed vulnerability where unfixed refuses": {
			policy: func(p *policy.Policy) { p.Unfixed = policy.Refuse },
			spoil: func(in *policy.Input) {
				in.Findings.Vulnerabilities = []policy.Vulnerability{vulnerability("CVE-1", policy.Critical, "")}
			},
			reason: "1 finding at or above HIGH",
			detail: "CRITICAL: CVE-1 in golang.org/x/text v0.3.7, no fixed version: denial of service",
		},
		"unknown severity": {
			spoil: func(in *policy.Input) {
				in.Findings.Vulnerabilities = []policy.Vulnerability{vulnerability("GO-1", policy.Unknown, "1")}
			},
			reason: "1 finding at or above HIGH",
			detail: "UNKNOWN: GO-1 in golang.org/x/text v0.3.7, fixed in 1: denial of service",
		},
		"a severity that no scanner defines": {
			policy: func(p *policy.Policy) { p.Unknown = policy.Report },
			spoil: func(in *policy.Input) {
				in.Findings.Misconfigurations = []policy.Misconfiguration{{ID: "KSV017", File: "a.yaml", Line: 3, Severity: "NOVEL", Title: "privileged"}}
			},
			reason: "1 finding at or above HIGH",
			detail: "NOVEL: KSV017 in a.yaml:3: privileged",
		},
		"any secret, whatever its severity": {
			spoil: func(in *policy.Input) {
				in.Findings.Secrets = []policy.Secret{{Rule: "private-key", File: "id_rsa", Line: 1, Severity: policy.Low, Title: "Private key"}}
			},
			reason: "1 finding at or above HIGH",
			detail: "secret: Private key in id_rsa:1 (private-key)",
		},
		"privileged pod": {
			spoil: func(in *policy.Input) {
				in.Findings.Misconfigurations = []policy.Misconfiguration{{ID: "KSV-0017", File: "deployment.yaml", Line: 20, Severity: policy.High, Title: "Privileged"}}
			},
			reason: "1 finding at or above HIGH",
			detail: "HIGH: KSV-0017 in deployment.yaml:20: Privileged",
		},
		"expired exception, even when nothing needs it": {
			policy: func(p *policy.Policy) { p.Exceptions = []policy.Exception{expired} },
			reason: "expired on 2026-11-23",
		},
		"stale database": {
			spoil:  func(in *policy.Input) { in.Findings.Database.UpdatedAt = now.Add(-49 * time.Hour) },
			reason: "is stale: made at 2026-11-22T11:00:00Z, older than 48h0m0s",
		},
		"database from the future": {
			spoil:  func(in *policy.Input) { in.Findings.Database.UpdatedAt = now.Add(time.Hour) },
			reason: "was made in the future, at 2026-11-24T13:00:00Z",
		},
		"database without a date": {
			spoil:  func(in *policy.Input) { in.Findings.Database.UpdatedAt = time.Time{} },
			reason: "does not say when it was made",
		},
		"findings about another image": {
			spoil:  func(in *policy.Input) { in.Findings.Digest = "sha256:bbbb" },
			reason: `the findings are about "sha256:bbbb"`,
		},
		"nothing scanned": {
			spoil:  func(in *policy.Input) { in.Findings.Scanned = nil },
			reason: "the scanner looked at nothing, so it can't decide",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, in := strict(), clean()
			if tc.policy != nil {
				tc.policy(&p)
			}
			if tc.spoil != nil {
				tc.spoil(&in)
			}
			v, err := p.Evaluate(in)
			assert.Nil(t, v)
			f, ok := step.AsFault(err)
			require.True(t, ok, "want a fault, got %v", err)
			assert.Equal(t, step.KindPolicy, f.Kind)
			assert.Equal(t, "scan", f.Stage)
			assert.Equal(t, tc.reason, f.Reason)
			assert.NotEmpty(t, f.Mend)
			if tc.detail != "" {
				assert.Equal(t, []string{tc.detail}, f.Details)
			}
		})
	}
}

func TestExceptionsLetOneFindingPassForATime(t *testing.T) {
	p, in := strict(), clean()
	e := policy.Exception{ID: "CVE-2022-32149", App: "hello", Reason: "not reachable", Owner: "team-a", Expires: "2026-11-24"}
	p.Exceptions = []policy.Exception{e}
	in.Findings.Vulnerabilities = []policy.Vulnerability{
		vulnerability("CVE-2022-32149", policy.High, "0.3.8"), vulnerability("CVE-2022-32149", policy.High, "0.3.8"),
	}
	v, err := p.Evaluate(in)
	require.NoError(t, err)
	assert.Equal(t, []policy.Exception{e}, v.Excepted)

	in.App = "other"
	_, err = p.Evaluate(in)
	require.Error(t, err, "an exception for hello must not serve other")

	in.App, in.Now = "hello", time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	in.Findings.Database.UpdatedAt = in.Now
	_, err = p.Evaluate(in)
	require.ErrorContains(t, err, "expired on 2026-11-24")
}

func TestReportedFindingsAreListed(t *testing.T) {
	p, in := strict(), clean()
	p.Unknown = policy.Report
	in.Findings.Vulnerabilities = []policy.Vulnerability{
		vulnerability("CVE-1", policy.Medium, "1"), vulnerability("CVE-2", policy.Critical, ""), vulnerability("GO-1", policy.Unknown, ""),
	}
	v, err := p.Evaluate(in)
	require.NoError(t, err)
	assert.Len(t, v.Reported, 3)
}

func TestPolicyValidation(t *testing.T) {
	good := policy.Exception{ID: "CVE-1", Reason: "r", Owner: "o", Expires: "2027-01-01"}
	for name, tc := range map[string]struct {
		spoil func(*policy.Policy)
		input string
	}{
		"no threshold":      {func(p *policy.Policy) { p.Threshold = "" }, `p.threshold ""`},
		"unknown threshold": {func(p *policy.Policy) { p.Threshold = policy.Unknown }, `p.threshold "UNKNOWN"`},
		"no unfixed":        {func(p *policy.Policy) { p.Unfixed = "" }, `p.unfixed ""`},
		"wrong unknown":     {func(p *policy.Policy) { p.Unknown = "ignore" }, `p.unknown "ignore"`},
		"no owner":          {func(p *policy.Policy) { e := good; e.Owner = " "; p.Exceptions = []policy.Exception{e} }, "p.exceptions[0].owner"},
		"no reason":         {func(p *policy.Policy) { e := good; e.Reason = ""; p.Exceptions = []policy.Exception{e} }, "p.exceptions[0].reason"},
		"no id":             {func(p *policy.Policy) { e := good; e.ID = ""; p.Exceptions = []policy.Exception{e} }, "p.exceptions[0].id"},
		"no expiry":         {func(p *policy.Policy) { e := good; e.Expires = ""; p.Exceptions = []policy.Exception{e} }, "p.exceptions[0].expires"},
		"not a day":         {func(p *policy.Policy) { e := good; e.Expires = "soon"; p.Exceptions = []policy.Exception{e} }, `p.exceptions[0].expires "soon"`},
		"listed twice":      {func(p *policy.Policy) { p.Exceptions = []policy.Exception{good, good} }, `p.exceptions[1].id "CVE-1"`},
	} {
		t.Run(name, func(t *testing.T) {
			p := strict()
			tc.spoil(&p)
			f, ok := step.AsFault(p.Validate("p"))
			require.True(t, ok)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, tc.input, f.Input)
		})
	}
}

func TestPolicyDigestFollowsThePolicy(t *testing.T) {
	p := strict()
	before := p.Digest()
	assert.Equal(t, before, strict().Digest())
	p.Unfixed = policy.Refuse
	assert.NotEqual(t, before, p.Digest())
}

func TestInfrastructureExceptions(t *testing.T) {
	p := strict()
	found := []policy.Misconfiguration{{ID: "AVD-1"}, {ID: "AVD-2"}}
	p.Exceptions = []policy.Exception{
		{ID: "AVD-1", Reason: "r", Owner: "o", Expires: "2026-11-24"},
		{ID: "AVD-2", App: "hello", Reason: "r", Owner: "o", Expires: "2026-11-24"},
	}
	left, err := p.Unexcepted("check", found, now)
	require.NoError(t, err)
	assert.Equal(t, []policy.Misconfiguration{{ID: "AVD-2"}}, left, "an app's exception is not one for infrastructure")

	_, err = p.Unexcepted("check", found, now.AddDate(0, 0, 1))
	require.ErrorContains(t, err, "expired on 2026-11-24")
}
