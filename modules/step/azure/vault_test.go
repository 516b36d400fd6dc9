package azure_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"slipway/step"
	"slipway/step/azure/azuretest"
)

const version = "0123456789abcdef0123456789abcdef"

// vault has one key, and change spoils its answers.
func vault(t *testing.T, a *azuretest.Azure, key crypto.Signer, change func(map[string]any)) {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	a.Hosts[azuretest.Vault] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !a.Good("https://vault.azure.test", token) || r.URL.Query().Get("api-version") != "7.4" {
			http.Error(w, "who is "+token, http.StatusUnauthorized)
			return
		}
		path := strings.TrimPrefix(r.URL.Path, "/keys/release")
		switch {
		case r.Method == http.MethodGet && (path == "" || path == "/"+version):
			public := map[string]any{"kid": "https://" + azuretest.Vault + "/keys/release/" + version, "key_ops": []string{"sign", "verify"}}
			switch key := key.Public().(type) {
			case *ecdsa.PublicKey:
				// Azure leaves no zeros out; others do.
				public["kty"], public["crv"] = "EC-HSM", key.Params().Name
				point, err := key.Bytes()
				if err != nil {
					http.Error(w, err.Error(), http.StatusInternalServerError)
					return
				}
				half := len(point)/2 + 1
				public["x"], public["y"] = b64(bytes.TrimLeft(point[1:half], "\x00")), b64(bytes.TrimLeft(point[half:], "\x00"))
			case *rsa.PublicKey:
				public["kty"], public["n"], public["e"] = "RSA", b64(key.N.Bytes()), b64(big.NewInt(int64(key.E)).Bytes())
			}
			answer := map[string]any{"key": public, "attributes": map[string]any{"enabled": true}}
			if change != nil {
				change(answer)
			}
			_ = json.NewEncoder(w).Encode(answer)
		case r.Method == http.MethodPost && path == "/"+version+"/sign":
			var asked struct{ Alg, Value string }
			if json.NewDecoder(r.Body).Decode(&asked) != nil {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			digest, _ := base64.RawURLEncoding.DecodeString(asked.Value)
			var made []byte
			switch key := key.(type) {
			case *ecdsa.PrivateKey:
				if asked.Alg != "ES256" {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				r, s, _ := ecdsa.Sign(rand.Reader, key, digest)
				made = make([]byte, 64)
				r.FillBytes(made[:32])
				s.FillBytes(made[32:])
			case *rsa.PrivateKey:
				if asked.Alg != "RS256" {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				made, _ = rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest)
			}
			_ = json.NewEncoder(w).Encode(map[string]string{"kid": "x", "value": b64(made)})
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
}

func keys(t *testing.T) (*ecdsa.PrivateKey, *rsa.PrivateKey) {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return ec, rs
}

func TestAKeySignsInItsVault(t *testing.T) {
	ec, rs := keys(t)
	digest := sha256.Sum256([]byte("release"))
	for name, key := range map[string]crypto.Signer{"EC": ec, "RSA": rs} {
		for _, uri := range []string{"azurekms://" + azuretest.Vault + "/release", "azurekms://" + azuretest.Vault + "/release/" + version, "azurekms://" + azuretest.Vault + "/keys/release/" + version} {
			t.Run(name+" "+uri, func(t *testing.T) {
				a := azuretest.Start(t)
				a.Life = 20 * time.Second
				vault(t, a, key, nil)
				k, err := open(t, a, nil).Key(t.Context(), uri)
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					a.Advance(time.Minute)
					made, err := k.Sign(t.Context(), digest[:], crypto.SHA256)
					if err != nil {
						t.Fatal(err)
					}
					switch public := k.Public.(type) {
					case *ecdsa.PublicKey:
						if !ecdsa.VerifyASN1(public, digest[:], made) || !public.Equal(key.Public()) {
							t.Fatal("the signature is not the key's")
						}
					case *rsa.PublicKey:
						if rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], made) != nil || !public.Equal(key.Public()) {
							t.Fatal("the signature is not the key's")
						}
					}
				}
				if _, err := k.Sign(t.Context(), digest[:4], crypto.SHA256); err == nil {
					t.Fatal("a part of a digest was signed")
				}
			})
		}
	}
}

