package rules_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/infra"
	"slipway/step/result/scan"
)

const digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func strict() rules.Policy {
	return rules.Policy{
		Threshold: scan.High, Unfixed: rules.ActionReport, Unknown: rules.ActionRefuse,
		Database: rules.Database{Repository: "localhost:5000/slipway/trivy-db", Tag: "2", MaxAge: 48 * time.Hour, Trust: "signed by key sha256:01"},
	}
}

// clean is an input that passes; each test spoils one thing.
func clean() rules.Scanned {
	return rules.Scanned{
		App: "hello", Digest: digest, Now: now,
		Findings: scan.Findings{
			Digest: digest, TrivyVersion: "0.74.0",
			Database: scan.Database{Digest: "sha256:db", UpdatedAt: now.Add(-time.Hour), Sources: []string{"Demo"}},
			Images:   []scan.Image{{Platform: "linux/amd64", Executables: 1}},
			Scanned:  []scan.Scanned{{Target: "app", Type: "gobinary", Packages: 12}},
		},
	}
}

func vulnerability(id string, s scan.Severity, fixed string) scan.Vulnerability {
	return scan.Vulnerability{ID: id, Package: "golang.org/x/text", Installed: "v0.3.7", Fixed: fixed, Severity: s, Title: "denial of service"}
}

func TestCleanFindingsPass(t *testing.T) {
	v, err := strict().Evaluate(clean())
	require.NoError(t, err)
	assert.Equal(t, digest, v.Digest)
	assert.Equal(t, "sha256:db", v.DatabaseDigest)
	assert.Equal(t, []string{"Demo"}, v.DatabaseSources)
	assert.Equal(t, 1, v.Scanned)
	assert.Empty(t, v.Reported)
	assert.Regexp(t, `^sha256:[0-9a-f]{64}$`, v.PolicyDigest)
}

