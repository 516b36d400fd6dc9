package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/engine"
)

// checkout is a Git repository with these files, none of them committed.
func checkout(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	out, err := exec.Command("git", "-C", dir, "init", "-q").CombinedOutput()
	require.NoError(t, err, string(out))
	return dir
}

func TestFormattingNamesEveryWrongFile(t *testing.T) {
	dir := checkout(t, map[string]string{
		".gitignore":          "made.go\n",
		"made.go":             "package   made\n",
		"good.go":             "package good\n\nvar x = 1\n",
		"spaces in/name.go":   "package   name\n",
		"broken/not.go":       "package broken\n\nfunc {\n",
		"notes/not-go.go.txt": "package   notes\n",
	})
	err := formatted(t.Context(), dir)
	require.Error(t, err)
	assert.Equal(t, "not formatted, or not Go; mend with gofmt -w:\n  broken/not.go\n  spaces in/name.go", err.Error())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "spaces in/name.go"), []byte("package name\n"), 0o644))
	require.NoError(t, os.Remove(filepath.Join(dir, "broken/not.go")))
	assert.NoError(t, formatted(t.Context(), dir))
}

func TestFormattingNeedsGit(t *testing.T) {
	assert.ErrorContains(t, formatted(t.Context(), filepath.Join(t.TempDir(), "absent")), "list the Go files")
}

func TestLinterRunsWithTheRepositorysConfiguration(t *testing.T) {
	assert.Equal(t, []string{
		"run", "--config", "/repo/.golangci.yml", "--build-tags", sourceTags, "--allow-parallel-runners", "./a", "./b c",
	}, lintArgs("/repo", []string{"./a", "./b c"}))
}

func TestEveryTagOfATestIsLookedAt(t *testing.T) {
	for _, pattern := range []string{"../../e2e/*_test.go", "../../engine/*_test.go", "../../modules/*_test.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			line, _, _ := strings.Cut(string(data), "\n")
			if tags, ok := strings.CutPrefix(line, "//go:build "); ok {
				for _, tag := range regexp.MustCompile(`\w+`).FindAllString(tags, -1) {
					assert.Contains(t, strings.Split(sourceTags, ","), tag, file)
				}
			}
		}
	}
}

func TestOnlyPackagesWithoutGeneratedCodeAreChecked(t *testing.T) {
	source := map[string]string{
		"dagger.json":                         "{}\n",
		"go.mod":                              "module example/root\n\ngo 1.26\n",
		"root.go":                             "package root\n",
		"ci/go.mod":                           "module example/ci\n\ngo 1.26\n",
		"ci/pipeline.go":                      "package main\n\nimport _ \"example/ci/internal/dagger\"\n\nfunc main() {}\n",
		"ci/rules/rules.go":                   "package rules\n",
		"ci/internal/dagger/dagger.go":        "package dagger\n",
		"modules/scan/dagger.json":            "{}\n",
		"modules/scan/go.mod":                 "module example/scan\n\ngo 1.26\n",
		"modules/scan/main.go":                "package main\n\nfunc main() {}\n",
		"modules/scan/step/go.mod":            "module example/scan/step\n\ngo 1.26\n",
		"modules/scan/step/main.go":           "package main\n\nfunc main() {}\n",
		"modules/scan/step/internal/in/in.go": "package in\n",
		"modules/scan/trivy/go.mod":           "module example/trivy\n\ngo 1.26\n",
		"modules/scan/trivy/tools.go":         "package trivy\n",
		"tools/golangci-lint/go.mod":          "module example/lint\n\ngo 1.26\n",
		"engine/dist/stubs/tuist/go.mod":      "module example/tuist\n\ngo 1.26\n",
		"engine/dist/stubs/tuist/stub.go":     "package tuist\n",
		"engine/dist/stubs/tuist/other/of.go": "package other\n",
	}
	dir := checkout(t, source)
	var mu sync.Mutex
	seen := map[string][]string{}
	require.NoError(t, everyModule(t.Context(), dir, engine.NewProgress(io.Discard), every, func(module string, packages []string, _ io.Writer) error {
		mu.Lock()
		defer mu.Unlock()
		rel, err := filepath.Rel(dir, module)
		seen[filepath.ToSlash(rel)] = packages
		return err
	}))
	assert.Equal(t, map[string][]string{
		".":                 {"./."},
		"ci":                {"./rules"},
		"modules/scan/step": {"./.", "./internal/in"},
	}, seen)
}

func TestEveryModuleGoesOnAfterAFailureAndNamesIt(t *testing.T) {
	dir := checkout(t, map[string]string{
		"a/go.mod": "module example/a\n\ngo 1.26\n", "a/a.go": "package a\n",
		"b/go.mod": "module example/b\n\ngo 1.26\n", "b/b.go": "package b\n",
		"c/go.mod": "module example/c\n\ngo 1.26\n", "c/c.go": "package c\n",
	})
	var mu sync.Mutex
	var seen []string
	err := everyModule(t.Context(), dir, engine.NewProgress(io.Discard), every, func(module string, _ []string, _ io.Writer) error {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, filepath.Base(module))
		if filepath.Base(module) == "c" {
			return nil
		}
		return os.ErrInvalid
	})
	assert.ElementsMatch(t, []string{"a", "b", "c"}, seen)
	assert.EqualError(t, err, "failed Go modules: a, b")

	ctx, cancel := context.WithCancel(t.Context())
	err = everyModule(ctx, dir, engine.NewProgress(io.Discard), every, func(string, []string, io.Writer) error { cancel(); return os.ErrInvalid })
	assert.ErrorIs(t, err, context.Canceled, "an interrupt ends the round")
}
