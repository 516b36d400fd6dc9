package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Entra takes the tokens of the service accounts that infra/azure names: these have
// to be those that pods have, or the pods are nobody.
func TestTerraformKnowsTheServiceAccounts(t *testing.T) {
	var workloads map[string]struct {
		Account string `json:"service_account"`
	}
	require.NoError(t, variableDefault("../../infra/azure/variables.tf", "workloads", &workloads))
	accounts := map[string]string{}
	for name, object := range built(t, adopted(t), azurePlatform) {
		if object.GetKind() == "ServiceAccount" {
			accounts[object.GetNamespace()+":"+object.GetName()] = name
		}
	}
	known := map[string]string{}
	for name, workload := range workloads {
		assert.Contains(t, accounts, workload.Account, name)
		known[workload.Account] = name
	}
	assert.Equal(t, map[string]string{
		"argocd:argocd-repo-server":            "argocd",
		"argocd:argocd-redis":                  "argocd-secrets",
		"kyverno:kyverno-admission-controller": "kyverno",
		"gateway:gateway":                      "gateway",
	}, known)
}
