// Package terraform drives a real terraform executable, one subcommand at a
// time, and turns what it says into typed results and Faults.
package terraform

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/terraform-exec/tfexec"
	tfjson "github.com/hashicorp/terraform-json"

	"slipway/infra/step/backend"
	"slipway/infra/step/plan"
	"slipway/infra/step/redact"
	"slipway/step"
	"slipway/step/result/infra"
)

// Supported are the versions that are driven: init tells its diagnostics as JSON since
// Terraform 1.9. Pre-releases are not among them.
const Supported = ">= 1.9, < 2"

const (
	lockFile = ".terraform.lock.hcl"
	// grace is how long an interrupted Terraform may take to save the state
	// and to give back the lock.
	grace = 60 * time.Second
)

// Terraform is one terraform executable in one working copy of a root.
type Terraform struct {
	// Program is the executable.
	Program infra.Program

	o    Options
	path string
	env  map[string]string
	tf   *tfexec.Terraform
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
	// Backend is where the state is; the working copy says so, too. It is the
	// zero Config where no state is read.
	Backend backend.Config
	// Providers is the folder of a mirror, as terraform providers mirror makes
	// it: the only place that providers then come from. Without one they come
	// from their registry.
	Providers string
	// LockTimeout is how long to wait for the state's lock.
	LockTimeout time.Duration
	// Progress gets short lines for people.
	Progress io.Writer
	// Secrets are left out of them. What the state marks as sensitive is added where
	// Terraform has failed.
	Secrets *redact.Secrets
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
	o.Secrets = cmp.Or(o.Secrets, &redact.Secrets{})
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
	p, err := program(path, v)
	if err != nil {
		return nil, err
	}
	return &Terraform{Program: p, o: o, path: path, env: env, tf: tf}, nil
}

