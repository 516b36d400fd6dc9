package terraform

import (
	"errors"
	"strings"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

// The words are those of azurerm 5.2 and of Azure's services.
func TestWhatAzureSaysIsTold(t *testing.T) {
	const group = "/subscriptions/s/resourceGroups/g"
	denied := func(action string) string {
		return `creating Resource Group "g": unexpected status 403 (403 Forbidden) with error: AuthorizationFailed: The client 'c1' with object id 'o1' does not have authorization to perform action '` + action + `' over scope '` + group + `' or the scope is invalid. If access was recently granted, please refresh your credentials.`
	}
	for name, c := range map[string]struct {
		summary      string
		kind         step.Kind
		reason, mend string
	}{
		"a plan-only identity writes": {denied("microsoft.resources/resourcegroups/write"), step.KindPolicy,
			"the identity c1 may not microsoft.resources/resourcegroups/write on " + group + ": it lacks a role such as Contributor", "give this one the role Contributor"},
		"gives roles": {denied("Microsoft.Authorization/roleAssignments/write"), step.KindPolicy, "it lacks a role such as Role Based Access Control Administrator", "Role Based Access Control Administrator"},
		"signs in":    {denied("microsoft.containerservice/managedclusters/listClusterUserCredential/action"), step.KindPolicy, "it lacks a role such as Azure Kubernetes Service Cluster User Role", "Cluster User Role"},
		"can't read":  {denied("Microsoft.Network/virtualNetworks/read"), step.KindPolicy, "it lacks a role such as Reader", "the role Reader"},
		"makes a key": {"keyvault.BaseClient#CreateKey: Failure responding to request: StatusCode=403 -- Original Error: autorest/azure: Service returned an error. Status=403 Code=\"Forbidden\" Message=\"Caller is not authorized to perform action on resource. Caller: appid=c1;oid=o1 Action: 'Microsoft.KeyVault/vaults/keys/create/action' Resource: '" + group + "/keys/k'\"",
			step.KindPolicy, "may not Microsoft.KeyVault/vaults/keys/create/action on " + group + "/keys/k: it lacks a role such as Key Vault Crypto Officer", "Key Vault Crypto Officer"},
		"an old token": {`retrieving Resource Group: unexpected status 401 (401 Unauthorized) with error: ExpiredAuthenticationToken: The access token expiry UTC time '2026-01-01' is earlier than current UTC time`, step.KindInput,
			"Azure's token has expired", "--request-url"},
		"an old assertion": {`building client: clientCredentialsToken: received HTTP status 400 with response: {"error":"invalid_request","error_description":"AADSTS700024: Client assertion is not within its valid time range"}`, step.KindInput,
			"Azure's token has expired", "--request-url"},
		"another subject": {`received HTTP status 400 with response: {"error_description":"AADSTS700213: No matching federated identity record found for presented assertion subject 'repo:x'","error":"invalid_request"}`, step.KindInput,
			"Entra refuses the identity: AADSTS700213: No matching federated identity record found for presented assertion subject 'repo:x'", "federated credential"},
		"another audience": {`unexpected status 401 (401 Unauthorized) with error: InvalidAuthenticationTokenAudience: The access token has been obtained for wrong audience`, step.KindInput,
			"Azure refuses the token: InvalidAuthenticationTokenAudience", "tenant and cloud"},
		"a quota": {`creating Kubernetes Cluster: unexpected status 400 (400 Bad Request) with error: ErrCode_InsufficientVCPUQuota: Insufficient vcpu quota requested 8, remaining 4 for family standardDdsv5Family for region westeurope.`, step.KindInput,
			"Azure has not so much to give: ErrCode_InsufficientVCPUQuota: Insufficient vcpu quota requested 8, remaining 4 for family standardDdsv5Family for region westeurope.", "larger quota"},
		"no such size": {`unexpected status 409 (409 Conflict) with error: SkuNotAvailable: The requested size is currently not available in location 'westeurope'.`, step.KindInput,
			"Azure has not so much to give: SkuNotAvailable", "region"},
		"too many": {`unexpected status 429 (429 Too Many Requests) with error: TooManyRequests: The request is being throttled.`, step.KindInfrastructure,
			"Azure answers too many requests", "wait some minutes"},
		"a role beyond": {`creating Cluster: unexpected status 403 (403 Forbidden) with error: LinkedAuthorizationFailed: The client 'c1' with object id 'o1' has permission to perform action 'Microsoft.ContainerService/managedClusters/write' on scope '` + group + `'; however, it does not have permission to perform action(s) 'Microsoft.Network/virtualNetworks/subnets/join/action' on the linked scope(s) '` + group + `/n' (respectively) or the linked scope(s) are invalid.`, step.KindPolicy,
			"the identity c1 may not Microsoft.Network/virtualNetworks/subnets/join/action on " + group + "/n: it lacks a role such as Contributor", "Contributor"},
		"not registered": {`creating Cluster: unexpected status 409 (409 Conflict) with error: MissingSubscriptionRegistration: The subscription is not registered to use namespace 'Microsoft.ContainerService'. See https://aka.ms/rps-not-found for how to register subscriptions.`, step.KindInput,
			"not registered to use Microsoft.ContainerService", "az provider register --namespace Microsoft.ContainerService --wait"},
		"a policy of Azure": {`unexpected status 403 (403 Forbidden) with error: RequestDisallowedByPolicy: Resource 'x' was disallowed by policy. Policy identifiers: 'regions'.`, step.KindPolicy,
			"Azure Policy refuses it: Resource 'x' was disallowed by policy.", "policy's owner"},
		"the wrong place": {"keyvault.BaseClient#GetKey: Failure responding to request: StatusCode=403 -- Original Error: autorest/azure: Service returned an error. Status=403 Code=\"Forbidden\" Message=\"Client address is not authorized and caller is not a trusted service.\" InnerError={\"code\":\"ForbiddenByFirewall\"}", step.KindInput,
			"lets nobody in from this address", "authorized_ranges"},
		"something else": {`unexpected status 500 (500 Internal Server Error) with error: InternalServerError: Something went wrong`, step.KindInfrastructure,
			"unexpected status 500", "see the reason"},
		"another provider's quota": {`creating ConfigMap: exceeded quota: share, requested: pods=1`, step.KindInfrastructure, "exceeded quota", "see the reason"},
		"another provider's token": {`the token has expired`, step.KindInfrastructure, "the token has expired", "see the reason"},
	} {
		t.Run(name, func(t *testing.T) {
			err := fault("apply", "apply", []tfjson.Diagnostic{{Severity: tfjson.DiagnosticSeverityError, Summary: c.summary, Address: "azurerm_resource_group.this"}}, errors.New("exit status 1"))
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, c.kind, f.Kind)
			assert.Equal(t, "azurerm_resource_group.this", f.Input)
			assert.Contains(t, f.Reason, c.reason)
			assert.Contains(t, f.Mend, c.mend)
		})
	}
}

