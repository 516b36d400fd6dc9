package wrappers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each command in the documentation and in the help of functions is one that there is.
func TestDocumentedCallsAreThere(t *testing.T) {
	r := open(t)
	checked := map[string]int{}
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") && d.Name() != ".."
		if d.IsDir() && (hidden || d.Name() == "internal" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		var calls []string
		switch {
		case strings.HasSuffix(path, ".md"):
			calls = callsOf(readFile(t, path))
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") && !strings.HasSuffix(path, "dagger.gen.go"):
			calls = examplesOf(t, path)
		}
		for _, call := range calls {
			argv, err := Call(call, func(name string) (string, bool) {
				if slices.Contains(further, name) {
					return "", true
				}
				return "$" + name, true
			})
			if assert.NoError(t, err, path) {
				assert.NoError(t, r.Check(argv), path)
			}
			checked[filepath.Ext(path)]++
		}
		return nil
	}))
	assert.Greater(t, checked[".md"], 30)
	assert.Greater(t, checked[".go"], 60)
}

var (
	block  = regexp.MustCompile(`(?m)^ *(dagger (?:[^\n]*\\\n)*[^\n]*)$`)
	inline = regexp.MustCompile("`(dagger [^`\n]+)`")
	// What becomes of what a call prints.
	printed = regexp.MustCompile(` +[|>][^\n']*$`)
	// Variables of the wrappers that hold further arguments, or none.
	further = []string{"SLIPWAY_WITH", "AZURE_CLOUD"}
	// The reader's own word.
	blank = regexp.MustCompile(`<[a-z]+>`)
)

// callsOf are a document's commands: each by itself in an indented block, and between
// backquotes, where one is named and need not have all of its flags.
func callsOf(text string) []string {
	text = blank.ReplaceAllString(text, "name")
	var calls []string
	for _, found := range block.FindAllStringSubmatch(text, -1) {
		if call := printed.ReplaceAllString(found[1], ""); complete(call) {
			calls = append(calls, call)
		}
	}
	for _, found := range inline.FindAllStringSubmatch(text, -1) {
		if complete(found[1]) {
			calls = append(calls, found[1]+" "+help)
		}
	}
	return calls
}

// complete says whether it is a call, and leaves nothing out for the reader.
func complete(call string) bool {
	words := strings.Fields(call)
	n := slices.Index(words, "call")
	return n > 0 && n < len(words)-1 && !slices.Contains(words, "…")
}

// examplesOf are the commands after Example: in comments.
func examplesOf(t *testing.T, path string) []string {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
	require.NoError(t, err, path)
	var calls []string
	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok {
			continue
		}
		for line := range strings.Lines(function.Doc.Text()) {
			if call, ok := strings.CutPrefix(strings.TrimSpace(line), "Example: "); ok && complete(call) {
				calls = append(calls, call)
			}
		}
	}
	return calls
}

func TestCallsAreFoundInADocument(t *testing.T) {
	assert.Equal(t, []string{
		"dagger call apps    # lists them",
		"dagger call \\\n      --key file:x \\\n      apps",
		"dagger call app --name name test",
		"dagger -m modules/sign call keygen --help",
	}, callsOf("Text.\n\n    dagger call apps    # lists them\n    dagger functions\n    dagger call with-azure … apps\n\n    dagger call \\\n      --key file:x \\\n      apps\n\ndagger call app --name <name> test > log\n`dagger -m modules/sign call keygen`, and `dagger call` alone\n"))
}
