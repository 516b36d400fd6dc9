package plan

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"
)

// Redacted stands for a sensitive value.
const Redacted = "(sensitive)"

// minSubstring is the length, in bytes, from which a secret is also looked for
// inside longer strings; shorter ones would match by chance.
const minSubstring = 6

// Redact returns the part of a plan that says what changes (resources, drift,
// outputs), without its sensitive values. Configuration, variables, prior and
// planned state are left out altogether, since Terraform marks not all of the
// secrets in them.
//
// A value is redacted where Terraform marks it, and also where it is equal to
// a marked one or contains it: providers, terraform_data among them, hand
// secrets back in attributes that carry no mark.
func Redact(p *tfjson.Plan) *tfjson.Plan {
	secrets := secretsOf(p)
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

func redactResource(rc *tfjson.ResourceChange, secrets []string) *tfjson.ResourceChange {
	if rc == nil {
		return nil
	}
	r := *rc
	r.Change = redactChange(rc.Change, secrets)
	return &r
}

func redactChange(c *tfjson.Change, secrets []string) *tfjson.Change {
	if c == nil {
		return nil
	}
	return &tfjson.Change{
		Actions:         c.Actions,
		Before:          scrub(mask(c.Before, c.BeforeSensitive), secrets),
		After:           scrub(mask(c.After, c.AfterSensitive), secrets),
		AfterUnknown:    c.AfterUnknown,
		BeforeSensitive: c.BeforeSensitive,
		AfterSensitive:  c.AfterSensitive,
		Importing:       c.Importing,
		ReplacePaths:    c.ReplacePaths,
	}
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
			return Redacted
		}
		out := maps.Clone(v)
		for key, below := range m {
			if item, ok := out[key]; ok {
				out[key] = mask(item, below)
			}
		}
		return out
	case []any:
		v, ok := value.([]any)
		if !ok || len(v) != len(m) {
			return Redacted
		}
		out := slices.Clone(v)
		for i, below := range m {
			out[i] = mask(out[i], below)
		}
		return out
	default:
		return Redacted
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

// scrub replaces each string that is, or contains, one of the secrets.
func scrub(value any, secrets []string) any {
	switch v := value.(type) {
	case string, json.Number:
		text := leaf(v)
		for _, s := range secrets {
			if text == s || len(s) >= minSubstring && strings.Contains(text, s) {
				return Redacted
			}
		}
		return v
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = scrub(item, secrets)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = scrub(item, secrets)
		}
		return out
	default:
		return value
	}
}

func leaf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	default:
		return ""
	}
}

// secretsOf collects the strings and numbers that a plan marks as sensitive:
// in variables, resource changes, drift, and outputs before and after.
func secretsOf(p *tfjson.Plan) []string {
	found := map[string]bool{}
	if p.Config != nil && p.Config.RootModule != nil {
		for name, v := range p.Config.RootModule.Variables {
			if v == nil || !v.Sensitive {
				continue
			}
			collect(v.Default, true, found)
			if set := p.Variables[name]; set != nil {
				collect(set.Value, true, found)
			}
		}
	}
	changes := slices.Collect(maps.Values(p.OutputChanges))
	for _, rc := range slices.Concat(p.ResourceChanges, p.ResourceDrift) {
		if rc != nil {
			changes = append(changes, rc.Change)
		}
	}
	for _, c := range changes {
		if c == nil {
			continue
		}
		collect(c.Before, c.BeforeSensitive, found)
		collect(c.After, c.AfterSensitive, found)
	}
	delete(found, "")
	return slices.Sorted(maps.Keys(found))
}

// collect walks value beside its marks, as mask does.
func collect(value, marks any, found map[string]bool) {
	if !sensitive(marks) {
		return
	}
	switch v := value.(type) {
	case map[string]any:
		m, ok := marks.(map[string]any)
		for key, item := range v {
			if ok {
				collect(item, m[key], found)
			} else {
				collect(item, true, found)
			}
		}
	case []any:
		m, ok := marks.([]any)
		for i, item := range v {
			if ok && i < len(m) {
				collect(item, m[i], found)
			} else {
				collect(item, true, found)
			}
		}
	default:
		found[leaf(v)] = true
	}
}
