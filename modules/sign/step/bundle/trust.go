package bundle

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	sigstore "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"slipway/sign/step/key"
	results "slipway/step/result/sign"
)

// ErrTrust means that a trust can't be made of what was given for it.
var ErrTrust = errors.New("can't be trusted")

// Trust says whose bundles count. The zero value trusts nobody.
type Trust struct {
	// key is nil for an identity.
	key    *key.Public
	name   string
	verify check
	// lesser verify with less evidence what is marked degraded, and degradedFor
	// is how long that counts; never when zero.
	lesser      []check
	degradedFor time.Duration
	// anyone are check and lesser for whatever identity, to name a stranger by.
	anyone []check
}

type check func(*sigstore.Bundle, verify.ArtifactPolicyOption) (*verify.VerificationResult, error)

// TrustKey trusts one key, without a log and without a time: see the package's
// comment.
func TrustKey(public *key.Public) *Trust {
	return &Trust{
		key:  public,
		name: "key " + public.Hint(),
		verify: func(b *sigstore.Bundle, artifact verify.ArtifactPolicyOption) (*verify.VerificationResult, error) {
			verifier, err := verify.NewVerifier(material(public), verify.WithNoObserverTimestamps())
			if err != nil {
				return nil, err
			}
			return verifier.Verify(b, verify.NewPolicy(artifact, verify.WithKey()))
		},
	}
}

// Identity is who a certificate must name. Issuer and Subject each are given
// either exactly or as a pattern in Go's syntax, which all of the text has to
// match.
type Identity struct {
	// Issuer is the OIDC issuer, such as https://token.actions.githubusercontent.com.
	Issuer        string `json:"issuer,omitempty"`
	IssuerPattern string `json:"issuerPattern,omitempty"`
	// Subject is the certificate's subject alternative name: a URI, an e-mail
	// address or another name.
	Subject        string `json:"subject,omitempty"`
	SubjectPattern string `json:"subjectPattern,omitempty"`
}

// None is a number of Evidence that asks for none at all.
const None = -1

// Evidence is how many independent services have to vouch for a signature by
// an identity. Zero is one, the least that a number may be; None is for an
// organisation whose own Sigstore has no such service.
type Evidence struct {
	// Logs are transparency logs (Rekor v1 or v2) that hold the signature.
	Logs int
	// CertificateLogs are certificate transparency logs whose timestamp (SCT,
	// RFC 6962) the certificate embeds.
	CertificateLogs int
	// Timestamps are times inside the certificate's validity, by a timestamp
	// authority (RFC 3161) or a log's signed entry. None is refused.
	Timestamps int
	// Degraded is for how long after its first time a statement counts that is
	// marked degraded, with one time and without logs; until its own expiry, if
	// that is earlier. Zero is never, whatever evidence there is.
	Degraded time.Duration
}

// Root is a trusted root: the certificate authorities, logs and timestamp
// authorities of one Sigstore, each with its time.
type Root struct{ material *root.TrustedRoot }

// ParseRoot reads a trusted_root.json, media type
// application/vnd.dev.sigstore.trustedroot+json;version=0.1. An error matches
// ErrTrust.
func ParseRoot(data []byte) (*Root, error) {
	parsed, err := root.NewTrustedRootFromJSON(data)
	if err != nil {
		return nil, fmt.Errorf("%w: not a trusted root: %w", ErrTrust, err)
	}
	if len(parsed.FulcioCertificateAuthorities()) == 0 {
		return nil, fmt.Errorf("%w: the trusted root names no certificate authority", ErrTrust)
	}
	return &Root{material: parsed}, nil
}

