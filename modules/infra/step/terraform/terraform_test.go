package terraform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/infra/step/redact"
	"slipway/step"
)

// TestMain lets the test binary stand in for terraform executables of other
// versions: linked as terraform-<version>, it answers to "version -json".
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "version" {
		_, v, _ := strings.Cut(filepath.Base(os.Args[0]), "terraform-")
		fmt.Printf(`{"terraform_version":%q,"provider_selections":{}}`, v)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func standIn(t *testing.T, version string) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	link := filepath.Join(t.TempDir(), "terraform-"+version)
	require.NoError(t, os.Symlink(self, link))
	return link
}

func open(t *testing.T, path string) (*Terraform, error) {
	t.Helper()
	return Open(context.Background(), Options{Stage: "plan", Path: path, Dir: t.TempDir(), Scratch: t.TempDir(), Progress: &bytes.Buffer{}})
}

func wantFault(t *testing.T, err error, kind step.Kind) *step.Fault {
	t.Helper()
	f, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, kind, f.Kind)
	assert.Equal(t, "plan", f.Stage)
	assert.NotEmpty(t, f.Mend)
	return f
}

func TestOpenChecksTheVersion(t *testing.T) {
	for _, v := range []string{"1.9.0", "1.11.4", "1.99.0"} {
		tf, err := open(t, standIn(t, v))
		require.NoError(t, err)
		assert.Equal(t, v, tf.Program.Version)
		assert.Equal(t, "slipway/infra/step/terraform.test", tf.Program.Name)
		assert.Regexp(t, `\Asha256:[0-9a-f]{64}\z`, tf.Program.SHA256)
	}
	for _, v := range []string{"1.8.5", "0.15.3", "2.0.0", "1.12.0-beta1"} {
		_, err := open(t, standIn(t, v))
		f := wantFault(t, err, step.KindInput)
		assert.Equal(t, "is version "+v+", not "+Supported, f.Reason)
	}
}

func TestOpenRefusesWhatIsNoTerraform(t *testing.T) {
	text := filepath.Join(t.TempDir(), "terraform")
	require.NoError(t, os.WriteFile(text, []byte("x"), 0o644))
	for _, path := range []string{"", filepath.Join(t.TempDir(), "none"), t.TempDir(), text} {
		_, err := open(t, path)
		f := wantFault(t, err, step.KindInput)
		assert.Equal(t, "is not an executable file", f.Reason)
		assert.Contains(t, f.Mend, Supported)
	}
	require.NoError(t, os.Chmod(text, 0o755))
	_, err := open(t, text)
	assert.Contains(t, wantFault(t, err, step.KindInput).Reason, "does not run as Terraform")
}

func TestInitArgs(t *testing.T) {
	assert.Equal(t, []string{"init", "-json", "-no-color", "-input=false"}, initArgs(true, ""))
	assert.Equal(t, []string{"init", "-json", "-no-color", "-input=false", "-backend=false", "-plugin-dir=/none"}, initArgs(false, "/none"))
}

func TestLogKeepsDiagnosticsAndShowsProgress(t *testing.T) {
	const text = `{"@message":"Terraform 1.11.4","type":"version"}
people's text
{"@message":"a.b: Plan to create","type":"planned_change"}
{"@message":"a.b: Creation complete after 0s [id=x]","type":"apply_complete"}
{"@message":"Warning: old","type":"diagnostic","diagnostic":{"severity":"warning","summary":"old","detail":"use\nnew","range":{"filename":"main.tf","start":{"line":4}}}}
{"@message":"Error: bad","type":"diagnostic","diagnostic":{"severity":"error","summary":"bad"}}
`
	var progress bytes.Buffer
	l := &log{progress: &progress}
	for _, piece := range strings.SplitAfter(text, "\"") {
		n, err := l.Write([]byte(piece))
		require.NoError(t, err)
		assert.Equal(t, len(piece), n)
	}
	assert.Equal(t, "a.b: Creation complete after 0s\n", progress.String())
	l.secrets = &redact.Secrets{}
	l.secrets.Add("correct-horse")
	_, err := l.Write([]byte("{\"@message\":\"a.b[\\\"correct-horse\\\"]: Creating...\",\"type\":\"apply_start\"}\n"))
	require.NoError(t, err)
	assert.Equal(t, "a.b: Creation complete after 0s\na.b[\"(sensitive)\"]: Creating...\n", progress.String())
	assert.Len(t, l.diagnostics, 2)
	assert.Equal(t, []string{"main.tf:4: old: use new"}, l.warnings())
}

