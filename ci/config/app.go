package config

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"slipway/step"
	"slipway/step/printable"
)

// AppFile is the name of an app's descriptor inside its folder.
const AppFile = "app.yaml"

// App is the content of app.yaml: what is built from an app's folder and how
// its image is described.
type App struct {
	// Name is the folder's name, the image's and the GitOps folder's.
	Name string `yaml:"name"`
	// Description is one line for people.
	Description string `yaml:"description"`
	// Build says how the image is made.
	Build Build `yaml:"build"`
	// Packaging says what the app's overlays are built from.
	Packaging Packaging `yaml:"packaging"`
	// Port is the TCP port that the app listens on.
	Port int `yaml:"port"`
	// Limits lower the platform's for what this app brings along.
	Limits Limits `yaml:"limits"`
	// Platforms are those that the image is for, of Platforms; all of them unless
	// said.
	Platforms []string `yaml:"platforms"`
	// Test says how a Dockerfile app is tested.
	Test Test `yaml:"test"`
	// Annotations are further OCI annotations, by their full key.
	Annotations map[string]string `yaml:"annotations"`
}

// Kind is how an app becomes an image.
type Kind string

const (
	// KindGo compiles a Go main package into a static, non-root image.
	KindGo Kind = "go"
	// KindDockerfile builds the app's Dockerfile; its base images must be
	// pinned by digest.
	KindDockerfile Kind = "dockerfile"
)

// Packaging is what an app's overlays are built from.
type Packaging string

const (
	// PackagingKustomize is plain manifests; an app that says nothing has them.
	PackagingKustomize Packaging = "kustomize"
	// PackagingHelm is a Helm chart beside the overlays.
	PackagingHelm Packaging = "helm"
)

func (p Packaging) valid() bool { return p == PackagingKustomize || p == PackagingHelm }

// Build is an app's recipe.
type Build struct {
	Kind Kind `yaml:"kind"`
	// Package is the main package of a Go app, such as ./cmd/hello, or . for the
	// app's folder itself: the program that the image starts, as /<name>. A
	// Dockerfile app that names one finds it compiled as bin/<arch>/<name> in
	// its build context.
	Package string `yaml:"package"`
	// Packages are further main packages, each a program beside the first one,
	// named after its folder.
	Packages []string `yaml:"packages,omitempty"`
	// Version is the variable of a Go app that says which commit it was built from,
	// such as main.version: importpath.name.
	Version string `yaml:"version"`
	// File is the Dockerfile of a Dockerfile app, relative to its folder.
	File string `yaml:"file"`
	// Args are build arguments of a Dockerfile app.
	Args map[string]string `yaml:"args"`
	// Target is the stage of the Dockerfile that becomes the image; the last one
	// unless said.
	Target string `yaml:"target"`
	// Secrets are the ids that secret mounts of the Dockerfile name.
	Secrets []string `yaml:"secrets"`
	// Network are the hosts that the Dockerfile's commands may reach, if the platform
	// allows them; none unless said.
	Network Hosts `yaml:"network,omitempty"`
}

// Test is how an app is tested.
type Test struct {
	// Target is the stage of a Dockerfile whose build runs the tests.
	Target string `yaml:"target"`
	// Network are the hosts that the tests may reach, if the platform allows them;
	// none unless said.
	Network Hosts `yaml:"network,omitempty"`
}

// Platforms are those that an image can be for.
var Platforms = []string{"linux/amd64", "linux/arm64"}

var (
	argName = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_]*\z`)
	// stageName is what BuildKit takes for a stage's name.
	stageName = regexp.MustCompile(`\A[a-z][a-z0-9_.-]*\z`)
	// secretID is a secret's id in a mount, and its file's name.
	secretID = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_.-]*\z`)
)

// App reads and checks an app's descriptor.
func (c *Config) App(name string, data []byte) (*App, error) {
	where := path.Join(c.Folder(name), AppFile)
	a := &App{}
	if err := decode(where, data, a); err != nil {
		return nil, err
	}
	if a.Name != name {
		return nil, step.Input(stage, fmt.Sprintf("%s: name %q", where, a.Name), "is not the folder's name", "write name: "+name)
	}
	if a.Port < 1 || a.Port > 65535 {
		return nil, step.Input(stage, fmt.Sprintf("%s: port %d", where, a.Port), "is not a TCP port", "give the port that the app listens on, 1 to 65535")
	}
	switch a.Build.Kind {
	case KindGo:
		if a.Build.Package == "" {
			return nil, a.badPackage(where, "")
		}
	case KindDockerfile:
		if a.Build.File == "" {
			a.Build.File = "Dockerfile"
		}
		if !inside(a.Build.File) {
			return nil, step.Input(stage, fmt.Sprintf("%s: build.file %q", where, a.Build.File), "is not a file of the app", "give a path inside the app's folder")
		}
	default:
		return nil, step.Input(stage, fmt.Sprintf("%s: build.kind %q", where, a.Build.Kind), "is not a kind of build", "use go or dockerfile")
	}
	for _, p := range a.Build.Mains() {
		if p != "." && (!strings.HasPrefix(p, "./") || !inside(p)) {
			return nil, a.badPackage(where, p)
		}
	}
	if a.Build.Package == "" && (len(a.Build.Packages) > 0 || a.Build.Version != "") {
		return nil, step.Input(stage, where+": build", "has packages or a version, and no package", "name the first program's main package in build.package")
	}
	if v := a.Build.Version; v != "" && !variablePattern.MatchString(v) {
		return nil, step.Input(stage, fmt.Sprintf("%s: build.version %q", where, v), "is not a variable of Go", "give importpath.name, such as main.version")
	}
	if err := a.platforms(where); err != nil {
		return nil, err
	}
	if err := a.dockerfile(where); err != nil {
		return nil, err
	}
	if err := a.network(where); err != nil {
		return nil, err
	}
	if a.Packaging != "" && !a.Packaging.valid() {
		return nil, step.Input(stage, fmt.Sprintf("%s: packaging %q", where, a.Packaging), "is not a kind of packaging", "use kustomize or helm, or leave it out for kustomize")
	}
	if r, ok := c.Apps[name]; ok {
		if said := cmp.Or(r.Packaging, PackagingKustomize); a.Packaging != "" && a.Packaging != said {
			return nil, step.Input(stage, fmt.Sprintf("%s: packaging %q", where, a.Packaging), "is not what the platform registers, "+string(said),
				fmt.Sprintf("leave it out; apps.%s.packaging in %s says it", name, File))
		}
		a.Packaging = r.Packaging
	}
	a.Packaging = cmp.Or(a.Packaging, PackagingKustomize)
	if !printable.IsLine(a.Description) {
		return nil, step.Input(stage, fmt.Sprintf("%s: description %.80q", where, a.Description), "is not one line of text", "write one line, without control characters and without commands of a CI system")
	}
	for key, value := range a.Annotations {
		if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r == '=' || unicode.IsSpace(r) }) || !printable.IsLine(key) || !printable.IsLine(value) {
			return nil, step.Input(stage, fmt.Sprintf("%s: annotations: %q", where, key), "is not an annotation", "use a key without spaces or =, and a value on one line, without control characters and without commands of a CI system")
		}
	}
	return a, nil
}

