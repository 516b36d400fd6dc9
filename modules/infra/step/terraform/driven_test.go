package terraform

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/infra/step/redact"
	"slipway/step"
)

// driven is a Terraform that answers to each command with a script.
func driven(t *testing.T, commands map[string]string) *Terraform {
	t.Helper()
	text := "#!/bin/sh\nexport PATH=/usr/bin:/bin\necho \"$@\" >> \"$HOME/calls\"\ncase $1 in\nversion) echo '{\"terraform_version\":\"1.11.4\",\"provider_selections\":{}}';;\n"
	for command, script := range commands {
		text += command + ") " + script + ";;\n"
	}
	path := filepath.Join(t.TempDir(), "terraform")
	require.NoError(t, os.WriteFile(path, []byte(text+"*) echo \"no $1 here\" >&2; exit 9;;\nesac\n"), 0o700))
	tf, err := Open(t.Context(), Options{Stage: "plan", Path: path, Dir: t.TempDir(), Scratch: t.TempDir(), Progress: &bytes.Buffer{}, Env: map[string]string{"GIVEN": "yes"}, Secrets: &redact.Secrets{}})
	require.NoError(t, err)
	return tf
}

func says(text string) string { return "printf '%s\\n' '" + text + "'" }

func refuses(text string) string { return "printf '%s\\n' '" + text + "' >&2; exit 1" }

// over is a context that has ended.
func over(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestOpenGivesAnEnvironmentOfItsOwn(t *testing.T) {
	t.Setenv("INHERITED", "yes")
	tf := driven(t, map[string]string{"state": "env > env; " + says(`{"lineage":"l","serial":3}`)})
	lineage, serial, err := tf.State(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []any{"l", uint64(3)}, []any{lineage, serial})
	data, err := os.ReadFile(filepath.Join(tf.o.Dir, "env"))
	require.NoError(t, err)
	for _, line := range []string{"HOME=" + filepath.Join(tf.o.Scratch, "home"), "TMPDIR=" + filepath.Join(tf.o.Scratch, "tmp"), "CHECKPOINT_DISABLE=1", "GIVEN=yes"} {
		assert.Contains(t, strings.Split(string(data), "\n"), line)
	}
	assert.NotContains(t, string(data), "INHERITED")
	for _, folder := range []string{"home", "tmp"} {
		scratch := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(scratch, folder), nil, 0o600))
		_, err := Open(t.Context(), Options{Stage: "plan", Path: tf.path, Dir: tf.o.Dir, Scratch: scratch})
		require.Error(t, err, folder)
	}
	_, err = Open(t.Context(), Options{Stage: "plan", Path: tf.path, Dir: filepath.Join(tf.o.Dir, "none"), Scratch: t.TempDir()})
	require.Error(t, err)
	_, err = Open(over(t), Options{Stage: "plan", Path: tf.path, Dir: tf.o.Dir, Scratch: t.TempDir()})
	require.ErrorIs(t, err, context.Canceled)
}

func TestState(t *testing.T) {
	lineage, serial, err := driven(t, map[string]string{"state": "true"}).State(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []any{"", uint64(0)}, []any{lineage, serial}, "there is none yet")
	for name, c := range map[string]struct {
		script string
		kind   step.Kind
		reason string
	}{
		"no JSON":   {says("{"), step.KindInfrastructure, "is not a Terraform state"},
		"no serial": {says(`{"lineage":"l"}`), step.KindInfrastructure, "is not a Terraform state"},
		"no answer": {refuses("connection refused"), step.KindInfrastructure, "can't be read: connection refused"},
		"no role":   {refuses("AuthorizationPermissionMismatch"), step.KindInput, "the identity may not read and write the state"},
	} {
		lineage, serial, err := driven(t, map[string]string{"state": c.script}).State(t.Context())
		f := wantFault(t, err, c.kind)
		assert.Contains(t, f.Reason, c.reason, name)
		assert.Equal(t, []any{"", uint64(0)}, []any{lineage, serial})
	}
	_, _, err = driven(t, nil).State(over(t))
	require.ErrorIs(t, err, context.Canceled)
}

func TestValidate(t *testing.T) {
	require.NoError(t, driven(t, map[string]string{"validate": says(`{"format_version":"1.0","valid":true}`)}).Validate(t.Context()))
	f := wantFault(t, driven(t, map[string]string{"validate": says(`{"format_version":"1.0","valid":false,"diagnostics":[{"severity":"error","summary":"Bad","range":{"filename":"main.tf","start":{"line":4,"column":1,"byte":1},"end":{"line":4,"column":1,"byte":1}}}]}`)}).Validate(t.Context()), step.KindInput)
	assert.Equal(t, []string{"main.tf:4", "Bad"}, []string{f.Input, f.Reason})
	f = wantFault(t, driven(t, map[string]string{"validate": says(`{"format_version":"1.0","valid":false}`)}).Validate(t.Context()), step.KindInput)
	assert.Equal(t, "the code is not valid", f.Reason)
	wantFault(t, driven(t, map[string]string{"validate": refuses("broken")}).Validate(t.Context()), step.KindInfrastructure)
	require.ErrorIs(t, driven(t, nil).Validate(over(t)), context.Canceled)
}

