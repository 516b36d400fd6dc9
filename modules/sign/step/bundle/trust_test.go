package bundle_test

import (
	"crypto/x509"
	"encoding/json"
	"strings"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/drill/sigstore/standin"
	"slipway/drill/sigstore/standintest"
	"slipway/sign/step/bundle"
)

const (
	who    = "release@example.org"
	issuer = "https://issuer.example.org"
)

// evidence asks for no certificate transparency: the stand-in's certificates have none.
var evidence = bundle.Evidence{CertificateLogs: bundle.None}

func statementAbout(t *testing.T, digest string) []byte {
	t.Helper()
	statement, err := bundle.NewStatement(digest, "https://example.org/verdict/v1", []byte(`{"passed":true}`), map[string]string{"app": "hello"})
	require.NoError(t, err)
	data, err := json.Marshal(statement)
	require.NoError(t, err)
	return data
}

// material is what a Sigstore's trusted root holds.
func material(t *testing.T, s *standintest.Services) *root.TrustedRoot {
	t.Helper()
	parsed, err := root.NewTrustedRootFromJSON(s.Root(t))
	require.NoError(t, err)
	return parsed
}

func identity(t *testing.T, root []byte, i bundle.Identity, e bundle.Evidence) *bundle.Trust {
	t.Helper()
	parsed, err := bundle.ParseRoot(root)
	require.NoError(t, err)
	trust, err := bundle.TrustIdentities([]bundle.Identity{i}, parsed, e)
	require.NoError(t, err)
	return trust
}

func TestAnIdentityIsVerified(t *testing.T) {
	s := standintest.New(t)
	root, statement := s.Root(t), statementAbout(t, digest)
	for name, data := range map[string][]byte{
		"Rekor v1":                               s.Attest(t, who, issuer, statement),
		"Rekor v1, its own time only":            s.Attest(t, who, issuer, statement, standintest.WithoutTimestamp),
		"Rekor v1, a timestamp authority's time": s.Attest(t, who, issuer, statement, standintest.WithoutPromise),
		"Rekor v2":                               s.AttestV2(t, who, issuer, statement),
	} {
		t.Run(name, func(t *testing.T) {
			for _, i := range []bundle.Identity{
				{Subject: who, Issuer: issuer},
				{SubjectPattern: `[a-z]+@example\.org`, Issuer: issuer},
				{Subject: who, IssuerPattern: `https://(issuer|other)\.example\.org`},
			} {
				verified, err := identity(t, root, i, evidence).Verify(data, digest)
				require.NoError(t, err)
				assert.Equal(t, "https://example.org/verdict/v1", verified.Statement.PredicateType)
				assert.Equal(t, map[string]string{"app": "hello"}, verified.Statement.Claims(digest))
				assert.Equal(t, who, verified.Signer.Identity)
				assert.Equal(t, issuer, verified.Signer.Issuer)
				assert.Empty(t, verified.Signer.KeyHint)
				assert.NotEmpty(t, verified.Signer.Times)
			}
			signer, err := identity(t, root, bundle.Identity{Subject: who, Issuer: issuer}, evidence).VerifyAny(data, digest)
			require.NoError(t, err)
			assert.Equal(t, who, signer.Identity)
		})
	}
}

