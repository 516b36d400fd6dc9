package terraform

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	tfjson "github.com/hashicorp/terraform-json"

	"slipway/infra/step/backend"
)

// Init prepares the working copy with exactly the providers of its lock file,
// and with its remote state when remote is true. Without a lock file nothing
// can be installed, so that code which needs a provider is refused.
//
// The kubernetes backend makes an empty state where there is none, under the
// state's lock and without waiting for it: that is waited for here.
func (t *Terraform) Init(ctx context.Context, remote bool) error {
	before, err := t.readLock()
	if err != nil {
		return err
	}
	plugins := t.o.Providers
	if before == nil {
		plugins = filepath.Join(t.env["HOME"], "no-providers")
		if err := os.MkdirAll(plugins, 0o700); err != nil {
			return err
		}
	}
	for end := time.Now().Add(t.o.LockTimeout); ; {
		diagnostics, err := t.init(ctx, initArgs(remote, plugins))
		held := heldBy(diagnostics)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			if err := t.checkLock(before); err != nil || !remote {
				return err
			}
			return t.checkBackend()
		case held == "":
			return initFault(t.o.Stage, diagnostics, before != nil, t.o.Providers != "", err)
		case !time.Now().Before(end):
			f := lockFault(t.o.Stage, held, nil)
			if t.o.Backend.Type == backend.TypeKubernetes {
				// Terraform makes the state before it gives back a lock.
				f.Mend = "wait for that run; if it was killed before it could make the state, delete the lease lock-tfstate-default-" +
					t.o.Backend.Kubernetes.SecretSuffix + " in " + t.o.Backend.Kubernetes.Namespace
			}
			return f.Because(err)
		}
		if err := rest(ctx); err != nil {
			return err
		}
	}
}

// pause is how long to wait before a held lock is looked at again.
var pause = time.Second

func rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// init runs terraform init; terraform-exec has none that tells its diagnostics as JSON.
func (t *Terraform) init(ctx context.Context, args []string) ([]tfjson.Diagnostic, error) {
	log := t.log()
	var stderr tail
	cmd := exec.CommandContext(ctx, t.path, args...)
	cmd.Dir = t.o.Dir
	for name, value := range t.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, "TF_IN_AUTOMATION=1")
	cmd.Stdout, cmd.Stderr = log, &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = grace
	if err := cmd.Run(); err != nil {
		return log.diagnostics, fmt.Errorf("%w: %s", err, stderr.String())
	}
	return log.diagnostics, nil
}

// initArgs is the argv of terraform init. plugins is the only folder that
// providers are taken from; empty is their registry.
func initArgs(remote bool, plugins string) []string {
	args := []string{"init", "-json", "-no-color", "-input=false"}
	if !remote {
		args = append(args, "-backend=false")
	}
	if plugins != "" {
		args = append(args, "-plugin-dir="+plugins)
	}
	return args
}

// checkBackend proves that Terraform keeps the state where the endpoint says,
// and nowhere else.
func (t *Terraform) checkBackend() error {
	data, err := os.ReadFile(filepath.Join(t.o.Dir, ".terraform", "terraform.tfstate"))
	if err != nil {
		return fmt.Errorf("backend of the working copy: %w", err)
	}
	var doc struct {
		Backend struct {
			Type   backend.Type   `json:"type"`
			Config map[string]any `json:"config"`
		} `json:"backend"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("backend of the working copy: %w", err)
	}
	if doc.Backend.Type != t.o.Backend.Type {
		return fmt.Errorf("backend of the working copy is %q, not %q", doc.Backend.Type, t.o.Backend.Type)
	}
	settings := t.o.Backend.Settings()
	for name, want := range settings {
		if doc.Backend.Config[name] != want {
			return fmt.Errorf("backend of the working copy has another %s", name)
		}
	}
	for name, value := range doc.Backend.Config {
		if _, ours := settings[name]; given(value) && !ours {
			return fmt.Errorf("backend of the working copy has a %s of its own", name)
		}
	}
	return nil
}

// given reports whether a setting says something. OpenTofu notes a block that the code
// does not have as an empty list.
func given(value any) bool {
	switch v := value.(type) {
	case nil:
		return false
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}
