package main

import (
	"context"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/receipt"
	"slipway/ci/render"
	"slipway/step"
	"slipway/step/result/infra"
	"slipway/step/result/scan"
)

// Infrastructure is one environment's infrastructure.
type Infrastructure struct {
	// Environment that the infrastructure belongs to.
	Environment string
	Slipway     *Slipway // +private
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
) (*Infrastructure, error) {
	if _, err := s.Config.Environment("plan", env); err != nil {
		return nil, err
	}
	if err := s.asks("plan", env); err != nil {
		return nil, err
	}
	return &Infrastructure{Environment: env, Slipway: s}, nil
}

// root is the Terraform code with its state, as the calls that need no state
// want it.
func (i *Infrastructure) root() (*dagger.InfraRoot, error) {
	s := i.Slipway
	c, at := s.states(i.Environment)
	state, err := c.StateConfig(i.Environment, at.Username)
	if err != nil {
		return nil, err
	}
	allowed, err := c.Allowed()
	if err != nil {
		return nil, err
	}
	root := s.infra().Root(s.Source.Directory("infra"), i.Environment, state,
		dagger.InfraRootOpts{Terraform: s.Terraform, Providers: s.Providers, Folder: c.Code}).WithAllowed(allowed)
	if c.LockTimeout > 0 {
		root = root.WithLockTimeout(c.LockTimeout.String())
	}
	return root, nil
}

// reach is root with the state and, where the state or a provider needs it, the
// cluster.
func (i *Infrastructure) reach(ctx context.Context, stage string) (*dagger.InfraRoot, error) {
	s := i.Slipway
	root, err := i.root()
	if err != nil {
		return nil, err
	}
	if s.Variables != nil {
		root = root.WithVariables(s.Variables)
	}
	if s.Azure != nil {
		if root, err = s.Azure.reach(ctx, stage, root); err != nil {
			return nil, err
		}
	}
	c, at := s.states(i.Environment)
	if !c.InCluster() {
		if err := at.needs(stage, stateAccount+i.Environment); err != nil {
			return nil, err
		}
		connect, err := at.connect(ctx, stage, c.State, stateAlias)
		if err != nil {
			return nil, err
		}
		root = root.WithState(dagger.InfraRootWithStateOpts{Password: at.Password, Service: at.Service, Connect: connect})
	}
	if c.InCluster() || s.Providers != nil && s.Kubeconfig != nil {
		connect, err := s.cluster(ctx, stage, i.Environment)
		if err != nil {
			return nil, err
		}
		root = root.WithCluster(s.Kubeconfig, dagger.InfraRootWithClusterOpts{Service: s.Cluster.Service, Connect: connect})
	}
	return root, nil
}

func anotherPlan(stage, want, got string) error {
	return step.Policy(stage, "plan "+want, "is not the plan that the step saw: "+got, "plan again")
}

const stateAlias = "state"

// Plan compares the code with the environment's state and saves what would
// change.
//
// Example: dagger call infra --env dev plan summary
//
// +cache="never"
func (i *Infrastructure) Plan(ctx context.Context) (*Plan, error) {
	began := time.Now()
	root, err := i.reach(ctx, "plan")
	if err != nil {
		return nil, err
	}
	out, err := root.Plan().Sync(ctx)
	if err != nil {
		return nil, err
	}
	planned, err := resultIn[infra.Planned](ctx, out)
	if err != nil {
		return nil, err
	}
	summary, err := render.Indented(planned.Summary)
	if err != nil {
		return nil, err
	}
	return &Plan{
		Digest: planned.Effect(), Sha256: planned.Binding.PlanSHA256, Code: planned.Binding.CodeSHA256, Program: planned.Binding.Program.String(),
		Changes: planned.Summary.Changes, Summary: summary, Infra: i, Out: out, Stages: after(nil, "plan", began),
	}, nil
}

// Plan is a saved Terraform plan that nothing has checked yet.
type Plan struct {
	// Digest of what the plan would do: another plan of the same code that would do the
	// same to the same state has it, too. An approval is given to it.
	Digest string
	// Sha256 of the saved plan file.
	Sha256 string
	// Program that planned: Terraform or OpenTofu, its version, and the sha256 of the
	// executable.
	Program string
	// Changes is false when there is nothing to do.
	Changes bool
	// Summary of the plan, as JSON: counts, and one entry for each resource.
	Summary string
	Code    string            // +private
	Infra   *Infrastructure   // +private
	Out     *dagger.Directory // +private
	Stages  []Stage           // +private
}

