// Signatures and attestations as Sigstore bundles beside an image, by a key or by
// an identity.
package main

import (
	"context"
	"crypto/rand"
	"strconv"

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
	return byKeyFile(key, password).publicKey()
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
) (string, error) {
	return byKeyFile(key, keyPassword).sign(ctx, reference, predicate, predicateType, statements, username, password, service, connect)
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
) (string, error) {
	return byKeyFile(key, keyPassword).attest(ctx, reference, statements, username, password, service, connect)
}

// Verify checks an image's signature by a key and, when asked, that it carries an
// attestation of one type, and returns the step's result. With all, it returns
// every statement that the key signed about the image. It asks no log and no time;
// VerifyIdentity is for signatures by an identity.
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

// VerifyIdentity is Verify for signatures that an identity made without a key of
// its own, such as a CI job: the certificate has to name the identity and its OIDC
// issuer, come from the trusted root's authority with a timestamp of its
// certificate transparency log (SCT, RFC 6962), and be in its transparency log
// (Rekor v1 or v2) with a time at which the certificate was valid. Whatever is
// missing is refused. The result names each statement's signer and times; a
// refusal names the identities that have signed. With identities, any of them may
// have signed; with all, it returns every statement that they signed.
//
// Example: dagger -m modules/sign call verify-identity --reference ghcr.io/acme/hello@sha256:… --certificate-identity https://github.com/acme/hello/.github/workflows/release.yml@refs/heads/main --certificate-oidc-issuer https://token.actions.githubusercontent.com --trusted-root trusted_root.json
//
// +cache="never"
func (*Sign) VerifyIdentity(
	ctx context.Context,
	// The image: repository@digest.
	reference string,
	// The Sigstore's trusted_root.json.
	trustedRoot *dagger.File,
	// The certificate's subject alternative name that must have signed: a URI or
	// an e-mail address.
	// +optional
	certificateIdentity string,
	// The OIDC issuer that the certificate must name.
	// +optional
	certificateOidcIssuer string,
	// A JSON list of identities instead: issuer or issuerPattern, and subject or
	// subjectPattern.
	// +optional
	identities *dagger.File,
	// Read identity and issuer as patterns in Go's syntax, which all of each has
	// to match.
	// +optional
	asPattern bool,
	// Transparency logs that must hold the signature; 0 or less for a Sigstore
	// without.
	// +default=1
	minLogs int,
	// Certificate transparency logs that must vouch for the certificate; 0 or less
	// for a Sigstore without.
	// +default=1
	minCertificateLogs int,
	// How long after its time a signature counts that is marked degraded, such as
	// 24h: one that was made while a log was down. Never by default.
	// +optional
	acceptDegraded string,
	// The predicate type of an attestation that must be there, too.
	// +optional
	attestation string,
	// Return every signed statement, whatever its type.
	// +optional
	all bool,
	// Who reads.
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
) (string, error) {
	identityFlag, issuerFlag := "--certificate-identity", "--certificate-oidc-issuer"
	if asPattern {
		identityFlag, issuerFlag = identityFlag+"-regexp", issuerFlag+"-regexp"
	}
	args := []string{"/step", "verify", "--out", "/out", "--reference", reference}
	if certificateIdentity != "" || certificateOidcIssuer != "" || identities == nil {
		args = append(args, identityFlag, certificateIdentity, issuerFlag, certificateOidcIssuer)
	}
	base, trusted := trust(runner(), trustedRoot, identities, minLogs, minCertificateLogs)
	args = append(append(args, trusted...), accepting(acceptDegraded)...)
	if attestation != "" {
		args = append(args, "--attestation", attestation)
	}
	if all {
		args = append(args, "--all")
	}
	return registry(base, username, password, service, connect, args...).
		File("/out/result.json").Contents(ctx)
}

// Bundle reads one Sigstore bundle from beside an image, to keep or to verify
// elsewhere. The result's folder holds result.json and, unless it is a refusal,
// bundle.sigstore.json. It refuses what is no statement about the image by the key.
//
// +cache="never"
func (*Sign) Bundle(
	// The image: repository@digest.
	reference string,
	// The digest of the manifest that holds the bundle, as Verify with all lists it.
	referrer string,
	// The PEM public key that must have signed.
	publicKey *dagger.File,
	// Who reads.
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
) *dagger.Directory {
	return registry(runner().WithMountedFile("/cosign.pub", publicKey), username, password, service, connect,
		"/step", "bundle", "--out", "/out", "--public-key", "/cosign.pub", "--reference", reference, "--referrer", referrer).
		Directory("/out")
}

