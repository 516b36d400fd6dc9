package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/policy"
	"slipway/step"
)

// Infra is one environment's infrastructure.
type Infra struct {
	// Environment that the infrastructure belongs to.
	Environment string
	// +private
	Slipway *Slipway
}

// Infra is an environment's infrastructure: the Terraform code of
// infra/<code>, and the environment's state.
//
// Example: dagger call infra --env dev plan summary
//
// +cache="168h"
func (s *Slipway) Infra(
	// The environment.
	env string,
) (*Infra, error) {
	c, err := s.config()
	if err != nil {
		return nil, err
	}
	if _, err := c.Environment("plan", env); err != nil {
		return nil, err
	}
	return &Infra{Environment: env, Slipway: s}, nil
}

func (i *Infra) code(c *config.Config) *dagger.Directory {
	return i.Slipway.Source.Directory("infra/" + c.Infra.Code)
}

// reach is what a Terraform step needs besides its code.
func (i *Infra) reach(ctx context.Context, stage string) (c *config.Config, state, connect string, err error) {
	s := i.Slipway
	if c, err = s.config(); err != nil {
		return nil, "", "", err
	}
	if s.Terraform == nil {
		return nil, "", "", noTerraform(stage)
	}
	state = fmt.Sprintf("%s/%s/%s", c.Infra.State, c.Infra.Code, i.Environment)
	connect, err = s.State.connect(ctx, stage, c.Infra.State, stateAlias)
	return c, state, connect, err
}

func anotherPlan(stage, want, got string) error {
	return step.Policy(stage, "plan "+want, "is not the plan that the step saw: "+got, "plan again")
}

func noTerraform(stage string) error {
	return step.Input(stage, "terraform", "the executable is not given", "give --terraform PATH: terraform 1.9 or later, for linux/amd64")
}

const stateAlias = "state"

// Plan compares the code with the environment's state and saves what would
// change.
//
// Example: dagger call infra --env dev plan summary
//
// +cache="never"
func (i *Infra) Plan(ctx context.Context) (*Plan, error) {
	c, state, connect, err := i.reach(ctx, "plan")
	if err != nil {
		return nil, err
	}
	s := i.Slipway
	out := dag.Terraform().Plan(i.code(c), i.Environment, state, s.Terraform, dagger.TerraformPlanOpts{
		Username: s.State.Username, Password: s.State.Password, Service: s.State.Service, Connect: connect,
	})
	out, err = out.Sync(ctx)
	if err != nil {
		return nil, err
	}
	var planned planResult
	if err := decode(ctx, out, &planned); err != nil {
		return nil, err
	}
	var changes struct {
		Changes bool `json:"changes"`
	}
	if err := json.Unmarshal(planned.Summary, &changes); err != nil {
		return nil, fmt.Errorf("decode plan summary: %w", err)
	}
	return &Plan{
		Sha256: planned.Binding.PlanSha256, Changes: changes.Changes, Summary: string(planned.Summary), Infra: i, Out: out,
	}, nil
}

type planResult struct {
	Summary json.RawMessage `json:"summary"`
	Binding struct {
		PlanSha256 string `json:"planSha256"`
	} `json:"binding"`
}

// Plan is a saved Terraform plan that nothing has checked yet.
type Plan struct {
	// Sha256 of the saved plan file.
	Sha256 string
	// Changes is false when there is nothing to do.
	Changes bool
	// Summary of the plan, as JSON: counts, and one entry a resource.
	Summary string
	// +private
	Infra *Infra
	// +private
	Out *dagger.Directory
}

