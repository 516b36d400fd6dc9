package azure

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// operation is a long one: how often it is still asked about.
type operation struct{ polls int }

const managementAudience = "https://" + MetadataHost

// management is Resource Manager. It returns the client that asked.
func (s *Server) management(w http.ResponseWriter, r *http.Request) string {
	if r.URL.Path == "/metadata/endpoints" {
		s.metadata(w, r)
		return ""
	}
	c := s.authorized(w, r, managementAudience)
	if c == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resourceManager(w, r, c)
	return c.Client
}

func (s *Server) metadata(w http.ResponseWriter, r *http.Request) {
	if version := r.URL.Query().Get("api-version"); !slices.Contains([]string{"2019-05-01", "2022-09-01", "2023-11-01"}, version) {
		fail(w, http.StatusBadRequest, "InvalidApiVersionParameter", "The api-version '"+version+"' is invalid")
		return
	}
	answer(w, http.StatusOK, map[string]any{
		"name": "SlipwayStandIn", "resourceManager": managementAudience + "/",
		"authentication": map[string]any{
			"loginEndpoint": "https://login." + Suffix, "audiences": []string{managementAudience}, "tenant": "common", "identityProvider": "AAD",
		},
		"microsoftGraphResourceId": "https://graph." + Suffix, "graph": "https://graph." + Suffix,
		"suffixes": map[string]any{"acrLoginServer": "azurecr." + Suffix, "keyVaultDns": "vault." + Suffix, "storage": Suffix},
	})
}

func (s *Server) resourceManager(w http.ResponseWriter, r *http.Request, c *claims) {
	path, version := strings.TrimSuffix(r.URL.Path, "/"), r.URL.Query().Get("api-version")
	if version == "" {
		fail(w, http.StatusBadRequest, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.")
		return
	}
	root := "/subscriptions/" + s.setup.Subscription
	if !strings.HasPrefix(strings.ToLower(path)+"/", strings.ToLower(root)+"/") {
		fail(w, http.StatusNotFound, "SubscriptionNotFound", "The subscription of '"+path+"' could not be found.")
		return
	}
	if id, ok := strings.CutPrefix(path, root+"/operations/"); ok {
		s.poll(w, id)
		return
	}
	if s.listing(w, r, version, path) {
		return
	}
	a, ok := locate(path)
	if !ok && r.Method == http.MethodPost {
		if a, ok = locate(path[:strings.LastIndex(path, "/")]); ok {
			a.action = path[strings.LastIndex(path, "/")+1:]
		}
	}
	k, known := kinds[a.kind]
	switch {
	case !ok || !known:
		fail(w, http.StatusNotFound, "InvalidResourceType", "The resource type of '"+path+"' is not a part of the stand-in for Azure")
		return
	case !slices.Contains(k.versions, version):
		fail(w, http.StatusBadRequest, "InvalidApiVersionParameter", fmt.Sprintf("The api-version '%s' is invalid for '%s'. The supported versions are '%s'.", version, a.kind, strings.Join(k.versions, ",")))
		return
	}
	stored := s.store[key(a.id)]
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		s.read(w, c, a, stored)
	case http.MethodPut, http.MethodPatch:
		s.write(w, r, c, a, k, stored)
	case http.MethodDelete:
		s.delete(w, c, a, stored)
	case http.MethodPost:
		s.act(w, c, a, stored)
	default:
		fail(w, http.StatusMethodNotAllowed, "HttpMethodNotAllowed", r.Method+" is not allowed")
	}
}

// allowed answers whoever may not.
func (s *Server) allowed(w http.ResponseWriter, c *claims, action, scope, given string) bool {
	if s.may(c.ObjectID, action, scope, false, given) {
		return true
	}
	fail(w, http.StatusForbidden, "AuthorizationFailed", fmt.Sprintf(
		"The client '%s' with object id '%s' does not have authorization to perform action '%s' over scope '%s' or the scope is invalid. If access was recently granted, please refresh your credentials.",
		c.Client, c.ObjectID, action, scope))
	return false
}

