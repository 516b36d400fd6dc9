package azure_test

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"net/http"
	"strings"
	"sync"
	"testing"

	"slipway/step"
	"slipway/step/azure"
	"slipway/step/azure/azuretest"
	"slipway/step/oidc"
	"slipway/step/steptest"
)

// FuzzIdentity: what is accepted reads back as it was, and sends tokens over TLS or to
// this machine only.
func FuzzIdentity(f *testing.F) {
	for _, text := range []string{
		"{" + ids + "}", "{" + ids + `, "requestUrl": "https://ci.example/x?y=z"}`, "{" + ids + `, "requestUrl": "http://[::1]:1/"}`, "{" + ids + `, "proxy": "http://azure:1"}`,
		"{" + ids + `, "metadataHost": "management.azure.test:443"}`, `{"ClientID": "00000000-0000-4000-8000-00000000000a"}`, "{" + ids + `}{}`, "null", "[]", "",
		"{" + ids + `, "requestUrl": "HTTPS://u@ci.example#"}`, "{" + ids + `, "serviceConnection": "00000000-0000-4000-8000-00000000000d"}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		i, err := azure.Parse("plan", text)
		if err != nil {
			if f := steptest.Refused(t, err); f.Kind != step.KindInput {
				t.Fatal(err)
			}
			return
		}
		again, err := azure.Parse("plan", i.String())
		if err != nil || again != i {
			t.Fatalf("%q became %q: %v", text, i, err)
		}
		if i.RequestURL != "" && (i.Check("plan") != nil || !strings.HasPrefix(strings.ToLower(i.RequestURL), "http")) {
			t.Fatalf("tokens go to %q", i.RequestURL)
		}
	})
}

// FuzzAnswers: whatever the services answer, there is a token of one word, a key that
// signs, or a whole fault.
func FuzzAnswers(f *testing.F) {
	const kid = `https://acme.vault.azure.test/keys/release/0123456789abcdef0123456789abcdef`
	for _, text := range []string{
		`{"value":"x"}`, `{"oidcToken":"x"}`, `{"access_token":"x","token_type":"Bearer","expires_in":20}`, `{"access_token":"x y","token_type":"bearer","expires_in":"3599"}`,
		`{"access_token":"x","token_type":"Bearer","expires_in":-1}`, `{"access_token":"x","token_type":"Bearer","expires_in":9223372036854775807}`, `{"refresh_token":"x"}`, `{"refresh_token":"\u0000"}`,
		`{"key":{"kid":"` + kid + `","kty":"EC","crv":"P-256","key_ops":["sign"],"x":"AA","y":"AA"},"attributes":{"enabled":true}}`,
		`{"key":{"kid":"` + kid + `","kty":"RSA","key_ops":["sign"],"n":"` + strings.Repeat("A", 342) + `","e":"AAAAAA"},"attributes":{"enabled":true}}`,
		`{"authentication":{"loginEndpoint":"https://login.azure.test"},"suffixes":{"acrLoginServer":"","keyVaultDns":"."}}`, `{"error_description":"AADSTS700024: old"}`, "", "null", "[]", "{", "<html>",
	} {
		for host := range 5 {
			f.Add(text, uint8(host))
		}
	}
	hosts := []string{"jobs.azure.test", "login.azure.test", azuretest.Registry, azuretest.Vault, "management.azure.test"}
	a := azuretest.Start(f)
	a.Hosts[azuretest.Registry] = http.NotFoundHandler()
	identity, file := a.Identity()
	var mu sync.Mutex
	f.Fuzz(func(t *testing.T, text string, host uint8) {
		mu.Lock()
		defer mu.Unlock()
		a.Answer(hosts[int(host)%len(hosts)], text)
		defer a.Answer("", "")
		c, err := azure.Open("sign", identity.String(), file)
		if err != nil {
			t.Fatal(err)
		}
		if user, password, err := c.Password(t.Context(), azuretest.Registry); err != nil {
			steptest.Refused(t, err)
		} else if word, ok := oidc.Word([]byte(password)); !ok || word != password || user == "" {
			t.Fatalf("%q is a password", password)
		}
		key, err := c.Key(t.Context(), "azurekms://"+azuretest.Vault+"/release")
		if err != nil {
			steptest.Refused(t, err)
			return
		}
		switch public := key.Public.(type) {
		case *ecdsa.PublicKey:
			if _, err := public.Bytes(); err != nil {
				t.Fatal(err)
			}
		case *rsa.PublicKey:
			if public.N.BitLen() < 2000 || public.E < 2 {
				t.Fatalf("a key of %d bits and exponent %d", public.N.BitLen(), public.E)
			}
		default:
			t.Fatalf("a key of type %T", public)
		}
	})
}
