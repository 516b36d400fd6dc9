package bundle_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"slipway/sign/step/bundle"
	"slipway/sign/step/key"
)

// The seeds of the fuzz tests: a bundle, the digest of the image index that it is
// about, and the public key that it verifies with. The private half was thrown
// away. Every process of a fuzz test has to know the same key.
const signedDigest = "sha256:3d60eec733f106e03a571223c6adb85a3dabd53590ae0d8339e8ea2de2d32c56"

func signedSeed(f *testing.F) ([]byte, *key.Public) {
	f.Helper()
	data, err := os.ReadFile("testdata/signed.sigstore.json")
	if err != nil {
		f.Fatal(err)
	}
	pem, err := os.ReadFile("testdata/signed.pub")
	if err != nil {
		f.Fatal(err)
	}
	public, err := key.ParsePublic(pem)
	if err != nil {
		f.Fatal(err)
	}
	return data, public
}

// FuzzVerifyChanged: whatever is made of a signed bundle, it never verifies for
// another digest, and where it verifies for its own it says what was signed.
func FuzzVerifyChanged(f *testing.F) {
	good, public := signedSeed(f)
	want, err := bundle.TrustKey(public).Verify(good, signedDigest)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	var b map[string]any
	if err := json.Unmarshal(good, &b); err != nil {
		f.Fatal(err)
	}
	envelope := b["dsseEnvelope"].(map[string]any)
	payload := envelope["payload"].(string)
	for _, change := range [][2]string{
		{payload, payload[:len(payload)-4]}, {payload, strings.ToLower(payload)}, {`"payload"`, `"payload":"e30=","payload"`},
		{"application/vnd.in-toto+json", "application/json"}, {`"signatures":[`, `"signatures":[{"sig":"AA=="},`}, {`"signatures"`, `"Signatures"`},
		{"v0.3+json", "v0.1+json"}, {`"hint"`, `"hint":"x","hint"`}, {`"publicKey"`, `"certificate"`}, {`"dsseEnvelope"`, `"messageSignature"`},
		{`"sig":"`, `"sig":"AAAA`}, {"{", `{"more":1,`}, {"}", "}}"},
	} {
		f.Add(bytes.Replace(good, []byte(change[0]), []byte(change[1]), 1))
	}
	f.Add(append(bytes.Clone(good), good...))
	other := "sha256:" + strings.Repeat("cd", 32)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := bundle.TrustKey(public).Verify(data, other); !errors.Is(err, bundle.ErrMalformed) && !errors.Is(err, bundle.ErrUntrusted) {
			t.Fatalf("for another digest: %v", err)
		}
		got, err := bundle.TrustKey(public).Verify(data, signedDigest)
		if err != nil {
			if !errors.Is(err, bundle.ErrMalformed) && !errors.Is(err, bundle.ErrUntrusted) || got != nil {
				t.Fatalf("refused by %v", err)
			}
			return
		}
		if got, want := got.Statement, want.Statement; got.Type != want.Type || got.PredicateType != want.PredicateType || !bytes.Equal(got.Predicate, want.Predicate) || got.Claims(other) != nil {
			t.Fatalf("verified: %+v", got)
		}
	})
}

// FuzzStatement: a statement holds the predicate that was given, on one line, and
// reads back as it was.
func FuzzStatement(f *testing.F) {
	for _, predicate := range []string{
		"", "{}", `{"passed": true, "big": 9007199254740993}`, "[]", "null", "{} {}", `{"a":1,"a":2}`, `{"a":1e999}`, "{\"a\":\"\\u2028<&\"}", "{\"\xff\":1}",
		strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200),
	} {
		f.Add(signedDigest, "https://example.org/v1", []byte(predicate), "app", "hello<1>")
	}
	f.Add("sha256", "", []byte("{}"), "", "")
	f.Add("md5:", "x", []byte("{}"), "\x00", "\xff")
	f.Fuzz(func(t *testing.T, digest, kind string, predicate []byte, name, claim string) {
		made, err := bundle.NewStatement(digest, kind, predicate, map[string]string{name: claim})
		if err != nil {
			return
		}
		var members map[string]json.RawMessage
		if json.Unmarshal(made.Predicate, &members) != nil || members == nil || bytes.ContainsAny(made.Predicate, "\r\n") {
			t.Fatalf("predicate %q", made.Predicate)
		}
		written, err := json.Marshal(made)
		if err != nil {
			t.Fatal(err)
		}
		var read bundle.Statement
		if err := json.Unmarshal(written, &read); err != nil {
			t.Fatal(err)
		}
		if read.Type != bundle.StatementType || !made.SamePredicate(&read) || !read.SamePredicate(made) {
			t.Fatalf("%s became %s", made.Predicate, read.Predicate)
		}
		given, err := bundle.NewStatement(digest, kind, append([]byte(" "), predicate...), nil)
		if len(predicate) > 0 && (err != nil || !given.SamePredicate(made)) {
			t.Fatalf("%q is not %q: %v", predicate, made.Predicate, err)
		}
		if made.Claims(digest)[name] != claim {
			t.Fatalf("claims %v", made.Claims(digest))
		}
	})
}