// A plan looks, and changes nothing: who may not look has been given too little.
func TestWhatAPlanMayNotReadNamesTheMissingRole(t *testing.T) {
	const group = "/subscriptions/s/resourceGroups/g"
	for name, c := range map[string]struct{ text, reason, mend string }{
		"a resource": {`retrieving Resource Group "g": unexpected status 403 (403 Forbidden) with error: AuthorizationFailed: The client 'c1' with object id 'o1' does not have authorization to perform action 'Microsoft.Resources/subscriptions/resourcegroups/read' over scope '` + group + `' or the scope is invalid.`,
			"the identity c1 may not Microsoft.Resources/subscriptions/resourcegroups/read on " + group + ": it lacks a role such as Reader", "give this one the role Reader there"},
		"a key": {"keyvault.BaseClient#GetKey: Failure responding to request: StatusCode=403 -- Original Error: autorest/azure: Service returned an error. Status=403 Code=\"Forbidden\" Message=\"Caller is not authorized to perform action on resource.\r\nIf role assignments were changed recently, please observe propagation time.\r\nCaller: appid=c1;oid=o1;iss=https://sts/\r\nAction: 'Microsoft.KeyVault/vaults/keys/read'\r\nResource: '" + group + "/keys/k'\"",
			"it lacks a role such as Key Vault Reader", "give this one the role Key Vault Reader there"},
		"the state": {"Failed to get existing workspaces: listing blobs: executing request: unexpected status 403 (403 This request is not authorized to perform this operation using this permission.) with AuthorizationPermissionMismatch: This request is not authorized to perform this operation using this permission.",
			"it lacks the role Storage Blob Data Contributor on the state's container", "writers of infra/azure-bootstrap"},
		"no state": {"Failed to get existing workspaces: listing blobs: executing request: unexpected status 404 (404 The specified container does not exist.) with ContainerNotFound: The specified container does not exist.",
			"the state's container does not exist", "infra/azure-bootstrap"},
		"by a key": {"unexpected status 403 (403 Key based authentication is not permitted on this storage account.) with KeyBasedAuthenticationNotPermitted",
			"takes no shared key", "with-azure"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, command := range []string{"init", "plan"} {
				f := wantFault(t, fault("plan", command, []tfjson.Diagnostic{diagnostic(c.text, "", 0, "")}, errors.New("exit status 1")), step.KindInput)
				assert.Contains(t, f.Reason, c.reason)
				assert.Contains(t, f.Mend, c.mend)
			}
			// Commands without JSON print it in a frame, over several lines.
			framed := "exit status 1\n\x1b[31m╷\x1b[0m\n│ Error: " + strings.ReplaceAll(c.text, " with", "\n│ with") + "\n╵\n"
			tf := Terraform{o: Options{Stage: "plan"}}
			f := wantFault(t, tf.unread("state", errors.New(framed)), step.KindInput)
			assert.Equal(t, "state", f.Input)
			assert.Contains(t, f.Reason, c.reason)
		})
	}
	tf := Terraform{o: Options{Stage: "plan"}}
	assert.Equal(t, "can't be read: connection refused", wantFault(t, tf.unread("state", errors.New("exit status 1\nconnection refused")), step.KindInfrastructure).Reason)
}
