package main

import (
	"context"
	"strings"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/step"
	"slipway/step/azure"
	"slipway/step/oidc"
)

// ManagedKey is a key that stays in its key management service.
type ManagedKey struct {
	URI         string          // +private
	Credentials *dagger.Secret  // +private
	Authorities *dagger.File    // +private
	Service     *dagger.Service // +private
}

// managed signs with the key that its service keeps: as the identity in Azure for a
// key in Azure, and by its credentials elsewhere.
func (s *Slipway) managed(ctx context.Context, at *dagger.Sign, stage string) (*dagger.SignSigner, error) {
	k := s.ManagedKey
	switch inAzure := strings.HasPrefix(k.URI, azure.KeyScheme); {
	case inAzure && (k.Credentials != nil || k.Authorities != nil || k.Service != nil):
		return nil, step.Input(stage, "signing key "+k.URI, "is given credentials, authorities or a service, and is in Azure, where an identity signs", "leave them out, and say by with-azure who signs")
	case inAzure && s.Azure == nil:
		return nil, step.Input(stage, "signing key "+k.URI, "is in Azure, and nobody is named who signs in there", "give with-azure an identity that may sign with it")
	case inAzure:
		identity, err := s.Azure.as(ctx, stage, azureAlias)
		if err != nil {
			return nil, err
		}
		return at.VaultKey(k.URI, identity, s.Azure.Token, dagger.SignVaultKeyOpts{Proxy: s.Azure.Proxy}), nil
	case k.Credentials == nil:
		return nil, step.Input(stage, "signing key "+k.URI, "has no credentials", "give --credentials")
	}
	return at.KmsKey(k.URI, k.Credentials, dagger.SignKmsKeyOpts{Authorities: k.Authorities, Service: k.Service}), nil
}

// SigningIdentity is an identity and the services that vouch for it.
type SigningIdentity struct {
	Token                *dagger.Secret  // +private
	RequestURL           string          // +private
	ServiceConnection    string          // +private
	Audience             string          // +private
	Fulcio               string          // +private
	Rekor                []string        // +private
	RekorTiles           []string        // +private
	TimestampAuthorities []string        // +private
	Service              *dagger.Service // +private
}

// WithKmsKey signs with a key that stays in its key management service instead of one
// in a file: Azure Key Vault, AWS KMS, Google Cloud KMS or HashiCorp Vault. A key in
// Azure is used by the identity that with-azure names, with the role Key Vault Crypto
// User. The clients of the other services are compiled on first use. A second signer is
// refused.
//
// Example: dagger call with-azure … with-kms-key --uri azurekms://acme.vault.azure.net/release deliver --app hello --env dev text
//
// +cache="168h"
func (s *Slipway) WithKmsKey(
	// The key: azurekms://VAULT.vault.azure.net/KEY, with /VERSION appended for one
	// that is not the newest, awskms:///arn:aws:kms:REGION:ACCOUNT:key/ID,
	// gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K/versions/V or
	// hashivault://KEY.
	uri string,
	// What the service's client reads from its environment, as NAME=VALUE lines:
	// AWS_…, or VAULT_ADDR, VAULT_TOKEN and TRANSIT_SECRET_ENGINE_PATH. For Google it is
	// the credentials' JSON. A key in Azure has none.
	// +optional
	credentials *dagger.Secret,
	// PEM certificates of your own authorities, such as a Vault's, which count beside
	// the well-known ones.
	// +optional
	authorities *dagger.File,
	// A service that is reached as the host kms, such as a Vault behind a tunnel:
	// with VAULT_ADDR=https://kms:8200.
	// +optional
	service *dagger.Service,
) (*Slipway, error) {
	if err := s.unsigned(); err != nil {
		return nil, err
	}
	next := *s
	next.ManagedKey = &ManagedKey{URI: uri, Credentials: credentials, Authorities: authorities, Service: service}
	return &next, nil
}

// WithIdentity signs without a key: an OIDC token proves to a certificate authority
// (Fulcio) who signs, and logs and timestamp authorities say when. At least one
// timestamp authority, or log with Rekor's API 1, has to be named. When a log or
// timestamp authority is down, the environment's signing.degraded in slipway.yaml says
// what happens: nothing is signed, or the signature is marked degraded and counts only
// until its expiry. A second signer is refused.
//
// Example: dagger call with-identity --token env:ID_TOKEN --fulcio https://fulcio.sigstore.dev --rekor https://rekor.sigstore.dev deliver --app hello --env dev text
//
// +cache="168h"
func (s *Slipway) WithIdentity(
	// The OIDC ID token of the job, for the audience that Fulcio wants (sigstore). It
	// has to be valid until the last stage has signed. With with-identity-request it is
	// the token with which the job asks for its ID tokens. Without one, a token is asked
	// for with each signature where with-azure says that this job asks for its tokens.
	// +optional
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
	// A service that answers for the authority's host and port, and for whatever
	// else has the same.
	// +optional
	service *dagger.Service,
) (*Slipway, error) {
	if err := s.unsigned(); err != nil {
		return nil, err
	}
	next := *s
	next.Identity = &SigningIdentity{
		Token: token, Fulcio: fulcio, Rekor: rekor, RekorTiles: rekorTiles, TimestampAuthorities: timestampAuthorities, Service: service,
	}
	return &next, nil
}

