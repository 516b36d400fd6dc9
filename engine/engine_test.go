//go:build engine

package engine

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests need an engine: engine up, or Docker. They run the dagger CLI as
// a user does, on the module testdata/toy.

// cli is the dagger command with the environment of one engine.
type cli struct {
	env []string
	dir string
}

// toyCLI is the CLI on the toy module, with the engine that is used here.
func toyCLI(t *testing.T) cli {
	t.Helper()
	launcher, err := NewLauncher(".", NewProgress(os.Stderr))
	require.NoError(t, err)
	return cli{env: append(os.Environ(), launcher.Environ(t.Context())...), dir: "testdata/toy"}
}

// copied is the CLI on a copy of the module outside of any Git checkout: the
// CLI warns of a checkout whose origin is a local folder.
func (c cli) copied(t *testing.T) cli {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(c.dir)))
	c.dir = dir
	return c
}

// try runs dagger and returns what it printed.
func (c cli) try(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "dagger", args...)
	for _, variable := range c.env {
		if path, ok := strings.CutPrefix(variable, "PATH="); ok {
			cmd = exec.CommandContext(t.Context(), filepath.Join(filepath.SplitList(path)[0], "dagger"), args...)
		}
	}
	var out, errOut bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.dir, c.env, &out, &errOut
	err = cmd.Run()
	return out.String(), errOut.String(), err
}

// must is try for a command that has to succeed.
func (c cli) must(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, err := c.try(t, args...)
	require.NoError(t, err, "%s\n%s", stdout, stderr)
	return stdout, stderr
}

// buildWeb builds the static program that the toy module runs in containers.
func buildWeb(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "web")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", program, "./testdata/web")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return program
}

func TestCallSilent(t *testing.T) {
	c := toyCLI(t).copied(t)
	stdout, stderr := c.must(t, "call", "-s", "hello", "--name", "silence")
	assert.Equal(t, "hello silence", strings.TrimSpace(stdout))
	assert.Empty(t, strings.TrimSpace(stderr))
}

func TestCallProgress(t *testing.T) {
	c := toyCLI(t)
	for _, progress := range []string{"plain", "dots", "logs", "report"} {
		t.Run(progress, func(t *testing.T) {
			stdout, stderr := c.must(t, "call", "--progress="+progress, "hello", "--name", progress)
			assert.Equal(t, "hello "+progress, strings.TrimSpace(stdout))
			if progress == "plain" {
				for _, want := range []string{"connecting to engine", "load workspace", "hello", "DONE"} {
					assert.Contains(t, stderr, want)
				}
			}
		})
	}
}

func TestFailureIsShownByEveryProgress(t *testing.T) {
	c := toyCLI(t)
	for _, progress := range []string{"plain", "dots", "logs", "report"} {
		t.Run(progress, func(t *testing.T) {
			_, stderr, err := c.try(t, "call", "--progress="+progress, "broken")
			require.Error(t, err)
			assert.Contains(t, stderr, "this check always fails")
		})
	}
}

func TestFunctions(t *testing.T) {
	stdout, _ := toyCLI(t).must(t, "functions", "-s")
	for _, want := range []string{"hello", "Hello greets.", "fetch", "length"} {
		assert.Contains(t, stdout, want)
	}
}

func TestHelp(t *testing.T) {
	stdout, _ := toyCLI(t).must(t, "call", "-s", "hello", "--help")
	assert.Contains(t, stdout, "Hello greets.")
	assert.Contains(t, stdout, "Who is greeted.")
}

func TestDevelop(t *testing.T) {
	c := toyCLI(t).copied(t)
	dir := c.dir
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "internal")))
	c.must(t, "develop", "-s")
	assert.FileExists(t, filepath.Join(dir, "dagger.gen.go"))
	generated, err := os.ReadFile(filepath.Join(dir, "internal", "dagger", "dagger.gen.go"))
	require.NoError(t, err)
	assert.Contains(t, string(generated), "func (r *Container) WithExec(")
	vet := exec.CommandContext(t.Context(), "go", "vet", ".")
	vet.Dir, vet.Env = dir, append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	out, err := vet.CombinedOutput()
	require.NoError(t, err, string(out))
}

func TestCheck(t *testing.T) {
	c := toyCLI(t)
	c.must(t, "check", "--progress=plain", "sound")
	_, stderr, err := c.try(t, "check", "--progress=plain")
	require.Error(t, err, "one of the checks fails")
	assert.Contains(t, stderr, "this check always fails")
}

func TestServices(t *testing.T) {
	stdout, _ := toyCLI(t).must(t, "call", "-s", "fetch", "--program", buildWeb(t))
	assert.Equal(t, "served", strings.TrimSpace(stdout))
}

func TestSecrets(t *testing.T) {
	const secret = "correct-horse-battery-staple"
	c := toyCLI(t)
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(secret), 0o600))
	c.env = append(c.env, "TOY_SECRET="+secret)
	for _, source := range []string{"env:TOY_SECRET", "file:" + file} {
		stdout, _ := c.must(t, "call", "-s", "length", "--secret", source)
		assert.Equal(t, "28", strings.TrimSpace(stdout), source)
	}
	stdout, stderr := c.must(t, "call", "--progress=plain", "leak", "--program", buildWeb(t), "--secret", "file:"+file)
	assert.Equal(t, "***", strings.TrimSpace(stdout))
	assert.NotContains(t, stderr, secret)
}

func TestToolchainCanBeCopiedFromTheModuleRuntime(t *testing.T) {
	dir := t.TempDir()
	toyCLI(t).must(t, "call", "-s", "go", "export", "--path", dir)
	out, err := exec.CommandContext(t.Context(), "go", "version", filepath.Join(dir, "go")).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "go1.26.8")
	info, err := os.Stat(filepath.Join(dir, "gofmt"))
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&0o100, "its commands can be run")
}
