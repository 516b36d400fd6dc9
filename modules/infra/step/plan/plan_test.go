package plan

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/infra/step/code"
	"slipway/infra/step/redact"
	"slipway/step"
	"slipway/step/result/infra"
)

func fault(t *testing.T, err error, kind step.Kind) *step.Fault {
	t.Helper()
	f, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, kind, f.Kind)
	assert.Equal(t, "apply", f.Stage)
	assert.NotEmpty(t, f.Mend)
	return f
}

func binding() Binding {
	return Binding{
		PlanSHA256: code.Digest([]byte("plan")), CodeSHA256: code.Digest([]byte("code")), Environment: "dev",
		StateAddress: "http://localhost:3333/state/local/dev", Program: infra.Program{Name: "Terraform", Version: "1.11.4", SHA256: "sha256:2"}, Lineage: "l", Serial: 3,
	}
}

func TestBindingRefusesWhatItWasNotMadeFor(t *testing.T) {
	b := binding()
	file := filepath.Join(t.TempDir(), File)
	require.NoError(t, os.WriteFile(file, []byte("plan"), 0o600))
	data, err := b.ReadPlan("apply", file)
	require.NoError(t, err)
	assert.Equal(t, "plan", string(data))

	require.NoError(t, os.WriteFile(file, []byte("plaN"), 0o600))
	_, err = b.ReadPlan("apply", file)
	f := fault(t, err, step.KindPolicy)
	assert.Contains(t, f.Reason, b.PlanSHA256)
	_, err = b.ReadPlan("apply", file+"x")
	_ = fault(t, err, step.KindInput)
	for _, none := range []Binding{{PlanSHA256: "sha256:x", CodeSHA256: b.CodeSHA256}, {PlanSHA256: code.Digest([]byte("plaN")), CodeSHA256: "sha256:x"}} {
		_, err = none.ReadPlan("apply", file)
		assert.Equal(t, "is not a sha256 digest", fault(t, err, step.KindInput).Reason)
	}

	assert.NoError(t, b.CheckCode("apply", b.CodeSHA256))
	_ = fault(t, b.CheckCode("apply", b.PlanSHA256), step.KindPolicy)
	assert.NoError(t, b.CheckEnvironment("apply", "dev"))
	_ = fault(t, b.CheckEnvironment("apply", "production"), step.KindPolicy)

	assert.NoError(t, b.CheckState("apply", b.StateAddress, "l", 3))
	assert.Contains(t, fault(t, b.CheckState("apply", "http://localhost:3333/state/local/staging", "l", 3), step.KindPolicy).Reason, "not the state")
	assert.Contains(t, fault(t, b.CheckState("apply", b.StateAddress, "l", 4), step.KindPolicy).Reason, "has changed")
	assert.Contains(t, fault(t, b.CheckState("apply", b.StateAddress, "m", 3), step.KindPolicy).Reason, "has changed")
}

func TestReadNamesWhatCannotBeRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none")
	var b Binding
	f := fault(t, Read("apply", "binding", file, &b), step.KindInput)
	assert.Equal(t, []string{"binding " + file, "can't be read"}, []string{f.Input, f.Reason})
}

func TestCheckedIsAboutOneBinding(t *testing.T) {
	b := binding()
	good := Checked{PlanSHA256: b.PlanSHA256, CodeSHA256: b.CodeSHA256, Environment: b.Environment, StateAddress: b.StateAddress}
	assert.NoError(t, good.Check("apply", b))
	for name, spoil := range map[string]func(*Checked){
		"plan":        func(c *Checked) { c.PlanSHA256 = b.CodeSHA256 },
		"code":        func(c *Checked) { c.CodeSHA256 = b.PlanSHA256 },
		"environment": func(c *Checked) { c.Environment = "staging" },
		"state":       func(c *Checked) { c.StateAddress = "https://other.example/" },
		"everything":  func(c *Checked) { *c = Checked{} },
	} {
		c := good
		spoil(&c)
		assert.Equal(t, "is not what was checked: ", fault(t, c.Check("apply", b), step.KindPolicy).Reason[:25], name)
	}
}

