package wrappers

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// put returns a copy of a node in which expressions have their values and lists hold
// what their templates say.
func (r *azureReader) put(node *yaml.Node, file string, values map[string]string) (*yaml.Node, error) {
	next := *node
	next.Content = nil
	r.files[&next] = file
	switch node.Kind {
	case yaml.ScalarNode:
		value, err := azureExpressions(node.Value, values)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, node.Line, err)
		}
		next.Value = value
	case yaml.MappingNode:
		for n := 0; n < len(node.Content); n += 2 {
			key := node.Content[n]
			if strings.Contains(key.Value, "${{") {
				return nil, fmt.Errorf("%s:%d: %q is logic", file, key.Line, key.Value)
			}
			value, err := r.put(node.Content[n+1], file, values)
			if err == nil && value.Kind == yaml.SequenceNode {
				err = r.templates(value, file, key.Value)
			}
			if err != nil {
				return nil, err
			}
			next.Content = append(next.Content, key, value)
		}
	case yaml.SequenceNode:
		for _, item := range node.Content {
			item, err := r.put(item, file, values)
			if err != nil {
				return nil, err
			}
			next.Content = append(next.Content, item)
		}
	default:
		return nil, fmt.Errorf("%s:%d: aliases are no part of Azure's YAML", file, node.Line)
	}
	return &next, nil
}

// templates puts the list of the same name of each template in the template's place.
func (r *azureReader) templates(list *yaml.Node, file, name string) error {
	var all []*yaml.Node
	for _, item := range list.Content {
		if item.Kind != yaml.MappingNode || child(item, "template") == nil {
			all = append(all, item)
			continue
		}
		var use struct {
			Template   string            `yaml:"template"`
			Parameters map[string]string `yaml:"parameters"`
		}
		if err := strictly(item, file, &use); err != nil {
			return err
		}
		other, err := azureTemplate(file, use.Template)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, item.Line, err)
		}
		if slices.Contains(r.within, other) {
			return fmt.Errorf("%s:%d: %s is a template of itself", file, item.Line, other)
		}
		r.within, r.all = append(r.within, other), append(r.all, other)
		root, err := r.load(other)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, item.Line, err)
		}
		var declared []struct {
			Name string `yaml:"name"`
			Type string `yaml:"type"`
		}
		if parameters := child(root, "parameters"); parameters != nil {
			if err := strictly(parameters, other, &declared); err != nil {
				return err
			}
		}
		for _, p := range declared {
			if _, ok := use.Parameters[p.Name]; !ok || p.Type != "string" {
				return fmt.Errorf("%s:%d: has no string for parameter %s of %s", file, item.Line, p.Name, other)
			}
		}
		if len(declared) != len(use.Parameters) {
			return fmt.Errorf("%s:%d: has parameters that %s does not know", file, item.Line, other)
		}
		content := child(root, name)
		for n := 0; n < len(root.Content); n += 2 {
			if key := root.Content[n].Value; key != name && key != "parameters" {
				content = nil
			}
		}
		if content == nil || content.Kind != yaml.SequenceNode {
			return fmt.Errorf("%s: is not a template of %s", other, name)
		}
		if content, err = r.put(content, other, use.Parameters); err != nil {
			return err
		}
		if err := r.templates(content, other, name); err != nil {
			return err
		}
		r.within = r.within[:len(r.within)-1]
		all = append(all, content.Content...)
	}
	list.Content = all
	return nil
}

// azureTemplate is the file that a template of another one is in: beside it, in the same
// repository, or at a path of the resource base.
func azureTemplate(file, template string) (string, error) {
	if ofBase, ok := strings.CutPrefix(template, azureFolder); ok && strings.HasSuffix(template, atBase) {
		return ofBase, nil
	}
	if strings.Contains(template, "@") {
		return "", fmt.Errorf("%s is no template of %s at base", template, azureFolder)
	}
	within, fromBase := strings.CutSuffix(file, atBase)
	if template = path.Join(path.Dir(within), template); fromBase {
		template += atBase
	}
	return template, nil
}

var (
	azureExpression = regexp.MustCompile(`\$\{\{(.*?)\}\}`)
	azureParameter  = regexp.MustCompile(`\A *(?:parameters\.(\w+)|replace\(parameters\.(\w+), '(.)', '(.)'\)) *\z`)
)

// azureExpressions puts values into a text: a parameter as it is or with one character
// for another. Everything else that Azure's expressions can do is logic.
func azureExpressions(text string, values map[string]string) (string, error) {
	var failed error
	return azureExpression.ReplaceAllStringFunc(text, func(expression string) string {
		m := azureParameter.FindStringSubmatch(azureExpression.FindStringSubmatch(expression)[1])
		if m == nil {
			failed = fmt.Errorf("%s is logic", expression)
			return ""
		}
		value, ok := values[m[1]+m[2]]
		if !ok {
			failed = fmt.Errorf("%s: is no parameter", expression)
		}
		if m[2] != "" {
			value = strings.ReplaceAll(value, m[3], m[4])
		}
		return value
	}), failed
}

// child is the value of a mapping's key, or nil.
func child(node *yaml.Node, key string) *yaml.Node {
	for n := 0; n+1 < len(node.Content) && node.Kind == yaml.MappingNode; n += 2 {
		if node.Content[n].Value == key {
			return node.Content[n+1]
		}
	}
	return nil
}

// items are those of the list at the end of the keys.
func items(node *yaml.Node, keys ...string) []*yaml.Node {
	for _, key := range keys {
		if node = child(node, key); node == nil {
			return nil
		}
	}
	return node.Content
}

// strictly decodes a node, and refuses keys that the value has no place for.
func strictly(node *yaml.Node, place string, value any) error {
	data, err := yaml.Marshal(node)
	if err != nil {
		return err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(value); err != nil {
		return fmt.Errorf("%s:%d: %w", place, node.Line, err)
	}
	return nil
}
