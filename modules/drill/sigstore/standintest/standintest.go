// Package standintest serves a stand-in Sigstore on loopback, for tests, and has
// bundles made by it.
package standintest

import (
	"net/http/httptest"
	"testing"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/stretchr/testify/require"

	"slipway/drill/sigstore/standin"
)

// Services are the services of one Sigstore, each at an address of its own.
type Services struct {
	*standin.Services
	servers map[standin.Service]*httptest.Server
}

// New starts the services; they end with the test.
func New(t testing.TB) *Services {
	t.Helper()
	services, err := standin.New()
	require.NoError(t, err)
	s := &Services{Services: services, servers: map[standin.Service]*httptest.Server{}}
	for _, service := range standin.All() {
		s.servers[service] = httptest.NewServer(services.Handler(service))
		t.Cleanup(s.servers[service].Close)
	}
	return s
}

// URL is where a service is.
func (s *Services) URL(service standin.Service) string { return s.servers[service].URL }

// Stop closes a service's port.
func (s *Services) Stop(service standin.Service) { s.servers[service].Close() }

// Root is the services' trusted_root.json.
func (s *Services) Root(t testing.TB) []byte {
	t.Helper()
	data, err := s.Services.Root()
	require.NoError(t, err)
	return data
}

// Change changes a bundle before it is encoded.
type Change func(*protobundle.Bundle)

// WithoutLog takes the log's entry out.
func WithoutLog(b *protobundle.Bundle) { b.VerificationMaterial.TlogEntries = nil }

// WithoutTimestamp takes the timestamp authority's answer out.
func WithoutTimestamp(b *protobundle.Bundle) { b.VerificationMaterial.TimestampVerificationData = nil }

// WithoutPromise takes the log's signed time out and leaves its proof.
func WithoutPromise(b *protobundle.Bundle) {
	for _, entry := range b.VerificationMaterial.TlogEntries {
		entry.InclusionPromise = nil
	}
}

// Attest is a bundle with the in-toto statement by an identity, timestamped and logged
// in Rekor v1.
func (s *Services) Attest(t testing.TB, identity, issuer string, statement []byte, changes ...Change) []byte {
	t.Helper()
	return s.attest(t, standin.Rekor1, 1, standin.Token(identity, issuer), statement, changes)
}

// AttestV2 is Attest with Rekor v2, which signs no time.
func (s *Services) AttestV2(t testing.TB, identity, issuer string, statement []byte, changes ...Change) []byte {
	t.Helper()
	return s.attest(t, standin.Rekor2, 2, standin.Token(identity, issuer), statement, changes)
}

func (s *Services) attest(t testing.TB, log standin.Service, version uint32, token, statement []byte, changes []Change) []byte {
	t.Helper()
	key, err := sign.NewEphemeralKeypair(nil)
	require.NoError(t, err)
	made, err := sign.Bundle(&sign.DSSEData{Data: statement, PayloadType: "application/vnd.in-toto+json"}, key, sign.BundleOptions{
		CertificateProvider:        sign.NewFulcio(&sign.FulcioOptions{BaseURL: s.URL(standin.Fulcio)}),
		CertificateProviderOptions: &sign.CertificateProviderOptions{IDToken: string(token)},
		TimestampAuthorities:       []*sign.TimestampAuthority{sign.NewTimestampAuthority(&sign.TimestampAuthorityOptions{URL: s.URL(standin.TSA)})},
		TransparencyLogs:           []sign.Transparency{sign.NewRekor(&sign.RekorOptions{BaseURL: s.URL(log), Version: version})},
		Context:                    t.Context(),
	})
	require.NoError(t, err)
	for _, change := range changes {
		change(made)
	}
	encoded, err := bundle.NewBundle(made)
	require.NoError(t, err)
	data, err := encoded.MarshalJSON()
	require.NoError(t, err)
	return data
}
