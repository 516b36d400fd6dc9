// Package provider opens keys that a key management service holds, with
// sigstore's client of each service.
package provider

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/kms/aws"
	"github.com/sigstore/sigstore/pkg/signature/kms/gcp"
	"github.com/sigstore/sigstore/pkg/signature/kms/hashivault"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"slipway/sign/step/bundle"
	"slipway/sign/step/key"
	"slipway/step"
	"slipway/step/reach"
)

// service is one kind of key management service.
type service struct {
	// scheme begins the URI, and form shows one.
	scheme, form string
	valid        func(uri string) error
	// variables begin the names of what configures the service's client in the
	// environment.
	variables []string
	// file says that the credentials are one file, which this variable names.
	file string
	// check looks at the environment before the first request.
	check func(stage string) error
}

var services = []service{
	{scheme: aws.ReferenceScheme, valid: aws.ValidReference, form: "awskms:///arn:aws:kms:REGION:ACCOUNT:key/ID", variables: []string{"AWS_"}},
	{scheme: gcp.ReferenceScheme, valid: gcp.ValidReference, form: "gcpkms://projects/P/locations/L/keyRings/R/cryptoKeys/K/versions/V", file: "GOOGLE_APPLICATION_CREDENTIALS"},
	{scheme: hashivault.ReferenceScheme, valid: hashivault.ValidReference, form: "hashivault://KEY", variables: []string{"VAULT_", "TRANSIT_SECRET_ENGINE_PATH"}, check: checkVault},
}

// Open opens the key that a URI names. The credentials file is NAME=VALUE lines
// for the service's client: VAULT_ADDR, VAULT_TOKEN and TRANSIT_SECRET_ENGINE_PATH,
// AWS_…; for Google it is the credentials' JSON itself. Without one, the
// client finds the credentials of the machine's own identity. Every failure is a
// fault; none holds a credential.
func Open(ctx context.Context, stage, uri, credentials string) (bundle.Keypair, error) {
	s, err := find(stage, uri)
	if err != nil {
		return nil, err
	}
	secrets, err := s.load(stage, credentials)
	if err != nil {
		return nil, err
	}
	if s.check != nil {
		if err := s.check(stage); err != nil {
			return nil, err
		}
	}
	fault := func(reason string, err error) error {
		return step.Infrastructure(stage, "key "+uri, reason+": "+line(err, secrets), "see whether the service is reachable, and whether the credentials may use this key ("+s.form+")").
			Because(errors.New(line(err, secrets)))
	}
	public, err := publicKey(ctx, uri)
	if err != nil {
		return nil, fault("can't be read", err)
	}
	hash, err := key.HashOf(public)
	if err != nil {
		return nil, step.Input(stage, "key "+uri, line(err, secrets), "name an ECDSA, RSA or Ed25519 key that signs")
	}
	signer, err := kms.Get(ctx, uri, hash)
	if err != nil {
		return nil, fault("can't be opened", err)
	}
	opened, err := key.NewRemote(public, func(ctx context.Context, data []byte) ([]byte, error) {
		sig, err := signer.SignMessage(bytes.NewReader(data), options.WithContext(ctx))
		if err != nil {
			return nil, fault("does not sign", err)
		}
		return sig, nil
	})
	if err != nil {
		return nil, step.Input(stage, "key "+uri, line(err, secrets), "name an ECDSA, RSA or Ed25519 key that signs")
	}
	return opened, nil
}

func publicKey(ctx context.Context, uri string) (crypto.PublicKey, error) {
	signer, err := kms.Get(ctx, uri, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	return signer.PublicKey(options.WithContext(ctx))
}

// find takes the known kinds only: for any other, sigstore would look for a
// program named after the scheme.
func find(stage, uri string) (service, error) {
	var forms []string
	for _, s := range services {
		if strings.HasPrefix(uri, s.scheme) {
			if err := s.valid(uri); err != nil || strings.ContainsAny(uri, " \t\r\n") {
				return service{}, step.Input(stage, fmt.Sprintf("key URI %q", uri), "names no key of this service", "give it as "+s.form)
			}
			return s, nil
		}
		forms = append(forms, s.form)
	}
	return service{}, step.Input(stage, fmt.Sprintf("key URI %q", uri), "names no key of a known key management service", "give one of "+strings.Join(forms, ", "))
}

// load puts the credentials into the environment, where the service's client
// looks, and returns the values.
func (s service) load(stage, file string) ([]string, error) {
	if file == "" {
		return nil, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, step.Input(stage, "credentials "+file, "can't be read", "give a file that can be read").Because(err)
	}
	if s.file != "" {
		return nil, os.Setenv(s.file, file)
	}
	var secrets []string
	for number, text := range strings.Split(string(data), "\n") {
		text = strings.TrimSpace(text)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		name, value, ok := strings.Cut(text, "=")
		if !ok || !slices.ContainsFunc(s.variables, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			return nil, step.Input(stage, fmt.Sprintf("credentials %s:%d", file, number+1), "is no NAME=VALUE whose name begins with "+strings.Join(s.variables, " or "),
				"give what the client of "+s.scheme+" reads from the environment")
		}
		if err := os.Setenv(name, value); err != nil {
			return nil, step.Input(stage, fmt.Sprintf("credentials %s:%d", file, number+1), "can't be set", "give NAME=VALUE").Because(err)
		}
		if name != "VAULT_ADDR" {
			secrets = append(secrets, value)
		}
	}
	return secrets, nil
}

// checkVault wants an address and a token: without one, the client would run the
// helper that a file in the home folder names.
func checkVault(stage string) error {
	for _, name := range []string{"VAULT_ADDR", "VAULT_TOKEN"} {
		if os.Getenv(name) == "" {
			return step.Input(stage, "credentials", name+" is missing", "give "+name+"=… in the credentials")
		}
	}
	address, err := url.Parse(os.Getenv("VAULT_ADDR"))
	if err != nil || address.Host == "" || address.User != nil {
		return step.Input(stage, "VAULT_ADDR", "is not the URL of a Vault", "give https://HOST:PORT")
	}
	if address.Scheme != "https" && !reach.Loopback(address.Hostname()) {
		return step.Input(stage, "VAULT_ADDR", "would be asked without TLS, with the token", "give https://HOST:PORT")
	}
	return nil
}

// line renders an error without the credentials, cut when long.
func line(err error, secrets []string) string {
	const most, secret = 400, 6
	text := strings.Join(strings.Fields(err.Error()), " ")
	for _, value := range secrets {
		// What is shorter is no secret, and is in many words.
		if len(value) >= secret {
			text = strings.ReplaceAll(text, value, "…")
		}
	}
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
