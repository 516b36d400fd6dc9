package conform

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	k8syaml "sigs.k8s.io/yaml"

	"slipway/tools/manifests/target"
)

// object is a node of an OpenAPI document.
type object = map[string]any

// Names of Kubernetes' definitions that need a word of their own.
const (
	quantity   = "io.k8s.apimachinery.pkg.api.resource.Quantity"
	objectMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
)

// Kinds are the kinds that a cluster has, as its OpenAPI document and its custom
// resource definitions describe them.
type Kinds struct {
	// definitions are the schemas of kinds, by names such as "apps/v1 Deployment", and
	// of what these refer to.
	definitions object
	// compiling guards the compiler, which is made for the first object.
	compiling sync.Mutex
	compiler  *jsonschema.Compiler
}

// Kubernetes reads Kubernetes' OpenAPI document: api/openapi-spec/swagger.json of
// its source.
func Kubernetes(document []byte) (*Kinds, error) {
	var read struct {
		Definitions object `json:"definitions"`
	}
	if err := json.Unmarshal(document, &read); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	k := &Kinds{definitions: read.Definitions}
	if _, ok := k.definitions[objectMeta].(object); !ok {
		return nil, fmt.Errorf("read the OpenAPI document: it does not define %s", objectMeta)
	}
	k.definitions[quantity] = object{"type": []any{"string", "number"}, "pattern": `^[+-]?[0-9.]+([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?$`}
	for name, node := range k.definitions {
		node, ok := node.(object)
		if !ok {
			return nil, fmt.Errorf("read the OpenAPI document: %s is no schema", name)
		}
		closeFields(node)
	}
	for _, node := range slices.Collect(maps.Values(k.definitions)) {
		node := node.(object)
		// Options of calls belong to every group; objects belong to one.
		if named, _ := node["x-kubernetes-group-version-kind"].([]any); len(named) == 1 {
			of, _ := named[0].(object)
			if err := k.add(fmt.Sprint(of["group"]), fmt.Sprint(of["version"]), fmt.Sprint(of["kind"]), node); err != nil {
				return nil, err
			}
		}
	}
	return k, nil
}

// Define adds the custom resource definitions of a file, and passes over its other
// documents. group, unless empty, takes the place of the definitions' own.
func (k *Kinds) Define(name string, file []byte, group string) error {
	documents, err := target.Documents(name, file)
	if err != nil {
		return err
	}
	for _, document := range documents {
		var definition struct {
			Kind string
			Spec struct {
				Group    string
				Names    struct{ Kind string }
				Versions []struct {
					Name   string
					Served bool
					Schema struct {
						OpenAPI object `json:"openAPIV3Schema"`
					}
				}
			}
		}
		if err := k8syaml.Unmarshal(document, &definition); err != nil {
			return fmt.Errorf("read a definition of %s: %w", name, err)
		}
		if definition.Kind != "CustomResourceDefinition" {
			continue
		}
		spec := definition.Spec
		for _, version := range spec.Versions {
			if !version.Served {
				continue
			}
			closeFields(version.Schema.OpenAPI)
			if err := k.add(cmp.Or(group, spec.Group), version.Name, spec.Names.Kind, version.Schema.OpenAPI); err != nil {
				return err
			}
		}
	}
	return nil
}

// add makes a schema the one of a whole object in Git: it says what it is, it has a
// name, and it has no status, which is the cluster's to write.
func (k *Kinds) add(group, version, kind string, schema object) error {
	apiVersion := strings.TrimPrefix(group+"/"+version, "/")
	name := apiVersion + " " + kind
	if _, twice := k.definitions[name]; twice {
		return fmt.Errorf("%s is defined twice", name)
	}
	fields, ok := schema["properties"].(object)
	if !ok {
		return fmt.Errorf("%s has no fields", name)
	}
	metadata := maps.Clone(k.definitions[objectMeta].(object))
	metadata["required"] = []any{"name"}
	fields = maps.Clone(fields)
	fields["apiVersion"] = object{"enum": []any{apiVersion}}
	fields["kind"] = object{"enum": []any{kind}}
	fields["metadata"] = metadata
	delete(fields, "status")
	required, _ := schema["required"].([]any)
	required = append(slices.Clone(required), "apiVersion", "kind", "metadata")
	slices.SortFunc(required, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	schema = maps.Clone(schema)
	schema["properties"] = fields
	schema["required"] = slices.DeleteFunc(slices.Compact(required), func(name any) bool { return name == "status" })
	k.definitions[name] = schema
	return nil
}

// schema is the schema of a kind; nil when there is no such kind.
func (k *Kinds) schema(name string) (*jsonschema.Schema, error) {
	if _, ok := k.definitions[name]; !ok {
		return nil, nil
	}
	k.compiling.Lock()
	defer k.compiling.Unlock()
	const document = "kinds.json"
	if k.compiler == nil {
		compiler := jsonschema.NewCompiler()
		compiler.DefaultDraft(jsonschema.Draft4)
		// JSON Schema's own is another one.
		compiler.RegisterFormat(&jsonschema.Format{Name: "duration", Validate: func(value any) error {
			text, ok := value.(string)
			if !ok {
				return nil
			}
			_, err := strfmt.ParseDuration(text)
			return err
		}})
		if err := compiler.AddResource(document, object{"definitions": k.definitions}); err != nil {
			return nil, err
		}
		k.compiler = compiler
	}
	return k.compiler.Compile(document + "#/definitions/" + url.PathEscape(strings.ReplaceAll(name, "/", "~1")))
}

// closeFields makes a node of an OpenAPI document a JSON schema, with all that it
// holds, that takes no field which it does not name.
func closeFields(node object) {
	if node["x-kubernetes-int-or-string"] == true || node["format"] == "int-or-string" {
		node["type"] = []any{"integer", "string"}
		delete(node, "format")
		delete(node, "anyOf") // says the same
	}
	fields, named := node["properties"].(object)
	if node["x-kubernetes-preserve-unknown-fields"] == true {
		delete(node, "additionalProperties")
	} else if _, others := node["additionalProperties"]; named && !others {
		node["additionalProperties"] = false
	}
	if node["nullable"] == true {
		if kind, ok := node["type"].(string); ok {
			node["type"] = []any{kind, "null"}
		} else if kinds, ok := node["type"].([]any); ok {
			node["type"] = append(kinds, "null")
		}
		if values, ok := node["enum"].([]any); ok {
			node["enum"] = append(values, nil)
		}
	}
	for _, part := range append(slices.Collect(maps.Values(fields)), node["items"], node["additionalProperties"]) {
		if part, ok := part.(object); ok {
			closeFields(part)
		}
	}
}
