package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"

	"slipway/infra/step/redact"
	"slipway/step/result/infra"
)

// Drifted lists what a plan, made with -refresh-only, says has drifted, in the
// order of the addresses.
func Drifted(p *tfjson.Plan, secrets *redact.Secrets) []infra.Drift {
	redacted := Redact(p, secrets)
	list := []infra.Drift{}
	for i, rc := range p.ResourceDrift {
		if rc == nil || rc.Change == nil || rc.Change.Actions.NoOp() {
			continue
		}
		d := infra.Drift{Address: address(redacted.ResourceDrift[i]), Type: rc.Type, Action: strings.Join(actions(rc.Change.Actions), ", "), Attributes: []infra.Attribute{}}
		if rc.Change.After != nil {
			if same(rc.Change.Before, rc.Change.After) {
				continue
			}
			shown := redacted.ResourceDrift[i].Change
			d.Attributes = differences("", [2]any{rc.Change.Before, rc.Change.After}, [2]any{shown.Before, shown.After}, d.Attributes)
		}
		list = append(list, d)
	}
	slices.SortStableFunc(list, func(a, b infra.Drift) int { return strings.Compare(a.Address, b.Address) })
	return list
}

// differences appends where the two real values differ, as their redacted ones
// may be shown. Values are equal or not by what they are, not by what is shown.
func differences(path string, real, shown [2]any, list []infra.Attribute) []infra.Attribute {
	if same(real[0], real[1]) {
		return list
	}
	if a, b, ok := both[map[string]any](real); ok {
		if x, y, ok := both[map[string]any](shown); ok {
			names := maps.Clone(a)
			maps.Copy(names, b)
			for _, name := range slices.Sorted(maps.Keys(names)) {
				list = differences(join(path, name), [2]any{a[name], b[name]}, [2]any{x[name], y[name]}, list)
			}
			return list
		}
	}
	if a, b, ok := both[[]any](real); ok && len(a) == len(b) {
		if x, y, ok := both[[]any](shown); ok {
			for i := range a {
				list = differences(fmt.Sprintf("%s[%d]", path, i), [2]any{a[i], b[i]}, [2]any{x[i], y[i]}, list)
			}
			return list
		}
	}
	if shown[0] == redact.Value || shown[1] == redact.Value {
		shown = [2]any{redact.Value, redact.Value}
	}
	return append(list, infra.Attribute{Path: path, Before: raw(shown[0]), After: raw(shown[1])})
}

func raw(value any) json.RawMessage {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // what was JSON always encodes
	}
	return data
}

// same reports whether two values say the same. A list or map with nothing in it
// says what none says: providers of Terraform's older SDK, azurerm among them, make
// the one of the other at the first refresh after an apply.
// https://developer.hashicorp.com/terraform/plugin/sdkv2/resources/data-consistency-errors
func same(a, b any) bool { return reflect.DeepEqual(bare(a), bare(b)) }

// bare is a value without the keys that say nothing, and nil for an empty one.
func bare(value any) any {
	switch value := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, v := range value {
			if v = bare(v); v != nil {
				kept[name] = v
			}
		}
		if len(kept) == 0 {
			return nil
		}
		return kept
	case []any:
		if len(value) == 0 {
			return nil
		}
		kept := make([]any, len(value))
		for i, v := range value {
			kept[i] = bare(v)
		}
		return kept
	default:
		return value
	}
}

func both[T any](values [2]any) (a, b T, ok bool) {
	a, first := values[0].(T)
	b, second := values[1].(T)
	return a, b, first && second
}

var word = regexp.MustCompile(`\A\w+\z`)

// join adds a key to a path; one that isn't a plain word is quoted.
func join(path, name string) string {
	if !word.MatchString(name) {
		return fmt.Sprintf("%s[%q]", path, name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// Applied reports whether a plan's state holds what an apply made: at least one
// managed resource, unless its code has none.
func Applied(p *tfjson.Plan) bool {
	if p.PriorState != nil && p.PriorState.Values != nil && holds(p.PriorState.Values.RootModule) {
		return true
	}
	return p.Config == nil || !declares(p.Config.RootModule)
}

func holds(m *tfjson.StateModule) bool {
	return m != nil && (slices.ContainsFunc(m.Resources, func(r *tfjson.StateResource) bool { return r != nil && r.Mode == tfjson.ManagedResourceMode }) ||
		slices.ContainsFunc(m.ChildModules, holds))
}

func declares(m *tfjson.ConfigModule) bool {
	if m == nil {
		return false
	}
	if slices.ContainsFunc(m.Resources, func(r *tfjson.ConfigResource) bool { return r != nil && r.Mode == tfjson.ManagedResourceMode }) {
		return true
	}
	for _, call := range m.ModuleCalls {
		if call != nil && declares(call.Module) {
			return true
		}
	}
	return false
}

// Pending lists what applying the plan would change, "address (actions)".
func (s Summary) Pending() []string {
	list := []string{}
	for _, r := range s.Resources {
		if !slices.Equal(r.Actions, []string{string(tfjson.ActionRead)}) {
			list = append(list, r.Address+" ("+strings.Join(r.Actions, ", ")+")")
		}
	}
	for _, o := range s.Outputs {
		list = append(list, "output "+o.Name+" ("+strings.Join(o.Actions, ", ")+")")
	}
	return list
}
