package dockerfile

import (
	"bytes"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"slipway/step"
)

// file is a Dockerfile as the builder reads it.
type file struct {
	path    string
	content []byte
	escape  rune
	lex     *shell.Lex
	// globals are the ARGs before the first FROM.
	globals []instructions.ArgCommand
	stages  []stage
}

// stage is a FROM and what follows it.
type stage struct {
	instructions.Stage
	from     *parser.Node
	commands []command
}

// command is an instruction as it is written and what BuildKit makes of it.
type command struct {
	node *parser.Node
	is   instructions.Command
}

// read parses a file whose instructions and flags are all on the list.
func read(path string, content []byte) (*file, *refusals, error) {
	tree, err := parser.Parse(bytes.NewReader(content))
	if err != nil {
		return nil, nil, unparsable(path, err)
	}
	refused := &refusals{}
	for _, node := range tree.AST.Children {
		allowed(refused, node)
	}
	if refused.any() {
		return nil, refused, nil
	}
	// It also refuses what stands at a wrong place.
	if _, _, err := instructions.Parse(tree.AST, nil); err != nil {
		return nil, nil, unparsable(path, err)
	}
	f := &file{path: path, content: content, escape: tree.EscapeToken, lex: shell.NewLex(tree.EscapeToken)}
	for _, node := range tree.AST.Children {
		parsed, err := instructions.ParseInstruction(node)
		if err != nil {
			return nil, nil, unparsable(path, err)
		}
		switch is := parsed.(type) {
		case *instructions.Stage:
			f.stages = append(f.stages, stage{Stage: *is, from: node})
		case *instructions.ArgCommand:
			if len(f.stages) == 0 {
				f.globals = append(f.globals, *is)
				continue
			}
			f.append(node, is)
		case instructions.Command:
			f.append(node, is)
		}
	}
	if len(f.stages) == 0 {
		return nil, nil, step.Input(Stage, path, "has no FROM", "begin the first stage with FROM")
	}
	return f, refused, nil
}

func (f *file) append(node *parser.Node, is instructions.Command) {
	last := &f.stages[len(f.stages)-1]
	last.commands = append(last.commands, command{node: node, is: is})
}

func unparsable(path string, err error) error {
	return step.Input(Stage, path, "is not a Dockerfile that BuildKit can parse: "+err.Error(), "mend the file").Because(err)
}

// words are an instruction's arguments after its flags.
func words(node *parser.Node) []string {
	var all []string
	for n := node.Next; n != nil; n = n.Next {
		all = append(all, n.Value)
	}
	return all
}

// flags are an instruction's flags; a flag without a value has an empty one.
func flags(node *parser.Node) []flag {
	var all []flag
	for _, word := range node.Flags {
		name, value, given := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		all = append(all, flag{name: name, value: value, given: given, word: word})
	}
	return all
}

type flag struct {
	name, value string
	// given says whether there is an equals sign.
	given bool
	// word is the flag as BuildKit sees it.
	word string
}
