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
	"slipway/step/result/sign"
)

// healthy is the receipt of an image that was healthy somewhere.
func healthy(t *testing.T, env string, ago time.Duration, change ...func(map[string]any)) sign.Statement {
	t.Helper()
	live := map[string]any{"health": "Healthy", "healthyAt": now.Add(-ago).Format(time.RFC3339)}
	r := map[string]any{"app": "hello", "environment": env, "image": map[string]any{"reference": reference}, "live": live}
	for _, c := range change {
		c(r)
	}
	s := statement(t, evidence.ReceiptType, r)
	s.Referrer = "sha256:receipt" + ago.String()
	return s
}

func soaking(t *testing.T, receipts ...sign.Statement) rules.Evidence {
	in := complete(t)
	in.Rules.Rules = []rules.Rule{{Require: rules.RequireSoak, Environments: []string{"production"}, In: "staging", For: 24 * time.Hour}}
	in.Elsewhere = map[string][]sign.Statement{"staging": receipts}
	return in
}

func TestAnImageSoaksInAnotherEnvironment(t *testing.T) {
	in := soaking(t, healthy(t, "staging", time.Hour), healthy(t, "staging", 25*time.Hour))
	require.NoError(t, in.Rules.Validate("verification", []string{"staging", "production"}))
	assert.Equal(t, []string{"staging"}, in.Rules.Soaks("production"))
	assert.Empty(t, in.Rules.Soaks("staging"))
	j := rules.Judge(in)
	require.NoError(t, j.Refusal("verify"))
	assert.Equal(t, "pass   soak: healthy in staging since 2026-11-23T11:00:00Z", j.Lines()[1])
	assert.Equal(t, evidence.ReceiptType, j.Inputs[len(j.Inputs)-1].URI, "the decision names the receipts")
	shared := in
	shared.Statements = append(slices.Clone(in.Statements), in.Elsewhere["staging"]...)
	assert.Len(t, rules.Judge(shared).Inputs, len(j.Inputs), "each once, where one key signs everywhere")

	const none = "no signed receipt says that it was healthy in staging"
	const release = "release it to staging with a kubeconfig and a signer, wait until it is healthy, and then for 24h0m0s"
	logged := healthy(t, "staging", 25*time.Hour)
	logged.Signer = &sign.Signer{Identity: "x", Times: []time.Time{now.Add(-2 * time.Hour), now.Add(-time.Hour)}}
	for name, tc := range map[string]struct {
		receipts     []sign.Statement
		reason, mend string
	}{
		"never there":       {nil, none, release},
		"not long enough":   {[]sign.Statement{healthy(t, "staging", 23*time.Hour)}, "healthy in staging since 2026-11-23T13:00:00Z, and the rule wants 24h0m0s", "wait until 2026-11-24T13:00:00Z"},
		"somewhere else":    {[]sign.Statement{healthy(t, "dev", 25*time.Hour)}, none, release},
		"another image":     {[]sign.Statement{healthy(t, "staging", 25*time.Hour, func(r map[string]any) { r["image"] = map[string]any{"reference": "localhost:5000/other@" + digest} })}, none, release},
		"another health":    {[]sign.Statement{healthy(t, "staging", 25*time.Hour, func(r map[string]any) { r["live"].(map[string]any)["health"] = "Degraded" })}, none, release},
		"nobody has waited": {[]sign.Statement{healthy(t, "staging", 25*time.Hour, func(r map[string]any) { delete(r, "live") })}, none, release},
		"no receipt":        {[]sign.Statement{statement(t, evidence.ReceiptType, []int{1})}, none, release},
		"of tomorrow":       {[]sign.Statement{healthy(t, "staging", -time.Hour)}, "healthy in staging since 2026-11-24T13:00:00Z", "wait until 2026-11-25T13:00:00Z"},
		"dated back":        {[]sign.Statement{logged}, "healthy in staging since 2026-11-24T10:00:00Z", "wait until 2026-11-25T10:00:00Z"},
	} {
		outcome := verdicts(rules.Judge(soaking(t, tc.receipts...)))[rules.RequireSoak]
		assert.Equal(t, rules.Refuse, outcome.Verdict, name)
		assert.Contains(t, outcome.Reason, tc.reason, name)
		assert.Equal(t, tc.mend, outcome.Mend, name)
	}
	in = soaking(t)
	in.Statements = append(in.Statements, healthy(t, "staging", 25*time.Hour))
	assert.Equal(t, rules.Refuse, verdicts(rules.Judge(in))[rules.RequireSoak].Verdict, "who may sign here may not say what was there")
}

