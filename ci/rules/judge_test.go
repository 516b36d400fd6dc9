package rules_test

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
	reference = "localhost:5000/hello@" + digest
	tree      = "7683800c8bdf9d966edd54d596f5dd606f2b525c"
	revision  = "a011b6316ed3501e1f5b3f1321137a6d6c8cdbb6"
)

var scanPolicy = rules.Policy{
	Threshold: scan.High, Unfixed: rules.ActionReport, Unknown: rules.ActionRefuse, Database: rules.Database{Trust: "signed by key sha256:01"},
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

// complete is an input that every rule passes; each test spoils one thing.
func complete(t *testing.T) rules.Evidence {
	return rules.Evidence{
		Reference: reference, Environment: "production", Policy: scanPolicy, Now: now,
		Rules: rules.Rules{SummaryMaxAge: 24 * time.Hour, Rules: []rules.Rule{
			{Require: rules.RequireScan, MaxAge: 48 * time.Hour},
			{Require: rules.RequireTests},
			{Require: rules.RequireProvenance, Runners: []evidence.Runner{evidence.RunnerLocal, evidence.RunnerGitHub}, Committed: true},
			{Require: rules.RequireSBOM},
			{Require: rules.RequireBases, Allow: []string{"registry.example/base/*"}},
			{Require: rules.RequireLicences, Deny: []string{"AGPL-*"}, Unknown: rules.ActionReport},
		}},
		Statements: []sign.Statement{
			statement(t, evidence.SignatureType, map[string]string{}),
			statement(t, evidence.ScanType, passedScan()),
			statement(t, evidence.TestResultType, evidence.Passed(tree, ran("a", "b"))),
			statement(t, evidence.ProvenanceType, build().Provenance()),
			statement(t, evidence.CycloneDXType, cycloneDX("linux/amd64")),
			statement(t, evidence.SPDXType, spdx("linux/amd64")),
			statement(t, evidence.CycloneDXType, cycloneDX("linux/arm64")),
			statement(t, evidence.SPDXType, spdx("linux/arm64")),
		},
	}
}

func verdicts(j rules.Judgement) map[rules.Kind]rules.Outcome {
	all := map[rules.Kind]rules.Outcome{}
	for _, o := range j.Outcomes {
		all[o.Rule] = o
	}
	return all
}

func TestEveryRulePasses(t *testing.T) {
	j := rules.Judge(complete(t))
	require.NoError(t, j.Refusal("verify"))
	assert.Equal(t, "sha256:468c01902f0753c470a4d1f9b2337784dc430cf83149ace4552db599e05583da", j.PolicyDigest, "decisions that are stored name it")
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
	replace := func(predicateType string, predicate any) func(*testing.T, *rules.Evidence) {
		return func(t *testing.T, in *rules.Evidence) {
			for n, s := range in.Statements {
				if s.PredicateType == predicateType {
					in.Statements[n] = statement(t, predicateType, predicate)
				}
			}
		}
	}
	without := func(predicateType string) func(*testing.T, *rules.Evidence) {
		return func(_ *testing.T, in *rules.Evidence) {
			for n, s := range in.Statements {
				if s.PredicateType == predicateType {
					in.Statements[n].PredicateType = "https://example.org/other"
				}
			}
		}
	}
	provenance := func(change func(*evidence.Build)) func(*testing.T, *rules.Evidence) {
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
	rule := func(n int, change func(*rules.Rule)) func(*testing.T, *rules.Evidence) {
		return func(_ *testing.T, in *rules.Evidence) { change(&in.Rules.Rules[n]) }
	}
	for name, tc := range map[string]struct {
		spoil  func(*testing.T, *rules.Evidence)
		rule   rules.Kind
		reason string
	}{
		"no scan":                {without(evidence.ScanType), rules.RequireScan, "scan verdict of " + reference + " is missing"},
		"another policy":         {func(_ *testing.T, in *rules.Evidence) { in.Policy.Threshold = scan.Low }, rules.RequireScan, "was made under another policy"},
		"another database":       {func(_ *testing.T, in *rules.Evidence) { in.Policy.Database.Repository = "r/other-db" }, rules.RequireScan, "or with another vulnerability database than it wants"},
		"an old scan":            {rule(0, func(r *rules.Rule) { r.MaxAge = 30 * time.Hour }), rules.RequireScan, "older than 30h0m0s"},
		"no tests":               {without(evidence.TestResultType), rules.RequireTests, "no test result is attested"},
		"failed tests":           {replace(evidence.TestResultType, failed), rules.RequireTests, "the tests have not passed: FAILED"},
		"a failed test":          {replace(evidence.TestResultType, half), rules.RequireTests, "the tests have not passed"},
		"unreadable tests":       {replace(evidence.TestResultType, []int{1}), rules.RequireTests, "can't be read"},
		"tests of another tree":  {replace(evidence.TestResultType, evidence.Passed(strings.Repeat("0", 40), ran("a"))), rules.RequireTests, "those of another source"},
		"tests of no tree":       {replace(evidence.TestResultType, evidence.Passed("", ran("a"))), rules.RequireTests, "those of another source"},
		"fewer tests than asked": {rule(1, func(r *rules.Rule) { r.Minimum = 5 }), rules.RequireTests, "4 tests have passed, and the rule wants 5"},
		"tests without a count, of which some failed": {replace(evidence.TestResultType, contradictory), rules.RequireTests, "the rule wants"},
		"no test ran":        {replace(evidence.TestResultType, evidence.Passed(tree, ran())), rules.RequireTests, "no test has run"},
		"no provenance":      {without(evidence.ProvenanceType), rules.RequireProvenance, "no provenance of build type"},
		"another build type": {replace(evidence.ProvenanceType, other), rules.RequireProvenance, "no provenance of build type"},
		"another builder":    {provenance(func(b *evidence.Build) { b.Runner = evidence.RunnerAzure }), rules.RequireProvenance, "it was built by https://slipway.dev/builders/azure-devops/v1"},
		"a dirty source":     {provenance(func(b *evidence.Build) { b.Revision += "-dirty" }), rules.RequireProvenance, "uncommitted changes"},
		"named changes": {provenance(func(b *evidence.Build) {
			b.Revision, b.Uncommitted = b.Revision+"-dirty", []string{"added apps/hello/zz_local.go", "and 3 more"}
		}), rules.RequireProvenance, "it was built with uncommitted changes: added apps/hello/zz_local.go, and 3 more"},
		"no source":             {replace(evidence.ProvenanceType, sourceless), rules.RequireProvenance, "names no source"},
		"no SPDX":               {without(evidence.SPDXType), rules.RequireSBOM, "2 CycloneDX and 0 SPDX documents"},
		"no CycloneDX":          {replace(evidence.CycloneDXType, map[string]string{"bomFormat": "x"}), rules.RequireSBOM, "0 CycloneDX and 2 SPDX documents"},
		"another base image":    {provenance(func(b *evidence.Build) { b.Bases = []step.Reference{"registry.example/other@sha256:03"} }), rules.RequireBases, "it stands on registry.example/other"},
		"base images unknown":   {without(evidence.ProvenanceType), rules.RequireBases, "no provenance says"},
		"a denied licence":      {rule(5, func(r *rules.Rule) { r.Deny = []string{"BSD-*"} }), rules.RequireLicences, "golang.org/x/text v0.3.8 (BSD-3-Clause)"},
		"a licence not allowed": {rule(5, func(r *rules.Rule) { r.Deny, r.Allow = nil, []string{"MIT"} }), rules.RequireLicences, "golang.org/x/text v0.3.8 (BSD-3-Clause)"},
		"an unknown licence":    {rule(5, func(r *rules.Rule) { r.Unknown = "" }), rules.RequireLicences, "the licences of 1 components are not known"},
		"licences unknown":      {without(evidence.CycloneDXType), rules.RequireLicences, "no CycloneDX document"},
	} {
		t.Run(name, func(t *testing.T) {
			in := complete(t)
			tc.spoil(t, &in)
			j := rules.Judge(in)
			outcome := verdicts(j)[tc.rule]
			assert.Equal(t, rules.Refuse, outcome.Verdict)
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
			j = rules.Judge(in)
			var warned bool
			for _, o := range j.Outcomes {
				warned = warned || o.Rule == tc.rule && o.Verdict == rules.Warn && strings.HasSuffix(o.Reason, ", which is refused from 2026-11-25")
			}
			assert.True(t, warned, "%v", j.Lines())
			assert.False(t, j.Until.After(now.Add(12*time.Hour)), "and is judged again on that day")
			in.Now = now.Add(12 * time.Hour)
			assert.Equal(t, rules.Refuse, verdicts(rules.Judge(in))[tc.rule].Verdict, "on the day it refuses")
		})
	}
}

func TestTheScanIsRequiredWhateverTheRulesSay(t *testing.T) {
	for name, own := range map[string][]rules.Rule{
		"no rules":              nil,
		"only from later on":    {{Require: rules.RequireScan, From: "2027-01-01"}},
		"only in another place": {{Require: rules.RequireScan, Environments: []string{"dev"}}},
	} {
		in := complete(t)
		in.Rules.Rules = own
		require.NoError(t, rules.Judge(in).Refusal("verify"), name)
		in.Statements = in.Statements[:1]
		require.ErrorContains(t, rules.Judge(in).Refusal("verify"), "scan verdict of "+reference+" is missing", name)
	}
}

func TestRulesOfOtherEnvironmentsDoNotCount(t *testing.T) {
	in := complete(t)
	in.Rules.Rules = append(in.Rules.Rules, rules.Rule{Require: rules.RequireLicences, Deny: []string{"*"}, Environments: []string{"staging"}})
	require.NoError(t, rules.Judge(in).Refusal("verify"))
	in.Environment = "staging"
	require.Error(t, rules.Judge(in).Refusal("verify"))
}

func TestASummaryAnswersOnlyWhileNothingHasChanged(t *testing.T) {
	in := complete(t)
	in.Statements[1] = statement(t, evidence.ScanType, passedScan(scanPolicy.Exceptions...))
	summary, ok := rules.Judge(in).Summary()
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
	answer, ok := rules.Answer(in)
	require.True(t, ok)
	assert.Equal(t, summary.Outcomes, answer.Outcomes)
	require.NoError(t, answer.Refusal("verify"))

	change := func(spoil func(*rules.Summary)) func(*rules.Evidence) {
		return func(in *rules.Evidence) {
			s := *summary
			spoil(&s)
			in.Statements = with(s)
		}
	}
	for name, spoil := range map[string]func(*rules.Evidence){
		"another image":       func(in *rules.Evidence) { in.Reference = "localhost:5000/other@" + digest },
		"another environment": func(in *rules.Evidence) { in.Environment = "staging" },
		"another rule":        func(in *rules.Evidence) { in.Rules.Rules[2].Committed = false },
		"another scan policy": func(in *rules.Evidence) { in.Policy.Threshold = scan.Critical },
		"no summaries":        func(in *rules.Evidence) { in.Rules.SummaryMaxAge = 0 },
		"shorter summaries":   func(in *rules.Evidence) { in.Rules.SummaryMaxAge, in.Now = time.Hour, now.Add(time.Hour) },
		"its time is over":    func(in *rules.Evidence) { in.Now = summary.ValidUntil },
		"before its time":     func(in *rules.Evidence) { in.Now = now.Add(-time.Second) },
		"by somebody else":    change(func(s *rules.Summary) { s.Verifier.ID = "https://example.org" }),
		"failed":              change(func(s *rules.Summary) { s.VerificationResult = "FAILED" }),
		"no policy":           change(func(s *rules.Summary) { s.Policy.Digest = nil }),
		"scanned again": func(in *rules.Evidence) {
			again := statement(t, evidence.ScanType, passedScan())
			again.Referrer = "sha256:99"
			in.Statements = append(in.Statements, again)
		},
		"unreadable": func(in *rules.Evidence) { in.Statements = with([]int{}) },
		"one that it stands on does not verify any more": func(in *rules.Evidence) { in.Statements = slices.Delete(slices.Clone(in.Statements), 2, 3) },
		"none that it stands on verifies any more":       func(in *rules.Evidence) { in.Statements = in.Statements[len(names):] },
		"not there": func(in *rules.Evidence) { in.Statements = nil },
	} {
		in := in
		in.Rules.Rules = append([]rules.Rule{}, in.Rules.Rules...)
		spoil(&in)
		_, ok := rules.Answer(in)
		assert.False(t, ok, name)
	}
}

func TestASummaryEndsWithAnException(t *testing.T) {
	in := complete(t)
	in.Rules.SummaryMaxAge = 30 * 24 * time.Hour
	in.Rules.Rules = nil
	in.Statements[1] = statement(t, evidence.ScanType, passedScan(scanPolicy.Exceptions...))
	summary, ok := rules.Judge(in).Summary()
	require.True(t, ok)
	assert.Equal(t, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), summary.ValidUntil)
	assert.Empty(t, summary.VerifiedLevels, "no rule asked for provenance")
}

func TestOnlyAllowedLicences(t *testing.T) {
	for expression, permitted := range map[string]bool{
		"MIT": true, "BSD-3-Clause": true, "MIT AND BSD-3-Clause": true, "MIT AND ISC": false, "ISC": false, "ISC OR MIT": true, "(ISC OR MIT) AND MIT": false,
		"MIT WITH x-exception": true, "ISC WITH x-exception": false, "BSD-4-Clause": false,
	} {
		in := complete(t)
		in.Rules.Rules = []rules.Rule{{Require: rules.RequireLicences, Allow: []string{"MIT", "BSD-*"}, Deny: []string{"BSD-4-*"}}}
		for n, s := range in.Statements {
			if s.PredicateType == evidence.CycloneDXType {
				in.Statements[n].Predicate = json.RawMessage(`{"bomFormat":"CycloneDX","components":[{"name":"x","licenses":[{"expression":"` + expression + `"}]}]}`)
			}
		}
		assert.Equal(t, permitted, rules.Judge(in).Refusal("verify") == nil, expression)
	}
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
		"BSL-1.0 WITH x-exception":              false,
		"MIT OR BSL-1.0 WITH x-exception":       true,
		"BSL-1.0 OR GPL-3.0-only":               false,
	} {
		in := complete(t)
		in.Rules.Rules = []rules.Rule{{Require: rules.RequireLicences, Deny: []string{"GPL-*", "BSL-1.0"}}}
		in.Statements = slices.DeleteFunc(in.Statements, func(s sign.Statement) bool { return s.PredicateType == evidence.CycloneDXType })
		in.Statements = append(in.Statements, statement(t, evidence.CycloneDXType,
			json.RawMessage(`{"bomFormat":"CycloneDX","components":[{"name":"x","licenses":[{"expression":"`+expression+`"}]}]}`)))
		assert.Equal(t, permitted, rules.Judge(in).Refusal("verify") == nil, expression)
	}
}