func TestLastLine(t *testing.T) {
	assert.Equal(t, "Failed to unlock", lastLine("exit status 1\n\x1b[31mFailed to unlock\x1b[0m\x1b[0m\n\n"))
	assert.Equal(t, "no reason given", lastLine("\n"))
	assert.Equal(t, "x", lastLine("x\x1b["))
}

func diagnostic(summary, detail string, line int, address string) tfjson.Diagnostic {
	d := tfjson.Diagnostic{Severity: tfjson.DiagnosticSeverityError, Summary: summary, Detail: detail, Address: address}
	if line > 0 {
		d.Range = &tfjson.Range{Filename: "main.tf", Start: tfjson.Pos{Line: line}}
	}
	return d
}

func TestFaultsByDiagnostic(t *testing.T) {
	cause := errors.New("exit status 1")
	for name, c := range map[string]struct {
		command string
		d       tfjson.Diagnostic
		kind    step.Kind
		input   string
		reason  string
	}{
		"held lock":     {"apply", diagnostic(lockSummary, "Error message: HTTP remote state already locked: ID=abc-1\nLock Info:\n", 0, ""), step.KindInfrastructure, "state lock abc-1", "is held by another run"},
		"no account":    {"init", diagnostic("Error refreshing state: HTTP remote state endpoint invalid auth", "", 0, ""), step.KindInput, "state", "refuses these credentials"},
		"locks not":     {"plan", diagnostic(lockSummary, "Error message: HTTP remote state endpoint requires auth", 0, ""), step.KindInput, "state", "refuses these credentials"},
		"lock failure":  {"plan", diagnostic(lockSummary, "giving up after 3 attempts", 0, ""), step.KindInfrastructure, "state lock", "can't be taken"},
		"stale":         {"apply", diagnostic("Saved plan is stale", "", 0, ""), step.KindPolicy, "terraform apply", "Saved plan is stale"},
		"other lineage": {"apply", diagnostic("Saved plan does not match the given state", "", 0, ""), step.KindPolicy, "terraform apply", "Saved plan does not match the given state"},
		"precondition":  {"plan", diagnostic("Resource precondition failed", "", 8, "a.b"), step.KindPolicy, "main.tf:8", "Resource precondition failed"},
		"protected":     {"plan", diagnostic("Instance cannot be destroyed", "", 8, ""), step.KindPolicy, "main.tf:8", "Instance cannot be destroyed"},
		"code":          {"plan", diagnostic("Unsupported argument", "", 3, ""), step.KindInput, "main.tf:3", "Unsupported argument"},
		"provider":      {"plan", diagnostic("creating x: 503", "", 3, "a.b"), step.KindInfrastructure, "main.tf:3", "creating x: 503"},
		"while applied": {"apply", diagnostic("creating x: 503", "", 3, ""), step.KindInfrastructure, "main.tf:3", "creating x: 503"},
		"backend":       {"init", diagnostic("Error refreshing state: refused", "", 0, ""), step.KindInfrastructure, "terraform init", "Error refreshing state: refused"},
	} {
		t.Run(name, func(t *testing.T) {
			warning := tfjson.Diagnostic{Severity: tfjson.DiagnosticSeverityWarning, Summary: "w"}
			err := fault("plan", c.command, []tfjson.Diagnostic{warning, c.d}, cause)
			f := wantFault(t, err, c.kind)
			assert.Equal(t, c.input, f.Input)
			assert.Equal(t, c.reason, f.Reason)
			assert.ErrorIs(t, err, cause)
			assert.Equal(t, name == "stale" || name == "other lineage", IsStale(err))
		})
	}
	preamble := diagnostic("The code has problems, described below", "", 0, "")
	f := wantFault(t, fault("plan", "init", []tfjson.Diagnostic{preamble, diagnostic("Missing type", "", 5, "")}, cause), step.KindInput)
	assert.Equal(t, "main.tf:5", f.Input)
	f = wantFault(t, fault("plan", "plan", nil, errors.New("exit status 2\nsegfault")), step.KindInfrastructure)
	assert.Equal(t, "failed: segfault", f.Reason)
	f = wantFault(t, fault("plan", "apply", []tfjson.Diagnostic{diagnostic(lockSummary, "already locked: ID=abc-1", 0, "")}, cause), step.KindInfrastructure)
	assert.Contains(t, f.Mend, "unlock --id abc-1")
}

