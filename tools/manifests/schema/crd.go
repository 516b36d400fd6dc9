package schema

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// Custom are the kinds of custom resource definitions.
type Custom struct {
	kinds map[Kind]custom
}

type custom struct {
	origin string
	schema object
}

// definition is what is read of a custom resource definition.
type definition struct {
	Kind string `yaml:"kind"`
	Spec struct {
		Group string `yaml:"group"`
		Names struct {
			Kind string `yaml:"kind"`
		} `yaml:"names"`
		Versions []struct {
			Name   string `yaml:"name"`
			Served bool   `yaml:"served"`
			Schema struct {
				OpenAPI yaml.Node `yaml:"openAPIV3Schema"`
			} `yaml:"schema"`
		} `yaml:"versions"`
	} `yaml:"spec"`
}

// Add reads the custom resource definitions of a file, and passes over its other
// documents; origin is what schemas name as their source. group, unless empty, takes
// the place of the definitions' own.
func (c *Custom) Add(data []byte, origin, group string) error {
	documents := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var read definition
		err := documents.Decode(&read)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the definitions of %s: %w", origin, err)
		}
		if read.Kind != "CustomResourceDefinition" {
			continue
		}
		for _, version := range read.Spec.Versions {
			if !version.Served {
				continue
			}
			kind := Kind{cmp.Or(group, read.Spec.Group) + "/" + version.Name, read.Spec.Names.Kind}
			// By way of JSON, so that both sources are of the same types.
			var plain any
			if err := version.Schema.OpenAPI.Decode(&plain); err != nil {
				return fmt.Errorf("read the definition of %s: %w", kind, err)
			}
			text, err := json.Marshal(plain)
			if err != nil {
				return fmt.Errorf("read the definition of %s: %w", kind, err)
			}
			var schema object
			if err := json.Unmarshal(text, &schema); err != nil {
				return fmt.Errorf("read the definition of %s: %w", kind, err)
			}
			if c.kinds == nil {
				c.kinds = map[Kind]custom{}
			}
			if _, twice := c.kinds[kind]; twice {
				return fmt.Errorf("%s is defined twice", kind)
			}
			c.kinds[kind] = custom{origin, schema}
		}
	}
}

// Schema is the schema of a kind, with Kubernetes' metadata; ok is false when it
// is not defined.
func (c *Custom) Schema(kind Kind, kubernetes *Kubernetes) (data []byte, ok bool, err error) {
	defined, ok := c.kinds[kind]
	if !ok {
		return nil, false, nil
	}
	strict, err := convert(defined.schema, nil)
	if err != nil {
		return nil, true, fmt.Errorf("schema of %s: %w", kind, err)
	}
	metadata, err := kubernetes.metadata()
	if err != nil {
		return nil, true, err
	}
	data, err = whole(strict, metadata, kind, defined.origin)
	return data, true, err
}
