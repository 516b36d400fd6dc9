package drill

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/render"
	"slipway/step"
	"slipway/step/steptest"
)

var attack = Attack{Gate: "scan", Name: "vulnerable image", Expected: Expected{Stage: "scan", Kind: step.KindPolicy, Says: "CVE-1"}}

func refusal(stage string, details ...string) error {
	return step.Policy(stage, "app x", "is refused", "mend it", details...)
}

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		control, attempt error
		want             Verdict
		at               string
	}{
		"by its gate":         {nil, refusal("scan", "HIGH: CVE-1 in y"), Stopped, "scan"},
		"by nothing":          {nil, nil, LetThrough, ""},
		"by another stage":    {nil, refusal("publish", "CVE-1"), Elsewhere, "publish"},
		"for another reason":  {nil, refusal("scan", "CVE-2"), Elsewhere, "scan"},
		"by another kind":     {nil, step.Input("scan", "app CVE-1", "is bad", "mend it"), Elsewhere, "scan"},
		"by no gate":          {nil, errors.New("CVE-1: connection refused"), Elsewhere, ""},
		"control was refused": {refusal("scan", "CVE-1"), refusal("scan", "CVE-1"), ControlRefused, ""},
		"control was refused, and the attack was not": {refusal("scan"), nil, ControlRefused, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tried := false
			row := attack.Judge(c.control, func() error { tried = true; return c.attempt })
			assert.Equal(t, c.want, row.Verdict)
			assert.Equal(t, c.at, row.StoppedAt)
			assert.Equal(t, c.control == nil, tried, "an attack is made after a control that has passed, and only then")
			failed := Table{row}.Refusal()
			if c.want == Stopped {
				require.NoError(t, failed)
				return
			}
			f, ok := step.AsFault(failed)
			require.True(t, ok)
			assert.Equal(t, step.KindPolicy, f.Kind)
			assert.Contains(t, f.Reason, "scan (vulnerable image: "+string(c.want)+")")
			assert.Contains(t, strings.Join(f.Details, "\n"), "vulnerable image")
		})
	}
}

func TestTableThatNothingWasTriedOf(t *testing.T) {
	skipped := attack.Skip("give --terraform PATH")
	require.ErrorContains(t, Table{skipped}.Refusal(), "were not tried")
	require.ErrorContains(t, Table{}.Refusal(), "were not tried")

	table := Table{skipped, attack.Judge(nil, func() error { return refusal("scan", "CVE-1") })}
	require.NoError(t, table.Refusal())
	assert.Equal(t, "1 attacks, 1 stopped by their gates after a control that passed; 1 not tried", table.Summary())
	assert.Len(t, table.Untried(), 1)
	assert.Contains(t, table.Text(), "give --terraform PATH")
}

func TestFiles(t *testing.T) {
	files, err := Files("prod", "localhost:5000/drill")
	require.NoError(t, err)
	for _, app := range []string{App, VulnerableApp} {
		assert.Contains(t, files["apps/"+app+"/app.yaml"], "name: "+app+"\n")
		assert.Contains(t, files["apps/"+app+"/cmd/"+app+"/main.go"], "package main")
		assert.Contains(t, files["gitops/apps/"+app+"/overlays/prod/kustomization.yaml"], "name: localhost:5000/drill/"+app+"\n")
		assert.Contains(t, files["gitops/apps/"+app+"/base/deployment.yaml"], "image: localhost:5000/drill/"+app+"\n")
	}
	assert.Contains(t, files["gitops/apps/"+VulnerableApp+"/overlays/prod/kustomization.yaml"], "privileged: true")
	assert.NotContains(t, files["gitops/apps/"+App+"/overlays/prod/kustomization.yaml"], "patches")
	assert.NotContains(t, files["apps/"+App+"/go.mod"], "require")
	assert.Contains(t, files["apps/"+VulnerableApp+"/go.mod"], "golang.org/x/text v0.3.7")
	assert.NotContains(t, files, "apps/"+App+"/go.sum")
	assert.JSONEq(t, `{"environment": "prod"}`, files["infra/"+Code+"/environments/prod.tfvars.json"])
	for name, text := range files {
		for _, left := range []string{"APP", "ENVIRONMENT", "REPOSITORY"} {
			assert.NotContains(t, name+text, left, name)
		}
	}
}

// TestTableIsSafeToShow: what a gate said about an attack is the attacker's text.
func TestTableIsSafeToShow(t *testing.T) {
	for _, text := range steptest.Hostile() {
		table := Table{{
			Gate: text, Attack: text, StoppedAt: text, Expected: Expected{Stage: text, Says: text}, Control: text, Observed: text, Verdict: Verdict(text),
		}}
		steptest.Printable(t, table.Text())
		assert.Equal(t, 3, strings.Count(table.Text(), "\n"))
		data, err := render.Indented(table)
		require.NoError(t, err)
		steptest.Printable(t, data)
		steptest.Printable(t, table.Refusal().Error())
	}
}
