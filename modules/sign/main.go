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
	Account Account
}

// Account is who somebody is at the images' registry.
type Account struct {
	Username string
	Password *dagger.Secret
}

// WithAccount says who reads and pushes at the images' registry, by every signer
// and verifier that is made after it.
//
// Example: dagger -m modules/sign call with-account --username bot --password env:TOKEN key --public-key cosign.pub verify --reference ghcr.io/acme/hello@sha256:…
//
// +cache="168h"
func (*Sign) WithAccount(
	// Who reads and pushes; nobody by default.
	// +optional
	username string,
	// The registry's password, or the request token of an Azure identity, which username
	// then is as JSON.
	// +optional
	password *dagger.Secret,
) *Sign {
	return &Sign{Account: Account{Username: username, Password: password}}
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

// PublicKey is the public half of a private key in a file: result.json and cosign.pub.
//
// Example: dagger -m modules/sign call public-key --key file:cosign.key --password env:COSIGN_PASSWORD export --path ./keys
//
// +cache="168h"
func (s *Sign) PublicKey(
	// The private key, in cosign's encrypted format.
	key *dagger.Secret,
	// The key's password.
	password *dagger.Secret,
) *dagger.Directory {
	signer := s.KeyFile(key, password)
	return run(signer.Program, append([]string{"public-key"}, signer.Args...)...)
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
func (a Account) now(base *dagger.Container, service *dagger.Service, connect string, args ...string) *dagger.Directory {
	if service != nil {
		base = base.WithServiceBinding("registry", service)
	}
	if connect != "" {
		args = append(args, "--connect", connect)
	}
	if a.Password != nil {
		base = base.WithMountedSecret("/secrets/registry-password", a.Password)
		args = append(args, "--username", a.Username, "--registry-password-file", "/secrets/registry-password")
	}
	return now(base, args...)
}
