// Package distconsts stands in for github.com/dagger/dagger/engine/distconsts,
// which is not published as a module of its own. It holds the constants that
// the engine and the CLI are compiled with: where this engine's root keeps its
// parts, and the names of images. It leaves out everything that only builds
// Dagger's own release.
package distconsts

// Where the engine's parts are in its root.
const (
	RuncPath                         = "/usr/local/bin/runc"
	DaggerInitPath                   = "/usr/local/bin/dagger-init"
	EngineDefaultStateDir            = "/var/lib/dagger"
	EngineContainerBuiltinContentDir = "/usr/local/share/dagger/content"
	EngineCustomCACertsDir           = "/usr/local/share/ca-certificates"
)

// How clients reach the engine.
const (
	EngineContainerName   = "dagger-engine.dev"
	DefaultEngineSockAddr = "unix:///run/dagger/engine.sock"
)

// The environment variables that name the built-in SDK images.
const (
	GoSDKManifestDigestEnvName         = "DAGGER_GO_SDK_MANIFEST_DIGEST"
	PythonSDKManifestDigestEnvName     = "DAGGER_PYTHON_SDK_MANIFEST_DIGEST"
	TypescriptSDKManifestDigestEnvName = "DAGGER_TYPESCRIPT_SDK_MANIFEST_DIGEST"
)

// Image names that the engine falls back to, and an annotation key.
const (
	AlpineVersion        = "3.23"
	AlpineImage          = "alpine:" + AlpineVersion
	GolangImage          = "golang:1.26-alpine"
	BusyboxImage         = "busybox:1.37"
	OCIVersionAnnotation = "org.opencontainers.image.version"
)
