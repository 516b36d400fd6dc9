package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"slipway/step"
)

// gitops makes a GitOps folder with one overlay, and the flags that name it.
func gitops(t *testing.T) (dir string, flags []string) {
	t.Helper()
	dir = t.TempDir()
	overlay := filepath.Join(dir, "apps/hello/overlays/dev")
	require.NoError(t, os.MkdirAll(overlay, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), nil, 0o644))
	return dir, []string{"--tree", dir, "--remote", "http://localhost:5000/gitops.git"}
}

func do(t *testing.T, verb string, flags []string) (any, error) {
	t.Helper()
	_, work, err := commands.Parse("argocd", append([]string{verb, "--out", t.TempDir()}, flags...))
	require.NoError(t, err)
	return work(context.Background())
}

func TestGenerateThenCheck(t *testing.T) {
	dir, flags := gitops(t)
	value, err := do(t, "generate", flags)
	require.NoError(t, err)
	assert.Equal(t, generated{Files: []string{"hello-dev.yaml"}}, value)
	file := filepath.Join(dir, "argocd/hello-dev.yaml")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(data), "path: gitops/apps/hello/overlays/dev\n")
	value, err = do(t, "check", flags)
	require.NoError(t, err)
	assert.Equal(t, generated{Files: []string{"hello-dev.yaml"}}, value)

	changed := append(slices.Clone(data), '\n')
	require.NoError(t, os.WriteFile(file, changed, 0o644))
	_, err = do(t, "check", flags)
	fault, ok := step.AsFault(err)
	require.Truef(t, ok, "%v", err)
	assert.Equal(t, step.KindPolicy, fault.Kind)
	assert.Equal(t, []string{"hello-dev.yaml: differs"}, fault.Details)
	assert.Contains(t, err.Error(), "hello-dev.yaml: differs")
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(changed), string(after), "check writes nothing")
}

func TestFolders(t *testing.T) {
	dir, flags := gitops(t)
	to := t.TempDir()
	out, work, err := commands.Parse("argocd", append([]string{"generate", "--objects", filepath.Join(to, "argocd"), "--root", ".", "--out", to}, flags...))
	require.NoError(t, err)
	assert.Equal(t, to, out)
	_, err = work(context.Background())
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(to, "argocd/hello-dev.yaml"))
	require.NoError(t, err)
	assert.Contains(t, string(data), "path: apps/hello/overlays/dev\n")
	assert.NoDirExists(t, filepath.Join(dir, "argocd"))
}

func TestUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"usage: argocd admit|check|generate":     nil,
		"--out is missing":                       {"wait", "--kubeconfig", "x"},
		`unknown command "apply"; usage:`:        {"apply"},
		`argocd check takes no argument: "x"`:    {"check", "x"},
		"flag provided but not defined: -colour": {"generate", "--colour", "red"},
	} {
		_, _, err := commands.Parse("argocd", args)
		require.ErrorContains(t, err, want)
	}
}

// What is committed is what the committed overlays and settings generate.
func TestCommitted(t *testing.T) {
	const top = "../../.."
	data, err := os.ReadFile(filepath.Join(top, "slipway.yaml"))
	require.NoError(t, err)
	var settings struct {
		GitOps struct{ Remote, Branch, Root string } `json:"gitops"`
	}
	require.NoError(t, yaml.Unmarshal(data, &settings))
	require.NotEmpty(t, settings.GitOps.Remote)
	_, err = do(t, "check", []string{
		"--tree", filepath.Join(top, "gitops"), "--remote", settings.GitOps.Remote,
		"--branch", settings.GitOps.Branch, "--root", settings.GitOps.Root,
	})
	require.NoError(t, err)
}

// What is asked for wrongly is a Fault, so that the pipeline can name it.
func TestClusterRefuses(t *testing.T) {
	good := []string{
		"--application", "hello-dev", "--commit", strings.Repeat("a", 40), "--image", "hello@sha256:" + strings.Repeat("1", 64),
	}
	for input, args := range map[string][]string{
		`kubeconfig "gone"`: append([]string{"wait", "--kubeconfig", "gone"}, good...),
		`--connect "a=b"`:   append([]string{"wait", "--connect", "a:1=b:2", "--connect", "a=b"}, good...),
		`deadline "soon"`:   append([]string{"wait", "--deadline", "soon"}, good...),
		`commit ""`:         {"wait", "--application", "hello-dev"},
		`kubeconfig ""`:     {"status", "--application", "hello-dev", "--application", "hello-production"},
		`--connect "x"`:     {"status", "--connect", "x"},
	} {
		out, work, err := commands.Parse("argocd", append(args, "--out", "out"))
		require.NoError(t, err)
		assert.Equal(t, "out", out)
		_, err = work(t.Context())
		fault, ok := step.AsFault(err)
		require.Truef(t, ok, "%v", err)
		assert.Equal(t, []any{step.KindInput, args[0], input}, []any{fault.Kind, fault.Stage, fault.Input})
		assert.NotEmpty(t, fault.Mend)
	}
}
