package engine

// What is built and run. The modules behind these are pinned by the go.sum of
// engine/dist and engine/seed, the toolchain by its own sum here.
const (
	// DaggerVersion is the version of engine, CLI and Go SDK.
	DaggerVersion = "v0.21.7"
	// goSDKCommit is the commit of dagger.io/dagger that the engine's code
	// generation asks for by name; it is DaggerVersion.
	goSDKCommit = "1309520660f6a5b35ef97b4fbe151e32a06a8dc5"
	// querybuilderVersion and otelVersion are the modules that generated code
	// imports.
	querybuilderVersion = "v0.0.0-20260402040506-574a5e81cb59"
	otelVersion         = "v1.43.1-0.20260515012101-af7cd0684887"
	// toolchain is the Go that compiles Dagger modules, in the form of
	// https://go.dev/ref/mod#module-proxy's golang.org/toolchain.
	toolchain    = "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64"
	toolchainSum = "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM="
	// layout changes when this package builds something else from the same
	// pins, so that older results are not taken for it.
	layout = "2"
)