func TestTheVerdictIsAPolicysAboutTheCode(t *testing.T) {
	b := binding()
	good := Judged{CodeSHA256: b.CodeSHA256, PolicyDigest: code.Digest([]byte("policy")), Threshold: "HIGH"}
	assert.NoError(t, good.Check("apply", b))
	other := good
	other.CodeSHA256 = b.PlanSHA256
	assert.Equal(t, `is not what the policy has judged: "`+b.PlanSHA256+`"`, fault(t, other.Check("apply", b), step.KindPolicy).Reason)
	for name, spoil := range map[string]func(*Judged){
		"no policy":    func(j *Judged) { j.PolicyDigest = "" },
		"no digest":    func(j *Judged) { j.PolicyDigest = "sha256:x" },
		"no threshold": func(j *Judged) { j.Threshold = "" },
		"nothing":      func(j *Judged) { *j = Judged{} },
	} {
		j := good
		spoil(&j)
		assert.NotEmpty(t, fault(t, j.Check("apply", b), step.KindInput).Input, name)
	}
}

func TestReadIsStrict(t *testing.T) {
	file := filepath.Join(t.TempDir(), "binding.json")
	for _, text := range []string{"", "[]", `{"planSha256":"x","more":1}`, `{}{}`} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		var b Binding
		_ = fault(t, Read("apply", "binding", file, &b), step.KindInput)
	}
	var b Binding
	_ = fault(t, Read("apply", "binding", file+"x", &b), step.KindInput)
}

const document = `{
  "format_version": "1.2", "terraform_version": "1.11.4", "complete": true,
  "variables": {"secret": {"value": "hunter2"}, "environment": {"value": "dev"}, "pin": {"value": 4711}},
  "configuration": {"root_module": {"variables": {"secret": {"default": "older-secret", "sensitive": true}, "pin": {"sensitive": true}, "environment": {}}}},
  "resource_changes": [
    {"address": "terraform_data.c", "type": "terraform_data", "change": {"actions": ["create"], "before": null,
      "after": {"input": {"p": "hunter2", "q": "open"}, "set": ["s1", "s2"], "url": "https://u:hunter2@example/", "n": 4711, "old": "older-secret"},
      "after_sensitive": {"input": {"p": true}, "set": [true]}, "before_sensitive": false}},
    {"address": "terraform_data.u", "type": "terraform_data", "change": {"actions": ["update"], "before": {"output": "hunter2"}, "after": {"output": "new"}, "before_sensitive": {}, "after_sensitive": {}}},
    {"address": "terraform_data.d", "type": "terraform_data", "deposed": "1234", "change": {"actions": ["delete"], "before": {"a": 1}, "after": null}},
    {"address": "terraform_data.r", "type": "terraform_data", "change": {"actions": ["create", "delete"], "before": {}, "after": {}}},
    {"address": "terraform_data.f", "type": "terraform_data", "change": {"actions": ["forget"], "before": {}, "after": null}},
    {"address": "data.x.y", "type": "x", "change": {"actions": ["read"], "before": null, "after": {}}},
    {"address": "terraform_data.i", "type": "terraform_data", "change": {"actions": ["no-op"], "importing": {"id": "i-1"}, "before": {}, "after": {}}},
    {"address": "terraform_data.m", "previous_address": "terraform_data.old", "type": "terraform_data", "change": {"actions": ["no-op"], "before": {}, "after": {}}},
    {"address": "terraform_data.n", "type": "terraform_data", "change": {"actions": ["no-op"], "before": {}, "after": {}}}
  ],
  "resource_drift": [{"address": "terraform_data.u", "type": "terraform_data", "change": {"actions": ["update"], "before": {"output": "hunter2"}, "after": {"output": "drifted"}, "after_sensitive": {"output": true}}}],
  "output_changes": {
    "open": {"actions": ["create"], "before": null, "after": "https://example", "before_sensitive": false, "after_sensitive": false},
    "shut": {"actions": ["update"], "before": "shut-before", "after": "shut-after", "before_sensitive": true, "after_sensitive": true},
    "same": {"actions": ["no-op"], "before": 1, "after": 1}
  },
  "prior_state": {"format_version": "1.0", "values": {"root_module": {"resources": [{"address": "terraform_data.u", "values": {"output": "hunter2"}}]}}}
}`

