package rules_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/scan"
)

const image = "localhost:5000/hello@" + digest

// day is an input whose advisories were taken some days after the release.
func day(n int, found ...scan.Vulnerability) rules.Scanned {
	in := clean()
	in.Now = now.AddDate(0, 0, n)
	in.Findings.Database.UpdatedAt = in.Now.Add(-time.Hour)
	in.Findings.Vulnerabilities = found
	return in
}

func encoded(t *testing.T, scans ...rules.Scan) []json.RawMessage {
	t.Helper()
	var all []json.RawMessage
	for _, s := range scans {
		data, err := json.Marshal(s)
		require.NoError(t, err)
		all = append(all, data)
	}
	return all
}

func TestAReleaseThatFallsOutOfPolicy(t *testing.T) {
	p := strict()
	old := vulnerability("CVE-2020-1", scan.Medium, "")
	v, err := p.Evaluate(day(0, old))
	require.NoError(t, err)
	released := rules.Attest(image, *v, day(0, old).Findings, run)
	require.NoError(t, accepted(p, now, released))

	// The next day nothing is new.
	r, quiet := p.Rescan(image, day(1, old), encoded(t, released), run)
	assert.True(t, r.Passed)
	assert.Empty(t, r.Refused)
	require.Len(t, r.Unfixed, 1)
	assert.Equal(t, "CVE-2020-1", r.Unfixed[0].ID)
	assert.Equal(t, now.Add(-time.Hour), r.Unfixed[0].FirstSeen, "it was known at the release")
	require.NoError(t, accepted(p, now.AddDate(0, 0, 1), released, quiet))

	// On the second day an advisory comes out, and on the third it is still there.
	bad := vulnerability("CVE-2026-7", scan.Critical, "0.3.8")
	r, fallen := p.Rescan(image, day(2, old, bad), encoded(t, released, quiet), run)
	assert.False(t, r.Passed)
	assert.Equal(t, "1 finding at or above HIGH", r.Reason)
	require.Len(t, r.Refused, 1)
	assert.Equal(t, "CVE-2026-7", r.Refused[0].ID)
	assert.Equal(t, "0.3.8", r.Refused[0].Fixed, "what mends it")
	since := now.AddDate(0, 0, 2).Add(-time.Hour)
	assert.Equal(t, since, r.Refused[0].FirstSeen)
	assert.Equal(t, since, r.Since)
	r, later := p.Rescan(image, day(3, old, bad), encoded(t, fallen, quiet, released), run)
	assert.Equal(t, since, r.Since)
	assert.Equal(t, since, r.Refused[0].FirstSeen)

	err = accepted(p, now.AddDate(0, 0, 3), released, quiet, fallen, later)
	f, ok := step.AsFault(err)
	require.True(t, ok, "want a fault, got %v", err)
	assert.Equal(t, "rescan of "+image, f.Input)
	assert.Equal(t, "refuses it since the advisories of 2026-11-27T11:00:00Z: CVE-2026-7", f.Reason)
	assert.Equal(t, step.KindPolicy, f.Kind)

	// Two rescans by the same advisories that disagree: refused, in whichever order.
	_, disagreeing := p.Rescan(image, day(3, old), nil, run)
	require.Error(t, accepted(p, now.AddDate(0, 0, 3), released, later, disagreeing))
	require.Error(t, accepted(p, now.AddDate(0, 0, 3), disagreeing, later, released))

	// The advisory is withdrawn.
	_, fine := p.Rescan(image, day(4, old), encoded(t, released, quiet, fallen, later), run)
	require.NoError(t, accepted(p, now.AddDate(0, 0, 4), released, quiet, fallen, later, fine))

	// A rescan is no scan: without one, the source was never looked at.
	require.ErrorContains(t, accepted(p, now, quiet), "is by \"urn:slipway:rescan\", not by Slipway's scan")
	// One under another policy says nothing under this one.
	other := p
	other.Threshold = scan.Critical
	_, elsewhere := other.Rescan(image, day(2, bad), nil, run)
	require.NoError(t, accepted(p, now.AddDate(0, 0, 2), released, elsewhere))
	// Nor one about another image.
	fallen.Decision.Resource = "localhost:5000/pages@" + digest
	require.NoError(t, accepted(p, now.AddDate(0, 0, 2), released, fallen))
}

func TestRescanLooksAtTheImageOnly(t *testing.T) {
	in := day(1)
	in.Findings.Secrets = []scan.Secret{{Rule: "x", File: "y"}}
	in.Findings.Misconfigurations = []scan.Misconfiguration{{ID: "KSV-1", Severity: scan.Critical}}
	r, _ := strict().Rescan(image, in, nil, run)
	assert.True(t, r.Passed, "the source of today is not the image's")
}

