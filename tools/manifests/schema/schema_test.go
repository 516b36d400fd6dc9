package schema_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/tools/manifests/schema"
)

const document = `{"definitions": {
	"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta": {"type": "object", "properties": {"name": {"type": "string"}}},
	"io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string"},
	"port": {"type": "string", "format": "int-or-string"},
	"raw": {"type": "object", "description": "whatever"},
	"loop": {"type": "object", "properties": {"again": {"$ref": "#/definitions/loop"}}},
	"spec": {"type": "object", "required": ["size"], "properties": {
		"size": {"$ref": "#/definitions/io.k8s.apimachinery.pkg.api.resource.Quantity", "description": "how much"},
		"port": {"$ref": "#/definitions/port"},
		"raw": {"$ref": "#/definitions/raw"},
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
	"looped": {"type": "object", "properties": {"spec": {"$ref": "#/definitions/loop"}}, "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Looped"}]},
	"options": {"type": "object", "properties": {}, "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Options"}, {"group": "apps", "version": "v1", "kind": "Options"}]}
}}`

func kubernetes(t *testing.T) *schema.Kubernetes {
	t.Helper()
	k, err := schema.ReadKubernetes([]byte(document), "k8s v1")
	require.NoError(t, err)
	return k
}

func TestKubernetesSchemaIsWholeAndClosed(t *testing.T) {
	data, ok, err := kubernetes(t).Schema(schema.Kind{APIVersion: "example/v1", Name: "Thing"})
	require.NoError(t, err)
	require.True(t, ok)
	assert.JSONEq(t, `{
		"description": "example/v1 Thing, generated from k8s v1",
		"type": "object", "required": ["spec", "apiVersion", "kind", "metadata"], "additionalProperties": false,
		"properties": {
			"apiVersion": {"enum": ["example/v1"]},
			"kind": {"enum": ["Thing"]},
			"metadata": {"type": "object", "required": ["name"], "additionalProperties": false, "properties": {"name": {"type": "string"}}},
			"spec": {"type": "object", "required": ["size"], "additionalProperties": false, "properties": {
				"size": {"type": ["string", "number"], "pattern": "^[+-]?[0-9.]+([eE][+-]?[0-9]+|[numkMGTPE]|[KMGTPE]i)?$"},
				"port": {"type": ["integer", "string"]},
				"raw": {"type": "object"},
				"count": {"type": "integer"},
				"since": {"type": "string", "format": "date-time"},
				"labels": {"type": "object", "additionalProperties": {"type": "string"}},
				"policies": {"type": "array", "items": {"type": "string", "enum": ["A", "B"]}}
			}}
		}
	}`, string(data))
}

func TestKubernetesSchemaFaults(t *testing.T) {
	k := kubernetes(t)
	for _, kind := range []schema.Kind{{"example/v2", "Thing"}, {"v1", "Options"}, {"apps/v1", "Options"}} {
		_, ok, err := k.Schema(kind)
		require.NoError(t, err)
		assert.False(t, ok, kind)
	}
	_, ok, err := k.Schema(schema.Kind{APIVersion: "v1", Name: "Looped"})
	assert.True(t, ok)
	assert.EqualError(t, err, "schema of v1 Looped: spec: again: loop refers to itself")
	_, err = schema.ReadKubernetes([]byte("no JSON"), "k8s v1")
	assert.ErrorContains(t, err, "k8s v1")
}

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
                - properties: {right: {minLength: 1}}
              properties:
                choice: {type: string, nullable: true, enum: [a, b]}
                left: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
                right: {type: string}
                open: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {known: {type: integer, format: int64}}}
                values: {type: object, additionalProperties: true}
            status: {type: object}
    - name: v0
      served: false
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object}}}}
`

func TestCustomSchemaHasKubernetesMetadata(t *testing.T) {
	var c schema.Custom
	require.NoError(t, c.Add([]byte(custom), "widgets v2", ""))
	data, ok, err := c.Schema(schema.Kind{APIVersion: "example.dev/v1", Name: "Widget"}, kubernetes(t))
	require.NoError(t, err)
	require.True(t, ok)
	var got map[string]any
	require.NoError(t, json.Unmarshal(data, &got))
	assert.Equal(t, "example.dev/v1 Widget, generated from widgets v2", got["description"])
	properties := got["properties"].(map[string]any)
	assert.NotContains(t, properties, "status")
	metadata, err := json.Marshal(properties["metadata"])
	require.NoError(t, err)
	assert.JSONEq(t, `{"type": "object", "required": ["name"], "additionalProperties": false, "properties": {"name": {"type": "string"}}}`, string(metadata))
	spec, err := json.Marshal(properties["spec"])
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"type": "object", "required": ["choice"], "additionalProperties": false,
		"oneOf": [{"required": ["left"]}, {"properties": {"right": {"minLength": 1}}}],
		"properties": {
			"choice": {"type": ["string", "null"], "enum": ["a", "b", null]},
			"left": {"type": ["integer", "string"]},
			"right": {"type": "string"},
			"open": {"type": "object", "properties": {"known": {"type": "integer"}}},
			"values": {"type": "object", "additionalProperties": true}
		}
	}`, string(spec))

	_, ok, err = c.Schema(schema.Kind{APIVersion: "example.dev/v0", Name: "Widget"}, kubernetes(t))
	require.NoError(t, err)
	assert.False(t, ok, "a version that is not served")
	assert.EqualError(t, c.Add([]byte(custom), "widgets v2", ""), "example.dev/v1 Widget is defined twice")
	assert.ErrorContains(t, c.Add([]byte("a: ["), "widgets v2", ""), "widgets v2")

	require.NoError(t, c.Add([]byte(custom), "widgets v2", "built.dev"), "the same in a group of another name")
	data, ok, err = c.Schema(schema.Kind{APIVersion: "built.dev/v1", Name: "Widget"}, kubernetes(t))
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Contains(t, string(data), `"built.dev/v1 Widget, generated from widgets v2"`)
}

func TestFileIsWhereTheValidatorLooks(t *testing.T) {
	assert.Equal(t, "v1/configmap.json", schema.Kind{APIVersion: "v1", Name: "ConfigMap"}.File())
	assert.Equal(t, "networking.k8s.io/v1/networkpolicy.json", schema.Kind{APIVersion: "networking.k8s.io/v1", Name: "NetworkPolicy"}.File())
}
