// Package keyless signs statements as an identity: an OIDC token proves it to a
// certificate authority (Fulcio), which certifies a key that is made for one
// signature and then forgotten. Transparency logs (Rekor v1 or v2) and timestamp
// authorities (RFC 3161) say when that was.
//
// No error of this package holds the token.
package keyless

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/sign"

	"slipway/sign/step/bundle"
	"slipway/step"
	"slipway/step/oidc"
	"slipway/step/reach"
	results "slipway/step/result/sign"
)

// Log is a transparency log.
type Log struct {
	URL string
	// Version of Rekor's API: 1 or 2. Only version 1 gives a time.
	Version uint32
}

// Options say who signs and which services vouch for it.
type Options struct {
	// Token is the OIDC ID token, a JWT; a secret. With a Source it is the token that
	// ID tokens are asked for with, one for each signature.
	Token []byte
	// Source is where ID tokens come from; nil when Token is one.
	Source *oidc.Source
	// Audience is the one that Fulcio wants, for a Source.
	Audience string
	// Fulcio, Logs and TimestampAuthorities are URLs: HTTPS, or HTTP on loopback.
	// At least one of them besides Fulcio has to give a time.
	Fulcio               string
	Logs                 []Log
	TimestampAuthorities []string
	// DegradedFor is how long a signature counts that is made, marked degraded, while a
	// log or a timestamp authority is down, as long as another one gives a time. Zero
	// signs nothing then.
	DegradedFor time.Duration
	// Connect maps a service's host:port as its URL names it to the host:port to
	// dial instead.
	Connect reach.Connections
	// Trust, if there is one, has to accept what is made, unless it is degraded,
	// and tells earlier signatures by the identity.
	Trust *bundle.Trust
	// Pause is the wait after a service's first failed answer; it doubles after
	// each. Zero is half a second.
	Pause time.Duration
}

// Signer signs as an identity.
type Signer struct {
	options Options
	stage   string
	base    http.RoundTripper

	mu sync.Mutex
	// secrets are the tokens so far.
	secrets []string
}

// New checks the options; nothing is sent yet. stage names the stage in faults.
func New(stage string, options Options) (*Signer, error) {
	switch _, word := oidc.Word(options.Token); {
	case options.Source == nil:
		if err := checkToken(options.Token); err != nil {
			return nil, step.Input(stage, "identity token", err.Error(), "give the OIDC ID token that the CI made for this job, with the audience that Fulcio wants (sigstore), or the request token with its request URL")
		}
	case !word:
		return nil, step.Input(stage, "request token", "is not one token", "give the token that the job asks for its ID tokens with")
	case options.Source.RequestURL == "" || options.Audience == "":
		return nil, step.Input(stage, "request URL", "or its audience is empty", "give both, or an ID token without them")
	default:
		if err := options.Source.Check(stage); err != nil {
			return nil, err
		}
	}
	urls := append([]string{options.Fulcio}, options.TimestampAuthorities...)
	times := len(options.TimestampAuthorities)
	for _, log := range options.Logs {
		urls = append(urls, log.URL)
		switch log.Version {
		case 1:
			times++
		case 2:
		default:
			return nil, step.Input(stage, "transparency log "+log.URL, fmt.Sprintf("has Rekor's API %d", log.Version), "say 1 or 2")
		}
	}
	for i, text := range urls {
		if err := checkURL(text); err != nil {
			return nil, step.Input(stage, fmt.Sprintf("service %q", text), err.Error(), "give https://HOST, or http:// for a service on loopback")
		}
		if slices.Contains(urls[:i], text) {
			return nil, step.Input(stage, fmt.Sprintf("service %q", text), "is given twice", "name each service once")
		}
	}
	if times == 0 {
		return nil, step.Input(stage, "services", "none gives a time, and the certificate is valid for minutes only",
			"give a timestamp authority, or a transparency log with Rekor's API 1")
	}
	if options.DegradedFor != 0 && (options.DegradedFor < time.Minute || options.DegradedFor > MaxDegraded) {
		return nil, step.Input(stage, "expiry of degraded signatures "+options.DegradedFor.String(), "is not between a minute and "+MaxDegraded.String(),
			"give the time until the services are back and the image is signed again, such as 24h")
	}
	if options.Pause == 0 {
		options.Pause = 500 * time.Millisecond
	}
	return &Signer{options: options, stage: stage, base: dialling(options.Connect), secrets: []string{string(options.Token)}}, nil
}

