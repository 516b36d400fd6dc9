package dockerfile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"slipway/step"
)

// Options are what the builder will be given with the file.
type Options struct {
	// Platforms are those that are built, linux/amd64 or linux/arm64.
	Platforms []string
	// Args are build arguments.
	Args map[string]string
	// Target is the name of the stage that is built; empty for the last one.
	Target string
	// Bases are the images that the platform has chosen for names that no digest
	// pins: golang:1.26 as a Dockerfile writes it, and its pinned reference.
	Bases map[string]string
	// Secrets are the ids that secret mounts may name.
	Secrets []string
	// Packages says that the build context has a folder of packages, which the box
	// serves to each RUN.
	Packages bool
	// Network is the id of the cache mount in which each RUN finds the socket of its
	// gateway; empty without one.
	Network string
}

// architectures are what an image can be built for, on Linux.
var architectures = []string{"amd64", "arm64"}

func architecture(platform string) (string, bool) {
	arch, ok := strings.CutPrefix(platform, "linux/")
	return arch, ok && slices.Contains(architectures, arch)
}

// argName is a build argument's name.
var argName = regexp.MustCompile(`\A[A-Za-z_][A-Za-z0-9_]*\z`)

// networkID is the id of a gateway's mount, which nobody can guess.
var networkID = regexp.MustCompile(`\A[A-Z2-7]{26}\z`)

// builtin are arguments that the builder sets itself, or that change how it
// builds.
func builtin(name string) bool {
	upper := strings.ToUpper(name)
	_, platform := platformArgs("linux/amd64")[upper]
	return platform || strings.HasPrefix(upper, "BUILDKIT_") || strings.HasSuffix(upper, "_PROXY") || upper == "SOURCE_DATE_EPOCH"
}

func (o Options) valid(path string) error {
	if len(o.Platforms) == 0 {
		return step.Input(Stage, path, "has no platform to be built for", "give linux/amd64 or linux/arm64")
	}
	for i, platform := range o.Platforms {
		if _, ok := architecture(platform); !ok || slices.Contains(o.Platforms[:i], platform) {
			return step.Input(Stage, fmt.Sprintf("%s: platform %.80q", path, platform), "is not a platform that images are built for, or is given twice", "give linux/amd64, linux/arm64 or both")
		}
	}
	if o.Network != "" && !networkID.MatchString(o.Network) {
		return step.Input(Stage, fmt.Sprintf("%s: network %.80q", path, o.Network), "is not the id of a gateway's mount", "give capital letters and digits")
	}
	for key := range o.Args {
		if !argName.MatchString(key) || builtin(key) {
			return step.Input(Stage, fmt.Sprintf("%s: build argument %.80q", path, key), "can't be set", "use a name of letters, digits and _; the platform's arguments, BUILDKIT_… and …_PROXY are not the app's")
		}
	}
	for written, base := range o.Bases {
		if pinned(written) || !pinned(base) {
			return step.Input(Stage, fmt.Sprintf("%s: base %.200q", path, written+"="+base), "does not give a name without a digest its image", "give NAME=name@sha256:…, the name as the Dockerfile has it")
		}
	}
	return nil
}

// platformArgs are the arguments that the engine's builder has for a platform;
// it builds each platform as if it were on it.
func platformArgs(platform string) map[string]string {
	os, arch, _ := strings.Cut(platform, "/")
	args := map[string]string{}
	for _, prefix := range []string{"BUILD", "TARGET"} {
		args[prefix+"PLATFORM"], args[prefix+"OS"], args[prefix+"ARCH"], args[prefix+"VARIANT"] = platform, os, arch, ""
	}
	return args
}