// A database that nobody vouches for is named where it will do, and refused elsewhere.
func TestAnEnvironmentRefusesADatabaseThatNobodyVouchesFor(t *testing.T) {
	in := complete(t)
	in.Policy.Database.Trust = rules.Unsigned
	scanned := passedScan()
	scanned.Decision.Policy.Digest = map[string]string{"sha256": strings.TrimPrefix(in.Policy.Digest(), "sha256:")}
	in.Statements[1] = statement(t, evidence.ScanType, scanned)
	in.Rules.Rules[0].Environments = []string{"production"}
	for _, database := range []string{"", rules.DatabaseVerified} {
		in.Rules.Rules[0].Database = database
		outcome := verdicts(rules.Judge(in))[rules.RequireScan]
		if database == "" {
			assert.Equal(t, rules.Outcome{Rule: rules.RequireScan, Verdict: rules.Pass, Reason: "passed with the advisories of 2026-11-23T06:00:00Z, 0 excepted, by a database that nobody vouches for"}, outcome)
			continue
		}
		assert.Equal(t, rules.Outcome{
			Rule: rules.RequireScan, Verdict: rules.Refuse, Reason: "its scan was made with a database that nobody vouches for",
			Mend: "name who signs the database as scan.database.signing in slipway.yaml, or pin it as scan.database.digest, then scan and sign the image again",
		}, outcome)
	}
	in.Environment = "dev"
	assert.Equal(t, rules.Pass, verdicts(rules.Judge(in))[rules.RequireScan].Verdict, "the rule is another environment's")

	// One that somebody vouches for passes the rule.
	in = complete(t)
	in.Rules.Rules[0].Database = rules.DatabaseVerified
	assert.Equal(t, rules.Outcome{Rule: rules.RequireScan, Verdict: rules.Pass, Reason: "passed with the advisories of 2026-11-23T06:00:00Z, 0 excepted"}, verdicts(rules.Judge(in))[rules.RequireScan])
}