// MaxDegraded is the longest that a degraded signature may count.
const MaxDegraded = 30 * 24 * time.Hour

// checkToken looks at the token's shape: Fulcio decides about the rest.
func checkToken(token []byte) error {
	parts := strings.Split(string(token), ".")
	if len(parts) != 3 || slices.Contains(parts, "") {
		return errors.New("is not a JWT of three parts")
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !json.Valid(claims) {
		return errors.New("is not a JWT: its claims can't be read")
	}
	return nil
}

func checkURL(text string) error {
	parsed, err := url.Parse(text)
	switch {
	case err != nil || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "":
		return errors.New("is not a URL of a service")
	case parsed.Scheme == "https":
		return nil
	case parsed.Scheme != "http":
		return errors.New("is neither https nor http")
	}
	if !reach.Loopback(parsed.Hostname()) {
		return errors.New("would be asked without TLS")
	}
	return nil
}

// Trust is the one that the options name.
func (s *Signer) Trust() *bundle.Trust { return s.options.Trust }

// Make signs the statement about digest. A service that is down is left out or
// refused, as the options say; every other failure is a fault.
func (s *Signer) Make(ctx context.Context, statement *bundle.Statement, digest string) (*bundle.Made, error) {
	var missing []string
	for {
		signed, mark := statement, (*results.Degraded)(nil)
		if len(missing) > 0 {
			mark = &results.Degraded{Missing: missing, Expires: time.Now().Add(s.options.DegradedFor).UTC().Truncate(time.Second)}
			var err error
			if signed, err = statement.Degrade(digest, *mark); err != nil {
				return nil, err
			}
		}
		made, err := s.attempt(ctx, signed, missing)
		var down *downError
		switch {
		case err == nil:
			return s.finish(made, mark, digest)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !errors.As(err, &down):
			if refused, ok := step.AsFault(err); ok {
				return nil, refused
			}
			return nil, s.fault(err)
		case down.service == s.options.Fulcio:
			return nil, step.Infrastructure(s.stage, "certificate authority "+down.service, s.line(down), "see whether it runs and is reachable, then sign again").Because(errors.New(s.line(down)))
		case s.options.DegradedFor == 0:
			return nil, step.Infrastructure(s.stage, "service "+down.service, s.line(down),
				"sign again when it is back, or let signatures be degraded while a service is down").Because(errors.New(s.line(down)))
		}
		missing = append(missing, down.service)
		if !s.timed(missing) {
			return nil, step.Infrastructure(s.stage, "services "+strings.Join(missing, ", "), "are down, and no other gives a time: not even a degraded signature would verify",
				"sign again when one of them is back").Because(errors.New(s.line(down)))
		}
	}
}

// timed says whether a service gives a time when some are missing.
func (s *Signer) timed(missing []string) bool {
	for _, authority := range s.options.TimestampAuthorities {
		if !slices.Contains(missing, authority) {
			return true
		}
	}
	for _, log := range s.options.Logs {
		if log.Version == 1 && !slices.Contains(missing, log.URL) {
			return true
		}
	}
	return false
}

// attempt asks all services but the missing ones, in order.
func (s *Signer) attempt(ctx context.Context, statement *bundle.Statement, missing []string) (*protobundle.Bundle, error) {
	content, err := statement.Content()
	if err != nil {
		return nil, err
	}
	token, err := s.token(ctx)
	if err != nil {
		return nil, err
	}
	pair, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	options := sign.BundleOptions{
		Context:                    ctx,
		CertificateProvider:        sign.NewFulcio(&sign.FulcioOptions{BaseURL: strings.TrimSuffix(s.options.Fulcio, "/"), Timeout: -1, Transport: s.transport(ctx, s.options.Fulcio)}),
		CertificateProviderOptions: &sign.CertificateProviderOptions{IDToken: token},
	}
	for _, authority := range s.options.TimestampAuthorities {
		if !slices.Contains(missing, authority) {
			options.TimestampAuthorities = append(options.TimestampAuthorities,
				sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: authority, Timeout: -1, Transport: s.transport(ctx, authority)}))
		}
	}
	for _, log := range s.options.Logs {
		if !slices.Contains(missing, log.URL) {
			made, err := newLog(log, s.transport(ctx, log.URL))
			if err != nil {
				return nil, err
			}
			options.TransparencyLogs = append(options.TransparencyLogs, made)
		}
	}
	made, err := sign.Bundle(content, pair, options)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(made.GetVerificationMaterial().GetCertificate().GetRawBytes())
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if public, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || !public.Equal(pair.GetPublicKey()) {
		return nil, &answerError{service: s.options.Fulcio, status: http.StatusOK, text: "it certifies another key"}
	}
	return made, nil
}