func TestRescanFailsClosed(t *testing.T) {
	stale := day(1)
	stale.Findings.Database.UpdatedAt = stale.Now.AddDate(0, 0, -9)
	other := day(1)
	other.Findings.Digest = "sha256:other"
	nothing := day(1)
	nothing.Findings.Scanned = nil
	for reason, in := range map[string]rules.Scanned{"is stale": stale, "the findings are about": other, "looked at nothing": nothing} {
		r, s := strict().Rescan(image, in, nil, run)
		assert.False(t, r.Passed, reason)
		assert.Contains(t, r.Reason, reason)
		assert.Equal(t, "REFUSED", s.Decision.Result)
	}
}

func TestAnExceptionHoldsInARescanToo(t *testing.T) {
	p := strict()
	p.Exceptions = []rules.Exception{{ID: "CVE-2026-7", App: "hello", Reason: "not reachable", Owner: "team-a", Expires: "2026-11-26"}}
	bad := vulnerability("CVE-2026-7", scan.Critical, "0.3.8")
	r, _ := p.Rescan(image, day(1, bad), nil, run)
	assert.True(t, r.Passed)
	assert.Empty(t, r.Refused)
	r, _ = p.Rescan(image, day(3, bad), nil, run)
	assert.False(t, r.Passed)
	assert.Equal(t, "expired on 2026-11-26", r.Reason)
	require.Len(t, r.Refused, 1)
	p.Exceptions[0].App = "other"
	r, _ = p.Rescan(image, day(1, bad), nil, run)
	assert.Equal(t, "1 finding at or above HIGH", r.Reason)
	require.Len(t, r.Refused, 1)
}

// Also an exception that only the newest rescan has needed ends.
func TestARescansExceptionsEnd(t *testing.T) {
	p := strict()
	first, err := p.Evaluate(day(0))
	require.NoError(t, err)
	released := rules.Attest(image, *first, day(0).Findings, run)
	in := day(1, vulnerability("CVE-2026-7", scan.Critical, "0.3.8"))
	in.VEX = said(t, hello, about(1, "CVE-2026-7", whole, "not_affected"))
	r, again := p.Rescan(image, in, encoded(t, released), run)
	require.True(t, r.Passed)
	require.NoError(t, accepted(p, now.AddDate(0, 0, 1), released, again))
	require.ErrorContains(t, accepted(p, now.AddDate(0, 0, 70), released, again), "expired on 2027-01-30")
}

// What was released before anybody looked is refused, and the reason says for what.
func TestRescanNamesWhatIsNoVulnerability(t *testing.T) {
	in := day(1)
	in.Findings.Unknown = []scan.Executable{stranger("opt/x", "1")}
	in.Findings.Images[0].System, in.Findings.Images[0].EndOfLife = "debian 10.13", true
	r, s := strict().Rescan(image, in, nil, run)
	assert.False(t, r.Passed)
	assert.Equal(t, "1 executable that nothing identifies, such as opt/x; debian 10.13 is past its end of life, so that no advisory names its new vulnerabilities", r.Reason)
	assert.Equal(t, "REFUSED", s.Decision.Result)

	// A script was the app's own by the source of its day, which is not today's.
	in = day(1)
	in.Findings.Unknown = []scan.Executable{stranger("entrypoint.sh", "1"), stranger("bin/run", "2")}
	in.Findings.Unknown[0].Kind, in.Findings.Unknown[1].Kind = "script", "script that runs as its owner"
	r, _ = strict().Rescan(image, in, nil, run)
	assert.True(t, r.Passed)
	assert.Len(t, in.Findings.Unknown, 2, "what was handed in stays")
	assert.Equal(t, "2 executables that nothing identifies, such as entrypoint.sh", refusal(t, strict(), in).Reason, "a scan looks at its own source")
}

func accepted(p rules.Policy, at time.Time, scans ...rules.Scan) error {
	var all []json.RawMessage
	for _, s := range scans {
		data, err := json.Marshal(s)
		if err != nil {
			return err
		}
		all = append(all, data)
	}
	_, err := p.Newest("verify", image, all, at)
	return err
}

