package policy

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

func fault(t *testing.T, err error, kind step.Kind) *step.Fault {
	t.Helper()
	f, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, kind, f.Kind)
	assert.Equal(t, "check", f.Stage)
	assert.NotEmpty(t, f.Mend)
	return f
}

func TestDestroysNeedAYes(t *testing.T) {
	list := []string{"terraform_data.a (delete)"}
	f := fault(t, Destroys("check", list, false), step.KindPolicy)
	assert.Equal(t, list, f.Details)
	assert.Contains(t, f.Mend, "--allow-destroy")
	assert.NoError(t, Destroys("check", list, true))
	assert.NoError(t, Destroys("check", nil, false))
}
