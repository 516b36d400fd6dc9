package conform_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/steptest"
	"slipway/tools/manifests/conform"
	"slipway/tools/manifests/target"
)

const document = `{"definitions": {
	"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {"type": "object", "properties": {"name": {"type": "string"}}},
	"io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string"},
	"port": {"type": "string", "format": "int-or-string"},
	"raw": {"type": "object", "description": "whatever"},
	"tree": {"type": "object", "properties": {"inner": {"$ref": "#/definitions/tree"}}},
	"spec": {"type": "object", "required": ["size"], "properties": {
		"size": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity", "description": "how much"},
		"port": {"$ref": "#/definitions/port"},
		"raw": {"$ref": "#/definitions/raw"},
		"tree": {"$ref": "#/definitions/tree"},
		"count": {"type": "integer", "format": "int32", "default": 1},
		"since": {"type": "string", "format": "date-time"},
		"labels": {"type": "object", "additionalProperties": {"type": "string"}},
		"policies": {"type": "array", "items": {"type": "string", "enum": ["A", "B"]}}
	}},
	"thing": {
		"type": "object", "required": ["spec", "status"],
		"properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {}, "spec": {"$ref": "#/definitions/spec"}, "status": {"type": "object"}},
		"x-kubernetes-group-version-kind": [{"group": "example", "version": "v1", "kind": "Thing"}]
	},
	"core": {"type": "object", "properties": {}, "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Core"}]},
	"options": {"type": "object", "properties": {}, "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Options"}, {"group": "apps", "version": "v1", "kind": "Options"}]}
}}`

const custom = `
apiVersion: v1
kind: ConfigMap
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  group: example.dev
  names: {kind: Widget}
  versions:
    - name: v1
      served: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            apiVersion: {type: string}
            kind: {type: string}
            metadata: {type: object}
            spec:
              type: object
              required: [choice]
              oneOf:
                - required: [left]
                - required: [right]
                  properties: {right: {minLength: 1}}
              properties:
                choice: {type: string, nullable: true, enum: [a, b]}
                left: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
                right: {type: string}
                open: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {known: {type: integer, format: int64}}}
                values: {type: object, additionalProperties: true}
                every: {type: string, format: duration}
            status: {type: object}
    - name: v0
      served: false
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object}}}}
`

func kinds(t *testing.T) *conform.Kinds {
	t.Helper()
	k, err := conform.Kubernetes([]byte(document))
	require.NoError(t, err)
	require.NoError(t, k.Define("widgets.yaml", []byte(custom), ""))
	return k
}

// checked are the problems of one object.
func checked(t *testing.T, k *conform.Kinds, text string) []string {
	t.Helper()
	problems, err := k.Check([]target.Target{{Name: "f", Manifests: []byte(text)}})
	require.NoError(t, err)
	var lines []string
	for _, p := range problems {
		lines = append(lines, strings.TrimPrefix(p.String(), "f: "))
	}
	return lines
}