// Check scans the Terraform code for misconfigurations, compares the plan with
// what it was made for, and refuses a plan that destroys or replaces anything
// without an explicit yes.
//
// Example: dagger call infra --env dev plan check sha-256
//
// +cache="never"
func (p *Plan) Check(
	ctx context.Context,
	// Let the plan destroy and replace resources.
	// +optional
	allowDestroy bool,
) (*CheckedPlan, error) {
	began := time.Now()
	c := p.Infra.Slipway.Config
	root, err := p.Infra.root()
	if err != nil {
		return nil, err
	}
	env, err := c.Environment("check", p.Infra.Environment)
	if err != nil {
		return nil, err
	}
	verdict, err := p.Infra.Slipway.judgeCode(ctx, c, root)
	if err != nil {
		return nil, err
	}
	checked := root.Check(p.Out, verdict, dagger.InfraRootCheckOpts{AllowDestroy: allowDestroy || env.AllowDestroy})
	// Without this the check would run again wherever its result is used.
	checked, err = checked.Sync(ctx)
	if err != nil {
		return nil, err
	}
	decided, err := resultIn[infra.CheckedPlan](ctx, checked)
	if err != nil {
		return nil, err
	}
	if decided.Checked.PlanSHA256 != p.Sha256 {
		return nil, anotherPlan("check", p.Sha256, decided.Checked.PlanSHA256)
	}
	return &CheckedPlan{Sha256: p.Sha256, Summary: p.Summary, Plan: p, Out: checked, Stages: after(p.Stages, "check", began)}, nil
}

// CheckedPlan is a plan that may be applied.
type CheckedPlan struct {
	// Sha256 of the saved plan file.
	Sha256 string
	// Summary of the plan, as JSON: counts, and one entry for each resource.
	Summary string
	Plan    *Plan             // +private
	Out     *dagger.Directory // +private
	Stages  []Stage           // +private
}

// Apply applies exactly the checked plan file. A plan for other code, another
// environment or a state that has moved on is refused.
//
// Example: dagger call infra --env dev plan check apply outputs
//
// +cache="never"
func (p *CheckedPlan) Apply(ctx context.Context) (*Applied, error) {
	began := time.Now()
	if _, err := p.Plan.Infra.Slipway.rulesFrom(ctx, "apply", p.Plan.Infra.Environment); err != nil {
		return nil, err
	}
	root, err := p.Plan.Infra.reach(ctx, "apply")
	if err != nil {
		return nil, err
	}
	applied, err := result[infra.Applied](root.Apply(ctx, p.Plan.Out, p.Out))
	if err != nil {
		return nil, err
	}
	if applied.PlanSHA256 != p.Sha256 {
		return nil, anotherPlan("apply", p.Sha256, applied.PlanSHA256)
	}
	outputs, err := render.Indented(applied.Outputs)
	done := p.unchanged()
	done.Outputs, done.Changes, done.Stages = outputs, receipt.PlanApplied, after(p.Stages, "apply", began)
	return done, err
}

// applyChanges applies the plan where there is something to.
func (p *CheckedPlan) applyChanges(ctx context.Context) (*Applied, error) {
	if p.Plan.Changes {
		return p.Apply(ctx)
	}
	return p.unchanged(), nil
}

// unchanged is infrastructure that is as the plan describes it already.
func (p *CheckedPlan) unchanged() *Applied {
	return &Applied{Sha256: p.Sha256, Digest: p.Plan.Digest, Code: p.Plan.Code, Program: p.Plan.Program, Changes: receipt.PlanUnchanged, Stages: p.Stages}
}

// Applied is infrastructure as its checked plan describes it.
type Applied struct {
	// Sha256 of the plan file that was applied.
	Sha256 string
	// Outputs of the Terraform code, as JSON; sensitive values are withheld.
	Outputs string
	Digest  string  // +private
	Code    string  // +private
	Program string  // +private
	Changes string  // +private
	Stages  []Stage // +private
}

// plan is the digest of what the plan would do; empty where that is nothing.
func (p *CheckedPlan) plan() string {
	if !p.Plan.Changes {
		return ""
	}
	return p.Plan.Digest
}

// plan is the digest of what was applied; empty where that is nothing.
func (a *Applied) plan() string {
	if a == nil || a.Changes != receipt.PlanApplied {
		return ""
	}
	return a.Digest
}

// stages are those that led to it, if there is any.
func (a *Applied) stages() []Stage {
	if a == nil {
		return nil
	}
	return a.Stages
}

// Unlock releases the lock that a killed run left on the environment's state, and
// returns the state's address. Nothing else ever breaks a lock: only a person can know
// that its holder is dead.
//
// Example: dagger call infra --env dev unlock --id 6d4e…
//
// +cache="never"
func (i *Infrastructure) Unlock(
	ctx context.Context,
	// The lock's ID, as the refusal named it.
	id string,
) (string, error) {
	root, err := i.reach(ctx, "unlock")
	if err != nil {
		return "", err
	}
	unlocked, err := result[infra.Unlocked](root.Unlock(ctx, id))
	if err != nil {
		return "", err
	}
	return unlocked.StateAddress + "\n", nil
}

// judgeCode scans the code and returns the policy's verdict on it, as the infra step
// reads it.
func (s *Slipway) judgeCode(ctx context.Context, c *config.Config, root *dagger.InfraRoot) (string, error) {
	files := root.Files()
	code, err := resultIn[infra.Code](ctx, files)
	if err != nil {
		return "", err
	}
	found, err := resultIn[scan.Checked](ctx, s.scan().Config(files.Directory("code"), "infra"))
	if err != nil {
		return "", err
	}
	verdict, err := c.Scan.Policy.EvaluateCode("check", code.Digest, found, time.Now())
	if err != nil {
		return "", err
	}
	return render.JSON(verdict)
}
