package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/scan"
)

func stranger(path, sum string) scan.Executable {
	return scan.Executable{Path: path, SHA256: strings.Repeat(sum, 64), Kind: "ELF file", Reason: "is of no package", Platforms: []string{"linux/amd64", "linux/arm64"}}
}

func allowing(path, sum string) rules.Exception {
	return rules.Exception{ID: rules.UnknownExecutable, Path: path, SHA256: sum, Reason: "vendor's tool", Owner: "team-a", Expires: "2026-12-31"}
}

func refusal(t *testing.T, p rules.Policy, in rules.Scanned) *step.Fault {
	t.Helper()
	verdict, err := p.Evaluate(in)
	require.Nil(t, verdict)
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	require.Equal(t, step.KindPolicy, fault.Kind)
	require.Equal(t, "scan", fault.Stage)
	require.NotEmpty(t, fault.Mend)
	return fault
}

func TestUnknownExecutablesAreRefusedByName(t *testing.T) {
	in := clean()
	in.Findings.Unknown = []scan.Executable{stranger("opt/x", "1")}
	fault := refusal(t, strict(), in)
	assert.Equal(t, "1 executable that nothing identifies, such as opt/x", fault.Reason)
	assert.Equal(t, []string{"unknown-executable: opt/x (ELF file, linux/amd64 and linux/arm64, sha256 " + strings.Repeat("1", 64) + ") is of no package"}, fault.Details)
	assert.Contains(t, fault.Mend, "add an exception with class executable, id unknown-executable, path, sha256, reason, owner and expires")

	in.Findings.Vulnerabilities = []scan.Vulnerability{vulnerability("CVE-1", scan.High, "1")}
	assert.Equal(t, "1 finding at or above HIGH; 1 executable that nothing identifies, such as opt/x", refusal(t, strict(), in).Reason)

	in = clean()
	for n := range 23 {
		in.Findings.Unknown = append(in.Findings.Unknown, stranger(fmt.Sprintf("opt/%02d", n), "1"))
	}
	fault = refusal(t, strict(), in)
	assert.Equal(t, "23 executables that nothing identifies, such as opt/00", fault.Reason)
	require.Len(t, fault.Details, 21)
	assert.Contains(t, fault.Details[19], "opt/19 ")
	assert.Equal(t, "unknown-executable: and 3 more", fault.Details[20])
	in.Findings.Unknown = in.Findings.Unknown[:20]
	assert.Len(t, refusal(t, strict(), in).Details, 20)
}

// An exception holds for exactly that file, and for nothing that an app says.
func TestExceptionsForUnknownExecutables(t *testing.T) {
	in := clean()
	in.Findings.Unknown = []scan.Executable{stranger("opt/x", "1")}
	p := strict()
	for name, e := range map[string]rules.Exception{
		"the path":             allowing("opt/x", ""),
		"the path and content": allowing("opt/x", strings.Repeat("1", 64)),
	} {
		t.Run(name, func(t *testing.T) {
			p.Exceptions = []rules.Exception{e}
			verdict, err := p.Evaluate(in)
			require.NoError(t, err)
			assert.Equal(t, []rules.Exception{e}, verdict.Excepted)
		})
	}
	other := allowing("opt/x", "")
	other.App = "other"
	late := allowing("opt/x", "")
	late.Expires = "2026-11-23"
	for name, e := range map[string]rules.Exception{
		"another path":              allowing("opt/y", ""),
		"a folder":                  allowing("opt", ""),
		"a pattern":                 allowing("opt/*", ""),
		"another content":           allowing("opt/x", strings.Repeat("2", 64)),
		"another app":               other,
		"an exception that is over": late,
	} {
		t.Run(name, func(t *testing.T) {
			p.Exceptions = []rules.Exception{e}
			fault := refusal(t, p, in)
			if name == "an exception that is over" {
				assert.Equal(t, "expired on 2026-11-23", fault.Reason)
				p.Exceptions = append(p.Exceptions, allowing("opt/x", strings.Repeat("1", 64)))
				_, err := p.Evaluate(in)
				assert.NoError(t, err, "another exception for it holds")
			}
		})
	}
	p.Exceptions = []rules.Exception{allowing("opt/x", "")}
	in.Findings.Unknown = append(in.Findings.Unknown, stranger("opt/y", "1"))
	assert.Equal(t, "1 executable that nothing identifies, such as opt/y", refusal(t, p, in).Reason)
}