func TestRulesAreChecked(t *testing.T) {
	environments := []string{"dev", "production"}
	require.NoError(t, complete(t).Rules.Validate("verification", environments))
	for input, wrong := range map[string]rules.Rules{
		"verification.summaryMaxAge":             {SummaryMaxAge: -1},
		`verification.rules[0].require "x"`:      {Rules: []rules.Rule{{Require: "x"}}},
		`verification.rules[0].environments "x"`: {Rules: []rules.Rule{{Require: rules.RequireSBOM, Environments: []string{"dev", "x"}}}},
		`verification.rules[0].from "soon"`:      {Rules: []rules.Rule{{Require: rules.RequireSBOM, From: "soon"}}},
		"verification.rules[0].maxAge":           {Rules: []rules.Rule{{Require: rules.RequireScan, MaxAge: -1}}},
		`verification.rules[0].runners "x"`:      {Rules: []rules.Rule{{Require: rules.RequireProvenance, Runners: []evidence.Runner{"x"}}}},
		"verification.rules[0].runners":          {Rules: []rules.Rule{{Require: rules.RequireProvenance, Runners: []evidence.Runner{}}}},
		"verification.rules[0].allow":            {Rules: []rules.Rule{{Require: rules.RequireLicences, Allow: []string{}, Deny: []string{"x"}}}},
		`verification.rules[0]: pattern "["`:     {Rules: []rules.Rule{{Require: rules.RequireBases, Allow: []string{"["}}}},
		`verification.rules[0]: pattern ""`:      {Rules: []rules.Rule{{Require: rules.RequireBases, Allow: []string{""}}}},
		"verification.rules[0].deny":             {Rules: []rules.Rule{{Require: rules.RequireBases, Deny: []string{"x"}}}},
		`verification.rules[0].unknown "maybe"`:  {Rules: []rules.Rule{{Require: rules.RequireLicences, Deny: []string{"x"}, Unknown: "maybe"}}},
		`verification.rules[0].network "some"`:   {Rules: []rules.Rule{{Require: rules.RequireBox, Network: "some"}}},
		"verification.rules[0].network":          {Rules: []rules.Rule{{Require: rules.RequireProvenance, Network: rules.NetworkNone}}},
		`verification.rules[0].database "some"`:  {Rules: []rules.Rule{{Require: rules.RequireScan, Database: "some"}}},
		"verification.rules[0].database":         {Rules: []rules.Rule{{Require: rules.RequireTests, Database: rules.DatabaseVerified}}},
		"verification.rules[0].committed":        {Rules: []rules.Rule{{Require: rules.RequireTests, Committed: true}}},
		"verification.rules[1]":                  {Rules: []rules.Rule{{Require: rules.RequireTests}, {Require: rules.RequireLicences, Unknown: rules.ActionReport}}},
	} {
		f, ok := step.AsFault(wrong.Validate("verification", environments))
		require.True(t, ok, input)
		assert.Equal(t, step.KindInput, f.Kind)
		assert.Equal(t, input, f.Input)
		assert.NotEmpty(t, f.Mend)
	}
}

