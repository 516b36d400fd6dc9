package program

import (
	"context"
	"flag"
	"strings"
	"time"

	"slipway/sign/step/bundle"
	"slipway/sign/step/key"
	"slipway/sign/step/keyless"
	"slipway/step"
	"slipway/step/azure"
	"slipway/step/oidc"
	"slipway/step/reach"
)

// OpenKMS opens a key that a key management service holds, by its URI. The
// credentials are a file for the service's client, or empty.
type OpenKMS func(ctx context.Context, stage, uri, credentials string) (bundle.Keypair, error)

// signerFlags say who signs: a key in a file, one that a key management service
// holds, or an identity.
type signerFlags struct {
	set     *flag.FlagSet
	openKMS OpenKMS
	file    keyFlags

	uri, credentials *string
	azure            azure.Access

	connect            func(stage string) (reach.Connections, error)
	token, fulcio      *string
	source             oidc.Source
	audience           *string
	logs, tiles, times step.List
	degradedFor        *time.Duration
	identity           *identityFlags
}

// addKeyKinds adds the flags of keys, addSigner those of identities, too.
func (p *program) addKeyKinds(set *flag.FlagSet) *signerFlags {
	s := &signerFlags{
		set: set, openKMS: p.kms, file: addKey(set),
		uri:         set.String("key-uri", "", "URI of a key that a key management service holds: azurekms://, awskms://, gcpkms:// or hashivault://"),
		credentials: set.String("kms-credentials-file", "", "file with the service's credentials: NAME=VALUE lines, or Google's JSON; not for azurekms://"),
	}
	s.azure.Flags(set)
	return s
}

func (p *program) addSigner(set *flag.FlagSet) *signerFlags {
	s := p.addKeyKinds(set)
	s.token = set.String("identity-token-file", "", "file with an OIDC ID token: sign as its identity, without a key")
	set.StringVar(&s.source.RequestURL, "identity-request-url", "", "where the job asks for its ID tokens: the token's file then holds the request token")
	set.StringVar(&s.source.ServiceConnection, "identity-service-connection", "", "ID of Azure DevOps' service connection")
	s.audience = set.String("identity-audience", "sigstore", "audience of the ID tokens that are asked for")
	s.fulcio = set.String("fulcio", "", "URL of the certificate authority (required with a token)")
	set.Var(&s.logs, "rekor", "URL of a transparency log with Rekor's API 1; repeat for more")
	set.Var(&s.tiles, "rekor-tiles", "URL of a transparency log with Rekor's API 2, which gives no time; repeat for more")
	set.Var(&s.times, "timestamp-authority", "URL of a timestamp authority (RFC 3161); repeat for more")
	s.connect = reach.Flag(set, "identity-connect", "where the host:port of a service's URL is reached")
	s.degradedFor = set.Duration("degraded-for", 0, "when a log or timestamp authority is down, sign and mark the signature degraded: it counts for so long, such as 24h; by default nothing is signed")
	s.identity = addIdentity(set)
	return s
}

// kinds are the flags that belong to one kind of signer only.
var kinds = []struct {
	flag  string
	flags []string
}{
	{"key-file", []string{"key-file", "password-file"}},
	{"key-uri", []string{"key-uri", "kms-credentials-file", "azure", "azure-token-file"}},
	{"identity-token-file", append([]string{"identity-token-file", "identity-request-url", "identity-service-connection", "identity-audience", "fulcio", "rekor", "rekor-tiles", "timestamp-authority", "degraded-for", "identity-connect"}, identityFlagNames...)},
}

// kind is the flag that names the kind of signer; a key file when none does.
func (s *signerFlags) kind(stage string) (string, error) {
	given := map[string]bool{}
	s.set.Visit(func(f *flag.Flag) { given[f.Name] = true })
	chosen, by := "", ""
	for _, kind := range kinds {
		for _, name := range kind.flags {
			switch {
			case !given[name] || kind.flag == chosen:
			case chosen != "":
				return "", step.Input(stage, "--"+name, "is given beside --"+by, "sign with one kind of key: a file, a key URI or an identity token")
			default:
				chosen, by = kind.flag, name
			}
		}
	}
	if chosen == "" {
		chosen = kinds[0].flag
	}
	return chosen, nil
}