func parse(t *testing.T, text string) *tfjson.Plan {
	t.Helper()
	var p tfjson.Plan
	p.UseJSONNumber(true)
	require.NoError(t, json.Unmarshal([]byte(text), &p))
	return &p
}

func TestRedactLeavesNoSecret(t *testing.T) {
	p := parse(t, document)
	data, err := json.Marshal(Redact(p, &redact.Secrets{}))
	require.NoError(t, err)
	for _, secret := range []string{"hunter2", "older-secret", "4711", `"s1"`, `"s2"`, "drifted", "shut-before", "shut-after"} {
		assert.NotContains(t, string(data), secret)
	}
	for _, open := range []string{`"q":"open"`, "https://example", `"address":"terraform_data.u"`} {
		assert.Contains(t, string(data), open)
	}
	whole, err := json.Marshal(p)
	require.NoError(t, err)
	assert.Contains(t, string(whole), "hunter2", "the plan that was given stays as it is")
}

// A provider hands a secret back where Terraform has no mark.
func TestRedactKnowsASecretInAnyPlace(t *testing.T) {
	const hard = "k9&Zp<3vQ>x!m7T"
	told := func(where, marked, marks, shown string) string {
		change := map[string]any{"actions": []string{"update"}, "before": value(t, shown), "after": value(t, shown)}
		document := map[string]any{"format_version": "1.2", "resource_changes": []any{map[string]any{"address": "helm_release.db", "type": "helm_release", "change": change}}}
		state := func(values any) any {
			return map[string]any{"format_version": "1.0", "values": map[string]any{"root_module": map[string]any{"child_modules": []any{map[string]any{"resources": []any{values}}}}}}
		}
		switch where {
		case "a change":
			change["before"], change["before_sensitive"] = map[string]any{"secret": value(t, marked), "shown": value(t, shown)}, map[string]any{"secret": value(t, marks)}
		case "what a change leads to":
			change["after"], change["after_sensitive"] = map[string]any{"secret": value(t, marked), "shown": value(t, shown)}, map[string]any{"secret": value(t, marks)}
		case "a drift":
			document["resource_drift"] = []any{map[string]any{"address": "x.y", "change": map[string]any{"actions": []string{"update"}, "before": value(t, marked), "before_sensitive": value(t, marks)}}}
		case "an output's change":
			document["output_changes"] = map[string]any{"x": map[string]any{"actions": []string{"create"}, "after": value(t, marked), "after_sensitive": value(t, marks)}}
		case "a variable's default", "a variable":
			variable := map[string]any{"sensitive": true, "default": value(t, marked)}
			if where == "a variable" {
				variable["default"], document["variables"] = nil, map[string]any{"x": map[string]any{"value": value(t, marked)}}
			}
			document["configuration"] = map[string]any{"root_module": map[string]any{"variables": map[string]any{"open": map[string]any{}, "x": variable}}}
		case "a data source":
			document["prior_state"] = state(map[string]any{"address": "data.x.y", "mode": "data", "values": map[string]any{"secret": value(t, marked)}, "sensitive_values": map[string]any{"secret": value(t, marks)}})
		case "a value to come":
			document["planned_values"] = state(map[string]any{"address": "x.y", "values": map[string]any{"secret": value(t, marked)}, "sensitive_values": map[string]any{"secret": value(t, marks)}}).(map[string]any)["values"]
		case "an output":
			document["prior_state"] = map[string]any{"format_version": "1.0", "values": map[string]any{"outputs": map[string]any{"x": map[string]any{"sensitive": value(t, marks), "value": value(t, marked)}}}}
		}
		p := parse(t, string(raw(document)))
		redacted := Redact(p, &redact.Secrets{})
		s, err := Summarize("apply", redacted)
		require.NoError(t, err)
		return string(raw(redacted)) + string(raw(s))
	}
	quoted := string(raw(hard))
	for _, where := range []string{"a change", "what a change leads to", "a drift", "an output's change", "a variable", "a variable's default", "a data source", "a value to come", "an output"} {
		for name, c := range map[string]struct{ marked, marks, shown string }{
			"itself":               {quoted, "true", quoted},
			"in JSON":              {quoted, "true", string(raw(map[string]any{"metadata": []any{map[string]any{"values": string(raw(map[string]any{"auth": map[string]any{"password": hard}}))}}}))},
			"in a query":           {quoted, "true", string(raw("https://x.example/?p=k9%26Zp%3C3vQ%3Ex%21m7T"))},
			"as a name":            {quoted, "true", string(raw(map[string]any{hard: 1}))},
			"of a marked document": {string(raw([]string{"\"auth\":\n  \"password\": \"" + hard + "\"\n"})), "true", string(raw(map[string]any{"values": string(raw(map[string]any{"auth": map[string]any{"password": hard}}))}))},
		} {
			t.Run(where+", "+name, func(t *testing.T) {
				marks := c.marks
				text := told(where, c.marked, marks, c.shown)
				for _, spelled := range []string{hard, `k9\u0026Zp\u003c3vQ\u003ex!m7T`, `k9\\u0026Zp`, "k9%26Zp%3C3vQ%3Ex%21m7T"} {
					assert.NotContains(t, text, spelled)
				}
				assert.Contains(t, text, redact.Value)
				open := told(where, string(raw("another-secret")), marks, c.shown)
				assert.Contains(t, open, "m7T", "control")
			})
		}
	}
}

