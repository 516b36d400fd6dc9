// Package vaulttest is a stand-in for the part of a HashiCorp Vault that signs: its
// transit engine's requests for a key and for a signature, with one key, and
// nothing of what protects a real one but the token.
package vaulttest

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
)

// KeyName is the name of the one key.
const KeyName = "release"

// Vault answers as a Vault does.
type Vault struct {
	// Key signs, and Token is what a request has to bring.
	Key   crypto.Signer
	Token string
	// Forge lets it sign something else than it is asked to.
	Forge bool
	// Signed counts the signatures.
	Signed atomic.Int32
}

// ServeHTTP answers a request of Vault's HTTP API.
func (v *Vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	given := r.Header.Get("X-Vault-Token")
	if subtle.ConstantTimeCompare([]byte(given), []byte(v.Token)) == 0 {
		// A service that repeats what it was given must not get it into a log.
		refuse(w, http.StatusForbidden, "permission denied for "+given)
		return
	}
	data, err := v.answer(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
}

func refuse(w http.ResponseWriter, status int, reason string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{reason}})
}

func (v *Vault) answer(r *http.Request) (map[string]any, error) {
	switch path := r.URL.Path; {
	case path == "/v1/transit/keys/"+KeyName:
		public, err := v.public()
		return map[string]any{"latest_version": 1, "keys": map[string]any{"1": public}}, err
	case strings.HasPrefix(path, "/v1/transit/sign/"+KeyName):
		return v.sign(strings.TrimPrefix(path, "/v1/transit/sign/"+KeyName), r)
	}
	return nil, fmt.Errorf("no %s here", r.URL.Path)
}

func (v *Vault) public() (map[string]any, error) {
	if raw, ok := v.Key.Public().(ed25519.PublicKey); ok {
		return map[string]any{"name": "ed25519", "public_key": base64.StdEncoding.EncodeToString(raw)}, nil
	}
	der, err := x509.MarshalPKIXPublicKey(v.Key.Public())
	return map[string]any{"name": "other", "public_key": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}, err
}

func (v *Vault) sign(hash string, r *http.Request) (map[string]any, error) {
	v.Signed.Add(1)
	var request struct {
		Input     []byte
		Prehashed bool
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return nil, err
	}
	hashes := map[string]crypto.Hash{"": 0, "/sha2-256": crypto.SHA256, "/sha2-384": crypto.SHA384}
	algorithm, ok := hashes[hash]
	if !ok || len(request.Input) == 0 || request.Prehashed != (algorithm != 0) || algorithm != 0 && len(request.Input) != algorithm.Size() {
		return nil, fmt.Errorf("can't sign %d bytes with %q", len(request.Input), hash)
	}
	if v.Forge {
		request.Input[0] ^= 1
	}
	sig, err := v.Key.Sign(rand.Reader, request.Input, algorithm)
	if err != nil {
		return nil, err
	}
	return map[string]any{"signature": "vault:v1:" + base64.StdEncoding.EncodeToString(sig)}, nil
}