func TestAnAppOfARescan(t *testing.T) {
	yes, no := true, false
	bad := rules.Seen{Vulnerability: vulnerability("CVE-2026-7", scan.Critical, "0.3.8"), FirstSeen: now}
	worse := rules.Seen{Vulnerability: vulnerability("CVE-2026-8", scan.Critical, ""), FirstSeen: now}
	revoked := &rules.Revocation{App: "hello", Digest: digest, Reason: "leaked", By: "ada", At: now}
	passed, fallen := &rules.Rescanned{Passed: true}, &rules.Rescanned{Refused: []rules.Seen{bad, worse}}
	const first, then = "CRITICAL: CVE-2026-7 in golang.org/x/text v0.3.7, fixed in 0.3.8, first seen with the advisories of 2026-11-24T12:00:00Z", "CRITICAL: CVE-2026-8 in golang.org/x/text v0.3.7, no fixed version, first seen with the advisories of 2026-11-24T12:00:00Z"
	rows := []*rules.AppRescan{}
	var names, details []string
	for _, tc := range []struct {
		name     string
		row      rules.AppRescan
		refusals []string
	}{
		{"never", rules.AppRescan{Running: &no, Overlay: "x"}, nil},
		{"fine", rules.AppRescan{Rescanned: passed}, nil},
		{"running", rules.AppRescan{Rescanned: passed, Running: &yes}, nil},
		{"elsewhere", rules.AppRescan{Rescanned: passed, Running: &no, Digest: digest}, []string{"does not run " + digest + ", which Git says and which was scanned"}},
		{"fallen", rules.AppRescan{Rescanned: fallen, Running: &yes}, []string{first, then}},
		{"overlay", rules.AppRescan{Rescanned: passed, Overlay: "a\n  b\n"}, []string{"a", "b"}},
		{"revoked", rules.AppRescan{Rescanned: passed, Revoked: revoked}, []string{"was revoked by ada at 2026-11-24T12:00:00Z: leaked"}},
		{"all", rules.AppRescan{Rescanned: fallen, Revoked: revoked, Overlay: "a", Running: &no, Digest: digest}, []string{"does not run " + digest + ", which Git says and which was scanned", "was revoked by ada at 2026-11-24T12:00:00Z: leaked", first, then, "a"}},
	} {
		tc.row.App = tc.name
		rows = append(rows, &tc.row)
		assert.Equal(t, tc.refusals == nil, tc.row.InPolicy(), tc.name)
		assert.Equal(t, tc.row.Running == &no, tc.row.Elsewhere(), tc.name)
		err := rules.InPolicy("dev", []*rules.AppRescan{{App: "other", Rescanned: passed}, &tc.row})
		if tc.refusals == nil {
			require.NoError(t, err, tc.name)
			continue
		}
		names = append(names, tc.name)
		for _, line := range tc.refusals {
			details = append(details, tc.name+": "+line)
		}
		f, ok := step.AsFault(err)
		require.True(t, ok, tc.name)
		assert.Equal(t, step.KindPolicy, f.Kind)
		assert.Equal(t, "environment dev", f.Input)
		assert.Equal(t, "has releases that fell out of policy, are revoked, or are not what runs: "+tc.name, f.Reason)
	}
	f, ok := step.AsFault(rules.InPolicy("dev", rows))
	require.True(t, ok)
	assert.True(t, strings.HasSuffix(f.Reason, ": "+strings.Join(names, ", ")), f.Reason)
	assert.Equal(t, details, f.Details)
	require.NoError(t, rules.InPolicy("dev", nil))
}

func TestARescanExcusesByAnyExceptionOfTheApp(t *testing.T) {
	p := strict()
	of := func(id, app string) rules.Exception {
		return rules.Exception{ID: id, App: app, Reason: "not reachable", Owner: "team-a", Expires: "2026-12-31"}
	}
	in := day(1, vulnerability("CVE-2026-7", scan.Critical, "1"), vulnerability("CVE-2026-8", scan.Critical, "1"))
	for _, exceptions := range [][]rules.Exception{{of("CVE-2026-7", "hello"), of("CVE-2026-8", "")}, {of("CVE-2026-8", ""), of("CVE-2026-7", "hello")}} {
		p.Exceptions = exceptions
		r, _ := p.Rescan(image, in, nil, run)
		assert.True(t, r.Passed)
		assert.Empty(t, r.Refused)
		p.Exceptions = exceptions[:1]
		r, _ = p.Rescan(image, in, nil, run)
		require.Len(t, r.Refused, 1)
		assert.NotEqual(t, exceptions[0].ID, r.Refused[0].ID)
	}
}

