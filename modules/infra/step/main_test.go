package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/infra/step/cluster"
	"slipway/infra/step/stage"
	"slipway/step"
	"slipway/step/azure"
	"slipway/step/azure/azuretest"
	"slipway/step/reach"
	"slipway/step/steptest"
)

func TestCommandLineRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		args          []string
		out           string
		input, reason string
	}{
		"nothing":        {nil, "", "command line", "names no stage"},
		"no stage":       {[]string{"destroy"}, "", `stage "destroy"`, "is not one"},
		"no folder":      {[]string{"plan"}, "", "--out", "is missing"},
		"unknown flag":   {[]string{"plan", "--out", "o", "--force"}, "o", "plan command line", "not defined: -force"},
		"argument":       {[]string{"check", "--out", "o", "now"}, "o", "check command line", `argument too many: "now"`},
		"bad connection": {[]string{"apply", "--out", "o", "--connect", "x"}, "o", "apply command line", "LOGICAL=ACTUAL"},
		"bad duration":   {[]string{"output", "--out", "o", "--lock-timeout", "x"}, "o", "output command line", "lock-timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			var progress bytes.Buffer
			out, work := parse(c.args, &progress)
			assert.Equal(t, c.out, out)
			_, err := work(context.Background())
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, c.input, f.Input)
			assert.Contains(t, f.Reason, c.reason)
		})
	}
}

func TestEachStageRefusesAHostileName(t *testing.T) {
	for _, stage := range []string{"plan", "check", "apply", "output", "drift"} {
		for _, env := range []string{"", "../x", "a b", "$(id)", "-x", "a\nb", "Dev"} {
			out, work := parse([]string{stage, "--out", t.TempDir(), "--env", env}, &bytes.Buffer{})
			require.NotEmpty(t, out)
			_, err := work(context.Background())
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, stage, f.Stage)
			assert.Equal(t, "is not a valid name", f.Reason)
		}
	}
	_, work := parse([]string{"unlock", "--out", t.TempDir(), "--id", "a b"}, &bytes.Buffer{})
	_, err := work(context.Background())
	f, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, "is not a lock's ID", f.Reason)
}

func TestATokenForAClusterIsGivenAsItsClientsReadIt(t *testing.T) {
	a := azuretest.Start(t)
	identity, file := a.Identity()
	var out bytes.Buffer
	require.NoError(t, give(t.Context(), []string{"--azure", identity.String(), "--azure-token-file", file}, &out))
	var given struct {
		APIVersion, Kind string
		Status           struct {
			Token               string
			ExpirationTimestamp time.Time
		}
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &given))
	assert.Equal(t, "client.authentication.k8s.io/v1beta1 ExecCredential", given.APIVersion+" "+given.Kind)
	assert.True(t, a.Good(azure.Kubernetes, given.Status.Token))
	assert.True(t, given.Status.ExpirationTimestamp.Before(a.Now().Add(a.Life)), "a client asks again in time")

	require.ErrorContains(t, give(t.Context(), []string{"--azure", identity.String(), "--azure-token-file", file, "--no-flag"}, &out), "no-flag")
	for _, args := range [][]string{nil, {"--azure", identity.String()}, {"--azure", "{}", "--azure-token-file", file}, {"--azure-token-file", file}} {
		out.Reset()
		steptest.Refused(t, give(t.Context(), args, &out))
		assert.Empty(t, out.String())
	}
}

