package plan

import (
	"encoding/json"
	"maps"
	"slices"

	tfjson "github.com/hashicorp/terraform-json"

	"slipway/infra/step/redact"
)

// Redact returns the part of a plan that says what changes (resources, drift,
// outputs), without its sensitive values. Configuration, variables, prior and
// planned state are left out altogether, since Terraform marks not all of the
// secrets in them.
//
// A value is redacted where Terraform marks it, and also where it is equal to
// a marked one or tells it in any spelling: providers, terraform_data among them, hand
// secrets back in attributes that carry no mark. What the plan marks is added to the
// secrets.
func Redact(p *tfjson.Plan, secrets *redact.Secrets) *tfjson.Plan {
	collectPlan(p, secrets)
	out := &tfjson.Plan{
		FormatVersion:    p.FormatVersion,
		TerraformVersion: p.TerraformVersion,
		Complete:         p.Complete,
		Timestamp:        p.Timestamp,
		OutputChanges:    map[string]*tfjson.Change{},
	}
	for _, rc := range p.ResourceChanges {
		out.ResourceChanges = append(out.ResourceChanges, redactResource(rc, secrets))
	}
	for _, rc := range p.ResourceDrift {
		out.ResourceDrift = append(out.ResourceDrift, redactResource(rc, secrets))
	}
	for _, d := range p.DeferredChanges {
		if d == nil {
			d = &tfjson.DeferredResourceChange{}
		}
		out.DeferredChanges = append(out.DeferredChanges, &tfjson.DeferredResourceChange{Reason: d.Reason, ResourceChange: redactResource(d.ResourceChange, secrets)})
	}
	for _, a := range p.ActionInvocations {
		if a == nil {
			a = &tfjson.ActionInvocation{}
		}
		out.ActionInvocations = append(out.ActionInvocations, &tfjson.ActionInvocation{Address: a.Address, Type: a.Type, Name: a.Name, ProviderName: a.ProviderName})
	}
	for name, c := range p.OutputChanges {
		out.OutputChanges[name] = redactChange(c, secrets)
	}
	return out
}

func redactResource(rc *tfjson.ResourceChange, secrets *redact.Secrets) *tfjson.ResourceChange {
	if rc == nil {
		return nil
	}
	r := *rc
	// The key of an instance is a value, too.
	r.Address, r.PreviousAddress, r.ModuleAddress = secrets.Text(rc.Address), secrets.Text(rc.PreviousAddress), secrets.Text(rc.ModuleAddress)
	r.Index = secrets.JSON(rc.Index)
	r.Change = redactChange(rc.Change, secrets)
	return &r
}

func redactChange(c *tfjson.Change, secrets *redact.Secrets) *tfjson.Change {
	if c == nil {
		return nil
	}
	r := &tfjson.Change{
		Actions:         c.Actions,
		Before:          secrets.JSON(mask(c.Before, c.BeforeSensitive)),
		After:           secrets.JSON(mask(c.After, c.AfterSensitive)),
		AfterUnknown:    secrets.JSON(c.AfterUnknown),
		BeforeSensitive: secrets.JSON(c.BeforeSensitive),
		AfterSensitive:  secrets.JSON(c.AfterSensitive),
	}
	if c.Importing != nil {
		r.Importing = &tfjson.Importing{ID: secrets.Text(c.Importing.ID)}
	}
	for _, path := range c.ReplacePaths {
		r.ReplacePaths = append(r.ReplacePaths, secrets.JSON(path))
	}
	return r
}

// mask replaces what marks, a value of the same shape with true at sensitive
// places, points at. Where the shapes differ (a set, whose order isn't kept)
// the whole value goes when anything below is marked.
func mask(value, marks any) any {
	if value == nil || !sensitive(marks) {
		return value
	}
	switch m := marks.(type) {
	case map[string]any:
		v, ok := value.(map[string]any)
		if !ok {
			return redact.Value
		}
		out := maps.Clone(v)
		for key, below := range m {
			if item, ok := out[key]; ok {
				out[key] = mask(item, below)
			}
		}
		return out
	case []any:
		v, _ := value.([]any)
		if len(v) != len(m) {
			return redact.Value
		}
		out := slices.Clone(v)
		for i, below := range m {
			out[i] = mask(out[i], below)
		}
		return out
	default:
		return redact.Value
	}
}

// sensitive reports whether marks hold a mark anywhere. A mark that is neither
// a boolean nor a container counts as one.
func sensitive(marks any) bool {
	switch m := marks.(type) {
	case nil:
		return false
	case bool:
		return m
	case map[string]any:
		for _, below := range m {
			if sensitive(below) {
				return true
			}
		}
		return false
	case []any:
		return slices.ContainsFunc(m, sensitive)
	default:
		return true
	}
}

// collectPlan adds what a plan marks as sensitive: in variables, outputs, changes,
// drift, and the states before and after, those of data sources among them.
func collectPlan(p *tfjson.Plan, secrets *redact.Secrets) {
	if p.Config != nil && p.Config.RootModule != nil {
		for name, v := range p.Config.RootModule.Variables {
			if v == nil || !v.Sensitive {
				continue
			}
			collect(v.Default, true, secrets)
			if set := p.Variables[name]; set != nil {
				collect(set.Value, true, secrets)
			}
		}
	}
	changes := slices.Collect(maps.Values(p.OutputChanges))
	for _, rc := range slices.Concat(p.ResourceChanges, p.ResourceDrift) {
		if rc != nil {
			changes = append(changes, rc.Change)
		}
	}
	for _, d := range p.DeferredChanges {
		if d != nil && d.ResourceChange != nil {
			changes = append(changes, d.ResourceChange.Change)
		}
	}
	for _, c := range changes {
		if c == nil {
			continue
		}
		collect(c.Before, c.BeforeSensitive, secrets)
		collect(c.After, c.AfterSensitive, secrets)
	}
	if p.PriorState != nil {
		CollectState(p.PriorState.Values, secrets)
	}
	CollectState(p.PlannedValues, secrets)
}

// CollectState adds what a state marks as sensitive.
func CollectState(values *tfjson.StateValues, secrets *redact.Secrets) {
	if values == nil {
		return
	}
	for _, o := range values.Outputs {
		if o != nil {
			collect(o.Value, o.Sensitive, secrets)
		}
	}
	collectModule(values.RootModule, secrets)
}

func collectModule(m *tfjson.StateModule, secrets *redact.Secrets) {
	if m == nil {
		return
	}
	for _, r := range m.Resources {
		if r == nil {
			continue
		}
		var marks any = map[string]any{}
		if len(r.SensitiveValues) > 0 && json.Unmarshal(r.SensitiveValues, &marks) != nil {
			marks = true
		}
		collect(r.AttributeValues, marks, secrets)
	}
	for _, child := range m.ChildModules {
		collectModule(child, secrets)
	}
}

// collect adds the marked parts of a value to the secrets. It walks as mask does.
func collect(value, marks any, secrets *redact.Secrets) {
	if !sensitive(marks) {
		return
	}
	switch v := value.(type) {
	case map[string]any:
		if m, ok := marks.(map[string]any); ok {
			for key, item := range v {
				collect(item, m[key], secrets)
			}
			return
		}
	case []any:
		if m, _ := marks.([]any); len(v) == len(m) {
			for i, item := range v {
				collect(item, m[i], secrets)
			}
			return
		}
	}
	secrets.Add(value)
}
