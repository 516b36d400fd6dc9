package receipt_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/evidence"
	"slipway/ci/receipt"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/steptest"
)

const otherDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000001"

// delivered is a delivery on a laptop, and again the same of another runner.
func delivered(t *testing.T) (laptop, pipeline *receipt.Document) {
	t.Helper()
	laptop, pipeline = sample(t), sample(t)
	for _, d := range []*receipt.Document{laptop, pipeline} {
		d.Plan.Code = digest
	}
	laptop.Runner, laptop.Plan.Changes = evidence.RunnerLocal, receipt.PlanApplied
	pipeline.Runner, pipeline.Plan.Changes = evidence.RunnerAzure, receipt.PlanUnchanged
	return laptop, pipeline
}

func compared(t *testing.T, first, second *receipt.Document) (string, error) {
	t.Helper()
	one, err := json.Marshal(first)
	require.NoError(t, err)
	two, err := json.Marshal(second)
	require.NoError(t, err)
	return receipt.Compare(one, two)
}

func TestParityLeavesOutWhatTwoDeliveriesCannotShare(t *testing.T) {
	for name, change := range map[string]func(d *receipt.Document){
		"nothing but builder and plan": func(*receipt.Document) {},
		"the registry had the image":   func(d *receipt.Document) { d.Image.Pushed = false },
		"the release was there already": func(d *receipt.Document) {
			d.GitOps.Created, d.Stages = false, nil
		},
		"other times": func(d *receipt.Document) {
			d.Stages = nil
			d.Decision.DecidedAt, d.Decision.Until, d.Live.HealthyAt = "2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z", "2026-12-01T00:00:01Z"
		},
		"other signatures": func(d *receipt.Document) {
			for n := range d.Evidence {
				d.Evidence[n].Digest = "sha256:" + strings.Repeat(string(rune('0'+n)), 64)
			}
			bind(d)
		},
		"a statement twice, and what followed the first release": func(d *receipt.Document) {
			for n, kind := range []string{evidence.ProvenanceType, receipt.PredicateType, receipt.HealthType} {
				d.Evidence = append(d.Evidence, receipt.Attestation{PredicateType: kind, Digest: "sha256:" + strings.Repeat(string(rune('1'+n)), 64)})
			}
			bind(d)
		},
		"the builder's name in an outcome": func(d *receipt.Document) {
			d.Decision.Outcomes[2].Reason = "a011b6316ed3, built by " + evidence.RunnerAzure.Builder()
		},
		"a plan file of another time": func(d *receipt.Document) { d.Plan.SHA256 = otherDigest },
		"a commit of its own": func(d *receipt.Document) {
			d.GitOps.Commit = strings.Repeat("b", 40)
			d.Live.SyncedRevision = d.GitOps.Commit
		},
		"a later revision of somebody else": func(d *receipt.Document) { d.Live.SyncedRevision = strings.Repeat("c", 40) },
	} {
		t.Run(name, func(t *testing.T) {
			laptop, pipeline := delivered(t)
			change(pipeline)
			said, err := compared(t, laptop, pipeline)
			require.NoError(t, err)
			assert.Equal(t, "hello in dev: both receipts say the same of localhost:5000/hello@"+digest, said)
		})
	}
}

