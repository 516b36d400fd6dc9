package slipway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ownTargets lists where a step's result is decoded into a type that the program which
// writes it does not import: file and variable.
func ownTargets(files *token.FileSet, parsed []*ast.File) []string {
	var found []string
	for _, file := range parsed {
		ast.Inspect(file, func(n ast.Node) bool {
			function, ok := n.(*ast.FuncDecl)
			if !ok {
				return true
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
				switch called := call.Fun.(type) {
				case *ast.Ident:
					if called.Name != "decode" && called.Name != "decodeText" {
						return true
					}
				case *ast.SelectorExpr:
					if x, ok := called.X.(*ast.Ident); !ok || x.Name != "step" || called.Sel.Name != "Decode" {
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
				if _, shared := types[name.Name].(*ast.SelectorExpr); types[name.Name] != nil && !shared {
					found = append(found, files.Position(call.Pos()).Filename+": "+name.Name)
				}
				return true
			})
			return false
		})
	}
	return found
}

// TestAStepsResultIsOneType: a pipeline that had its own copy of a result would compile
// with another name of a field, and read nothing.
func TestAStepsResultIsOneType(t *testing.T) {
	files := token.NewFileSet()
	var parsed []*ast.File
	for _, pattern := range []string{"ci/*.go", "modules/sandbox/*.go"} {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, names)
		for _, name := range names {
			file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			parsed = append(parsed, file)
		}
	}
	// What is left of them. No other may come, and what goes is to be taken out here.
	assert.ElementsMatch(t, []string{
		"ci/drift.go: seen", "ci/infra.go: planned", "ci/infra.go: decided", "ci/infra.go: applied", "ci/infra.go: unlocked",
		"ci/receipt.go: signed", "ci/signed.go: signed",
	}, ownTargets(files, parsed))

	sample, err := parser.ParseFile(files, "sample.go", `package main
func f() {
	var a struct{ Digest string }
	decode(ctx, out, &a)
	var b own
	step.Decode(text, &b)
	c := &own{}
	decodeText(text, err, c)
	var d build.Built
	decode(ctx, out, &d)
	e := &build.Built{}
	decode(ctx, out, e)
	decode(ctx, out, nil)
}`, parser.SkipObjectResolution)
	require.NoError(t, err)
	assert.Equal(t, []string{"sample.go: a", "sample.go: b", "sample.go: c"}, ownTargets(files, []*ast.File{sample}))
}
