package azure

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// resource is one that was made.
type resource struct {
	// id as it was first written, type in lower case, name as written, and for an
	// extension the ID of what it lies on.
	id, kind, name, scope string
	body                  map[string]any
}

func (r *resource) get(path string) any { return lookup(r.body, path) }

func (r *resource) set(path string, value any) {
	at := r.body
	parts := strings.Split(path, ".")
	for _, part := range parts[:len(parts)-1] {
		next, ok := at[part].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[part] = next
		}
		at = next
	}
	at[parts[len(parts)-1]] = value
}

func lookup(value map[string]any, path string) any {
	var at any = value
	for _, part := range strings.Split(path, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = object[part]
	}
	return at
}

// merge lays a patch over a body, as JSON merge patch does.
func merge(body, patch map[string]any) {
	for key, value := range patch {
		next, isObject := value.(map[string]any)
		old, wasObject := body[key].(map[string]any)
		switch {
		case isObject && wasObject:
			merge(old, next)
		case value == nil:
			delete(body, key)
		default:
			body[key] = value
		}
	}
}

func clone(body map[string]any) map[string]any {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	var copied map[string]any
	if err := json.Unmarshal(data, &copied); err != nil {
		panic(err)
	}
	return copied
}

// derived is a UUID that says nothing, the same for the same text.
func derived(text string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(text)))
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:32]
}

// address is a parsed resource ID.
type address struct {
	// id is the path, without a slash at its end; kind its type in lower case, name
	// the last part, group the resource group's ID, parent the ID above it.
	id, kind, name, group, parent string
	// action is a POST's, such as listKeys.
	action string
}

// locate reads a resource's ID. A type without a name is a collection.
func locate(path string) (address, bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	a := address{id: "/" + strings.Join(parts, "/")}
	if len(parts) < 2 || !strings.EqualFold(parts[0], "subscriptions") {
		return a, false
	}
	if len(parts) >= 4 && strings.EqualFold(parts[2], "resourceGroups") {
		a.group = "/" + strings.Join(parts[:4], "/")
	}
	last := -1
	for i, part := range parts {
		if strings.EqualFold(part, "providers") {
			last = i
		}
	}
	switch {
	case last < 0 && len(parts) == 4 && a.group != "":
		a.kind, a.name, a.parent = "microsoft.resources/resourcegroups", parts[3], "/"+strings.Join(parts[:2], "/")
		return a, true
	case last < 0 || last+2 >= len(parts):
		return a, false
	}
	kind := []string{parts[last+1]}
	rest := parts[last+2:]
	for i := 0; i < len(rest); i += 2 {
		kind = append(kind, rest[i])
	}
	a.kind = strings.ToLower(strings.Join(kind, "/"))
	if len(rest)%2 == 1 {
		return a, false
	}
	a.name = rest[len(rest)-1]
	switch {
	case len(rest) > 2:
		a.parent = "/" + strings.Join(parts[:len(parts)-2], "/")
	case last == 0:
		return a, false
	default:
		a.parent = "/" + strings.Join(parts[:last], "/")
	}
	return a, true
}

func key(id string) string { return strings.ToLower(strings.TrimSuffix(id, "/")) }

// children are the bodies of a resource's children of one type, by name.
func (s *Server) children(r *resource, kind string) []any {
	list := []any{}
	for _, id := range slices.Sorted(maps.Keys(s.store)) {
		if c := s.store[id]; c.kind == r.kind+"/"+kind && strings.HasPrefix(id, key(r.id)+"/") {
			list = append(list, c.body)
		}
	}
	return list
}

// Resource is what is stored under an ID, as JSON; nil when nothing is.
func (s *Server) Resource(id string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.store[key(id)]
	if r == nil {
		return nil
	}
	data, _ := json.Marshal(r.body)
	return data
}

// IDs of everything that is stored, in order.
func (s *Server) IDs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []string{}
	for _, r := range s.store {
		list = append(list, r.id)
	}
	slices.Sort(list)
	return list
}

// Change is somebody's hand: it sets a value of a resource past every check, or,
// with an empty path, deletes the resource. It reports whether there was one.
func (s *Server) Change(id, path string, value any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.store[key(id)]
	if r == nil {
		return false
	}
	if path == "" {
		s.remove(r)
		return true
	}
	r.set(path, value)
	return true
}

// remove takes a resource away with everything in it and on it.
func (s *Server) remove(r *resource) {
	prefix := key(r.id)
	maps.DeleteFunc(s.store, func(id string, _ *resource) bool { return id == prefix || strings.HasPrefix(id, prefix+"/") })
}
