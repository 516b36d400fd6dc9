package azure

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// role is a built-in one: its ID, which is the same in every tenant, and what it
// permits. Data actions are those of the services behind Resource Manager.
// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
type role struct {
	id                 string
	actions, exceptFor []string
	data               []string
}

var roles = map[string]role{
	"Owner": {"8e3af657-a8ff-443c-a75c-2fe8c4bcb635", []string{"*"}, nil, nil},
	"Contributor": {"b24988ac-6180-42a0-ab88-20f7382dd24c", []string{"*"},
		[]string{"microsoft.authorization/*/delete", "microsoft.authorization/*/write"}, nil},
	"Reader": {"acdd72a7-3385-48ef-bd42-f606fba81ae7", []string{"*/read"}, nil, nil},
	"Role Based Access Control Administrator": {"f58310d9-a9f6-439a-9e8d-f62e7b41a168",
		[]string{"microsoft.authorization/roleassignments/write", "microsoft.authorization/roleassignments/delete", "*/read"}, nil, nil},
	"Network Contributor":      {"4d97b98b-1d4f-4787-a291-c67834d212e7", []string{"microsoft.network/*"}, nil, nil},
	"Key Vault Reader":         {"21090545-7ca7-4776-b22c-e363652d74d2", []string{"microsoft.keyvault/vaults/*/read", "microsoft.keyvault/vaults/read"}, nil, []string{"microsoft.keyvault/vaults/*/read"}},
	"Key Vault Crypto Officer": {"14b46e9e-c2b7-41b4-b07b-48a6ebf60603", []string{"microsoft.keyvault/vaults/*/read"}, nil, []string{"microsoft.keyvault/vaults/keys/*", "microsoft.keyvault/vaults/keyrotationpolicies/*"}},
	"Key Vault Crypto User": {"12338af0-0e69-4776-bea7-57ae8d297424", nil, nil, []string{
		"microsoft.keyvault/vaults/keys/read", "microsoft.keyvault/vaults/keys/sign/action", "microsoft.keyvault/vaults/keys/verify/action"}},
	"Key Vault Secrets User": {"4633458b-17de-408a-b874-0445c86b69e6", nil, nil, []string{
		"microsoft.keyvault/vaults/secrets/getsecret/action", "microsoft.keyvault/vaults/secrets/readmetadata/action"}},
	"Storage Blob Data Contributor": {"ba92f5b4-2d11-453d-a403-e96b0029c9fe", []string{"microsoft.storage/storageaccounts/blobservices/containers/*"}, nil,
		[]string{"microsoft.storage/storageaccounts/blobservices/containers/blobs/*"}},
	"Container Registry Repository Reader": {"b93aa761-3e63-49ed-ac28-beffa264f7ac", nil, nil,
		[]string{"microsoft.containerregistry/registries/repositories/content/read", "microsoft.containerregistry/registries/repositories/metadata/read"}},
	"Container Registry Repository Writer": {"2a1e307c-b015-4ebd-883e-5b7698a07328", nil, nil, []string{
		"microsoft.containerregistry/registries/repositories/content/read", "microsoft.containerregistry/registries/repositories/content/write",
		"microsoft.containerregistry/registries/repositories/metadata/read", "microsoft.containerregistry/registries/repositories/metadata/write"}},
	"Azure Kubernetes Service Cluster User Role": {"4abbcc35-e782-43d8-92c5-2d3f1bd2253f",
		[]string{"microsoft.containerservice/managedclusters/listclusterusercredential/action", "microsoft.containerservice/managedclusters/read"}, nil, nil},
	"Azure Kubernetes Service RBAC Reader": {"7f6c6a51-bcf8-42ba-9220-52d62157d7db", nil, nil, []string{"microsoft.containerservice/managedclusters/*/read"}},
}

func (r role) permits(action string, data bool) bool {
	if data {
		return matches(r.data, action)
	}
	return matches(r.actions, action) && !matches(r.exceptFor, action)
}

