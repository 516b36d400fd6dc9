package main

import (
	"flag"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/embedded"
	"slipway/engine"
)

func TestTheTaskfileAsksForVerbsAndFlagsThatThereAre(t *testing.T) {
	data, err := os.ReadFile("../../Taskfile.yml")
	require.NoError(t, err)
	asked := regexp.MustCompile(`"\{\{\.LAUNCHER\}\} ([a-z ]+?)((?: --[a-z]+ [a-z]+)*)(?: \{\{\.CLI_ARGS\}\})?"`).FindAllStringSubmatch(string(data), -1)
	require.Len(t, asked, strings.Count(string(data), `"{{.LAUNCHER}} `))
	all := verbs(&embedded.Platform{Launcher: &engine.Launcher{}})
	for _, words := range asked {
		found := false
		for _, v := range all {
			if v.name != words[1] {
				continue
			}
			found = true
			flags := flag.NewFlagSet(v.name, flag.ContinueOnError)
			if v.flags != nil {
				v.flags(flags)
			}
			assert.NoError(t, flags.Parse(strings.Fields(words[2])), words[0])
		}
		assert.True(t, found, words[0])
	}
}

func TestEachVerbIsListedOnce(t *testing.T) {
	listed := usage(verbs(&embedded.Platform{Launcher: &engine.Launcher{}})).Error()
	assert.Contains(t, listed, "usage: slipway-dev VERB [flags]")
	for _, name := range []string{"up", "demo cluster", "engine status", "setup"} {
		assert.Equal(t, 1, strings.Count(listed, "\n  "+name+"  "), name)
	}
}

func TestSetupInstallsNothingThatNoTestNeeds(t *testing.T) {
	flags := flag.NewFlagSet("setup", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var wanted tools
	wanted.Flags(flags)
	require.EqualError(t, flags.Parse([]string{"--with", "jq", "--with", "emacs"}), `invalid value "emacs" for flag -with: no test needs it`)
	require.Len(t, wanted.wanted, 1)
	assert.Equal(t, "jq", wanted.wanted[0].Name)
}
