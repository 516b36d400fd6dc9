package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/format"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"slipway/engine"
)

// sourceTags are the build tags of tests that the checks look at as well.
const sourceTags = "engine,e2e,cosign,fresh,wrappers"

// check holds every Go file to gofmt, and every Go module to go vet and the
// linter. It needs no engine.
func check(ctx context.Context, repo string, progress *engine.Progress) error {
	fmt.Println("== formatting")
	if err := formatted(ctx, repo); err != nil {
		return err
	}
	linter := filepath.Join(repo, ".slipway", "bin", "golangci-lint")
	if err := buildLinter(ctx, repo, linter, progress); err != nil {
		return err
	}
	return everyModule(ctx, repo, progress, every, func(dir string, packages []string, out io.Writer) error {
		if err := goRun(ctx, dir, out, append([]string{"vet", "-tags=" + sourceTags}, packages...)...); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, linter, lintArgs(repo, packages)...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
		return cmd.Run()
	})
}

func lintArgs(repo string, packages []string) []string {
	return append([]string{
		"run", "--config", filepath.Join(repo, ".golangci.yml"), "--build-tags", sourceTags, "--allow-parallel-runners",
	}, packages...)
}

// buildLinter compiles the pinned linter; unchanged, that takes a moment.
func buildLinter(ctx context.Context, repo, linter string, progress *engine.Progress) error {
	build := func() error {
		return goRun(ctx, filepath.Join(repo, "tools", "golangci-lint"), os.Stdout,
			"build", "-o", linter, "github.com/golangci/golangci-lint/v2/cmd/golangci-lint")
	}
	if _, err := os.Stat(linter); err == nil {
		return build()
	}
	return progress.Do("compile the linter", build)
}

// formatted fails with the Go files that gofmt would change.
func formatted(ctx context.Context, repo string) error {
	files, err := gitFiles(ctx, repo, "*.go")
	if err != nil {
		return fmt.Errorf("list the Go files: %w", err)
	}
	var wrong []string
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(repo, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, but not yet in Git's index
		}
		if err != nil {
			return err
		}
		// The library is gofmt's own, at the version that compiled this program.
		if want, err := format.Source(data); err != nil || !bytes.Equal(want, data) {
			wrong = append(wrong, file)
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("not formatted, or not Go; mend with gofmt -w:\n  %s", strings.Join(wrong, "\n  "))
	}
	fmt.Printf("%d files\n", len(files))
	return nil
}

// gitFiles lists the files that Git knows of or would add.
func gitFiles(ctx context.Context, repo, pattern string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "git", "-C", repo, "ls-files", "-coz", "--exclude-standard", pattern).Output()
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 }), nil
}
