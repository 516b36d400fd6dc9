package standin

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/digitorus/timestamp"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekortiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore/pkg/signature"
	formats "github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"
)

// publicOnly is a key to certify: its private half is the caller's.
type publicOnly struct{ key crypto.PublicKey }

func (p publicOnly) Public() crypto.PublicKey { return p.key }
func (p publicOnly) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the private key is not here")
}

// certify is Fulcio's POST /api/v2/signingCert.
func (s *Services) certify(r *http.Request) (int, http.Header, []byte, error) {
	if r.URL.Path != "/api/v2/signingCert" {
		return 0, nil, nil, fmt.Errorf("no %s here", r.URL.Path)
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	parts := strings.Split(token, ".")
	if !ok || len(parts) != 3 {
		return 0, nil, nil, errors.New("no token")
	}
	var claims struct{ Email, Iss string }
	if data, err := base64.RawURLEncoding.DecodeString(parts[1]); err != nil || json.Unmarshal(data, &claims) != nil {
		return 0, nil, nil, errors.New("no claims")
	}
	var request struct {
		PublicKeyRequest struct {
			PublicKey         struct{ Content string }
			ProofOfPossession []byte
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return 0, nil, nil, err
	}
	block, _ := pem.Decode([]byte(request.PublicKeyRequest.PublicKey.Content))
	if block == nil {
		return 0, nil, nil, errors.New("no key")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return 0, nil, nil, err
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	sum := sha256.Sum256([]byte(claims.Email))
	if !ok || !ecdsa.VerifyASN1(public, sum[:], request.PublicKeyRequest.ProofOfPossession) {
		return 0, nil, nil, errors.New("no proof of possession")
	}
	leaf, err := ca.GenerateLeafCert(claims.Email, claims.Iss, s.now(Fulcio), publicOnly{public}, s.authority.Intermediates[0], s.authorityKey)
	if err != nil {
		return 0, nil, nil, err
	}
	body, err := json.Marshal(map[string]any{"signedCertificateEmbeddedSct": map[string]any{"chain": map[string]any{"certificates": []string{
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})),
	}}}})
	return http.StatusOK, nil, body, err
}

// stamp is a timestamp authority's POST (RFC 3161).
func (s *Services) stamp(r *http.Request) (int, http.Header, []byte, error) {
	query, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil, nil, err
	}
	request, err := timestamp.ParseRequest(query)
	if err != nil {
		return 0, nil, nil, err
	}
	answer := timestamp.Timestamp{
		HashAlgorithm: request.HashAlgorithm, HashedMessage: request.HashedMessage, Time: s.now(TSA),
		Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2},
	}
	body, err := answer.CreateResponseWithOpts(s.times.Leaf, s.timesKey, crypto.SHA256)
	return http.StatusCreated, nil, body, err
}