func TestUnlockByForce(t *testing.T) {
	require.NoError(t, driven(t, map[string]string{"force-unlock": "true"}).Unlock(t.Context(), "abc"))
	for text, c := range map[string]struct {
		kind   step.Kind
		reason string
	}{
		`lock ID "x" does not match existing lock`:  {step.KindPolicy, "is not the one that is held"},
		`blob metadata "terraformlockid" was empty`: {step.KindPolicy, "is not held"},
		"LocalState: state is not locked":           {step.KindPolicy, "is not held"},
		"KeyBasedAuthenticationNotPermitted: no":    {step.KindInput, "the state's account takes no shared key"},
		"dial tcp: connection refused":              {step.KindInfrastructure, "can't be given back: dial tcp: connection refused"},
	} {
		f := wantFault(t, driven(t, map[string]string{"force-unlock": refuses(text)}).Unlock(t.Context(), "abc"), c.kind)
		assert.Equal(t, c.reason, f.Reason)
		assert.Contains(t, f.Input, "abc")
	}
	require.ErrorIs(t, driven(t, nil).Unlock(over(t), "abc"), context.Canceled)
}

func TestOutputs(t *testing.T) {
	tf := driven(t, map[string]string{"output": says(`{"token":{"sensitive":true,"type":"string","value":"correct-horse"},"url":{"type":"string","value":"https://x"},"echo":{"type":"string","value":"is correct-horse"},"n":{"type":"number","value":12345678901234567890}}`)})
	outputs, err := tf.Outputs(t.Context())
	require.NoError(t, err)
	values := map[string]string{}
	for name, o := range outputs {
		values[name] = string(o.Value)
		assert.Equal(t, name == "token", o.Sensitive)
	}
	assert.Equal(t, map[string]string{"token": "", "url": `"https://x"`, "echo": `"(sensitive)"`, "n": "12345678901234567890"}, values)
	wantFault(t, func() error {
		_, err := driven(t, map[string]string{"output": refuses("broken")}).Outputs(t.Context())
		return err
	}(), step.KindInfrastructure)
	_, err = driven(t, nil).Outputs(over(t))
	require.ErrorIs(t, err, context.Canceled)
}

func TestPlanAndApplyTellWhatTheyAreToldAndNoSecret(t *testing.T) {
	const provider = `{"type":"diagnostic","diagnostic":{"severity":"error","summary":"creating x: it-is-nobodys","address":"a.b"}}`
	const shown = `{"format_version":"1.0","values":{"outputs":{"o":{"sensitive":true,"value":"correct-horse"}},"root_module":{}}}`
	const echo = `{"type":"diagnostic","diagnostic":{"severity":"error","summary":"x says correct-horse","detail":"d"}}`
	const warning = `{"type":"diagnostic","diagnostic":{"severity":"warning","summary":"old"}}`
	for command, run := range map[string]func(*Terraform, context.Context) error{
		"plan": func(tf *Terraform, ctx context.Context) error {
			_, _, err := tf.Plan(ctx, KindChanges, "out", []string{"a", "b"})
			return err
		},
		"apply": func(tf *Terraform, ctx context.Context) error { return tf.Apply(ctx, "out", []string{"a", "b"}) },
	} {
		tf := driven(t, map[string]string{command: says(warning)})
		require.NoError(t, run(tf, t.Context()))
		calls, err := os.ReadFile(filepath.Join(tf.env["HOME"], "calls"))
		require.NoError(t, err)
		assert.Contains(t, string(calls), "-var-file=a")
		assert.Contains(t, string(calls), "-var-file=b")
		assert.Contains(t, string(calls), "-lock-timeout=0s")

		// What the state marks is known from then on.
		tf = driven(t, map[string]string{command: says(echo) + "; exit 1", "show": says(shown)})
		f := wantFault(t, run(tf, t.Context()), step.KindInfrastructure)
		assert.Equal(t, "x says (sensitive)", tf.o.Secrets.Text(f.Reason))
		assert.False(t, tf.o.Secrets.Partial)
		tf = driven(t, map[string]string{command: says(provider) + "; exit 1", "show": says(shown)})
		assert.Contains(t, wantFault(t, run(tf, t.Context()), step.KindInfrastructure).Error(), "it-is-nobodys", "nothing is unknown")
		// Where the state can't be read, a provider's words are.
		tf = driven(t, map[string]string{command: says(provider) + "; exit 1", "show": "exit 1"})
		f = wantFault(t, run(tf, t.Context()), step.KindInfrastructure)
		assert.NotContains(t, f.Error(), "it-is-nobodys")
		assert.Contains(t, f.Reason, "in words of a provider that are left out")
		assert.True(t, tf.o.Secrets.Partial)
		require.ErrorIs(t, run(driven(t, nil), over(t)), context.Canceled)
	}
	tf := driven(t, map[string]string{"plan": says(warning) + "; exit 2"})
	changes, warnings, err := tf.Plan(t.Context(), KindDrift, "out", nil)
	require.NoError(t, err)
	assert.True(t, changes)
	assert.Equal(t, []string{"old"}, warnings)
	changes, _, err = driven(t, map[string]string{"plan": "true"}).Plan(t.Context(), KindPending, "out", nil)
	require.NoError(t, err)
	assert.False(t, changes)
	calls, err := os.ReadFile(filepath.Join(tf.env["HOME"], "calls"))
	require.NoError(t, err)
	assert.Contains(t, string(calls), "-refresh-only")

	_, err = driven(t, map[string]string{"show": refuses("no plan")}).Show(t.Context(), "out")
	assert.Equal(t, "can't be read: no plan", wantFault(t, err, step.KindInput).Reason)
	p, err := driven(t, map[string]string{"show": says(`{"format_version":"1.2","terraform_version":"1.11.4"}`)}).Show(t.Context(), "out")
	require.NoError(t, err)
	assert.Equal(t, "1.11.4", p.TerraformVersion)
	_, err = driven(t, nil).Show(over(t), "out")
	require.ErrorIs(t, err, context.Canceled)
}