// Since when an image is refused, and an advisory known, is read from what was attested
// about this very image, finding and policy.
func TestWhatARescanReadsOfThePast(t *testing.T) {
	p, other := strict(), strict()
	other.Threshold = scan.Critical
	bad := vulnerability("CVE-2026-7", scan.Critical, "0.3.8")
	elsewhere := bad
	elsewhere.Package = "example.com/other"
	at := func(n int) time.Time { return now.AddDate(0, 0, n).Add(-time.Hour) }
	past := func(p rules.Policy, n int, found ...scan.Vulnerability) rules.Scan {
		_, s := p.Rescan(image, day(n, found...), nil, run)
		return s
	}
	stranger := past(p, 1, bad)
	stranger.Decision.By = "me"
	for name, tc := range map[string]struct {
		past         []rules.Scan
		seen, fallen int
	}{
		"nothing":                   {nil, 5, 5},
		"refused twice":             {[]rules.Scan{past(p, 2, bad), past(p, 3, bad)}, 2, 2},
		"passed between":            {[]rules.Scan{past(p, 1, bad), past(p, 2), past(p, 3, bad)}, 1, 3},
		"another policy between":    {[]rules.Scan{past(p, 2, bad), past(other, 3), past(p, 4, bad)}, 2, 2},
		"under another policy only": {[]rules.Scan{past(other, 2, bad), past(other, 3, bad)}, 2, 5},
		"in another package":        {[]rules.Scan{past(p, 2, elsewhere), past(p, 3, elsewhere, bad)}, 3, 2},
		"by somebody":               {[]rules.Scan{stranger}, 5, 5},
	} {
		r, _ := p.Rescan(image, day(5, bad), encoded(t, tc.past...), run)
		assert.Equal(t, at(tc.fallen), r.Since, name)
		require.Len(t, r.Refused, 1, name)
		assert.Equal(t, at(tc.seen), r.Refused[0].FirstSeen, name)
	}
}

func TestTheNewestRescanCounts(t *testing.T) {
	p := strict()
	p.Exceptions = []rules.Exception{
		{ID: "CVE-1", Reason: "r", Owner: "o", Expires: "2026-12-31"}, {ID: "CVE-2", Reason: "r", Owner: "o", Expires: "2026-11-28"}, {ID: "CVE-9", Reason: "r", Owner: "o", Expires: "2026-12-31"},
	}
	v, err := p.Evaluate(day(2))
	require.NoError(t, err)
	released := rules.Attest(image, *v, day(2).Findings, run)
	rescan := func(n int, found ...scan.Vulnerability) rules.Scan {
		_, s := p.Rescan(image, day(n, found...), nil, run)
		return s
	}
	bad := []scan.Vulnerability{
		vulnerability("CVE-8", scan.Critical, "1"), vulnerability("CVE-7", scan.Critical, "1"), vulnerability("CVE-7", scan.Critical, "1"),
		vulnerability("CVE-9", scan.Critical, "1"), vulnerability("CVE-6", scan.Low, "1"), vulnerability("CVE-5", scan.Critical, ""),
	}
	at := now.AddDate(0, 0, 3)
	require.NoError(t, accepted(p, at, released, rescan(1, bad...)), "it is older than the scan that was accepted")
	err = accepted(p, at, released, rescan(3, bad...))
	require.ErrorContains(t, err, "refuses it since the advisories of 2026-11-27T11:00:00Z: CVE-7, CVE-8\n")
	require.Error(t, accepted(p, at, released, rescan(2, bad...)), "of the same advisories the refusal counts")
	require.Error(t, accepted(p, at, released, rescan(2), rescan(2, bad...)))
	require.NoError(t, accepted(p, at, released, rescan(2, bad...), rescan(3)))

	excepted := []scan.Vulnerability{vulnerability("CVE-1", scan.High, "1"), vulnerability("CVE-2", scan.High, "1")}
	for _, found := range [][]scan.Vulnerability{excepted, {excepted[1], excepted[0]}} {
		again := rescan(3, found...)
		require.NoError(t, accepted(p, at, released, again))
		require.ErrorContains(t, accepted(p, now.AddDate(0, 0, 5), released, again), "exception CVE-2 of o: expired on 2026-11-28")
	}
}

// A scan that is not accepted, however new it is, takes nothing from one that is.
func TestAScanThatIsRefusedIsNoRescan(t *testing.T) {
	p := strict()
	p.Exceptions = []rules.Exception{{ID: "CVE-1", Path: "", Reason: "r", Owner: "o", Expires: "2026-11-25"}}
	v, err := p.Evaluate(day(0))
	require.NoError(t, err)
	good := rules.Attest(image, *v, day(0).Findings, run)
	in := day(1, vulnerability("CVE-1", scan.High, "1"))
	v, err = p.Evaluate(in)
	require.NoError(t, err)
	newer := rules.Attest(image, *v, in.Findings, run)
	require.NoError(t, accepted(p, now.AddDate(0, 0, 1), good, newer))
	require.Error(t, accepted(p, now.AddDate(0, 0, 2), newer), "its exception is over")
	require.NoError(t, accepted(p, now.AddDate(0, 0, 2), good, newer))
}
