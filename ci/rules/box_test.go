package rules_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/evidence"
	"slipway/ci/rules"
	result "slipway/step/result/build"
	"slipway/step/result/sign"
)

// boxed is what a box says that held a build without a network; a change makes another.
func boxed(change func(*result.Box)) *result.Box {
	b := &result.Box{
		Network: []string{}, Usage: result.Usage{Used: []result.Use{}}, User: "65532", Capabilities: []string{},
		Limits: map[string]string{"time": "20m0s", "memory": "4GiB", "processes": "1024", "output": "64MiB", "disk": "10GiB"},
	}
	if change != nil {
		change(b)
	}
	return b
}

func reaching(b *result.Box) {
	b.Network = []string{"a.example:443", "b.example:80"}
	b.Usage = result.Usage{Used: []result.Use{{Host: "a.example:443", Connections: 3, Sent: 10, Received: 20}}, Refused: 2}
}

// judged is what a rule about the box says of an image whose build and whose tests were
// in boxes; none is nil.
func judged(t *testing.T, rule rules.Rule, built, tested *result.Box) (rules.Judgement, rules.Outcome) {
	t.Helper()
	in := complete(t)
	in.Rules.Rules = append(in.Rules.Rules, rule)
	b, tests := build(), ran("a")
	b.Box, tests.Box = built, tested
	for n, s := range in.Statements {
		switch s.PredicateType {
		case evidence.ProvenanceType:
			in.Statements[n] = statement(t, s.PredicateType, b.Provenance())
		case evidence.TestResultType:
			in.Statements[n] = statement(t, s.PredicateType, evidence.Passed(tree, tests))
		}
	}
	j := rules.Judge(in)
	return j, verdicts(j)[rules.RequireBox]
}

var (
	anyBox  = rules.Rule{Require: rules.RequireBox}
	offline = rules.Rule{Require: rules.RequireBox, Network: rules.NetworkNone}
)

func TestTheBoxIsSaid(t *testing.T) {
	for _, rule := range []rules.Rule{anyBox, offline} {
		_, outcome := judged(t, rule, boxed(nil), boxed(reaching))
		assert.Equal(t, rules.Outcome{Rule: rules.RequireBox, Verdict: rules.Pass, Reason: "built in the box, without a network"}, outcome)
	}
	j, outcome := judged(t, anyBox, boxed(reaching), boxed(reaching))
	assert.Equal(t, rules.Pass, outcome.Verdict)
	assert.Equal(t, "built in the box, with a network of a.example:443, b.example:80; reached: a.example:443 (3 connections, 10 bytes sent, 20 received); 2 requests were refused", outcome.Reason)
	assert.Contains(t, verdicts(j)[rules.RequireTests].Reason, "2 tests have passed, 1 were skipped, with a network of a.example:443")
	_, outcome = judged(t, anyBox, boxed(func(b *result.Box) { b.Network = []string{"a.example:443"} }), boxed(nil))
	assert.Equal(t, "built in the box, with a network of a.example:443, none of which was reached", outcome.Reason)
}

func TestTheBoxIsDemanded(t *testing.T) {
	without := func(limit string) func(*result.Box) { return func(b *result.Box) { delete(b.Limits, limit) } }
	for name, tc := range map[string]struct {
		rule          rules.Rule
		built, tested *result.Box
		reason        string
	}{
		"no box":                  {anyBox, nil, boxed(nil), "its provenance says nothing of the box"},
		"no box of the tests":     {anyBox, boxed(nil), nil, "its test result says nothing of the box"},
		"no network said":         {anyBox, boxed(func(b *result.Box) { b.Network = nil }), boxed(nil), "does not say which network"},
		"no user":                 {anyBox, boxed(func(b *result.Box) { b.User = "" }), boxed(nil), "as whom it ran"},
		"no capabilities said":    {anyBox, boxed(func(b *result.Box) { b.Capabilities = nil }), boxed(nil), "as whom it ran"},
		"no limit of time":        {anyBox, boxed(without("time")), boxed(nil), "limit of time"},
		"no limit of memory":      {anyBox, boxed(without("memory")), boxed(nil), "limit of memory"},
		"no limit of the tests'":  {anyBox, boxed(nil), boxed(without("disk")), "its test result does not say which limit of disk"},
		"a host that is none":     {anyBox, boxed(func(b *result.Box) { b.Network = []string{"*:443"} }), boxed(nil), "names a network that is none"},
		"more than it asked for":  {anyBox, boxed(func(b *result.Box) { reaching(b); b.Network = []string{"b.example:80"} }), boxed(nil), `reached "a.example:443", which is not of its network`},
		"a network":               {offline, boxed(reaching), boxed(nil), "it was built with a network of a.example:443"},
		"a network, not used":     {offline, boxed(func(b *result.Box) { b.Network = []string{"a.example:443"} }), boxed(nil), "none of which was reached"},
		"a use without a network": {offline, boxed(func(b *result.Box) { reaching(b); b.Network = []string{} }), boxed(nil), "which is not of its network"},
	} {
		t.Run(name, func(t *testing.T) {
			j, outcome := judged(t, tc.rule, tc.built, tc.tested)
			assert.Equal(t, rules.Refuse, outcome.Verdict)
			assert.Contains(t, outcome.Reason, tc.reason)
			assert.NotEmpty(t, outcome.Mend)
			assert.Error(t, j.Refusal("verify"))
		})
	}
	in := complete(t)
	in.Rules.Rules = append(in.Rules.Rules, offline)
	in.Statements = in.Statements[:1]
	assert.Equal(t, rules.Refuse, verdicts(rules.Judge(in))[rules.RequireBox].Verdict)
}