func (s *Server) read(w http.ResponseWriter, c *claims, a address, stored *resource) {
	if !s.allowed(w, c, a.kind+"/read", a.id, "") {
		return
	}
	if stored == nil {
		s.notFound(w, a)
		return
	}
	s.show(w, http.StatusOK, stored)
}

func (s *Server) notFound(w http.ResponseWriter, a address) {
	if a.group != "" && s.store[key(a.group)] == nil {
		fail(w, http.StatusNotFound, "ResourceGroupNotFound", "Resource group '"+a.group+"' could not be found.")
		return
	}
	fail(w, http.StatusNotFound, "ResourceNotFound", "The Resource '"+a.id+"' was not found.")
}

// show is a resource with what Azure adds to it.
func (s *Server) show(w http.ResponseWriter, status int, r *resource) {
	if complete := kinds[r.kind].complete; complete != nil {
		complete(s, r)
	}
	answer(w, status, r.body)
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, c *claims, a address, k kind, stored *resource) {
	body, err := read(r.Body)
	if err != nil {
		fail(w, http.StatusBadRequest, "InvalidRequestContent", "The request content was invalid and could not be deserialized: "+err.Error())
		return
	}
	definition, _ := lookup(body, "properties.roleDefinitionId").(string)
	if !s.allowed(w, c, a.kind+"/write", a.id, roleID(definition)) {
		return
	}
	parent := s.store[key(a.parent)]
	onSubscription := strings.EqualFold(a.parent, "/subscriptions/"+s.setup.Subscription)
	switch {
	case stored == nil && r.Method == http.MethodPatch:
		s.notFound(w, a)
		return
	case a.group != "" && a.kind != "microsoft.resources/resourcegroups" && s.store[key(a.group)] == nil:
		s.notFound(w, a)
		return
	case parent == nil && !onSubscription:
		fail(w, http.StatusNotFound, "ParentResourceNotFound", "Failed to perform 'write' on resource(s) of type '"+a.kind+"', because the parent resource '"+a.parent+"' could not be found.")
		return
	case !k.name.MatchString(a.name):
		fail(w, http.StatusBadRequest, "InvalidResourceName", "The resource name '"+a.name+"' of '"+a.kind+"' is invalid.")
		return
	}
	if k.shown {
		fail(w, http.StatusMethodNotAllowed, "HttpMethodNotAllowed", "'"+a.kind+"' is written at the service that has it")
		return
	}
	whole := body
	if r.Method == http.MethodPatch {
		whole = clone(stored.body)
		merge(whole, body)
	}
	if reason := k.missing(whole); reason != "" {
		fail(w, http.StatusBadRequest, "InvalidRequestContent", reason+" at "+a.id)
		return
	}
	if code, reason := s.wrong(a, whole, stored); code != "" {
		status := http.StatusBadRequest
		if strings.HasSuffix(code, "Exists") {
			status = http.StatusConflict
		}
		fail(w, status, code, reason)
		return
	}
	status := http.StatusOK
	if stored == nil {
		if !k.unmade {
			status = http.StatusCreated
		}
		stored = &resource{id: a.id, kind: a.kind, name: a.name, scope: a.parent}
		s.store[key(a.id)] = stored
	}
	stored.body = whole
	stored.set("id", stored.id)
	stored.set("name", stored.name)
	stored.set("type", a.kind)
	stored.set("properties.provisioningState", "Succeeded")
	if k.nested != nil {
		k.nested(s, stored)
	}
	if k.complete != nil {
		k.complete(s, stored)
	}
	s.built(stored)
	s.finish(w, r, status, stored)
}