func TestKeysThatAreNoneAreRefused(t *testing.T) {
	ec, _ := keys(t)
	key := func(name string, value any) func(map[string]any) {
		return func(answer map[string]any) { answer["key"].(map[string]any)[name] = value }
	}
	for name, c := range map[string]struct {
		uri    string
		change func(map[string]any)
		refuse int
		kind   step.Kind
		reason string
	}{
		"no URI":               {uri: "release", kind: step.KindInput, reason: "names no key of a vault"},
		"a path":               {uri: "azurekms://" + azuretest.Vault + "/../secrets", kind: step.KindInput, reason: "names no key of a vault"},
		"a query":              {uri: "azurekms://" + azuretest.Vault + "/release?x", kind: step.KindInput, reason: "names no key of a vault"},
		"a port":               {uri: "azurekms://" + azuretest.Vault + ":8443/release", kind: step.KindInput, reason: "names no key of a vault"},
		"a user":               {uri: "azurekms://a@" + azuretest.Vault + "/release", kind: step.KindInput, reason: "names no key of a vault"},
		"another cloud":        {uri: "azurekms://acme.vault.azure.net/release", kind: step.KindInput, reason: "is in no vault of the identity's cloud"},
		"another host":         {uri: "azurekms://acme.vault.azure.test.evil.example/release", kind: step.KindInput, reason: "is in no vault of the identity's cloud"},
		"no such key":          {uri: "azurekms://" + azuretest.Vault + "/other", kind: step.KindInput, reason: "is not in the vault"},
		"no such version":      {uri: "azurekms://" + azuretest.Vault + "/release/" + strings.Repeat("f", 32), kind: step.KindInput, reason: "is not in the vault"},
		"another key":          {change: key("kid", "https://"+azuretest.Vault+"/keys/other/"+version), kind: step.KindInfrastructure, reason: "is answered with another key"},
		"another vault's":      {change: key("kid", "https://evil.example/keys/release/"+version), kind: step.KindInfrastructure, reason: "is answered with another key"},
		"switched off":         {change: func(m map[string]any) { m["attributes"] = map[string]any{"enabled": false} }, kind: step.KindInput, reason: "is switched off"},
		"one that wraps":       {change: key("key_ops", []string{"wrapKey"}), kind: step.KindInput, reason: "is not for signing"},
		"another curve":        {change: key("crv", "P-256K"), kind: step.KindInput, reason: "is of kind"},
		"no point":             {change: key("x", "AAAA"), kind: step.KindInput, reason: "has a point that is none"},
		"a long point":         {change: key("x", strings.Repeat("A", 400)), kind: step.KindInput, reason: "has a point that can't be read"},
		"a symmetric key":      {change: key("kty", "oct"), kind: step.KindInput, reason: `is of kind "oct"`},
		"an RSA key without":   {change: key("kty", "RSA"), kind: step.KindInput, reason: "has a modulus or an exponent that can't be used"},
		"no role":              {refuse: http.StatusForbidden, kind: step.KindInput, reason: "is not for the identity " + azuretest.Client},
		"another tenant":       {refuse: http.StatusUnauthorized, kind: step.KindInput, reason: "does not take the identity's token"},
		"a redirect":           {refuse: http.StatusTemporaryRedirect, kind: step.KindInput, reason: "is refused with status 307"},
		"a vault that is down": {refuse: http.StatusServiceUnavailable, kind: step.KindInfrastructure, reason: "can't be asked"},
	} {
		t.Run(name, func(t *testing.T) {
			a := azuretest.Start(t)
			vault(t, a, ec, c.change)
			if c.refuse != 0 {
				a.Refuse[azuretest.Vault] = c.refuse
			}
			uri := c.uri
			if uri == "" {
				uri = "azurekms://" + azuretest.Vault + "/release"
			}
			_, err := open(t, a, nil).Key(t.Context(), uri)
			_ = refused(t, a, err, c.kind, c.reason)
			if strings.Contains(strings.Join(a.Asked(), "\n"), "elsewhere") {
				t.Fatal("a redirect was followed")
			}
		})
	}
	t.Run("the token's echo", func(t *testing.T) {
		a := azuretest.Start(t)
		vault(t, a, ec, nil)
		c := open(t, a, nil)
		k, err := c.Key(t.Context(), "azurekms://"+azuretest.Vault+"/release")
		if err != nil {
			t.Fatal(err)
		}
		c.Now = func() time.Time { return a.Now().Add(-2 * time.Hour) }
		a.Advance(2 * time.Hour)
		if _, err := k.Sign(t.Context(), make([]byte, 32), crypto.SHA256); err != nil {
			t.Fatalf("a token that is not taken any more was not asked for anew: %v", err)
		}
		a.Hosts[azuretest.Vault] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "who is "+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), http.StatusUnauthorized)
		})
		_, err = k.Sign(t.Context(), make([]byte, 32), crypto.SHA256)
		_ = refused(t, a, err, step.KindInput, "does not take the identity's token: who is ***")
	})
}
