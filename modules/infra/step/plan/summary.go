package plan

import (
	"fmt"
	"slices"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"

	"slipway/step"
	"slipway/step/result/infra"
)

// Summary is what a plan would do.
type Summary infra.Summary

// Summarize makes the summary of a plan that Redact has been through. A plan
// with an action that it doesn't know, or with changes that Terraform put off,
// can't be judged and is an infrastructure Fault of stage.
func Summarize(stage string, p *tfjson.Plan) (Summary, error) {
	s := Summary{Resources: []infra.Resource{}, Outputs: []infra.OutputChange{}, Drift: []string{}, Warnings: []string{}}
	if len(p.DeferredChanges) > 0 || len(p.ActionInvocations) > 0 {
		return s, step.Infrastructure(stage, "terraform plan", "holds deferred changes or provider actions",
			"plan without them: this step can't judge them")
	}
	for _, rc := range p.ResourceChanges {
		if rc == nil || rc.Change == nil {
			return s, unknownAction(stage, rc)
		}
		a := rc.Change.Actions
		switch {
		case a.NoOp():
			s.NoOp++
		case a.Create():
			s.Create++
		case a.Update():
			s.Update++
		case a.Delete():
			s.Delete++
		case a.Replace():
			s.Replace++
		case a.Read():
			s.Read++
		case a.Forget():
			s.Forget++
		default:
			return s, unknownAction(stage, rc)
		}
		moved := rc.PreviousAddress != "" && rc.PreviousAddress != rc.Address
		if a.NoOp() && rc.Change.Importing == nil && !moved {
			continue
		}
		r := infra.Resource{
			Address: address(rc), Type: rc.Type, Actions: actions(a), Importing: rc.Change.Importing != nil,
			Before: rc.Change.Before, After: rc.Change.After,
		}
		if moved {
			r.MovedFrom = rc.PreviousAddress
		}
		s.Resources = append(s.Resources, r)
	}
	for name, c := range p.OutputChanges {
		if c == nil || c.Actions.NoOp() {
			continue
		}
		o := infra.OutputChange{Name: name, Actions: actions(c.Actions), Sensitive: sensitive(c.BeforeSensitive) || sensitive(c.AfterSensitive)}
		if !o.Sensitive {
			o.Before, o.After = c.Before, c.After
		}
		s.Outputs = append(s.Outputs, o)
	}
	for _, rc := range p.ResourceDrift {
		if rc == nil {
			return s, unknownAction(stage, rc)
		}
		s.Drift = append(s.Drift, address(rc))
	}
	slices.SortStableFunc(s.Resources, func(a, b infra.Resource) int { return strings.Compare(a.Address, b.Address) })
	slices.SortFunc(s.Outputs, func(a, b infra.OutputChange) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(s.Drift)
	return s, nil
}

// Destroys lists the addresses at which the plan ends or abandons an existing
// object: deletes, replacements and forgets.
func (s Summary) Destroys() []string {
	list := []string{}
	for _, r := range s.Resources {
		if slices.Contains(r.Actions, string(tfjson.ActionDelete)) || slices.Contains(r.Actions, string(tfjson.ActionForget)) {
			list = append(list, r.Address+" ("+strings.Join(r.Actions, ", ")+")")
		}
	}
	return list
}

// CheckVariable refuses a plan whose own variable named environment, when it
// has one, is set to another environment than the plan is made for.
func CheckVariable(stage string, p *tfjson.Plan, env string) error {
	v := p.Variables["environment"]
	if v == nil {
		return nil
	}
	if v.Value != env {
		return step.Policy(stage, "environment "+env, fmt.Sprintf("but the plan's variable environment is %q", fmt.Sprint(v.Value)),
			"give the variable file of "+env)
	}
	return nil
}

func unknownAction(stage string, rc *tfjson.ResourceChange) *step.Fault {
	where, list := "terraform plan", []string{}
	if rc != nil && rc.Address != "" {
		where = rc.Address
	}
	if rc != nil && rc.Change != nil {
		list = actions(rc.Change.Actions)
	}
	return step.Infrastructure(stage, where, fmt.Sprintf("has an action that this step doesn't know: %q", list),
		"use a Terraform version that the step supports")
}

func address(rc *tfjson.ResourceChange) string {
	if rc.DeposedKey != "" {
		return rc.Address + " (deposed " + rc.DeposedKey + ")"
	}
	return rc.Address
}

func actions(a tfjson.Actions) []string {
	list := make([]string, len(a))
	for i, action := range a {
		list[i] = string(action)
	}
	return list
}

// Any reports whether any instance or output changes. A read is not a change:
// it has no effect of its own.
func (s Summary) Any() bool {
	for _, r := range s.Resources {
		if !slices.Equal(r.Actions, []string{string(tfjson.ActionRead)}) {
			return true
		}
	}
	return len(s.Outputs) > 0
}
