package wrappers

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"mvdan.cc/sh/v3/syntax"
)

// AzureCall is a call of Slipway in a pipeline.
type AzureCall struct {
	// File and Line are where its step is written, below the folder that was read.
	File string
	Line int
	// Argv begins with dagger. What the pipeline's variables give is in it; what the
	// agent and the step give is $NAME.
	Argv []string
	// Env is the environment that the step itself adds.
	Env map[string]string
}

// AzureCalls are all calls of Slipway in the pipelines of a folder, as often as they
// are made.
func AzureCalls(dir string) ([]AzureCall, error) {
	pipelines, err := AzurePipelines(dir, dir)
	if err != nil {
		return nil, err
	}
	var calls []AzureCall
	for _, p := range pipelines {
		for _, stage := range p.Stages {
			for _, job := range stage.Jobs {
				for _, step := range job.Steps {
					argv, err := step.Argv(p.Variables)
					if err != nil {
						return nil, err
					}
					if len(argv) > 0 && argv[0] == "dagger" {
						calls = append(calls, AzureCall{File: step.File, Line: step.Line, Argv: argv, Env: step.Env})
					}
				}
			}
		}
	}
	if len(calls) == 0 {
		return nil, fmt.Errorf("%s: calls nothing", dir)
	}
	return calls, nil
}

// Script is what bash is given to run; empty where it runs nothing.
func (s AzureStep) Script() string {
	if s.Bash != "" {
		return s.Bash
	}
	return s.Inputs["inlineScript"]
}

// Argv is the one command of a step; nil where it runs none. It refuses whatever makes
// a script more than that: a second command, an assignment, a redirection other than a
// word as the input, a substitution, a variable without quotes that is not one of the
// pipeline's, which stands for any number of plain words.
func (s AzureStep) Argv(variables map[string]string) ([]string, error) {
	script := s.Script()
	if script == "" {
		return nil, nil
	}
	refuse := func(reason string) ([]string, error) {
		return nil, fmt.Errorf("%s:%d: %s: %q", s.File, s.Line, reason, script)
	}
	// Azure puts a macro's value into the text of the script, where it would be code.
	if strings.Contains(script, "$(") {
		return refuse("has a macro or a substitution")
	}
	parsed, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil {
		return refuse(err.Error())
	}
	if len(parsed.Stmts) != 1 {
		return refuse("is not one command")
	}
	stmt := parsed.Stmts[0]
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Assigns) > 0 || len(call.Args) == 0 || stmt.Negated || stmt.Background || stmt.Coprocess || stmt.Disown {
		return refuse("is not one plain command")
	}
	words := call.Args
	for _, r := range stmt.Redirs {
		if r.Op != syntax.WordHdoc {
			return refuse("redirects")
		}
		words = append(words, r.Word)
	}
	var argv []string
	for n, w := range words {
		if name, ok := strings.CutPrefix(script[w.Pos().Offset():w.End().Offset()], "$"); ok {
			value, ok := variables[name]
			if !ok || !azureWords.MatchString(value) || n == 0 {
				return refuse("$" + name + " is not a variable with plain words")
			}
			argv = append(argv, strings.Fields(value)...)
			continue
		}
		text, ok := azureWord(script, w)
		if !ok {
			return refuse(fmt.Sprintf("word %d is more than text and quoted variables", n))
		}
		if n < len(call.Args) {
			argv = append(argv, text)
		}
	}
	argv[0] = path.Base(argv[0])
	return argv, nil
}

var (
	azureReference = regexp.MustCompile(`\A\$(?:\w+|\{\w+\})\z`)
	azureWords     = regexp.MustCompile(`\A[A-Za-z0-9:/._@=, -]*\z`)
)