func freezing(t *testing.T, approvals ...rules.Approval) rules.Evidence {
	in := awaiting(t, approvals...)
	in.Rules.Rules = []rules.Rule{{Require: rules.RequireNoFreeze, By: []string{"ada", "jo"}, MaxAge: 4 * time.Hour, Freezes: []rules.Freeze{
		{Name: "fair", From: now.Add(-time.Hour), Until: now.Add(48 * time.Hour), Reason: "the trade fair"},
		{Name: "year-end", From: now.Add(20 * time.Hour), Until: now.Add(480 * time.Hour), Reason: "the books are closed"},
	}}}
	return in
}

func TestAFreezeHoldsUnlessItIsOverriddenByName(t *testing.T) {
	in := freezing(t)
	require.NoError(t, in.Rules.Validate("verification", []string{"production"}))
	assert.True(t, in.Rules.Overrides("production", "jo", "fair"))
	assert.False(t, in.Rules.Overrides("production", "kim", "fair"))
	assert.False(t, in.Rules.Overrides("production", "jo", "another"))

	outcome := verdicts(rules.Judge(in))[rules.RequireNoFreeze]
	assert.Equal(t, rules.Outcome{
		Rule: rules.RequireNoFreeze, Verdict: rules.Refuse, Reason: "frozen until 2026-11-26T12:00:00Z (fair: the trade fair)",
		Mend: "release it after 2026-11-26T12:00:00Z, or have one of ada, jo override it: dagger call signed --app hello --digest " + digest + " approve --env production --by NAME --freeze FREEZE --reason WHY",
	}, outcome)
	over := func(p *rules.Approved) { p.Freeze, p.Reason = "fair", "mends CVE-1" }
	for name, tc := range map[string]struct {
		approval rules.Approval
		passes   bool
	}{
		"overridden":                   {approved(t, "jo", over), true},
		"approved":                     {approved(t, "jo"), false},
		"another freeze":               {approved(t, "jo", over, func(p *rules.Approved) { p.Freeze = "year-end" }), false},
		"by whom the rule doesn't ask": {approved(t, "kim", over), false},
		"by the author":                {approved(t, "ada", over), false},
		"another environment":          {approved(t, "jo", over, func(p *rules.Approved) { p.Environment = "dev" }), false},
		"another image":                {approved(t, "jo", over, func(p *rules.Approved) { p.Image = "localhost:5000/other@" + digest }), false},
		"expired":                      {approved(t, "jo", over, func(p *rules.Approved) { p.At = now.Add(-4 * time.Hour) }), false},
	} {
		j := rules.Judge(freezing(t, tc.approval))
		outcome := verdicts(j)[rules.RequireNoFreeze]
		assert.Equal(t, tc.passes, outcome.Verdict == rules.Pass, "%s: %s", name, outcome.Reason)
		if tc.passes {
			assert.Equal(t, "frozen until 2026-11-26T12:00:00Z (fair: the trade fair), overridden by jo: mends CVE-1", outcome.Reason, "it is recorded")
			assert.Equal(t, now.Add(3*time.Hour), j.Until, "and ends with the override")
		}
	}
	for at, want := range map[time.Duration]string{
		-time.Hour - time.Second: "no freeze", 20 * time.Hour: "frozen until 2026-11-26T12:00:00Z (fair: the trade fair); frozen until", 500 * time.Hour: "no freeze",
	} {
		in := freezing(t)
		in.Now = now.Add(at)
		assert.Contains(t, verdicts(rules.Judge(in))[rules.RequireNoFreeze].Reason, want, at)
	}
	in.Rules.Rules[0].By, in.Rules.Rules[0].MaxAge = nil, 0
	in.Approvals = []rules.Approval{approved(t, "jo", over)}
	outcome = verdicts(rules.Judge(in))[rules.RequireNoFreeze]
	assert.Equal(t, "release it after 2026-11-26T12:00:00Z", outcome.Mend, "nobody may override it")
	assert.Equal(t, rules.Refuse, outcome.Verdict)
}

