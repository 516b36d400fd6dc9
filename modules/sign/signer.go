package main

import (
	"context"
	"crypto/rand"
	"errors"

	"dagger/sign/internal/dagger"
)

// Signer is who signs, lazily: KeyFile, KmsKey and Identity make one.
type Signer struct {
	// Program is a container with the step program and the signer's secrets, and
	// Args are the flags that name them.
	// +private
	Program *dagger.Container
	// +private
	Args []string
}

// WhenDown is what happens when a transparency log or timestamp authority is down.
type WhenDown string

const (
	// Sign nothing.
	Refuse WhenDown = "REFUSE"
	// Sign with what the other services give, as long as one gives a time. The
	// signature is marked degraded and counts only until its expiry, for who
	// accepts that.
	Degrade WhenDown = "DEGRADE"
)

// KeyFile signs with a private key in cosign's encrypted format.
//
// Example: dagger -m modules/sign call key-file --key file:cosign.key --password env:COSIGN_PASSWORD sign --reference ghcr.io/acme/hello@sha256:…
//
// +cache="168h"
func (*Sign) KeyFile(
	// The private key.
	key *dagger.Secret,
	// The key's password.
	password *dagger.Secret,
) *Signer {
	return byKeyFile(key, password)
}

// KmsKey signs with a key that stays in its key management service: AWS KMS, Google
// Cloud KMS or HashiCorp Vault. The clients of these services are compiled when the
// signer is first used. VaultKey is for Azure's.
//
// Example: dagger -m modules/sign call kms-key --uri hashivault://release --credentials file:vault.env public-key export --path ./keys
//
// +cache="168h"
func (*Sign) KmsKey(
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
		Program: base,
		Args:    []string{"--key-uri", uri, "--kms-credentials-file", credentialsFile},
	}
}

// VaultKey signs with a key that stays in Azure Key Vault, as an identity that may use
// it: one with the role Key Vault Crypto User.
//
// +cache="168h"
func (*Sign) VaultKey(
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
	return &Signer{Program: program, Args: []string{"--key-uri", uri, "--azure", identity, "--azure-token-file", tokenFile}}
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
func (*Sign) Identity(
	// The OIDC ID token of the job, for the audience that Fulcio wants (sigstore), or with
	// a request URL the token that ID tokens are asked for with.
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
	// What happens when a log or timestamp authority is down.
	// +default="REFUSE"
	whenDown WhenDown,
	// How long a degraded signature counts, such as 24h: a minute to 30 days.
	// Needed for DEGRADE.
	// +optional
	degradedFor string,
	// Whose signatures are its own, as VerifyIdentity takes them: what one of them
	// has signed already isn't signed again, and a signature by somebody else is
	// not attached. Without them each call signs anew.
	// +optional
	identities *dagger.File,
	// The Sigstore's trusted_root.json. Needed for identities.
	// +optional
	trustedRoot *dagger.File,
	// Transparency logs that must hold a signature of identities.
	// +default=1
	minLogs int,
	// Certificate transparency logs that must vouch for their certificates.
	// +default=1
	minCertificateLogs int,
	// The service that stands in for the host and port of connect.
	// +optional
	service *dagger.Service,
	// Where the authorities' and logs' address is reached through the service,
	// which is named sigstore: LOGICAL=ACTUAL.
	// +optional
	connect string,
	// Where the job asks for an ID token, with each signature: GitHub's
	// ACTIONS_ID_TOKEN_REQUEST_URL, Azure DevOps' SYSTEM_OIDCREQUESTURI.
	// +optional
	requestUrl string,
	// The ID of Azure DevOps' service connection.
	// +optional
	serviceConnection string,
	// The audience of the ID tokens that are asked for.
	// +default="sigstore"
	audience string,
) (*Signer, error) {
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
	if requestUrl != "" {
		args = append(args, "--identity-request-url", requestUrl, "--identity-audience", audience)
	}
	if serviceConnection != "" {
		args = append(args, "--identity-service-connection", serviceConnection)
	}
	if whenDown == Degrade {
		args = append(args, "--when-down", "degrade")
	}
	if degradedFor != "" {
		args = append(args, "--degraded-for", degradedFor)
	}
	program := runner().WithMountedSecret(tokenFile, token)
	if (identities == nil) != (trustedRoot == nil) {
		return nil, errors.New("identities and trustedRoot are given together, or neither")
	}
	if identities != nil {
		var trusted []string
		program, trusted = trust(program, trustedRoot, identities, minLogs, minCertificateLogs)
		args = append(args, trusted...)
	}
	if service != nil {
		program = program.WithServiceBinding("sigstore", service)
		args = append(args, "--identity-connect", connect)
	}
	return &Signer{Program: program, Args: args}, nil
}

// PublicKey is the public half of the signer's key: result.json and cosign.pub.
// An identity has none.
//
// +cache="never"
func (s *Signer) PublicKey() *dagger.Directory {
	fresh := *s
	fresh.Program = s.Program.WithEnvVariable("SLIPWAY_RUN", rand.Text())
	return fresh.publicKey()
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
	// A folder of statements to attest, as Sign.sign takes it.
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
	return s.sign(ctx, reference, predicate, predicateType, statements, username, password, service, connect)
}

// Attest signs statements about an image, unless these very statements by this
// signer are there, and returns the step's result.
//
// +cache="never"
func (s *Signer) Attest(
	ctx context.Context,
	// The image: repository@digest.
	reference string,
	// A folder of statements, as Sign.sign takes it.
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
	return s.attest(ctx, reference, statements, username, password, service, connect)
}

func byKeyFile(key, password *dagger.Secret) *Signer {
	return &Signer{
		Program: runner().WithMountedSecret(keyFile, key).WithMountedSecret(passwordFile, password),
		Args:    []string{"--key-file", keyFile, "--password-file", passwordFile},
	}
}

func (s *Signer) publicKey() *dagger.Directory {
	return s.Program.WithExec(append([]string{"/step", "public-key", "--out", "/out"}, s.Args...)).Directory("/out")
}

func (s *Signer) sign(ctx context.Context, reference, predicate, predicateType string, statements *dagger.Directory, username string, password *dagger.Secret, service *dagger.Service, connect string) (string, error) {
	base := s.Program
	args := append([]string{"/step", "sign", "--out", "/out", "--reference", reference}, s.Args...)
	if predicate != "" || predicateType != "" {
		base = base.WithNewFile("/predicate.json", predicate)
		args = append(args, "--predicate", "/predicate.json", "--predicate-type", predicateType)
	}
	if statements != nil {
		base = base.WithMountedDirectory("/statements", statements)
		args = append(args, "--statements", "/statements")
	}
	return registry(base, username, password, service, connect, args...).File("/out/result.json").Contents(ctx)
}

func (s *Signer) attest(ctx context.Context, reference string, statements *dagger.Directory, username string, password *dagger.Secret, service *dagger.Service, connect string) (string, error) {
	args := append([]string{"/step", "attest", "--out", "/out", "--reference", reference}, s.Args...)
	args = append(args, "--statements", "/statements")
	return registry(s.Program.WithMountedDirectory("/statements", statements), username, password, service, connect, args...).
		File("/out/result.json").Contents(ctx)
}