// TrustIdentities trusts certificates of the root's authorities that name one of
// the identities, with at least that evidence. What the root can't give is refused
// here: an error matches ErrTrust.
func TrustIdentities(identities []Identity, trusted *Root, evidence Evidence) (*Trust, error) {
	if trusted == nil || trusted.material == nil {
		return nil, fmt.Errorf("%w: an identity needs a trusted root", ErrTrust)
	}
	if len(identities) == 0 {
		return nil, fmt.Errorf("%w: there is no identity", ErrTrust)
	}
	var named []string
	var wanted []verify.PolicyOption
	for _, identity := range identities {
		matcher, err := identity.matcher()
		if err != nil {
			return nil, err
		}
		// Of several, sigstore-go asks for any.
		wanted = append(wanted, verify.WithCertificateIdentity(matcher))
		named = append(named, identity.String())
	}
	by := func(evidence Evidence, policy ...verify.PolicyOption) (check, error) {
		options, err := evidence.options(trusted.material)
		if err != nil {
			return nil, err
		}
		verifier, err := verify.NewVerifier(trusted.material, options...)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrTrust, err)
		}
		return func(b *sigstore.Bundle, artifact verify.ArtifactPolicyOption) (*verify.VerificationResult, error) {
			return verifier.Verify(b, verify.NewPolicy(artifact, policy...))
		}, nil
	}
	trust := &Trust{name: strings.Join(named, " or "), degradedFor: evidence.Degraded}
	if evidence.Degraded < 0 {
		return nil, fmt.Errorf("%w: degraded signatures can't count for %s", ErrTrust, evidence.Degraded)
	}
	// Less than the evidence is a timestamp authority's time without a log, or a
	// log with its own time.
	for n, enough := range []Evidence{evidence, {Logs: None, CertificateLogs: evidence.CertificateLogs}, {CertificateLogs: evidence.CertificateLogs}} {
		wants, err := by(enough, wanted...)
		switch {
		case err != nil && n == 0:
			return nil, err
		case err != nil:
			continue
		case n == 0:
			trust.verify = wants
		default:
			trust.lesser = append(trust.lesser, wants)
		}
		anyone, err := by(enough, verify.WithoutIdentitiesUnsafe())
		if err != nil {
			return nil, err
		}
		trust.anyone = append(trust.anyone, anyone)
	}
	return trust, nil
}

// StrangerError is an ErrUntrusted: a bundle of an identity that is not trusted,
// with evidence for it.
type StrangerError struct{ Identity, Issuer string }

func (s *StrangerError) Error() string {
	return fmt.Sprintf("it is signed by identity %q of issuer %q", cut(s.Identity), cut(s.Issuer))
}

// stranger adds to a refusal whose signature it is, where that can be told.
func (t *Trust) stranger(b *sigstore.Bundle, digest string, refused error) error {
	if t == nil {
		return refused
	}
	for _, anyone := range t.anyone {
		result, err := (&Trust{verify: anyone}).check(b, digest)
		if err == nil && result.Signature != nil && result.Signature.Certificate != nil {
			by := t.signer(result)
			return fmt.Errorf("%w: %w", refused, &StrangerError{by.Identity, by.Issuer})
		}
	}
	return refused
}

// checkDegraded is check with the least evidence; nil when that is not there.
func (t *Trust) checkDegraded(b *sigstore.Bundle, digest string) *verify.VerificationResult {
	if t == nil {
		return nil
	}
	for _, lesser := range t.lesser {
		if result, err := (&Trust{verify: lesser}).check(b, digest); err == nil {
			return result
		}
	}
	return nil
}

// acceptDegraded refuses a statement that is not marked degraded, or does not
// count.
func (t *Trust) acceptDegraded(signer results.Signer, now time.Time) error {
	if signer.Degraded == nil {
		return errors.New("its statement is not marked degraded")
	}
	if t.degradedFor == 0 {
		return fmt.Errorf("its signature is degraded (without %s), and none that is degraded is accepted", strings.Join(signer.Degraded.Missing, ", "))
	}
	for _, seen := range signer.Times {
		if until := seen.Add(t.degradedFor); !now.Before(until) {
			return fmt.Errorf("its degraded signature is accepted until %s", until.Format(time.RFC3339))
		}
	}
	return nil
}

// String names the identity, for people.
func (i Identity) String() string {
	return fmt.Sprintf("identity %s of issuer %s", either(i.Subject, i.SubjectPattern), either(i.Issuer, i.IssuerPattern))
}

func either(exact, pattern string) string {
	if exact != "" {
		return fmt.Sprintf("%q", exact)
	}
	return "matching " + fmt.Sprintf("%q", pattern)
}

