package code

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"slipway/step"
)

// CheckEphemeral refuses names that are no ephemeral variables of the root in dir:
// Terraform writes the value of any other variable into the plan file.
// https://developer.hashicorp.com/terraform/language/manage-sensitive-data/ephemeral
func CheckEphemeral(stage, dir string, names []string) error {
	declared := map[string]bool{}
	err := each(stage, dir, ".", func(f file) error {
		root, _, _ := f.Body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "variable", LabelNames: []string{"name"}}}})
		for _, block := range root.Blocks {
			inner, _, _ := block.Body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "ephemeral"}}})
			a := inner.Attributes["ephemeral"]
			declared[block.Labels[0]] = a != nil && says(a, true)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		ephemeral, found := declared[name]
		switch {
		case !found:
			return step.Input(stage, fmt.Sprintf("secret variable %.60q", name), "is not declared in the code", "declare it with ephemeral = true, or leave it out")
		case !ephemeral:
			return step.Policy(stage, fmt.Sprintf("secret variable %.60q", name), "is not ephemeral, so Terraform would write its value into the plan",
				"declare it with ephemeral = true; provider settings and write-only arguments take such values")
		}
	}
	return nil
}

// says reports whether an attribute is a boolean that is known.
func says(a *hcl.Attribute, is bool) bool {
	value, problems := a.Expr.Value(nil)
	return !problems.HasErrors() && value.IsWhollyKnown() && !value.IsNull() && value.Type() == cty.Bool && value.True() == is
}