func TestSummarize(t *testing.T) {
	s, err := Summarize("apply", Redact(parse(t, document), &redact.Secrets{}))
	require.NoError(t, err)
	assert.Equal(t, []int{1, 1, 1, 1, 1, 1, 3}, []int{s.Create, s.Update, s.Delete, s.Replace, s.Read, s.Forget, s.NoOp})
	assert.Equal(t, []string{
		"terraform_data.d (deposed 1234) (delete)", "terraform_data.f (forget)", "terraform_data.r (create, delete)",
	}, s.Destroys())
	var addresses []string
	byAddress := map[string]infra.Resource{}
	for _, r := range s.Resources {
		addresses = append(addresses, r.Address)
		byAddress[r.Address] = r
	}
	assert.Equal(t, []string{
		"data.x.y", "terraform_data.c", "terraform_data.d (deposed 1234)", "terraform_data.f",
		"terraform_data.i", "terraform_data.m", "terraform_data.r", "terraform_data.u",
	}, addresses)
	assert.True(t, byAddress["terraform_data.i"].Importing)
	assert.Equal(t, "terraform_data.old", byAddress["terraform_data.m"].MovedFrom)
	assert.Equal(t, map[string]any{
		"input": map[string]any{"p": redact.Value, "q": "open"}, "set": redact.Value, "url": redact.Value, "n": redact.Value, "old": redact.Value,
	}, byAddress["terraform_data.c"].After)
	assert.Equal(t, []infra.OutputChange{
		{Name: "open", Actions: []string{"create"}, After: "https://example"},
		{Name: "shut", Actions: []string{"update"}, Sensitive: true},
	}, s.Outputs)
	assert.Equal(t, []string{"terraform_data.u"}, s.Drift)
	assert.True(t, s.Any())
}