// log is Rekor v1's POST /api/v1/log/entries, for DSSE envelopes.
func (s *Services) log(r *http.Request) (int, http.Header, []byte, error) {
	var request struct {
		Kind string
		Spec struct {
			ProposedContent struct {
				Envelope  string
				Verifiers [][]byte
			}
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return 0, nil, nil, err
	}
	content := request.Spec.ProposedContent
	if r.URL.Path != "/api/v1/log/entries" || request.Kind != "dsse" || len(content.Verifiers) != 1 {
		return 0, nil, nil, fmt.Errorf("no %s with %q here", r.URL.Path, request.Kind)
	}
	var envelope dsse.Envelope
	if err := json.Unmarshal([]byte(content.Envelope), &envelope); err != nil {
		return 0, nil, nil, err
	}
	block, _ := pem.Decode(content.Verifiers[0])
	if block == nil || len(envelope.Signatures) != 1 {
		return 0, nil, nil, errors.New("no certificate or signature")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return 0, nil, nil, err
	}
	sig, err := base64.StdEncoding.DecodeString(envelope.Signatures[0].Sig)
	if err != nil {
		return 0, nil, nil, err
	}
	made, err := s.log1.GenerateTlogEntry(leaf, &envelope, sig, s.now(Rekor1).Unix(), true)
	if err != nil {
		return 0, nil, nil, err
	}
	entry := made.TransparencyLogEntry()
	id := hex.EncodeToString(entry.LogId.KeyId)
	promise, err := s.log1.RekorSignPayload(tlog.RekorPayload{Body: made.Body(), IntegratedTime: entry.IntegratedTime, LogIndex: entry.LogIndex, LogID: id})
	if err != nil {
		return 0, nil, nil, err
	}
	const uuid = "stand-in-entry"
	body, err := json.Marshal(map[string]any{uuid: map[string]any{
		"body": made.Body(), "integratedTime": entry.IntegratedTime, "logID": id, "logIndex": entry.LogIndex,
		"verification": map[string]any{
			"signedEntryTimestamp": promise,
			"inclusionProof": map[string]any{
				"checkpoint": entry.InclusionProof.Checkpoint.Envelope, "hashes": []string{}, "logIndex": entry.InclusionProof.LogIndex,
				"rootHash": hex.EncodeToString(entry.InclusionProof.RootHash), "treeSize": entry.InclusionProof.TreeSize,
			},
		},
	}})
	return http.StatusCreated, http.Header{"Content-Type": {"application/json"}, "Etag": {uuid}}, body, err
}

const log2Origin = "rekor2.localhost"

// logTiles is Rekor v2's POST /api/v2/log/entries: each entry is alone in a
// tree of its own.
func (s *Services) logTiles(r *http.Request) (int, http.Header, []byte, error) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, nil, nil, err
	}
	var request rekortiles.CreateEntryRequest
	if err := protojson.Unmarshal(data, &request); err != nil {
		return 0, nil, nil, err
	}
	record := request.GetHashedRekordRequestV002()
	if r.URL.Path != "/api/v2/log/entries" || record == nil {
		return 0, nil, nil, fmt.Errorf("no %s here", r.URL.Path)
	}
	encoded, err := protojson.Marshal(&rekortiles.Entry{ApiVersion: "0.0.2", Kind: "hashedrekord", Spec: &rekortiles.Spec{Spec: &rekortiles.Spec_HashedRekordV002{
		HashedRekordV002: &rekortiles.HashedRekordLogEntryV002{
			Data:      &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: record.Digest},
			Signature: record.Signature,
		},
	}}})
	if err != nil {
		return 0, nil, nil, err
	}
	body, err := jsoncanonicalizer.Transform(encoded)
	if err != nil {
		return 0, nil, nil, err
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(body)
	checkpoint, err := s.checkpoint(leaf)
	if err != nil {
		return 0, nil, nil, err
	}
	answer, err := protojson.Marshal(&protorekor.TransparencyLogEntry{
		LogId: &protocommon.LogId{KeyId: logID(s.log2.Public())}, KindVersion: &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		InclusionProof:    &protorekor.InclusionProof{TreeSize: 1, RootHash: leaf, Checkpoint: &protorekor.Checkpoint{Envelope: checkpoint}},
		CanonicalizedBody: body,
	})
	return http.StatusCreated, nil, answer, err
}

func (s *Services) checkpoint(hash []byte) (string, error) {
	key, err := signature.LoadECDSASignerVerifier(s.log2, crypto.SHA256)
	if err != nil {
		return "", err
	}
	signer, err := rekornote.NewNoteSigner(context.Background(), log2Origin, key)
	if err != nil {
		return "", err
	}
	text := formats.Checkpoint{Origin: log2Origin, Size: 1, Hash: hash}.Marshal()
	signed, err := note.Sign(&note.Note{Text: string(text)}, signer)
	return string(signed), err
}

// logID names a log by its key: the SHA-256 digest of its SubjectPublicKeyInfo.
func logID(public crypto.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(der)
	return sum[:]
}
