package main

import (
	"context"
	"strconv"

	"dagger/sign/internal/dagger"
)

// Verifier is who must have signed: Key and Identities make one.
type Verifier struct {
	// +private
	Account Account
	// Program is a container with the step program and what the verifier trusts, and
	// Args are the flags that name it.
	// +private
	Program *dagger.Container
	// +private
	Args []string
	// Timed says that the time may decide whether a signature counts.
	// +private
	Timed bool
}

// Key trusts the signatures by a key. It asks no log and no time; Identities is for
// signatures by an identity.
//
// Example: dagger -m modules/sign call key --public-key cosign.pub verify-bundle --bundle receipt.sigstore.json
//
// +cache="168h"
func (s *Sign) Key(
	// The PEM public key that must have signed.
	publicKey *dagger.File,
) *Verifier {
	return &Verifier{
		Account: s.Account,
		Program: runner().WithMountedFile("/cosign.pub", publicKey),
		Args:    []string{"--public-key", "/cosign.pub"},
	}
}

// Identities trusts the signatures that identities made without a key of their own,
// such as a CI job: the certificate has to name one of them and its OIDC issuer, come
// from the trusted root's authority with a timestamp of its certificate transparency
// log (SCT, RFC 6962), and be in its transparency log (Rekor v1 or v2) with a time at
// which the certificate was valid. Whatever is missing is refused. Results name each
// statement's signer and times; a refusal names the identities that have signed.
//
// Example: dagger -m modules/sign call identities --trusted-root trusted_root.json --identities identities.json verify --reference ghcr.io/acme/hello@sha256:…
//
// +cache="168h"
func (s *Sign) Identities(
	// The Sigstore's trusted_root.json.
	trustedRoot *dagger.File,
	// A JSON list of the identities of which one must have signed: issuer or
	// issuerPattern, and subject or subjectPattern. A subject is the certificate's
	// subject alternative name, a URI or an e-mail address; a pattern is in Go's syntax,
	// and all of the name has to match it.
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
	// 24h: one that was made while a log was down. Never by default.
	// +optional
	acceptDegraded string,
) *Verifier {
	program, args := trust(runner(), trustedRoot, identities, minLogs, minCertificateLogs)
	if acceptDegraded != "" {
		args = append(args, "--accept-degraded", acceptDegraded)
	}
	return &Verifier{Account: s.Account, Program: program, Args: args, Timed: true}
}

// trust adds the identities that are trusted to a container, and returns the flags
// that say so.
func trust(base *dagger.Container, trustedRoot, identities *dagger.File, minLogs, minCertificateLogs int) (*dagger.Container, []string) {
	return base.WithMountedFile("/trusted_root.json", trustedRoot).WithMountedFile("/identities.json", identities), []string{
		"--trusted-root", "/trusted_root.json", "--identities", "/identities.json",
		"--min-logs", strconv.Itoa(max(minLogs, 0)), "--min-certificate-logs", strconv.Itoa(max(minCertificateLogs, 0)),
	}
}

// Verify checks an image's signature and, when asked, that it carries an attestation
// of one type, and returns the step's result. With all, it returns every statement
// about the image by who must have signed; with a predicate type, those of that type,
// of which there must be one.
//
// +cache="never"
func (v *Verifier) Verify(
	ctx context.Context,
	// The image: repository@digest.
	reference string,
	// The predicate type of an attestation that must be there, too.
	// +optional
	attestation string,
	// The predicate type of the attestation that must be there instead of a signature.
	// +optional
	predicateType string,
	// Return every signed statement, whatever its type.
	// +optional
	all bool,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	args := append([]string{"verify", "--reference", reference}, v.Args...)
	for flag, value := range map[string]string{"--attestation": attestation, "--predicate-type": predicateType} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	if all {
		args = append(args, "--all")
	}
	return v.Account.now(v.Program, service, connect, args...).File("result.json").Contents(ctx)
}

// Bundle reads one Sigstore bundle from beside an image, to keep or to verify
// elsewhere. The result's folder holds result.json and, unless it is a refusal,
// bundle.sigstore.json. It refuses what is no statement about the image by who must
// have signed.
//
// +cache="never"
func (v *Verifier) Bundle(
	// The image: repository@digest.
	reference string,
	// The digest of the manifest that holds the bundle, as Verify with all lists it.
	referrer string,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) *dagger.Directory {
	return v.Account.now(v.Program, service, connect, append([]string{"bundle", "--reference", reference, "--referrer", referrer}, v.Args...)...)
}

// VerifyBundle checks a bundle's signature without a network, and returns the step's
// result: the digest of the one image that its statement is about, predicate type,
// predicate and signer. Whether that is the wanted image is for the caller to say. An
// identity's certificate, log entries and times are in the bundle, and the keys that
// they are checked with in the trusted root.
//
// Example: dagger -m modules/sign call identities --trusted-root trusted_root.json --identities identities.json verify-bundle --bundle receipt.sigstore.json
//
// +cache="never"
func (v *Verifier) VerifyBundle(
	ctx context.Context,
	// The bundle.
	bundle *dagger.File,
) (string, error) {
	verify := run
	if v.Timed {
		verify = now
	}
	return verify(v.Program.WithMountedFile("/bundle.sigstore.json", bundle), append([]string{"verify-bundle", "--bundle", "/bundle.sigstore.json"}, v.Args...)...).
		File("result.json").Contents(ctx)
}
