// Package wrappers holds the files of CI systems that call the pipeline to two
// rules: they do nothing but call it, and each call is one that there is.
//
// What there is to call is read from the Go source of the Dagger modules, as their
// engine reads it, and named by the CLI's own rule; what comes after it, such as
// export of a file, from the source of Dagger's SDK. No engine is asked. Azure's
// pipelines are read with their templates put in, also to run their steps.
package wrappers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/iancoleman/strcase"
)

// module is what a Dagger module offers to dagger call.
type module struct {
	constructor function
	objects     map[string]object
}

// object is a type's functions, by the names that the CLI gives them.
type object map[string]function

type function struct {
	flags map[string]argument
	// returns is the name of an object; empty is a value, which has no functions.
	returns string
}

type argument struct {
	required, boolean, secret bool
	// values are an enum's; none is any value.
	values []string
}

// source is a parsed package.
type source struct {
	fset  *token.FileSet
	files []*ast.File
	// core is what the names of Dagger's own types begin with: nothing in its SDK.
	core string
	// enums are the values of each.
	enums map[string][]string
}

func parse(core string, paths ...string) (*source, error) {
	s := &source{fset: token.NewFileSet(), core: core, enums: map[string][]string{}}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || core != "" && strings.HasSuffix(path, "dagger.gen.go") {
			continue
		}
		file, err := parser.ParseFile(s.fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		s.files = append(s.files, file)
	}
	for _, spec := range s.specs(token.CONST) {
		values := spec.(*ast.ValueSpec)
		kind, ok := values.Type.(*ast.Ident)
		for _, name := range values.Names {
			if ok && ast.IsExported(kind.Name) {
				s.enums[kind.Name] = append(s.enums[kind.Name], strcase.ToScreamingSnake(strings.TrimPrefix(name.Name, kind.Name)))
			}
		}
	}
	return s, nil
}

// specs are the declarations of one kind.
func (s *source) specs(kind token.Token) []ast.Spec {
	var list []ast.Spec
	for _, file := range s.files {
		for _, declaration := range file.Decls {
			if general, ok := declaration.(*ast.GenDecl); ok && general.Tok == kind {
				list = append(list, general.Specs...)
			}
		}
	}
	return list
}

// readModule reads the package in a module's source folder.
func readModule(folder string, core map[string]object) (*module, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	s, err := parse("dagger.", paths...)
	if err != nil {
		return nil, err
	}
	m := &module{objects: map[string]object{}}
	for name, of := range core {
		m.objects["dagger."+name] = of
	}
	for _, spec := range s.specs(token.TYPE) {
		kind := spec.(*ast.TypeSpec)
		if structure, ok := kind.Type.(*ast.StructType); ok && kind.Name.IsExported() {
			m.objects[kind.Name.Name] = s.fields(structure)
		}
	}
	s.functions(func(receiver string, declaration *ast.FuncDecl) {
		if receiver == "" && declaration.Name.Name == "New" {
			m.constructor = s.function(declaration)
		}
		if of := m.objects[receiver]; of != nil {
			of[strcase.ToKebab(declaration.Name.Name)] = s.function(declaration)
		}
	})
	return m, nil
}

// readCore reads Dagger's own types from its SDK: what is optional there is a field
// of an options struct.
func readCore(path string) (map[string]object, error) {
	s, err := parse("", path)
	if err != nil {
		return nil, err
	}
	options := map[string]*ast.StructType{}
	for _, spec := range s.specs(token.TYPE) {
		kind := spec.(*ast.TypeSpec)
		if structure, ok := kind.Type.(*ast.StructType); ok && strings.HasSuffix(kind.Name.Name, "Opts") {
			options[kind.Name.Name] = structure
		}
	}
	core := map[string]object{}
	s.functions(func(receiver string, declaration *ast.FuncDecl) {
		if receiver == "" {
			return
		}
		if core[receiver] == nil {
			core[receiver] = object{}
		}
		f := s.function(declaration)
		if last := declaration.Type.Params.List; len(last) > 0 {
			if variadic, ok := last[len(last)-1].Type.(*ast.Ellipsis); ok {
				delete(f.flags, strcase.ToKebab(last[len(last)-1].Names[0].Name))
				for _, field := range options[typeName(variadic.Elt)].Fields.List {
					for _, name := range field.Names {
						f.flags[strcase.ToKebab(name.Name)] = s.flag(field.Type, "+optional")
					}
				}
			}
		}
		core[receiver][strcase.ToKebab(declaration.Name.Name)] = f
	})
	return core, nil
}