func TestSummarizeRefusesWhatItCanNotJudge(t *testing.T) {
	for name, text := range map[string]string{
		"an action":       `{"format_version":"1.2","resource_changes":[{"address":"a.b","change":{"actions":["explode"]}}]}`,
		"no action":       `{"format_version":"1.2","resource_changes":[{"address":"a.b","change":{"actions":[]}}]}`,
		"no change":       `{"format_version":"1.2","resource_changes":[{"address":"a.b"}]}`,
		"deferred":        `{"format_version":"1.2","deferred_changes":[{"reason":"x"}]}`,
		"provider action": `{"format_version":"1.2","action_invocations":[{"address":"action.x.y"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Summarize("apply", Redact(parse(t, text), &redact.Secrets{}))
			_ = fault(t, err, step.KindInfrastructure)
		})
	}
}

func TestCheckVariable(t *testing.T) {
	p := parse(t, document)
	assert.NoError(t, CheckVariable("apply", p, "dev"))
	f := fault(t, CheckVariable("apply", p, "production"), step.KindPolicy)
	assert.Contains(t, f.Reason, `"dev"`)
	assert.NoError(t, CheckVariable("apply", &tfjson.Plan{}, "production"), "code without that variable")
}

func TestMask(t *testing.T) {
	many := map[string]any{}
	for i := range 20 {
		many[string(rune('a'+i))] = i == 7
	}
	for name, c := range map[string]struct{ value, marks, want any }{
		"nothing":                 {nil, true, nil},
		"nothing below":           {nil, map[string]any{"a": true}, nil},
		"no marks":                {"x", nil, "x"},
		"not marked":              {"x", false, "x"},
		"marked":                  {"x", true, redact.Value},
		"a mark that is none":     {"x", "yes", redact.Value},
		"a map":                   {map[string]any{"a": "x", "b": "y"}, map[string]any{"a": true, "c": true}, map[string]any{"a": redact.Value, "b": "y"}},
		"a map without marks":     {map[string]any{"a": "x"}, map[string]any{"a": false, "b": nil}, map[string]any{"a": "x"}},
		"a list":                  {[]any{"x", "y", "z"}, []any{false, true, true}, []any{"x", redact.Value, redact.Value}},
		"a list without marks":    {[]any{"x"}, []any{false}, []any{"x"}},
		"a longer list":           {[]any{"x", "y"}, []any{true}, redact.Value},
		"a list of another shape": {map[string]any{"a": "x"}, []any{true}, redact.Value},
		"a map of another shape":  {[]any{"x"}, map[string]any{"a": true}, redact.Value},
		"a text for a map":        {"x", map[string]any{"a": true}, redact.Value},
		"one of many":             {"x", many, redact.Value},
		"far below":               {[]any{map[string]any{"a": []any{"x", "y"}}}, []any{map[string]any{"a": []any{nil, true}}}, []any{map[string]any{"a": []any{"x", redact.Value}}}},
	} {
		given, err := json.Marshal(c.value)
		require.NoError(t, err)
		assert.Equal(t, c.want, mask(c.value, c.marks), name)
		after, err := json.Marshal(c.value)
		require.NoError(t, err)
		assert.Equal(t, string(given), string(after), "%s: the value stays", name)

		// What mask hides is a secret from then on, and nothing else is.
		var secrets redact.Secrets
		collect(c.value, c.marks, &secrets)
		for _, text := range []string{"x", "y", "z"} {
			shown, err := json.Marshal(c.want)
			require.NoError(t, err)
			hidden := strings.Contains(string(given), `"`+text+`"`) && !strings.Contains(string(shown), `"`+text+`"`)
			assert.Equal(t, hidden, secrets.Holds(text), "%s: %s", name, text)
		}
	}
}

// Each of several is looked at, and what a state says of its marks in another way is
// secret as a whole.
func TestEverySecretOfAPlanIsKnown(t *testing.T) {
	secret := func(n int) string { return "secret-number-" + strings.Repeat(string(rune('a'+n)), 3) }
	resource := func(n int, marks string) *tfjson.StateResource {
		return &tfjson.StateResource{AttributeValues: map[string]any{"key": secret(n), "open": "open-" + secret(n)[7:]}, SensitiveValues: json.RawMessage(marks)}
	}
	change := func(n int) *tfjson.ResourceChange {
		return &tfjson.ResourceChange{Change: &tfjson.Change{After: secret(n), AfterSensitive: true}}
	}
	const marked = `{"key":true}`
	p := &tfjson.Plan{
		DeferredChanges: []*tfjson.DeferredResourceChange{nil, {}, {ResourceChange: change(0)}, {ResourceChange: change(1)}},
		PriorState: &tfjson.State{Values: &tfjson.StateValues{
			Outputs: map[string]*tfjson.StateOutput{"none": nil, "a": {Sensitive: true, Value: secret(2)}, "b": {Sensitive: true, Value: secret(3)}, "c": {Value: secret(20)}},
			RootModule: &tfjson.StateModule{
				Resources:    []*tfjson.StateResource{nil, resource(21, ``), resource(22, `{}`), resource(4, marked), resource(5, marked)},
				ChildModules: []*tfjson.StateModule{nil, {Resources: []*tfjson.StateResource{resource(6, marked)}}, {ChildModules: []*tfjson.StateModule{{Resources: []*tfjson.StateResource{resource(7, `{`), resource(8, `true`)}}}}},
			},
		}},
		Variables: map[string]*tfjson.PlanVariable{"a": {Value: secret(9)}, "open": {Value: secret(23)}},
		Config: &tfjson.Config{RootModule: &tfjson.ConfigModule{Variables: map[string]*tfjson.ConfigVariable{
			"none": nil, "a": {Sensitive: true, Default: secret(10)}, "open": {Default: secret(24)}, "unset": {Sensitive: true, Default: secret(11)},
		}}},
	}
	var secrets redact.Secrets
	redacted := Redact(p, &secrets)
	for n := range 26 {
		assert.Equal(t, n < 12, secrets.Holds(secret(n)), secret(n))
	}
	assert.True(t, secrets.Holds("open-number-hhh"), "whose marks can't be read")
	assert.False(t, secrets.Holds("open-number-eee"))
	assert.Len(t, redacted.DeferredChanges, 4)
	assert.Equal(t, redact.Value, redacted.DeferredChanges[3].ResourceChange.Change.After)
	Redact(&tfjson.Plan{Config: &tfjson.Config{}}, &secrets)

	// A name, an index and a path may tell one, too.
	rc := &tfjson.ResourceChange{
		Address: `a.b["` + secret(1) + `"]`, PreviousAddress: `a.c["` + secret(1) + `"]`, ModuleAddress: `module.m["` + secret(1) + `"]`, Index: secret(1),
		Change: &tfjson.Change{Actions: tfjson.Actions{tfjson.ActionNoop}, Importing: &tfjson.Importing{ID: secret(2)}, ReplacePaths: []any{[]any{"a"}, []any{secret(3)}}},
	}
	shown := Redact(&tfjson.Plan{
		ResourceChanges: []*tfjson.ResourceChange{rc, nil}, ActionInvocations: []*tfjson.ActionInvocation{nil, {Address: "a", Type: "t", Name: "n", ProviderName: "p"}},
	}, &secrets)
	got := shown.ResourceChanges[0]
	assert.Equal(t, []any{`a.b["(sensitive)"]`, `a.c["(sensitive)"]`, `module.m["(sensitive)"]`, redact.Value}, []any{got.Address, got.PreviousAddress, got.ModuleAddress, got.Index})
	assert.Equal(t, redact.Value, got.Change.Importing.ID)
	assert.Equal(t, []any{[]any{"a"}, []any{redact.Value}}, got.Change.ReplacePaths)
	assert.Nil(t, shown.ResourceChanges[1])
	assert.Equal(t, []*tfjson.ActionInvocation{{}, {Address: "a", Type: "t", Name: "n", ProviderName: "p"}}, shown.ActionInvocations)
}

func TestASummaryIsInOrder(t *testing.T) {
	noop := func(address, before string) *tfjson.ResourceChange {
		return &tfjson.ResourceChange{Address: address, PreviousAddress: before, Change: &tfjson.Change{Actions: tfjson.Actions{tfjson.ActionNoop}}}
	}
	p := &tfjson.Plan{
		ResourceChanges: []*tfjson.ResourceChange{noop("x.a", "x.a"), noop("x.c", "x.d"), noop("x.b", "x.e")},
		ResourceDrift:   []*tfjson.ResourceChange{{Address: "d.b"}, {Address: "d.a"}},
		OutputChanges: map[string]*tfjson.Change{
			"none": nil, "e": {Actions: tfjson.Actions{tfjson.ActionCreate}, After: 1}, "a": {Actions: tfjson.Actions{tfjson.ActionUpdate}, Before: "x", BeforeSensitive: true, After: "y"},
			"b": {Actions: tfjson.Actions{tfjson.ActionUpdate}, Before: "x", After: "y", AfterSensitive: true}, "c": {Actions: tfjson.Actions{tfjson.ActionCreate}}, "d": {Actions: tfjson.Actions{tfjson.ActionCreate}},
		},
	}
	s, err := Summarize("apply", p)
	require.NoError(t, err)
	assert.Equal(t, []string{"d.a", "d.b"}, s.Drift)
	assert.Equal(t, []string{"x.b (no-op)", "x.c (no-op)", "output a (update)", "output b (update)", "output c (create)", "output d (create)", "output e (create)"}, s.Pending())
	assert.Equal(t, infra.OutputChange{Name: "a", Actions: []string{"update"}, Sensitive: true}, s.Outputs[0])
	assert.Equal(t, infra.OutputChange{Name: "b", Actions: []string{"update"}, Sensitive: true}, s.Outputs[1])
	assert.Equal(t, "x.d", s.Resources[1].MovedFrom)

	for name, c := range map[string]struct {
		p     *tfjson.Plan
		input string
		list  string
	}{
		"no drift":          {&tfjson.Plan{ResourceDrift: []*tfjson.ResourceChange{{Address: "d.b"}, nil}}, "terraform plan", "[]"},
		"no change":         {&tfjson.Plan{ResourceChanges: []*tfjson.ResourceChange{{Address: "x.a"}}}, "x.a", "[]"},
		"no address":        {&tfjson.Plan{ResourceChanges: []*tfjson.ResourceChange{{Change: &tfjson.Change{Actions: tfjson.Actions{"explode"}}}}}, "terraform plan", `["explode"]`},
		"an action":         {&tfjson.Plan{ResourceChanges: []*tfjson.ResourceChange{{Address: "x.a", Change: &tfjson.Change{Actions: tfjson.Actions{"delete", "explode"}}}}}, "x.a", `["delete" "explode"]`},
		"one after another": {&tfjson.Plan{ResourceChanges: []*tfjson.ResourceChange{noop("x.a", ""), nil}}, "terraform plan", "[]"},
	} {
		_, err := Summarize("apply", c.p)
		f := fault(t, err, step.KindInfrastructure)
		assert.Equal(t, []string{c.input, "has an action that this step doesn't know: " + c.list}, []string{f.Input, f.Reason}, name)
	}
}

func TestAReadChangesNothing(t *testing.T) {
	read, create := infra.Resource{Address: "data.a", Actions: []string{"read"}}, infra.Resource{Address: "x.a", Actions: []string{"create"}}
	for name, c := range map[string]struct {
		s       Summary
		any     bool
		pending []string
	}{
		"nothing":   {Summary{}, false, []string{}},
		"a read":    {Summary{Resources: []infra.Resource{read}}, false, []string{}},
		"a change":  {Summary{Resources: []infra.Resource{read, create}}, true, []string{"x.a (create)"}},
		"two":       {Summary{Resources: []infra.Resource{create, read, create}}, true, []string{"x.a (create)", "x.a (create)"}},
		"an output": {Summary{Resources: []infra.Resource{read}, Outputs: []infra.OutputChange{{Name: "o", Actions: []string{"create"}}}}, true, []string{"output o (create)"}},
	} {
		assert.Equal(t, c.any, c.s.Any(), name)
		assert.Equal(t, c.pending, c.s.Pending(), name)
	}
}

func TestAVariableThatIsNotThereIsNoOther(t *testing.T) {
	assert.NoError(t, CheckVariable("apply", &tfjson.Plan{Variables: map[string]*tfjson.PlanVariable{"environment": nil}}, "dev"))
	assert.NoError(t, CheckVariable("apply", &tfjson.Plan{Variables: map[string]*tfjson.PlanVariable{"other": {Value: "x"}}}, "dev"))
	_ = fault(t, CheckVariable("apply", &tfjson.Plan{Variables: map[string]*tfjson.PlanVariable{"environment": {}}}, "dev"), step.KindPolicy)
}