// Check scans the Terraform code for misconfigurations, compares the plan with
// what it was made for, and refuses a plan that destroys or replaces anything
// without an explicit yes.
//
// Example: dagger call infra --env dev plan check sha256
//
// +cache="never"
func (p *Plan) Check(
	ctx context.Context,
	// Let the plan destroy and replace resources.
	// +optional
	allowDestroy bool,
) (*CheckedPlan, error) {
	s := p.Infra.Slipway
	c, err := s.config()
	if err != nil {
		return nil, err
	}
	env, err := c.Environment("check", p.Infra.Environment)
	if err != nil {
		return nil, err
	}
	if s.Terraform == nil {
		return nil, noTerraform("check")
	}
	code := p.Infra.code(c)
	found, err := s.misconfigurations(ctx, code, "infra/"+c.Infra.Code)
	if err != nil {
		return nil, err
	}
	checked := dag.Terraform().Check(p.Out, code, p.Infra.Environment, s.Terraform, found, string(c.Scan.Policy.Threshold),
		dagger.TerraformCheckOpts{AllowDestroy: allowDestroy || env.AllowDestroy})
	// Without this the check would run again wherever its result is used.
	checked, err = checked.Sync(ctx)
	if err != nil {
		return nil, err
	}
	var decided struct {
		Checked struct {
			PlanSha256 string `json:"planSha256"`
		} `json:"checked"`
	}
	if err := decode(ctx, checked, &decided); err != nil {
		return nil, err
	}
	if decided.Checked.PlanSha256 != p.Sha256 {
		return nil, anotherPlan("check", p.Sha256, decided.Checked.PlanSha256)
	}
	return &CheckedPlan{Sha256: p.Sha256, Plan: p, Out: checked}, nil
}

// CheckedPlan is a plan that may be applied.
type CheckedPlan struct {
	// Sha256 of the saved plan file.
	Sha256 string
	// +private
	Plan *Plan
	// +private
	Out *dagger.Directory
}

// Apply applies exactly the checked plan file. A plan for other code, another
// environment or a state that has moved on is refused.
//
// Example: dagger call infra --env dev plan check apply outputs
//
// +cache="never"
func (p *CheckedPlan) Apply(ctx context.Context) (*Applied, error) {
	infra := p.Plan.Infra
	c, state, connect, err := infra.reach(ctx, "apply")
	if err != nil {
		return nil, err
	}
	s := infra.Slipway
	text, err := dag.Terraform().Apply(ctx, p.Plan.Out, p.Out, infra.code(c), infra.Environment, state, s.Terraform, dagger.TerraformApplyOpts{
		Username: s.State.Username, Password: s.State.Password, Service: s.State.Service, Connect: connect,
	})
	var applied struct {
		PlanSha256 string          `json:"planSha256"`
		Outputs    json.RawMessage `json:"outputs"`
	}
	if err := decodeText(text, err, &applied); err != nil {
		return nil, err
	}
	if applied.PlanSha256 != p.Sha256 {
		return nil, anotherPlan("apply", p.Sha256, applied.PlanSha256)
	}
	return &Applied{Sha256: p.Sha256, Outputs: string(applied.Outputs)}, nil
}

// Applied is infrastructure as its checked plan describes it.
type Applied struct {
	// Sha256 of the plan file that was applied.
	Sha256 string
	// Outputs of the Terraform code, as JSON; sensitive values are withheld.
	Outputs string
}

// misconfigurations scans a folder and returns what no exception lets pass, as
// the JSON list that the infra step reads.
func (s *Slipway) misconfigurations(ctx context.Context, code *dagger.Directory, name string) (string, error) {
	c, err := s.config()
	if err != nil {
		return "", err
	}
	var found struct {
		Misconfigurations []policy.Misconfiguration `json:"misconfigurations"`
		Secrets           []policy.Secret           `json:"secrets"`
	}
	if err := decode(ctx, dag.Scan().Config(code, name), &found); err != nil {
		return "", err
	}
	left, err := c.Scan.Policy.Unexcepted("check", found.Misconfigurations, time.Now())
	if err != nil {
		return "", err
	}
	type finding struct {
		ID       string          `json:"id"`
		Severity policy.Severity `json:"severity"`
		File     string          `json:"file"`
		Line     int             `json:"line"`
		Title    string          `json:"title"`
	}
	list := make([]finding, 0, len(left))
	for _, f := range left {
		list = append(list, finding{f.ID, f.Severity, f.File, f.Line, f.Title})
	}
	for _, f := range found.Secrets {
		list = append(list, finding{f.Rule, policy.Critical, f.File, f.Line, "secret: " + f.Title})
	}
	data, err := json.Marshal(list)
	return string(data), err
}
