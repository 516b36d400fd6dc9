package main

import (
	"context"
	"flag"
	"io"
	"time"

	"slipway/infra/step/stage"
	"slipway/step/reach"
)

// lockTimeout is how long a stage waits for another run's lock by default.
const lockTimeout = 30 * time.Second

type command func(fs *flag.FlagSet, out *string, progress io.Writer) func(context.Context) (any, error)

var commands = map[string]command{
	"plan": func(fs *flag.FlagSet, out *string, progress io.Writer) func(context.Context) (any, error) {
		var o stage.PlanOptions
		common(fs, &o.Common)
		remote(fs, &o.Remote)
		fs.Var((*files)(&o.VarFiles), "var-file", "file of variables, .tfvars or .tfvars.json; repeatable, later ones win")
		secrets(fs, &o.Remote)
		return func(ctx context.Context) (any, error) {
			o.Out, o.Progress = *out, progress
			return stage.Plan(ctx, o)
		}
	},
	"check": func(fs *flag.FlagSet, out *string, progress io.Writer) func(context.Context) (any, error) {
		var o stage.CheckOptions
		common(fs, &o.Common)
		fs.StringVar(&o.Plan, "plan", "", "plan file")
		fs.StringVar(&o.Binding, "binding", "", "plan's binding file")
		fs.StringVar(&o.Verdict, "verdict", "", "the policy's verdict on the code, as JSON: codeSha256, policyDigest, threshold")
		fs.BoolVar(&o.AllowDestroy, "allow-destroy", false, "let the plan destroy, replace or forget existing resources")
		return func(ctx context.Context) (any, error) {
			o.Out, o.Progress = *out, progress
			return stage.Check(ctx, o)
		}
	},
	"apply": func(fs *flag.FlagSet, out *string, progress io.Writer) func(context.Context) (any, error) {
		var o stage.ApplyOptions
		common(fs, &o.Common)
		remote(fs, &o.Remote)
		fs.StringVar(&o.Plan, "plan", "", "plan file")
		fs.StringVar(&o.Binding, "binding", "", "plan's binding file")
		fs.StringVar(&o.Checked, "checked", "", "check's verdict file")
		secrets(fs, &o.Remote)
		return func(ctx context.Context) (any, error) {
			o.Out, o.Progress = *out, progress
			return stage.Apply(ctx, o)
		}
	},
	"output": func(fs *flag.FlagSet, out *string, progress io.Writer) func(context.Context) (any, error) {
		var o stage.OutputOptions
		common(fs, &o.Common)
		remote(fs, &o.Remote)
		return func(ctx context.Context) (any, error) {
			o.Out, o.Progress = *out, progress
			return stage.ReadOutputs(ctx, o)
		}
	},
	"drift": func(fs *flag.FlagSet, out *string, progress io.Writer) func(context.Context) (any, error) {
		var o stage.DriftOptions
		common(fs, &o.Common)
		remote(fs, &o.Remote)
		fs.Var((*files)(&o.VarFiles), "var-file", "file of variables, .tfvars or .tfvars.json; repeatable, later ones win")
		secrets(fs, &o.Remote)
		return func(ctx context.Context) (any, error) {
			o.Out, o.Progress = *out, progress
			return stage.Drift(ctx, o)
		}
	},
	"code": func(fs *flag.FlagSet, out *string, progress io.Writer) func(context.Context) (any, error) {
		var o stage.CodeOptions
		fs.StringVar(&o.Code, "code", "", "folder of the Terraform code: the root, and the modules beside it")
		fs.StringVar(&o.Root, "root", ".", "the root's folder in it")
		return func(context.Context) (any, error) {
			o.Out = *out
			return stage.Code(o)
		}
	},
	"unlock": func(fs *flag.FlagSet, out *string, progress io.Writer) func(context.Context) (any, error) {
		var o stage.UnlockOptions
		common(fs, &o.Common)
		remote(fs, &o.Remote)
		fs.StringVar(&o.ID, "id", "", "ID of the lock to give back")
		return func(ctx context.Context) (any, error) {
			o.Out, o.Progress = *out, progress
			return stage.Unlock(ctx, o)
		}
	},
}

func common(fs *flag.FlagSet, c *stage.Common) {
	fs.StringVar(&c.Terraform, "terraform", "", "path of the terraform executable")
	fs.StringVar(&c.Code, "code", "", "folder of the Terraform code: the root, and the modules beside it")
	fs.StringVar(&c.Root, "root", ".", "the root's folder in it")
	fs.StringVar(&c.Environment, "env", "", "name of the environment")
	fs.StringVar(&c.Providers, "providers", "", "folder of a provider mirror, the only place that providers then come from")
	fs.StringVar(&c.Allowed, "allowed", "", "JSON object of what the code may use that runs before a plan is checked: providers, data; nothing when absent")
	fs.StringVar(&c.Temp, "temp", "/tmp", "folder for the working copy")
}

func remote(fs *flag.FlagSet, r *stage.Remote) {
	r.Connect = reach.Connections{}
	fs.StringVar(&r.BackendConfig, "backend-config-file", "", "JSON file of the backend: type (http, kubernetes or azurerm) and its settings")
	fs.StringVar(&r.PasswordFile, "backend-password-file", "", "file with the http backend's password, or the azurerm backend's ARM_…=value lines")
	fs.StringVar(&r.Kubeconfig, "kubeconfig", "", "kubeconfig of the cluster that the state or the resources are in")
	r.Azure.Flags(fs)
	fs.Var(r.Connect, "connect", "LOGICAL=ACTUAL host:port to reach a loopback name or the kubeconfig's server at; repeatable")
	fs.DurationVar(&r.LockTimeout, "lock-timeout", lockTimeout, "how long to wait for the state's lock")
}

func secrets(fs *flag.FlagSet, r *stage.Remote) {
	fs.StringVar(&r.SecretVarFile, "secret-var-file", "", "file with a JSON object of values for ephemeral variables; the same for plan and apply")
}

// files is a repeatable flag.
type files []string

// String renders nothing: the flag has no default.
func (files) String() string { return "" }

// Set adds one file.
func (f *files) Set(value string) error {
	*f = append(*f, value)
	return nil
}
