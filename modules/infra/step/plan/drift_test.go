package plan

import (
	"encoding/json"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/infra/step/redact"
	"slipway/step/result/infra"
)

func value(t *testing.T, text string) any {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal([]byte(text), &v))
	return v
}

func drifted(t *testing.T, address string, action tfjson.Action, before, after, sensitive string) *tfjson.ResourceChange {
	t.Helper()
	c := &tfjson.Change{Actions: tfjson.Actions{action}, Before: value(t, before), BeforeSensitive: value(t, sensitive), AfterSensitive: value(t, sensitive)}
	if after != "" {
		c.After = value(t, after)
	}
	return &tfjson.ResourceChange{Address: address, Type: "thing", Change: c}
}

func TestDriftNamesWhatDiffersAndNoSecret(t *testing.T) {
	list := Drifted(&tfjson.Plan{ResourceDrift: []*tfjson.ResourceChange{
		drifted(t, "thing.c", tfjson.ActionNoop, `{"a":1}`, `{"a":1}`, `{}`),
		drifted(t, "thing.b", tfjson.ActionDelete, `{"key":"correct-horse"}`, "", `{"key":true}`),
		drifted(t, "thing.a", tfjson.ActionUpdate,
			`{"key":"correct-horse","same":"x","size":1,"labels":{"a.b/c":"1","team":"x"},"rules":[{"port":1},{"port":2}],"list":[1],"echo":"is correct-horse"}`,
			`{"key":"battery-staple","same":"x","size":2,"labels":{"team":"y"},"rules":[{"port":1},{"port":3}],"list":[1,2],"echo":"is battery-staple"}`,
			`{"key":true}`),
	}}, &redact.Secrets{})
	text, err := json.Marshal(list)
	require.NoError(t, err)
	assert.JSONEq(t, `[
		{"address":"thing.a","type":"thing","action":"update","attributes":[
			{"path":"echo","before":"(sensitive)","after":"(sensitive)"},
			{"path":"key","before":"(sensitive)","after":"(sensitive)"},
			{"path":"labels[\"a.b/c\"]","before":"1","after":null},
			{"path":"labels.team","before":"x","after":"y"},
			{"path":"list","before":[1],"after":[1,2]},
			{"path":"rules[1].port","before":2,"after":3},
			{"path":"size","before":1,"after":2}]},
		{"address":"thing.b","type":"thing","action":"delete","attributes":[]}]`, string(text))
	assert.Equal(t, []infra.Drift{}, Drifted(&tfjson.Plan{}, &redact.Secrets{}))
}

func TestASecretThatOneSideMarksIsHiddenOnBoth(t *testing.T) {
	rc := drifted(t, "thing.a", tfjson.ActionUpdate, `{"key":"correct-horse"}`, `{"key":"plain"}`, `{"key":true}`)
	rc.Change.AfterSensitive = false
	list := Drifted(&tfjson.Plan{ResourceDrift: []*tfjson.ResourceChange{rc}}, &redact.Secrets{})
	assert.Equal(t, []infra.Attribute{{Path: "key", Before: raw(redact.Value), After: raw(redact.Value)}}, list[0].Attributes)
}

func TestNothingIsNoDriftOfNothing(t *testing.T) {
	assert.Empty(t, Drifted(&tfjson.Plan{ResourceDrift: []*tfjson.ResourceChange{
		drifted(t, "thing.a", tfjson.ActionUpdate,
			`{"tags":null,"ids":[],"pool":[{"name":"x","tags":null}],"same":1}`,
			`{"tags":{},"ids":null,"more":[],"pool":[{"name":"x","tags":{}}],"same":1}`, `{}`),
	}}, &redact.Secrets{}))
	for name, c := range map[string]struct{ before, after, path string }{
		"one of none":         {`{"ids":[]}`, `{"ids":["a"]}`, "ids"},
		"none of one":         {`{"ids":["a"]}`, `{"ids":[]}`, "ids"},
		"one of nothing":      {`{"ids":null}`, `{"ids":["a"]}`, "ids"},
		"a place in a list":   {`{"ids":[[]]}`, `{"ids":[[],[]]}`, "ids"},
		"an empty text":       {`{"text":null}`, `{"text":""}`, "text"},
		"false":               {`{"on":null}`, `{"on":false}`, "on"},
		"beside what is none": {`{"a":[],"b":1}`, `{"a":null,"b":2}`, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			list := Drifted(&tfjson.Plan{ResourceDrift: []*tfjson.ResourceChange{drifted(t, "thing.a", tfjson.ActionUpdate, c.before, c.after, `{}`)}}, &redact.Secrets{})
			require.Len(t, list, 1)
			require.Len(t, list[0].Attributes, 1)
			assert.Equal(t, c.path, list[0].Attributes[0].Path)
		})
	}
}

func TestApplied(t *testing.T) {
	code := &tfjson.Config{RootModule: &tfjson.ConfigModule{ModuleCalls: map[string]*tfjson.ModuleCall{
		"m": {Module: &tfjson.ConfigModule{Resources: []*tfjson.ConfigResource{{Mode: tfjson.ManagedResourceMode}}}},
	}}}
	state := func(mode tfjson.ResourceMode) *tfjson.State {
		return &tfjson.State{Values: &tfjson.StateValues{RootModule: &tfjson.StateModule{ChildModules: []*tfjson.StateModule{
			{Resources: []*tfjson.StateResource{{Mode: mode}}},
		}}}}
	}
	assert.False(t, Applied(&tfjson.Plan{Config: code}), "no state")
	assert.False(t, Applied(&tfjson.Plan{Config: code, PriorState: &tfjson.State{}}), "an empty state")
	assert.False(t, Applied(&tfjson.Plan{Config: code, PriorState: state(tfjson.DataResourceMode)}))
	assert.True(t, Applied(&tfjson.Plan{Config: code, PriorState: state(tfjson.ManagedResourceMode)}))
	assert.True(t, Applied(&tfjson.Plan{Config: &tfjson.Config{RootModule: &tfjson.ConfigModule{}}}), "nothing to apply")
}

