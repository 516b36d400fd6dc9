package wrappers

import (
	"os"
	"path/filepath"
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
		"dagger --progress=plain -m modules/drill call -j --run mine sigstore service up --ports 8080:8080",
		"dagger call infra --env dev plan check sha-256",
		"dagger -m github.com/acme/platform@v1 call apps",
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
		"dagger -m github.com/acme/other@v1 call x":                               "is none of this repository's",
		"dagger -m apps/hello call":                                               "is none of this repository's",
		"dagger call call":                                                        `the type Slipway has no function "call"`,
		"dagger call Deliver --app hello --env dev":                               `has no function "Deliver"`,
		"dagger call deliver --app hello":                                         "deliver lacks the flag --env",
		"dagger call deliver --app hello --env":                                   "the flag --env of deliver has no value",
		"dagger call deliver --App hello --env dev":                               "deliver has no flag --App",
		"dagger call deliver -app hello --env dev":                                "deliver has no flag -app",
		"dagger call deliver --app hello --env dev --key file:x":                  "deliver has no flag --key",
		"dagger call --ctx x apps":                                                "dagger call has no flag --ctx",
		"dagger call --settings x apps":                                           "dagger call has no flag --settings",
		"dagger call release --help":                                              `no function "release"`,
		"dagger call --kez --help":                                                "dagger call has no flag --kez",
		"dagger call settings":                                                    `has no function "settings"`,
		"dagger call app --name hello build source":                               `the type Image has no function "source"`,
		"dagger call apps export":                                                 `a value has no function "export"`,
		"dagger call app --name hello publish":                                    `the type App has no function "publish"`,
		"dagger call app --name hello build scan report --format PDF":             "use one of TABLE, JSON, SARIF",
		"dagger call app --name hello build scan report export":                   "export lacks the flag --path",
		"dagger call app --name hello build scan report export --path x --opts y": "export has no flag --opts",
		"dagger call with-registry --password env: apps":                          "is a secret's text",
		"dagger call with-registry --password plain apps":                         "is a secret's text",
		"dagger -m modules/sign call keygen export --path x":                      "keygen lacks the flag --password",
	} {
		refusedBy(t, r.Check(strings.Fields(call)), want)
	}
}

func TestTheSourceIsReadAsTheEngineReadsIt(t *testing.T) {
	r := open(t)
	m, err := r.module(".")
	require.NoError(t, err)
	slipway := m.objects["Slipway"]
	assert.NotContains(t, slipway, "registry", "a private field is no function")
	assert.NotContains(t, slipway, "configured", "what is not exported is no function")
	with := slipway["with-azure"]
	assert.Equal(t, "Slipway", with.returns)
	assert.Equal(t, argument{required: true}, with.flags["client-id"])
	assert.Equal(t, argument{required: true, secret: true}, with.flags["token"])
	assert.Equal(t, argument{}, with.flags["request-url"])
	assert.Equal(t, argument{boolean: true}, slipway["deliver"].flags["allow-destroy"])
	assert.Equal(t, []string{"LOCAL", "GITHUB_ACTIONS", "AZURE_DEVOPS"}, slipway["with-runner"].flags["kind"].values)
	assert.False(t, m.constructor.flags["source"].required, "a default path is a default")
	assert.NotContains(t, m.constructor.flags, "ctx")
	assert.Equal(t, "dagger.Directory", m.objects["Image"]["oci-layout"].returns)
}

// What the modules here have no example of.
func TestEachFormOfASourceIsRead(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"dagger.json": `{"name": "a-module", "source": "code"}`,
		"code/main.go": `package main

// Colour is one of two.
type Colour string

const (
	ColourDarkRed Colour = "x"
	Blue          Colour = "y"
)

type AModule struct {
	Shade Colour
	// +private
	Hidden string
	Aside  string // +private
	Other  string ` + "`json:\"renamedField\"`" + `
	first  string
	Parts  []*Part
}

type Part struct{ A, B2 string }

func New(
	// The first.
	// +default="a"
	one string,
	two int, // +optional
	three *Part,
	// Neither above it
	//
	// +optional

	four string,
	five ...string,
) *AModule {
	return nil
}

func (m *AModule) Paint(context context.Context, colour Colour, secret *dagger.Secret) (Colour, error) {
	return "", nil
}

func (m AModule) Fail() error { return nil }

func (m *AModule) Files() []*dagger.File { return nil }

func helper() {}
`,
		"code/main_test.go":   "package main\n\nfunc (m *AModule) Tested() {}\n",
		"code/dagger.gen.go":  "package main\n\nfunc (m *AModule) Generated() {}\n",
		"code/other/other.go": "package other\n\ntype Other struct{}\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	r := &Repository{root: dir, core: open(t).core, modules: map[string]*module{}}
	m, err := r.module(".")
	require.NoError(t, err)
	colours := []string{"DARK_RED", "BLUE"}
	assert.Equal(t, function{returns: "AModule", flags: map[string]argument{"one": {}, "two": {}, "three": {required: true}, "four": {required: true}, "five": {}}}, m.constructor)
	assert.Equal(t, object{
		"shade":         {},
		"renamed-field": {},
		"parts":         {returns: "Part"},
		"paint":         {flags: map[string]argument{"colour": {required: true, values: colours}, "secret": {required: true, secret: true}}},
		"fail":          {flags: map[string]argument{}},
		"files":         {returns: "dagger.File", flags: map[string]argument{}},
	}, m.objects["AModule"])
	assert.Equal(t, object{"a": {}, "b-2": {}}, m.objects["Part"])
	assert.NoError(t, r.Check(strings.Fields("dagger call --three x --four y paint --colour dark_red --secret env:X")))

	inside := &Repository{root: filepath.Join(dir, "code"), core: r.core, modules: map[string]*module{}}
	refusedBy(t, inside.Check(strings.Fields("dagger -m .. call fail")), "is none of this repository's")
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
