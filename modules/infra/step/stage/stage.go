// Package stage holds the infra stages: plan, check, apply, output, and unlock
// for the lock that a killed run left behind. Each starts from files alone and
// works in a copy of the code, so that it can run in any container.
package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"slipway/infra/step/backend"
	"slipway/infra/step/code"
	"slipway/infra/step/terraform"
	"slipway/step"
)

// Names of the stages, as their Faults carry them.
const (
	StagePlan   = "plan"
	StageCheck  = "check"
	StageApply  = "apply"
	StageOutput = "output"
	StageUnlock = "unlock"
)

// Common is what every stage that runs Terraform takes.
type Common struct {
	// Terraform is the path of the executable, Code the root's folder and
	// Environment the environment's name.
	Terraform, Code, Environment string
	// Out is the folder that result files are written to.
	Out string
	// Temp is the folder for the working copy.
	Temp string
	// Progress gets short lines for people.
	Progress io.Writer
}

// Remote is what every stage that reads or changes the state takes.
type Remote struct {
	// BackendConfig is the file that backend.Read reads.
	BackendConfig string
	// PasswordFile holds the backend's password; empty is none.
	PasswordFile string
	// Connect says where logical hosts are reached.
	Connect backend.Connections
	// LockTimeout is how long to wait for the state's lock.
	LockTimeout time.Duration
}

// endpoint reads and validates the state's description.
func (r Remote) endpoint(stage string) (backend.Endpoint, error) {
	config, err := backend.Read(stage, r.BackendConfig)
	if err != nil {
		return backend.Endpoint{}, err
	}
	e := backend.Endpoint{Config: config, Connect: r.Connect}
	if (r.PasswordFile == "") != (config.Username == "") {
		return e, step.Input(stage, "backend credentials", "are not complete",
			"give both a username in the backend config and --backend-password-file, or neither")
	}
	if r.PasswordFile != "" {
		data, err := os.ReadFile(r.PasswordFile)
		if err != nil {
			return e, step.Input(stage, "--backend-password-file "+r.PasswordFile, "can't be read", "give a file that holds the password").Because(err)
		}
		e.Password = string(bytes.TrimRight(data, "\r\n"))
		if e.Password == "" {
			return e, step.Input(stage, "--backend-password-file "+r.PasswordFile, "is empty", "give a file that holds the password")
		}
	}
	return e, nil
}

// workspace is a working copy of the code with a Terraform that runs in it.
type workspace struct {
	*terraform.Terraform
	dir    string
	digest string
	root   string
}

func (c Common) validate(stage string) error {
	return step.Name(stage, "environment", c.Environment)
}

// open copies the code, lets accept judge its digest, and opens Terraform in
// the copy.
func (c Common) open(ctx context.Context, stage string, env map[string]string, accept func(digest string) error) (_ *workspace, err error) {
	root, err := os.MkdirTemp(c.Temp, "infra-")
	if err != nil {
		return nil, err
	}
	w := &workspace{root: root, dir: filepath.Join(root, "code")}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if err := os.Mkdir(w.dir, 0o700); err != nil {
		return nil, err
	}
	w.digest, err = code.Copy(stage, c.Code, w.dir)
	if err != nil {
		return nil, err
	}
	if err := accept(w.digest); err != nil {
		return nil, err
	}
	w.Terraform, err = terraform.Open(ctx, terraform.Options{
		Stage: stage, Path: c.Terraform, Dir: w.dir, Scratch: root, Env: env, Progress: c.Progress,
	})
	return w, err
}

// close removes the working copy, which may hold secrets.
func (w *workspace) close() { os.RemoveAll(w.root) }

// put stores a plan file's bytes beside the working copy.
func (w *workspace) put(data []byte) (string, error) {
	file := filepath.Join(w.root, "checked.tfplan")
	return file, os.WriteFile(file, data, 0o600)
}

// keep saves a file of the working copy, if it is there, to out.
func (w *workspace) keep(name, out string) (bool, error) {
	data, err := os.ReadFile(filepath.Join(w.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, writeFile(out, name, data)
}

func writeFile(out, name string, data []byte) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, name), data, 0o600)
}

func writeJSON(out, name string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(out, name, append(data, '\n'))
}

func anyCode(string) error { return nil }
