package evidence_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/evidence"
	"slipway/ci/rules"
	"slipway/step"
	result "slipway/step/result/build"
	"slipway/step/result/scan"
	"slipway/step/result/sign"
)

const (
	digest    = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	reference = "localhost:5000/hello@" + digest
	tree      = "7683800c8bdf9d966edd54d596f5dd606f2b525c"
	revision  = "a011b6316ed3501e1f5b3f1321137a6d6c8cdbb6"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

var scanPolicy = rules.Policy{
	Threshold: scan.High, Unfixed: rules.Report, Unknown: rules.Refuse, Database: rules.Database{Trust: "signed by key sha256:01"},
	Exceptions: []rules.Exception{{ID: "CVE-1", Reason: "not reachable", Owner: "team-a", Expires: "2026-11-30"}},
}

func build() evidence.Build {
	return evidence.Build{
		Parameters: evidence.Parameters{App: "hello", Recipe: "go", Package: "./cmd/hello"},
		Revision:   revision, Tree: tree, GoSum: "sha256:01", Toolchain: "golang.org/toolchain@v0.0.1-go1.26.4.linux-amd64 h1:abc=",
		Bases: []step.Reference{"registry.example/base/static@sha256:02"}, Platforms: []string{"linux/amd64", "linux/arm64"}, Runner: evidence.RunnerLocal,
	}
}

func statement(t *testing.T, predicateType string, predicate any) sign.Statement {
	t.Helper()
	data, err := json.Marshal(predicate)
	require.NoError(t, err)
	return sign.Statement{PredicateType: predicateType, Predicate: data, Referrer: "sha256:" + predicateType[len(predicateType)-2:]}
}

func passedScan(excepted ...rules.Exception) rules.Scan {
	return rules.Attest(reference, rules.Verdict{
		Digest: digest, DatabaseDigest: "sha256:db", DatabaseUpdatedAt: now.Add(-30 * time.Hour), PolicyDigest: scanPolicy.Digest(),
		TrivyVersion: "0.74.0", Scanned: 7, Excepted: excepted,
	}, scan.Findings{}, rules.Run{})
}

// complete is an input that every rule passes; each test spoils one thing.
// ran is the result of packages with two tests each that have passed, and one that
// skips itself.
func ran(packages ...string) (tests result.Tests) {
	for _, name := range packages {
		p := result.TestPackage{Name: name, Counts: result.Counts{Passed: 2, Skipped: 1}}
		tests.Packages = append(tests.Packages, p)
		tests.Add(p.Counts)
	}
	return tests
}

func complete(t *testing.T) evidence.Input {
	return evidence.Input{
		Reference: reference, Environment: "production", Policy: scanPolicy, Now: now,
		Rules: evidence.Rules{SummaryMaxAge: 24 * time.Hour, Rules: []evidence.Rule{
			{Require: evidence.RequireScan, MaxAge: 48 * time.Hour},
			{Require: evidence.RequireTests},
			{Require: evidence.RequireProvenance, Runners: []evidence.Runner{evidence.RunnerLocal, evidence.RunnerGitHub}, Committed: true},
			{Require: evidence.RequireSBOM},
			{Require: evidence.RequireBases, Allow: []string{"registry.example/base/*"}},
			{Require: evidence.RequireLicences, Deny: []string{"AGPL-*"}, Unknown: rules.Report},
		}},
		Statements: []sign.Statement{
			statement(t, evidence.SignatureType, map[string]string{}),
			statement(t, rules.PredicateType, passedScan()),
			statement(t, evidence.TestResultType, evidence.Passed(tree, ran("a", "b"))),
			statement(t, evidence.ProvenanceType, build().Provenance()),
			statement(t, evidence.CycloneDXType, cycloneDX("linux/amd64")),
			statement(t, evidence.SPDXType, spdx("linux/amd64")),
			statement(t, evidence.CycloneDXType, cycloneDX("linux/arm64")),
			statement(t, evidence.SPDXType, spdx("linux/arm64")),
		},
	}
}

func verdicts(j evidence.Judgement) map[evidence.Kind]evidence.Outcome {
	all := map[evidence.Kind]evidence.Outcome{}
	for _, o := range j.Outcomes {
		all[o.Rule] = o
	}
	return all
}

func TestProvenance(t *testing.T) {
	data, err := json.Marshal(build().Provenance())
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"buildDefinition": {
			"buildType": "https://slipway.dev/build-types/app/v1",
			"externalParameters": {"app": "hello", "recipe": "go", "package": "./cmd/hello"},
			"internalParameters": {"platforms": "linux/amd64,linux/arm64"},
			"resolvedDependencies": [
				{"name": "source", "digest": {"gitCommit": "`+revision+`"}},
				{"name": "source tree", "digest": {"gitTree": "`+tree+`"}},
				{"name": "go.sum", "digest": {"sha256": "01"}},
				{"name": "toolchain", "uri": "pkg:golang/golang.org/toolchain@v0.0.1-go1.26.4.linux-amd64", "digest": {"dirHash": "h1:abc="}},
				{"name": "base image", "uri": "docker://registry.example/base/static", "digest": {"sha256": "02"}}
			]
		},
		"runDetails": {"builder": {"id": "https://slipway.dev/builders/local/v1"}}
	}`, string(data))

	b := build()
	b.Revision, b.GoSum, b.Bases, b.Runner, b.Invocation = revision+"-dirty", "", nil, evidence.RunnerGitHub, "https://github.com/acme/platform/actions/runs/1"
	p := b.Provenance()
	assert.Equal(t, evidence.Descriptor{Name: "source with uncommitted changes", Digest: map[string]string{"gitCommit": revision}}, p.BuildDefinition.ResolvedDependencies[0])
	assert.Len(t, p.BuildDefinition.ResolvedDependencies, 3)
	b.Uncommitted = []string{"added apps/hello/zz_local.go"}
	data, err = json.Marshal(b.Provenance().BuildDefinition.ResolvedDependencies[0])
	require.NoError(t, err)
	assert.JSONEq(t, `{"name": "source with uncommitted changes", "digest": {"gitCommit": "`+revision+`"}, "annotations": {"uncommitted": ["added apps/hello/zz_local.go"]}}`, string(data))
	assert.Equal(t, "https://slipway.dev/builders/github-actions/v1", p.RunDetails.Builder.ID)
	assert.Equal(t, map[string]string{"invocationId": "https://github.com/acme/platform/actions/runs/1"}, p.RunDetails.Metadata)
}

// A release's source is what provenance says, and not what a caller does.
func TestSource(t *testing.T) {
	clean := build()
	dirty := build()
	dirty.Revision, dirty.Uncommitted = strings.Repeat("b", 40)+evidence.Dirty, []string{"changed slipway.yaml"}
	foreign := clean.Provenance()
	foreign.BuildDefinition.BuildType = "https://example.org/build"
	provenance := func(p evidence.Provenance) sign.Statement {
		return statement(t, evidence.ProvenanceType, p)
	}
	for name, tc := range map[string]struct {
		statements  []sign.Statement
		expected    string
		revision    string
		uncommitted []string
	}{
		"the only one":                   {[]sign.Statement{provenance(clean.Provenance())}, "", revision, nil},
		"another was expected":           {[]sign.Statement{provenance(clean.Provenance())}, strings.Repeat("c", 40), revision, nil},
		"the only one, dirty":            {[]sign.Statement{provenance(dirty.Provenance())}, strings.Repeat("b", 40), dirty.Revision, dirty.Uncommitted},
		"a clean one before a dirty one": {[]sign.Statement{provenance(dirty.Provenance()), provenance(clean.Provenance())}, "", revision, nil},
		"the expected one":               {[]sign.Statement{provenance(clean.Provenance()), provenance(dirty.Provenance())}, dirty.Revision, dirty.Revision, dirty.Uncommitted},
		"none":                           {nil, revision, "", nil},
		"none that is ours":              {[]sign.Statement{provenance(foreign), statement(t, evidence.ProvenanceType, []int{1})}, "", "", nil},
	} {
		got, uncommitted := evidence.Source(tc.statements, tc.expected)
		assert.Equal(t, tc.revision, got, name)
		assert.Equal(t, tc.uncommitted, uncommitted, name)
	}
}

func TestEveryRulePasses(t *testing.T) {
	j := evidence.Judge(complete(t))
	require.NoError(t, j.Refusal("verify"))
	assert.Equal(t, []string{
		"pass   scan: passed with the advisories of 2026-11-23T06:00:00Z, 0 excepted",
		"pass   tests: 4 tests have passed, 2 were skipped",
		"pass   provenance: a011b6316ed3, built by https://slipway.dev/builders/local/v1",
		"pass   sbom: CycloneDX and SPDX documents of 5 components",
		"pass   base-images: 1 base images, all allowed",
		"pass   licences: the licences of 2 components are allowed, those of 1 are not known",
	}, j.Lines())
	assert.Len(t, j.Inputs, 8)
	assert.Equal(t, now.Add(18*time.Hour), j.Until, "when the scan is 48 hours old")
}

func TestEachRuleCanRefuse(t *testing.T) {
	replace := func(predicateType string, predicate any) func(*testing.T, *evidence.Input) {
		return func(t *testing.T, in *evidence.Input) {
			for n, s := range in.Statements {
				if s.PredicateType == predicateType {
					in.Statements[n] = statement(t, predicateType, predicate)
				}
			}
		}
	}
	without := func(predicateType string) func(*testing.T, *evidence.Input) {
		return func(_ *testing.T, in *evidence.Input) {
			for n, s := range in.Statements {
				if s.PredicateType == predicateType {
					in.Statements[n].PredicateType = "https://example.org/other"
				}
			}
		}
	}
	provenance := func(change func(*evidence.Build)) func(*testing.T, *evidence.Input) {
		b := build()
		change(&b)
		return replace(evidence.ProvenanceType, b.Provenance())
	}
	other := build().Provenance()
	other.BuildDefinition.BuildType = "https://example.org/other"
	sourceless := build().Provenance()
	sourceless.BuildDefinition.ResolvedDependencies = sourceless.BuildDefinition.ResolvedDependencies[1:]
	failed := evidence.Passed(tree, ran())
	failed.Result = evidence.TestsFailed
	contradictory := evidence.Passed(tree, ran("a"))
	contradictory.Counts = &result.Counts{Passed: 2, Failed: 1}
	half := evidence.Passed(tree, ran())
	half.FailedTests = []string{"c"}
	rule := func(n int, change func(*evidence.Rule)) func(*testing.T, *evidence.Input) {
		return func(_ *testing.T, in *evidence.Input) { change(&in.Rules.Rules[n]) }
	}
	for name, tc := range map[string]struct {
		spoil  func(*testing.T, *evidence.Input)
		rule   evidence.Kind
		reason string
	}{
		"no scan":                {without(rules.PredicateType), evidence.RequireScan, "scan verdict of " + reference + " is missing"},
		"another policy":         {func(_ *testing.T, in *evidence.Input) { in.Policy.Threshold = scan.Low }, evidence.RequireScan, "was made under another policy"},
		"another database":       {func(_ *testing.T, in *evidence.Input) { in.Policy.Database.Repository = "r/other-db" }, evidence.RequireScan, "or with another vulnerability database than it wants"},
		"an old scan":            {rule(0, func(r *evidence.Rule) { r.MaxAge = 30 * time.Hour }), evidence.RequireScan, "older than 30h0m0s"},
		"no tests":               {without(evidence.TestResultType), evidence.RequireTests, "no test result is attested"},
		"failed tests":           {replace(evidence.TestResultType, failed), evidence.RequireTests, "the tests have not passed: FAILED"},
		"a failed test":          {replace(evidence.TestResultType, half), evidence.RequireTests, "the tests have not passed"},
		"unreadable tests":       {replace(evidence.TestResultType, []int{1}), evidence.RequireTests, "can't be read"},
		"tests of another tree":  {replace(evidence.TestResultType, evidence.Passed(strings.Repeat("0", 40), ran("a"))), evidence.RequireTests, "those of another source"},
		"tests of no tree":       {replace(evidence.TestResultType, evidence.Passed("", ran("a"))), evidence.RequireTests, "those of another source"},
		"fewer tests than asked": {rule(1, func(r *evidence.Rule) { r.Minimum = 5 }), evidence.RequireTests, "4 tests have passed, and the rule wants 5"},
		"tests without a count, of which some failed": {replace(evidence.TestResultType, contradictory), evidence.RequireTests, "the rule wants"},
		"no test ran":        {replace(evidence.TestResultType, evidence.Passed(tree, ran())), evidence.RequireTests, "no test has run"},
		"no provenance":      {without(evidence.ProvenanceType), evidence.RequireProvenance, "no provenance of build type"},
		"another build type": {replace(evidence.ProvenanceType, other), evidence.RequireProvenance, "no provenance of build type"},
		"another builder":    {provenance(func(b *evidence.Build) { b.Runner = evidence.RunnerAzure }), evidence.RequireProvenance, "it was built by https://slipway.dev/builders/azure-devops/v1"},
		"a dirty source":     {provenance(func(b *evidence.Build) { b.Revision += "-dirty" }), evidence.RequireProvenance, "uncommitted changes"},
		"named changes": {provenance(func(b *evidence.Build) {
			b.Revision, b.Uncommitted = b.Revision+"-dirty", []string{"added apps/hello/zz_local.go", "and 3 more"}
		}), evidence.RequireProvenance, "it was built with uncommitted changes: added apps/hello/zz_local.go, and 3 more"},
		"no source":             {replace(evidence.ProvenanceType, sourceless), evidence.RequireProvenance, "names no source"},
		"no SPDX":               {without(evidence.SPDXType), evidence.RequireSBOM, "2 CycloneDX and 0 SPDX documents"},
		"no CycloneDX":          {replace(evidence.CycloneDXType, map[string]string{"bomFormat": "x"}), evidence.RequireSBOM, "0 CycloneDX and 2 SPDX documents"},
		"another base image":    {provenance(func(b *evidence.Build) { b.Bases = []step.Reference{"registry.example/other@sha256:03"} }), evidence.RequireBases, "it stands on registry.example/other"},
		"base images unknown":   {without(evidence.ProvenanceType), evidence.RequireBases, "no provenance says"},
		"a denied licence":      {rule(5, func(r *evidence.Rule) { r.Deny = []string{"BSD-*"} }), evidence.RequireLicences, "golang.org/x/text v0.3.8 (BSD-3-Clause)"},
		"a licence not allowed": {rule(5, func(r *evidence.Rule) { r.Deny, r.Allow = nil, []string{"MIT"} }), evidence.RequireLicences, "golang.org/x/text v0.3.8 (BSD-3-Clause)"},
		"an unknown licence":    {rule(5, func(r *evidence.Rule) { r.Unknown = "" }), evidence.RequireLicences, "the licences of 1 components are not known"},
		"licences unknown":      {without(evidence.CycloneDXType), evidence.RequireLicences, "no CycloneDX document"},
	} {
		t.Run(name, func(t *testing.T) {
			in := complete(t)
			tc.spoil(t, &in)
			j := evidence.Judge(in)
			outcome := verdicts(j)[tc.rule]
			assert.Equal(t, evidence.Refuse, outcome.Verdict)
			assert.Contains(t, outcome.Reason, tc.reason)
			assert.NotEmpty(t, outcome.Mend)
			f, ok := step.AsFault(j.Refusal("verify"))
			require.True(t, ok)
			assert.Equal(t, step.KindPolicy, f.Kind)
			assert.Contains(t, f.Reason, "is not fit for production: ")
			assert.Contains(t, f.Reason, tc.reason)
			assert.Len(t, f.Details, len(in.Rules.Rules))
			_, ok = j.Summary()
			assert.False(t, ok, "a refusal is no summary")

			// From a day that has not come, it only warns.
			for n := range in.Rules.Rules {
				if in.Rules.Rules[n].Require == tc.rule {
					in.Rules.Rules[n].From = "2026-11-25"
				}
			}
			j = evidence.Judge(in)
			var warned bool
			for _, o := range j.Outcomes {
				warned = warned || o.Rule == tc.rule && o.Verdict == evidence.Warn && strings.HasSuffix(o.Reason, ", which is refused from 2026-11-25")
			}
			assert.True(t, warned, "%v", j.Lines())
			assert.False(t, j.Until.After(now.Add(12*time.Hour)), "and is judged again on that day")
			in.Now = now.Add(12 * time.Hour)
			assert.Equal(t, evidence.Refuse, verdicts(evidence.Judge(in))[tc.rule].Verdict, "on the day it refuses")
		})
	}
}

func TestTheScanIsRequiredWhateverTheRulesSay(t *testing.T) {
	for name, rules := range map[string][]evidence.Rule{
		"no rules":              nil,
		"only from later on":    {{Require: evidence.RequireScan, From: "2027-01-01"}},
		"only in another place": {{Require: evidence.RequireScan, Environments: []string{"dev"}}},
	} {
		in := complete(t)
		in.Rules.Rules = rules
		require.NoError(t, evidence.Judge(in).Refusal("verify"), name)
		in.Statements = in.Statements[:1]
		require.ErrorContains(t, evidence.Judge(in).Refusal("verify"), "scan verdict of "+reference+" is missing", name)
	}
}

func TestRulesOfOtherEnvironmentsDoNotCount(t *testing.T) {
	in := complete(t)
	in.Rules.Rules = append(in.Rules.Rules, evidence.Rule{Require: evidence.RequireLicences, Deny: []string{"*"}, Environments: []string{"staging"}})
	require.NoError(t, evidence.Judge(in).Refusal("verify"))
	in.Environment = "staging"
	require.Error(t, evidence.Judge(in).Refusal("verify"))
}

func TestASummaryAnswersOnlyWhileNothingHasChanged(t *testing.T) {
	in := complete(t)
	in.Statements[1] = statement(t, rules.PredicateType, passedScan(scanPolicy.Exceptions...))
	summary, ok := evidence.Judge(in).Summary()
	require.True(t, ok)
	data, err := json.Marshal(summary)
	require.NoError(t, err)
	var plain map[string]any
	require.NoError(t, json.Unmarshal(data, &plain))
	assert.Equal(t, map[string]any{"id": "https://slipway.dev/verifier/v1"}, plain["verifier"])
	assert.Equal(t, "2026-11-24T12:00:00Z", plain["timeVerified"])
	assert.Equal(t, reference, plain["resourceUri"])
	assert.Equal(t, "PASSED", plain["verificationResult"])
	assert.Equal(t, []any{"SLSA_BUILD_LEVEL_1"}, plain["verifiedLevels"])
	assert.Len(t, plain["inputAttestations"], 8)

	// Of the others only their names are left: whatever it answers, it answers alone.
	names := func(statements []sign.Statement) []sign.Statement {
		var emptied []sign.Statement
		for _, s := range statements {
			emptied = append(emptied, sign.Statement{PredicateType: s.PredicateType, Predicate: json.RawMessage("{}"), Referrer: s.Referrer})
		}
		return emptied
	}(in.Statements)
	with := func(summary any) []sign.Statement {
		return append(slices.Clone(names), statement(t, evidence.SummaryType, summary))
	}
	in.Statements = with(summary)
	answer, ok := evidence.Answer(in)
	require.True(t, ok)
	assert.Equal(t, summary.Outcomes, answer.Outcomes)
	require.NoError(t, answer.Refusal("verify"))

	change := func(spoil func(*evidence.Summary)) func(*evidence.Input) {
		return func(in *evidence.Input) {
			s := *summary
			spoil(&s)
			in.Statements = with(s)
		}
	}
	for name, spoil := range map[string]func(*evidence.Input){
		"another image":       func(in *evidence.Input) { in.Reference = "localhost:5000/other@" + digest },
		"another environment": func(in *evidence.Input) { in.Environment = "staging" },
		"another rule":        func(in *evidence.Input) { in.Rules.Rules[2].Committed = false },
		"another scan policy": func(in *evidence.Input) { in.Policy.Threshold = scan.Critical },
		"no summaries":        func(in *evidence.Input) { in.Rules.SummaryMaxAge = 0 },
		"shorter summaries":   func(in *evidence.Input) { in.Rules.SummaryMaxAge, in.Now = time.Hour, now.Add(time.Hour) },
		"its time is over":    func(in *evidence.Input) { in.Now = summary.ValidUntil },
		"before its time":     func(in *evidence.Input) { in.Now = now.Add(-time.Second) },
		"by somebody else":    change(func(s *evidence.Summary) { s.Verifier.ID = "https://example.org" }),
		"failed":              change(func(s *evidence.Summary) { s.VerificationResult = "FAILED" }),
		"no policy":           change(func(s *evidence.Summary) { s.Policy.Digest = nil }),
		"scanned again": func(in *evidence.Input) {
			again := statement(t, rules.PredicateType, passedScan())
			again.Referrer = "sha256:99"
			in.Statements = append(in.Statements, again)
		},
		"unreadable": func(in *evidence.Input) { in.Statements = with([]int{}) },
		"one that it stands on does not verify any more": func(in *evidence.Input) { in.Statements = slices.Delete(slices.Clone(in.Statements), 2, 3) },
		"none that it stands on verifies any more":       func(in *evidence.Input) { in.Statements = in.Statements[len(names):] },
		"not there": func(in *evidence.Input) { in.Statements = nil },
	} {
		in := in
		in.Rules.Rules = append([]evidence.Rule{}, in.Rules.Rules...)
		spoil(&in)
		_, ok := evidence.Answer(in)
		assert.False(t, ok, name)
	}
}

func TestASummaryEndsWithAnException(t *testing.T) {
	in := complete(t)
	in.Rules.SummaryMaxAge = 30 * 24 * time.Hour
	in.Rules.Rules = nil
	in.Statements[1] = statement(t, rules.PredicateType, passedScan(scanPolicy.Exceptions...))
	summary, ok := evidence.Judge(in).Summary()
	require.True(t, ok)
	assert.Equal(t, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), summary.ValidUntil)
	assert.Empty(t, summary.VerifiedLevels, "no rule asked for provenance")
}

func TestLicenceExpressions(t *testing.T) {
	for expression, permitted := range map[string]bool{
		"MIT":                                   true,
		"GPL-3.0-only":                          false,
		"MIT OR GPL-3.0-only":                   true,
		"MIT AND GPL-3.0-only":                  false,
		"(MIT OR GPL-3.0-only) AND Apache-2.0":  false,
		"(MIT OR Apache-2.0) AND BSD-3-Clause":  true,
		"Apache-2.0 WITH LLVM-exception":        true,
		"GPL-3.0-only WITH Classpath-exception": false,
	} {
		in := complete(t)
		in.Rules.Rules = []evidence.Rule{{Require: evidence.RequireLicences, Deny: []string{"GPL-*"}}}
		in.Statements = slices.DeleteFunc(in.Statements, func(s sign.Statement) bool { return s.PredicateType == evidence.CycloneDXType })
		in.Statements = append(in.Statements, statement(t, evidence.CycloneDXType,
			json.RawMessage(`{"bomFormat":"CycloneDX","components":[{"name":"x","licenses":[{"expression":"`+expression+`"}]}]}`)))
		assert.Equal(t, permitted, evidence.Judge(in).Refusal("verify") == nil, expression)
	}
}

// A database that nobody vouches for is named where it will do, and refused elsewhere.
func TestAnEnvironmentRefusesADatabaseThatNobodyVouchesFor(t *testing.T) {
	in := complete(t)
	in.Policy.Database.Trust = rules.Unsigned
	scanned := passedScan()
	scanned.Decision.Policy.Digest = map[string]string{"sha256": strings.TrimPrefix(in.Policy.Digest(), "sha256:")}
	in.Statements[1] = statement(t, rules.PredicateType, scanned)
	in.Rules.Rules[0].Environments = []string{"production"}
	for _, database := range []string{"", evidence.DatabaseVerified} {
		in.Rules.Rules[0].Database = database
		outcome := verdicts(evidence.Judge(in))[evidence.RequireScan]
		if database == "" {
			assert.Equal(t, evidence.Outcome{Rule: evidence.RequireScan, Verdict: evidence.Pass, Reason: "passed with the advisories of 2026-11-23T06:00:00Z, 0 excepted, by a database that nobody vouches for"}, outcome)
			continue
		}
		assert.Equal(t, evidence.Outcome{
			Rule: evidence.RequireScan, Verdict: evidence.Refuse, Reason: "its scan was made with a database that nobody vouches for",
			Mend: "name who signs the database as scan.database.signing in slipway.yaml, or pin it as scan.database.digest, then scan and sign the image again",
		}, outcome)
	}
	in.Environment = "dev"
	assert.Equal(t, evidence.Pass, verdicts(evidence.Judge(in))[evidence.RequireScan].Verdict, "the rule is another environment's")

	// One that somebody vouches for passes the rule.
	in = complete(t)
	in.Rules.Rules[0].Database = evidence.DatabaseVerified
	assert.Equal(t, evidence.Outcome{Rule: evidence.RequireScan, Verdict: evidence.Pass, Reason: "passed with the advisories of 2026-11-23T06:00:00Z, 0 excepted"}, verdicts(evidence.Judge(in))[evidence.RequireScan])
}

func TestRulesAreChecked(t *testing.T) {
	environments := []string{"dev", "production"}
	require.NoError(t, complete(t).Rules.Validate("verification", environments))
	for input, rules := range map[string]evidence.Rules{
		"verification.summaryMaxAge":             {SummaryMaxAge: -1},
		`verification.rules[0].require "x"`:      {Rules: []evidence.Rule{{Require: "x"}}},
		`verification.rules[0].environments "x"`: {Rules: []evidence.Rule{{Require: evidence.RequireSBOM, Environments: []string{"dev", "x"}}}},
		`verification.rules[0].from "soon"`:      {Rules: []evidence.Rule{{Require: evidence.RequireSBOM, From: "soon"}}},
		"verification.rules[0].maxAge":           {Rules: []evidence.Rule{{Require: evidence.RequireScan, MaxAge: -1}}},
		`verification.rules[0].runners "x"`:      {Rules: []evidence.Rule{{Require: evidence.RequireProvenance, Runners: []evidence.Runner{"x"}}}},
		`verification.rules[0]: pattern "["`:     {Rules: []evidence.Rule{{Require: evidence.RequireBases, Allow: []string{"["}}}},
		`verification.rules[0]: pattern ""`:      {Rules: []evidence.Rule{{Require: evidence.RequireBases, Allow: []string{""}}}},
		"verification.rules[0].deny":             {Rules: []evidence.Rule{{Require: evidence.RequireBases, Deny: []string{"x"}}}},
		`verification.rules[0].unknown "maybe"`:  {Rules: []evidence.Rule{{Require: evidence.RequireLicences, Deny: []string{"x"}, Unknown: "maybe"}}},
		`verification.rules[0].network "some"`:   {Rules: []evidence.Rule{{Require: evidence.RequireBox, Network: "some"}}},
		"verification.rules[0].network":          {Rules: []evidence.Rule{{Require: evidence.RequireProvenance, Network: evidence.NetworkNone}}},
		`verification.rules[0].database "some"`:  {Rules: []evidence.Rule{{Require: evidence.RequireScan, Database: "some"}}},
		"verification.rules[0].database":         {Rules: []evidence.Rule{{Require: evidence.RequireTests, Database: evidence.DatabaseVerified}}},
		"verification.rules[0].committed":        {Rules: []evidence.Rule{{Require: evidence.RequireTests, Committed: true}}},
		"verification.rules[1]":                  {Rules: []evidence.Rule{{Require: evidence.RequireTests}, {Require: evidence.RequireLicences, Unknown: rules.Report}}},
	} {
		f, ok := step.AsFault(rules.Validate("verification", environments))
		require.True(t, ok, input)
		assert.Equal(t, step.KindInput, f.Kind)
		assert.Equal(t, input, f.Input)
		assert.NotEmpty(t, f.Mend)
	}
}

func TestProvenanceNamesWhatADockerfileAdds(t *testing.T) {
	b := build()
	b.Args, b.Target, b.Secrets = map[string]string{"A": "1"}, "app", []string{"npm"}
	b.Locks = []evidence.Lock{{Path: "web/package-lock.json", Digest: "sha256:04"}}
	b.Fetched = []evidence.Fetched{{URL: "https://example.org/t.tgz", Checksum: "sha256:03"}, {URL: "https://example.org/x.git", Commit: revision}}
	p := b.Provenance()
	dependencies := p.BuildDefinition.ResolvedDependencies
	assert.Equal(t, []evidence.Descriptor{
		{Name: "added file", URI: "https://example.org/t.tgz", Digest: map[string]string{"sha256": "03"}},
		{Name: "added repository", URI: "git+https://example.org/x.git", Digest: map[string]string{"gitCommit": revision}},
	}, dependencies[len(dependencies)-2:])
	assert.Contains(t, dependencies, evidence.Descriptor{Name: "lock file web/package-lock.json", Digest: map[string]string{"sha256": "04"}})
	data, err := json.Marshal(p.BuildDefinition.ExternalParameters)
	require.NoError(t, err)
	assert.JSONEq(t, `{"app":"hello","recipe":"go","package":"./cmd/hello","args":{"A":"1"},"target":"app","secrets":["npm"]}`, string(data))
}
