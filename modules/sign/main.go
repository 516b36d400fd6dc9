// Signatures and attestations as Sigstore bundles beside an image, by a key or by
// an identity.
package main

import (
	"crypto/rand"

	"dagger/sign/internal/dagger"
)

// Sign signs and verifies images.
type Sign struct {
	// +private
	Registry Registry
}

// Registry is how the images' registry is reached, and as whom.
type Registry struct {
	Username string
	Password *dagger.Secret
	Service  *dagger.Service
	Connect  string
}

// WithRegistry says how the images' registry is reached, and as whom, by every signer
// and verifier that is made after it.
//
// Example: dagger -m modules/sign call with-registry --username bot --password env:TOKEN key --public-key cosign.pub verify --reference ghcr.io/acme/hello@sha256:…
//
// +cache="168h"
func (*Sign) WithRegistry(
	// Who reads and pushes; nobody by default.
	// +optional
	username string,
	// The registry's password, or the request token of an Azure identity, which username
	// then is as JSON.
	// +optional
	password *dagger.Secret,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) *Sign {
	return &Sign{Registry: Registry{Username: username, Password: password, Service: service, Connect: connect}}
}

const passwordFile = "/secrets/password"

// Keygen makes a key pair: cosign.key, protected by the password, and
// cosign.pub.
//
// Example: dagger -m modules/sign call keygen --password env:COSIGN_PASSWORD export --path ./keys
//
// +cache="never"
func (*Sign) Keygen(
	// The password that protects the private key.
	password *dagger.Secret,
) *dagger.Directory {
	return now(runner().WithMountedSecret(passwordFile, password), "keygen", "--password-file", passwordFile)
}

func runner() *dagger.Container {
	return dag.Toolbox().Runner(dag.Toolbox().Step("modules/sign/step", dag.CurrentModule().Source().Directory("step")))
}

// run runs a command of the step program, and returns its folder.
func run(base *dagger.Container, args ...string) *dagger.Directory {
	return base.WithExec(append([]string{"/step", args[0], "--out", "/out"}, args[1:]...)).Directory("/out")
}

// now runs a command now: its run id is new each time, so that no earlier run's
// result stands in for this one.
func now(base *dagger.Container, args ...string) *dagger.Directory {
	return run(base.WithEnvVariable("SLIPWAY_RUN", rand.Text()), args...)
}

// now runs a command against the registry now.
func (r Registry) now(base *dagger.Container, args ...string) *dagger.Directory {
	if r.Service != nil {
		base = base.WithServiceBinding("registry", r.Service)
	}
	if r.Connect != "" {
		args = append(args, "--connect", r.Connect)
	}
	if r.Password != nil {
		base = base.WithMountedSecret("/secrets/registry-password", r.Password)
		args = append(args, "--username", r.Username, "--registry-password-file", "/secrets/registry-password")
	}
	return now(base, args...)
}
