package render_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"slipway/ci/evidence"
	"slipway/ci/render"
	"slipway/ci/rules"
	"slipway/step/result/infra"
	"slipway/step/result/scan"
	"slipway/step/steptest"
)

var (
	digest = "sha256:" + strings.Repeat("a", 64)
	noon   = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	not    = false
	taken  = &rules.Revocation{By: "jane", At: noon, Reason: "it leaks"}
)

// reports are all that is printed, made of one text of a stranger's.
func reports(text string) map[string]string {
	seen := infra.DriftReport{
		Environment: "dev", Applied: true, Drifted: true, Pending: []string{text},
		Resources: []infra.Drift{{Address: text, Action: "update", Attributes: []infra.Attribute{{Path: text, Before: []byte(`1`), After: []byte(`2`)}}}},
	}
	return map[string]string{
		"status": render.Statuses([]render.Status{
			{Environment: "dev", Digest: digest, Commit: strings.Repeat("b", 40), Author: text, At: "today", Sync: "Synced", Health: "Healthy", Scanned: "2026-11-24T11:00:00Z"},
			{Environment: "production", Digest: digest, Revoked: taken},
		}, noon),
		"judgement": render.Judgement(rules.Judgement{Reference: "r/hello@" + digest, Environment: "dev", Outcomes: []rules.Outcome{
			{Rule: rules.RequireTests, Verdict: rules.Refuse, Reason: text, Mend: "test it"},
		}}, "12:00"),
		"rescan": render.Rescans([]*rules.AppRescan{
			{App: "hello", Digest: digest, Running: &not, Revoked: taken, Rescanned: &rules.Rescanned{Since: noon, DatabaseUpdatedAt: noon,
				Refused: []rules.Seen{{Vulnerability: scan.Vulnerability{ID: "CVE-1", Severity: scan.High, Package: text, Installed: "1"}, FirstSeen: noon}}}},
			{App: "shop"},
		}),
		"drift":   render.Drift(seen),
		"drifted": strings.Join(render.Drifted(seen), "\n") + "\n",
		"preview": render.Preview{App: "hello", Environment: "dev", Repository: "r/hello", Head: "c", Before: "sha256:0", After: digest, Changes: true, Uncompared: "it is gone", Diff: "+" + evidence.SPDXType + "\n"}.Text(),
		"facts":   render.Facts("hello is released to dev", [][3]string{{"image", text, "pushed"}, {"plan", "", "none"}}),
	}
}

func TestReports(t *testing.T) {
	got := reports("acme")
	for name, want := range map[string]string{
		"status": `
ENVIRONMENT  DIGEST                         COMMIT        WHO   WHEN   SYNCED  HEALTHY                        SCAN
dev          sha256:aaaaaaaaaaaa            bbbbbbbbbbbb  acme  today  Synced  Healthy (another digest runs)  1h0m0s old
production   sha256:aaaaaaaaaaaa (revoked)  -             -     -      -       -                              -
production: ` + digest + ` was revoked by jane at 2026-11-24T12:00:00Z: it leaks
`,
		"judgement": `
RULE   VERDICT  REASON  MEND
tests  refuse   acme    test it
r/hello@` + digest + ` is not fit for dev (decided at 12:00; nothing has changed since)
`,
		"rescan": `
APP    DIGEST               VERDICT                                                   SINCE                 ADVISORIES OF
hello  sha256:aaaaaaaaaaaa  fell out of policy, and is revoked (another digest runs)  2026-11-24T12:00:00Z  2026-11-24T12:00:00Z
shop   never released       -                                                         -                     -
hello: was revoked by jane at 2026-11-24T12:00:00Z: it leaks
hello: HIGH: CVE-1 in acme 1, no fixed version, first seen with the advisories of 2026-11-24T12:00:00Z
`,
		"drift": `
dev has drifted: 1
  acme (update)
    acme: 1 -> 2
not applied: 1
  acme
`,
		"drifted": `
acme (update): acme
`,
		"preview": `
hello in dev: a release of the present source would change it
repository     r/hello
image          sha256:0 → ` + digest + `
gates          pass
GitOps commit  c

not compared: it is gone

+https://spdx.dev/Document
`,
		"facts": `
hello is released to dev
image  acme (pushed)
`,
	} {
		assert.Equal(t, strings.TrimPrefix(want, "\n"), got[name], name)
	}
	assert.Len(t, got, 7)
}

// TestReportsAreSafeToShow: whatever a stranger has named, each line is still a line.
func TestReportsAreSafeToShow(t *testing.T) {
	plain := reports("acme")
	for _, text := range steptest.Hostile() {
		for name, shown := range reports(text) {
			steptest.Printable(t, shown)
			assert.Equal(t, strings.Count(plain[name], "\n"), strings.Count(shown, "\n"), "%s of %.100q", name, text)
		}
	}
}
