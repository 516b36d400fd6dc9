package terraform

import (
	"strings"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step/result/infra"
)

func TestOnlyAnEmptyBlockSaysNothing(t *testing.T) {
	for _, value := range []any{nil, []any{}, map[string]any{}} {
		assert.False(t, given(value), "%#v", value)
	}
	for _, value := range []any{"", "x", false, true, 0.0, []any{nil}, []any{map[string]any{}}, map[string]any{"command": nil}} {
		assert.True(t, given(value), "%#v", value)
	}
}

func TestWhichProgramKeepsSecretsOutOfPlans(t *testing.T) {
	for program, keeps := range map[infra.Program]bool{
		{Name: "Terraform", Version: "1.9.8"}:      false,
		{Name: "Terraform", Version: "1.10.0"}:     true,
		{Name: "Terraform", Version: "1.10.0-rc1"}: false,
		{Name: "Terraform", Version: "2.0.0"}:      true,
		{Name: "OpenTofu", Version: "1.10.7"}:      false,
		{Name: "OpenTofu", Version: "1.11.0"}:      true,
		{Name: "OpenTofu", Version: "x"}:           false,
		{}:                                         false,
	} {
		assert.Equal(t, keeps, Ephemeral(program), "%v", program)
	}
}

func TestTheMendOfALockFileIsItsOwn(t *testing.T) {
	for file, want := range map[string]string{".terraform.lock.hcl": lockMend, "main.tf": "name an attribute that it has"} {
		assert.Equal(t, want, mend(tfjson.Diagnostic{Summary: "Unsupported attribute", Detail: "x", Range: &tfjson.Range{Filename: file}}), file)
	}
	assert.Equal(t, "write what it asks for", mend(tfjson.Diagnostic{Summary: "Unsupported attributes"}))
}

func TestTheLastOfALongTextIsKept(t *testing.T) {
	var kept tail
	for _, part := range []string{"first", strings.Repeat("x", 4<<10-1), "y"} {
		n, err := kept.Write([]byte(part))
		require.NoError(t, err)
		assert.Equal(t, len(part), n)
	}
	assert.Equal(t, strings.Repeat("x", 4<<10-1)+"y", kept.String())
}
