package azure

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

const vaultAudience = "https://vault." + Suffix

// vaultKey is a key of a vault, with its versions, the newest last.
type vaultKey struct {
	versions []string
	private  map[string]*ecdsa.PrivateKey
	ops      []any
	tags     map[string]any
	enabled  bool
}

// vault answers for the keys of one vault. It returns the client that asked.
// https://learn.microsoft.com/rest/api/keyvault/keys/operation-groups
func (s *Server) vault(name string, w http.ResponseWriter, r *http.Request) string {
	if version := r.URL.Query().Get("api-version"); !slices.Contains([]string{"7.4", "7.5", "7.6", "2025-07-01"}, version) {
		fail(w, http.StatusBadRequest, "BadParameter", "The specified version ("+version+") is not recognized.")
		return ""
	}
	c := s.authorized(w, r, vaultAudience)
	if c == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := ""
	for _, stored := range s.store {
		if stored.kind == "microsoft.keyvault/vaults" && strings.EqualFold(stored.name, name) {
			id = stored.id
		}
	}
	if id == "" {
		fail(w, http.StatusNotFound, "VaultNotFound", "The vault '"+name+"' does not exist.")
		return c.Client
	}
	s.keyRequest(w, r, c, name, id)
	return c.Client
}

func (s *Server) keyRequest(w http.ResponseWriter, r *http.Request, c *claims, vault, id string) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	allowed := func(action string) bool {
		scope := id
		if len(parts) > 1 {
			scope += "/keys/" + parts[1]
		}
		full := "Microsoft.KeyVault/vaults/" + action
		if s.may(c.ObjectID, full, scope, true, "") {
			return true
		}
		fail(w, http.StatusForbidden, "Forbidden", "Caller is not authorized to perform action on resource. Caller: appid="+c.Client+";oid="+c.ObjectID+" Action: '"+full+"' Resource: '"+strings.ToLower(scope)+"'")
		return false
	}
	if parts[0] != "keys" && parts[0] != "deletedkeys" || len(parts) < 2 {
		// The provider asks whether there is a vault at all before it is made ready.
		if len(parts) == 1 && r.Method == http.MethodGet && slices.Contains([]string{"keys", "secrets", "certificates"}, parts[0]) {
			if allowed("keys/read") {
				answer(w, http.StatusOK, map[string]any{"value": []any{}})
			}
			return
		}
		fail(w, http.StatusNotFound, "NotFound", r.URL.Path+" is not a part of the stand-in for Azure")
		return
	}
	name := parts[1]
	at := strings.ToLower(vault + "/" + name)
	found := s.keys[at]
	verb := strings.Join(parts[2:], "/")
	switch {
	case parts[0] == "deletedkeys":
		fail(w, http.StatusNotFound, "KeyNotFound", "Deleted Key not found: "+name)
	case r.Method == http.MethodPost && verb == "create":
		if allowed("keys/create/action") {
			s.createKey(w, r, vault, name, id)
		}
	case found == nil:
		if allowed("keys/read") {
			fail(w, http.StatusNotFound, "KeyNotFound", "A key with (name/id) "+name+" was not found in this key vault.")
		}
	case verb == "rotationpolicy":
		if allowed("keyrotationpolicies/read") {
			fail(w, http.StatusNotFound, "KeyRotationPolicyNotFound", "The key has no rotation policy.")
		}
	case r.Method == http.MethodPost && len(parts) == 4 && parts[3] == "sign":
		if allowed("keys/sign/action") {
			signWith(w, r, vault, name, parts[2], found)
		}
	case len(parts) > 2 && found.private[verb] == nil:
		if allowed("keys/read") {
			fail(w, http.StatusNotFound, "KeyNotFound", "A key with (name/id) "+name+"/"+verb+" was not found in this key vault.")
		}
	case r.Method == http.MethodGet:
		if allowed("keys/read") {
			s.showKey(w, vault, name, verb, found)
		}
	case r.Method == http.MethodPatch:
		if allowed("keys/update/action") {
			body, err := read(r.Body)
			if err != nil {
				fail(w, http.StatusBadRequest, "BadParameter", err.Error())
				return
			}
			if ops, ok := body["key_ops"].([]any); ok {
				found.ops = ops
			}
			if tags, ok := body["tags"].(map[string]any); ok {
				found.tags = tags
			}
			s.showKey(w, vault, name, "", found)
		}
	case r.Method == http.MethodDelete:
		if allowed("keys/delete") {
			delete(s.keys, at)
			if shown := s.store[key(id+"/keys/"+name)]; shown != nil {
				s.remove(shown)
			}
			answer(w, http.StatusOK, map[string]any{"recoveryId": "https://" + vault + ".vault." + Suffix + "/deletedkeys/" + name})
		}
	default:
		fail(w, http.StatusMethodNotAllowed, "NotAllowed", r.Method+" "+r.URL.Path+" is not a part of the stand-in for Azure")
	}
}