func TestAnIdentityIsRefused(t *testing.T) {
	s, stranger := standintest.New(t), standintest.New(t)
	statement := statementAbout(t, digest)
	good := s.Attest(t, who, issuer, statement)
	right := bundle.Identity{Subject: who, Issuer: issuer}
	// The log's clock is another than the authorities'.
	logged := func(later time.Duration) []byte {
		s.Ago(-later, standin.Rekor1)
		defer s.Ago(0)
		return s.Attest(t, who, issuer, statement)
	}
	ours := material(t, s)
	anotherAuthority, err := root.NewTrustedRoot(root.TrustedRootMediaType01, material(t, stranger).FulcioCertificateAuthorities(), ours.CTLogs(), ours.TimestampingAuthorities(), ours.RekorLogs())
	require.NoError(t, err)
	another, err := anotherAuthority.MarshalJSON()
	require.NoError(t, err)
	for name, c := range map[string]struct {
		data     []byte
		identity bundle.Identity
		evidence bundle.Evidence
		root     []byte
		digest   string
		reason   string
	}{
		"wrong issuer":                  {identity: bundle.Identity{Subject: who, Issuer: "https://other.example.org"}, reason: "expected issuer value"},
		"wrong identity":                {identity: bundle.Identity{Subject: "other@example.org", Issuer: issuer}, reason: "expected SAN value"},
		"part of the identity":          {identity: bundle.Identity{SubjectPattern: "release@example", Issuer: issuer}, reason: "match regex"},
		"part of the issuer":            {identity: bundle.Identity{Subject: who, IssuerPattern: "https://issuer"}, reason: "match regex"},
		"alternatives are anchored":     {identity: bundle.Identity{SubjectPattern: "nobody|release", Issuer: issuer}, reason: "match regex"},
		"other digest":                  {digest: "sha256:" + strings.Repeat("cd", 32), reason: "digest"},
		"no digest":                     {digest: "sha256:", reason: "is not valid"},
		"no log entry":                  {data: s.Attest(t, who, issuer, statement, standintest.WithoutLog), reason: "not enough verified log entries"},
		"no time":                       {data: s.AttestV2(t, who, issuer, statement, standintest.WithoutTimestamp), reason: "threshold not met"},
		"expired when it was logged":    {data: logged(30 * time.Minute), reason: "outside certificate validity"},
		"logged before the certificate": {data: logged(-30 * time.Minute), reason: "outside certificate validity"},
		"another Sigstore":              {root: stranger.Root(t), reason: "not enough verified log entries"},
		"another authority":             {root: another, reason: "leaf certificate verification failed"},
		"no certificate transparency":   {evidence: bundle.Evidence{Logs: 1, Timestamps: 1, CertificateLogs: 1}, reason: "SCT"},
		"too few times":                 {data: s.Attest(t, who, issuer, statement, standintest.WithoutTimestamp), evidence: bundle.Evidence{Timestamps: 2, CertificateLogs: bundle.None}, reason: "threshold not met"},
		"a key's bundle":                {data: signed(t, newSigner(t)), reason: "not enough verified log entries"},
		"a log that doesn't count gives no time": {data: s.Attest(t, who, issuer, statement, standintest.WithoutTimestamp),
			evidence: bundle.Evidence{Logs: bundle.None, CertificateLogs: bundle.None}, reason: "threshold not met"},
		"another statement": {data: s.Attest(t, who, issuer, statement, func(b *protobundle.Bundle) {
			b.GetDsseEnvelope().Payload = []byte(strings.Replace(string(statement), `"passed":true`, `"passed":null`, 1))
		}), reason: "payload hash"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.data == nil {
				c.data = good
			}
			if c.identity == (bundle.Identity{}) {
				c.identity = right
			}
			if c.evidence == (bundle.Evidence{}) {
				c.evidence = evidence
			}
			if c.root == nil {
				c.root = s.Root(t)
			}
			if c.digest == "" {
				c.digest = digest
			}
			trust := identity(t, c.root, c.identity, c.evidence)
			verified, err := trust.Verify(c.data, c.digest)
			require.Error(t, err)
			assert.Nil(t, verified)
			assert.ErrorContains(t, err, c.reason)
			if c.digest != "sha256:" {
				assert.ErrorIs(t, err, bundle.ErrUntrusted)
			}
			_, err = trust.VerifyAny(c.data, c.digest)
			assert.ErrorContains(t, err, c.reason)
		})
	}
}

// An organisation without a log may say so; a time it needs all the same.
func TestALogCanBeLeftOutOnlyByName(t *testing.T) {
	s := standintest.New(t)
	data := s.Attest(t, who, issuer, statementAbout(t, digest), standintest.WithoutLog)
	right := bundle.Identity{Subject: who, Issuer: issuer}
	_, err := identity(t, s.Root(t), right, bundle.Evidence{Logs: bundle.None, CertificateLogs: bundle.None}).Verify(data, digest)
	assert.NoError(t, err)
	_, err = identity(t, s.Root(t), right, evidence).Verify(data, digest)
	assert.ErrorIs(t, err, bundle.ErrUntrusted)
}

func TestAKeyIsNoIdentity(t *testing.T) {
	s := standintest.New(t)
	data := s.Attest(t, who, issuer, statementAbout(t, digest))
	_, err := bundle.TrustKey(newSigner(t).Public()).Verify(data, digest)
	assert.ErrorIs(t, err, bundle.ErrUntrusted)
	assert.ErrorContains(t, err, "the bundle names no key")
}