// functions are the exported ones, each with its receiver's type.
func (s *source) functions(each func(receiver string, declaration *ast.FuncDecl)) {
	for _, file := range s.files {
		for _, declaration := range file.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				continue
			}
			receiver := ""
			if f.Recv != nil {
				receiver = typeName(f.Recv.List[0].Type)
			}
			each(receiver, f)
		}
	}
}

// fields are functions without arguments.
func (s *source) fields(structure *ast.StructType) object {
	of := object{}
	for _, field := range structure.Fields.List {
		if private.MatchString(field.Doc.Text() + "\n" + field.Comment.Text()) {
			continue
		}
		tag := ""
		if field.Tag != nil {
			tag = reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("json")
		}
		for _, name := range field.Names {
			called := name.Name
			if tag != "" {
				called = tag
			}
			if name.IsExported() {
				of[strcase.ToKebab(called)] = function{returns: s.object(field.Type)}
			}
		}
	}
	return of
}

var (
	private  = regexp.MustCompile(`(?m)^\s*\+private\s*$`)
	optional = regexp.MustCompile(`(?m)^\s*\+(optional|default|defaultPath|defaultAddress)\b`)
)

func (s *source) function(declaration *ast.FuncDecl) function {
	f := function{flags: map[string]argument{}}
	if results := declaration.Type.Results; results != nil {
		f.returns = s.object(results.List[0].Type)
	}
	for _, field := range declaration.Type.Params.List {
		if typeName(field.Type) == "context.Context" {
			continue
		}
		for _, name := range field.Names {
			f.flags[strcase.ToKebab(name.Name)] = s.flag(field.Type, s.comment(field, declaration.Type.Params.List))
		}
	}
	return f
}

// comment is what stands above an argument, or behind it on its line.
func (s *source) comment(field *ast.Field, all []*ast.Field) string {
	line := func(pos token.Pos) int { return s.fset.Position(pos).Line }
	behind := func(f *ast.Field, group *ast.CommentGroup) bool {
		return line(group.Pos()) == line(f.End()) && group.Pos() > f.End()
	}
	var text []string
	for _, file := range s.files {
		if field.Pos() < file.FileStart || field.Pos() > file.FileEnd {
			continue
		}
		for _, group := range file.Comments {
			of := func(f *ast.Field) bool { return behind(f, group) }
			if behind(field, group) || line(group.End()) == line(field.Pos())-1 && !slices.ContainsFunc(all, of) {
				text = append(text, group.Text())
			}
		}
	}
	return strings.Join(text, "\n")
}

func (s *source) flag(kind ast.Expr, comment string) argument {
	if _, variadic := kind.(*ast.Ellipsis); variadic {
		comment += "\n+optional"
	}
	name := typeName(kind)
	return argument{
		required: !optional.MatchString(comment), boolean: name == "bool", secret: name == s.core+"Secret", values: s.enums[name],
	}
}

// object is the type that has functions behind a type; empty is none.
func (s *source) object(kind ast.Expr) string {
	name := typeName(kind)
	short := strings.TrimPrefix(name, s.core)
	switch {
	case !ast.IsExported(short) || s.enums[name] != nil || slices.Contains([]string{"error", "Void", "JSON"}, short):
		return ""
	case s.core == "":
		return "dagger." + name
	}
	return name
}

// typeName is a type's name, without what is around it.
func typeName(kind ast.Expr) string {
	switch t := kind.(type) {
	case *ast.StarExpr:
		return typeName(t.X)
	case *ast.ArrayType:
		return typeName(t.Elt)
	case *ast.Ellipsis:
		return typeName(t.Elt)
	case *ast.SelectorExpr:
		return typeName(t.X) + "." + t.Sel.Name
	case *ast.Ident:
		return t.Name
	}
	return ""
}
