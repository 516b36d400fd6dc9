// The Go toolchain and the programs that are compiled with it.
//
// Every step program and every tool of the pipeline is compiled here from
// source whose checksums its go.sum pins, with a toolchain that is itself a
// checksummed module. Nothing is pulled by tag.
//
// Example: dagger -m modules/toolbox call go file --path /usr/local/go/VERSION contents
package main

import (
	"context"
	"os"
	"path"
	"strings"

	"dagger/toolbox/internal/dagger"
)

// The environment of every compilation: static binaries without build paths or
// build ids, so that the same source gives the same bytes everywhere.
const (
	goRoot      = "/usr/local/go"
	moduleCache = "/go/pkg/mod"
	certsFile   = "/etc/ssl/certs/ca-certificates.crt"
	// No program keeps its debug information, so the compiler makes none either.
	debugFlag = "-gcflags=all=-dwarf=false"
	linkFlag  = "-ldflags=-s -w -buildid="
)

// Toolbox compiles Go programs.
type Toolbox struct {
	// +private
	Proxy string
}

// New makes a toolbox.
//
// +cache="168h"
func New(
	// Module proxies, in GOPROXY's notation. By default the engine's own
	// setting, without its file proxies, or Go's default.
	// +optional
	proxy string,
) *Toolbox {
	if proxy == "" {
		var network []string
		for _, p := range strings.Split(os.Getenv("GOPROXY"), ",") {
			if p != "" && !strings.HasPrefix(p, "file://") {
				network = append(network, p)
			}
		}
		proxy = strings.Join(network, ",")
	}
	return &Toolbox{Proxy: proxy}
}

// Scratch is the container that a step program runs in: a CA bundle and a
// temporary folder, no shell, no package manager.
//
// +cache="168h"
func (t *Toolbox) Scratch() (*dagger.Container, error) {
	certs, err := os.ReadFile(certsFile)
	if err != nil {
		return nil, err
	}
	return dag.Container().
		WithNewFile(certsFile, string(certs)).
		WithMountedTemp("/tmp").
		WithWorkdir("/"), nil
}

// Go is a container with the pinned Go toolchain and the module and build cache of the
// pipeline's own programs, for amd64. Nothing of an app runs in it or writes to its
// caches.
//
// +cache="168h"
func (t *Toolbox) Go(ctx context.Context) (*dagger.Container, error) {
	scratch, err := t.Scratch()
	if err != nil {
		return nil, err
	}
	return scratch.
		WithDirectory(goRoot, dag.Toolchain().Go()).
		WithEnvVariable("PATH", goRoot+"/bin").
		WithEnvVariable("HOME", "/root").
		WithEnvVariable("GOPATH", "/go").
		WithEnvVariable("GOTOOLCHAIN", "local").
		WithEnvVariable("GOPROXY", t.Proxy).
		WithEnvVariable("GOFLAGS", "-buildvcs=false").
		WithEnvVariable("CGO_ENABLED", "0").
		WithMountedCache(moduleCache, dag.CacheVolume("slipway-program-modules")).
		WithMountedCache("/root/.cache/go-build", dag.CacheVolume("slipway-program-build")), nil
}

// Binary compiles one main package of a Go module for a platform.
//
// Example: dagger -m modules/toolbox call binary --source apps/hello --pkg ./cmd/hello
//
// +cache="168h"
func (t *Toolbox) Binary(
	ctx context.Context,
	// The Go module: the folder of its go.mod.
	source *dagger.Directory,
	// The main package: a path such as ./cmd/hello, or the import path of a
	// tool that go.mod lists.
	pkg string,
	// The architecture to compile for; the operating system is always linux.
	// +default="amd64"
	arch string,
	// Experiments of the toolchain that the program needs, as in GOEXPERIMENT.
	// +optional
	experiment string,
	// A variable to set at link time: importpath.name=value.
	// +optional
	define string,
) (*dagger.File, error) {
	base, err := t.Go(ctx)
	if err != nil {
		return nil, err
	}
	link := linkFlag
	if define != "" {
		link += " -X " + define
	}
	base, err = t.verified(base.WithDirectory("/src", source).WithWorkdir("/src"))
	if err != nil {
		return nil, err
	}
	return base.
		WithEnvVariable("GOOS", "linux").
		WithEnvVariable("GOARCH", arch).
		WithEnvVariable("GOEXPERIMENT", experiment).
		WithExec([]string{"go", "build", "-trimpath", debugFlag, link, "-o", "/out/program", pkg}).
		File("/out/program"), nil
}