func TestDriftIsOfEachPart(t *testing.T) {
	list := Drifted(&tfjson.Plan{ResourceDrift: []*tfjson.ResourceChange{
		nil, {Address: "thing.none"}, drifted(t, "thing.noop", tfjson.ActionNoop, `{"a":1}`, `{"a":2}`, `{}`),
		drifted(t, "thing.a", tfjson.ActionUpdate, `{"gone":1,"":1,"a":{"x":1},"b":["k",{"y":1}],"z":"s","kind":{"a":"hidden-9"},"list":[1]}`, `{"new":1,"":2,"a":{"x":2},"b":["l",{"y":2}],"z":"t","kind":[7],"list":{"a":1}}`, `{"z":true,"kind":{"a":true}}`),
	}}, &redact.Secrets{})
	text, err := json.Marshal(list)
	require.NoError(t, err)
	assert.JSONEq(t, `[{"address":"thing.a","type":"thing","action":"update","attributes":[
		{"path":"[\"\"]","before":1,"after":2},{"path":"a.x","before":1,"after":2},{"path":"b[0]","before":"k","after":"l"},{"path":"b[1].y","before":1,"after":2},
		{"path":"gone","before":1,"after":null},{"path":"kind","before":"(sensitive)","after":"(sensitive)"},{"path":"list","before":[1],"after":{"a":1}},
		{"path":"new","before":null,"after":1},{"path":"z","before":"(sensitive)","after":"(sensitive)"}]}]`, string(text))
	for name, path := range map[string]string{"a": "x.a", "Z_9": "x.Z_9", "": `x[""]`, "a.b": `x["a.b"]`, "a b": `x["a b"]`, "ä": `x["ä"]`, "a\n": `x["a\n"]`, "0": "x.0"} {
		assert.Equal(t, path, join("x", name))
	}
	assert.Equal(t, "a", join("", "a"))

	// Which side is marked makes no difference.
	for _, after := range []bool{false, true} {
		rc := drifted(t, "thing.a", tfjson.ActionUpdate, `{"key":"correct-horse"}`, `{"key":"plain"}`, `{}`)
		if after {
			rc.Change.AfterSensitive = value(t, `{"key":true}`)
		} else {
			rc.Change.BeforeSensitive = value(t, `{"key":true}`)
		}
		list := Drifted(&tfjson.Plan{ResourceDrift: []*tfjson.ResourceChange{rc}}, &redact.Secrets{})
		assert.Equal(t, []infra.Attribute{{Path: "key", Before: raw(redact.Value), After: raw(redact.Value)}}, list[0].Attributes)
	}
}

func TestAppliedLooksIntoEveryModule(t *testing.T) {
	managed, data := &tfjson.ConfigResource{Mode: tfjson.ManagedResourceMode}, &tfjson.ConfigResource{Mode: tfjson.DataResourceMode}
	calls := func(modules ...*tfjson.ConfigModule) *tfjson.ConfigModule {
		m := &tfjson.ConfigModule{ModuleCalls: map[string]*tfjson.ModuleCall{"none": nil, "empty": {}}}
		for i, below := range modules {
			m.ModuleCalls[string(rune('a'+i))] = &tfjson.ModuleCall{Module: below}
		}
		return m
	}
	empty, declaring := &tfjson.ConfigModule{Resources: []*tfjson.ConfigResource{nil, data}}, &tfjson.ConfigModule{Resources: []*tfjson.ConfigResource{nil, data, managed}}
	for name, c := range map[string]struct {
		root    *tfjson.ConfigModule
		applied bool
	}{
		"no module": {nil, true}, "a data source": {empty, true}, "data sources below": {calls(empty, calls(empty)), true},
		"a resource": {declaring, false}, "a resource below": {calls(empty, empty, empty, empty, empty, empty, empty, declaring), false}, "a resource further below": {calls(empty, calls(declaring)), false},
	} {
		assert.Equal(t, c.applied, Applied(&tfjson.Plan{Config: &tfjson.Config{RootModule: c.root}}), name)
	}
	assert.True(t, Applied(&tfjson.Plan{}), "no code")
	state := &tfjson.State{Values: &tfjson.StateValues{}}
	assert.False(t, Applied(&tfjson.Plan{Config: &tfjson.Config{RootModule: declaring}, PriorState: state}), "a state without a module")
	state.Values.RootModule = &tfjson.StateModule{Resources: []*tfjson.StateResource{nil, {Mode: tfjson.DataResourceMode}}, ChildModules: []*tfjson.StateModule{nil, {}}}
	assert.False(t, Applied(&tfjson.Plan{Config: &tfjson.Config{RootModule: declaring}, PriorState: state}))
	state.Values.RootModule.ChildModules[1].Resources = []*tfjson.StateResource{{Mode: tfjson.ManagedResourceMode}}
	assert.True(t, Applied(&tfjson.Plan{Config: &tfjson.Config{RootModule: declaring}, PriorState: state}))
}