func TestObjectsConform(t *testing.T) {
	const thing = "{apiVersion: example/v1, kind: Thing, metadata: {name: x}, spec: "
	const widget = "{apiVersion: example.dev/v1, kind: Widget, metadata: {name: x}, spec: "
	for text, want := range map[string]string{
		thing + "{size: 1}}":                                                                 "",
		thing + "{size: 0.5}}":                                                               "",
		thing + "{size: 128Mi, port: 80}}":                                                   "",
		thing + "{size: 1, port: http}}":                                                     "",
		thing + "{size: 1, raw: {any: {thing: 1}}}}":                                         "",
		thing + "{size: 1, labels: {a: b}}}":                                                 "",
		thing + "{size: 1, tree: {inner: {inner: {}}}}}":                                     "",
		thing + "{size: 1, since: '2026-01-01T00:00:00Z'}}":                                  "",
		thing + "{size: 128MB}}":                                                             "Thing x /spec/size: '128MB' does not match pattern",
		thing + "{size: true}}":                                                              "Thing x /spec/size: got boolean, want ",
		thing + "{}}":                                                                        "Thing x /spec: missing property 'size'",
		thing + "{size: 1, port: 1.5}}":                                                      "Thing x /spec/port: got number, want integer or string",
		thing + "{size: 1, tree: {inner: {outer: {}}}}}":                                     "Thing x /spec/tree/inner: additional properties 'outer' not allowed",
		thing + "{size: 1, count: 1.5}}":                                                     "Thing x /spec/count: got number, want integer",
		thing + "{size: 1, count: null}}":                                                    "Thing x /spec/count: got null, want integer",
		thing + "{size: 1, since: yesterday}}":                                               "Thing x /spec/since: 'yesterday' is not valid date-time",
		thing + "{size: 1, labels: {a: 1}}}":                                                 "Thing x /spec/labels/a: got number, want string",
		thing + "{size: 1, policies: [A, C]}}":                                               "Thing x /spec/policies/1: value must be one of 'A', 'B'",
		thing + "{size: 1}, status: {}}":                                                     "Thing x: additional properties 'status' not allowed",
		"{apiVersion: example/v1, kind: Thing, metadata: {name: x}}":                         "Thing x: missing property 'spec'",
		"{apiVersion: example/v1, kind: Thing, metadata: {}, spec: {size: 1}}":               "Thing /metadata: missing property 'name'",
		"{apiVersion: example/v1, kind: Thing, metadata: {name: x, id: 1}, spec: {size: 1}}": "Thing x /metadata: additional properties 'id' not allowed",
		"{apiVersion: example/v1, kind: Thing, spec: {size: 1}}":                             "Thing: missing property 'metadata'",
		"{apiVersion: v1, kind: Core, metadata: {name: x}}":                                  "",
		"{apiVersion: v1, kind: Core, metadata: {name: x}, data: {}}":                        "Core x: additional properties 'data' not allowed",

		widget + "{choice: a, left: 1}}":                                         "",
		widget + "{choice: null, left: x}}":                                      "",
		widget + "{choice: a, right: x, open: {other: 1}}}":                      "",
		widget + "{choice: a, left: 1, values: {a: 1, b: c}}}":                   "",
		widget + "{choice: a, left: 1, every: 1m30s}}":                           "",
		widget + "{choice: c, left: 1}}":                                         "Widget x /spec/choice: value must be one of 'a', 'b', <nil>",
		widget + "{left: 1}}":                                                    "Widget x /spec: missing property 'choice'",
		widget + "{choice: a, left: [1]}}":                                       "Widget x /spec/left: got array, want integer or string",
		widget + "{choice: a}}":                                                  "Widget x /spec: missing property 'left'",
		widget + "{choice: a, right: ''}}":                                       "Widget x /spec/right: minLength: got 0, want 1",
		widget + "{choice: a, left: 1, right: x}}":                               "Widget x /spec: 'oneOf' failed, subschemas 0, 1 matched",
		widget + "{choice: a, left: 1, open: {known: x}}}":                       "Widget x /spec/open/known: got string, want integer",
		widget + "{choice: a, left: 1, every: often}}":                           "Widget x /spec/every: 'often' is not valid duration",
		widget + "{choice: a, left: 1}, status: {}}":                             "Widget x: additional properties 'status' not allowed",
		"{apiVersion: example.dev/v1, kind: Widget, metadata: {name: x, id: 1}}": "Widget x /metadata: additional properties 'id' not allowed",
	} {
		t.Run(text, func(t *testing.T) {
			found := strings.Join(checked(t, kinds(t), text), "\n")
			assert.Contains(t, found, want)
			assert.Equal(t, want == "", found == "", found)
		})
	}
}

