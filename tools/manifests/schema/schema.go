// Package schema turns what Kubernetes and custom resource definitions say about
// their objects into JSON schemas: one file a kind, nothing referred to, and
// closed, so that a field that the object does not have is an error. It is pure.
package schema

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Kind names a kind of objects by its apiVersion and kind.
type Kind struct {
	APIVersion, Name string
}

// String is the kind as people write it: apps/v1 Deployment.
func (k Kind) String() string { return k.APIVersion + " " + k.Name }

// Location is where kubeconform looks for the schema of an object, as a template
// of its own. It is File for every kind.
const Location = "{{ if ne .Group .ResourceAPIVersion }}{{ .Group }}/{{ end }}{{ .ResourceAPIVersion }}/{{ .ResourceKind }}.json"

// File is the path of the kind's schema in the folder of schemas.
func (k Kind) File() string {
	return path.Join(k.APIVersion, strings.ToLower(k.Name)+".json")
}

// object is a schema, or a part of one.
type object = map[string]any

// constraints are the keywords that a schema keeps. Descriptions and defaults
// decide nothing.
var constraints = []string{
	"type", "enum", "format", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
	"minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "required",
	"allOf", "anyOf", "oneOf", "not",
}

// widths are formats that say how a number or bytes are kept, and that no
// validator looks at.
var widths = []any{"int32", "int64", "float", "double", "byte"}

// convert returns the strict schema of a node of an OpenAPI document. refer
// resolves a reference, and is nil where none may occur.
func convert(node object, refer func(string) (object, error)) (object, error) {
	if ref, ok := node["$ref"].(string); ok {
		if refer == nil {
			return nil, fmt.Errorf("refers to %s", ref)
		}
		return refer(ref)
	}
	strict := object{}
	for _, key := range constraints {
		if value, ok := node[key]; ok {
			strict[key] = value
		}
	}
	if slices.Contains(widths, strict["format"]) {
		delete(strict, "format")
	}
	if node["x-kubernetes-int-or-string"] == true || node["format"] == "int-or-string" {
		strict["type"] = []any{"integer", "string"}
		delete(strict, "format")
		delete(strict, "anyOf") // says the same
	}
	properties, _ := node["properties"].(object)
	if properties != nil {
		converted := object{}
		for name, property := range properties {
			part, ok := property.(object)
			if !ok {
				return nil, fmt.Errorf("property %s is no schema", name)
			}
			var err error
			if converted[name], err = convert(part, refer); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		strict["properties"] = converted
		strict["additionalProperties"] = false
	}
	switch additional := node["additionalProperties"].(type) {
	case object:
		values, err := convert(additional, refer)
		if err != nil {
			return nil, fmt.Errorf("values: %w", err)
		}
		strict["additionalProperties"] = values
	case bool:
		strict["additionalProperties"] = additional
	}
	if node["x-kubernetes-preserve-unknown-fields"] == true {
		delete(strict, "additionalProperties")
	}
	if items, ok := node["items"].(object); ok {
		converted, err := convert(items, refer)
		if err != nil {
			return nil, fmt.Errorf("items: %w", err)
		}
		strict["items"] = converted
	}
	if node["nullable"] == true {
		nullable(strict)
	}
	return strict, nil
}

// nullable lets a schema also take null.
func nullable(strict object) {
	switch kind := strict["type"].(type) {
	case string:
		strict["type"] = []any{kind, "null"}
	case []any:
		strict["type"] = append(slices.Clone(kind), "null")
	}
	if values, ok := strict["enum"].([]any); ok {
		strict["enum"] = append(slices.Clone(values), nil)
	}
}

// whole makes a converted schema the one of a whole object in Git: it says what
// it is, it has a name, and it has no status, which is the cluster's to write.
func whole(strict, metadata object, kind Kind, origin string) ([]byte, error) {
	properties, ok := strict["properties"].(object)
	if !ok {
		return nil, fmt.Errorf("%s has no fields", kind)
	}
	properties["apiVersion"] = object{"enum": []any{kind.APIVersion}}
	properties["kind"] = object{"enum": []any{kind.Name}}
	properties["metadata"] = metadata
	delete(properties, "status")
	metadata["required"] = []any{"name"}
	required, _ := strict["required"].([]any)
	required = slices.DeleteFunc(slices.Clone(required), func(name any) bool { return name == "status" })
	for _, name := range []any{"apiVersion", "kind", "metadata"} {
		if !slices.Contains(required, name) {
			required = append(required, name)
		}
	}
	strict["required"] = required
	strict["description"] = kind.String() + ", generated from " + origin
	return encode(strict)
}
