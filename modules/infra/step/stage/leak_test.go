package stage

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

const hard = "k9&Zp<3vQ>x!m7T"

// echoing is a root whose provider hands a secret back without its mark, and whose
// errors may tell it.
const echoing = `
terraform {
  backend "http" {}
}
variable "environment" { type = string }
variable "value" { type = string }
variable "secret" {
  type      = string
  sensitive = true
}
resource "terraform_data" "db" {
  input = { password = var.secret }
  lifecycle { ignore_changes = [input] }
}
resource "terraform_data" "app" {
  input = jsonencode({ value = var.value, db = { password = terraform_data.db.output.password } })
}
resource "terraform_data" "each" {
  for_each = var.value == "two" ? toset([nonsensitive(terraform_data.db.output.password)]) : toset([])
  input    = each.key
}
output "echo" {
  value = "https://u:${urlencode(nonsensitive(var.secret))}@example.org/"
}
`

func (s *site) secret(value, secret string) {
	s.vars = s.file("vars.tfvars.json", `{"environment":"dev","value":"`+value+`","secret":"`+secret+`"}`)
}

// clean fails when something that is shown or kept tells the secret.
func (s *site) clean(shown any, secrets ...string) {
	s.t.Helper()
	for _, secret := range secrets {
		for _, spelled := range []string{secret, strings.NewReplacer("&", `\u0026`, "<", `\u003c`, ">", `\u003e`).Replace(secret), "k9%26Zp%3C3vQ%3Ex%21m7T"} {
			data, err := json.Marshal(shown)
			require.NoError(s.t, err)
			assert.NotContains(s.t, string(data), spelled)
			assert.NotContains(s.t, s.progress.String(), spelled)
			for _, name := range []string{"plan.json", "binding.json", "checked.json"} {
				assert.NotContains(s.t, strings.Join(kept(s.t, spelled, s.out), " "), name)
			}
		}
	}
}

func TestASecretInAnotherSpellingIsLeftOut(t *testing.T) {
	s := newSite(t)
	s.write(filepath.Join(s.code, "main.tf"), echoing)
	s.secret("one", hard)
	planned, err := s.plan("dev")
	require.NoError(t, err)
	s.clean(planned, hard)
	checked, err := s.check("dev", false)
	require.NoError(t, err)
	s.clean(checked, hard)
	applied, err := s.apply("dev")
	require.NoError(t, err)
	s.clean(applied, hard)
	assert.JSONEq(t, `"(sensitive)"`, string(applied.Outputs["echo"].Value))

	s.secret("two", hard)
	planned, err = s.plan("dev")
	require.NoError(t, err)
	s.clean(planned, hard)
	assert.Equal(t, 1, planned.Summary.Update, "it is a change all the same")
	assert.Equal(t, "(sensitive)", planned.Summary.Resources[0].Before.(map[string]any)["input"])
	_, err = s.check("dev", true)
	require.NoError(t, err)
	applied, err = s.apply("dev")
	require.NoError(t, err)
	s.clean(applied, hard)

	s.secret("one", hard)
	planned, err = s.plan("dev")
	require.NoError(t, err)
	s.clean(planned, hard)
	_, err = s.check("dev", false)
	f := wantFault(t, err, StageCheck, step.KindPolicy, "destroys, replaces or forgets")
	s.clean(f, hard)
	assert.Equal(t, []string{`terraform_data.each["(sensitive)"] (delete)`}, f.Details)
	drift, err := Drift(t.Context(), DriftOptions{Common: s.common("dev"), Remote: s.remote(), VarFiles: []string{s.vars}})
	require.NoError(t, err)
	s.clean(drift, hard)
}

func TestAnErrorTellsNoSecret(t *testing.T) {
	s := newSite(t)
	s.write(filepath.Join(s.code, "main.tf"), echoing)
	s.secret("one", hard)
	s.ready()
	_, err := s.apply("dev")
	require.NoError(t, err)

	const condition = "resource \"terraform_data\" \"c\" {\n  lifecycle {\n    precondition {\n      condition     = var.value == \"never\"\n      error_message = \"Not with %s.\"\n    }\n  }\n}\n"
	const other = "zulu-yankee-xray"
	for name, c := range map[string]struct{ secret, expression, told string }{
		"a variable's":                {other, "${nonsensitive(var.secret)}", "Not with (sensitive)."},
		"in base64":                   {other, "${base64encode(nonsensitive(var.secret))}", "(left out: it holds a sensitive value)"},
		"in a query":                  {hard, "?x=${urlencode(nonsensitive(var.secret))}", "(left out: it holds a sensitive value)"},
		"known from the state alone":  {other, "${nonsensitive(terraform_data.db.output.password)}", "Not with (sensitive)."},
		"in JSON, of the state alone": {other, "${nonsensitive(terraform_data.app.output)}", "(left out: it holds a sensitive value)"},
		"a literal's":                 {other, "${nonsensitive(sensitive(\\\"lima-mike-november\\\"))}", "Not with (sensitive)."},
		"none, the control":           {other, "${var.value}", "Not with one."},
	} {
		t.Run(name, func(t *testing.T) {
			c.expression = strings.ReplaceAll(c.expression, `\"`, `"`)
			s.secret("one", c.secret)
			s.write(filepath.Join(s.code, "more.tf"), strings.Replace(condition, "%s", c.expression, 1))
			_, err := s.plan("dev")
			f := wantFault(t, err, StagePlan, step.KindPolicy, "Resource precondition failed")
			s.clean(f, hard, other, "lima-mike-november")
			require.Len(t, f.Details, 1)
			assert.Contains(t, f.Details[0], c.told)
			assert.Equal(t, "more.tf:4", f.Input)
		})
	}
}

func TestAWarningIsToldWithoutASecret(t *testing.T) {
	s := newSite(t)
	s.write(filepath.Join(s.code, "more.tf"), "check \"c\" {\n  assert {\n    condition     = var.value == \"never\"\n    error_message = \"Not with ${var.value} and ${nonsensitive(var.secret)}.\"\n  }\n}\n")
	s.secret("one", "zulu-yankee-xray")
	planned, err := s.plan("dev")
	require.NoError(t, err)
	require.Len(t, planned.Summary.Warnings, 1)
	assert.Contains(t, planned.Summary.Warnings[0], "Not with one and (sensitive).")
}

// What a provider says is left out where it may know what nobody else does.
func TestAProvidersWordsAreLeftOutWhenTheirSecretsCanNotBeKnown(t *testing.T) {
	const failing = "resource \"terraform_data\" \"c\" {\n  provisioner \"local-exec\" {\n    command = \"echo it said so; exit 1\"\n  }\n}\n"
	apply := func(more string) *step.Fault {
		s := newSite(t)
		s.write(filepath.Join(s.code, "more.tf"), failing+more)
		s.ready()
		_, err := s.apply("dev")
		return wantFault(t, err, StageApply, step.KindInfrastructure, "")
	}
	assert.Contains(t, apply("").Error(), "it said so", "control")
	f := apply("locals {\n  x = sensitive(timestamp())\n}\n")
	assert.NotContains(t, f.Error(), "it said so")
	assert.Equal(t, "more.tf:2", f.Input)
	assert.Contains(t, f.Reason, "failed, in words of a provider that are left out")
}