func TestWhatIsNoObjectIsRefused(t *testing.T) {
	k := kinds(t)
	for text, want := range map[string]string{
		"{apiVersion: example/v2, kind: Thing, metadata: {name: x}}":      `Thing x: the cluster has no kind "Thing" of apiVersion "example/v2"`,
		"{apiVersion: example.dev/v0, kind: Widget, metadata: {name: x}}": `Widget x: the cluster has no kind "Widget" of apiVersion "example.dev/v0"`,
		"{apiVersion: v1, kind: Options, metadata: {name: x}}":            `Options x: the cluster has no kind "Options" of apiVersion "v1"`,
		"{apiVersion: apps/v1, kind: Options, metadata: {name: x}}":       `Options x: the cluster has no kind "Options" of apiVersion "apps/v1"`,
		// What others refer to is no kind.
		"{kind: tree, metadata: {name: x}}":           `tree x: the cluster has no kind "tree" of apiVersion ""`,
		"{apiVersion: 1, kind: [Thing], metadata: x}": `the cluster has no kind "" of apiVersion ""`,
		"{apiVersion: v1, kind: List, items: []}":     `List: the cluster has no kind "List" of apiVersion "v1"`,
		"[a, b]": "an object: is none: [a b]",
		"text":   "an object: is none: text",
		"{apiVersion: v1, apiVersion: v1, kind: Core, metadata: {name: x}}":        `key "apiVersion" already set in map`,
		"apiVersion: v1\nkind: Core\nmetadata: {name: x}\n--- # and\nkind: Hidden": `Hidden: the cluster has no kind "Hidden" of apiVersion ""`,
	} {
		t.Run(text, func(t *testing.T) {
			assert.Contains(t, strings.Join(checked(t, k, text), "\n"), want)
		})
	}
	_, err := k.Check([]target.Target{{Name: "f.yaml", Manifests: []byte("a: [")}})
	fault := steptest.Refused(t, err)
	assert.Equal(t, step.KindInput, fault.Kind)
	assert.Equal(t, "f.yaml", fault.Input)
}

func TestEveryProblemIsSaid(t *testing.T) {
	assert.Equal(t, []string{
		"Thing x: additional properties 'more' not allowed",
		"Thing x /spec: missing property 'size'",
		"Thing x /spec/count: got string, want integer",
		"Core: missing property 'metadata'",
	}, checked(t, kinds(t), "{apiVersion: example/v1, kind: Thing, metadata: {name: x}, spec: {count: x}, more: 1}\n---\n---\n{apiVersion: v1, kind: Core}"))
}

func TestKindsOfAnotherGroup(t *testing.T) {
	k := kinds(t)
	require.NoError(t, k.Define("widgets.yaml", []byte(custom), "built.dev"))
	assert.Empty(t, checked(t, k, "{apiVersion: built.dev/v1, kind: Widget, metadata: {name: x}}"))
}

func TestDefinitionsAreRefused(t *testing.T) {
	k := kinds(t)
	assert.EqualError(t, k.Define("widgets.yaml", []byte(custom), ""), "example.dev/v1 Widget is defined twice")
	assert.ErrorContains(t, k.Define("widgets.yaml", []byte("a: ["), ""), "widgets.yaml")
	assert.ErrorContains(t, k.Define("widgets.yaml", []byte("kind: CustomResourceDefinition\nspec: 1"), ""), "widgets.yaml")
	assert.EqualError(t, k.Define("widgets.yaml", []byte("kind: CustomResourceDefinition\nspec: {group: a, names: {kind: B}, versions: [{name: v1, served: true}]}"), ""), "a/v1 B has no fields")
	for text, want := range map[string]string{
		"no JSON": "read the OpenAPI document",
		"{}":      "does not define io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
		strings.Replace(document, `{"type": "object", "description": "whatever"}`, "1", 1): "raw is no schema",
	} {
		_, err := conform.Kubernetes([]byte(text))
		assert.ErrorContains(t, err, want)
	}
	// A schema that is none, or that refers to nothing.
	for old, new := range map[string]string{`"#/definitions/port"`: `"#/definitions/prt"`, `"format": "date-time"`: `"format": 1`} {
		k, err := conform.Kubernetes([]byte(strings.Replace(document, old, new, 1)))
		require.NoError(t, err)
		_, err = k.Check([]target.Target{{Name: "f", Manifests: []byte("{apiVersion: example/v1, kind: Thing}")}})
		assert.Error(t, err, new)
	}
}