// WithIdentityRequest asks for a new ID token for each signature, where the job's host
// gives them: GitHub's live for five minutes, and a delivery may take longer. It comes
// after with-identity, whose token is then the request token.
//
// Example: dagger call with-identity --token env:ACTIONS_ID_TOKEN_REQUEST_TOKEN --fulcio https://fulcio.sigstore.dev --rekor https://rekor.sigstore.dev with-identity-request --url $ACTIONS_ID_TOKEN_REQUEST_URL deliver --app hello --env dev text
//
// +cache="168h"
func (s *Slipway) WithIdentityRequest(
	// Where the job asks for its tokens: GitHub's ACTIONS_ID_TOKEN_REQUEST_URL, Azure
	// DevOps' SYSTEM_OIDCREQUESTURI.
	url string,
	// The ID of Azure DevOps' service connection.
	// +optional
	serviceConnection string,
	// The audience that Fulcio wants.
	// +default="sigstore"
	audience string,
) (*Slipway, error) {
	if s.Identity == nil {
		return nil, step.Input("config", "with-identity-request", "says where tokens come from, and no identity signs", "give with-identity before it")
	}
	if s.Identity.Token == nil {
		return nil, step.Input("config", "with-identity-request", "has no token to ask with", "give with-identity the request token")
	}
	next, who := *s, *s.Identity
	who.RequestURL, who.ServiceConnection, who.Audience = url, serviceConnection, audience
	next.Identity = &who
	return &next, oidc.Source{RequestURL: url, ServiceConnection: serviceConnection}.Check("config")
}

// unsigned refuses a second signer: nobody should have to guess which one signs.
func (s *Slipway) unsigned() error {
	if s.Key == nil && s.KeyPassword == nil && s.ManagedKey == nil && s.Identity == nil {
		return nil
	}
	return step.Input("config", "signer", "is given twice", "give one of --key with --key-password, with-kms-key and with-identity; the first may be in .env: take SLIPWAY_KEY and SLIPWAY_KEYPASSWORD out there")
}

// signs says whether the call may sign.
func (s *Slipway) signs() bool {
	return s.Key != nil && s.KeyPassword != nil || s.ManagedKey != nil || s.Identity != nil
}

// signing is the module that signs and verifies, as somebody, and how the images'
// registry is reached.
type signing struct {
	*dagger.Sign
	reached
}

func (s *Slipway) signing(ctx context.Context, stage, repository string) (signing, error) {
	registry, err := s.registry(ctx, stage, repository, s.Registry)
	return registry.signing(), err
}

func (a access) signing() signing {
	return signing{dag.Sign().WithAccount(dagger.SignWithAccountOpts(a.credentials)), a.reached}
}

// signer is who signs for an environment, whose policy says what happens when a
// service is down; without an environment, that is refused.
func (s *Slipway) signer(ctx context.Context, at *dagger.Sign, stage, env string) (*dagger.SignSigner, error) {
	switch {
	case s.ManagedKey != nil:
		return s.managed(ctx, at, stage)
	case s.Identity != nil:
		allowed, err := s.Config.For(env).Signing.Identities.Allowed(env)
		if err != nil {
			return nil, err
		}
		return s.identity(ctx, at, stage, env, allowed)
	case s.signs():
		return at.KeyFile(s.Key, s.KeyPassword), nil
	}
	return nil, step.Input(stage, "signing key", "key or password is not given",
		"give --key and --key-password, with-kms-key or with-identity; go tool task demo makes a pair for the embedded default")
}

// identity is the caller's, of those that are allowed, if it is said which.
func (s *Slipway) identity(ctx context.Context, at *dagger.Sign, stage, env, allowed string) (*dagger.SignSigner, error) {
	who, signing := *s.Identity, s.Config.For(env).Signing
	if who.Token == nil {
		if s.Azure == nil || s.Azure.RequestURL == "" {
			return nil, step.Input(stage, "signing identity", "has no token, and nothing says where this job asks for one",
				"give with-identity --token, or with-azure --request-url and --token")
		}
		who.Token, who.RequestURL, who.ServiceConnection = s.Azure.Token, s.Azure.RequestURL, s.Azure.ServiceConnection
	}
	connect, err := (&Endpoint{Service: who.Service}).connect(ctx, stage, who.Fulcio, "sigstore")
	if err != nil {
		return nil, err
	}
	signer := at.Identity(who.Token, who.Fulcio, dagger.SignIdentityOpts{
		Rekor: who.Rekor, RekorTiles: who.RekorTiles, TimestampAuthorities: who.TimestampAuthorities, DegradedFor: s.degraded(env),
	})
	if who.Service != nil {
		signer = signer.WithService(who.Service, connect)
	}
	if who.RequestURL != "" {
		signer = signer.WithRequest(who.RequestURL, dagger.SignSignerWithRequestOpts{ServiceConnection: who.ServiceConnection, Audience: who.Audience})
	}
	if allowed != "" {
		signer = signer.WithIdentities(s.Source.File(signing.TrustedRoot), dag.File("identities.json", allowed), dagger.SignSignerWithIdentitiesOpts{
			MinLogs: orNone(signing.Logs), MinCertificateLogs: orNone(signing.CertificateLogs),
		})
	}
	return signer, nil
}

