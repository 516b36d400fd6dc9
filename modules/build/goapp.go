package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"dagger/build/internal/dagger"
)

// GoApp is a Go app, which is compiled and tested in a box: a container without a
// network, in which what the app brings along is an ordinary user within limits.
type GoApp struct {
	// +private
	Name string
	// +private
	Zone string
	// +private
	Source *dagger.Directory
	// +private
	Limits []string
	// +private
	Modules *dagger.Directory
	// +private
	Fetch ModuleSource
}

// ModuleSource is the source of the modules that the platform's own proxies lack.
type ModuleSource struct {
	Proxy, Private string
	Netrc          *dagger.Secret
}

// GoApp takes a Go app's folder.
//
// +cache="168h"
func (*Build) GoApp(
	// The app's name.
	name string,
	// A name that no other app shares: that of its build cache.
	zone string,
	// The app's folder, with its go.mod.
	source *dagger.Directory,
	// The box's limits, as its flags: time=20m, memory=4GiB, processes=1024,
	// output=64MiB, disk=10GiB.
	// +optional
	limits []string,
) *GoApp {
	return &GoApp{Name: name, Zone: zone, Source: source, Limits: limits}
}

// WithModules fetches the app's modules from elsewhere. Only the step that fetches sees
// the credentials; nothing of the app runs in it.
//
// +cache="168h"
func (a *GoApp) WithModules(
	// Module proxies, in GOPROXY's notation.
	// +optional
	proxy string,
	// Patterns of private modules, in GOPRIVATE's notation.
	// +optional
	private string,
	// Credentials, in .netrc's format.
	// +optional
	netrc *dagger.Secret,
) *GoApp {
	next := *a
	next.Fetch = ModuleSource{Proxy: proxy, Private: private, Netrc: netrc}
	return &next
}

// Binaries compiles main packages for linux. The result's folder holds result.json
// and, unless it is a refusal, a folder of programs for each architecture.
//
// +cache="never"
func (a *GoApp) Binaries(
	ctx context.Context,
	// The main packages, such as ./cmd/hello.
	packages []string,
	// The architectures: amd64, arm64.
	arches []string,
	// A variable to set at link time: importpath.name=value.
	// +optional
	define string,
) (*dagger.Directory, error) {
	args := []string{"go-build"}
	for _, p := range packages {
		args = append(args, "--package", p)
	}
	for _, arch := range arches {
		args = append(args, "--arch", arch)
	}
	if define != "" {
		args = append(args, "--define", define)
	}
	return a.box(ctx, args, "")
}

