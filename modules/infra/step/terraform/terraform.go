// Package terraform drives a real terraform executable, one subcommand at a
// time, and turns what it says into typed results and Faults.
package terraform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/terraform-exec/tfexec"
	tfjson "github.com/hashicorp/terraform-json"

	"slipway/step"
)

// Supported are the Terraform versions that are driven: init tells its
// diagnostics as JSON since 1.9. Pre-releases are not among them.
const Supported = ">= 1.9, < 2"

const (
	lockFile = ".terraform.lock.hcl"
	// grace is how long an interrupted Terraform may take to save the state
	// and to give back the lock.
	grace = 60 * time.Second
)

// Terraform is one terraform executable in one working copy of a root.
type Terraform struct {
	// Version is the executable's.
	Version string

	stage    string
	path     string
	dir      string
	env      map[string]string
	tf       *tfexec.Terraform
	progress io.Writer
}

// Options say what to drive and where.
type Options struct {
	// Stage is the stage that Faults name.
	Stage string
	// Path is the executable's.
	Path string
	// Dir is the working copy of the root; Terraform writes into it.
	Dir string
	// Scratch is a folder for Terraform's home and temporary files.
	Scratch string
	// Env adds to Terraform's environment, which inherits nothing.
	Env map[string]string
	// Progress gets short lines for people.
	Progress io.Writer
}

// Open finds the executable and checks its version. Absent, not Terraform and
// not supported are input Faults.
func Open(ctx context.Context, o Options) (*Terraform, error) {
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, err
	}
	mend := "give the path of a terraform executable, version " + Supported
	if info, err := os.Stat(path); o.Path == "" || err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return nil, step.Input(o.Stage, fmt.Sprintf("--terraform %q", o.Path), "is not an executable file", mend).Because(err)
	}
	env := map[string]string{"CHECKPOINT_DISABLE": "1"}
	for name, folder := range map[string]string{"HOME": "home", "TMPDIR": "tmp"} {
		env[name] = filepath.Join(o.Scratch, folder)
		if err := os.MkdirAll(env[name], 0o700); err != nil {
			return nil, err
		}
	}
	maps.Copy(env, o.Env)
	tf, err := tfexec.NewTerraform(o.Dir, path)
	if err != nil {
		return nil, err
	}
	if err := tf.SetEnv(env); err != nil {
		return nil, err
	}
	if err := tf.SetWaitDelay(grace); err != nil {
		return nil, err
	}
	v, _, err := tf.Version(ctx, true)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, step.Input(o.Stage, "--terraform "+o.Path, "does not run as Terraform: "+lastLine(err.Error()), mend).Because(err)
	}
	if !version.MustConstraints(version.NewConstraint(Supported)).Check(v) {
		return nil, step.Input(o.Stage, "--terraform "+o.Path, "is version "+v.String()+", not "+Supported, mend)
	}
	return &Terraform{Version: v.String(), stage: o.Stage, path: path, dir: o.Dir, env: env, tf: tf, progress: o.Progress}, nil
}

// Init prepares the working copy with exactly the providers of its lock file,
// and with its remote state when remote is true. Without a lock file nothing
// can be installed, so that code which needs a provider is refused.
func (t *Terraform) Init(ctx context.Context, remote bool) error {
	_, err := os.Stat(filepath.Join(t.dir, lockFile))
	locked := err == nil
	nothing := filepath.Join(t.env["HOME"], "no-providers")
	if err := os.MkdirAll(nothing, 0o700); err != nil {
		return err
	}
	log := t.log()
	var stderr tail
	// terraform-exec has no option for -lockfile.
	cmd := exec.CommandContext(ctx, t.path, initArgs(remote, locked, nothing)...)
	cmd.Dir = t.dir
	for name, value := range t.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, "TF_IN_AUTOMATION=1")
	cmd.Stdout, cmd.Stderr = log, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = grace
	err = cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return initFault(t.stage, log.diagnostics, locked, fmt.Errorf("%w: %s", err, stderr.String()))
	}
	if remote {
		return t.checkBackend()
	}
	return nil
}

// initArgs is the argv of terraform init.
func initArgs(remote, locked bool, nothing string) []string {
	args := []string{"init", "-json", "-no-color", "-input=false", "-lockfile=readonly"}
	if !remote {
		args = append(args, "-backend=false")
	}
	if !locked {
		args = append(args, "-plugin-dir="+nothing)
	}
	return args
}