func TestADecisionDoesNotOutliveTheCalm(t *testing.T) {
	in := freezing(t)
	in.Now = now.Add(-2 * time.Hour)
	judged := rules.Judge(in)
	summary, ok := judged.Summary()
	require.True(t, ok)
	assert.Equal(t, now.Add(-time.Hour), summary.ValidUntil, "the freeze begins")
	in.Statements = append(in.Statements, statement(t, evidence.SummaryType, summary))
	in.Now = in.Now.Add(time.Minute)
	_, ok = rules.Answer(in)
	assert.True(t, ok, "the control")
	longer := *summary
	longer.ValidUntil = now.Add(time.Hour)
	in.Statements[len(in.Statements)-1] = statement(t, evidence.SummaryType, longer)
	in.Now = now
	_, ok = rules.Answer(in)
	assert.False(t, ok, "whatever it says of its time")

	in = soaking(t, healthy(t, "staging", 25*time.Hour))
	summary, ok = rules.Judge(in).Summary()
	require.True(t, ok)
	in.Statements = append(in.Statements, statement(t, evidence.SummaryType, json.RawMessage(mustJSON(t, summary))))
	_, ok = rules.Answer(in)
	assert.True(t, ok, "the control")
	in.Elsewhere = nil
	_, ok = rules.Answer(in)
	assert.False(t, ok, "the receipt is gone")
}

func mustJSON(t *testing.T, value any) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	require.NoError(t, err)
	return data
}

func TestADrillWaitsForNobody(t *testing.T) {
	r := freezing(t).Rules
	r.Rules = append(r.Rules, rules.Rule{Require: rules.RequireTests}, soaking(t).Rules.Rules[0], awaiting(t).Rules.Rules[0])
	assert.True(t, r.AsksFirst("production"))
	assert.True(t, r.AsksApprovers())
	without := r.WithoutWaits()
	assert.Equal(t, rules.Rules{SummaryMaxAge: r.SummaryMaxAge, Rules: []rules.Rule{{Require: rules.RequireTests}}}, without, "nor does it name anybody")
	assert.False(t, without.AsksFirst("production"))
	assert.Len(t, r.Rules, 4, "the rules stay")
}