// platforms checks them, and puts them in the order that an index has.
func (a *App) platforms(where string) error {
	if a.Platforms == nil {
		a.Platforms = slices.Clone(Platforms)
	}
	slices.Sort(a.Platforms)
	for i, platform := range a.Platforms {
		if !slices.Contains(Platforms, platform) || i > 0 && a.Platforms[i-1] == platform {
			return step.Input(stage, fmt.Sprintf("%s: platforms: %.80q", where, platform), "is not a platform that images are built for, or is named twice", "use "+strings.Join(Platforms, " or ")+", or leave platforms out for both")
		}
	}
	if len(a.Platforms) == 0 {
		return step.Input(stage, where+": platforms", "names none", "use "+strings.Join(Platforms, " or ")+", or leave platforms out for both")
	}
	return nil
}

// dockerfile checks what only a Dockerfile app has.
func (a *App) dockerfile(where string) error {
	b := a.Build
	if b.Kind != KindDockerfile {
		if len(b.Args) > 0 || b.Target != "" || len(b.Secrets) > 0 || a.Test.Target != "" {
			return step.Input(stage, where+": build.args, build.target, build.secrets or test.target", "is for a Dockerfile, and the app has none", "take it out, or use build.kind: dockerfile")
		}
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(b.Args)) {
		if !argName.MatchString(key) || strings.ContainsFunc(b.Args[key], unicode.IsControl) {
			return step.Input(stage, fmt.Sprintf("%s: build.args: %.80q", where, key), "is not a build argument", "use a name of letters, digits and _, and a value on one line")
		}
	}
	for _, target := range []struct{ at, name string }{{"build.target", b.Target}, {"test.target", a.Test.Target}} {
		if target.name != "" && !stageName.MatchString(target.name) {
			return step.Input(stage, fmt.Sprintf("%s: %s %.80q", where, target.at, target.name), "is not a stage's name", "name a stage that FROM … AS makes, in small letters")
		}
	}
	for i, id := range b.Secrets {
		if !secretID.MatchString(id) || slices.Contains(b.Secrets[:i], id) {
			return step.Input(stage, fmt.Sprintf("%s: build.secrets: %.80q", where, id), "is not a secret's id, or is named twice", "use letters, digits, _, . and -")
		}
	}
	return nil
}

// Arches are the architectures of the platforms, in their order.
func (a *App) Arches() []string {
	var all []string
	for _, platform := range a.Platforms {
		all = append(all, strings.TrimPrefix(platform, "linux/"))
	}
	return all
}

// Arguments are the build arguments as KEY=VALUE, in order.
func (b Build) Arguments() []string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(b.Args)) {
		all = append(all, key+"="+b.Args[key])
	}
	return all
}

func (a *App) badPackage(where, p string) error {
	return step.Input(stage, fmt.Sprintf("%s: build.package %q", where, p), "is not a package of the app", "give a path such as ./cmd/"+a.Name+", or . for the app's folder")
}

// variablePattern is a variable as Go's linker takes it.
var variablePattern = regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9._~/-]*\.[A-Za-z_][A-Za-z0-9_]*\z`)

// Mains are the main packages of a Go app, the one that the image starts first.
func (b Build) Mains() []string {
	if b.Package == "" {
		return nil
	}
	return append([]string{b.Package}, b.Packages...)
}

// inside reports whether a relative path stays inside its folder, all the way
// along it, and can't be read as an option.
func inside(p string) bool {
	return pathPattern.MatchString(strings.TrimSuffix(strings.TrimPrefix(p, "./"), "/"))
}

// Labels returns the app's OCI annotations as key=value, in order: the title,
// the description, and what the descriptor adds.
func (a *App) Labels() []string {
	all := map[string]string{
		"org.opencontainers.image.title":       a.Name,
		"org.opencontainers.image.description": a.Description,
	}
	maps.Copy(all, a.Annotations)
	labels := make([]string, 0, len(all))
	for key, value := range all {
		if value != "" {
			labels = append(labels, key+"="+value)
		}
	}
	slices.Sort(labels)
	return labels
}