// second is a statement of the same type as another, of which the last letter differs.
func second(s sign.Statement) sign.Statement {
	s.Referrer += "2"
	return s
}

// Of several statements of one type each is looked at, in whichever order.
func TestTheSecondOfTwoStatements(t *testing.T) {
	b := build()
	b.Bases = append(b.Bases, "registry.example/other@sha256:03", "registry.example/third@sha256:04", "registry.example/other@sha256:05")
	spoilt := b.Provenance()
	failed := passedScan()
	failed.Decision.Result = "FAILED"
	elsewhere := build()
	elsewhere.Tree = strings.Repeat("0", 40)
	dirty := build()
	dirty.Revision += evidence.Dirty
	for name, tc := range map[string]struct {
		predicateType string
		other         any
		rule          rules.Kind
		refused       string
	}{
		"a base image of the second": {evidence.ProvenanceType, spoilt, rules.RequireBases, "it stands on registry.example/other, registry.example/third"},
		"a scan that failed":         {evidence.ScanType, failed, rules.RequireScan, ""},
		"a scan that can't be read":  {evidence.ScanType, []int{1}, rules.RequireScan, ""},
		"tests that failed":          {evidence.TestResultType, evidence.TestResult{Result: evidence.TestsFailed}, rules.RequireTests, ""},
		"a build of another tree":    {evidence.ProvenanceType, elsewhere.Provenance(), rules.RequireTests, ""},
		"a dirty build":              {evidence.ProvenanceType, dirty.Provenance(), rules.RequireProvenance, ""},
		"documents of nothing":       {evidence.CycloneDXType, map[string]string{}, rules.RequireSBOM, ""},
	} {
		good := complete(t)
		n := slices.IndexFunc(good.Statements, func(s sign.Statement) bool { return s.PredicateType == tc.predicateType })
		other := second(statement(t, tc.predicateType, tc.other))
		for order, at := range []int{n, len(good.Statements)} {
			in := good
			in.Statements = slices.Insert(slices.Clone(good.Statements), at, other)
			outcome := verdicts(rules.Judge(in))[tc.rule]
			if tc.refused == "" {
				assert.Equal(t, rules.Pass, outcome.Verdict, "%s, %d: %s", name, order, outcome.Reason)
				continue
			}
			assert.Equal(t, []string{"refuse", tc.refused}, []string{string(outcome.Verdict), outcome.Reason}, "%s, %d", name, order)
		}
	}
	in := complete(t)
	in.Statements = append(in.Statements, second(statement(t, evidence.ProvenanceType, spoilt)))
	in.Rules.Rules[4].Allow = append(in.Rules.Rules[4].Allow, "registry.example/*")
	assert.Equal(t, "5 base images, all allowed", verdicts(rules.Judge(in))[rules.RequireBases].Reason)
	in.Rules.Rules[4].Allow = []string{"["}
	assert.Equal(t, rules.Refuse, verdicts(rules.Judge(in))[rules.RequireBases].Verdict)

	tests := evidence.Passed(strings.Repeat("0", 40), ran("a"))
	tests.Configuration = append(tests.Configuration, evidence.Descriptor{Digest: map[string]string{"gitTree": tree}})
	in.Statements[2] = statement(t, evidence.TestResultType, tests)
	assert.Equal(t, rules.Pass, verdicts(rules.Judge(in))[rules.RequireTests].Verdict, "one tree is the one that was built")
}

