package key_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"slipway/sign/step/key"
)

// FuzzParsePublic: what is read as a key is the same key when it is written and
// read again.
func FuzzParsePublic(f *testing.F) {
	for _, file := range []string{"testdata/ecdsa.pub", "testdata/rsa.pub", "testdata/ed25519.pub", "testdata/p521.pub"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		block, _ := pem.Decode(data)
		for _, kind := range []string{"CERTIFICATE", "RSA PUBLIC KEY", "PRIVATE KEY", ""} {
			f.Add(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: block.Bytes}))
		}
		f.Add(append(bytes.Clone(data), data...))
		f.Add(bytes.Replace(data, []byte("\n"), []byte("\nComment: x\n\n"), 1))
		f.Add(block.Bytes)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		public, err := key.ParsePublic(data)
		if err != nil {
			if !errors.Is(err, key.ErrMalformed) || public != nil {
				t.Fatal(err)
			}
			return
		}
		again, err := key.ParsePublic(public.PEM())
		if err != nil || !bytes.Equal(again.PEM(), public.PEM()) || again.Hint() != public.Hint() || len(public.Hint()) != 44 {
			t.Fatalf("%s became another key: %v", public.PEM(), err)
		}
		if public.Verifier().VerifySignature(strings.NewReader("no signature"), strings.NewReader("data")) == nil {
			t.Fatal("it verifies what nobody signed")
		}
	})
}

// FuzzOpen: what is no sealed key of the wanted kind is refused by one of the
// errors, which never say the password; what opens can sign.
func FuzzOpen(f *testing.F) {
	// Sealing is slow on purpose, and the processes that try inputs need no seeds.
	if worker := flag.Lookup("test.fuzzworker"); worker == nil || worker.Value.String() != "true" {
		pair, err := key.Generate([]byte(password))
		if err != nil {
			f.Fatal(err)
		}
		block, _ := pem.Decode(pair.Private)
		f.Add(pair.Private, password)
		f.Add(pair.Private, "")
		f.Add(pair.Public, password)
		f.Add(pem.EncodeToMemory(&pem.Block{Type: key.PEMType, Bytes: bytes.Replace(block.Bytes, []byte(`"p":1`), []byte(`"p":0`), 1)}), password)
	}
	for _, sealed := range []string{
		"{}", "null", `{"kdf":{"name":"scrypt","params":{"N":1099511627776,"r":8,"p":1},"salt":""},"cipher":{"name":"nacl/secretbox","nonce":""},"ciphertext":""}`,
		`{"kdf":{"name":"scrypt","params":{"N":32768,"r":8,"p":1},"salt":"AA=="},"cipher":{"name":"nacl/secretbox","nonce":"AA=="},"ciphertext":"AA=="}`,
		`{"kdf":{"name":"none"},"cipher":{"name":"none"},"ciphertext":"AA=="}`,
	} {
		f.Add(pem.EncodeToMemory(&pem.Block{Type: key.PEMType, Bytes: []byte(sealed)}), password)
		f.Add(pem.EncodeToMemory(&pem.Block{Type: key.OldPEMType, Bytes: []byte(sealed)}), "")
	}
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("x")}), password)
	f.Add([]byte("-----BEGIN "+key.PEMType+"-----\n\n-----END "+key.PEMType+"-----"), password)
	f.Fuzz(func(t *testing.T, data []byte, secret string) {
		signer, err := key.Open(data, []byte(secret))
		if err != nil {
			known := false
			for _, want := range []error{key.ErrNoPassword, key.ErrWrongPassword, key.ErrNotEncrypted, key.ErrMalformed} {
				known = known || errors.Is(err, want)
			}
			if !known || signer != nil || secret == password && strings.Contains(err.Error(), password) {
				t.Fatal(err)
			}
			return
		}
		if secret == "" {
			t.Fatal("opened without a password")
		}
		sig, _, err := signer.SignData(context.Background(), []byte("data"))
		if err != nil {
			t.Fatal(err)
		}
		if err := signer.Public().Verifier().VerifySignature(bytes.NewReader(sig), strings.NewReader("data")); err != nil {
			t.Fatal(err)
		}
	})
}
