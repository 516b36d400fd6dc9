// Package plan holds what the infra steps hand on about one Terraform plan:
// the binding that says what it was made for, the check's verdict, and a
// summary for people.
package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"slipway/infra/step/code"
	"slipway/step"
	"slipway/step/result/infra"
)

// The files of a plan and of its check, below the steps' output folders.
const (
	// File is Terraform's saved plan. It holds every value in the clear, the
	// sensitive ones too: treat it as a secret.
	File = "plan.tfplan"
	// JSONFile is the redacted change part of the plan; see Redact.
	JSONFile = "plan.json"
	// BindingFile holds a Binding, CheckedFile a Checked.
	BindingFile = "binding.json"
	CheckedFile = "checked.json"
)

// Binding says what a plan was made for.
type Binding infra.Binding

// Judged is the policy's verdict on the code.
type Judged infra.Judged

// Checked is the check's verdict on one plan.
type Checked infra.Checked

// Read decodes one of the JSON files above into value, strictly. It returns an
// input Fault of stage that names what and the file.
func Read(stage, what, file string, value any) error {
	mend := "give the " + what + " file as the stage before wrote it"
	data, err := os.ReadFile(file)
	if err != nil {
		return step.Input(stage, what+" "+file, "can't be read", mend).Because(err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err = dec.Decode(value)
	if err == nil {
		if _, end := dec.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("has something after its object")
		}
	}
	if err != nil {
		return step.Input(stage, what+" "+file, err.Error(), mend).Because(err)
	}
	return nil
}

// ReadPlan reads the plan file and proves that it is the bound one.
func (b Binding) ReadPlan(stage, file string) ([]byte, error) {
	if err := step.Digest(stage, "bound plan", b.PlanSHA256); err != nil {
		return nil, err
	}
	if err := step.Digest(stage, "bound code", b.CodeSHA256); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, step.Input(stage, "plan "+file, "can't be read", "give the plan file that the plan stage wrote").Because(err)
	}
	if got := code.Digest(data); got != b.PlanSHA256 {
		return nil, step.Policy(stage, "plan "+got, "is not the plan that was bound: "+b.PlanSHA256, again)
	}
	return data, nil
}

const again = "plan again, and check that plan"

// CheckCode refuses when the code at hand is not what was planned.
func (b Binding) CheckCode(stage, digest string) error {
	if digest != b.CodeSHA256 {
		return step.Policy(stage, "code "+digest, "is not the code that was planned: "+b.CodeSHA256, again)
	}
	return nil
}

// CheckEnvironment refuses a plan made for another environment.
func (b Binding) CheckEnvironment(stage, env string) error {
	if env != b.Environment {
		return step.Policy(stage, "environment "+env, "is not the one that was planned: "+b.Environment,
			"plan for "+env+", and check that plan")
	}
	return nil
}

// CheckState refuses when the state is another one, or has moved on since the
// plan was made, be it by this very plan.
func (b Binding) CheckState(stage, address, lineage string, serial uint64) error {
	if address != b.StateAddress {
		return step.Policy(stage, "state "+address, "is not the state that was planned on: "+b.StateAddress, again)
	}
	if lineage != b.Lineage || serial != b.Serial {
		return Stale(stage, b.StateAddress)
	}
	return nil
}

// Stale is the refusal of a plan whose state has changed since.
func Stale(stage, address string) *step.Fault {
	return step.Policy(stage, "state "+address, "has changed since the plan was made",
		"plan again: what that plan would have done may be done already")
}

// Check refuses when the verdict is no policy's, or about other code than the binding.
func (j Judged) Check(stage string, b Binding) error {
	if err := step.Digest(stage, "policy of the code's verdict", j.PolicyDigest); err != nil {
		return err
	}
	if j.Threshold == "" {
		return step.Input(stage, "threshold of the code's verdict", "is missing", "scan the code, have the policy judge it, and give its verdict")
	}
	if j.CodeSHA256 != b.CodeSHA256 {
		return step.Policy(stage, "code "+b.CodeSHA256, fmt.Sprintf("is not what the policy has judged: %.80q", j.CodeSHA256), again)
	}
	return nil
}

// Check refuses when the verdict is about something else than the binding.
func (c Checked) Check(stage string, b Binding) error {
	for _, f := range []struct{ what, checked, bound string }{
		{"plan", c.PlanSHA256, b.PlanSHA256},
		{"code", c.CodeSHA256, b.CodeSHA256},
		{"environment", c.Environment, b.Environment},
		{"state", c.StateAddress, b.StateAddress},
	} {
		if f.checked != f.bound {
			return step.Policy(stage, f.what+" "+f.bound, "is not what was checked: "+f.checked, again)
		}
	}
	return nil
}