// Binaries compiles several main packages of one Go module together, each into
// a file named after the last part of its import path.
//
// Example: dagger -m modules/toolbox call binaries --source modules/sandbox/pins/cni --packages github.com/containernetworking/plugins/plugins/main/ptp entries
//
// +cache="168h"
func (t *Toolbox) Binaries(
	ctx context.Context,
	// The Go module: the folder of its go.mod.
	source *dagger.Directory,
	// The main packages, as in Binary.
	packages []string,
	// Variables to set at link time, each importpath.name=value.
	// +optional
	defines []string,
	// The folder of the go.mod, when source holds modules beside it.
	// +default="."
	folder string,
) (*dagger.Directory, error) {
	base, err := t.Go(ctx)
	if err != nil {
		return nil, err
	}
	link := linkFlag
	for _, define := range defines {
		link += " -X " + define
	}
	base, err = t.verified(base.WithDirectory("/src", source).WithWorkdir(path.Join("/src", folder)))
	if err != nil {
		return nil, err
	}
	return base.
		WithExec(append([]string{"go", "build", "-trimpath", debugFlag, link, "-o", "/out/"}, packages...)).
		Directory("/out"), nil
}

// Step compiles a step program: a Go module that builds on the step protocol and,
// where it needs one, on the client of registries, which lie beside it in the
// repository.
//
// +cache="168h"
func (t *Toolbox) Step(
	ctx context.Context,
	// The program's folder in the repository, such as modules/scan/step.
	folder string,
	// The program's Go module.
	source *dagger.Directory,
	// Further Go modules that it replaces others by, each at its folder in the
	// repository.
	// +optional
	beside *dagger.Directory,
	// The architecture to compile for.
	// +default="amd64"
	arch string,
) (*dagger.File, error) {
	base, err := t.Go(ctx)
	if err != nil {
		return nil, err
	}
	if beside != nil {
		base = base.WithDirectory("/src", beside)
	}
	base, err = t.verified(base.
		WithDirectory("/src/modules/step", stepSources()).
		WithDirectory("/src/modules/toolbox/registry", dag.CurrentModule().Source().Directory("registry")).
		WithDirectory("/src/"+folder, source).
		WithWorkdir("/src/" + folder))
	if err != nil {
		return nil, err
	}
	return base.
		WithEnvVariable("GOARCH", arch).
		WithExec([]string{"go", "build", "-trimpath", debugFlag, linkFlag, "-o", "/out/step", "."}).
		File("/out/step"), nil
}

// stepSources is the step protocol. It lies beside this module, and dagger.json
// includes it.
func stepSources() *dagger.Directory {
	return dag.CurrentModule().Source().Directory("../step")
}

// verified holds every module in the cache to the go.sum in the working folder before
// anything is compiled from it: the toolchain itself compares only what it downloads.
func (t *Toolbox) verified(c *dagger.Container) (*dagger.Container, error) {
	scratch, err := t.Scratch()
	if err != nil {
		return nil, err
	}
	verifier := scratch.
		WithMountedDirectory(goRoot, dag.Toolchain().Go()).
		WithEnvVariable("PATH", goRoot+"/bin").
		WithEnvVariable("HOME", "/root").
		WithEnvVariable("CGO_ENABLED", "0").
		WithEnvVariable("GOTOOLCHAIN", "local").
		WithMountedFile("/src/main.go", dag.CurrentModule().Source().File("verify/main.go")).
		WithWorkdir("/src").
		WithExec([]string{"go", "build", "-trimpath", "-o", "/verify", "main.go"}).
		File("/verify")
	return c.
		WithMountedFile("/verify", verifier).
		WithExec([]string{"/verify", "go.sum", moduleCache}).
		WithoutMount("/verify"), nil
}