func TestWhatEachRuleSays(t *testing.T) {
	in := complete(t)
	in.Rules.Rules[2].Committed = false
	b := build()
	b.Revision += evidence.Dirty
	in.Statements[3] = statement(t, evidence.ProvenanceType, b.Provenance())
	assert.Equal(t, rules.Outcome{Rule: rules.RequireProvenance, Verdict: rules.Pass, Reason: "a011b6316ed3, built by https://slipway.dev/builders/local/v1"}, verdicts(rules.Judge(in))[rules.RequireProvenance])
	in.Rules.Rules[2].Committed = true
	j := rules.Judge(in)
	outcome := verdicts(j)[rules.RequireProvenance]
	assert.Equal(t, "it was built with uncommitted changes", outcome.Reason)
	assert.Contains(t, j.Lines(), "refuse provenance: it was built with uncommitted changes; "+outcome.Mend)

	tests := evidence.Passed(tree, ran("a"))
	tests.Counts = &result.Counts{Passed: 2}
	for _, box := range []*result.Box{nil, boxed(nil)} {
		tests.Box = box
		in.Statements[2] = statement(t, evidence.TestResultType, tests)
		in.Rules.Rules[1].Minimum = 2
		assert.Equal(t, rules.Outcome{Rule: rules.RequireTests, Verdict: rules.Pass, Reason: "2 tests have passed"}, verdicts(rules.Judge(in))[rules.RequireTests])
		in.Rules.Rules[1].Minimum = 3
		assert.Equal(t, rules.Refuse, verdicts(rules.Judge(in))[rules.RequireTests].Verdict)
	}
}