func TestInitFaults(t *testing.T) {
	cause := errors.New("exit status 1")
	query := diagnostic("Failed to query available provider packages", "could not connect", 0, "")
	f := wantFault(t, initFault("plan", []tfjson.Diagnostic{query}, false, false, cause), step.KindInput)
	assert.Equal(t, "code .terraform.lock.hcl", f.Input)
	assert.Equal(t, "is missing, but the code needs providers", f.Reason)

	f = wantFault(t, initFault("plan", []tfjson.Diagnostic{query}, true, false, cause), step.KindInfrastructure)
	assert.Contains(t, f.Mend, "registry")

	f = wantFault(t, initFault("plan", []tfjson.Diagnostic{query}, true, true, cause), step.KindInput)
	assert.Equal(t, "providers", f.Input)
	assert.Contains(t, f.Mend, "mirror")

	for _, d := range []tfjson.Diagnostic{
		diagnostic("Inconsistent dependency lock file", "", 0, ""),
		diagnostic("Failed to query available provider packages", "locked provider x 1.0 does not match configured version constraint", 0, ""),
		diagnostic("Failed to install provider", "doesn't match any of the checksums previously recorded", 0, ""),
	} {
		f = wantFault(t, initFault("plan", []tfjson.Diagnostic{d}, true, true, cause), step.KindInput)
		assert.Equal(t, "does not hold what the code needs", f.Reason)
		assert.Contains(t, f.Mend, "terraform providers lock -platform=linux_amd64 ", "the pipeline's platform is among them")
	}
	_ = wantFault(t, initFault("plan", []tfjson.Diagnostic{diagnostic("Invalid block", "", 2, "")}, true, false, cause), step.KindInput)
}

func TestALocksHolderIsNamed(t *testing.T) {
	const held = "Error message: the state is already locked by another terraform client\nLock Info:\n  ID:        6d4e-1\n  Path:      \n  Operation: OperationTypeApply\n" +
		"  Who:       ci@runner\n  Version:   1.11.4\n  Created:   2026-11-25 20:10:39 +0000 UTC\n  Info:      \n\n\nTerraform acquires a state lock"
	f := wantFault(t, fault("plan", "plan", []tfjson.Diagnostic{diagnostic(lockSummary, held, 0, "")}, errors.New("exit status 1")), step.KindInfrastructure)
	assert.Equal(t, "state lock 6d4e-1", f.Input)
	assert.Equal(t, "is held by another run: ci@runner, Apply, since 2026-11-25 20:10:39 +0000 UTC", f.Reason)
	assert.Contains(t, f.Mend, "unlock --id 6d4e-1")
	assert.Contains(t, f.Mend, "terraform force-unlock 6d4e-1")
	assert.Equal(t, held, heldBy([]tfjson.Diagnostic{diagnostic("other", "x", 0, ""), diagnostic("Error loading state", held, 0, "")}))
	assert.Empty(t, heldBy([]tfjson.Diagnostic{diagnostic("Error loading state", "connection refused", 0, "")}))
}