// degraded is how long a signature counts that was made for an environment while a log
// was down; nothing where none does.
func (s *Slipway) degraded(env string) string {
	if accepts := s.Config.Environments[env].Signing.Degraded.Accepts(); accepts > 0 {
		return accepts.String()
	}
	return ""
}

// orNone is a number for a client that leaves zeros out: less than zero is none.
func orNone(number int) int {
	if number == 0 {
		return -1
	}
	return number
}

// signers are who must have signed: a key, or identities for which a Sigstore vouches.
type signers struct {
	key *dagger.File
	// identities are a JSON list, and root is their Sigstore's trusted root.
	identities            string
	root                  *dagger.File
	logs, certificateLogs int
	// degraded is how long a signature counts that was made while a log was down.
	degraded string
}

// verifier asks for the signatures of the signers.
func (m signers) verifier(at *dagger.Sign) *dagger.SignVerifier {
	if m.key != nil {
		return at.Key(m.key)
	}
	return at.Identities(m.root, dag.File("identities.json", m.identities), dagger.SignIdentitiesOpts{
		MinLogs: orNone(m.logs), MinCertificateLogs: orNone(m.certificateLogs), AcceptDegraded: m.degraded,
	})
}

// trust is who must have signed for an environment.
func (s *Slipway) trust(ctx context.Context, at *dagger.Sign, stage, env string) (*dagger.SignVerifier, error) {
	must, err := s.signers(ctx, stage, env)
	if err != nil {
		return nil, err
	}
	return must.verifier(at), nil
}

// signers are who must have signed for an environment: a key where one is given or
// committed, and those of signing.identities where slipway.yaml names some: then no key
// counts, and none may be given. Without either it is the signing key's public half.
func (s *Slipway) signers(ctx context.Context, stage, env string) (signers, error) {
	signing := s.Config.For(env).Signing
	switch {
	case len(signing.Identities) > 0 && s.PublicKey != nil:
		return signers{}, step.Input(stage, "public key", "is given, and "+config.File+" says that identities sign", "leave with-public-key out, or take signing.identities out")
	case len(signing.Identities) > 0:
		must, err := s.identities(signing, env)
		if err == nil && must.identities == "" {
			err = step.Policy(stage, "environment "+or(env, "(none)"), "has no identity that may sign for it", "add it to the environments of one of signing.identities in "+config.File+", or name an environment")
		}
		must.degraded = s.degraded(env)
		return must, err
	case s.PublicKey != nil:
		return signers{key: s.PublicKey}, nil
	case signing.PublicKey != "":
		return signers{key: s.Source.File(signing.PublicKey)}, nil
	case s.Identity != nil:
		return signers{}, step.Input(stage, config.File+": signing.identities", "names nobody, and an identity has no public key", "name who may sign, with the issuer, and the trustedRoot")
	case !s.signs():
		return signers{}, step.Input(stage, "public key", "is not given",
			"commit one and name it as signing.publicKey in "+config.File+", name who may sign as signing.identities, or use with-public-key")
	}
	out, err := s.publicKey(ctx, stage)
	if err != nil {
		return signers{}, err
	}
	if err := passedIn(ctx, out); err != nil {
		return signers{}, err
	}
	// As a plain file it is known by its content.
	text, err := out.File("cosign.pub").Contents(ctx)
	return signers{key: dag.File("cosign.pub", text)}, err
}

// publicKey is the public half of the signing key: result.json and cosign.pub.
func (s *Slipway) publicKey(ctx context.Context, stage string) (*dagger.Directory, error) {
	if s.ManagedKey == nil {
		return dag.Sign().PublicKey(s.Key, s.KeyPassword), nil
	}
	signer, err := s.managed(ctx, dag.Sign(), stage)
	if err != nil {
		return nil, err
	}
	// Without Sync the key would be asked for again wherever it is used.
	return signer.PublicKey().Sync(ctx)
}

// trustOr is trust, unless a key is given that must have signed.
func (s *Slipway) trustOr(ctx context.Context, at *dagger.Sign, key *dagger.File, stage, env string) (*dagger.SignVerifier, error) {
	if key != nil {
		return at.Key(key), nil
	}
	return s.trust(ctx, at, stage, env)
}

// identities are those that may sign for an environment.
func (s *Slipway) identities(signing config.Signing, env string) (signers, error) {
	allowed, err := signing.Identities.Allowed(env)
	return signers{identities: allowed, root: s.Source.File(signing.TrustedRoot), logs: signing.Logs, certificateLogs: signing.CertificateLogs}, err
}
