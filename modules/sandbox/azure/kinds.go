package azure

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// kind is what Resource Manager knows of one type of resource.
type kind struct {
	// versions of the API that are answered.
	versions []string
	// required are the paths that a body must have, with dots between their parts.
	required []string
	// name is what its name has to match.
	name *regexp.Regexp
	// extends: it lies on any other resource.
	extends bool
	// built: it is there as soon as its parent is, and only changed.
	built bool
	// nested makes what a body holds of other resources into such.
	nested func(s *Server, r *resource)
	// complete adds what Azure itself says of the resource.
	complete func(s *Server, r *resource)
	// unmade: a write that makes it is answered like one that changes it.
	unmade bool
	// shown: it is another service's, and only read here.
	shown bool
}

var (
	plainName = regexp.MustCompile(`\A[A-Za-z0-9]([A-Za-z0-9_.-]{0,88}[A-Za-z0-9_])?\z`)
	uuidName  = regexp.MustCompile(`\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z`)
	location  = "location"
)

// kinds are the types that the stand-in has, in lower case. Whatever else is
// asked for is refused: nothing passes because nobody looked.
var kinds = map[string]kind{
	"microsoft.resources/resourcegroups": {
		versions: []string{"2023-07-01"}, required: []string{location}, name: plainName,
	},
	"microsoft.operationalinsights/workspaces": {
		versions: []string{"2020-08-01", "2025-07-01"}, required: []string{location}, name: regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]\z`),
		complete: func(s *Server, r *resource) { r.set("properties.customerId", derived(r.id)) },
	},
	"microsoft.network/virtualnetworks": {
		versions: []string{"2025-01-01"}, required: []string{location, "properties.addressSpace.addressPrefixes"}, name: plainName,
		nested:   nestedSubnets,
		complete: func(s *Server, r *resource) { r.set("properties.subnets", s.children(r, "subnets")) },
	},
	"microsoft.network/virtualnetworks/subnets": {
		versions: []string{"2025-01-01"}, required: []string{"properties"}, name: plainName,
	},
	"microsoft.containerservice/managedclusters": {
		versions: []string{"2025-10-01"}, name: regexp.MustCompile(`\A[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\z`),
		required: []string{location, "identity.type", "properties.dnsPrefix", "properties.agentPoolProfiles", "properties.networkProfile.networkPlugin"},
		complete: completeCluster,
	},
	"microsoft.containerservice/managedclusters/maintenanceconfigurations": {
		versions: []string{"2025-10-01"}, required: []string{"properties"},
		name: regexp.MustCompile(`\A(default|aksManagedAutoUpgradeSchedule|aksManagedNodeOSUpgradeSchedule)\z`),
	},
	"microsoft.containerservice/managedclusters/agentpools": {
		versions: []string{"2025-10-01"}, required: []string{"properties.vmSize"}, name: regexp.MustCompile(`\A[a-z][a-z0-9]{0,11}\z`),
	},
	"microsoft.containerregistry/registries": {
		versions: []string{"2025-11-01"}, required: []string{location, "sku.name"}, name: regexp.MustCompile(`\A[A-Za-z0-9]{5,50}\z`),
		complete: func(s *Server, r *resource) {
			r.set("properties.loginServer", strings.ToLower(r.name)+".azurecr."+Suffix)
			r.set("sku.tier", r.get("sku.name"))
		},
	},
	"microsoft.keyvault/vaults": {
		versions: []string{"2026-02-01"}, name: regexp.MustCompile(`\A[a-zA-Z][A-Za-z0-9-]{1,22}[A-Za-z0-9]\z`),
		required: []string{location, "properties.tenantId", "properties.sku.name", "properties.sku.family"},
		complete: func(s *Server, r *resource) {
			r.set("properties.vaultUri", "https://"+strings.ToLower(r.name)+".vault."+Suffix+"/")
		},
	},
	"microsoft.storage/storageaccounts": {
		versions: []string{"2025-08-01"}, required: []string{location, "sku.name", "kind"}, name: regexp.MustCompile(`\A[a-z0-9]{3,24}\z`),
		complete: completeAccount, unmade: true,
	},
	"microsoft.storage/storageaccounts/blobservices": {
		versions: []string{"2025-08-01"}, required: []string{"properties"}, name: regexp.MustCompile(`\Adefault\z`), built: true,
	},
	"microsoft.storage/storageaccounts/fileservices": {
		versions: []string{"2025-08-01"}, required: []string{"properties"}, name: regexp.MustCompile(`\Adefault\z`), built: true,
	},
	"microsoft.storage/storageaccounts/blobservices/containers": {
		versions: []string{"2025-08-01"}, name: regexp.MustCompile(`\A[a-z0-9][a-z0-9-]{1,61}[a-z0-9]\z`),
	},
	"microsoft.managedidentity/userassignedidentities": {
		versions: []string{"2024-11-30"}, required: []string{location}, name: plainName,
		complete: func(s *Server, r *resource) {
			r.set("properties.clientId", derived("client "+r.id))
			r.set("properties.principalId", derived("principal "+r.id))
			r.set("properties.tenantId", s.setup.Tenant)
		},
	},
	"microsoft.managedidentity/userassignedidentities/federatedidentitycredentials": {
		versions: []string{"2024-11-30"}, name: plainName,
		required: []string{"properties.issuer", "properties.subject", "properties.audiences"},
	},
	"microsoft.authorization/roleassignments": {
		versions: []string{"2022-04-01"}, required: []string{"properties.roleDefinitionId", "properties.principalId"}, name: uuidName, extends: true,
		complete: func(s *Server, r *resource) { r.set("properties.scope", r.scope) },
	},
	"microsoft.insights/diagnosticsettings": {
		versions: []string{"2021-05-01-preview"}, required: []string{"properties"}, name: plainName, extends: true, unmade: true,
	},
	"microsoft.keyvault/vaults/keys": {versions: []string{"2026-02-01"}, name: plainName, shown: true},
}

// topLevel are the only keys that a body has, beside those of its answer.
var topLevel = []string{"location", "tags", "sku", "kind", "identity", "properties", "zones", "extendedLocation", "id", "name", "type", "etag", "systemData", "managedBy", "plan"}

// missing says what a body lacks, or has too much; empty when nothing.
func (k kind) missing(body map[string]any) string {
	for key := range body {
		if !slices.Contains(topLevel, key) {
			return fmt.Sprintf("Could not find member '%s' on object of type 'ResourceDefinition'", key)
		}
	}
	for _, path := range k.required {
		switch value := lookup(body, path).(type) {
		case nil:
			return fmt.Sprintf("Required parameter %s is missing (null)", path)
		case string:
			if value == "" {
				return fmt.Sprintf("Required parameter %s is missing (empty)", path)
			}
		}
	}
	return ""
}

// nestedSubnets makes the subnets that a network's body names, and takes away those
// that it doesn't.
func nestedSubnets(s *Server, r *resource) {
	list, _ := r.get("properties.subnets").([]any)
	named := map[string]bool{}
	for _, item := range list {
		body, _ := item.(map[string]any)
		name, _ := body["name"].(string)
		if body == nil || name == "" {
			continue
		}
		subnet := &resource{id: r.id + "/subnets/" + name, kind: r.kind + "/subnets", name: name, scope: r.id, body: body}
		subnet.set("id", subnet.id)
		subnet.set("type", subnet.kind)
		subnet.set("properties.provisioningState", "Succeeded")
		named[key(subnet.id)] = true
		s.store[key(subnet.id)] = subnet
	}
	for id, one := range s.store {
		if one.kind == r.kind+"/subnets" && strings.HasPrefix(id, key(r.id)+"/") && !named[id] {
			s.remove(one)
		}
	}
}

func completeCluster(s *Server, r *resource) {
	host := fmt.Sprintf("%s-%s.hcp.%s", r.get("properties.dnsPrefix"), derived(r.id)[:8], Suffix)
	r.set("identity.principalId", derived("principal "+r.id))
	r.set("identity.tenantId", s.setup.Tenant)
	r.set("properties.fqdn", host)
	if r.get("properties.apiServerAccessProfile.enablePrivateCluster") == true {
		r.set("properties.privateFQDN", "private-"+host)
	}
	version, _ := r.get("properties.kubernetesVersion").(string)
	r.set("properties.currentKubernetesVersion", version+".4")
	r.set("properties.powerState", map[string]any{"code": "Running"})
	r.set("properties.nodeResourceGroup", "MC_"+r.name)
	r.set("properties.oidcIssuerProfile.issuerURL", "https://oidc."+Suffix+"/"+derived(r.id)+"/")
	r.set("properties.identityProfile.kubeletidentity", map[string]any{
		"resourceId": "/subscriptions/" + s.setup.Subscription + "/resourceGroups/MC_" + r.name + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/" + r.name + "-agentpool",
		"clientId":   derived("kubelet client " + r.id), "objectId": derived("kubelet " + r.id),
	})
	profiles, _ := r.get("properties.agentPoolProfiles").([]any)
	for _, p := range profiles {
		if profile, ok := p.(map[string]any); ok {
			profile["provisioningState"], profile["currentOrchestratorVersion"] = "Succeeded", version+".4"
			if profile["count"] == nil {
				profile["count"] = profile["minCount"]
			}
		}
	}
	addons, _ := r.get("properties.addonProfiles").(map[string]any)
	for name, a := range addons {
		if addon, ok := a.(map[string]any); ok && addon["enabled"] == true {
			addon["identity"] = map[string]any{
				"resourceId": "/subscriptions/" + s.setup.Subscription + "/resourceGroups/MC_" + r.name + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/" + name,
				"clientId":   derived(name + " client " + r.id), "objectId": derived(name + " " + r.id),
			}
		}
	}
}

func completeAccount(s *Server, r *resource) {
	endpoints := map[string]any{}
	for _, service := range []string{"blob", "file", "queue", "table", "dfs", "web"} {
		endpoints[service] = "https://" + r.name + "." + service + "." + Suffix + "/"
	}
	r.set("properties.primaryEndpoints", endpoints)
	r.set("properties.primaryLocation", r.get("location"))
	r.set("properties.statusOfPrimary", "available")
	sku, _ := r.get("sku.name").(string)
	tier, _, _ := strings.Cut(sku, "_")
	r.set("sku.tier", tier)
}
