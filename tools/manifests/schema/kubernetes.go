package schema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Names of definitions that need a word of their own.
const (
	definitions = "#/definitions/"
	quantity    = "io.k8s.apimachinery.pkg.api.resource.Quantity"
	objectMeta  = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
)

// Kubernetes is Kubernetes' OpenAPI document: api/openapi-spec/swagger.json of
// its source.
type Kubernetes struct {
	origin      string
	definitions map[string]object
	kinds       map[Kind]string
}

// ReadKubernetes reads the document; origin is what schemas name as their source.
func ReadKubernetes(data []byte, origin string) (*Kubernetes, error) {
	var document struct {
		Definitions map[string]object `json:"definitions"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document of %s: %w", origin, err)
	}
	k := &Kubernetes{origin: origin, definitions: document.Definitions, kinds: map[Kind]string{}}
	for name, definition := range document.Definitions {
		// Options of calls belong to every group; objects belong to one.
		named, _ := definition["x-kubernetes-group-version-kind"].([]any)
		if len(named) != 1 {
			continue
		}
		parts, _ := named[0].(object)
		group, _ := parts["group"].(string)
		version, _ := parts["version"].(string)
		kind, _ := parts["kind"].(string)
		if group != "" {
			version = group + "/" + version
		}
		k.kinds[Kind{version, kind}] = name
	}
	return k, nil
}

// Schema is the schema of a kind; ok is false when Kubernetes has no such kind.
func (k *Kubernetes) Schema(kind Kind) (data []byte, ok bool, err error) {
	name, ok := k.kinds[kind]
	if !ok {
		return nil, false, nil
	}
	strict, err := k.inline(name, nil)
	if err != nil {
		return nil, true, fmt.Errorf("schema of %s: %w", kind, err)
	}
	metadata, err := k.metadata()
	if err != nil {
		return nil, true, err
	}
	data, err = whole(strict, metadata, kind, k.origin)
	return data, true, err
}

// metadata is the schema of every object's metadata.
func (k *Kubernetes) metadata() (object, error) {
	return k.inline(objectMeta, nil)
}

// inline returns the strict schema of a definition, with all that it refers to
// put in its place. within are the definitions on the way to it.
func (k *Kubernetes) inline(name string, within []string) (object, error) {
	if slices.Contains(within, name) {
		return nil, fmt.Errorf("%s refers to itself", name)
	}
	if name == quantity {
		return object{"type": []any{"string", "number"}, "pattern": `^[+-]?[0-9.]+([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?$`}, nil
	}
	definition, ok := k.definitions[name]
	if !ok {
		return nil, fmt.Errorf("%s is not defined", name)
	}
	within = append(slices.Clone(within), name)
	return convert(definition, func(ref string) (object, error) {
		return k.inline(strings.TrimPrefix(ref, definitions), within)
	})
}
