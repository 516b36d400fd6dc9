package stage

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/infra/step/plan"
	"slipway/step"
	"slipway/step/result/infra"
)

// withToken is the root with a variable that Terraform refuses when it is too short:
// a value that passes has reached it.
const withToken = root + `
variable "token" {
  type      = string
  ephemeral = true
  validation {
    condition     = length(var.token) > 20
    error_message = "The token is too short."
  }
}
`

const canary = "canary-4f1d9b7e6a5c3d2f1e0b"

// kept are the files below the folders that hold a text, in a plan's archive or
// plainly.
func kept(t *testing.T, text string, folders ...string) (found []string) {
	t.Helper()
	has := func(name string, data []byte) {
		if bytes.Contains(data, []byte(text)) {
			found = append(found, name)
		}
	}
	for _, folder := range folders {
		require.NoError(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			has(path, data)
			archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				return nil
			}
			for _, file := range archive.File {
				in, err := file.Open()
				if err != nil {
					return err
				}
				inner, err := io.ReadAll(in)
				if err != nil {
					return err
				}
				has(path+": "+file.Name, inner)
			}
			return nil
		}))
	}
	return found
}

func TestSecretVariablesReachTerraformAndNoFile(t *testing.T) {
	s := newSite(t)
	s.write(filepath.Join(s.code, "main.tf"), withToken)
	remote := func(text string) Remote {
		r := s.remote()
		r.SecretVarFile = s.file("secrets", text)
		return r
	}
	given := remote(`{"token":"` + canary + `"}`)
	planned := func(r Remote) (*infra.Planned, error) {
		return Plan(context.Background(), PlanOptions{Common: s.common("dev"), Remote: r, VarFiles: []string{s.vars}})
	}
	applied := func(r Remote) (*infra.Applied, error) {
		o := s.applyOptions("dev")
		o.Remote = r
		return Apply(context.Background(), o)
	}

	_, err := planned(remote(`{"token":"tiny"}`))
	f := wantFault(t, err, StagePlan, step.KindInput, "")
	assert.Contains(t, f.Error(), "too short")
	_, err = planned(given)
	require.NoError(t, err)
	_, err = s.check("dev", false)
	require.NoError(t, err)
	_, err = applied(remote(`{"token":"tiny"}`))
	require.ErrorContains(t, err, "too short", "the apply is given it anew")
	_, err = planned(given)
	require.NoError(t, err)
	_, err = s.check("dev", false)
	require.NoError(t, err)
	_, err = applied(given)
	require.NoError(t, err)
	drift, err := Drift(context.Background(), DriftOptions{Common: s.common("dev"), Remote: given, VarFiles: []string{s.vars}})
	require.NoError(t, err)
	assert.True(t, drift.Applied)
	assert.False(t, drift.Drifted)
	assert.Empty(t, drift.Pending)

	assert.NotContains(t, s.server.state(path), canary)
	assert.NotContains(t, s.progress.String(), canary)
	assert.Empty(t, kept(t, canary, s.out, s.temp, s.code))
	assert.NotEmpty(t, kept(t, `terraform_data`, s.out), "what is no secret is found")
	assert.FileExists(t, filepath.Join(s.out, plan.File))
}

func TestSecretVariablesThatWouldBeKeptAreRefused(t *testing.T) {
	s := newSite(t)
	s.write(filepath.Join(s.code, "main.tf"), withToken)
	for name, c := range map[string]struct {
		text, reason string
		kind         step.Kind
	}{
		"not ephemeral": {`{"token":"` + canary + `","secret":"` + canary + `"}`, "is not ephemeral", step.KindPolicy},
		"not declared":  {`{"token":"` + canary + `","other":"x"}`, "is not declared in the code", step.KindInput},
		"no JSON":       {canary, "are not a JSON object", step.KindInput},
		"a list":        {`["` + canary + `"]`, "are not a JSON object", step.KindInput},
		"nothing":       {`{}`, "with at least one name", step.KindInput},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.remote()
			r.SecretVarFile = s.file("secrets", c.text)
			_, err := Plan(context.Background(), PlanOptions{Common: s.common("dev"), Remote: r, VarFiles: []string{s.vars}})
			f := wantFault(t, err, StagePlan, c.kind, c.reason)
			assert.NotContains(t, f.Error(), canary)
			assert.Empty(t, kept(t, canary, s.out, s.temp))
		})
	}
}