func TestExceptionsForExecutablesAreValidated(t *testing.T) {
	for name, tc := range map[string]struct {
		exception rules.Exception
		input     string
	}{
		"no path":             {allowing("", ""), `p.exceptions[0].path ""`},
		"an absolute path":    {allowing("/opt/x", ""), `p.exceptions[0].path "/opt/x"`},
		"a path with dots":    {allowing("opt/../x", ""), `p.exceptions[0].path "opt/../x"`},
		"a sum of upper case": {allowing("opt/x", strings.Repeat("A", 64)), "p.exceptions[0].sha256"},
		"a short sum":         {allowing("opt/x", "11"), "p.exceptions[0].sha256"},
		"a sum for a CVE": {rules.Exception{ID: "CVE-1", SHA256: strings.Repeat("1", 64), Reason: "r", Owner: "o", Expires: "2026-12-31"},
			"p.exceptions[0].sha256"},
	} {
		t.Run(name, func(t *testing.T) {
			p := strict()
			p.Exceptions = []rules.Exception{tc.exception}
			fault, ok := step.AsFault(p.Validate("p"))
			require.True(t, ok)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Contains(t, fault.Input, tc.input)
			assert.NotEmpty(t, fault.Mend)
		})
	}
	p := strict()
	p.Exceptions = []rules.Exception{allowing("opt/x", strings.Repeat("1", 64)), allowing("opt/x", strings.Repeat("2", 64)), allowing("opt/a[b", "")}
	require.NoError(t, p.Validate("p"), "one for each platform, and any name")
	p.Exceptions = append(p.Exceptions, allowing("opt/x", strings.Repeat("2", 64)))
	require.ErrorContains(t, p.Validate("p"), "is listed twice")
}

func TestDistributionsPastTheirEndOfLife(t *testing.T) {
	in := clean()
	in.Findings.Images = []scan.Image{
		{Platform: "linux/amd64", System: "debian 12.5", Executables: 9},
		{Platform: "linux/arm64", System: "debian 10.13", EndOfLife: true, Executables: 9},
		{Platform: "linux/arm/v7", System: "debian 10.13", EndOfLife: true, Executables: 9},
		{Platform: "linux/s390x", System: "centos 8.4", EndOfLife: true, Executables: 9},
	}
	const reason = "debian 10.13 is past its end of life, so that no advisory names its new vulnerabilities; " +
		"centos 8.4 is past its end of life, so that no advisory names its new vulnerabilities"
	p := strict()
	fault := refusal(t, p, in)
	assert.Equal(t, reason, fault.Reason)
	assert.Contains(t, fault.Mend, "build on a release that is maintained")
	p.EndOfLife = rules.ActionRefuse
	assert.Equal(t, reason, refusal(t, p, in).Reason)

	p.EndOfLife = rules.ActionReport
	verdict, err := p.Evaluate(in)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"end-of-life: debian 10.13 (linux/arm64)", "end-of-life: debian 10.13 (linux/arm/v7)", "end-of-life: centos 8.4 (linux/s390x)",
	}, verdict.Reported)
	assert.NotEqual(t, strict().Digest(), p.Digest(), "the policy's digest tells them apart")

	p.EndOfLife = "ignore"
	fault, ok := step.AsFault(p.Validate("scan.policy"))
	require.True(t, ok)
	assert.Equal(t, `scan.policy.endOfLife "ignore"`, fault.Input)

	p = strict()
	p.Exceptions = []rules.Exception{{ID: rules.EndOfLife, App: "hello", Reason: "moves in March", Owner: "team-a", Expires: "2026-12-31"}}
	verdict, err = p.Evaluate(in)
	require.NoError(t, err)
	assert.Equal(t, p.Exceptions, verdict.Excepted)
	p.Exceptions[0].App = "other"
	assert.Equal(t, reason, refusal(t, p, in).Reason)
}

func TestFindingsThatDoNotSayWhatTheImageHolds(t *testing.T) {
	in := clean()
	in.Findings.Images = nil
	assert.Contains(t, refusal(t, strict(), in).Reason, "do not say which executables")
	in.Findings.Images = []scan.Image{{Platform: "linux/amd64", Executables: 1}, {Platform: "linux/arm64"}}
	assert.Equal(t, "no executable file was found in the image for linux/arm64, so nothing can be said about it", refusal(t, strict(), in).Reason)
}