func (i Identity) matcher() (verify.CertificateIdentity, error) {
	none := verify.CertificateIdentity{}
	issuer, err := whole("issuer", i.Issuer, i.IssuerPattern)
	if err != nil {
		return none, err
	}
	subject, err := whole("subject", i.Subject, i.SubjectPattern)
	if err != nil {
		return none, err
	}
	wanted, err := verify.NewShortCertificateIdentity(i.Issuer, issuer, i.Subject, subject)
	if err != nil {
		return none, fmt.Errorf("%w: %w", ErrTrust, err)
	}
	return wanted, nil
}

// whole anchors a pattern: sigstore-go's matches a part of the text.
func whole(what, exact, pattern string) (string, error) {
	switch {
	case exact != "" && pattern != "":
		return "", fmt.Errorf("%w: the identity's %s is given exactly and as a pattern", ErrTrust, what)
	case exact == "" && pattern == "":
		return "", fmt.Errorf("%w: the identity has no %s", ErrTrust, what)
	case exact != "":
		return "", nil
	}
	if _, err := regexp.Compile(pattern); err != nil {
		return "", fmt.Errorf("%w: the pattern of the identity's %s: %w", ErrTrust, what, err)
	}
	return `\A(?:` + pattern + `)\z`, nil
}

func (e Evidence) options(material root.TrustedMaterial) ([]verify.VerifierOption, error) {
	logs, authorities := len(material.RekorLogs()), len(material.TimestampingAuthorities())
	if e.Logs == None {
		// Only a log that is asked for gives a time.
		logs = 0
	}
	var options []verify.VerifierOption
	for _, c := range []struct {
		what        string
		wanted      int
		there       int
		dispensable bool
		option      func(int) verify.VerifierOption
	}{
		{"transparency logs", e.Logs, logs, true, verify.WithTransparencyLog},
		{"certificate transparency logs", e.CertificateLogs, len(material.CTLogs()), true, verify.WithSignedCertificateTimestamps},
		{"timestamps", e.Timestamps, logs + authorities, false, verify.WithObserverTimestamps},
	} {
		wanted := c.wanted
		switch {
		case wanted == None && c.dispensable:
			continue
		case wanted < 0:
			return nil, fmt.Errorf("%w: %d %s are no evidence", ErrTrust, wanted, c.what)
		case wanted == 0:
			wanted = 1
		}
		if c.there < wanted {
			return nil, fmt.Errorf("%w: %d %s are asked for, and the trusted root has %d", ErrTrust, wanted, c.what, c.there)
		}
		options = append(options, c.option(wanted))
	}
	return options, nil
}

// String names who is trusted, for people.
func (t *Trust) String() string {
	if t == nil || t.verify == nil {
		return "nobody"
	}
	return t.name
}

// Key is the trusted key; nil when an identity is trusted.
func (t *Trust) Key() *key.Public {
	if t == nil {
		return nil
	}
	return t.key
}

func (t *Trust) signer(result *verify.VerificationResult) results.Signer {
	if t.key != nil {
		return results.Signer{KeyHint: t.key.Hint()}
	}
	signer := results.Signer{
		Identity:   result.Signature.Certificate.SubjectAlternativeName,
		Issuer:     result.Signature.Certificate.Issuer,
		Repository: result.Signature.Certificate.SourceRepositoryURI,
	}
	for _, seen := range result.VerifiedTimestamps {
		signer.Times = append(signer.Times, seen.Timestamp.UTC())
	}
	return signer
}

// material is the one key, whatever a bundle's hint says: a hint is not signed.
func material(public *key.Public) root.TrustedMaterial {
	only := root.NewExpiringKey(public.Verifier(), time.Time{}, time.Time{})
	return root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) { return only, nil })
}

// otherKey helps a reader who checks with the wrong key.
func (t *Trust) otherKey(b *sigstore.Bundle) string {
	if t.key == nil {
		return ""
	}
	content, err := b.VerificationContent()
	if err != nil || content.PublicKey() == nil {
		return " (the bundle names no key)"
	}
	if hint := content.PublicKey().Hint(); hint != t.key.Hint() {
		return fmt.Sprintf(" (it names another key, %q)", cut(hint))
	}
	return ""
}