// Each stage takes the flags that it is called with, and no other.
func TestEachStageHasItsFlags(t *testing.T) {
	common := []string{"terraform", "code", "root", "env", "providers", "allowed", "temp"}
	remote := []string{"backend-config-file", "backend-password-file", "kubeconfig", "azure", "azure-token-file", "connect", "lock-timeout"}
	for stage, flags := range map[string][][]string{
		"plan":   {common, remote, {"var-file", "secret-var-file"}},
		"check":  {common, {"plan", "binding", "verdict", "allow-destroy"}},
		"apply":  {common, remote, {"plan", "binding", "checked", "secret-var-file"}},
		"output": {common, remote},
		"drift":  {common, remote, {"var-file", "secret-var-file"}},
		"code":   {{"code", "root"}},
		"unlock": {common, remote, {"id"}},
	} {
		var usage bytes.Buffer
		_, work := parse([]string{stage, "-h"}, &usage)
		_, err := work(t.Context())
		require.ErrorIs(t, err, flag.ErrHelp)
		var names []string
		for line := range strings.Lines(usage.String()) {
			if name, ok := strings.CutPrefix(line, "  -"); ok {
				names = append(names, strings.Fields(name)[0])
			}
		}
		assert.ElementsMatch(t, append(slices.Concat(flags...), "out"), names, stage)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.tf"), []byte("# a\n"), 0o600))
	var seen files
	for _, file := range []string{"a", "b"} {
		require.NoError(t, seen.Set(file))
	}
	assert.Equal(t, files{"a", "b"}, seen)
	out, work := parse([]string{"code", "--out", filepath.Join(t.TempDir(), "o"), "--code", dir}, &bytes.Buffer{})
	require.NotEmpty(t, out)
	_, err := work(t.Context())
	require.NoError(t, err)
	_, work = parse([]string{"code", "--out", t.TempDir(), "--code", dir, "--root", "none"}, &bytes.Buffer{})
	_, err = work(t.Context())
	require.Error(t, err)
}

func TestWhatFlagsSayIsTaken(t *testing.T) {
	fs := flag.NewFlagSet("plan", flag.ContinueOnError)
	var c stage.Common
	var r stage.Remote
	common(fs, &c)
	remote(fs, &r)
	secrets(fs, &r)
	assert.Equal(t, stage.Common{Root: ".", Temp: "/tmp"}, c)
	assert.Equal(t, stage.Remote{Connect: reach.Connections{}, LockTimeout: 30 * time.Second}, r)
	require.NoError(t, fs.Parse(strings.Fields("--terraform tf --code c --root r --env e --providers p --allowed {} --temp t "+
		"--backend-config-file b --backend-password-file w --kubeconfig k --azure {} --azure-token-file f "+
		"--connect localhost:1=a:2 --connect localhost:3=b:4 --lock-timeout 1s --secret-var-file s")))
	assert.Equal(t, stage.Common{Terraform: "tf", Code: "c", Root: "r", Environment: "e", Providers: "p", Allowed: "{}", Temp: "t"}, c)
	assert.Equal(t, stage.Remote{BackendConfig: "b", PasswordFile: "w", Kubeconfig: "k", Azure: azure.Access{Identity: "{}", Token: "f"},
		Connect: reach.Connections{"localhost:1": "a:2", "localhost:3": "b:4"}, LockTimeout: time.Second, SecretVarFile: "s"}, r)
	require.ErrorContains(t, fs.Parse([]string{"--connect", "localhost:1=c:5"}), "leads elsewhere than before")
}

// asStep makes the test binary behave as the step program.
const asStep = "SLIPWAY_TEST_AS_STEP"

func TestMain(m *testing.M) {
	if os.Getenv(asStep) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestTheProgramEnds(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.tf"), []byte("# a\n"), 0o600))
	for name, c := range map[string]struct {
		args    []string
		code    int
		printed string
		result  bool
	}{
		"nothing":           {nil, 2, "config: bad input: command line: names no stage", false},
		"no stage":          {[]string{"destroy"}, 2, `stage "destroy": is not one`, false},
		"help":              {[]string{"plan", "-h"}, 0, "Usage of plan:", false},
		"no folder":         {[]string{"code", "--code", dir}, 2, "--out: is missing", false},
		"a refusal":         {[]string{"code", "--code", dir, "--root", "none", "--out", "OUT"}, 0, "", true},
		"a pass":            {[]string{"code", "--code", dir, "--out", "OUT"}, 0, "", true},
		"no folder to be":   {[]string{"code", "--code", dir, "--out", filepath.Join(dir, "main.tf")}, 1, "not a directory", false},
		"a token of nobody": {[]string{cluster.Plugin}, 1, "--azure: is missing", false},
		"a token's flag":    {[]string{cluster.Plugin, "--x"}, 1, "flag provided but not defined: -x", false},
		"its name as stage": {[]string{"plan", cluster.Plugin}, 2, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			args := slices.Clone(c.args)
			for n := range args {
				if args[n] == "OUT" {
					args[n] = out
				}
			}
			cmd := exec.Command(os.Args[0], args...)
			cmd.Env = append(os.Environ(), asStep+"=1")
			printed, _ := cmd.CombinedOutput()
			assert.Equal(t, c.code, cmd.ProcessState.ExitCode(), string(printed))
			assert.Contains(t, string(printed), c.printed)
			data, err := os.ReadFile(filepath.Join(out, step.ResultFile))
			assert.Equal(t, c.result, err == nil)
			if c.result {
				assert.Equal(t, name == "a pass", step.Decode(data, nil) == nil)
			}
		})
	}
}