// Test vets and tests the app. The result's folder holds result.json, and usage.json
// where the tests had a network. Tests that passed without one are not run again for
// the same source; all others are.
//
// +cache="never"
func (a *GoApp) Test(
	ctx context.Context,
	// Hosts that the tests may reach, as host:port; without any they have no network.
	// +optional
	hosts []string,
) (*dagger.Directory, error) {
	if len(hosts) == 0 {
		return a.box(ctx, []string{"go-test"}, "")
	}
	var out *dagger.Directory
	usage, err := (&Build{}).networked(ctx, hosts, func(id string) (err error) {
		out, err = a.box(ctx, []string{"go-test", "--network", boxNetwork}, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	text, err := out.File("result.json").Contents(ctx)
	if err != nil {
		return nil, err
	}
	// As plain files: nothing of it can be made again without the gateway.
	return dag.Directory().WithNewFile("result.json", text).WithNewFile("usage.json", usage), nil
}

// boxNetwork is where the box finds its gateway.
const boxNetwork = "/.slipway/net"

// box runs a command of the box; network is the id of the mount of its gateway, if it
// has one.
func (a *GoApp) box(ctx context.Context, args []string, network string) (*dagger.Directory, error) {
	modules, err := a.modules(ctx)
	if err != nil {
		return nil, err
	}
	args = append(args, "--app", a.Name, "--out", "/out")
	for _, limit := range a.Limits {
		args = append(args, "--"+limit)
	}
	return a.run(ctx, modules, args, network)
}

// modules are the app's, unless it has them in its vendor folder.
func (a *GoApp) modules(ctx context.Context) (*dagger.Directory, error) {
	found, err := a.Source.Glob(ctx, "vendor/modules.txt")
	if err != nil || len(found) > 0 {
		return dag.Directory(), err
	}
	// As plain files: the same pins in another source are the same question, which is
	// answered already.
	source := a.Source.Filter(dagger.DirectoryFilterOpts{Exclude: []string{"**/vendor/**", "**/testdata/**"}})
	pins, rooted := dag.Directory(), false
	for _, pattern := range []string{"**/go.mod", "**/go.sum", "go.work", "go.work.sum"} {
		names, err := source.Glob(ctx, pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if strings.HasSuffix(name, "/") {
				continue // a folder
			}
			text, err := source.File(name).Contents(ctx)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				return nil, errors.New("build: bad input: app " + a.Name + ": " + name + ": is no file that can be read\n  mend: commit it as Go writes it, or name it differently")
			}
			pins = pins.WithNewFile(name, text)
			rooted = rooted || name == "go.mod" || name == "go.work"
		}
	}
	if !rooted {
		return nil, errors.New("build: bad input: app " + a.Name + ": has neither go.mod nor go.work in its folder\n  mend: commit one there, or name another kind of build in its app.yaml")
	}
	return dag.Toolbox().Modules(pins, dagger.ToolboxModulesOpts{Proxy: a.Fetch.Proxy, Private: a.Fetch.Private, Netrc: a.Fetch.Netrc}).Sync(ctx)
}

// The box's user, and the only one there is beside root.
const boxUser = "65532"

// refused is the exit code of the box after a refusal, which is then on its stdout.
const refused = 3

// run runs the box as a command of a Dockerfile: that is where the engine lets a
// command have no network.
func (a *GoApp) run(ctx context.Context, modules *dagger.Directory, args []string, network string) (*dagger.Directory, error) {
	argv, err := json.Marshal(append([]string{"/.slipway/box"}, args...))
	if err != nil {
		return nil, err
	}
	var mount string
	if network != "" {
		mount = " --mount=type=cache,id=" + network + ",target=" + boxNetwork
	}
	dockerfile := strings.Join([]string{
		"FROM scratch",
		"COPY etc /etc",
		"COPY --chown=" + boxUser + ":" + boxUser + " src /src",
		"RUN --network=none" + mount +
			" --mount=type=bind,source=box,target=/.slipway/box" +
			" --mount=type=bind,source=go,target=" + goRoot +
			" --mount=type=bind,source=modules,target=/go/pkg/mod" +
			" --mount=type=cache,id=slipway-app-" + a.Zone + ",target=/cache " + string(argv),
		"",
	}, "\n")
	built, err := dag.Directory().
		WithDirectory("go", dag.Toolchain().Go()).
		WithFile("box", box("amd64")).
		WithNewFile("etc/passwd", "root:x:0:0::/:\napp:x:"+boxUser+":"+boxUser+"::/home/app:\n").
		WithNewFile("etc/group", "root:x:0:\napp:x:"+boxUser+":\n").
		WithDirectory("modules", modules).
		WithDirectory("src", a.Source).
		WithNewFile("Dockerfile", dockerfile).
		DockerBuild(dagger.DirectoryDockerBuildOpts{Platform: "linux/amd64", NoInit: true}).
		Sync(ctx)
	var failed *dagger.ExecError
	if errors.As(err, &failed) && failed.ExitCode == refused {
		return dag.Directory().WithNewFile("result.json", failed.Stdout), nil
	}
	if errors.As(err, &failed) {
		return nil, fmt.Errorf("build: infrastructure failure: app %s: the box ends with exit code %d: %s\n  mend: see what it says; the engine has to run RUN --network=none without a network", a.Name, failed.ExitCode, strings.TrimSpace(failed.Stderr))
	}
	if err != nil {
		return nil, err
	}
	return built.Rootfs().Directory("/out"), nil
}

const goRoot = "/usr/local/go"

// box is the program that runs what apps bring along.
func box(arch string) *dagger.File {
	return dag.Toolbox().Step("modules/build/box", dag.CurrentModule().Source().Directory("box"), dagger.ToolboxStepOpts{Arch: arch})
}

// Box is the program that runs what apps bring along, within limits: for the
// commands of a Dockerfile.
//
// +cache="168h"
func (*Build) Box(
	// The architecture that it is for.
	arch string,
) *dagger.File {
	return box(arch)
}