// open reads what the flags name; every failure is a fault.
func (s *signerFlags) open(ctx context.Context, stage string) (bundle.Signing, error) {
	kind, err := s.kind(stage)
	if err != nil {
		return nil, err
	}
	if kind == "identity-token-file" {
		return s.openIdentity(stage)
	}
	pair, err := s.openKey(ctx, stage)
	if err != nil {
		return nil, err
	}
	return bundle.SignKey(pair), nil
}

// openKey opens the key, in a file or at its service.
func (s *signerFlags) openKey(ctx context.Context, stage string) (bundle.Keypair, error) {
	kind, err := s.kind(stage)
	switch {
	case err != nil:
		return nil, err
	case kind == "key-file":
		return s.file.open(stage)
	case *s.uri == "":
		return nil, step.Input(stage, "--key-uri", "is not given", "give --key-uri, or --key-file")
	case strings.HasPrefix(*s.uri, azure.KeyScheme):
		return s.openVault(ctx, stage)
	case s.openKMS == nil:
		return nil, step.Input(stage, "--key-uri", "is not for this program: it is compiled without clients of key management services", "run the program in modules/sign/kms")
	}
	return s.openKMS(ctx, stage, *s.uri, *s.credentials)
}

// openVault opens a key in a vault of Azure's, as an identity that may use it.
func (s *signerFlags) openVault(ctx context.Context, stage string) (bundle.Keypair, error) {
	if *s.credentials != "" {
		return nil, step.Input(stage, "--kms-credentials-file", "is not for a key in Azure, where an identity signs", "leave it out, and say by with-azure who signs")
	}
	credential, err := s.azure.Open(stage)
	if err == nil && credential == nil {
		err = step.Input(stage, "key "+*s.uri, "is in Azure, and nobody is named who signs in there", "give with-azure")
	}
	if err != nil {
		return nil, err
	}
	found, err := credential.Key(ctx, *s.uri)
	if err != nil {
		return nil, err
	}
	hash, err := key.HashOf(found.Public)
	if err != nil {
		return nil, step.Input(stage, "key "+*s.uri, err.Error(), "name an ECDSA or RSA key that signs").Because(err)
	}
	return key.NewRemote(found.Public, func(ctx context.Context, data []byte) ([]byte, error) {
		digest := hash.New()
		digest.Write(data)
		return found.Sign(ctx, digest.Sum(nil), hash)
	})
}

func (s *signerFlags) openIdentity(stage string) (bundle.Signing, error) {
	token, err := read(stage, "--identity-token-file", *s.token)
	if err != nil {
		return nil, err
	}
	if *s.fulcio == "" {
		return nil, step.Input(stage, "--fulcio", "is not given", "give the certificate authority's URL")
	}
	connections, err := s.connect(stage)
	if err != nil {
		return nil, err
	}
	options := keyless.Options{
		Token: []byte(strings.TrimSpace(string(token))), Fulcio: *s.fulcio, TimestampAuthorities: s.times,
		Connect: connections, DegradedFor: *s.degradedFor,
	}
	if s.source != (oidc.Source{}) {
		options.Source, options.Audience = &s.source, *s.audience
	}
	for _, url := range s.logs {
		options.Logs = append(options.Logs, keyless.Log{URL: url, Version: 1})
	}
	for _, url := range s.tiles {
		options.Logs = append(options.Logs, keyless.Log{URL: url, Version: 2})
	}
	if s.identity.given() != "" {
		if options.Trust, err = s.identity.read(stage); err != nil {
			return nil, err
		}
	}
	return keyless.New(stage, options)
}
