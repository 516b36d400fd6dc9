// Signatures and attestations as Sigstore bundles beside an image, made with a
// cosign-format key.
package main

import (
	"context"
	"crypto/rand"

	"dagger/sign/internal/dagger"
)

// Sign signs and verifies images.
type Sign struct{}

func runner() *dagger.Container {
	return dag.Toolbox().Runner(dag.Toolbox().Step("modules/sign/step", dag.CurrentModule().Source().Directory("step")))
}

const (
	keyFile      = "/secrets/cosign.key"
	passwordFile = "/secrets/password"
)

func withKey(base *dagger.Container, key, password *dagger.Secret) *dagger.Container {
	return base.WithMountedSecret(keyFile, key).WithMountedSecret(passwordFile, password)
}

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
	return runner().
		WithMountedSecret(passwordFile, password).
		WithEnvVariable("SLIPWAY_RUN", rand.Text()).
		WithExec([]string{"/step", "keygen", "--out", "/out", "--password-file", passwordFile}).
		Directory("/out")
}

// PublicKey is the public half of a private key. The result's folder holds
// result.json and cosign.pub.
//
// +cache="168h"
func (*Sign) PublicKey(
	// The private key, in cosign's encrypted format.
	key *dagger.Secret,
	// The key's password.
	password *dagger.Secret,
) *dagger.Directory {
	return withKey(runner(), key, password).
		WithExec([]string{"/step", "public-key", "--out", "/out", "--key-file", keyFile, "--password-file", passwordFile}).
		Directory("/out")
}

// Sign signs an image's digest and attests what it is given, all in one go; what
// this key has already signed stays as it is. It returns the step's result.
//
// +cache="never"
func (*Sign) Sign(
	ctx context.Context,
	// The image: repository@digest.
	reference string,
	// The private key, in cosign's encrypted format.
	key *dagger.Secret,
	// The key's password.
	keyPassword *dagger.Secret,
	// A predicate to attest, as JSON.
	// +optional
	predicate string,
	// The predicate's type, a URI.
	// +optional
	predicateType string,
	// A folder whose *.statement.json files are statements to attest, each with
	// predicateType, predicate (or predicateFile, a file of the folder) and, where
	// it is not to be in a bundle, the envelope "dsse".
	// +optional
	statements *dagger.Directory,
	// Who pushes.
	// +optional
	username string,
	// The registry's password.
	// +optional
	password *dagger.Secret,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	base := withKey(runner(), key, keyPassword)
	args := []string{"/step", "sign", "--out", "/out", "--key-file", keyFile, "--password-file", passwordFile, "--reference", reference}
	if predicate != "" || predicateType != "" {
		base = base.WithNewFile("/predicate.json", predicate)
		args = append(args, "--predicate", "/predicate.json", "--predicate-type", predicateType)
	}
	if statements != nil {
		base = base.WithMountedDirectory("/statements", statements)
		args = append(args, "--statements", "/statements")
	}
	return registry(base, username, password, service, connect, args...).
		File("/out/result.json").Contents(ctx)
}

// Attest signs statements about an image, unless these very statements by this
// key are there, and returns the step's result.
//
// +cache="never"
func (*Sign) Attest(
	ctx context.Context,
	// The image: repository@digest.
	reference string,
	// A folder of statements, as Sign takes it.
	statements *dagger.Directory,
	// The private key, in cosign's encrypted format.
	key *dagger.Secret,
	// The key's password.
	keyPassword *dagger.Secret,
	// Who pushes.
	// +optional
	username string,
	// The registry's password.
	// +optional
	password *dagger.Secret,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	return registry(withKey(runner(), key, keyPassword).WithMountedDirectory("/statements", statements), username, password, service, connect,
		"/step", "attest", "--out", "/out", "--key-file", keyFile, "--password-file", passwordFile, "--reference", reference,
		"--statements", "/statements").
		File("/out/result.json").Contents(ctx)
}

// Verify checks an image's signature and, when asked, that it carries an
// attestation of one type, and returns the step's result. With all, it returns
// every statement that the key signed about the image.
//
// +cache="never"
func (*Sign) Verify(
	ctx context.Context,
	// The image: repository@digest.
	reference string,
	// The PEM public key that must have signed.
	publicKey *dagger.File,
	// The predicate type of an attestation that must be there, too.
	// +optional
	attestation string,
	// Return every signed statement, whatever its type.
	// +optional
	all bool,
	// Who reads.
	// +optional
	username string,
	// The registry's password.
	// +optional
	password *dagger.Secret,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	args := []string{"/step", "verify", "--out", "/out", "--public-key", "/cosign.pub", "--reference", reference}
	if attestation != "" {
		args = append(args, "--attestation", attestation)
	}
	if all {
		args = append(args, "--all")
	}
	return registry(runner().WithMountedFile("/cosign.pub", publicKey), username, password, service, connect, args...).
		File("/out/result.json").Contents(ctx)
}

// registry runs a command against a registry now: its run id is new each time,
// so that no earlier run's result stands in for this one.
func registry(base *dagger.Container, username string, password *dagger.Secret, service *dagger.Service, connect string, args ...string) *dagger.Container {
	if service != nil {
		base = base.WithServiceBinding("registry", service)
		args = append(args, "--connect", connect)
	}
	if password != nil {
		base = base.WithMountedSecret("/secrets/registry-password", password)
		args = append(args, "--username", username, "--registry-password-file", "/secrets/registry-password")
	}
	return base.WithEnvVariable("SLIPWAY_RUN", rand.Text()).WithExec(args)
}