func TestParityNamesTheFirstDifference(t *testing.T) {
	for name, tc := range map[string]struct {
		change               func(d *receipt.Document)
		field, first, second string
	}{
		"app":         {func(d *receipt.Document) { d.App = "pages" }, "app", "hello", "pages"},
		"environment": {func(d *receipt.Document) { d.Environment = "staging"; bind(d) }, "environment", "dev", "staging"},
		"kind":        {func(d *receipt.Document) { d.Kind = receipt.KindRollback }, "kind", "release", "rollback"},
		"commit":      {func(d *receipt.Document) { d.Source.Commit = commit }, "source.commit", "a011b6316ed3501e1f5b3f1321137a6d6c8cdbb6", commit},
		"dirty":       {func(d *receipt.Document) { d.Source.Dirty = true }, "source.dirty", "false", "true"},
		"uncommitted": {func(d *receipt.Document) { d.Source.Dirty, d.Source.Uncommitted = true, []string{"a"} }, "source.dirty", "false", "true"},
		"no source":   {func(d *receipt.Document) { d.Source = nil }, "source.commit", "a011b6316ed3501e1f5b3f1321137a6d6c8cdbb6", "absent"},
		"digest": {func(d *receipt.Document) { d.Image.Reference = "localhost:5000/hello@" + otherDigest; bind(d) },
			"image.reference", "localhost:5000/hello@" + digest, "localhost:5000/hello@" + otherDigest},
		"database":   {func(d *receipt.Document) { d.Scan.Database = otherDigest }, "scan.database", "sha256:1497cbe66457379dd9fb00a4d596d441386dc65eeb7e88b36b743ec97b9888c9", otherDigest},
		"targets":    {func(d *receipt.Document) { d.Scan.Targets = 8 }, "scan.targets", "7", "8"},
		"finding":    {func(d *receipt.Document) { d.Scan.Reported = append(d.Scan.Reported, "LOW: x") }, "scan.reported[3]", "absent", "LOW: x"},
		"no finding": {func(d *receipt.Document) { d.Scan.Reported[0] = "LOW: x" }, "scan.reported[0]", "LOW: CVE-2022-32149 in golang.org/x/text v0.3.7, fixed in 0.3.8: denial of service by a crafted Accept-Language header", "LOW: x"},
		"exception":  {func(d *receipt.Document) { d.Scan.Excepted = append(d.Scan.Excepted, rules.Exception{ID: "CVE-1"}) }, "scan.excepted[1]", "absent", ""},
		"no scan":    {func(d *receipt.Document) { d.Scan = nil }, "scan.scanner", "pkg:golang/github.com/aquasecurity/trivy@v0.74.0", "absent"},
		"policy":     {func(d *receipt.Document) { d.Decision.PolicyDigest = otherDigest; bind(d) }, "decision.policyDigest", "sha256:c4b1f0e29d8376a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f201", otherDigest},
		"platform": {func(d *receipt.Document) {
			d.Decision.Platform = &rules.Platform{Commit: strings.Repeat("c", 40)}
			bind(d)
		}, "decision.platform", "absent", strings.Repeat("c", 40)},
		"manifests": {func(d *receipt.Document) { d.Decision.Manifests = otherDigest; bind(d) }, "decision.manifests", "absent", otherDigest},
		"verdict":   {func(d *receipt.Document) { d.Decision.Outcomes[1].Verdict = rules.Warn; bind(d) }, "decision.outcomes[1].verdict of tests", "pass", "warn"},
		"rule":      {func(d *receipt.Document) { d.Decision.Outcomes[1].Rule = rules.RequireBox; bind(d) }, "decision.outcomes[1].rule", "tests", "box"},
		"one rule more": {func(d *receipt.Document) {
			d.Decision.Outcomes = append(d.Decision.Outcomes, rules.Outcome{Rule: rules.RequireBox, Verdict: rules.Pass})
			bind(d)
		}, "decision.outcomes[5].rule", "absent", "box"},
		"one rule less": {func(d *receipt.Document) { d.Decision.Outcomes = d.Decision.Outcomes[:4]; bind(d) }, "decision.outcomes[4].rule", "sbom", "absent"},
		"code":          {func(d *receipt.Document) { d.Plan.Code = otherDigest }, "plan.code", digest, otherDigest},
		"program":       {func(d *receipt.Document) { d.Plan.Program = "OpenTofu" }, "plan.program", "", "OpenTofu"},
		"changes":       {func(d *receipt.Document) { d.Plan.Changes = "destroyed" }, "plan.changes", "applied", "destroyed"},
		"no plan":       {func(d *receipt.Document) { d.Plan = nil }, "plan.code", digest, "absent"},
		"remote":        {func(d *receipt.Document) { d.GitOps.Remote = "https://github.com/acme/other.git" }, "gitops.remote", "https://github.com/acme/platform.git", "https://github.com/acme/other.git"},
		"file":          {func(d *receipt.Document) { d.GitOps.Path = "other.yaml" }, "gitops.path", "gitops/apps/hello/overlays/dev/kustomization.yaml", "other.yaml"},
		"a commit that it did not make": {func(d *receipt.Document) {
			d.GitOps.Created, d.GitOps.Commit, d.Stages = false, strings.Repeat("b", 40), nil
		}, "gitops.commit", commit, strings.Repeat("b", 40)},
		"a decision that it did not make": {func(d *receipt.Document) { d.GitOps.Created, d.GitOps.Evidence, d.Stages = false, otherDigest, nil },
			"gitops.evidence", "sha256:e8ece815b5f440f23dbd210c520c2d9954960b686b14666d415aaaf7cabbed15", otherDigest},
		"nobody waited": {func(d *receipt.Document) { d.Live = nil }, "live.health", "Healthy", "absent"},
		"no tests": {func(d *receipt.Document) { d.Evidence = append(d.Evidence[:3], d.Evidence[4]); bind(d) },
			"evidence of " + evidence.TestResultType, "there", "absent"},
		"one more kind of statement": {func(d *receipt.Document) {
			d.Evidence = append(d.Evidence, receipt.Attestation{PredicateType: evidence.SPDXType, Digest: otherDigest})
			bind(d)
		}, "evidence of " + evidence.SPDXType, "absent", "there"},
	} {
		t.Run(name, func(t *testing.T) {
			laptop, pipeline := delivered(t)
			tc.change(pipeline)
			found := receipt.Parity(laptop, pipeline)
			require.NotNil(t, found)
			assert.Equal(t, tc.field, found.Field)
			assert.Equal(t, tc.first, found.First)
			if tc.second != "" {
				assert.Equal(t, tc.second, found.Second)
			}
			_, err := compared(t, laptop, pipeline)
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindPolicy, f.Kind)
			assert.Equal(t, "parity", f.Stage)
			assert.Equal(t, tc.field, f.Input)
			assert.Contains(t, f.Mend, "deliver the same commit")
			steptest.Printable(t, err.Error())
		})
	}
}