// built are the parts that a resource has from its beginning.
func (s *Server) built(r *resource) {
	for name := range kinds {
		if part, ok := strings.CutPrefix(name, r.kind+"/"); ok && kinds[name].built && s.store[key(r.id+"/"+part+"/default")] == nil {
			id := r.id + "/" + part + "/default"
			s.store[key(id)] = &resource{id: id, kind: name, name: "default", scope: r.id, body: map[string]any{
				"id": id, "name": "default", "type": name, "properties": map[string]any{},
			}}
		}
	}
}

// finish answers a write: at once, or as a long operation where that was ordered.
func (s *Server) finish(w http.ResponseWriter, r *http.Request, status int, stored *resource) {
	polls := s.slow(r)
	if polls == 0 {
		s.show(w, status, stored)
		return
	}
	id := derived(fmt.Sprint(stored.id, len(s.pending)))
	s.pending[id] = &operation{polls: polls}
	w.Header().Set("Azure-AsyncOperation", managementAudience+"/subscriptions/"+s.setup.Subscription+"/operations/"+id+"?api-version=2024-01-01")
	w.Header().Set("Retry-After", "1")
	s.show(w, http.StatusCreated, stored)
}

func (s *Server) poll(w http.ResponseWriter, id string) {
	o := s.pending[id]
	switch {
	case o == nil:
		fail(w, http.StatusNotFound, "NotFound", "The operation '"+id+"' could not be found.")
	case o.polls > 0:
		o.polls--
		w.Header().Set("Retry-After", "1")
		answer(w, http.StatusOK, map[string]any{"name": id, "status": "InProgress"})
	default:
		answer(w, http.StatusOK, map[string]any{"name": id, "status": "Succeeded"})
	}
}

// wrong is what Azure finds wrong with a body beyond its form.
func (s *Server) wrong(a address, body map[string]any, stored *resource) (code, reason string) {
	text := func(path string) string { value, _ := lookup(body, path).(string); return value }
	switch a.kind {
	case "microsoft.authorization/roleassignments":
		known := false
		for _, r := range roles {
			known = known || r.id == roleID(text("properties.roleDefinitionId"))
		}
		switch {
		case !known:
			return "RoleDefinitionDoesNotExist", "The specified role definition with ID '" + text("properties.roleDefinitionId") + "' does not exist."
		case !s.principal(text("properties.principalId")):
			return "PrincipalNotFound", "Principal " + text("properties.principalId") + " does not exist in the directory " + s.setup.Tenant + "."
		case stored != nil:
			return "RoleAssignmentExists", "The role assignment already exists."
		case text("properties.condition") != "" && text("properties.conditionVersion") != "2.0":
			return "RoleAssignmentConditionVersionNotAllowed", "A condition needs conditionVersion 2.0."
		}
	case "microsoft.keyvault/vaults":
		if stored != nil && stored.get("properties.enablePurgeProtection") == true && lookup(body, "properties.enablePurgeProtection") != true {
			return "BadRequest", "The property \"enablePurgeProtection\" cannot be set to false. Enabling the purge protection for a vault is an irreversible action."
		}
		if !strings.EqualFold(text("properties.tenantId"), s.setup.Tenant) {
			return "BadRequest", "The tenant '" + text("properties.tenantId") + "' is not the subscription's."
		}
	case "microsoft.managedidentity/userassignedidentities/federatedidentitycredentials":
		for _, r := range s.store {
			if r.kind == a.kind && r.scope == a.parent && key(r.id) != key(a.id) && r.get("properties.issuer") == text("properties.issuer") && r.get("properties.subject") == text("properties.subject") {
				return "BadRequest", "Issuer and subject combination already exists for this Managed Identity."
			}
		}
	}
	return "", ""
}

func (s *Server) delete(w http.ResponseWriter, c *claims, a address, stored *resource) {
	given := ""
	if stored != nil {
		definition, _ := stored.get("properties.roleDefinitionId").(string)
		given = roleID(definition)
	}
	if !s.allowed(w, c, a.kind+"/delete", a.id, given) {
		return
	}
	if stored == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	s.remove(stored)
	w.WriteHeader(http.StatusOK)
}

