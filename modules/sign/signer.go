package main

import (
	"context"
	"slices"

	"dagger/sign/internal/dagger"
)

// Signer is who signs, lazily: KeyFile, KmsKey, VaultKey and Identity make one.
type Signer struct {
	// +private
	Account Account
	// Program is a container with the step program and the signer's secrets, and
	// Args are the flags that name them.
	// +private
	Program *dagger.Container
	// +private
	Args []string
}

// KeyFile signs with a private key in cosign's encrypted format.
//
// Example: dagger -m modules/sign call key-file --key file:cosign.key --password env:COSIGN_PASSWORD sign --reference ghcr.io/acme/hello@sha256:…
//
// +cache="168h"
func (s *Sign) KeyFile(
	// The private key.
	key *dagger.Secret,
	// The key's password.
	password *dagger.Secret,
) *Signer {
	const keyFile = "/secrets/cosign.key"
	return &Signer{
		Account: s.Account,
		Program: runner().WithMountedSecret(keyFile, key).WithMountedSecret(passwordFile, password),
		Args:    []string{"--key-file", keyFile, "--password-file", passwordFile},
	}
}

// KmsKey signs with a key that stays in its key management service: AWS KMS, Google
// Cloud KMS or HashiCorp Vault. The clients of these services are compiled when the
// signer is first used. VaultKey is for Azure's.
//
// Example: dagger -m modules/sign call kms-key --uri hashivault://release --credentials file:vault.env public-key export --path ./keys
//
// +cache="168h"
func (s *Sign) KmsKey(
	// The key: awskms:///arn:aws:kms:REGION:ACCOUNT:key/ID,
	// gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K/versions/V or
	// hashivault://KEY.
	uri string,
	// What the service's client reads from its environment, as NAME=VALUE lines:
	// AWS_…, or VAULT_ADDR, VAULT_TOKEN and TRANSIT_SECRET_ENGINE_PATH. For
	// Google it is the credentials' JSON.
	credentials *dagger.Secret,
	// PEM certificates of your own authorities, such as a Vault's, which count beside
	// the well-known ones.
	// +optional
	authorities *dagger.File,
	// A service that is reached as the host kms, such as a Vault behind a tunnel.
	// +optional
	service *dagger.Service,
) *Signer {
	source := dag.CurrentModule().Source()
	program := dag.Toolbox().Step("modules/sign/kms", source.Directory("kms"), dagger.ToolboxStepOpts{
		Beside: dag.Directory().WithDirectory("modules/sign/step", source.Directory("step")),
	})
	const credentialsFile = "/secrets/kms"
	base := dag.Toolbox().Runner(program).WithMountedSecret(credentialsFile, credentials)
	if authorities != nil {
		base = base.WithFile("/etc/ssl/certs/authorities.pem", authorities)
	}
	if service != nil {
		base = base.WithServiceBinding("kms", service)
	}
	return &Signer{
		Account: s.Account,
		Program: base,
		Args:    []string{"--key-uri", uri, "--kms-credentials-file", credentialsFile},
	}
}

// VaultKey signs with a key that stays in Azure Key Vault, as an identity that may use
// it: one with the role Key Vault Crypto User.
//
// +cache="168h"
func (s *Sign) VaultKey(
	// The key: azurekms://VAULT.vault.azure.net/KEY, with /VERSION appended for one
	// that is not the newest.
	uri string,
	// The identity, as a JSON object: clientId, tenantId and subscriptionId; requestUrl,
	// where a CI job asks for its tokens, and Azure DevOps' serviceConnection;
	// metadataHost and authorities, in PEM, of another cloud, and the proxy's URL that it
	// is reached through.
	identity string,
	// The job's request token, or without a request URL the token itself.
	token *dagger.Secret,
	// The service that answers for the proxy, at the name azure.
	// +optional
	proxy *dagger.Service,
) *Signer {
	const tokenFile = "/secrets/azure-token"
	program := runner().WithMountedSecret(tokenFile, token)
	if proxy != nil {
		program = program.WithServiceBinding("azure", proxy)
	}
	return &Signer{
		Account: s.Account,
		Program: program,
		Args:    []string{"--key-uri", uri, "--azure", identity, "--azure-token-file", tokenFile},
	}
}