// token is the one that proves who signs, fresh where there is a source.
func (s *Signer) token(ctx context.Context) (string, error) {
	if s.options.Source == nil {
		return string(s.options.Token), nil
	}
	token, err := s.options.Source.Token(ctx, s.stage, oidc.Client(s.base), string(s.options.Token), s.options.Audience)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.secrets = append(s.secrets, token)
	s.mu.Unlock()
	if err := checkToken([]byte(token)); err != nil {
		return "", step.Infrastructure(s.stage, "identity token", err.Error(), "see what answers at the request URL").Because(err)
	}
	return token, nil
}

func (s *Signer) transport(ctx context.Context, service string) http.RoundTripper {
	return &patient{ctx: ctx, service: service, pause: s.options.Pause, base: s.base}
}

// dialling is the default transport, which dials what connect maps.
func dialling(connect reach.Connections) http.RoundTripper {
	if len(connect) == 0 {
		return http.DefaultTransport
	}
	return &http.Transport{DialContext: connect.DialContext, ForceAttemptHTTP2: true}
}

// finish reads what was made back: nothing is handed on that does not verify.
func (s *Signer) finish(made *protobundle.Bundle, mark *results.Degraded, digest string) (*bundle.Made, error) {
	data, err := bundle.Encode(made)
	if err != nil {
		return nil, s.fault(err)
	}
	leaf, err := x509.ParseCertificate(made.GetVerificationMaterial().GetCertificate().GetRawBytes())
	if err != nil {
		return nil, s.fault(fmt.Errorf("certificate: %w", err))
	}
	summary, err := certificate.SummarizeCertificate(leaf)
	if err != nil {
		return nil, s.fault(fmt.Errorf("certificate: %w", err))
	}
	done := &bundle.Made{Data: data, Degraded: mark, Signer: results.Signer{Identity: summary.SubjectAlternativeName, Issuer: summary.Issuer}}
	if s.options.Trust != nil && mark == nil {
		verified, err := s.options.Trust.Verify(data, digest)
		if err != nil {
			return nil, step.Policy(s.stage, "signature by "+summary.SubjectAlternativeName, "was made, and is not what is trusted: "+s.line(err),
				"compare the services and the identity with the trusted root's").Because(err)
		}
		done.Signer = verified.Signer
	}
	return done, nil
}

// fault is for answers that no later try will mend by itself.
func (s *Signer) fault(err error) error {
	var answer *answerError
	if errors.As(err, &answer) && answer.service == s.options.Fulcio && answer.status >= 400 {
		return step.Input(s.stage, "identity token", "certificate authority "+answer.service+" refuses it: "+s.line(answer),
			"give a token that is not expired, of an issuer that the authority knows, with its audience (sigstore)").Because(errors.New(s.line(err)))
	}
	input := "keyless signing"
	if errors.As(err, &answer) {
		input = "service " + answer.service
	}
	return step.Infrastructure(s.stage, input, "answered wrongly: "+s.line(err), "compare the services' addresses and API versions").Because(errors.New(s.line(err)))
}

// line renders an error without the token, cut when long: parts of it come from
// services.
func (s *Signer) line(err error) string {
	const most = 400
	text := strings.Join(strings.Fields(err.Error()), " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, token := range s.secrets {
		for _, secret := range append([]string{token}, strings.Split(token, ".")...) {
			if secret != "" {
				text = strings.ReplaceAll(text, secret, "…")
			}
		}
	}
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