// checkBackend proves that the code keeps its state where the endpoint says:
// code without a backend would keep it in the working copy, to be lost, and a
// setting in the code would win over the endpoint's.
func (t *Terraform) checkBackend() error {
	const mend = `declare backend "http" {} in the code, with nothing in it`
	data, err := os.ReadFile(filepath.Join(t.dir, ".terraform", "terraform.tfstate"))
	if errors.Is(err, fs.ErrNotExist) {
		return step.Input(t.stage, "code", "declares no backend for its state", mend)
	}
	if err != nil {
		return err
	}
	var doc struct {
		Backend struct {
			Type   string         `json:"type"`
			Config map[string]any `json:"config"`
		} `json:"backend"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("backend of the working copy: %w", err)
	}
	if doc.Backend.Type != "http" {
		return step.Input(t.stage, "code", fmt.Sprintf("declares the backend %q", doc.Backend.Type), mend)
	}
	for name, value := range doc.Backend.Config {
		if value != nil {
			return step.Input(t.stage, "code", "sets "+name+" of its backend", mend)
		}
	}
	return nil
}

// Validate checks the code. Its errors are one input Fault with a line
// "file:line: what" for each.
func (t *Terraform) Validate(ctx context.Context) error {
	out, err := t.tf.Validate(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fault(t.stage, "validate", nil, err)
	}
	if !out.Valid {
		return validateFault(t.stage, out.Diagnostics)
	}
	return nil
}

// State is the current state's identity; "" and 0 when there is none yet.
func (t *Terraform) State(ctx context.Context) (lineage string, serial uint64, err error) {
	text, err := t.tf.StatePull(ctx)
	if ctx.Err() != nil {
		return "", 0, ctx.Err()
	}
	if err != nil {
		return "", 0, step.Infrastructure(t.stage, "state", "can't be read: "+lastLine(err.Error()),
			"see that the state backend runs, then try again").Because(err)
	}
	if text == "" {
		return "", 0, nil
	}
	var doc struct {
		Lineage string  `json:"lineage"`
		Serial  *uint64 `json:"serial"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil || doc.Serial == nil {
		return "", 0, step.Infrastructure(t.stage, "state", "is not a Terraform state", "restore the state from a backup")
	}
	return doc.Lineage, *doc.Serial, nil
}

// Plan plans to the file out, with the variable files in their order (later
// ones win). It returns whether applying the plan would change anything, and
// Terraform's warnings, one line each.
func (t *Terraform) Plan(ctx context.Context, out string, varFiles []string, lockTimeout time.Duration) (changes bool, warnings []string, err error) {
	opts := []tfexec.PlanOption{tfexec.Out(out), tfexec.LockTimeout(lockTimeout.String())}
	for _, file := range varFiles {
		opts = append(opts, tfexec.VarFile(file))
	}
	log := t.log()
	changes, err = t.tf.PlanJSON(ctx, log, opts...)
	t.tf.SetStdout(io.Discard)
	if ctx.Err() != nil {
		return false, nil, ctx.Err()
	}
	if err != nil {
		return false, nil, fault(t.stage, "plan", log.diagnostics, err)
	}
	return changes, log.warnings(), nil
}

// Show reads a plan file.
func (t *Terraform) Show(ctx context.Context, file string) (*tfjson.Plan, error) {
	p, err := t.tf.ShowPlanFile(ctx, file, tfexec.JSONNumber(true))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, step.Input(t.stage, "plan file", "can't be read: "+lastLine(err.Error()),
			"plan again with the Terraform version that applies").Because(err)
	}
	return p, nil
}

// ErrorStateFile is the file, below the working copy, that holds the state
// after an apply that could not store it.
const ErrorStateFile = "errored.tfstate"

// Apply applies a plan file, exactly.
func (t *Terraform) Apply(ctx context.Context, file string, lockTimeout time.Duration) error {
	log := t.log()
	err := t.tf.ApplyJSON(ctx, log, tfexec.DirOrPlan(file), tfexec.LockTimeout(lockTimeout.String()))
	t.tf.SetStdout(io.Discard)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fault(t.stage, "apply", log.diagnostics, err)
	}
	return nil
}

// Output is one root output.
type Output struct {
	Sensitive bool `json:"sensitive"`
	// Type is the value's in Terraform's JSON type notation.
	Type json.RawMessage `json:"type"`
	// Value is absent when the output is sensitive.
	Value json.RawMessage `json:"value,omitempty"`
}

// Outputs reads the state's outputs, without the values of sensitive ones.
func (t *Terraform) Outputs(ctx context.Context) (map[string]Output, error) {
	all, err := t.tf.Output(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, step.Infrastructure(t.stage, "outputs", "can't be read: "+lastLine(err.Error()),
			"see that the state backend runs, then read the outputs again").Because(err)
	}
	outputs := make(map[string]Output, len(all))
	for name, o := range all {
		kept := Output{Sensitive: o.Sensitive, Type: o.Type}
		if !o.Sensitive {
			kept.Value = o.Value
		}
		outputs[name] = kept
	}
	return outputs, nil
}

func (t *Terraform) log() *log { return &log{progress: t.progress} }
