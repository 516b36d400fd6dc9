package wrappers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