// What was applied by the second delivery only was not there after the first.
func TestParityOfPlansHasADirection(t *testing.T) {
	laptop, pipeline := delivered(t)
	found := receipt.Parity(pipeline, laptop)
	require.NotNil(t, found)
	assert.Equal(t, receipt.Difference{Field: "plan.changes", First: "no changes", Second: "applied"}, *found)
}

func TestParityRefusesWhatIsNoReceipt(t *testing.T) {
	laptop, _ := delivered(t)
	good, err := json.Marshal(laptop)
	require.NoError(t, err)
	for name, tc := range map[string]struct{ data, input, reason string }{
		"nothing":      {"", "JSON", "can't be read: EOF"},
		"another JSON": {`{"app": "hello", "imagePushed": true}`, "JSON", "unknown field"},
		"a bundle":     {`{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}`, "JSON", "unknown field"},
		"two":          {string(good) + string(good), "JSON", "has something behind the document"},
		"tampered": {strings.Replace(string(good), `"verdict":"pass"`, `"verdict":"warn"`, 1), `decision.digest "sha256:e8ece815b5f440f23dbd210c520c2d9954960b686b14666d415aaaf7cabbed15"`,
			"is not that of the decision"},
		"refused":       {strings.Replace(string(good), `"verdict":"pass"`, `"verdict":"refuse"`, 1), `decision.outcomes[0]: rule "scan"`, "refuses"},
		"no code":       {strings.Replace(string(good), `"code":"sha256:`, `"code":"sha256:x`, 1), "plan.code", ""},
		"another large": {strings.Repeat(" ", receipt.MaxSize+1), "JSON", "has more than"},
	} {
		t.Run(name, func(t *testing.T) {
			for side, pair := range map[string][2]string{"first": {tc.data, string(good)}, "second": {string(good), tc.data}} {
				_, err := receipt.Compare([]byte(pair[0]), []byte(pair[1]))
				f, ok := step.AsFault(err)
				require.True(t, ok, "%v", err)
				assert.Equal(t, step.KindInput, f.Kind)
				assert.Equal(t, "parity", f.Stage)
				assert.Contains(t, f.Input, side+" receipt: "+tc.input)
				assert.Contains(t, f.Reason, tc.reason)
				assert.NotEmpty(t, f.Mend)
				steptest.Printable(t, err.Error())
			}
		})
	}
}