func (s *Server) createKey(w http.ResponseWriter, r *http.Request, vault, name, id string) {
	at := strings.ToLower(vault + "/" + name)
	body, err := read(r.Body)
	if err != nil || body["kty"] != "EC" || body["crv"] != "P-256" {
		fail(w, http.StatusBadRequest, "BadParameter", "The stand-in for Azure has keys of kty EC and crv P-256 only")
		return
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		fail(w, http.StatusInternalServerError, "InternalError", err.Error())
		return
	}
	found := s.keys[at]
	if found == nil {
		found = &vaultKey{private: map[string]*ecdsa.PrivateKey{}, enabled: true}
		s.keys[at] = found
		// Resource Manager shows it, and roles are given on it.
		shown := &resource{id: id + "/keys/" + name, kind: "microsoft.keyvault/vaults/keys", name: name, scope: id}
		shown.body = map[string]any{"id": shown.id, "name": name, "type": "Microsoft.KeyVault/vaults/keys", "properties": map[string]any{}}
		s.store[key(shown.id)] = shown
	}
	version := strings.ReplaceAll(derived(at+private.X.String()), "-", "")
	found.versions = append(found.versions, version)
	found.private[version] = private
	found.ops, _ = body["key_ops"].([]any)
	found.tags, _ = body["tags"].(map[string]any)
	s.showKey(w, vault, name, "", found)
}

// signWith signs a digest with a version of a key.
func signWith(w http.ResponseWriter, r *http.Request, vault, name, version string, k *vaultKey) {
	private := k.private[version]
	body, err := read(r.Body)
	text, _ := body["value"].(string)
	digest, failed := base64.RawURLEncoding.DecodeString(text)
	switch {
	case private == nil:
		fail(w, http.StatusNotFound, "KeyNotFound", "A key with (name/id) "+name+"/"+version+" was not found in this key vault.")
	case !k.enabled || !slices.Contains(k.ops, any("sign")):
		fail(w, http.StatusForbidden, "Forbidden", "Operation sign is not permitted on this key.")
	case err != nil || failed != nil || body["alg"] != "ES256" || len(digest) != 32:
		fail(w, http.StatusBadRequest, "BadParameter", "The stand-in for Azure signs 32 bytes with ES256")
	default:
		x, y, err := ecdsa.Sign(rand.Reader, private, digest)
		if err != nil {
			fail(w, http.StatusInternalServerError, "InternalError", err.Error())
			return
		}
		signature := make([]byte, 64)
		x.FillBytes(signature[:32])
		y.FillBytes(signature[32:])
		answer(w, http.StatusOK, map[string]any{"kid": keyID(vault, name, version), "value": base64url(signature)})
	}
}

func keyID(vault, name, version string) string {
	return "https://" + strings.ToLower(vault) + ".vault." + Suffix + "/keys/" + name + "/" + version
}

// showKey is a version of a key, the newest by default.
func (s *Server) showKey(w http.ResponseWriter, vault, name, version string, k *vaultKey) {
	if version == "" {
		version = k.versions[len(k.versions)-1]
	}
	// SEC 1: 4, and then both coordinates.
	point, err := k.private[version].PublicKey.Bytes()
	if err != nil {
		fail(w, http.StatusInternalServerError, "InternalError", err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]any{
		"key": map[string]any{
			"kid": keyID(vault, name, version), "kty": "EC", "crv": "P-256",
			"key_ops": k.ops, "x": base64url(point[1:33]), "y": base64url(point[33:]),
		},
		"attributes": map[string]any{"enabled": k.enabled, "created": 1, "updated": 1, "recoveryLevel": "Recoverable"},
		"tags":       k.tags,
	})
}
