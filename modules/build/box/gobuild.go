package main

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"slipway/step"
	"slipway/step/result/build"
)

// The flags of every compilation of an app: static programs without build paths or
// build ids, so that the same source gives the same bytes everywhere.
const (
	debugFlag = "-gcflags=all=-dwarf=false"
	linkFlag  = "-ldflags=-s -w -buildid="
)

func owner(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

// goBuild parses the arguments of go-build.
func goBuild(args []string) (func(context.Context) (any, error), string, error) {
	var limits Limits
	var packages, arches step.List
	a := &goApp{stage: "build"}
	flags := flag.NewFlagSet("box go-build", flag.ContinueOnError)
	limits.register(flags)
	a.register(flags)
	flags.Var(&packages, "package", "main `package`, such as ./cmd/hello; can be repeated")
	flags.Var(&arches, "arch", "`architecture`, such as amd64; can be repeated")
	define := flags.String("define", "", "`importpath.name=value` to set at link time")
	if err := flags.Parse(args); err != nil {
		return nil, "", err
	}
	if a.App == "" || a.Out == "" || len(packages) == 0 || len(arches) == 0 || flags.NArg() > 0 {
		return nil, "", errors.New("go-build needs --app, --out, --package and --arch, and takes no argument")
	}
	return func(ctx context.Context) (any, error) {
		if err := a.prepare(limits); err != nil {
			return nil, err
		}
		return a.build(ctx, packages, arches, *define)
	}, a.Out, nil
}

// build compiles each package for each architecture.
func (a *goApp) build(ctx context.Context, packages, arches []string, define string) (*build.Binaries, error) {
	if err := a.checkMains(ctx, packages); err != nil {
		return nil, err
	}
	// The toolchain writes where nobody else does; what it made is then taken.
	made := filepath.Join(a.Home, "out")
	if err := os.Mkdir(made, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := own(made, nobody); err != nil {
		return nil, err
	}
	link := linkFlag
	if define != "" {
		link += " -X " + define
	}
	result := &build.Binaries{}
	for i, p := range packages {
		name := a.App // of the program that the image starts
		if i > 0 {
			name = a.binary(p)
		}
		if slices.Contains(result.Names, name) {
			return nil, step.Input(a.stage, "app "+a.App, "names two packages whose programs are both called "+name, "give one of the packages another folder name")
		}
		result.Names = append(result.Names, name)
		for _, arch := range arches {
			file := filepath.Join(made, arch+"-"+name)
			_, stderr, ok, err := a.run(ctx, a.environment("GOARCH="+arch), "go", "build", "-trimpath", debugFlag, link, "-o", file, p)
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, step.Input(a.stage, "app "+a.App+": "+p, "does not compile for linux/"+arch,
					"mend what the compiler names; in the app's folder, CGO_ENABLED=0 GOOS=linux GOARCH="+arch+" go build "+p+" says the same", tail(stderr, 40)...)
			}
			if err := os.MkdirAll(filepath.Join(a.Out, arch), 0o755); err != nil {
				return nil, err
			}
			target := filepath.Join(a.Out, arch, name)
			if err := os.Rename(file, target); err != nil {
				return nil, err
			}
			if err := errors.Join(os.Lchown(target, 0, 0), os.Chmod(target, 0o755)); err != nil {
				return nil, err
			}
		}
	}
	return result, nil
}

// binary is the name of a package's program: the last part of its path, and the
// app's own for the package at the root.
func (a *goApp) binary(p string) string {
	if name := path.Base(path.Clean(p)); name != "." {
		return name
	}
	return a.App
}

// checkMains refuses packages that are no programs, and programs that need a C
// compiler. cgo's files are looked for as if there were one: without, a package
// that has a stand-in for them would compile, and fail in production.
func (a *goApp) checkMains(ctx context.Context, packages []string) error {
	found, err := a.list(ctx, a.environment("CGO_ENABLED=1", "GOARCH=amd64"), append([]string{"-deps"}, packages...)...)
	if err != nil {
		return err
	}
	var cgo []string
	for _, p := range found {
		if !p.DepOnly && p.Name != "main" {
			return step.Input(a.stage, "app "+a.App+": "+p.ImportPath, "is package "+p.Name+", not a program", "name a main package in build.package of its app.yaml")
		}
		if !p.Standard && len(p.CgoFiles) > 0 {
			cgo = append(cgo, p.ImportPath+": "+strings.Join(p.CgoFiles, ", "))
		}
	}
	if len(cgo) > 0 {
		return step.Input(a.stage, "app "+a.App, "needs cgo, and Go apps are compiled without a C compiler",
			"use packages that are written in Go alone, or build the app by a Dockerfile with a compiler in it", cgo...)
	}
	return nil
}
