// Package standin is a Sigstore for tests and drills. Its certificate authority,
// timestamp authority and logs (Rekor v1 and v2) answer as the real ones do; they
// believe every token, and keep nothing.
package standin

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
)

// Service names one of the stand-ins.
type Service string

// The services.
const (
	Fulcio Service = "fulcio"
	TSA    Service = "tsa"
	Rekor1 Service = "rekor1"
	Rekor2 Service = "rekor2"
)

// All are the services of one Sigstore.
func All() []Service { return []Service{Fulcio, TSA, Rekor1, Rekor2} }

// Services are the stand-ins of one Sigstore.
type Services struct {
	mu      sync.Mutex
	answers map[Service]http.HandlerFunc
	asked   map[Service]int
	ago     map[Service]time.Duration

	authority    *root.FulcioCertificateAuthority
	authorityKey crypto.Signer
	times        *root.SigstoreTimestampingAuthority
	timesKey     *ecdsa.PrivateKey
	log1         *ca.VirtualSigstore
	log2         *ecdsa.PrivateKey
}

// New makes the services' keys.
func New() (*Services, error) {
	s := &Services{answers: map[Service]http.HandlerFunc{}, asked: map[Service]int{}, ago: map[Service]time.Duration{}}
	return s, s.makeKeys()
}

// Handler answers for a service; another name than those of All answers 404.
func (s *Services) Handler(service Service) http.Handler {
	answer := map[Service]func(*http.Request) (int, http.Header, []byte, error){
		Fulcio: s.certify, TSA: s.stamp, Rekor1: s.log, Rekor2: s.logTiles,
	}[service]
	if answer == nil {
		return http.NotFoundHandler()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked[service]++
		instead := s.answers[service]
		s.mu.Unlock()
		if instead != nil {
			instead(w, r)
			return
		}
		status, header, body, err := answer(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = w.Write(body)
	})
}

// Answer lets something else answer for a service; nil gives it back.
func (s *Services) Answer(service Service, answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[service] = answer
}

// Down lets a service answer with a status.
func (s *Services) Down(service Service, status int) {
	s.Answer(service, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "out of order", status) })
}

// Ago sets services' clocks back; by default all of them. The timestamp authority's
// certificate is only a minute old: its clock goes less than two minutes back.
func (s *Services) Ago(ago time.Duration, of ...Service) {
	if len(of) == 0 {
		of = All()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, service := range of {
		s.ago[service] = ago
	}
}

func (s *Services) now(of Service) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(-s.ago[of])
}

// Asked is how often a service was asked.
func (s *Services) Asked(service Service) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[service]
}

// Token is an OIDC token's shape, for an e-mail address: nobody signed it.
func Token(email, issuer string) []byte {
	claims, err := json.Marshal(map[string]any{"iss": issuer, "sub": email, "email": email, "email_verified": true, "aud": "sigstore"})
	if err != nil {
		panic(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return []byte(encode([]byte(`{"alg":"none"}`)) + "." + encode(claims) + "." + encode([]byte("stand-in-signature")))
}

// Root is the services' trusted_root.json. It names a certificate transparency log,
// which vouches for none of the certificates.
func (s *Services) Root() ([]byte, error) {
	logs, certificateLogs := s.log1.RekorLogs(), s.log1.CTLogs()
	for _, all := range []map[string]*root.TransparencyLog{logs, certificateLogs} {
		for id, log := range all {
			var err error
			if log.ID, err = hex.DecodeString(id); err != nil {
				return nil, err
			}
		}
	}
	id := logID(s.log2.Public())
	logs[hex.EncodeToString(id)] = &root.TransparencyLog{
		BaseURL: "https://" + log2Origin, ID: id, HashFunc: crypto.SHA256, SignatureHashFunc: crypto.SHA256, PublicKey: s.log2.Public(),
		ValidityPeriodStart: time.Now().Add(-time.Hour),
	}
	made, err := root.NewTrustedRoot(root.TrustedRootMediaType01, []root.CertificateAuthority{s.authority}, certificateLogs, []root.TimestampingAuthority{s.times}, logs)
	if err != nil {
		return nil, err
	}
	return made.MarshalJSON()
}

func (s *Services) makeKeys() error {
	rootCertificate, rootKey, err := ca.GenerateRootCa()
	if err != nil {
		return err
	}
	intermediate, intermediateKey, err := ca.GenerateFulcioIntermediate(rootCertificate, rootKey)
	if err != nil {
		return err
	}
	start := time.Now().Add(-time.Hour)
	s.authority = &root.FulcioCertificateAuthority{
		Root: rootCertificate, Intermediates: []*x509.Certificate{intermediate}, ValidityPeriodStart: start, URI: "https://fulcio.localhost",
	}
	s.authorityKey = intermediateKey
	timesIntermediate, timesIntermediateKey, err := ca.GenerateTSAIntermediate(rootCertificate, rootKey)
	if err != nil {
		return err
	}
	s.timesKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf, err := ca.GenerateTSALeafCert(time.Now().Add(-time.Minute), s.timesKey, timesIntermediate, timesIntermediateKey)
	if err != nil {
		return err
	}
	s.times = &root.SigstoreTimestampingAuthority{
		Root: rootCertificate, Intermediates: []*x509.Certificate{timesIntermediate}, Leaf: leaf, ValidityPeriodStart: start, URI: "https://tsa.localhost",
	}
	s.log1, err = ca.NewVirtualSigstore()
	if err != nil {
		return err
	}
	s.log2, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return err
}
