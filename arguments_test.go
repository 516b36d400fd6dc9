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

// mostArguments is how many arguments people can tell apart at a call.
const mostArguments = 6

// crowded lists the functions that Dagger sees with too many arguments, by folder.
func crowded(files *token.FileSet, parsed []*ast.File) []string {
	var found []string
	for _, file := range parsed {
		for _, declaration := range file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || !function.Name.IsExported() {
				continue
			}
			arguments := 0
			for _, field := range function.Type.Params.List {
				if kind, ok := field.Type.(*ast.SelectorExpr); !ok || kind.Sel.Name != "Context" {
					arguments += max(len(field.Names), 1)
				}
			}
			if arguments > mostArguments {
				found = append(found, filepath.ToSlash(filepath.Dir(files.Position(file.Pos()).Filename))+": "+receiverOf(function)+function.Name.Name)
			}
		}
	}
	return found
}

// What several functions take, such as a registry with its account, is a noun: one call
// of With… says it once, and each verb is left with its own.
func TestAFunctionTakesFewArguments(t *testing.T) {
	files := token.NewFileSet()
	assert.Equal(t, []string{
		"ci: New", // what a caller's .env holds
	}, crowded(files, pipeline(t, files)), "give a noun what belongs to it by With…, and take out the exceptions that nothing needs")

	sample, err := parser.ParseFile(files, "x/sample.go", `package main
func (*T) Six(ctx context.Context, a, b, c string, d, e *dagger.File, f []string) {}
func (*T) Seven(ctx context.Context, a, b, c string, d, e *dagger.File, f []string, g bool) {}
func (*T) seven(a, b, c, d, e, f, g string) {}
func New(a, b, c, d, e, f, g string) {}
`, parser.SkipObjectResolution)
	require.NoError(t, err)
	assert.Equal(t, []string{"x: T.Seven", "x: New"}, crowded(files, []*ast.File{sample}))
}
