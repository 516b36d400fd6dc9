package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/dirhash"

	"dagger/toolbox/internal/dagger"
)

// keyFile, in a folder of compiled programs, names the sources that they were
// compiled from.
const keyFile = "KEY"

// notCompiled are the files of a module that don't get into its programs. What
// the SDK generates beside them follows from the rest.
var notCompiled = []string{"internal", "dagger.gen.go", "**/*_test.go", "**/testdata"}

// Seal adds to a folder of programs the key of what they were compiled from: the
// module's sources, this module's, the step protocol and the toolchain. Unseal asks
// for it.
//
// +cache="168h"
func (t *Toolbox) Seal(
	ctx context.Context,
	// The sources of the module that compiles the programs.
	sources *dagger.Directory,
	// The programs.
	programs *dagger.Directory,
) (*dagger.Directory, error) {
	key, err := t.key(ctx, sources)
	if err != nil {
		return nil, err
	}
	return programs.WithNewFile(keyFile, key), nil
}

// Unseal returns a folder of programs that Seal has sealed, if they were compiled
// from these very sources; others are refused. It says nothing about who
// compiled them: what verifies a signature does.
//
// +cache="168h"
func (t *Toolbox) Unseal(
	ctx context.Context,
	// What the programs are for, for the refusal.
	name string,
	// The sources of the module that would compile them.
	sources *dagger.Directory,
	// The sealed programs.
	programs *dagger.Directory,
) (*dagger.Directory, error) {
	want, err := t.key(ctx, sources)
	if err != nil {
		return nil, err
	}
	const mend = "\n  mend: name a toolbox that was published from this revision of Slipway, or compile: leave the toolbox away"
	got, err := programs.File(keyFile).Contents(ctx)
	if err != nil {
		return nil, fmt.Errorf("toolbox: bad input: the toolbox holds no programs for %s%s", name, mend)
	}
	if got != want {
		return nil, fmt.Errorf("toolbox: refused by policy: the programs for %s were compiled from other sources: %s, and these are %s%s",
			name, strings.TrimSpace(got), strings.TrimSpace(want), mend)
	}
	return programs, nil
}

// key is the hash of everything that determines a module's programs, as go.sum writes
// hashes of modules: names and content of the files, whatever their modes and times.
func (t *Toolbox) key(ctx context.Context, sources *dagger.Directory) (key string, err error) {
	toolchain, err := dag.Toolchain().Version(ctx)
	if err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(".", "sources-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	all := dag.Directory().
		WithDirectory("module", sources, dagger.DirectoryWithDirectoryOpts{Exclude: notCompiled}).
		WithDirectory("toolbox", dag.CurrentModule().Source(), dagger.DirectoryWithDirectoryOpts{Exclude: notCompiled}).
		WithDirectory("step", stepSources(), dagger.DirectoryWithDirectoryOpts{Exclude: []string{"**/*_test.go", "**/testdata"}}).
		WithNewFile("toolchain", toolchain)
	if _, err := all.Export(ctx, work); err != nil {
		return "", err
	}
	hash, err := dirhash.HashDir(work, "", dirhash.Hash1)
	return hash + "\n", err
}
