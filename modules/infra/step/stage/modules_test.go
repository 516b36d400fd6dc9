package stage

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/azure"
)

// beside is a site whose root lies in a folder, with a module beside it.
func beside(t *testing.T) (s *site, module string) {
	t.Helper()
	s = newSite(t)
	require.NoError(t, os.RemoveAll(filepath.Join(s.code, "main.tf")))
	module = filepath.Join(s.code, "modules", "m", "main.tf")
	for _, file := range []string{module, filepath.Join(s.code, "r", "main.tf"), filepath.Join(s.code, "other", "main.tf")} {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		s.write(file, "resource \"terraform_data\" \"m\" {}\n")
	}
	s.write(filepath.Join(s.code, "r", "main.tf"), root+"\nmodule \"m\" {\n  source = \"../modules/m\"\n}\n")
	s.root = "r"
	return s, module
}

func TestAPlanIsBoundToTheModulesBesideItsRoot(t *testing.T) {
	s, module := beside(t)
	planned, err := s.plan("dev")
	require.NoError(t, err)
	assert.Equal(t, 3, planned.Summary.Create)

	code, err := Code(CodeOptions{Common{Code: s.code, Root: "r", Out: t.TempDir()}})
	require.NoError(t, err)
	assert.Equal(t, planned.Binding.CodeSHA256, code.Digest, "what is scanned is what the plan is bound to")

	s.write(filepath.Join(s.code, "other", "main.tf"), "# another root's\n")
	_, err = s.check("dev", false)
	require.NoError(t, err, "what the root doesn't reach is no part of it")

	s.write(module, "resource \"terraform_data\" \"m\" {}\n# changed\n")
	_, err = s.apply("dev")
	_ = wantFault(t, err, StageApply, step.KindPolicy, "code")
	_, err = s.check("dev", false)
	_ = wantFault(t, err, StageCheck, step.KindPolicy, "code")
	assert.Empty(t, s.server.state(path), "nothing was applied")

	s.write(module, "resource \"terraform_data\" \"m\" {}\n")
	_, err = s.check("dev", false)
	require.NoError(t, err)
	_, err = s.apply("dev")
	require.NoError(t, err)
}

func TestCodeHoldsNothingElse(t *testing.T) {
	s, _ := beside(t)
	out := t.TempDir()
	_, err := Code(CodeOptions{Common{Code: s.code, Root: "r", Out: out}})
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(out, CodeFolder, "r", "main.tf"))
	assert.FileExists(t, filepath.Join(out, CodeFolder, "modules", "m", "main.tf"))
	assert.NoDirExists(t, filepath.Join(out, CodeFolder, "other"))
	_, err = Code(CodeOptions{Common{Code: s.code, Root: "../r", Out: t.TempDir()}})
	_ = wantFault(t, err, StageCheck, step.KindInput, "is not a folder of the code")
}

func TestAStateInAzureHasOneIdentity(t *testing.T) {
	s := newSite(t)
	s.backend = s.file("backend.json", `{"type":"azurerm","storage_account_name":"acme","container_name":"tfstate","key":"a/dev.tfstate"}`)
	remote := s.remote()
	remote.PasswordFile = s.file("password", "ARM_CLIENT_ID=x\n")
	remote.Azure = azure.Access{Identity: "{}"}
	_, err := remote.reach(t.Context(), StagePlan)
	_ = wantFault(t, err, StagePlan, step.KindInput, "says who reaches the state, and --azure does, too")
	remote.Azure = azure.Access{}
	reached, err := remote.reach(t.Context(), StagePlan)
	require.NoError(t, err)
	assert.Equal(t, "x", reached.env["ARM_CLIENT_ID"])
}