// Validate checks the code. Its errors are one input Fault with a line
// "file:line: what" for each.
func (t *Terraform) Validate(ctx context.Context) error {
	out, err := t.tf.Validate(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fault(t.o.Stage, "validate", nil, err)
	}
	if !out.Valid {
		return validateFault(t.o.Stage, out.Diagnostics)
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
		return "", 0, t.unread("state", err)
	}
	if text == "" {
		return "", 0, nil
	}
	var doc struct {
		Lineage string  `json:"lineage"`
		Serial  *uint64 `json:"serial"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil || doc.Serial == nil {
		return "", 0, step.Infrastructure(t.o.Stage, "state", "is not a Terraform state", "restore the state from a backup")
	}
	return doc.Lineage, *doc.Serial, nil
}

// unread is a fault about something in the state that a command which tells nothing
// in JSON could not read.
func (t *Terraform) unread(what string, err error) error {
	if f := unadmitted(t.o.Stage, err.Error()); f != nil {
		f.Details = []string{lastLine(err.Error())}
		return f.Because(err)
	}
	if f := azureFault(t.o.Stage, "read", what, err.Error()); f != nil {
		return f.Because(err)
	}
	return step.Infrastructure(t.o.Stage, what, "can't be read: "+lastLine(err.Error()), "see that the state backend runs, then try again").Because(err)
}

// Kind is what a plan is made to find out.
type Kind int

const (
	// KindChanges is what has to change for the objects to be as the code says.
	KindChanges Kind = iota
	// KindDrift is how the objects differ from the state that was last stored.
	KindDrift
	// KindPending is how that state differs from the code, objects unseen.
	KindPending
)

func planOptions(kind Kind, out string, varFiles []string, lockTimeout time.Duration) []tfexec.PlanOption {
	opts := []tfexec.PlanOption{tfexec.Out(out), tfexec.LockTimeout(lockTimeout.String())}
	switch kind {
	case KindDrift:
		opts = append(opts, tfexec.RefreshOnly(true))
	case KindPending:
		opts = append(opts, tfexec.Refresh(false))
	}
	for _, file := range varFiles {
		opts = append(opts, tfexec.VarFile(file))
	}
	return opts
}

// Plan plans to the file out, with the variable files in their order (later
// ones win). It returns Terraform's exit code as whether there are changes, and
// its warnings, one line each.
func (t *Terraform) Plan(ctx context.Context, kind Kind, out string, varFiles []string) (changes bool, warnings []string, err error) {
	log := t.log()
	changes, err = t.tf.PlanJSON(ctx, log, planOptions(kind, out, varFiles, t.o.LockTimeout)...)
	t.tf.SetStdout(io.Discard)
	if ctx.Err() != nil {
		return false, nil, ctx.Err()
	}
	if err != nil {
		return false, nil, fault(t.o.Stage, "plan", t.told(ctx, log), err)
	}
	return changes, log.warnings(), nil
}

// told are the diagnostics of a command that failed. A provider may say in them what it
// knows from the state, or from what nobody else can know: then its words are left out.
func (t *Terraform) told(ctx context.Context, log *log) []tfjson.Diagnostic {
	state, err := t.tf.Show(ctx)
	if err != nil {
		t.o.Secrets.Partial = true
	} else {
		plan.CollectState(state.Values, t.o.Secrets)
	}
	all := slices.Clone(log.diagnostics)
	for i, d := range all {
		provider := d.Address != "" || d.Snippet != nil && d.Snippet.Context != nil && strings.HasPrefix(*d.Snippet.Context, "provider ")
		if provider && t.o.Secrets.Partial && !slices.Contains(policySummaries, d.Summary) {
			all[i].Summary, all[i].Detail = "failed, in words of a provider that are left out: they may hold a value of the state, a data source or an ephemeral resource that nobody else knows", ""
		}
	}
	return all
}

// Show reads a plan file.
func (t *Terraform) Show(ctx context.Context, file string) (*tfjson.Plan, error) {
	p, err := t.tf.ShowPlanFile(ctx, file, tfexec.JSONNumber(true))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, step.Input(t.o.Stage, "plan file", "can't be read: "+lastLine(err.Error()),
			"plan again with the Terraform version that applies").Because(err)
	}
	return p, nil
}

// ErrorStateFile is the file, below the working copy, that holds the state
// after an apply that could not store it.
const ErrorStateFile = "errored.tfstate"

// Apply applies a plan file, exactly.
func (t *Terraform) Apply(ctx context.Context, file string, varFiles []string) error {
	log := t.log()
	opts := []tfexec.ApplyOption{tfexec.DirOrPlan(file), tfexec.LockTimeout(t.o.LockTimeout.String())}
	for _, name := range varFiles {
		opts = append(opts, tfexec.VarFile(name))
	}
	err := t.tf.ApplyJSON(ctx, log, opts...)
	t.tf.SetStdout(io.Discard)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fault(t.o.Stage, "apply", t.told(ctx, log), err)
	}
	return nil
}

// Unlock gives back the state's lock with this ID, of a backend whose locks
// Terraform itself can break.
func (t *Terraform) Unlock(ctx context.Context, id string) error {
	err := t.tf.ForceUnlock(ctx, id)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		return nil
	}
	what := "state lock " + id
	switch text := oneLine(plain(err.Error())); {
	case anotherLock.MatchString(text):
		return step.Policy(t.o.Stage, what, "is not the one that is held", "give the ID that the refusal named").Because(err)
	case noLock.MatchString(text):
		return step.Policy(t.o.Stage, what, "is not held", "there is nothing to give back: plan again").Because(err)
	}
	if f := azureFault(t.o.Stage, "unlock", what, err.Error()); f != nil {
		return f.Because(err)
	}
	return step.Infrastructure(t.o.Stage, what, "can't be given back: "+lastLine(err.Error()),
		"see that the state backend runs, then try again").Because(err)
}

// Outputs reads the state's outputs, without the values of sensitive ones, also where
// another output has them.
func (t *Terraform) Outputs(ctx context.Context) (map[string]infra.Output, error) {
	all, err := t.tf.Output(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, t.unread("outputs", err)
	}
	values := make(map[string]any, len(all))
	for name, o := range all {
		decoder := json.NewDecoder(bytes.NewReader(o.Value))
		decoder.UseNumber()
		var value any
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("output %s: %w", name, err)
		}
		if o.Sensitive {
			t.o.Secrets.Add(value)
		}
		values[name] = value
	}
	outputs := make(map[string]infra.Output, len(all))
	for name, o := range all {
		kept := infra.Output{Sensitive: o.Sensitive, Type: o.Type}
		if !o.Sensitive {
			if kept.Value, err = json.Marshal(t.o.Secrets.JSON(values[name])); err != nil {
				return nil, fmt.Errorf("output %s: %w", name, err)
			}
		}
		outputs[name] = kept
	}
	return outputs, nil
}

func (t *Terraform) log() *log { return &log{progress: t.o.Progress, secrets: t.o.Secrets} }
