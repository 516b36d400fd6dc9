package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	ctyjson "github.com/zclconf/go-cty/cty/json"
	"sigs.k8s.io/yaml"

	"slipway/step"
)

// functions are those of Terraform's that the code uses.
var functions = map[string]function.Function{
	"merge": stdlib.MergeFunc, "flatten": stdlib.FlattenFunc, "concat": stdlib.ConcatFunc, "keys": stdlib.KeysFunc, "join": stdlib.JoinFunc, "lookup": stdlib.LookupFunc,
	"tostring": stdlib.MakeToFunc(cty.String),
}

// infraObjects returns the manifests of an environment, as YAML documents. Code that is
// more than this reads is an input Fault: an object that is left out would be worse.
func infraObjects(folder, environment string) ([]byte, error) {
	values := filepath.Join(folder, "environments", environment+".tfvars.json")
	data, err := os.ReadFile(values)
	if err != nil {
		return nil, step.Input(stage, values, "can't be read", "name an environment that infra/local has").Because(err)
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil {
		return nil, step.Input(stage, values, "is not JSON: "+err.Error(), "correct the file").Because(err)
	}
	declared, err := body(filepath.Join(folder, "variables.tf"))
	if err != nil {
		return nil, err
	}
	scope := &hcl.EvalContext{Functions: functions, Variables: map[string]cty.Value{}}
	if scope.Variables["var"], err = variables(declared, given); err != nil {
		return nil, err
	}
	code, err := body(filepath.Join(folder, "main.tf"))
	if err != nil {
		return nil, err
	}
	if scope.Variables["local"], err = locals(code, scope); err != nil {
		return nil, err
	}
	var out []byte
	for _, block := range code.Blocks {
		switch {
		case block.Type == "locals":
		case block.Type == "resource" && block.Labels[0] == "kubectl_manifest":
			documents, err := resource(block, scope)
			if err != nil {
				return nil, err
			}
			out = append(out, documents...)
		default:
			return nil, unread(block.Range(), "a block "+block.Type)
		}
	}
	return out, nil
}

func unread(at hcl.Range, what string) error {
	return step.Input(stage, fmt.Sprintf("%s line %d", at.Filename, at.Start.Line), what+" is not read",
		"write kubectl_manifest with for_each and yaml_body = yamlencode(…), or teach the tests of tools/manifests to read it")
}

func body(file string) (*hclsyntax.Body, error) {
	parsed, problems := hclparse.NewParser().ParseHCLFile(file)
	if problems.HasErrors() {
		return nil, step.Input(stage, file, "is not valid: "+problems.Error(), "correct the file").Because(problems)
	}
	return parsed.Body.(*hclsyntax.Body), nil
}

// variables are the values that are given, or else the defaults.
func variables(declared *hclsyntax.Body, given map[string]json.RawMessage) (cty.Value, error) {
	all := map[string]cty.Value{}
	for _, block := range declared.Blocks {
		if block.Type != "variable" {
			return cty.NilVal, unread(block.Range(), "a block "+block.Type)
		}
		name := block.Labels[0]
		if text, ok := given[name]; ok {
			kind, err := ctyjson.ImpliedType(text)
			if err != nil {
				return cty.NilVal, err
			}
			if all[name], err = ctyjson.Unmarshal(text, kind); err != nil {
				return cty.NilVal, err
			}
			continue
		}
		attribute, ok := block.Body.Attributes["default"]
		if !ok {
			return cty.NilVal, step.Input(stage, "variable "+name, "has no value", "give it one in the environment's file")
		}
		value, problems := attribute.Expr.Value(nil)
		if problems.HasErrors() {
			return cty.NilVal, problems
		}
		all[name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := all[name]; !ok {
			return cty.NilVal, step.Input(stage, "variable "+name, "is not declared", "take it out of the environment's file")
		}
	}
	return cty.ObjectVal(all), nil
}

// locals evaluates them in whichever order they need.
func locals(code *hclsyntax.Body, scope *hcl.EvalContext) (cty.Value, error) {
	waiting := map[string]hcl.Expression{}
	for _, block := range code.Blocks {
		if block.Type == "locals" {
			for name, attribute := range block.Body.Attributes {
				waiting[name] = attribute.Expr
			}
		}
	}
	done := map[string]cty.Value{}
	for len(waiting) > 0 {
		inner := scope.NewChild()
		inner.Variables = map[string]cty.Value{"local": cty.ObjectVal(done)}
		var problems hcl.Diagnostics
		before := len(waiting)
		for _, name := range slices.Sorted(maps.Keys(waiting)) {
			value, failed := waiting[name].Value(inner)
			if failed.HasErrors() {
				problems = failed
				continue
			}
			done[name] = value
			delete(waiting, name)
		}
		if len(waiting) == before {
			return cty.NilVal, problems
		}
	}
	return cty.ObjectVal(done), nil
}

// resource are the documents of one block.
func resource(block *hclsyntax.Block, scope *hcl.EvalContext) ([]byte, error) {
	each, written := block.Body.Attributes["for_each"], block.Body.Attributes["yaml_body"]
	if each == nil || written == nil {
		return nil, unread(block.Range(), "a resource without for_each or yaml_body")
	}
	call, ok := written.Expr.(*hclsyntax.FunctionCallExpr)
	if !ok || call.Name != "yamlencode" || len(call.Args) != 1 {
		return nil, unread(written.Range(), "what is not yamlencode(…)")
	}
	of, problems := each.Expr.Value(scope)
	if problems.HasErrors() {
		return nil, problems
	}
	of, err := convert.Convert(of, cty.Map(cty.String))
	if err != nil {
		return nil, unread(each.Range(), "what is no map of strings")
	}
	var out []byte
	values := of.AsValueMap()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := values[key]
		inner := scope.NewChild()
		inner.Variables = map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{"key": cty.StringVal(key), "value": value})}
		object, problems := call.Args[0].Value(inner)
		if problems.HasErrors() {
			return nil, problems
		}
		text, err := ctyjson.Marshal(object, object.Type())
		if err != nil {
			return nil, err
		}
		if text, err = yaml.JSONToYAML(text); err != nil {
			return nil, err
		}
		out = append(append(out, "---\n"...), text...)
	}
	return out, nil
}

// variableDefault reads the default of a variable of a Terraform file.
func variableDefault(file, name string, into any) error {
	declared, err := body(file)
	if err != nil {
		return err
	}
	for _, block := range declared.Blocks {
		attribute := block.Body.Attributes["default"]
		if block.Type != "variable" || block.Labels[0] != name || attribute == nil {
			continue
		}
		value, problems := attribute.Expr.Value(nil)
		if problems.HasErrors() {
			return problems
		}
		text, err := ctyjson.Marshal(value, value.Type())
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, into); err != nil {
			return step.Input(stage, file, "has another kind of default for "+name+": "+err.Error(), "ask for what it is").Because(err)
		}
		return nil
	}
	return step.Input(stage, file, "has no variable "+name+" with a default", "name one that it has")
}