func TestRefusals(t *testing.T) {
	expired := rules.Exception{ID: "CVE-2022-32149", Reason: "not reachable", Owner: "team-a", Expires: "2026-11-23"}
	for name, tc := range map[string]struct {
		policy func(*rules.Policy)
		spoil  func(*rules.Scanned)
		reason string
		detail string
	}{
		"fixed vulnerability at the threshold": {
			spoil: func(in *rules.Scanned) {
				in.Findings.Vulnerabilities = []scan.Vulnerability{vulnerability("CVE-2022-32149", scan.High, "0.3.8")}
			},
			reason: "1 finding at or above HIGH",
			detail: "HIGH: CVE-2022-32149 in golang.org/x/text v0.3.7, fixed in 0.3.8: denial of service",
		},
		"unfixed vulnerability where unfixed refuses": {
			policy: func(p *rules.Policy) { p.Unfixed = rules.ActionRefuse },
			spoil: func(in *rules.Scanned) {
				in.Findings.Vulnerabilities = []scan.Vulnerability{vulnerability("CVE-1", scan.Critical, "")}
			},
			reason: "1 finding at or above HIGH",
			detail: "CRITICAL: CVE-1 in golang.org/x/text v0.3.7, no fixed version: denial of service",
		},
		"unknown severity": {
			spoil: func(in *rules.Scanned) {
				in.Findings.Vulnerabilities = []scan.Vulnerability{vulnerability("GO-1", scan.Unknown, "1")}
			},
			reason: "1 finding at or above HIGH",
			detail: "UNKNOWN: GO-1 in golang.org/x/text v0.3.7, fixed in 1: denial of service",
		},
		"a severity that no scanner defines": {
			policy: func(p *rules.Policy) { p.Unknown = rules.ActionReport },
			spoil: func(in *rules.Scanned) {
				in.Findings.Misconfigurations = []scan.Misconfiguration{{ID: "KSV017", File: "a.yaml", Line: 3, Severity: "NOVEL", Title: "privileged"}}
			},
			reason: "1 finding at or above HIGH",
			detail: "NOVEL: KSV017 in a.yaml:3: privileged",
		},
		"any secret, whatever its severity": {
			spoil: func(in *rules.Scanned) {
				in.Findings.Secrets = []scan.Secret{{Rule: "private-key", File: "id_rsa", Line: 1, Severity: scan.Low, Title: "Private key"}}
			},
			reason: "1 finding at or above HIGH",
			detail: "secret: Private key in id_rsa:1 (private-key)",
		},
		"privileged pod": {
			spoil: func(in *rules.Scanned) {
				in.Findings.Misconfigurations = []scan.Misconfiguration{{ID: "KSV-0017", File: "deployment.yaml", Line: 20, Severity: scan.High, Title: "Privileged"}}
			},
			reason: "1 finding at or above HIGH",
			detail: "HIGH: KSV-0017 in deployment.yaml:20: Privileged",
		},
		"expired exception, even when nothing needs it": {
			policy: func(p *rules.Policy) { p.Exceptions = []rules.Exception{expired} },
			reason: "expired on 2026-11-23",
		},
		"stale database": {
			spoil:  func(in *rules.Scanned) { in.Findings.Database.UpdatedAt = now.Add(-49 * time.Hour) },
			reason: "is stale: made at 2026-11-22T11:00:00Z, older than 48h0m0s",
		},
		"database from the future": {
			spoil:  func(in *rules.Scanned) { in.Findings.Database.UpdatedAt = now.Add(time.Hour) },
			reason: "was made in the future, at 2026-11-24T13:00:00Z",
		},
		"database without a date": {
			spoil:  func(in *rules.Scanned) { in.Findings.Database.UpdatedAt = time.Time{} },
			reason: "does not say when it was made",
		},
		"a database that nobody has looked at": {
			policy: func(p *rules.Policy) { p.Database.Trust = "" },
			reason: "was not checked: nothing says why it is believed",
		},
		"another database than is pinned": {
			policy: func(p *rules.Policy) { p.Database.Trust = rules.Pinned("sha256:other") },
			reason: "is not the one that is pinned, sha256:other",
		},
		"findings about another image": {
			spoil:  func(in *rules.Scanned) { in.Findings.Digest = "sha256:bbbb" },
			reason: `the findings are about "sha256:bbbb"`,
		},
		"nothing scanned": {
			spoil:  func(in *rules.Scanned) { in.Findings.Scanned = nil },
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
	e := rules.Exception{ID: "CVE-2022-32149", App: "hello", Reason: "not reachable", Owner: "team-a", Expires: "2026-11-24"}
	p.Exceptions = []rules.Exception{e}
	in.Findings.Vulnerabilities = []scan.Vulnerability{
		vulnerability("CVE-2022-32149", scan.High, "0.3.8"), vulnerability("CVE-2022-32149", scan.High, "0.3.8"),
	}
	v, err := p.Evaluate(in)
	require.NoError(t, err)
	assert.Equal(t, []rules.Exception{e}, v.Excepted)

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
	p.Unknown = rules.ActionReport
	in.Findings.Vulnerabilities = []scan.Vulnerability{
		vulnerability("CVE-1", scan.Medium, "1"), vulnerability("CVE-2", scan.Critical, ""), vulnerability("GO-1", scan.Unknown, ""),
	}
	v, err := p.Evaluate(in)
	require.NoError(t, err)
	assert.Len(t, v.Reported, 3)
}

func TestPolicyValidation(t *testing.T) {
	good := rules.Exception{ID: "CVE-1", Reason: "r", Owner: "o", Expires: "2027-01-01"}
	for name, tc := range map[string]struct {
		spoil func(*rules.Policy)
		input string
	}{
		"no threshold":      {func(p *rules.Policy) { p.Threshold = "" }, `p.threshold ""`},
		"unknown threshold": {func(p *rules.Policy) { p.Threshold = scan.Unknown }, `p.threshold "UNKNOWN"`},
		"no unfixed":        {func(p *rules.Policy) { p.Unfixed = "" }, `p.unfixed ""`},
		"wrong unknown":     {func(p *rules.Policy) { p.Unknown = "ignore" }, `p.unknown "ignore"`},
		"no owner":          {func(p *rules.Policy) { e := good; e.Owner = " "; p.Exceptions = []rules.Exception{e} }, "p.exceptions[0].owner"},
		"no reason":         {func(p *rules.Policy) { e := good; e.Reason = ""; p.Exceptions = []rules.Exception{e} }, "p.exceptions[0].reason"},
		"no id":             {func(p *rules.Policy) { e := good; e.ID = ""; p.Exceptions = []rules.Exception{e} }, "p.exceptions[0].id"},
		"no expiry":         {func(p *rules.Policy) { e := good; e.Expires = ""; p.Exceptions = []rules.Exception{e} }, "p.exceptions[0].expires"},
		"not a day":         {func(p *rules.Policy) { e := good; e.Expires = "soon"; p.Exceptions = []rules.Exception{e} }, `p.exceptions[0].expires "soon"`},
		"no pattern":        {func(p *rules.Policy) { e := good; e.Path = "gitops/["; p.Exceptions = []rules.Exception{e} }, `p.exceptions[0].path "gitops/["`},
		"absolute path":     {func(p *rules.Policy) { e := good; e.Path = "/gitops"; p.Exceptions = []rules.Exception{e} }, `p.exceptions[0].path "/gitops"`},
		"path that climbs":  {func(p *rules.Policy) { e := good; e.Path = "gitops/../x"; p.Exceptions = []rules.Exception{e} }, `p.exceptions[0].path "gitops/../x"`},
		"a negative age":    {func(p *rules.Policy) { p.VEXMaxAge = -1 }, "p.vexMaxAge"},
		"listed twice":      {func(p *rules.Policy) { p.Exceptions = []rules.Exception{good, good} }, `p.exceptions[1].id "CVE-1"`},
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
	p.Unfixed = rules.ActionRefuse
	assert.NotEqual(t, before, p.Digest())
	for name, change := range map[string]func(*rules.Database){
		"repository": func(d *rules.Database) { d.Repository += "2" }, "tag": func(d *rules.Database) { d.Tag = "3" },
		"age": func(d *rules.Database) { d.MaxAge++ }, "signer": func(d *rules.Database) { d.Trust += "2" },
	} {
		p := strict()
		change(&p.Database)
		assert.NotEqual(t, before, p.Digest(), name)
	}
}

func TestInfrastructureExceptions(t *testing.T) {
	p := strict()
	found := []scan.Misconfiguration{{ID: "AVD-1"}, {ID: "AVD-2"}}
	p.Exceptions = []rules.Exception{
		{ID: "AVD-1", Reason: "r", Owner: "o", Expires: "2026-11-24"},
		{ID: "AVD-2", App: "hello", Reason: "r", Owner: "o", Expires: "2026-11-24"},
	}
	_, err := p.EvaluateCode("check", digest, scan.Checked{Misconfigurations: found}, now)
	assert.Equal(t, []string{":0:  AVD-2: "}, codeRefusal(t, err).Details, "an app's exception is not one for infrastructure")

	_, err = p.EvaluateCode("check", digest, scan.Checked{Misconfigurations: found}, now.AddDate(0, 0, 1))
	require.ErrorContains(t, err, "expired on 2026-11-24")
}

// codeRefusal is a policy's, of the check.
func codeRefusal(t *testing.T, err error) *step.Fault {
	t.Helper()
	f, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, step.KindPolicy, f.Kind)
	assert.Equal(t, "check", f.Stage)
	assert.NotEmpty(t, f.Mend)
	return f
}

func TestMisconfiguredCodeAtTheThresholdRefuses(t *testing.T) {
	found := []scan.Misconfiguration{
		{ID: "AVD-1", Severity: scan.Low, File: "main.tf", Line: 3, Title: "low"},
		{ID: "AVD-2", Severity: scan.High, File: "main.tf", Line: 7, Title: "open to all", Resolution: "Name who may."},
		{ID: "AVD-3", Severity: scan.Unknown, File: "x.tf", Title: "unranked"},
		{ID: "AVD-4", Severity: "SEVERE", File: "x.tf", Title: "unheard of"},
	}
	evaluate := func(threshold scan.Severity, found []scan.Misconfiguration, secrets ...scan.Secret) (*infra.Judged, error) {
		p := strict()
		p.Threshold, p.Unknown = threshold, rules.ActionReport
		return p.EvaluateCode("check", digest, scan.Checked{Misconfigurations: found, Secrets: secrets}, now)
	}
	_, err := evaluate(scan.High, found)
	f := codeRefusal(t, err)
	assert.Equal(t, "code", f.Input)
	assert.Equal(t, "has misconfigurations at or above HIGH: 3", f.Reason)
	assert.Equal(t, []string{"main.tf:7: HIGH AVD-2: open to all; mend: Name who may.", "x.tf:0: UNKNOWN AVD-3: unranked", "x.tf:0: SEVERE AVD-4: unheard of"}, f.Details)
	_, err = evaluate(scan.Low, found)
	assert.Len(t, codeRefusal(t, err).Details, 4)

	_, err = evaluate(scan.Critical, found[:2], scan.Secret{Rule: "aws-access-key-id", File: "main.tf", Line: 9, Title: "AWS Access Key ID"})
	assert.Equal(t, []string{"main.tf:9: CRITICAL aws-access-key-id: secret: AWS Access Key ID; mend: take it out of the code and of its history, and replace it"}, codeRefusal(t, err).Details)

	verdict, err := evaluate(scan.Critical, found[:2])
	require.NoError(t, err)
	p := strict()
	p.Threshold, p.Unknown = scan.Critical, rules.ActionReport
	assert.Equal(t, &infra.Judged{CodeSHA256: digest, PolicyDigest: p.Digest(), Threshold: "CRITICAL"}, verdict)
	_, err = evaluate(scan.Low, nil)
	require.NoError(t, err)
	for _, threshold := range []scan.Severity{"high", scan.Unknown, ""} {
		_, err = evaluate(threshold, nil)
		f, ok := step.AsFault(err)
		require.True(t, ok)
		assert.Equal(t, step.KindInput, f.Kind, threshold)
	}
}

func TestExceptionWithAPathIsForThatFileAlone(t *testing.T) {
	const rbac = "gitops/platform/argocd/base/rbac.yaml"
	e := rules.Exception{ID: "KSV-0041", Path: rbac, Reason: "r", Owner: "o", Expires: "2026-11-24"}
	for name, tc := range map[string]struct {
		path, file string
		ok         bool
	}{
		"the file":              {rbac, rbac, true},
		"a pattern":             {"gitops/platform/*/base/rbac.yaml", rbac, true},
		"another file":          {rbac, "gitops/apps/hello/base/rbac.yaml", false},
		"a folder":              {"gitops/platform/argocd/base", rbac, false},
		"a star for two names":  {"gitops/platform/*/rbac.yaml", rbac, false},
		"a star for everything": {"*", rbac, false},
	} {
		t.Run(name, func(t *testing.T) {
			p, in := strict(), clean()
			e := e
			e.Path = tc.path
			p.Exceptions = []rules.Exception{e}
			require.NoError(t, p.Validate("p"))
			in.Findings.Misconfigurations = []scan.Misconfiguration{{ID: e.ID, File: tc.file, Line: 3, Severity: scan.Critical, Title: "Secrets"}}
			v, err := p.Evaluate(in)
			w, manifestsErr := p.EvaluateManifests("scan", "", "gitops", in.Findings, now)
			_, codeErr := p.EvaluateCode("check", digest, scan.Checked{Misconfigurations: in.Findings.Misconfigurations}, now)
			if !tc.ok {
				require.ErrorContains(t, err, "1 finding at or above HIGH")
				require.ErrorContains(t, manifestsErr, "1 finding at or above HIGH")
				assert.Equal(t, []string{tc.file + ":3: CRITICAL KSV-0041: Secrets"}, codeRefusal(t, codeErr).Details)
				return
			}
			require.NoError(t, err)
			require.NoError(t, manifestsErr)
			assert.Equal(t, []rules.Exception{e}, v.Excepted)
			assert.Equal(t, []rules.Exception{e}, w.Excepted)
			require.NoError(t, codeErr)
		})
	}
}

func TestExpiredExceptionWithAPathRefusesWhereItIsNeeded(t *testing.T) {
	p, in := strict(), clean()
	p.Exceptions = []rules.Exception{{ID: "KSV-0041", Path: "a.yaml", Reason: "r", Owner: "o", Expires: "2026-11-23"}}
	_, err := p.Evaluate(in)
	require.NoError(t, err, "no finding needs it")

	in.Findings.Misconfigurations = []scan.Misconfiguration{{ID: "KSV-0041", File: "a.yaml", Severity: scan.Low}}
	_, err = p.Evaluate(in)
	require.ErrorContains(t, err, "expired on 2026-11-23")
	_, err = p.EvaluateManifests("scan", "", "gitops", in.Findings, now)
	require.ErrorContains(t, err, "expired on 2026-11-23")
	_, err = p.EvaluateCode("check", digest, scan.Checked{Misconfigurations: in.Findings.Misconfigurations}, now)
	require.ErrorContains(t, err, "expired on 2026-11-23")
}

func TestManifestsAreJudgedWithoutAnImage(t *testing.T) {
	found := scan.Findings{
		TrivyVersion: "0.74.0", Scanned: []scan.Scanned{{Target: "a.yaml", Type: "kubernetes"}},
		Misconfigurations: []scan.Misconfiguration{{ID: "KSV-1", File: "a.yaml", Line: 3, Severity: scan.Medium, Title: "Tag"}},
	}
	v, err := strict().EvaluateManifests("scan", "", "gitops", found, now)
	require.NoError(t, err)
	assert.Equal(t, []string{"MEDIUM: KSV-1 in a.yaml:3: Tag"}, v.Reported)
	assert.Empty(t, v.Excepted)
	assert.Equal(t, 1, v.Scanned)

	high := scan.Misconfiguration{ID: "KSV-2", File: "a.yaml", Line: 4, Severity: scan.High, Title: "Root"}
	ofApp := rules.Exception{ID: "KSV-2", App: "hello", Reason: "r", Owner: "o", Expires: "2026-11-24"}
	for name, tc := range map[string]struct {
		spoil  func(*rules.Policy, *scan.Findings)
		detail string
	}{
		"at the threshold": {func(_ *rules.Policy, f *scan.Findings) {
			f.Misconfigurations = append(f.Misconfigurations, high)
		}, "HIGH: KSV-2 in a.yaml:4: Root"},
		"excepted for an app": {func(p *rules.Policy, f *scan.Findings) {
			p.Exceptions = []rules.Exception{ofApp}
			f.Misconfigurations = append(f.Misconfigurations, high)
		}, "HIGH: KSV-2 in a.yaml:4: Root"},
		"a secret": {func(_ *rules.Policy, f *scan.Findings) {
			f.Secrets = []scan.Secret{{Rule: "private-key", File: "a.yaml", Line: 9, Title: "Private key"}}
		}, "secret: Private key in a.yaml:9 (private-key)"},
		"nothing scanned":   {func(_ *rules.Policy, f *scan.Findings) { f.Scanned = nil }, ""},
		"no policy to hold": {func(p *rules.Policy, _ *scan.Findings) { p.Threshold = "" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, f := strict(), found
			f.Misconfigurations = slices.Clone(found.Misconfigurations)
			tc.spoil(&p, &f)
			if name == "excepted for an app" {
				_, err := p.EvaluateManifests("release", "hello", "hello in dev", f, now)
				require.NoError(t, err, "of that app")
			}
			_, err := p.EvaluateManifests("scan", "", "gitops", f, now)
			fault, ok := step.AsFault(err)
			require.True(t, ok, "want a fault, got %v", err)
			assert.NotEmpty(t, fault.Mend)
			if tc.detail != "" {
				assert.Equal(t, []string{tc.detail}, fault.Details)
			}
		})
	}
}

// Exceptions that differ in one part are two, and both may be there.
func TestExceptionsAreToldApartByEachPart(t *testing.T) {
	executable := rules.Exception{ID: rules.UnknownExecutable, Path: "usr/bin/x", SHA256: strings.Repeat("1", 64), Reason: "r", Owner: "o", Expires: "2027-01-01"}
	flaw := rules.Exception{ID: "CVE-1", Package: liba, Reason: "r", Owner: "o", Expires: "2027-01-01"}
	check := rules.Exception{Class: rules.ClassMisconfiguration, ID: "X-1", Path: "a", Reason: "r", Owner: "o", Expires: "2027-01-01"}
	for name, tc := range map[string]struct {
		first  rules.Exception
		change func(*rules.Exception)
		twice  bool
	}{
		"class":   {check, func(e *rules.Exception) { e.Class = rules.ClassSecret }, false},
		"id":      {flaw, func(e *rules.Exception) { e.ID = "CVE-2" }, false},
		"app":     {flaw, func(e *rules.Exception) { e.App = "hello" }, false},
		"path":    {executable, func(e *rules.Exception) { e.Path = "usr/bin/y" }, false},
		"sha256":  {executable, func(e *rules.Exception) { e.SHA256 = "" }, false},
		"package": {flaw, func(e *rules.Exception) { e.Package = libb }, false},
		"owner":   {flaw, func(e *rules.Exception) { e.Owner, e.Reason, e.Expires = "p", "s", "2028-01-01" }, true},
		"nothing": {check, func(*rules.Exception) {}, true},
	} {
		p, other := strict(), tc.first
		tc.change(&other)
		p.Exceptions = []rules.Exception{tc.first, other}
		err := p.Validate("p")
		assert.Equal(t, tc.twice, err != nil, "%s: %v", name, err)
		if tc.twice {
			require.ErrorContains(t, err, "is listed twice", name)
		}
	}
}

func TestAPolicyThatIsNoneDecidesNothing(t *testing.T) {
	p := strict()
	p.Threshold = "SOME"
	_, err := p.Evaluate(clean())
	require.ErrorContains(t, err, `policy.threshold "SOME": is not a severity`)
	_, err = p.EvaluateManifests("lint", "", "gitops", clean().Findings, now)
	require.ErrorContains(t, err, `policy.threshold "SOME": is not a severity`)
	_, err = p.EvaluateCode("check", digest, scan.Checked{}, now)
	require.ErrorContains(t, err, `policy.threshold "SOME": is not a severity`)

	p = strict()
	p.Exceptions = []rules.Exception{except("", "KSV-0044", "")}
	p.Exceptions[0].Expires = "2026-11-23"
	for _, decide := range []func() (any, error){
		func() (any, error) { return p.Evaluate(clean()) },
		func() (any, error) { return p.EvaluateManifests("lint", "", "gitops", clean().Findings, now) },
		func() (any, error) { return p.EvaluateCode("check", digest, scan.Checked{}, now) },
	} {
		v, err := decide()
		require.ErrorContains(t, err, "exception KSV-0044 of o: expired on 2026-11-23")
		assert.Nil(t, v)
	}
	in := clean()
	in.Digest, in.Findings.Digest = "", ""
	_, err = strict().Evaluate(in)
	require.ErrorContains(t, err, `the findings are about ""`)
}

func TestEverySecretOfCodeIsNamed(t *testing.T) {
	_, err := strict().EvaluateCode("check", digest, scan.Checked{Secrets: []scan.Secret{{Rule: "a", File: "main.tf", Line: 1, Title: "A"}, {Rule: "b", File: "main.tf", Line: 2, Title: "B"}}}, now)
	f, ok := step.AsFault(err)
	require.True(t, ok)
	const mend = "; mend: take it out of the code and of its history, and replace it"
	assert.Equal(t, []string{"main.tf:1: CRITICAL a: secret: A" + mend, "main.tf:2: CRITICAL b: secret: B" + mend}, f.Details)
	in := clean()
	in.Findings.Secrets = []scan.Secret{{Rule: "a", File: "main.tf", Line: 1, Title: "A"}, {Rule: "b", File: "main.tf", Line: 2, Title: "B"}}
	assert.Equal(t, []string{"secret: A in main.tf:1 (a)", "secret: B in main.tf:2 (b)"}, refusal(t, strict(), in).Details)
}
