package terraform

import (
	"regexp"
	"strings"

	"slipway/step"
	"slipway/step/azure"
)

// Azure's errors begin with a code. The provider puts it behind the status; what
// it says in its own words of a token, it quotes.
var (
	azureCode    = regexp.MustCompile(`(?:with error|with response): ?\{?"?([A-Z][A-Za-z_]+)"?:`)
	linked       = regexp.MustCompile(`The client '([^']*)' with object id '[^']*' has permission to perform action '[^']+' .*?does not have permission to perform action(?:\(s\))? '([^']+)' on the linked scope(?:\(s\))? '([^']+)'`)
	unauthorized = regexp.MustCompile(`The client '([^']*)' with object id '[^']*' does not have authorization to perform action '([^']+)' over scope '([^']+)'`)
	vaultCaller  = regexp.MustCompile(`Caller is not authorized to perform action on resource\.?.*?appid=([^;\s]+).*?Action: '([^']+)'\s*Resource: '([^']+)'`)
	wrongToken   = regexp.MustCompile(`InvalidAuthenticationToken[A-Za-z]*`)
	throttled    = regexp.MustCompile(`\b429\b|TooManyRequests`)
	quota        = regexp.MustCompile(`(?i)quota|SkuNotAvailable|AllocationFailed|ZonalAllocationFailed|InsufficientCapacity`)
	// The frame that Terraform draws around what it prints for people.
	frame = strings.NewReplacer("╷", " ", "│", " ", "╵", " ")
)

// What an Azure service refuses with words of its own, which nothing else has.
var azureRefusals = []struct {
	words        *regexp.Regexp
	refuse       func(stage, input, reason, mend string, details ...string) *step.Fault
	reason, mend string
}{
	{regexp.MustCompile(`AuthorizationPermissionMismatch|not authorized to perform this operation using this permission`), step.Input,
		"the identity may not read and write the state: it lacks the role Storage Blob Data Contributor on the state's container",
		"add its object ID to writers of infra/azure-bootstrap, or give it the role there; a new role needs some minutes"},
	{regexp.MustCompile(`KeyBasedAuthenticationNotPermitted|Key based authentication is not permitted`), step.Input,
		"the state's account takes no shared key", "give no ARM_ACCESS_KEY, but an identity: with-azure"},
	{regexp.MustCompile(`\bContainerNotFound\b|The specified container does not exist`), step.Input,
		"the state's container does not exist", "make it with infra/azure-bootstrap, or mend infra.state of slipway.yaml"},
	{regexp.MustCompile(`AuthorizationFailure\b|ForbiddenByFirewall|Client address is not authorized|denied by IP (?:rule|Network Rule)`), step.Input,
		"Azure lets nobody in from this address", "add the address that this run has to authorized_ranges, or run it from inside the network"},
	{regexp.MustCompile(`MissingSubscriptionRegistration[^']*'([A-Za-z.]+)'`), step.Input,
		"the subscription is not registered to use $1", "have somebody who may register it: az provider register --namespace $1 --wait"},
	{regexp.MustCompile(`RequestDisallowedByPolicy: (.{1,400})`), step.Policy,
		"Azure Policy refuses it: $1", "change the code so that it holds to the policy, or ask the policy's owner"},
}

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

// azureFault is what an error of Azure means, in the text that a command gave; nil
// when it isn't one, or says nothing more than that it failed. Who may not apply is
// refused; who may not even look was given to the wrong stage, or too little.
func azureFault(stage, command, where, text string) *step.Fault {
	text = oneLine(frame.Replace(plain(text)))
	for _, expression := range []*regexp.Regexp{unauthorized, linked, vaultCaller} {
		if m := expression.FindStringSubmatch(text); m != nil {
			role := roleFor(m[2])
			refuse := step.Input
			if command == "apply" {
				refuse = step.Policy
			}
			return refuse(stage, where, "the identity "+m[1]+" may not "+m[2]+" on "+m[3]+": it lacks a role such as "+role,
				"run it with the identity that is for this stage, or give this one the role "+role+" there; a new role needs some minutes")
		}
	}
	for _, r := range azureRefusals {
		if at := r.words.FindStringSubmatchIndex(text); at != nil {
			expand := func(template string) string { return string(r.words.ExpandString(nil, template, text, at)) }
			return r.refuse(stage, where, expand(r.reason), expand(r.mend))
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
		_, words, _ := strings.Cut(text, code)
		return step.Input(stage, where, "Azure has not so much to give: "+code+words,
			"ask for a larger quota, or change size, number, zones or region in the variables; then plan again")
	}
	if code != "" && throttled.MatchString(text) {
		return step.Infrastructure(stage, where, "Azure answers too many requests, still after the provider's own tries", "wait some minutes, then plan again: a part may have been applied")
	}
	return nil
}
