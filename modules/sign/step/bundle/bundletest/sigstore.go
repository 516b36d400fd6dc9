// Package bundletest makes bundles by identities, for tests: its Sigstore is a
// stand-in that lives in the test's memory (sigstore-go's virtual one), with a
// certificate authority, a log and a timestamp authority, but without
// certificate transparency.
package bundletest

import (
	"encoding/base64"
	"encoding/hex"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	sigstore "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/stretchr/testify/require"
)

// Sigstore is a stand-in for one organisation's Sigstore.
type Sigstore struct {
	// Virtual makes what tests need beyond this package's bundles.
	Virtual *ca.VirtualSigstore
}

// New makes a Sigstore with keys of its own.
func New(t testing.TB) *Sigstore {
	t.Helper()
	virtual, err := ca.NewVirtualSigstore()
	require.NoError(t, err)
	return &Sigstore{Virtual: virtual}
}

// Root is its trusted_root.json.
func (s *Sigstore) Root(t testing.TB) []byte {
	t.Helper()
	return Root(t, s.Virtual.FulcioCertificateAuthorities(), s.Virtual.TimestampingAuthorities(), s.Virtual)
}

// Root is a trusted_root.json of these authorities and a virtual Sigstore's logs.
func Root(t testing.TB, authorities []root.CertificateAuthority, times []root.TimestampingAuthority, logs *ca.VirtualSigstore) []byte {
	t.Helper()
	made, err := root.NewTrustedRoot(root.TrustedRootMediaType01, authorities, named(t, logs.CTLogs()), times, named(t, logs.RekorLogs()))
	require.NoError(t, err)
	data, err := made.MarshalJSON()
	require.NoError(t, err)
	return data
}

// named gives logs their ids as bytes: the virtual Sigstore has them as text.
func named(t testing.TB, logs map[string]*root.TransparencyLog) map[string]*root.TransparencyLog {
	t.Helper()
	for id, log := range logs {
		var err error
		log.ID, err = hex.DecodeString(id)
		require.NoError(t, err)
	}
	return logs
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

// Attest is a bundle with the statement by an identity, logged (Rekor v1) and
// timestamped now.
func (s *Sigstore) Attest(t testing.TB, identity, issuer string, statement []byte, changes ...Change) []byte {
	t.Helper()
	return s.AttestAt(t, identity, issuer, statement, time.Now(), changes...)
}

// AttestAt is Attest with another time of the log: the certificate is valid for
// ten minutes from now.
func (s *Sigstore) AttestAt(t testing.TB, identity, issuer string, statement []byte, logged time.Time, changes ...Change) []byte {
	t.Helper()
	entity, err := s.Virtual.AttestAtTime(identity, issuer, statement, logged, true)
	require.NoError(t, err)
	return s.encode(t, entity, "dsse", "0.0.1", changes)
}

// AttestV2 is Attest with a log of Rekor v2, which signs no time.
func (s *Sigstore) AttestV2(t testing.TB, identity, issuer string, statement []byte, changes ...Change) []byte {
	t.Helper()
	entity, err := s.Virtual.AttestHashedRekordV2(identity, issuer, statement)
	require.NoError(t, err)
	return s.encode(t, entity, "hashedrekord", "0.0.2", changes)
}

func (s *Sigstore) encode(t testing.TB, entity *ca.TestEntity, kind, version string, changes []Change) []byte {
	t.Helper()
	material, err := entity.VerificationContent()
	require.NoError(t, err)
	content, err := entity.SignatureContent()
	require.NoError(t, err)
	envelope := content.EnvelopeContent().RawEnvelope()
	payload, err := envelope.DecodeB64Payload()
	require.NoError(t, err)
	signature, err := base64.StdEncoding.DecodeString(envelope.Signatures[0].Sig)
	require.NoError(t, err)
	b := &protobundle.Bundle{
		MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content:                   &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: material.Certificate().Raw}},
			TimestampVerificationData: &protobundle.TimestampVerificationData{},
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: payload, PayloadType: envelope.PayloadType, Signatures: []*protodsse.Signature{{Sig: signature}},
		}},
	}
	timestamps, err := entity.Timestamps()
	require.NoError(t, err)
	for _, timestamp := range timestamps {
		data := b.VerificationMaterial.TimestampVerificationData
		data.Rfc3161Timestamps = append(data.Rfc3161Timestamps, &protocommon.RFC3161SignedTimestamp{SignedTimestamp: timestamp})
	}
	entries, err := entity.TlogEntries()
	require.NoError(t, err)
	for _, entry := range entries {
		b.VerificationMaterial.TlogEntries = append(b.VerificationMaterial.TlogEntries, s.entry(t, entry, kind, version))
	}
	for _, change := range changes {
		change(b)
	}
	encoded, err := sigstore.NewBundle(b)
	require.NoError(t, err)
	data, err := encoded.MarshalJSON()
	require.NoError(t, err)
	return data
}

// entry is a log's entry whole: the virtual Sigstore leaves the kind and, for
// Rekor v1, the signed time out.
func (s *Sigstore) entry(t testing.TB, made *tlog.Entry, kind, version string) *protorekor.TransparencyLogEntry {
	t.Helper()
	entry := made.TransparencyLogEntry()
	entry.KindVersion = &protorekor.KindVersion{Kind: kind, Version: version}
	if !made.IsRekorV2() {
		promise, err := s.Virtual.RekorSignPayload(tlog.RekorPayload{
			Body: made.Body(), IntegratedTime: entry.IntegratedTime, LogIndex: entry.LogIndex, LogID: hex.EncodeToString(entry.LogId.KeyId),
		})
		require.NoError(t, err)
		entry.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: promise}
	}
	return entry
}