// One build without a network is enough: it made these very bytes.
func TestOneBuildInTheBoxIsEnough(t *testing.T) {
	in := complete(t)
	in.Rules.Rules = append(in.Rules.Rules, offline)
	tests := ran("a")
	tests.Box = boxed(nil)
	for _, box := range []*result.Box{boxed(reaching), boxed(nil)} {
		b := build()
		b.Box = box
		in.Statements = append(in.Statements, statement(t, evidence.ProvenanceType, b.Provenance()))
	}
	in.Statements = append(in.Statements, statement(t, evidence.TestResultType, evidence.Passed(tree, tests)))
	assert.Equal(t, rules.Pass, verdicts(rules.Judge(in))[rules.RequireBox].Verdict)
}

func TestTheBoxIsInProvenance(t *testing.T) {
	b := build()
	b.Box = boxed(reaching)
	data, err := json.Marshal(b.Provenance().BuildDefinition.InternalParameters)
	require.NoError(t, err)
	assert.JSONEq(t, `{"platforms": "linux/amd64,linux/arm64", "box": {
		"network": ["a.example:443", "b.example:80"], "used": [{"host": "a.example:443", "connections": 3, "sent": 10, "received": 20}], "refused": 2,
		"user": "65532", "capabilities": [], "limits": {"time": "20m0s", "memory": "4GiB", "processes": "1024", "output": "64MiB", "disk": "10GiB"}
	}}`, string(data))
}

func TestTestsThatNothingIsKnownAboutWereNotInTheBox(t *testing.T) {
	with := func(tree string, box *result.Box) sign.Statement {
		tests := ran("a")
		tests.Box = box
		return statement(t, evidence.TestResultType, evidence.Passed(tree, tests))
	}
	unread := sign.Statement{PredicateType: evidence.TestResultType, Predicate: json.RawMessage("[1]")}
	for name, tc := range map[string]struct {
		tests  []sign.Statement
		reason string
	}{
		"unreadable":         {[]sign.Statement{unread}, "its test result can't be read"},
		"of another source":  {[]sign.Statement{with(strings.Repeat("0", 40), boxed(nil))}, "its test result is one of another source"},
		"outside":            {[]sign.Statement{with(tree, nil)}, "its test result says nothing of the box"},
		"each in its way":    {[]sign.Statement{with(tree, nil), unread}, "its test result can't be read"},
		"of another outside": {[]sign.Statement{unread, with(strings.Repeat("0", 40), nil)}, "its test result says nothing of the box"},
		"one of them in it":  {[]sign.Statement{unread, with(tree, boxed(nil)), with(tree, nil)}, ""},
		"none":               {nil, ""},
	} {
		in := complete(t)
		in.Rules.Rules = []rules.Rule{anyBox}
		b := build()
		b.Box = boxed(nil)
		in.Statements = append([]sign.Statement{in.Statements[1], statement(t, evidence.ProvenanceType, b.Provenance())}, tc.tests...)
		outcome := verdicts(rules.Judge(in))[rules.RequireBox]
		if tc.reason == "" {
			assert.Equal(t, rules.Pass, outcome.Verdict, name)
			continue
		}
		assert.Equal(t, []string{"refuse", tc.reason}, []string{string(outcome.Verdict), outcome.Reason}, name)
	}
}