// azureWord is a word without its quotes, with its variables as $NAME.
func azureWord(script string, word *syntax.Word) (string, bool) {
	var text strings.Builder
	var add func(parts []syntax.WordPart, quoted bool) bool
	add = func(parts []syntax.WordPart, quoted bool) bool {
		for _, part := range parts {
			source := script[part.Pos().Offset():part.End().Offset()]
			switch p := part.(type) {
			case *syntax.Lit:
				if strings.ContainsAny(p.Value, "\\") || !quoted && strings.ContainsAny(p.Value, "*?[~{") {
					return false
				}
				text.WriteString(p.Value)
			case *syntax.SglQuoted:
				if p.Dollar {
					return false
				}
				text.WriteString(p.Value)
			case *syntax.DblQuoted:
				if p.Dollar || quoted || !add(p.Parts, true) {
					return false
				}
			case *syntax.ParamExp:
				if !quoted || !azureReference.MatchString(source) {
					return false
				}
				text.WriteString("$" + p.Param.Value)
			default:
				return false
			}
		}
		return true
	}
	ok := add(word.Parts, false)
	return text.String(), ok
}

// What is taken for one command is what bash makes of it.
func TestArgvIsWhatBashGivesToTheProgram(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "dagger")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/bash\nprintf '%s\\n' dagger \"$@\"\n"), 0o700))
	variables := map[string]string{"WITH": "--key env:KEY  with-state", "EMPTY": ""}
	for _, script := range []string{
		"dagger call", "dagger  call 'a b' \"c d\" e'f'g", "dagger \"*\" '$X' \"~\" a=b --a=b:c", "dagger \"a$X b\" \"${X}y\"", "dagger $WITH x $EMPTY y",
		"dagger call # a remark", "dagger call\n", "dagger \\\n  call", "dagger <<< \"$X\" call", "dagger \"a\tb\" '{a,b}' '!'",
	} {
		argv, err := AzureStep{Bash: script}.Argv(variables)
		if strings.Contains(script, "\\") && err != nil {
			continue
		}
		require.NoError(t, err, script)
		file := filepath.Join(dir, "script.sh")
		require.NoError(t, os.WriteFile(file, []byte(script), 0o600))
		cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", file)
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "X=$X", "WITH=" + variables["WITH"], "EMPTY="}
		out, err := cmd.Output()
		require.NoError(t, err, script)
		assert.Equal(t, strings.TrimSuffix(string(out), "\n"), strings.Join(argv, "\n"), script)
	}
}

func TestAScriptThatIsMoreThanOneCommandIsRefused(t *testing.T) {
	variables := map[string]string{"WITH": "", "CODE": "$(id)", "GLOB": "*"}
	for _, script := range []string{
		"dagger; id", "dagger & id", "dagger &", "! dagger", "dagger || id", "dagger | id", "(dagger)", "{ dagger; }", "if dagger; then id; fi", "a=b", "a=b dagger", "dagger > f",
		"dagger < f", "dagger 2>&1", "dagger << E\nE\n", "dagger $(id)", "dagger \"`id`\"", "dagger $((1))", "dagger \"$((1))\"", "dagger <(id)", "dagger $X", "dagger $1", "dagger \"$@\"",
		"dagger \"${X:-y}\"", "dagger \"${!X}\"", "dagger \"${#X}\"", "dagger \"${X[0]}\"", "dagger \"${X/a/b}\"", "dagger *", "dagger a?", "dagger [a]", "dagger {a,b}", "dagger ~", "dagger a\\ b",
		"dagger $'a'", "dagger $\"a\"", "$WITH", "$WITH dagger", "dagger $CODE", "dagger $GLOB", "dagger x$WITH", "dagger \"", "dagger $(x)", "coproc dagger", "function f { dagger; }", "[[ a ]]", "time dagger",
	} {
		argv, err := AzureStep{File: "f.yml", Line: 7, Bash: script}.Argv(variables)
		assert.ErrorContains(t, err, "f.yml:7: ", "%s: %v", script, argv)
	}
	argv, err := AzureStep{Checkout: "self"}.Argv(nil)
	require.NoError(t, err)
	assert.Nil(t, argv)
}