func matches(patterns []string, action string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		expression := strings.ReplaceAll(regexp.QuoteMeta(strings.ToLower(pattern)), `\*`, ".*")
		return regexp.MustCompile(`\A` + expression + `\z`).MatchString(strings.ToLower(action))
	})
}

func roleID(definition string) string {
	return strings.ToLower(definition[strings.LastIndex(definition, "/")+1:])
}

// repositories are the beginnings of repositories' names in a condition.
var repositories = regexp.MustCompile(`StringStartsWithIgnoreCase '([^']*)'`)

// may reports whether an identity has a role that permits an action at a scope.
// given is the role that a role assignment gives, or a registry's repository: a
// condition that names roles by their IDs, or repositories by their beginning, has to
// name it. Other conditions are of data that isn't here.
func (s *Server) may(object, action, scope string, data bool, given string) bool {
	for _, i := range s.setup.Identities {
		if i.ObjectID != object {
			continue
		}
		for _, name := range i.Roles {
			if roles[name].permits(action, data) {
				return true
			}
		}
	}
	for _, assigned := range s.store {
		if assigned.kind != "microsoft.authorization/roleassignments" || assigned.get("properties.principalId") != object {
			continue
		}
		within := key(assigned.scope)
		if at := key(scope); at != within && !strings.HasPrefix(at, within+"/") {
			continue
		}
		condition, _ := assigned.get("properties.condition").(string)
		if strings.HasPrefix(strings.ToLower(action), "microsoft.authorization/roleassignments/") && condition != "" && !strings.Contains(condition, given) {
			continue
		}
		if strings.HasPrefix(strings.ToLower(action), "microsoft.containerregistry/registries/repositories/") && condition != "" &&
			!slices.ContainsFunc(repositories.FindAllStringSubmatch(condition, -1), func(m []string) bool { return strings.HasPrefix(strings.ToLower(given), strings.ToLower(m[1])) }) {
			continue
		}
		definition, _ := assigned.get("properties.roleDefinitionId").(string)
		for _, r := range roles {
			if r.id == roleID(definition) && r.permits(action, data) {
				return true
			}
		}
	}
	return false
}

// identity is an application by its client ID: one that there is, or a managed
// identity with what is federated with it.
func (s *Server) identity(client string) (Identity, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range s.setup.Identities {
		if i.ClientID == client && client != "" {
			return i, true
		}
	}
	for _, r := range s.store {
		if r.kind != "microsoft.managedidentity/userassignedidentities" || r.get("properties.clientId") != client {
			continue
		}
		object, _ := r.get("properties.principalId").(string)
		found := Identity{ClientID: client, ObjectID: object}
		for _, child := range s.children(r, "federatedidentitycredentials") {
			body, _ := child.(map[string]any)
			issuer, _ := lookup(body, "properties.issuer").(string)
			subject, _ := lookup(body, "properties.subject").(string)
			found.Federated = append(found.Federated, Federated{issuer, subject})
		}
		return found, true
	}
	return Identity{}, false
}

// principal reports whether the directory knows an object.
func (s *Server) principal(object string) bool {
	if slices.Contains(s.setup.Principals, object) || slices.ContainsFunc(s.setup.Identities, func(i Identity) bool { return i.ObjectID == object }) {
		return true
	}
	for _, r := range s.store {
		if r.get("properties.principalId") == object && r.kind == "microsoft.managedidentity/userassignedidentities" ||
			r.get("identity.principalId") == object || r.get("properties.identityProfile.kubeletidentity.objectId") == object {
			return true
		}
	}
	return false
}

// definition is a role as Resource Manager describes it.
func (s *Server) definition(name string) map[string]any {
	r := roles[name]
	return map[string]any{
		"id":   fmt.Sprintf("/subscriptions/%s/providers/Microsoft.Authorization/roleDefinitions/%s", s.setup.Subscription, r.id),
		"name": r.id, "type": "Microsoft.Authorization/roleDefinitions",
		"properties": map[string]any{"roleName": name, "type": "BuiltInRole", "assignableScopes": []string{"/"}},
	}
}
