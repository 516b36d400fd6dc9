package rules_test

import (
	"encoding/json"
	"fmt"
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

const plan = "sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"

// approved is an approval of the image by somebody who has a key of their own.
func approved(t *testing.T, by string, change ...func(*rules.Approved)) rules.Approval {
	t.Helper()
	p := rules.Approved{Environment: "production", Image: reference, At: now.Add(-time.Hour), Until: now.Add(71 * time.Hour)}
	for _, c := range change {
		c(&p)
	}
	data, err := json.Marshal(p)
	require.NoError(t, err)
	return rules.Approval{By: by, Signer: sign.Signer{KeyHint: "key of " + by}, Referrer: fmt.Sprintf("sha256:%x", by+string(data)), Approved: data}
}

// awaiting is an input whose one rule, beside the scan's, wants two of three approvals.
func awaiting(t *testing.T, approvals ...rules.Approval) rules.Evidence {
	in := complete(t)
	b := build()
	b.Authors = []string{"ada@acme.example"}
	in.Statements[3] = statement(t, evidence.ProvenanceType, b.Provenance())
	in.KeyHint = "the platform's key"
	in.Rules.Named = map[string]rules.Approver{
		"ada": {PublicKey: "gitops/ada.pub", Emails: []string{"Ada@acme.example"}},
		"jo":  {PublicKey: "gitops/jo.pub", Emails: []string{"jo@acme.example"}},
		"kim": {PublicKey: "gitops/kim.pub", Emails: []string{"kim@acme.example"}},
		"lee": {Issuer: "https://login.acme.example", Subject: "lee@acme.example", Emails: []string{"lee@acme.example"}},
		"sam": {PublicKey: "gitops/sam.pub", Emails: []string{"sam@acme.example"}},
	}
	in.Rules.Rules = []rules.Rule{{Require: rules.RequireApproval, By: []string{"ada", "jo", "kim", "lee"}, Count: 2, MaxAge: 48 * time.Hour}}
	in.Approvals = approvals
	return in
}

func TestApprovalsOfOthersLetAnImagePass(t *testing.T) {
	in := awaiting(t, approved(t, "jo"), approved(t, "kim", func(p *rules.Approved) { p.At = now.Add(-2 * time.Hour) }))
	require.NoError(t, in.Rules.Validate("verification", []string{"production"}))
	j := rules.Judge(in)
	require.NoError(t, j.Refusal("verify"))
	assert.Equal(t, "pass   approval: approved by jo until 2026-11-26T11:00:00Z, kim until 2026-11-26T10:00:00Z", j.Lines()[1])
	assert.Equal(t, now.Add(24*time.Hour), j.Until, "the summary's, which is earlier")
	assert.Equal(t, evidence.ApprovalType, j.Inputs[len(j.Inputs)-1].URI)
	assert.Len(t, j.Decision().Statements, len(in.Statements)+2, "the decision names them")
	in.Rules.SummaryMaxAge = 30 * 24 * time.Hour
	assert.Equal(t, now.Add(46*time.Hour), rules.Judge(in).Until, "kim's runs out first")

	lee := approved(t, "lee")
	lee.Signer = sign.Signer{Identity: "lee@acme.example", Issuer: "https://login.acme.example", Times: []time.Time{now.Add(-3 * time.Hour)}}
	in.Approvals = []rules.Approval{approved(t, "jo"), lee}
	assert.Contains(t, rules.Judge(in).Lines()[1], "lee until 2026-11-26T09:00:00Z", "as the log has seen it")
}

func TestAnApprovalThatDoesNotCount(t *testing.T) {
	with := func(by string, change func(*rules.Approved)) rules.Approval { return approved(t, by, change) }
	raw := func(text string) rules.Approval {
		a := approved(t, "kim")
		a.Approved = json.RawMessage(text)
		return a
	}
	sameKey := approved(t, "kim")
	sameKey.Signer.KeyHint = "key of jo"
	platform := approved(t, "kim")
	platform.Signer.KeyHint = "the platform's key"
	command := "dagger call signed --app hello --digest " + digest + " approve --env production --by NAME"
	more := "have 1 more of kim, lee approve it: " + command
	for name, tc := range map[string]struct {
		second       rules.Approval
		plan         string
		reason, mend string
	}{
		"none":                    {rules.Approval{By: "nobody"}, "", "1 of 2 approvals count: jo until 2026-11-26T11:00:00Z", more},
		"by the author":           {approved(t, "ada"), "", "1 of 2 approvals count: jo until 2026-11-26T11:00:00Z, ada's doesn't count: they are an author of the commit", more},
		"by whom no rule names":   {approved(t, "sam"), "", "1 of 2 approvals count: jo until 2026-11-26T11:00:00Z", more},
		"by the same again":       {with("jo", func(p *rules.Approved) { p.Reason = "again" }), "", "1 of 2 approvals count: jo until 2026-11-26T11:00:00Z", more},
		"by the same key":         {sameKey, "", "1 of 2 approvals count: jo until 2026-11-26T11:00:00Z", more},
		"by the platform's key":   {platform, "", "1 of 2 approvals count: jo until 2026-11-26T11:00:00Z, kim's doesn't count: they have signed or delivered it", more},
		"for another environment": {with("kim", func(p *rules.Approved) { p.Environment = "staging" }), "", `kim's is for "staging"`, more},
		"for another digest": {with("kim", func(p *rules.Approved) {
			p.Image = "localhost:5000/hello@sha256:" + strings.Repeat("b", 64)
		}), "", "kim's is for another image", more},
		"for another app":      {with("kim", func(p *rules.Approved) { p.Image = "localhost:5000/other@" + digest }), "", "kim's is for another image", more},
		"expired by its rule":  {with("kim", func(p *rules.Approved) { p.At = now.Add(-48 * time.Hour) }), "", "kim's ran out at 2026-11-24T12:00:00Z", more},
		"expired by its word":  {with("kim", func(p *rules.Approved) { p.Until = now }), "", "kim's ran out at 2026-11-24T12:00:00Z", more},
		"without an end":       {with("kim", func(p *rules.Approved) { p.Until = time.Time{} }), "", "kim's ran out at 0001-01-01T00:00:00Z", more},
		"of tomorrow":          {with("kim", func(p *rules.Approved) { p.At = now.Add(time.Second) }), "", "kim's is of a time that has not come", more},
		"saying more":          {raw(`{"environment":"production","image":"` + reference + `","at":"2026-11-24T11:00:00Z","until":"2026-11-26T11:00:00Z","onlyIf":"x"}`), "", `kim's can't be read: json: unknown field "onlyIf"`, more},
		"that is none":         {raw(`[]`), "", "kim's can't be read", more},
		"with more behind it":  {raw(string(approved(t, "kim").Approved) + "{}"), "", "kim's can't be read: it has something behind it", more},
		"for another plan":     {with("kim", func(p *rules.Approved) { p.Plan = "sha256:other" }), plan, "kim's is for another plan than " + plan, "have 2 more of jo, kim, lee approve it: " + command + " --plan " + plan},
		"without the plan":     {approved(t, "kim"), plan, "0 of 2 approvals count: jo's names no plan, and " + plan + " is to be applied, kim's names no plan", "have 2 more of jo, kim, lee approve it: " + command + " --plan " + plan},
		"the control's second": {approved(t, "kim"), "", "", ""},
	} {
		in := awaiting(t, approved(t, "jo"), tc.second)
		in.Plan = tc.plan
		j := rules.Judge(in)
		outcome := verdicts(j)[rules.RequireApproval]
		if tc.mend == "" {
			assert.Equal(t, rules.Pass, outcome.Verdict, name)
			continue
		}
		assert.Equal(t, rules.Refuse, outcome.Verdict, name)
		assert.Contains(t, outcome.Reason, tc.reason, name)
		assert.Equal(t, tc.mend, outcome.Mend, name)
		f, ok := step.AsFault(j.Refusal("release"))
		require.True(t, ok, name)
		assert.Equal(t, step.KindPolicy, f.Kind, name)
		assert.Contains(t, f.Reason, "is not fit for production: approval: ", name)
	}
}

func TestAnApprovalOfThePlanCounts(t *testing.T) {
	of := func(p *rules.Approved) { p.Plan = plan }
	in := awaiting(t, approved(t, "jo", of), approved(t, "kim", of))
	in.Plan = plan
	require.NoError(t, rules.Judge(in).Refusal("release"))
	in.Plan = ""
	require.NoError(t, rules.Judge(in).Refusal("release"), "once it is applied there is nothing to apply any more")
}

func TestWhoDeliversDoesNotApprove(t *testing.T) {
	lee := approved(t, "lee")
	lee.Signer = sign.Signer{Identity: "lee@acme.example", Issuer: "https://login.acme.example"}
	ours := sign.Signer{Identity: "release@acme.example", Issuer: "https://login.acme.example"}
	in := awaiting(t, approved(t, "jo"), lee)
	in.KeyHint = ""
	for n := range in.Statements {
		in.Statements[n].Signer = &ours
	}
	require.NoError(t, rules.Judge(in).Refusal("release"), "the control")
	decision := func(env string) sign.Statement {
		return sign.Statement{PredicateType: evidence.SummaryType, Predicate: json.RawMessage(`{"environment":"` + env + `"}`), Signer: &lee.Signer}
	}
	elsewhere, stranger := lee.Signer, sign.Statement{PredicateType: evidence.ProvenanceType, Predicate: in.Statements[3].Predicate}
	elsewhere.Issuer = "https://elsewhere.example"
	stranger.Signer = &elsewhere
	for name, tc := range map[string]struct {
		statement sign.Statement
		refused   bool
	}{
		"signed it":                    {sign.Statement{PredicateType: evidence.SignatureType, Signer: &lee.Signer}, true},
		"built it":                     {sign.Statement{PredicateType: evidence.ProvenanceType, Predicate: in.Statements[3].Predicate, Signer: &lee.Signer}, true},
		"decided to release it there":  {decision("production"), true},
		"decided to release elsewhere": {decision("staging"), false},
		"of the same name elsewhere":   {stranger, false},
	} {
		in := in
		in.Statements = append(slices.Clone(in.Statements), tc.statement)
		outcome := verdicts(rules.Judge(in))[rules.RequireApproval]
		assert.Equal(t, tc.refused, outcome.Verdict == rules.Refuse, "%s: %s", name, outcome.Reason)
		assert.Equal(t, tc.refused, strings.Contains(outcome.Reason, "lee's doesn't count: they have signed or delivered it"), name)
		assert.Equal(t, tc.refused, in.Unfit("lee") != "", name)
	}
}

func TestWhoseCommitItIsHasToBeKnown(t *testing.T) {
	good := awaiting(t, approved(t, "jo"), approved(t, "kim"))
	for name, tc := range map[string]struct {
		change func(*evidence.Build)
		reason string
	}{
		"nobody is named":     {func(b *evidence.Build) { b.Authors = nil }, "no provenance says whose commit it is"},
		"uncommitted changes": {func(b *evidence.Build) { b.Revision += evidence.Dirty }, "no provenance says whose commit it is"},
		"both are authors":    {func(b *evidence.Build) { b.Authors = []string{"JO@acme.example", "kim@acme.example"} }, "jo's doesn't count: they are an author of the commit, kim's doesn't count"},
	} {
		in := good
		b := build()
		b.Authors = []string{"ada@acme.example"}
		tc.change(&b)
		in.Statements = slices.Clone(good.Statements)
		in.Statements[3] = statement(t, evidence.ProvenanceType, b.Provenance())
		outcome := verdicts(rules.Judge(in))[rules.RequireApproval]
		assert.Equal(t, rules.Refuse, outcome.Verdict, name)
		assert.Contains(t, outcome.Reason, tc.reason, name)
		assert.NotEmpty(t, outcome.Mend, name)
	}
	// One image can be built from several commits: whoever made one of them doesn't count.
	also := build()
	also.Revision, also.Authors = strings.Repeat("c", 40), []string{"kim@acme.example"}
	in := good
	in.Statements = append(slices.Clone(good.Statements), statement(t, evidence.ProvenanceType, also.Provenance()))
	assert.Contains(t, verdicts(rules.Judge(in))[rules.RequireApproval].Reason, "kim's doesn't count: they are an author of the commit")
	in.Rules.Rules[0].By = []string{"jo", "kim"}
	assert.Equal(t, "name more approvers in verification.approvers: who has authored or delivers it can't approve it", verdicts(rules.Judge(in))[rules.RequireApproval].Mend)
}

// A decision that stands ends with an approval, and where approvals come to something
// else.
func TestADecisionDoesNotOutliveAnApproval(t *testing.T) {
	in := awaiting(t, approved(t, "jo"), approved(t, "kim"))
	summary, ok := rules.Judge(in).Summary()
	require.True(t, ok)
	in.Statements = append(in.Statements, statement(t, evidence.SummaryType, summary))
	answer, ok := rules.Answer(in)
	require.True(t, ok, "the control")
	assert.Equal(t, summary.Outcomes, answer.Outcomes)
	for name, change := range map[string]func(*rules.Evidence){
		"one is deleted":    func(in *rules.Evidence) { in.Approvals = in.Approvals[:1] },
		"both are deleted":  func(in *rules.Evidence) { in.Approvals = nil },
		"one is not theirs": func(in *rules.Evidence) { in.Approvals[1].By = "sam" },
		"another key": func(in *rules.Evidence) {
			in.Rules.Named = map[string]rules.Approver{"jo": {PublicKey: "gitops/new.pub"}, "kim": in.Rules.Named["kim"]}
		},
		"a plan is to be applied": func(in *rules.Evidence) { in.Plan = plan },
		"an approver delivers it": func(in *rules.Evidence) {
			in.Statements = append(in.Statements, sign.Statement{PredicateType: evidence.ProvenanceType, Predicate: in.Statements[3].Predicate, Signer: &in.Approvals[0].Signer})
		},
	} {
		spoilt := in
		spoilt.Approvals, spoilt.Statements = slices.Clone(in.Approvals), slices.Clone(in.Statements)
		change(&spoilt)
		_, ok := rules.Answer(spoilt)
		assert.False(t, ok, name)
	}
	in.Rules.SummaryMaxAge, in.Now = 300*24*time.Hour, now.Add(47*time.Hour)
	_, ok = rules.Answer(in)
	assert.False(t, ok, "it ran out with them, whatever the rules say now")
}

func TestRulesOfApprovalAreChecked(t *testing.T) {
	named := awaiting(t).Rules.Named
	good := rules.Rule{Require: rules.RequireApproval, By: []string{"jo", "kim"}, Count: 2, MaxAge: time.Hour}
	for name, tc := range map[string]struct {
		change        func(*rules.Rule)
		input, reason string
	}{
		"no end":         {func(r *rules.Rule) { r.MaxAge = 0 }, "verification.rules[0].maxAge", "is missing"},
		"a stranger":     {func(r *rules.Rule) { r.By[1] = "eve" }, `verification.rules[0].by "eve"`, "is not an approver"},
		"more than are":  {func(r *rules.Rule) { r.Count = 3 }, "verification.rules[0].count 3", "can't be met: 2 may approve"},
		"fewer than one": {func(r *rules.Rule) { r.Count = -1 }, "verification.rules[0].count -1", "can't be met"},
		"one twice":      {func(r *rules.Rule) { r.By[1] = "jo" }, "verification.rules[0].by", "names somebody twice"},
		"for tests":      {func(r *rules.Rule) { *r = rules.Rule{Require: rules.RequireTests, Count: 2} }, "verification.rules[0].count", "means nothing for tests"},
		"by for a scan":  {func(r *rules.Rule) { *r = rules.Rule{Require: rules.RequireScan, By: []string{"jo"}} }, "verification.rules[0].by", "means nothing for scan"},
	} {
		rule := good
		rule.By = slices.Clone(good.By)
		tc.change(&rule)
		err := rules.Rules{Named: named, Rules: []rules.Rule{rule}}.Validate("verification", []string{"production"})
		f, ok := step.AsFault(err)
		require.True(t, ok, name)
		assert.Equal(t, tc.input, f.Input, name)
		assert.Contains(t, f.Reason, tc.reason, name)
		assert.NotEmpty(t, f.Mend, name)
	}
	f, ok := step.AsFault(rules.Rules{Rules: []rules.Rule{{Require: rules.RequireApproval, MaxAge: time.Hour}}}.Validate("verification", nil))
	require.True(t, ok)
	assert.Contains(t, f.Reason, "can't be met: 0 may approve")
}

// What was decided before there were approvals is what it was.
func TestWithoutApproversAPolicyIsWhatItWas(t *testing.T) {
	in := complete(t)
	want := rules.Judge(in)
	in.Rules.Named, in.KeyHint = awaiting(t).Rules.Named, "the platform's key"
	assert.Equal(t, want.PolicyDigest, rules.Judge(in).PolicyDigest, "nobody is asked")
	assert.Equal(t, want.Decision().Encode(), rules.Judge(in).Decision().Encode())
	assert.Equal(t, "sha256:468c01902f0753c470a4d1f9b2337784dc430cf83149ace4552db599e05583da", want.PolicyDigest)
}

// Whom the rules of each environment ask, for how long it counts, and whether anything
// waits for them.
func TestWhomRulesAsk(t *testing.T) {
	ada, jo := rules.Approver{PublicKey: "gitops/ada.pub"}, rules.Approver{PublicKey: "gitops/jo.pub"}
	r := rules.Rules{Named: map[string]rules.Approver{"ada": ada, "jo": jo}, Rules: []rules.Rule{
		{Require: rules.RequireTests},
		{Require: rules.RequireApproval, Environments: []string{"production"}, By: []string{"ada"}, MaxAge: 3 * time.Hour},
		{Require: rules.RequireApproval, Environments: []string{"production", "staging"}, By: []string{"ada", "jo"}, MaxAge: 2 * time.Hour},
		{Require: rules.RequireNoFreeze, Environments: []string{"production"}, By: []string{"jo"}, MaxAge: 4 * time.Hour},
		{Require: rules.RequireNoFreeze, Environments: []string{"frozen"}, MaxAge: 9 * time.Hour},
		{Require: rules.RequireSoak, Environments: []string{"soaked"}, In: "staging", MaxAge: 9 * time.Hour},
		{Require: rules.RequireApproval, Environments: []string{"all"}, MaxAge: time.Hour},
		{Require: rules.RequireScan, By: []string{"ada"}, MaxAge: 9 * time.Hour},
	}}
	for env, want := range map[string]struct {
		approvers map[string]rules.Approver
		ada, jo   time.Duration
		first     bool
	}{
		"production": {r.Named, 3 * time.Hour, 4 * time.Hour, true},
		"staging":    {r.Named, 2 * time.Hour, 2 * time.Hour, true},
		"all":        {r.Named, time.Hour, time.Hour, true},
		"frozen":     {map[string]rules.Approver{}, 0, 0, true},
		"soaked":     {map[string]rules.Approver{}, 0, 0, true},
		"dev":        {map[string]rules.Approver{}, 0, 0, false},
	} {
		assert.Equal(t, want.approvers, r.Approvers(env), env)
		assert.Equal(t, []time.Duration{want.ada, want.jo, 0}, []time.Duration{r.ApprovalAge(env, "ada"), r.ApprovalAge(env, "jo"), r.ApprovalAge("dev", "jo")}, env)
		assert.Equal(t, want.first, r.AsksFirst(env), env)
		assert.False(t, r.WithoutWaits().AsksFirst(env), env)
	}
	only := r
	only.Rules = r.Rules[1:2]
	assert.Equal(t, map[string]rules.Approver{"ada": ada}, only.Approvers("production"), "nobody whom no rule asks")
	assert.Equal(t, time.Duration(0), only.ApprovalAge("production", "jo"))

	for n, want := range []bool{false, true, true, true, false, false, true, false} {
		assert.Equal(t, want, rules.Rules{Rules: r.Rules[n : n+1]}.AsksApprovers(), "%v", r.Rules[n])
	}
	assert.False(t, rules.Rules{}.AsksApprovers())
	assert.Equal(t, rules.Rules{Rules: []rules.Rule{r.Rules[0], r.Rules[7]}}, r.WithoutWaits())
	assert.Len(t, r.Rules, 8, "the rules stay as they are")
	assert.Equal(t, r.Named, rules.Rules{Named: r.Named}.Named)
}

func TestSaidAreTheApprovalsOfOneImageInOneEnvironment(t *testing.T) {
	with := func(by string, change func(*rules.Approved)) rules.Approval { return approved(t, by, change) }
	unread := approved(t, "eve")
	unread.Approved = json.RawMessage(string(unread.Approved) + "{}")
	assert.Equal(t, []string{
		"approved by jo at 2026-11-24T11:00:00Z",
		"approved by kim at 2026-11-24T11:00:00Z, overriding freeze winter: an outage",
		"approved by lee at 2026-11-24T11:00:00Z: looks good",
		"approved by sam at 2026-11-24T11:00:00Z, overriding freeze winter",
	}, rules.Said([]rules.Approval{
		unread, approved(t, "jo"),
		with("eve", func(p *rules.Approved) { p.Image = "localhost:5000/other@" + digest }),
		with("kim", func(p *rules.Approved) { p.Freeze, p.Reason = "winter", "an outage" }),
		with("eve", func(p *rules.Approved) { p.Environment = "staging" }),
		with("lee", func(p *rules.Approved) { p.Reason = "looks good" }),
		with("sam", func(p *rules.Approved) { p.Freeze = "winter" }),
	}, reference, "production"))
	assert.Empty(t, rules.Said(nil, reference, "production"))
}

func TestHowManyMayApprove(t *testing.T) {
	named := map[string]rules.Approver{"jo": {PublicKey: "a"}, "kim": {PublicKey: "b"}}
	for count, ok := range map[int]bool{-1: false, 0: true, 1: true, 2: true, 3: false} {
		for _, by := range [][]string{nil, {"jo", "kim"}} {
			err := rules.Rules{Named: named, Rules: []rules.Rule{{Require: rules.RequireApproval, By: by, Count: count, MaxAge: time.Hour}}}.Validate("verification", nil)
			assert.Equal(t, ok, err == nil, "%d of %v: %v", count, by, err)
		}
	}
	err := rules.Rules{Rules: []rules.Rule{{Require: rules.RequireApproval, MaxAge: time.Hour}}}.Validate("verification", nil)
	require.ErrorContains(t, err, "can't be met: 0 may approve", "not even one, where nobody is named")
}

// Of what somebody gives twice the longer counts, and the decision ends with the last of
// those that it needs.
func TestAnApprovalTwiceCountsAsLongAsTheLongerOne(t *testing.T) {
	of := func(by string, ago time.Duration) rules.Approval {
		return approved(t, by, func(p *rules.Approved) { p.At = now.Add(-ago) })
	}
	for _, approvals := range [][]rules.Approval{
		{of("jo", 3*time.Hour), of("jo", time.Hour), of("kim", 2*time.Hour)}, {of("jo", time.Hour), of("jo", 3*time.Hour), of("kim", 2*time.Hour)},
		{of("kim", 2*time.Hour), of("jo", 3*time.Hour), of("jo", time.Hour)},
	} {
		outcome := verdicts(rules.Judge(awaiting(t, approvals...)))[rules.RequireApproval]
		assert.Equal(t, "approved by jo until 2026-11-26T11:00:00Z, kim until 2026-11-26T10:00:00Z", outcome.Reason)
	}
	lee := of("lee", 3*time.Hour)
	lee.Signer = sign.Signer{Identity: "lee@acme.example", Issuer: "https://login.acme.example"}
	for _, approvals := range [][]rules.Approval{{lee, of("jo", 5*time.Hour), of("kim", time.Hour)}, {of("kim", time.Hour), lee, of("jo", 5*time.Hour)}} {
		in := awaiting(t, approvals...)
		in.Rules.SummaryMaxAge = 30 * 24 * time.Hour
		assert.Equal(t, now.Add(45*time.Hour), rules.Judge(in).Until, "two are wanted, and so many are left until then")
	}
	// One name by another's key is nobody's second approval, however long it counts.
	borrowed := of("kim", 0)
	borrowed.Signer.KeyHint = "key of jo"
	assert.Equal(t, "1 of 2 approvals count: jo until 2026-11-26T11:00:00Z", verdicts(rules.Judge(awaiting(t, of("jo", time.Hour), borrowed)))[rules.RequireApproval].Reason)
}

func TestWhoIsLeftToApprove(t *testing.T) {
	in := awaiting(t)
	in.Rules.Rules[0].By = []string{"jo", "kim"}
	in.Rules.Rules = append(in.Rules.Rules, rules.Rule{Require: rules.RequireApproval, Environments: []string{"production"}, By: []string{"sam"}, MaxAge: time.Hour})
	j := rules.Judge(in)
	command := "dagger call signed --app hello --digest " + digest + " approve --env production --by NAME"
	assert.Equal(t, rules.Outcome{Rule: rules.RequireApproval, Verdict: rules.Refuse, Reason: "0 of 2 approvals count", Mend: "have 2 more of jo, kim approve it: " + command}, j.Outcomes[1])
	assert.Equal(t, rules.Outcome{Rule: rules.RequireApproval, Verdict: rules.Refuse, Reason: "0 of 1 approvals count", Mend: "have 1 more of sam approve it: " + command}, j.Outcomes[2])
}

func TestAnyOfAnApproversAddressesIsTheirs(t *testing.T) {
	in := awaiting(t, approved(t, "jo"), approved(t, "kim"))
	in.Rules.Named["kim"] = rules.Approver{PublicKey: "gitops/kim.pub", Emails: []string{"kim@home.example", "ada@acme.example"}}
	assert.Contains(t, verdicts(rules.Judge(in))[rules.RequireApproval].Reason, "kim's doesn't count: they are an author of the commit")

	// Provenance by hand that names authors of what is not committed.
	b := build()
	b.Revision, b.Authors = b.Revision+evidence.Dirty, nil
	p := b.Provenance()
	p.BuildDefinition.ResolvedDependencies[0].Annotations = map[string][]string{"authors": {"ada@acme.example"}}
	in = awaiting(t, approved(t, "jo"), approved(t, "kim"))
	in.Statements[3] = statement(t, evidence.ProvenanceType, p)
	assert.Contains(t, verdicts(rules.Judge(in))[rules.RequireApproval].Reason, "no provenance says whose commit it is")
}

func TestWhoHasJustSignedDelivers(t *testing.T) {
	in := awaiting(t)
	in.KeyHint = ""
	in.Statements = append(make([]sign.Statement, 0, 20), in.Statements...)
	for _, name := range []string{"jo", "kim", "lee"} {
		assert.Empty(t, in.Unfit(name), "nobody is known by no key and no name")
	}
	const issuer = "https://login.acme.example"
	lee := &sign.Attached{Identity: "lee@acme.example", Issuer: issuer}
	first := in.DeliveredBy([]*sign.Attached{{Identity: "ci@acme.example", Issuer: issuer}, lee})
	second := in.DeliveredBy([]*sign.Attached{{KeyHint: "another"}, {Identity: "lee@acme.example", Issuer: "https://elsewhere.example"}})
	assert.Equal(t, "doesn't count: they have signed or delivered it", first.Unfit("lee"))
	assert.Empty(t, second.Unfit("lee"))
	assert.Empty(t, in.Unfit("lee"), "the input stays as it is")
	approval := approved(t, "kim")
	approval.Signer.KeyHint = "another"
	second.Approvals = []rules.Approval{approval}
	assert.Contains(t, verdicts(rules.Judge(second))[rules.RequireApproval].Reason, "kim's doesn't count: they have signed or delivered it")
	assert.Len(t, second.Statements, len(in.Statements)+2)
}