// Identity signs without a key of its own: an OIDC token proves to a certificate
// authority (Fulcio) who signs, and logs and timestamp authorities say when. At least
// one timestamp authority, or log with Rekor's API 1, has to be named. It refuses when
// the authority refuses the token, when a service answers wrongly and, unless degraded
// signatures are wanted, when a service is down.
//
// Example: dagger -m modules/sign call identity --token env:ID_TOKEN --fulcio https://fulcio.sigstore.dev --rekor https://rekor.sigstore.dev sign --reference ghcr.io/acme/hello@sha256:…
//
// +cache="168h"
func (s *Sign) Identity(
	// The OIDC ID token of the job, for the audience that Fulcio wants (sigstore), or
	// before WithRequest the token that ID tokens are asked for with.
	token *dagger.Secret,
	// The certificate authority's URL.
	fulcio string,
	// URLs of transparency logs with Rekor's API 1.
	// +optional
	rekor []string,
	// URLs of transparency logs with Rekor's API 2, which give no time.
	// +optional
	rekorTiles []string,
	// URLs of timestamp authorities (RFC 3161).
	// +optional
	timestampAuthorities []string,
	// How long a signature counts, such as 24h (a minute to 30 days), that is made while
	// a log or timestamp authority is down, with what the other services give, as long
	// as one gives a time. It is marked degraded, and counts for who accepts that. By
	// default nothing is signed then.
	// +optional
	degradedFor string,
) *Signer {
	const tokenFile = "/secrets/identity-token"
	args := []string{"--identity-token-file", tokenFile, "--fulcio", fulcio}
	for _, list := range []struct {
		flag string
		urls []string
	}{{"--rekor", rekor}, {"--rekor-tiles", rekorTiles}, {"--timestamp-authority", timestampAuthorities}} {
		for _, url := range list.urls {
			args = append(args, list.flag, url)
		}
	}
	if degradedFor != "" {
		args = append(args, "--degraded-for", degradedFor)
	}
	return &Signer{Account: s.Account, Program: runner().WithMountedSecret(tokenFile, token), Args: args}
}

// WithRequest has an identity ask for a new ID token with each signature.
//
// +cache="168h"
func (s *Signer) WithRequest(
	// Where the job asks for an ID token: GitHub's ACTIONS_ID_TOKEN_REQUEST_URL, Azure
	// DevOps' SYSTEM_OIDCREQUESTURI.
	url string,
	// The ID of Azure DevOps' service connection.
	// +optional
	serviceConnection string,
	// The audience of the ID tokens that are asked for.
	// +default="sigstore"
	audience string,
) *Signer {
	return s.with(s.Program, "--identity-request-url", url, "--identity-service-connection", serviceConnection, "--identity-audience", audience)
}

// WithIdentities says whose signatures are an identity's own, as Sign.identities takes
// them: what one of them has signed already isn't signed again, and a signature by
// somebody else is not attached. Without it each call signs anew.
//
// +cache="168h"
func (s *Signer) WithIdentities(
	// The Sigstore's trusted_root.json.
	trustedRoot *dagger.File,
	// A JSON list of the identities.
	identities *dagger.File,
	// Transparency logs that must hold a signature of theirs.
	// +default=1
	minLogs int,
	// Certificate transparency logs that must vouch for their certificates.
	// +default=1
	minCertificateLogs int,
) *Signer {
	program, args := trust(s.Program, trustedRoot, identities, minLogs, minCertificateLogs)
	return s.with(program, args...)
}

// WithService has a service stand in for the host and port of an identity's
// authorities and logs.
//
// +cache="168h"
func (s *Signer) WithService(
	// The service, which is named sigstore.
	service *dagger.Service,
	// Where their address is reached through it: LOGICAL=ACTUAL.
	connect string,
) *Signer {
	return s.with(s.Program.WithServiceBinding("sigstore", service), "--identity-connect", connect)
}

// with is the signer with another container and more flags.
func (s *Signer) with(program *dagger.Container, args ...string) *Signer {
	next := *s
	next.Program, next.Args = program, slices.Concat(s.Args, args)
	return &next
}

// PublicKey is the public half of the signer's key as it is now: result.json and
// cosign.pub. An identity has none.
//
// +cache="never"
func (s *Signer) PublicKey() *dagger.Directory {
	return now(s.Program, append([]string{"public-key"}, s.Args...)...)
}

// Sign signs an image's digest and attests what it is given, all in one go; what
// this signer has already signed stays as it is. It returns the step's result.
//
// +cache="never"
func (s *Signer) Sign(
	ctx context.Context,
	// The image: repository@digest.
	reference string,
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
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	base := s.Program
	args := append([]string{"sign", "--reference", reference}, s.Args...)
	if predicate != "" || predicateType != "" {
		base = base.WithNewFile("/predicate.json", predicate)
		args = append(args, "--predicate", "/predicate.json", "--predicate-type", predicateType)
	}
	if statements != nil {
		base = base.WithMountedDirectory("/statements", statements)
		args = append(args, "--statements", "/statements")
	}
	return s.Account.now(base, service, connect, args...).File("result.json").Contents(ctx)
}

// Attest signs statements about an image, unless these very statements by this
// signer are there, and returns the step's result.
//
// +cache="never"
func (s *Signer) Attest(
	ctx context.Context,
	// The image: repository@digest.
	reference string,
	// A folder of statements, as Sign takes it.
	statements *dagger.Directory,
	// The service that answers for the registry.
	// +optional
	service *dagger.Service,
	// Where the registry's address is reached: LOGICAL=ACTUAL.
	// +optional
	connect string,
) (string, error) {
	return s.Account.now(s.Program.WithMountedDirectory("/statements", statements), service, connect, append([]string{"attest", "--reference", reference, "--statements", "/statements"}, s.Args...)...).
		File("result.json").Contents(ctx)
}