// The earliest of all ends ends the decision.
func TestADecisionEndsWithTheFirstOfItsEnds(t *testing.T) {
	excepted := rules.Exception{ID: "CVE-1", Reason: "not reachable", Owner: "team-a", Expires: "2026-11-24"}
	for name, tc := range map[string]struct {
		excepted []rules.Exception
		maxAge   time.Duration
		from     string
		until    time.Duration
	}{
		"the decision's own":               {nil, 0, "", 30 * 24 * time.Hour},
		"the scan's":                       {nil, 48 * time.Hour, "", 18 * time.Hour},
		"an exception's":                   {[]rules.Exception{excepted}, 0, "", 12 * time.Hour},
		"an exception's before the scan's": {[]rules.Exception{excepted}, 48 * time.Hour, "", 12 * time.Hour},
		"the scan's before an exception's": {[]rules.Exception{excepted}, 40 * time.Hour, "", 10 * time.Hour},
		"the day that a rule begins":       {nil, 0, "2026-11-26", 36 * time.Hour},
		"the scan's before that day":       {nil, 48 * time.Hour, "2026-11-26", 18 * time.Hour},
	} {
		in := complete(t)
		in.Policy.Exceptions = []rules.Exception{excepted}
		s := passedScan(tc.excepted...)
		s.Decision.Policy.Digest = evidence.DigestSet(in.Policy.Digest())
		in.Statements[1] = statement(t, evidence.ScanType, s)
		in.Rules.SummaryMaxAge = 30 * 24 * time.Hour
		in.Rules.Rules[0].MaxAge, in.Rules.Rules[1].From = tc.maxAge, tc.from
		if tc.from != "" {
			in.Rules.Rules[1].Minimum = 100
		}
		j := rules.Judge(in)
		require.NoError(t, j.Refusal("verify"), name)
		assert.Equal(t, now.Add(tc.until), j.Until, name)
	}
	// A rule that would refuse from a day on, and ends before.
	in := freezing(t)
	in.Rules.SummaryMaxAge = 30 * 24 * time.Hour
	in.Rules.Rules[0].From = "2026-11-26"
	j := rules.Judge(in)
	assert.Equal(t, rules.Warn, verdicts(j)[rules.RequireNoFreeze].Verdict)
	assert.Equal(t, now.Add(20*time.Hour), j.Until, "the second freeze begins")
	in.Rules.Rules[0].From = "2026-11-25"
	assert.Equal(t, now.Add(12*time.Hour), rules.Judge(in).Until, "the rule begins")
	in.Rules.Rules[0].From = "tomorrow"
	assert.Equal(t, rules.Refuse, verdicts(rules.Judge(in))[rules.RequireNoFreeze].Verdict, "a day that is none has come")
}

