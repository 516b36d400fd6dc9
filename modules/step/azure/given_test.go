package azure_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway/step"
	"slipway/step/azure"
	"slipway/step/azure/azuretest"
	"slipway/step/oidc"
)

// printed is what az account get-access-token prints.
func printed(a *azuretest.Azure, audience, tenant string, life time.Duration) (token, text string) {
	claims := fmt.Sprintf(`{"aud":%q,"tid":%q,"exp":%d}`, audience, tenant, a.Now().Add(life).Unix())
	token = "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2lnbmF0dXJlLW9mLWVudHJh"
	return token, fmt.Sprintf(`{
  "accessToken": %q,
  "expiresOn": "2026-01-01 00:00:00.000000",
  "subscription": %q,
  "tenant": %q,
  "tokenType": "Bearer"
}
`, token, azuretest.Subscription, tenant)
}

func TestWhoIsSignedInByAzNeedsNoJob(t *testing.T) {
	a := azuretest.Start(t)
	file := filepath.Join(t.TempDir(), "token")
	identity, _ := a.Identity()
	identity.Source = oidc.Source{}
	write := func(texts ...string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(strings.Join(texts, "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cluster, first := printed(a, azure.Kubernetes, azuretest.Tenant, time.Hour)
	registry, second := printed(a, azure.Registry+"/", azuretest.Tenant, time.Hour)
	_, foreign := printed(a, azure.Kubernetes, "00000000-0000-4000-8000-0000000000ff", time.Hour)
	_, old := printed(a, azure.Kubernetes, azuretest.Tenant, -time.Second)
	var tokens []string
	ask := func(audience string) (azure.Token, error) {
		c, err := azure.Open("wait", identity.String(), file)
		if err != nil {
			t.Fatal(err)
		}
		c.Now = a.Now
		return c.Token(t.Context(), audience)
	}
	write(first, second)
	for audience, want := range map[string]string{azure.Kubernetes: cluster, azure.Registry: registry} {
		token, err := ask(audience)
		if err != nil || token.Value != want {
			t.Fatalf("%s: %v", audience, err)
		}
		tokens = append(tokens, want)
	}
	for name, c := range map[string]struct {
		text, audience, reason string
	}{
		"another service":  {first, "https://vault.azure.test", "is not among those that are given"},
		"another tenant":   {foreign, azure.Kubernetes, "is of another tenant"},
		"too old":          {old, azure.Kubernetes, "has expired"},
		"no tokens":        {`{"accessToken": ""}`, azure.Kubernetes, "can't be read"},
		"no JWT":           {`{"accessToken": "correct-horse"}`, azure.Kubernetes, "can't be read"},
		"something behind": {first[:len(first)-1] + "correct-horse", azure.Registry, "can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			write(c.text)
			_, err := ask(c.audience)
			f := refused(t, a, err, step.KindInput, c.reason)
			for _, token := range append(tokens, "correct-horse") {
				if strings.Contains(f.Error(), token) {
					t.Fatal("the fault shows a token")
				}
			}
		})
	}
	for _, asked := range a.Asked() {
		if !strings.HasPrefix(asked, http.MethodGet+" management.azure.test/metadata/") {
			t.Fatalf("somebody was asked: %s", asked)
		}
	}
	// With a request URL it is a request token, and that is one word.
	identity.RequestURL = "https://jobs.azure.test/token"
	write(first)
	_, err := azure.Open("wait", identity.String(), file)
	_ = refused(t, a, err, step.KindInput, "is not one token")
}
