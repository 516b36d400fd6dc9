package slipway_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ruleLine is a line of CONTRIBUTING's index: a rule, a file, and what it declares.
var ruleLine = regexp.MustCompile("(?m)^\\| ([^|`]+) \\| `([^`]+)` \\| `([^`]+)` \\|$")

// declared are the names at the top of a Go file, methods with their type: Type.Method.
func declared(t *testing.T, name string, source any) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	require.NoError(t, err)
	var names []string
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			names = append(names, receiverOf(d)+d.Name.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
				case *ast.ValueSpec:
					for _, name := range s.Names {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}

// receiverOf is a method's type with a dot; of a function, nothing.
func receiverOf(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	kind := d.Recv.List[0].Type
	if pointer, ok := kind.(*ast.StarExpr); ok {
		kind = pointer.X
	}
	if generic, ok := kind.(*ast.IndexExpr); ok {
		kind = generic.X
	}
	if name, ok := kind.(*ast.Ident); ok {
		return name.Name + "."
	}
	return "?."
}

// TestEachRuleIsWhereTheIndexSays: a newcomer who looks a rule up finds it.
func TestEachRuleIsWhereTheIndexSays(t *testing.T) {
	_, index, found := strings.Cut(readFile(t, "CONTRIBUTING.md"), "\n## Where each rule is\n")
	require.True(t, found)
	index, _, _ = strings.Cut(index, "\n## ")
	rules := ruleLine.FindAllStringSubmatch(index, -1)
	assert.Len(t, rules, strings.Count(index, "\n| ")-1, "a line of the index that is no rule, a file and a name")
	assert.Greater(t, len(rules), 25)
	said := map[string]bool{}
	for _, rule := range rules {
		what, file, symbol := rule[1], rule[2], rule[3]
		assert.False(t, said[what], "the index says twice: %s", what)
		said[what] = true
		if !assert.True(t, filepath.IsLocal(file) && !strings.HasSuffix(file, "_test.go"), "%s: %s is no code of the repository", what, file) {
			continue
		}
		if _, err := os.Stat(file); assert.NoError(t, err, what) {
			assert.Contains(t, declared(t, file, nil), symbol, "%s: %s does not declare it", what, file)
		}
	}
}

func TestDeclaredNames(t *testing.T) {
	assert.Equal(t, []string{"f", "T", "T.m", "T.p", "G", "G.m", "a", "b", "c"}, declared(t, "x.go", `package x
func f() {}
type T struct{}
func (T) m() {}
func (t *T) p() {}
type G[K any] struct{}
func (g *G[K]) m() {}
var a, b = 1, 2
const c = 3
`))
	assert.Equal(t, [][]string{{"| a rule | `x/y.go` | `T.m` |", "a rule", "x/y.go", "T.m"}},
		ruleLine.FindAllStringSubmatch("| a rule | `x/y.go` | `T.m` |\n| … | file | there |\n|---|---|---|\n| `a` | x | `y` |\n", -1))
}
