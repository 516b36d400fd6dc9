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
