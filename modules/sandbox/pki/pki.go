// Package pki derives a sandbox cluster's keys and certificates from one
// secret seed, so that nothing but the seed has to be kept: whoever holds it can
// make the cluster and the kubeconfig that reaches it.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

// MinSeed is the shortest seed, in bytes.
const MinSeed = 26

// Certificates are valid for a year before and after they are made: a laptop's
// clock may be off, and they are made again at each start.
const validity = 365 * 24 * time.Hour

// Authority signs the cluster's certificates.
type Authority struct {
	seed []byte
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// New derives the authority from a seed. Each call makes another certificate of
// the same name and key; verifiers accept any of them for all.
func New(seed []byte) (*Authority, error) {
	if len(strings.TrimSpace(string(seed))) < MinSeed {
		return nil, fmt.Errorf("the seed is shorter than %d characters: give one made with a random generator", MinSeed)
	}
	a := &Authority{seed: []byte(strings.TrimSpace(string(seed)))}
	var err error
	if a.key, err = a.Key("ca"); err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "slipway-sandbox"}, SerialNumber: big.NewInt(1),
		NotBefore: time.Now().Add(-validity), NotAfter: time.Now().Add(validity),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("make the authority's certificate: %w", err)
	}
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

// Key derives the P-256 key with this name (HKDF, RFC 5869, with SHA-256).
func (a *Authority) Key(name string) (*ecdsa.PrivateKey, error) {
	// A candidate is too large for the curve with a chance of 2^-32.
	for n := range 8 {
		raw, err := hkdf.Key(sha256.New, a.seed, nil, fmt.Sprintf("slipway sandbox key %s %d", name, n), 32)
		if err != nil {
			return nil, err
		}
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw); err == nil {
			return key, nil
		}
	}
	return nil, fmt.Errorf("derive key %s: no candidate fits the curve", name)
}

// Password derives the password with this name: 32 characters that are safe in
// URLs and files.
func (a *Authority) Password(name string) (string, error) {
	raw, err := hkdf.Key(sha256.New, a.seed, nil, "slipway sandbox password "+name, 24)
	return base64.RawURLEncoding.EncodeToString(raw), err
}

// Certificate is the authority's certificate, in PEM.
func (a *Authority) Certificate() []byte { return encodeCertificate(a.cert.Raw) }

// Pair is a certificate and its private key, in PEM.
type Pair struct{ Certificate, Key []byte }

// Client makes a client certificate: Kubernetes takes the user's name from its
// common name and the groups from its organizations.
func (a *Authority) Client(user string, groups ...string) (*Pair, error) {
	return a.issue("client "+user, &x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// Server makes a server certificate for host names and IP addresses. It serves
// as a client certificate too, for servers that talk to their peers.
func (a *Authority) Server(name string, hosts ...string) (*Pair, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.issue("server "+name, template)
}

func (a *Authority) issue(name string, template *x509.Certificate) (*Pair, error) {
	key, err := a.Key(name)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = time.Now().Add(-validity), time.Now().Add(validity)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue %s: %w", name, err)
	}
	pem, err := EncodeKey(key)
	return &Pair{Certificate: encodeCertificate(der), Key: pem}, err
}

// EncodeKey writes a private key in PEM (SEC 1), as Kubernetes reads it.
func EncodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), err
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// Kubeconfig is a client configuration for the API server at a URL, as JSON, which is
// YAML as well.
func (a *Authority) Kubeconfig(server, user string, groups ...string) (string, error) {
	pair, err := a.Client(user, groups...)
	if err != nil {
		return "", err
	}
	type object = map[string]any
	text, err := json.MarshalIndent(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "slipway",
		"clusters": []object{{"name": "slipway", "cluster": object{"server": server, "certificate-authority-data": a.Certificate()}}},
		"users":    []object{{"name": user, "user": object{"client-certificate-data": pair.Certificate, "client-key-data": pair.Key}}},
		"contexts": []object{{"name": "slipway", "context": object{"cluster": "slipway", "user": user}}},
	}, "", "  ")
	return string(text) + "\n", err
}
