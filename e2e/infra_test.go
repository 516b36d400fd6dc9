//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The environment is one that no other test's delivery plans for.
const infraEnvironment = "production"

func TestInfraIsPlannedCheckedAndApplied(t *testing.T) {
	p := shared
	options := append(p.options(), p.terraform(t)...)
	infra := func(dir string, args ...string) (string, error) {
		return p.call(dir, options, append([]string{"infra", "--env", infraEnvironment, "plan"}, args...)...)
	}
	state := func() string {
		status, data := fetch(t, p, "/state/builtin/"+infraEnvironment, "application/json")
		require.Equal(t, http.StatusOK, status)
		return string(data)
	}

	out, err := infra(p.repo, "check", "apply", "outputs")
	require.NoError(t, err)
	var outputs map[string]struct{ Value json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(out), &outputs), out)
	assert.JSONEq(t, `"`+infraEnvironment+`"`, string(outputs["namespace"].Value))
	applied := state()
	assert.Contains(t, applied, `"serial"`)

	out, err = infra(p.repo, "changes")
	require.NoError(t, err)
	assert.Equal(t, "false", strings.TrimSpace(out), "the second plan finds nothing to do")

	const code = "infra/builtin/main.tf"
	text := read(t, p.repo+"/"+code)
	const quota = `resource "terraform_data" "quota"`
	require.Contains(t, text, quota)
	renamed := source(t, map[string]string{code: strings.Replace(text, quota, `resource "terraform_data" "limits"`, 1),
		"infra/builtin/outputs.tf": "output \"namespace\" {\n  value = terraform_data.namespace.output.name\n}\n"})
	_, err = infra(renamed, "check", "sha-256")
	refused(t, err, "check: refused by policy: plan: destroys, replaces or forgets existing resources: 1", "terraform_data.quota")
	assert.Equal(t, applied, state(), "a refused plan changes nothing")

	_, err = infra(renamed, "check", "--allow-destroy", "apply", "sha-256")
	require.NoError(t, err)
	assert.NotContains(t, state(), `"quota"`)
	assert.Contains(t, state(), `"limits"`)

	broken := source(t, map[string]string{code: text + "\nresource \"terraform_data\" \"quota\" {}\n"})
	_, err = infra(broken, "sha-256")
	require.Error(t, err)
	assert.ErrorContains(t, err, "plan: bad input")
}
