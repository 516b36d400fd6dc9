package wrappers

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCallsThatThereAre(t *testing.T) {
	r := open(t)
	for _, call := range []string{
		"dagger call",
		"dagger call apps",
		"dagger call deliver --app hello --env dev",
		"dagger call deliver --app=hello --env=dev --allow-destroy text",
		"dagger call deliver --allow-destroy=false --app hello --env dev html export --path receipt.html",
		"dagger call --key file:cosign.key app --name hello build scan report --format sarif export --path x --allow-parent-dir-path",
		"dagger call -o x app --name hello build sbom --of IMAGE --format SPDX contents",
		"dagger --progress=plain -m modules/sandbox call -j ground --gitops gitops service up --ports 5000:5000",
		"dagger call infra --env dev plan check sha-256",
		"dagger call --help",
		"dagger call deliver --app hello --help",
	} {
		assert.NoError(t, r.Check(strings.Fields(call)), call)
	}
}

func TestCallsThatThereAreNot(t *testing.T) {
	r := open(t)
	for call, want := range map[string]string{
		"":                            "is no call of dagger",
		"docker call":                 "is no call of dagger",
		"dagger":                      "is not complete",
		"dagger run true":             `has "run" where call belongs`,
		"dagger -m":                   `has "-m" where call belongs`,
		"dagger -m ../elsewhere call": "module ../elsewhere: is none of this repository's",
		"dagger -m github.com/acme/platform@v1 call x":                "is none of this repository's",
		"dagger -m apps/hello call":                                   "is none of this repository's",
		"dagger call call":                                            `the type Slipway has no function "call"`,
		"dagger call Deliver --app hello --env dev":                   `has no function "Deliver"`,
		"dagger call deliver --app hello":                             "deliver lacks the flag --env",
		"dagger call deliver --app hello --env":                       "the flag --env of deliver has no value",
		"dagger call deliver --App hello --env dev":                   "deliver has no flag --App",
		"dagger call deliver -app hello --env dev":                    "deliver has no flag -app",
		"dagger call deliver --app hello --env dev --key file:x":      "deliver has no flag --key",
		"dagger call --ctx x apps":                                    "dagger call has no flag --ctx",
		"dagger call --settings x apps":                               "dagger call has no flag --settings",
		"dagger call release --help":                                  `no function "release"`,
		"dagger call --kez --help":                                    "dagger call has no flag --kez",
		"dagger call settings":                                        `has no function "settings"`,
		"dagger call app --name hello build source":                   `the type Image has no function "source"`,
		"dagger call apps export":                                     `a value has no function "export"`,
		"dagger call app --name hello publish":                        `the type App has no function "publish"`,
		"dagger call app --name hello build scan report --format PDF": "use one of TABLE, JSON, SARIF",
		"dagger call app --name hello build scan report export":       "export lacks the flag --path",
		"dagger call with-registry --password plain apps":             "is a secret's text",
		"dagger -m modules/sign call keygen export --path x":          "keygen lacks the flag --password",
	} {
		refusedBy(t, r.Check(strings.Fields(call)), want)
	}
}

// A function's name says nothing about its documentation, a field's does.
func TestTheSourceIsReadAsTheEngineReadsIt(t *testing.T) {
	r := open(t)
	m, err := r.module(".")
	require.NoError(t, err)
	slipway := m.objects["Slipway"]
	assert.NotContains(t, slipway, "registry", "a private field is no function")
	assert.Contains(t, m.objects["Plan"], "sha-256")
	assert.NotContains(t, m.objects["Plan"], "infra")
	assert.NotContains(t, slipway, "configured", "what is not exported is no function")
	with := slipway["with-azure"]
	assert.Equal(t, "Slipway", with.returns)
	assert.Equal(t, map[string]argument{
		"client-id": {required: true}, "tenant-id": {required: true}, "subscription-id": {required: true},
		"token": {required: true, secret: true}, "request-url": {}, "service-connection": {},
	}, with.flags)
	assert.Equal(t, argument{boolean: true}, slipway["deliver"].flags["allow-destroy"])
	assert.Equal(t, []string{"LOCAL", "GITHUB_ACTIONS", "AZURE_DEVOPS"}, slipway["with-runner"].flags["kind"].values)
	assert.False(t, m.constructor.flags["source"].required, "a default path is a default")
	assert.NotContains(t, m.constructor.flags, "ctx")
	assert.Equal(t, "dagger.Directory", m.objects["Image"]["oci-layout"].returns)
}

func TestScripts(t *testing.T) {
	set := map[string]string{"NONE": "", "TWO": "with-registry  --username", "QUOTED": "a 'b c'", "STAR": "*", "PATH": "/bin"}
	variable := func(name string) (string, bool) {
		value, ok := set[name]
		return value, ok
	}
	for script, want := range map[string][]string{
		"dagger call":                            {"dagger", "call"},
		"dagger call $NONE x":                    {"dagger", "call", "x"},
		"dagger call \"$NONE\" x":                {"dagger", "call", "", "x"},
		"dagger call $TWO bot":                   {"dagger", "call", "with-registry", "--username", "bot"},
		"dagger call \"$TWO/x\" 'a $NONE'":       {"dagger", "call", "with-registry  --username/x", "a $NONE"},
		"dagger call $QUOTED":                    {"dagger", "call", "a", "'b", "c'"},
		"dagger call $STAR * [a]":                {"dagger", "call", "*", "*", "[a]"},
		"dagger \\\n  call # and nothing more\n": {"dagger", "call"},
	} {
		argv, err := Call(script, variable)
		assert.NoError(t, err, script)
		assert.Equal(t, want, argv, script)
	}
	for script, want := range map[string]string{
		"":                              "is not one command",
		"# nothing":                     "is not one command",
		"dagger call\ndagger call":      "is not one command",
		"dagger call &":                 "is more than a command",
		"! dagger call":                 "is more than a command",
		"(dagger call)":                 "is more than a command",
		"if true; then dagger call; fi": "is more than a command",
		"dagger call `id`":              "is more than a command",
		"dagger call <(id)":             "is more than a command",
		"dagger call \"$(id)\"":         "is more than a command",
		"dagger call $((1 + 1))":        "is more than a command",
		"dagger call ${NONE:-id}":       "is more than a command",
		"dagger call ${NONE}":           "is more than a command",
		"dagger call ${!NONE}":          "is more than a command",
		"dagger call $OTHER":            "uses the variable OTHER",
		"dagger call \"$OTHER\"":        "uses the variable OTHER",
		"dagger call $1":                "uses the variable 1",
		"dagger call $@":                "uses the variable @",
		"dagger call 'x":                "without closing quote",
		"$NONE":                         "calls another program",
		"sudo dagger call":              "calls another program",
		"./dagger call":                 "calls another program",
	} {
		_, err := Call(script, variable)
		refusedBy(t, err, want)
	}
}