func TestRulesOfTheTimeAreChecked(t *testing.T) {
	environments := []string{"dev", "staging", "production"}
	soak := rules.Rule{Require: rules.RequireSoak, Environments: []string{"production"}, In: "staging", For: time.Hour}
	freeze := freezing(t).Rules.Rules[0]
	for name, tc := range map[string]struct {
		rule          rules.Rule
		change        func(*rules.Rule)
		input, reason string
	}{
		"nowhere":            {soak, func(r *rules.Rule) { r.In = "" }, `verification.rules[0].in ""`, "is not an environment"},
		"an unknown one":     {soak, func(r *rules.Rule) { r.In = "prod" }, `verification.rules[0].in "prod"`, "is not an environment"},
		"itself":             {soak, func(r *rules.Rule) { r.In = "production" }, `verification.rules[0].in "production"`, "is an environment that the rule holds in"},
		"everywhere":         {soak, func(r *rules.Rule) { r.Environments = nil }, `verification.rules[0].in "staging"`, "is an environment that the rule holds in"},
		"no time":            {soak, func(r *rules.Rule) { r.For = 0 }, "verification.rules[0].for", "is missing"},
		"a negative time":    {soak, func(r *rules.Rule) { r.For = -1 }, "verification.rules[0].for", "or negative"},
		"soak by somebody":   {soak, func(r *rules.Rule) { r.By = []string{"jo"} }, "verification.rules[0].by", "means nothing for soak"},
		"soak with a freeze": {soak, func(r *rules.Rule) { r.Freezes = freeze.Freezes }, "verification.rules[0].freezes", "means nothing for soak"},
		"in for a freeze":    {freeze, func(r *rules.Rule) { r.In = "dev" }, "verification.rules[0].in", "means nothing for no-freeze"},
		"for for a freeze":   {freeze, func(r *rules.Rule) { r.For = time.Hour }, "verification.rules[0].for", "means nothing for no-freeze"},
		"no freeze":          {freeze, func(r *rules.Rule) { r.Freezes = nil }, "verification.rules[0].freezes", "is empty"},
		"no end of override": {freeze, func(r *rules.Rule) { r.MaxAge = 0 }, "verification.rules[0].maxAge", "an override has to run out"},
		"by a stranger":      {freeze, func(r *rules.Rule) { r.By = []string{"eve"} }, `verification.rules[0].by "eve"`, "is not an approver"},
		"without a name":     {freeze, func(r *rules.Rule) { r.Freezes[0].Name = "" }, `verification.rules[0].freezes[0].name ""`, "is not a valid name"},
		"one name twice":     {freeze, func(r *rules.Rule) { r.Freezes[1].Name = "fair" }, `verification.rules[0].freezes[1].name "fair"`, "is another one's, too"},
		"the wrong way":      {freeze, func(r *rules.Rule) { r.Freezes[0].Until = r.Freezes[0].From }, "verification.rules[0].freezes[0].until", "is not after from"},
		"no beginning":       {freeze, func(r *rules.Rule) { r.Freezes[0].From = time.Time{} }, "verification.rules[0].freezes[0].until", "is not after from"},
		"a reason of lines":  {freeze, func(r *rules.Rule) { r.Freezes[1].Reason = "a\nb" }, `verification.rules[0].freezes[1].reason "a\nb"`, "is not a reason"},
		"no reason":          {freeze, func(r *rules.Rule) { r.Freezes[0].Reason = "" }, `verification.rules[0].freezes[0].reason ""`, "is not a reason"},
	} {
		rule := tc.rule
		rule.Freezes = slices.Clone(tc.rule.Freezes)
		tc.change(&rule)
		f, ok := step.AsFault(rules.Rules{Named: awaiting(t).Rules.Named, Rules: []rules.Rule{rule}}.Validate("verification", environments))
		require.True(t, ok, name)
		assert.Equal(t, tc.input, f.Input, name)
		assert.Contains(t, f.Reason, tc.reason, name)
		assert.NotEmpty(t, strings.TrimSpace(f.Mend), name)
	}
}

