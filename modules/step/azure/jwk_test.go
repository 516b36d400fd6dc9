package azure

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
)

// number is one of so many bits, as a JWK has it.
func number(bits uint) string {
	return base64.RawURLEncoding.EncodeToString(new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), bits-1), big.NewInt(1)).Bytes())
}

func TestPublicKeysOfAVault(t *testing.T) {
	e := base64.RawURLEncoding.EncodeToString(big.NewInt(65537).Bytes())
	small := func(n int64) string { return base64.RawURLEncoding.EncodeToString(big.NewInt(n).Bytes()) }
	for name, c := range map[string]struct {
		key    jwk
		kind   string
		reason string
	}{
		"2048 bits":              {jwk{Type: "RSA", N: number(2048), E: e}, "RS", ""},
		"16384 bits":             {jwk{Type: "RSA-HSM", N: number(16384), E: e}, "RS", ""},
		"an exponent of 3":       {jwk{Type: "RSA", N: number(2048), E: small(3)}, "RS", ""},
		"the largest exponent":   {jwk{Type: "RSA", N: number(2048), E: small(1<<31 - 1)}, "RS", ""},
		"2047 bits":              {jwk{Type: "RSA", N: number(2047), E: e}, "", "can't be used"},
		"16385 bits":             {jwk{Type: "RSA", N: number(16385), E: e}, "", "can't be used"},
		"an exponent of 1":       {jwk{Type: "RSA", N: number(2048), E: small(1)}, "", "can't be used"},
		"an exponent of 2":       {jwk{Type: "RSA", N: number(2048), E: small(2)}, "", "can't be used"},
		"an even exponent":       {jwk{Type: "RSA", N: number(2048), E: small(65536)}, "", "can't be used"},
		"a huge exponent":        {jwk{Type: "RSA", N: number(2048), E: small(1<<31 + 1)}, "", "can't be used"},
		"a longer exponent":      {jwk{Type: "RSA", N: number(2048), E: number(65)}, "", "can't be used"},
		"no exponent":            {jwk{Type: "RSA", N: number(2048)}, "", "can't be used"},
		"a modulus that is none": {jwk{Type: "RSA", N: number(2048) + "*", E: e}, "", "can't be used"},
		"no modulus":             {jwk{Type: "RSA", E: e}, "", "can't be used"},
		"half an exponent":       {jwk{Type: "RSA", N: number(2048), E: e + "*"}, "", "can't be used"},
		"another kind":           {jwk{Type: "RSAX", N: number(2048), E: e}, "", `is of kind "RSAX"`},
		"a curve's modulus":      {jwk{Type: "EC", N: number(2048), E: e}, "", `is of kind "EC"`},
		"another curve":          {jwk{Type: "EC", Curve: "P-224", X: "AA", Y: "AA"}, "", `is of kind "EC" on "P-224"`},
	} {
		public, kind, err := c.key.public()
		if kind != c.kind || (err == nil) != (c.reason == "") || (public == nil) == (c.reason == "") || err != nil && !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %T of kind %q, %v", name, public, kind, err)
		}
	}
	for name, curve := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		point, err := key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		half := len(point)/2 + 1
		b64 := base64.RawURLEncoding.EncodeToString
		whole := jwk{Type: "EC", Curve: name, X: b64(point[1:half]), Y: b64(point[half:])}
		for _, kind := range []string{"EC", "EC-HSM"} {
			whole.Type = kind
			public, signs, err := whole.public()
			if err != nil || signs != "ES" || !key.PublicKey.Equal(public) {
				t.Errorf("%s, %s: %q, %v", name, kind, signs, err)
			}
		}
		for what, spoil := range map[string]func(*jwk){
			"no x": func(k *jwk) { k.X = "" }, "no y": func(k *jwk) { k.Y = "" }, "a long y": func(k *jwk) { k.Y = b64(append([]byte{0}, point[half:]...)) }, "another x": func(k *jwk) { k.X = k.Y }, "no base64": func(k *jwk) { k.Y += "*" },
		} {
			spoilt := whole
			spoil(&spoilt)
			if public, _, err := spoilt.public(); err == nil || public != nil {
				t.Errorf("%s, %s: is a key", name, what)
			}
		}
	}
}

func TestBelow(t *testing.T) {
	for name, want := range map[string]bool{"a.b.c": true, "A.B.C": true, "b.c": false, ".b.c": false, "a.a.b.c": false, "ab.c": false, "a.b.c.": false, "a.b.cd": false, "": false} {
		if below(name, "b.c") != want {
			t.Errorf("%q", name)
		}
	}
	if below("a.", "") || below("a", "") {
		t.Error("no suffix has a host below it")
	}
}

func TestClaims(t *testing.T) {
	b64 := base64.RawURLEncoding.EncodeToString
	for token, want := range map[string]bool{
		"a." + b64([]byte(`{"aud":"x"}`)) + ".c": true, "a." + b64([]byte(`{}`)) + "==.c": true, "a." + b64([]byte(`[]`)) + ".c": false, "a.*.c": false, "a." + b64([]byte(`{}`)): false, "a." + b64([]byte(`{}`)) + ".c.d": false, "": false,
	} {
		if _, ok := claim(token); ok != want {
			t.Errorf("%q", token)
		}
	}
	for _, c := range []struct {
		said, wanted string
		want         bool
	}{
		{"https://a", "https://a", true}, {"https://a/", "https://a", true}, {"https://a", "https://a/", true}, {"https://a//", "https://a", false}, {"https://b", "https://a", false},
		{vaultApplication, "https://vault.azure.net", true}, {vaultApplication, "https://a", false}, {"x", "https://vault.azure.net", false},
	} {
		if same(c.said, c.wanted) != c.want {
			t.Errorf("%+v", c)
		}
	}
}

func TestOptions(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "--tenant-id a": "a", "-t a": "a", "--tenant-id=a": "a", "-t=a": "a", "--tenant-id a -t b": "b", "-t a --tenant-id=b": "b", "--tenant-id": "given", "x --tenant-id": "given", "--other a": "", "-tx a": "", "--tenant-id a --tenant-id": "a",
	} {
		value, given := option(strings.Fields(text), "--tenant-id", "-t")
		if given != (want != "") || want != "given" && value != want {
			t.Errorf("%q: %q, %v", text, value, given)
		}
	}
	if value, given := option([]string{"", "a"}, "--server-id", ""); given || value != "" {
		t.Error("an empty argument is an option")
	}
}
