package code

import (
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Sensitive returns the values that the code of a root in a folder of dir, and the
// files of its variables, mark as sensitive. It is complete unless the code has others
// that nobody can know before it runs: those of data sources and ephemeral resources,
// and what functions make.
func Sensitive(stage, dir, folder string, varFiles []string) (values []string, complete bool, err error) {
	_, folders, err := closure(stage, dir, folder)
	if err != nil {
		return nil, false, err
	}
	s := &sensitive{complete: true, modules: map[string]map[string]bool{}, context: &hcl.EvalContext{Variables: map[string]cty.Value{}}}
	for _, folder := range folders {
		declared := map[string]bool{}
		given := map[string]cty.Value{}
		if err := each(stage, dir, folder, func(f file) error { s.declare(f, declared, given); return nil }); err != nil {
			return nil, false, err
		}
		if folder == folders[0] {
			s.read(filepath.Join(dir, filepath.FromSlash(folder)), varFiles, declared, given)
			s.context.Variables["var"] = cty.ObjectVal(given)
		}
		s.modules[folder] = declared
	}
	for _, folder := range folders {
		if err := each(stage, dir, folder, func(f file) error {
			s.given(f)
			line := 0
			return f.walk(stage, s, &line)
		}); err != nil {
			return nil, false, err
		}
		s.context = nil // the variables of a module are unknown
	}
	return s.values, s.complete, nil
}

// sensitive collects marked values. It is an hclsyntax.Walker.
type sensitive struct {
	values   []string
	complete bool
	// context has the root's variables.
	context *hcl.EvalContext
	// modules are the variables of each folder, and whether they are sensitive.
	modules map[string]map[string]bool
}

// add takes a value's texts and numbers.
func (s *sensitive) add(value cty.Value) {
	_ = cty.Walk(value, func(_ cty.Path, v cty.Value) (bool, error) {
		if v.IsNull() || !v.IsKnown() {
			return false, nil
		}
		switch v.Type() {
		case cty.String:
			s.values = append(s.values, v.AsString())
		case cty.Number:
			s.values = append(s.values, v.AsBigFloat().Text('f', -1))
		}
		return true, nil
	})
}

// marked adds what an expression says, if that can be told.
func (s *sensitive) marked(expression hcl.Expression) {
	value, problems := expression.Value(s.context)
	if problems.HasErrors() || !value.IsWhollyKnown() {
		s.complete = false
		return
	}
	s.add(value)
}

// declare notes the variables of a file, with their defaults, and what no look at the
// code can tell the values of.
func (s *sensitive) declare(f file, declared map[string]bool, given map[string]cty.Value) {
	content, _, _ := f.Body.PartialContent(top)
	for _, block := range content.Blocks {
		switch block.Type {
		case "data", "ephemeral", "check":
			s.complete = false
		case "variable":
			inner, _, _ := block.Body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "sensitive"}, {Name: "default"}}})
			name, marked := block.Labels[0], inner.Attributes["sensitive"] != nil && !says(inner.Attributes["sensitive"], false)
			declared[name] = declared[name] || marked
			if a := inner.Attributes["default"]; a != nil {
				if value, problems := a.Expr.Value(nil); !problems.HasErrors() {
					given[name] = value
					if marked {
						s.add(value)
					}
				}
			}
		}
	}
}

// read takes the root's variables from their files, those that Terraform reads unasked
// and the given ones. What it can't read, Terraform refuses.
func (s *sensitive) read(dir string, varFiles []string, declared map[string]bool, given map[string]cty.Value) {
	var files []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".json"); name == "terraform.tfvars" || strings.HasSuffix(name, ".auto.tfvars") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	parser := hclparse.NewParser()
	for _, name := range append(files, varFiles...) {
		read := parser.ParseHCLFile
		if strings.HasSuffix(name, ".json") {
			read = parser.ParseJSONFile
		}
		file, _ := read(name)
		if file == nil || file.Body == nil {
			continue
		}
		attributes, _ := file.Body.JustAttributes()
		for name, a := range attributes {
			if value, problems := a.Expr.Value(nil); !problems.HasErrors() {
				given[name] = value
				if declared[name] {
					s.add(value)
				}
			}
		}
	}
}

// given adds what a file's modules are given for their sensitive variables.
func (s *sensitive) given(f file) {
	content, _, _ := f.Body.PartialContent(top)
	for _, block := range content.Blocks {
		if block.Type != "module" {
			continue
		}
		attributes, _ := block.Body.JustAttributes()
		if attributes["source"] == nil {
			continue
		}
		source, _ := text(attributes["source"].Expr)
		for name, marked := range s.modules[path.Join(path.Dir(f.name), source)] {
			if a := attributes[name]; a != nil && marked {
				s.marked(a.Expr)
			}
		}
	}
}

// Enter looks at one node.
func (s *sensitive) Enter(node hclsyntax.Node) hcl.Diagnostics {
	if call, ok := node.(*hclsyntax.FunctionCallExpr); ok && strings.TrimPrefix(call.Name, "core::") == "sensitive" {
		for _, argument := range call.Args {
			s.marked(argument)
		}
	}
	return nil
}

// Exit does nothing.
func (*sensitive) Exit(hclsyntax.Node) hcl.Diagnostics { return nil }