func TestADecisionNamesTheReceiptsOfEachEnvironment(t *testing.T) {
	in := soaking(t, healthy(t, "staging", 25*time.Hour))
	in.Rules.Rules = append(in.Rules.Rules, rules.Rule{Require: rules.RequireSoak, In: "dev", For: time.Hour}, rules.Rule{Require: rules.RequireSoak, In: "staging", For: time.Hour})
	in.Elsewhere["dev"] = []sign.Statement{healthy(t, "dev", 2*time.Hour), healthy(t, "dev", 3*time.Hour)}
	in.Elsewhere["unasked"] = []sign.Statement{healthy(t, "unasked", 2*time.Hour)}
	j := rules.Judge(in)
	require.NoError(t, j.Refusal("verify"))
	assert.Len(t, j.Inputs, len(in.Statements)+3)
	assert.Equal(t, []string{"staging", "dev"}, in.Rules.Soaks("production"))
}

// Each key belongs to the rules that read it, and to no other.
func TestEachKeyHasItsRules(t *testing.T) {
	named := map[string]rules.Approver{"jo": {PublicKey: "a"}}
	freezes := []rules.Freeze{{Name: "a", From: now, Until: now.Add(1), Reason: "r"}}
	whole := map[rules.Kind]rules.Rule{
		rules.RequireScan: {}, rules.RequireTests: {}, rules.RequireProvenance: {}, rules.RequireSBOM: {}, rules.RequireBases: {}, rules.RequireLicences: {}, rules.RequireBox: {},
		rules.RequireApproval: {MaxAge: 1}, rules.RequireSoak: {In: "staging", For: 1, Environments: []string{"production"}}, rules.RequireNoFreeze: {Freezes: freezes, MaxAge: 1},
	}
	for key, tc := range map[string]struct {
		set   func(*rules.Rule)
		kinds []rules.Kind
	}{
		"maxAge":    {func(r *rules.Rule) { r.MaxAge = 1 }, []rules.Kind{rules.RequireScan, rules.RequireApproval, rules.RequireNoFreeze}},
		"by":        {func(r *rules.Rule) { r.By = []string{"jo"} }, []rules.Kind{rules.RequireApproval, rules.RequireNoFreeze}},
		"count":     {func(r *rules.Rule) { r.Count = 1 }, []rules.Kind{rules.RequireApproval}},
		"in":        {func(r *rules.Rule) { r.In = "staging" }, []rules.Kind{rules.RequireSoak}},
		"for":       {func(r *rules.Rule) { r.For = 1 }, []rules.Kind{rules.RequireSoak}},
		"freezes":   {func(r *rules.Rule) { r.Freezes = freezes }, []rules.Kind{rules.RequireNoFreeze}},
		"database":  {func(r *rules.Rule) { r.Database = rules.DatabaseVerified }, []rules.Kind{rules.RequireScan}},
		"minimum":   {func(r *rules.Rule) { r.Minimum = 1 }, []rules.Kind{rules.RequireTests}},
		"network":   {func(r *rules.Rule) { r.Network = rules.NetworkNone }, []rules.Kind{rules.RequireBox}},
		"runners":   {func(r *rules.Rule) { r.Runners = []evidence.Runner{evidence.RunnerLocal} }, []rules.Kind{rules.RequireProvenance}},
		"committed": {func(r *rules.Rule) { r.Committed = true }, []rules.Kind{rules.RequireProvenance}},
		"allow":     {func(r *rules.Rule) { r.Allow = []string{"x"} }, []rules.Kind{rules.RequireBases, rules.RequireLicences}},
		"deny":      {func(r *rules.Rule) { r.Deny = []string{"x"} }, []rules.Kind{rules.RequireLicences}},
		"unknown":   {func(r *rules.Rule) { r.Unknown = rules.ActionRefuse }, []rules.Kind{rules.RequireLicences}},
	} {
		for kind, rule := range whole {
			rule.Require = kind
			tc.set(&rule)
			err := rules.Rules{Named: named, Rules: []rules.Rule{rule}}.Validate("verification", []string{"staging", "production"})
			if slices.Contains(tc.kinds, kind) {
				require.NoError(t, err, "%s for %s", key, kind)
				continue
			}
			f, ok := step.AsFault(err)
			require.True(t, ok, "%s for %s", key, kind)
			assert.Equal(t, []string{"verification.rules[0]." + key, "means nothing for " + string(kind)}, []string{f.Input, f.Reason})
		}
	}
}

