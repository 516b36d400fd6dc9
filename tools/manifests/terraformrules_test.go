package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

const (
	code = `
locals {
  namespaces = { for app in var.apps : app => "${app}-${local.end}" }
  end        = var.environment
}

resource "kubectl_manifest" "namespace" {
  for_each = local.namespaces

  yaml_body = yamlencode({
    apiVersion = "v1"
    kind       = "Namespace"
    metadata   = { name = each.value, labels = merge({ app = each.key }, { environment = local.end }) }
  })
}
`
	declared = `
variable "environment" {
  type = string
}

variable "apps" {
  type    = list(string)
  default = ["a", "b"]
}
`
)

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return dir
}

func files(changes map[string]string) map[string]string {
	all := map[string]string{"main.tf": code, "variables.tf": declared, "environments/qa.tfvars.json": `{"environment": "qa"}`}
	for name, text := range changes {
		all[name] = text
	}
	return all
}

func TestObjectsAreThoseOfTheCode(t *testing.T) {
	got, err := infraObjects(folder(t, files(nil)), "qa")
	require.NoError(t, err)
	assert.Equal(t, `---
apiVersion: v1
kind: Namespace
metadata:
  labels:
    app: a
    environment: qa
  name: a-qa
---
apiVersion: v1
kind: Namespace
metadata:
  labels:
    app: b
    environment: qa
  name: b-qa
`, string(got))
}

func TestTerraformThatIsNotReadIsRefused(t *testing.T) {
	with := func(old, new string) map[string]string {
		require.Contains(t, code, old)
		return map[string]string{"main.tf": strings.Replace(code, old, new, 1)}
	}
	for name, c := range map[string]struct {
		changes map[string]string
		reason  string
	}{
		"a block":             {map[string]string{"main.tf": code + "module \"x\" {\n}\n"}, "a block module is not read"},
		"another resource":    {with("kubectl_manifest", "kubernetes_manifest"), "a block resource is not read"},
		"count":               {with("for_each = local.namespaces", "count = 1"), "a resource without for_each or yaml_body is not read"},
		"text":                {with("yamlencode({", "templatefile(\"x\", {"), "what is not yamlencode(…) is not read"},
		"a list":              {with("for_each = local.namespaces", "for_each = [[1]]"), "what is no map of strings is not read"},
		"no HCL":              {map[string]string{"main.tf": "locals {"}, "is not valid"},
		"no JSON":             {map[string]string{"environments/qa.tfvars.json": "{"}, "is not JSON"},
		"no value":            {map[string]string{"environments/qa.tfvars.json": "{}"}, "has no value"},
		"an unknown variable": {map[string]string{"environments/qa.tfvars.json": `{"environment": "qa", "app": []}`}, "is not declared"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := infraObjects(folder(t, files(c.changes)), "qa")
			fault, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Contains(t, fault.Reason, c.reason)
			assert.NotEmpty(t, fault.Mend)
		})
	}
	for name, changes := range map[string]map[string]string{
		"a local that is not there": with("= var.environment", "= var.environments"),
		"locals in a circle":        with("= var.environment", "= local.namespaces.a"),
		"a function":                with("merge(", "sort("),
	} {
		_, err := infraObjects(folder(t, files(changes)), "qa")
		assert.Error(t, err, name)
	}
	_, err := infraObjects(folder(t, files(nil)), "prod")
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Contains(t, fault.Input, "prod.tfvars.json")
}

func TestVariableDefault(t *testing.T) {
	dir := folder(t, map[string]string{"v.tf": "variable \"a\" {\n  default = \"10.0.0.0/8\"\n}\nvariable \"b\" {\n  default = 1\n}\n"})
	var text string
	require.NoError(t, variableDefault(filepath.Join(dir, "v.tf"), "a", &text))
	assert.Equal(t, "10.0.0.0/8", text)
	assert.ErrorContains(t, variableDefault(filepath.Join(dir, "v.tf"), "b", &text), "has another kind of default for b")
	assert.ErrorContains(t, variableDefault(filepath.Join(dir, "v.tf"), "c", &text), "has no variable c")
}