// VerifyBundle checks a bundle's signature by a key, without a network, and
// returns the step's result: the digest of the one image that its statement is
// about, predicate type, predicate and signer. Whether that is the wanted image is
// for the caller to say.
//
// Example: dagger -m modules/sign call verify-bundle --bundle receipt.sigstore.json --public-key cosign.pub
//
// +cache="168h"
func (*Sign) VerifyBundle(
	ctx context.Context,
	// The bundle.
	bundle *dagger.File,
	// The PEM public key that must have signed.
	publicKey *dagger.File,
) (string, error) {
	return runner().
		WithMountedFile("/bundle.sigstore.json", bundle).
		WithMountedFile("/cosign.pub", publicKey).
		WithExec([]string{"/step", "verify-bundle", "--out", "/out", "--public-key", "/cosign.pub", "--bundle", "/bundle.sigstore.json"}).
		File("/out/result.json").Contents(ctx)
}

// BundleIdentity is Bundle for a statement that an identity signed, whose trust is
// given as VerifyIdentity takes it.
//
// +cache="never"
func (*Sign) BundleIdentity(
	// The image: repository@digest.
	reference string,
	// The digest of the manifest that holds the bundle, as VerifyIdentity with all
	// lists it.
	referrer string,
	// The Sigstore's trusted_root.json.
	trustedRoot *dagger.File,
	// A JSON list of the identities of which one must have signed.
	identities *dagger.File,
	// Transparency logs that must hold the signature; 0 or less for a Sigstore
	// without.
	// +default=1
	minLogs int,
	// Certificate transparency logs that must vouch for the certificate; 0 or less
	// for a Sigstore without.
	// +default=1
	minCertificateLogs int,
	// How long after its time a signature counts that is marked degraded. Never by
	// default.
	// +optional
	acceptDegraded string,
	// Who reads.
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
) *dagger.Directory {
	base, trusted := trust(runner(), trustedRoot, identities, minLogs, minCertificateLogs)
	args := append([]string{"/step", "bundle", "--out", "/out", "--reference", reference, "--referrer", referrer}, trusted...)
	return registry(base, username, password, service, connect, append(args, accepting(acceptDegraded)...)...).Directory("/out")
}

// VerifyBundleIdentity is VerifyBundle for a bundle that an identity signed: it
// needs no network either, since certificate, log entries and times are in the
// bundle, and the keys that they are checked with in the trusted root.
//
// Example: dagger -m modules/sign call verify-bundle-identity --bundle receipt.sigstore.json --trusted-root trusted_root.json --identities identities.json
//
// +cache="never"
func (*Sign) VerifyBundleIdentity(
	ctx context.Context,
	// The bundle.
	bundle *dagger.File,
	// The Sigstore's trusted_root.json.
	trustedRoot *dagger.File,
	// A JSON list of the identities of which one must have signed: issuer or
	// issuerPattern, and subject or subjectPattern.
	identities *dagger.File,
	// Transparency logs that must hold the signature; 0 or less for a Sigstore
	// without.
	// +default=1
	minLogs int,
	// Certificate transparency logs that must vouch for the certificate; 0 or less
	// for a Sigstore without.
	// +default=1
	minCertificateLogs int,
	// How long after its time a signature counts that is marked degraded, such as
	// 24h. Never by default.
	// +optional
	acceptDegraded string,
) (string, error) {
	base, trusted := trust(runner().WithMountedFile("/bundle.sigstore.json", bundle), trustedRoot, identities, minLogs, minCertificateLogs)
	args := append([]string{"/step", "verify-bundle", "--out", "/out", "--bundle", "/bundle.sigstore.json"}, trusted...)
	// Whether a degraded signature still counts is a matter of the time.
	return base.WithEnvVariable("SLIPWAY_RUN", rand.Text()).WithExec(append(args, accepting(acceptDegraded)...)).
		File("/out/result.json").Contents(ctx)
}

// accepting are the flags that let a degraded signature count.
func accepting(degraded string) []string {
	if degraded == "" {
		return nil
	}
	return []string{"--accept-degraded", degraded}
}

// trust adds who is trusted to a container, and returns the flags that say so.
func trust(base *dagger.Container, trustedRoot, identities *dagger.File, minLogs, minCertificateLogs int) (*dagger.Container, []string) {
	args := []string{"--trusted-root", "/trusted_root.json", "--min-logs", strconv.Itoa(max(minLogs, 0)), "--min-certificate-logs", strconv.Itoa(max(minCertificateLogs, 0))}
	base = base.WithMountedFile("/trusted_root.json", trustedRoot)
	if identities != nil {
		base = base.WithMountedFile("/identities.json", identities)
		args = append(args, "--identities", "/identities.json")
	}
	return base, args
}

// registry runs a command against a registry now: its run id is new each time,
// so that no earlier run's result stands in for this one.
func registry(base *dagger.Container, username string, password *dagger.Secret, service *dagger.Service, connect string, args ...string) *dagger.Container {
	if service != nil {
		base = base.WithServiceBinding("registry", service)
	}
	if connect != "" {
		args = append(args, "--connect", connect)
	}
	if password != nil {
		base = base.WithMountedSecret("/secrets/registry-password", password)
		args = append(args, "--username", username, "--registry-password-file", "/secrets/registry-password")
	}
	return base.WithEnvVariable("SLIPWAY_RUN", rand.Text()).WithExec(args)
}