func TestNobodyIsTrustedByDefault(t *testing.T) {
	signer := newSigner(t)
	for _, nobody := range []*bundle.Trust{nil, {}} {
		_, err := nobody.Verify(signed(t, signer), digest)
		assert.ErrorIs(t, err, bundle.ErrUntrusted)
		assert.Equal(t, "nobody", nobody.String())
		assert.Nil(t, nobody.Key())
	}
	assert.Equal(t, "key "+signer.Public().Hint(), bundle.TrustKey(signer.Public()).String())
}

func TestTrustIdentityRefuses(t *testing.T) {
	s := standintest.New(t)
	root, err := bundle.ParseRoot(s.Root(t))
	require.NoError(t, err)
	right := bundle.Identity{Subject: who, Issuer: issuer}
	for name, c := range map[string]struct {
		identity bundle.Identity
		root     *bundle.Root
		evidence bundle.Evidence
		reason   string
	}{
		"no root":          {right, nil, evidence, "needs a trusted root"},
		"empty root":       {right, &bundle.Root{}, evidence, "needs a trusted root"},
		"no issuer":        {bundle.Identity{Subject: who}, root, evidence, "has no issuer"},
		"no subject":       {bundle.Identity{Issuer: issuer}, root, evidence, "has no subject"},
		"both subjects":    {bundle.Identity{Subject: who, SubjectPattern: ".*", Issuer: issuer}, root, evidence, "subject is given exactly and as a pattern"},
		"bad pattern":      {bundle.Identity{SubjectPattern: "(", Issuer: issuer}, root, evidence, "pattern of the identity's subject"},
		"leaves its group": {bundle.Identity{SubjectPattern: "a)|(b", Issuer: issuer}, root, evidence, "pattern of the identity's subject"},
		"no times":         {right, root, bundle.Evidence{Timestamps: bundle.None}, "-1 timestamps are no evidence"},
		"fewer than none":  {right, root, bundle.Evidence{Logs: -2}, "-2 transparency logs are no evidence"},
		"too many logs":    {right, root, bundle.Evidence{Logs: 3}, "3 transparency logs are asked for, and the trusted root has 2"},
	} {
		t.Run(name, func(t *testing.T) {
			trust, err := bundle.TrustIdentities([]bundle.Identity{c.identity}, c.root, c.evidence)
			require.ErrorIs(t, err, bundle.ErrTrust)
			assert.ErrorContains(t, err, c.reason)
			assert.Nil(t, trust)
		})
	}
	for name, data := range map[string]string{
		"empty": "", "text": "hello", "other JSON": `{}`,
		"no authority": `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`,
	} {
		_, err := bundle.ParseRoot([]byte(data))
		assert.ErrorIs(t, err, bundle.ErrTrust, name)
	}
}

// Older bundles may bring a chain: what is trusted is the trusted root's alone.
func TestAChainMayNotBringItsRoot(t *testing.T) {
	s := standintest.New(t)
	authority := material(t, s).FulcioCertificateAuthorities()[0].(*root.FulcioCertificateAuthority)
	trust := identity(t, s.Root(t), bundle.Identity{Subject: who, Issuer: issuer}, evidence)
	attest := func(more ...*x509.Certificate) []byte {
		return s.Attest(t, who, issuer, statementAbout(t, digest), func(b *protobundle.Bundle) {
			b.MediaType = "application/vnd.dev.sigstore.bundle+json;version=0.2"
			chain := []*protocommon.X509Certificate{b.VerificationMaterial.GetCertificate()}
			for _, certificate := range more {
				chain = append(chain, &protocommon.X509Certificate{RawBytes: certificate.Raw})
			}
			b.VerificationMaterial.Content = &protobundle.VerificationMaterial_X509CertificateChain{
				X509CertificateChain: &protocommon.X509CertificateChain{Certificates: chain},
			}
		})
	}
	_, err := trust.Verify(attest(authority.Intermediates...), digest)
	assert.NoError(t, err)
	_, err = trust.Verify(attest(authority.Intermediates[0], authority.Root), digest)
	assert.ErrorIs(t, err, bundle.ErrMalformed)
	assert.ErrorContains(t, err, "its certificate chain holds a root")
}