// Debian is a folder with the files of exactly the Debian packages that a lock
// pins, for linux/amd64: for the few programs in C that containers need. None of
// the packages' scripts runs. Make a lock, on Debian, with
// go -C modules/toolbox/debian run . lock --out FILE NAME…
//
// Example: dagger -m modules/toolbox call debian --pins modules/sandbox/debian/node.lock entries
//
// +cache="168h"
func (t *Toolbox) Debian(
	ctx context.Context,
	// The lock file: name, version, sha256 and path of each package.
	pins *dagger.File,
	// Base URLs of archives, asked in this order; by default Debian's own, and
	// then its archive of everything that it ever held.
	// +optional
	mirrors []string,
) (*dagger.Directory, error) {
	program, err := t.Step(ctx, "modules/toolbox/debian", dag.CurrentModule().Source().Directory("debian"), nil, "amd64")
	if err != nil {
		return nil, err
	}
	base, err := t.Runner(program)
	if err != nil {
		return nil, err
	}
	if len(mirrors) == 0 {
		mirrors = []string{"http://deb.debian.org/debian", "https://snapshot.debian.org/archive/debian/20260901T000000Z"}
	}
	args := []string{"/step", "unpack", "--lock", "/debian.lock", "--out", "/root"}
	for _, mirror := range mirrors {
		args = append(args, "--mirror", mirror)
	}
	return base.WithMountedFile("/debian.lock", pins).WithExec(args).Directory("/root"), nil
}

// ModuleFiles is a folder of a Go module that another one requires, as the
// checksum in go.sum says it is.
//
// +cache="168h"
func (t *Toolbox) ModuleFiles(
	ctx context.Context,
	// The Go module that requires it: the folder of its go.mod.
	source *dagger.Directory,
	// The required module with its version: path@version.
	module string,
	// The folder in it.
	folder string,
) (*dagger.Directory, error) {
	base, err := t.Go(ctx)
	if err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(module, "@")
	return base.
		WithDirectory("/src", source).
		WithWorkdir("/src").
		WithEnvVariable("GOMODCACHE", "/modules").
		WithExec([]string{"go", "mod", "download", "-modcacherw", name}).
		Directory("/modules/" + module + "/" + folder), nil
}

// Runner is the container of a step program: Scratch with the program at /step.
//
// +cache="168h"
func (t *Toolbox) Runner(
	// The program, as Step compiles it.
	program *dagger.File,
) (*dagger.Container, error) {
	scratch, err := t.Scratch()
	if err != nil {
		return nil, err
	}
	return scratch.WithFile("/step", program), nil
}

// Toolchain names the Go toolchain that compiles: its module with its version,
// and its checksum.
//
// +cache="168h"
func (t *Toolbox) Toolchain(ctx context.Context) (string, error) { return dag.Toolchain().Version(ctx) }

// TestProgram runs the vet checks and tests of a program of the pipeline's own, and
// returns what they printed. What the program itself is compiled from is not
// compiled again for them.
//
// +cache="168h"
func (t *Toolbox) TestProgram(
	ctx context.Context,
	// The program's Go module, with the modules beside it that it replaces others
	// by.
	source *dagger.Directory,
	// The folder of its go.mod in source.
	folder string,
) (string, error) {
	base, err := t.Go(ctx)
	if err != nil {
		return "", err
	}
	base, err = t.verified(base.WithDirectory("/src", source).WithWorkdir(path.Join("/src", folder)))
	if err != nil {
		return "", err
	}
	return base.
		WithExec([]string{"go", "vet", "-trimpath", debugFlag, "./..."}).
		WithExec([]string{"go", "test", "-vet=off", "-trimpath", debugFlag, "./..."}).
		Stdout(ctx)
}

// Zoneinfo is the time zone database of the toolchain, as the zip file that Go
// programs read.
//
// +cache="168h"
func (t *Toolbox) Zoneinfo() *dagger.File {
	return dag.Toolchain().Go().File("lib/time/zoneinfo.zip")
}
