package terraform

import (
	"regexp"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"

	"slipway/step"
	"slipway/step/azure"
)

// Azure's errors begin with a code. The provider puts it behind the status; what
// it says in its own words of a token, it quotes.
var (
	azureCode    = regexp.MustCompile(`(?:with error|with response): ?\{?"?([A-Z][A-Za-z_]+)"?:`)
	unauthorized = regexp.MustCompile(`The client '([^']*)' with object id '[^']*' does not have authorization to perform action '([^']+)' over scope '([^']+)'`)
	vaultCaller  = regexp.MustCompile(`Caller is not authorized to perform action on resource\.?.*?appid=([^;\s]+).*?Action: '([^']+)'\s*Resource: '([^']+)'`)
	wrongToken   = regexp.MustCompile(`InvalidAuthenticationToken[A-Za-z]*`)
	throttled    = regexp.MustCompile(`\b429\b|TooManyRequests`)
	quota        = regexp.MustCompile(`(?i)quota|SkuNotAvailable|AllocationFailed|ZonalAllocationFailed|InsufficientCapacity`)
)

// needed is the least of Azure's own roles that permits an action; the first that
// matches counts.
// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
var needed = []struct {
	action *regexp.Regexp
	role   string
}{
	{regexp.MustCompile(`(?i)\AMicrosoft\.Authorization/roleAssignments/(write|delete)\z`), "Role Based Access Control Administrator"},
	{regexp.MustCompile(`(?i)\AMicrosoft\.KeyVault/vaults/keys/(sign|verify)/action\z`), "Key Vault Crypto User"},
	{regexp.MustCompile(`(?i)\AMicrosoft\.KeyVault/vaults/keys/read\z`), "Key Vault Reader"},
	{regexp.MustCompile(`(?i)\AMicrosoft\.KeyVault/vaults/(keys|keyrotationpolicies)/`), "Key Vault Crypto Officer"},
	{regexp.MustCompile(`(?i)\AMicrosoft\.Storage/storageAccounts/blobServices/containers/blobs/`), "Storage Blob Data Contributor"},
	{regexp.MustCompile(`(?i)\AMicrosoft\.ContainerService/managedClusters/listClusterUserCredential/action\z`), "Azure Kubernetes Service Cluster User Role"},
	{regexp.MustCompile(`(?i)\AMicrosoft\.ContainerService/managedClusters/listClusterAdminCredential/action\z`), "Azure Kubernetes Service Cluster Admin Role"},
	{regexp.MustCompile(`(?i)/read\z`), "Reader"},
	{regexp.MustCompile(``), "Contributor"},
}

func roleFor(action string) string {
	for _, n := range needed {
		if n.action.MatchString(action) {
			return n.role
		}
	}
	return ""
}

// azureFault is what an error of Azure means; nil when it isn't one, or says
// nothing more than that it failed.
func azureFault(stage, command string, d tfjson.Diagnostic) *step.Fault {
	text := oneLine(plain(d.Summary + " " + d.Detail))
	where := at(d, "terraform "+command)
	for _, expression := range []*regexp.Regexp{unauthorized, vaultCaller} {
		if m := expression.FindStringSubmatch(text); m != nil {
			role := roleFor(m[2])
			return step.Policy(stage, where, "the identity "+m[1]+" may not "+m[2]+" on "+m[3]+": it lacks a role such as "+role,
				"run it with the identity that is for this stage, or give this one the role "+role+" there; a new role needs some minutes")
		}
	}
	if f := azure.Refusal(stage, where, text); f != nil {
		return f
	}
	if m := wrongToken.FindString(text); m != "" {
		return step.Input(stage, where, "Azure refuses the token: "+m, "compare tenant and cloud with those that the identity belongs to")
	}
	code := ""
	if m := azureCode.FindStringSubmatch(text); m != nil {
		code = m[1]
	}
	if code != "" && quota.MatchString(text) {
		return step.Input(stage, where, "Azure has not so much to give: "+text[strings.Index(text, code):],
			"ask for a larger quota, or change size, number, zones or region in the variables; then plan again")
	}
	if code != "" && throttled.MatchString(text) {
		return step.Infrastructure(stage, where, "Azure answers too many requests, still after the provider's own tries", "wait some minutes, then plan again: a part may have been applied")
	}
	return nil
}