// act are the few POSTs on a resource.
func (s *Server) act(w http.ResponseWriter, c *claims, a address, stored *resource) {
	if !s.allowed(w, c, a.kind+"/"+a.action+"/action", a.id, "") {
		return
	}
	switch {
	case stored == nil:
		s.notFound(w, a)
	case a.action == "listClusterUserCredential":
		config := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","clusters":[{"name":%q,"cluster":{"server":"https://%s:443"}}],"users":[{"name":"user","user":{"exec":{"apiVersion":"client.authentication.k8s.io/v1beta1","command":"kubelogin","args":["get-token"]}}}],"contexts":[{"name":"context","context":{"cluster":%q,"user":"user"}}],"current-context":"context"}`,
			stored.name, stored.get("properties.fqdn"), stored.name)
		answer(w, http.StatusOK, map[string]any{"kubeconfigs": []any{map[string]any{"name": "clusterUser", "value": base64.StdEncoding.EncodeToString([]byte(config))}}})
	case a.action == "listKeys" && stored.get("properties.allowSharedKeyAccess") == false:
		fail(w, http.StatusForbidden, "KeyBasedAuthenticationNotPermitted", "Key based authentication is not permitted on this storage account.")
	default:
		fail(w, http.StatusNotFound, "NotFound", "The action '"+a.action+"' is not a part of the stand-in for Azure")
	}
}

var roleName = regexp.MustCompile(`(?i)\AroleName eq '([^']+)'\z`)

// empty are collections that the provider looks into, and that hold nothing here,
// with the versions that they are asked in.
var empty = map[string]string{
	"/replications": "2025-11-01",
	"/providers/microsoft.operationalinsights/deletedworkspaces": "2025-07-01",
}

const roleVersion = "2022-05-01-preview"

// listing are the collections that are asked for, and what is in them.
func (s *Server) listing(w http.ResponseWriter, r *http.Request, version, path string) bool {
	lower := strings.ToLower(path)
	values, wanted, found := []any{}, "", false
	for end, v := range empty {
		if strings.HasSuffix(lower, end) {
			wanted, found = v, true
		}
	}
	definitions := strings.Index(lower, "/providers/microsoft.authorization/roledefinitions")
	deleted := strings.Contains(lower, "/providers/microsoft.keyvault/locations/") && strings.Contains(lower, "/deletedvaults/")
	switch {
	case definitions >= 0:
		wanted, found = roleVersion, true
	case deleted:
		wanted, found = "2026-02-01", true
	}
	switch {
	case !found || r.Method != http.MethodGet:
		return false
	case version != wanted:
		fail(w, http.StatusBadRequest, "InvalidApiVersionParameter", fmt.Sprintf("The api-version '%s' is invalid for '%s'. The supported versions are '%s'.", version, path, wanted))
		return true
	case deleted:
		fail(w, http.StatusNotFound, "DeletedVaultNotFound", "The deleted vault '"+path+"' does not exist.")
		return true
	case definitions >= 0 && !strings.HasSuffix(lower, "/roledefinitions"):
		for name := range roles {
			if roles[name].id == roleID(lower) {
				answer(w, http.StatusOK, s.definition(name))
				return true
			}
		}
		fail(w, http.StatusNotFound, "RoleDefinitionDoesNotExist", "The specified role definition with ID '"+path+"' does not exist.")
		return true
	case definitions >= 0:
		name := roleName.FindStringSubmatch(r.URL.Query().Get("$filter"))
		if name != nil && roles[name[1]].id != "" {
			values = append(values, s.definition(name[1]))
		}
	}
	answer(w, http.StatusOK, map[string]any{"value": values})
	return true
}

func read(body io.Reader) (map[string]any, error) {
	var value map[string]any
	err := json.NewDecoder(io.LimitReader(body, 4<<20)).Decode(&value)
	if err == io.EOF {
		return map[string]any{}, nil
	}
	return value, err
}