func TestTheEdgesOfRules(t *testing.T) {
	for name, tc := range map[string]struct {
		rule  rules.Rule
		input string
	}{
		"a minimum":                 {rules.Rule{Require: rules.RequireTests, Minimum: 10}, ""},
		"a negative minimum":        {rules.Rule{Require: rules.RequireTests, Minimum: -1}, "verification.rules[0].minimum"},
		"the second runner":         {rules.Rule{Require: rules.RequireProvenance, Runners: []evidence.Runner{evidence.RunnerLocal, "x"}}, `verification.rules[0].runners "x"`},
		"each runner":               {rules.Rule{Require: rules.RequireProvenance, Runners: []evidence.Runner{evidence.RunnerLocal, evidence.RunnerGitHub, evidence.RunnerAzure}}, ""},
		"the second pattern":        {rules.Rule{Require: rules.RequireBases, Allow: []string{"a", "["}}, `verification.rules[0]: pattern "["`},
		"a pattern that is denied":  {rules.Rule{Require: rules.RequireLicences, Allow: []string{"a"}, Deny: []string{"["}}, `verification.rules[0]: pattern "["`},
		"no base image":             {rules.Rule{Require: rules.RequireBases, Allow: []string{}}, ""},
		"any licence that is known": {rules.Rule{Require: rules.RequireLicences}, ""},
		"refused where unknown":     {rules.Rule{Require: rules.RequireLicences, Unknown: rules.ActionRefuse}, ""},
		"reported where unknown":    {rules.Rule{Require: rules.RequireLicences, Unknown: rules.ActionReport}, "verification.rules[0]"},
		"allowed, or reported":      {rules.Rule{Require: rules.RequireLicences, Allow: []string{"MIT"}, Unknown: rules.ActionReport}, ""},
		"denied, or reported":       {rules.Rule{Require: rules.RequireLicences, Deny: []string{"MIT"}, Unknown: rules.ActionReport}, ""},
		"no licence":                {rules.Rule{Require: rules.RequireLicences, Allow: []string{}}, "verification.rules[0].allow"},
		"approvals by nobody":       {rules.Rule{Require: rules.RequireApproval, By: []string{}, MaxAge: 1}, "verification.rules[0].by"},
	} {
		err := rules.Rules{Rules: []rules.Rule{tc.rule}}.Validate("verification", nil)
		if tc.input == "" {
			require.NoError(t, err, name)
			continue
		}
		f, ok := step.AsFault(err)
		require.True(t, ok, name)
		assert.Equal(t, tc.input, f.Input, name)
	}
}

func TestASummaryIsFoundBesideOthers(t *testing.T) {
	in := complete(t)
	summary, ok := rules.Judge(in).Summary()
	require.True(t, ok)
	elsewhere := *summary
	elsewhere.Environment = "staging"
	in.Statements = append(in.Statements, statement(t, evidence.SummaryType, []int{1}), second(statement(t, evidence.SummaryType, elsewhere)))
	_, ok = rules.Answer(in)
	assert.False(t, ok, "for another environment, whatever its policy's digest says")
	in.Statements = append(in.Statements, second(second(statement(t, evidence.SummaryType, summary))))
	_, ok = rules.Answer(in)
	assert.True(t, ok)

	in = complete(t)
	in.Rules.Rules[2].From = "2026-11-25"
	b := build()
	b.Revision += evidence.Dirty
	in.Statements[3] = statement(t, evidence.ProvenanceType, b.Provenance())
	summary, ok = rules.Judge(in).Summary()
	require.True(t, ok, "it only warns")
	assert.Empty(t, summary.VerifiedLevels, "and proves no level")
}
