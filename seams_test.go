package slipway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ownTargets lists where a step's result is decoded into a type that the program which
// writes it does not import, and where anything is decoded into a type without a name:
// file and variable.
func ownTargets(files *token.FileSet, parsed []*ast.File) []string {
	var found []string
	for _, file := range parsed {
		ast.Inspect(file, func(n ast.Node) bool {
			function, ok := n.(*ast.FuncDecl)
			if !ok {
				return true
			}
			if isResult(function.Name) && function.Type.TypeParams != nil {
				return false // held wherever it is called
			}
			types := map[string]ast.Expr{}
			ast.Inspect(function, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ValueSpec:
					for _, name := range n.Names {
						types[name.Name] = n.Type
					}
				case *ast.AssignStmt:
					for i, left := range n.Lhs {
						name, ok := left.(*ast.Ident)
						if !ok || i >= len(n.Rhs) {
							continue
						}
						right := n.Rhs[i]
						if address, ok := right.(*ast.UnaryExpr); ok {
							right = address.X
						}
						if literal, ok := right.(*ast.CompositeLit); ok {
							types[name.Name] = literal.Type
						}
					}
				}
				return true
			})
			ast.Inspect(function, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) == 0 {
					return true
				}
				allowed := shared
				switch called := call.Fun.(type) {
				case *ast.IndexExpr:
					if isResult(called.X) && !shared(called.Index) {
						found = append(found, files.Position(call.Pos()).Filename+": "+called.X.(*ast.Ident).Name)
					}
					return true
				case *ast.Ident:
					if called.Name != "decode" {
						return true
					}
				case *ast.SelectorExpr:
					x, ok := called.X.(*ast.Ident)
					if !ok {
						return true
					}
					switch x.Name + "." + called.Sel.Name {
					case "step.Decode":
					case "json.Unmarshal":
						allowed = func(t ast.Expr) bool { return !anonymous(t) }
					default:
						return true
					}
				default:
					return true
				}
				target := call.Args[len(call.Args)-1]
				if address, ok := target.(*ast.UnaryExpr); ok {
					target = address.X
				}
				name, ok := target.(*ast.Ident)
				if !ok || name.Name == "nil" {
					return true
				}
				if t := types[name.Name]; t != nil && !allowed(t) {
					found = append(found, files.Position(call.Pos()).Filename+": "+name.Name)
				}
				return true
			})
			return false
		})
	}
	return found
}

// isResult says whether it is one of ci's functions that read a step's result.
func isResult(x ast.Expr) bool {
	name, ok := x.(*ast.Ident)
	return ok && (name.Name == "result" || name.Name == "resultIn")
}

// shared says whether a type is a package's.
func shared(t ast.Expr) bool {
	_, ok := t.(*ast.SelectorExpr)
	return ok
}

// anonymous says whether a type holds a struct without a name.
func anonymous(t ast.Expr) bool {
	found := false
	ast.Inspect(t, func(n ast.Node) bool {
		_, ok := n.(*ast.StructType)
		found = found || ok
		return !ok
	})
	return found
}

// pipeline is the code that Dagger runs: ci's and the modules'.
func pipeline(t *testing.T, files *token.FileSet) []*ast.File {
	t.Helper()
	var parsed []*ast.File
	for _, pattern := range []string{"ci/*.go", "modules/*/*.go"} {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, names)
		for _, name := range names {
			if strings.HasSuffix(name, ".gen.go") {
				continue
			}
			file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			if file.Name.Name == "main" {
				parsed = append(parsed, file)
			}
		}
	}
	return parsed
}

// TestAStepsResultIsOneType: a pipeline that had its own copy of a result would compile
// with another name of a field, and read nothing.
func TestAStepsResultIsOneType(t *testing.T) {
	files := token.NewFileSet()
	assert.Empty(t, ownTargets(files, pipeline(t, files)))

	sample, err := parser.ParseFile(files, "sample.go", `package main
func f() {
	var a struct{ Digest string }
	decode(text, err, &a)
	var b own
	step.Decode(text, &b)
	c := &own{}
	decode(text, err, c)
	var d build.Built
	decode(text, err, &d)
	e := &build.Built{}
	decode(text, err, e)
	decode(text, err, nil)
	i, err := result[own](text, err)
	i, err = resultIn[struct{ Digest string }](ctx, out)
	j, err := result[build.Built](text, err)
	var g map[string]struct{ Digest string }
	json.Unmarshal(data, &g)
	var h own
	json.Unmarshal(data, &h)
}`, parser.SkipObjectResolution)
	require.NoError(t, err)
	assert.Equal(t, []string{"sample.go: a", "sample.go: b", "sample.go: c", "sample.go: result", "sample.go: resultIn", "sample.go: g"}, ownTargets(files, []*ast.File{sample}))
}