func TestEachFreezeIsItsOwn(t *testing.T) {
	over := func(by, freeze string) rules.Approval {
		return approved(t, by, func(p *rules.Approved) { p.Freeze, p.Reason = freeze, "mends CVE-1" })
	}
	unread := over("jo", "fair")
	unread.Approved = append(unread.Approved, "{}"...)
	in := freezing(t)
	in.Now = now.Add(30 * time.Minute)
	in.Rules.Rules[0].Freezes[1].From = now
	in.Rules.Rules[0].Freezes = append(in.Rules.Rules[0].Freezes, rules.Freeze{Name: "spring", From: now.Add(10 * time.Minute), Until: now.Add(5 * time.Hour), Reason: "holidays"})
	const fair, yearEnd, spring = "frozen until 2026-11-26T12:00:00Z (fair: the trade fair)", "frozen until 2026-12-14T12:00:00Z (year-end: the books are closed)", "frozen until 2026-11-24T17:00:00Z (spring: holidays)"
	const by = ", overridden by jo: mends CVE-1"
	for name, tc := range map[string]struct {
		approvals    []rules.Approval
		reason, mend string
	}{
		"none":           {nil, fair + "; " + yearEnd + "; " + spring, "release it after 2026-12-14T12:00:00Z"},
		"one":            {[]rules.Approval{over("jo", "year-end")}, fair + "; " + spring + "; " + yearEnd + by, "release it after 2026-11-26T12:00:00Z"},
		"the second one": {[]rules.Approval{over("kim", "fair"), unread, over("jo", "fair")}, yearEnd + "; " + spring + "; " + fair + by, "release it after 2026-12-14T12:00:00Z"},
		"unread":         {[]rules.Approval{unread}, fair + "; " + yearEnd + "; " + spring, "release it after 2026-12-14T12:00:00Z"},
		"each":           {[]rules.Approval{over("jo", "fair"), over("jo", "year-end"), over("jo", "spring")}, fair + by + "; " + yearEnd + by + "; " + spring + by, ""},
	} {
		in.Approvals = tc.approvals
		outcome := verdicts(rules.Judge(in))[rules.RequireNoFreeze]
		assert.Equal(t, tc.reason, outcome.Reason, name)
		assert.Equal(t, tc.mend == "", outcome.Verdict == rules.Pass, name)
		assert.True(t, strings.HasPrefix(outcome.Mend, tc.mend), "%s: %s", name, outcome.Mend)
	}
	rule := in.Rules.Rules[0]
	rule.By, rule.MaxAge = nil, 0
	require.NoError(t, rules.Rules{Rules: []rules.Rule{rule}}.Validate("verification", nil), "a freeze that nobody may override")
	assert.False(t, rules.Rules{Rules: []rules.Rule{rule}}.Overrides("production", "jo", "fair"))
	// The first of two ends, and of two beginnings, is when it is decided again.
	in.Approvals = []rules.Approval{over("jo", "fair"), approved(t, "jo", func(p *rules.Approved) { p.Freeze, p.At = "spring", now.Add(-2*time.Hour) })}
	in.Rules.Rules[0].Freezes[1].From = now.Add(100 * time.Hour)
	assert.Equal(t, now.Add(2*time.Hour), rules.Judge(in).Until)
	slices.Reverse(in.Approvals)
	slices.Reverse(in.Rules.Rules[0].Freezes)
	assert.Equal(t, now.Add(2*time.Hour), rules.Judge(in).Until)
}

func TestTheFirstOfSeveralReceiptsCounts(t *testing.T) {
	unsigned := healthy(t, "staging", 26*time.Hour)
	unsigned.Signer = &sign.Signer{Identity: "x"}
	for _, receipts := range [][]sign.Statement{
		{healthy(t, "staging", time.Hour), unsigned, healthy(t, "staging", 2*time.Hour)}, {unsigned, healthy(t, "dev", 30*time.Hour), healthy(t, "staging", time.Hour)},
		{healthy(t, "dev", 30*time.Hour), healthy(t, "staging", time.Hour), unsigned},
	} {
		outcome := verdicts(rules.Judge(soaking(t, receipts...)))[rules.RequireSoak]
		assert.Equal(t, rules.Outcome{Rule: rules.RequireSoak, Verdict: rules.Pass, Reason: "healthy in staging since 2026-11-23T10:00:00Z"}, outcome)
	}
	outcome := verdicts(rules.Judge(soaking(t, healthy(t, "staging", 24*time.Hour))))[rules.RequireSoak]
	assert.Equal(t, rules.Pass, outcome.Verdict, "as long as the rule wants")
}
