package azure_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway/step"
	"slipway/step/azure"
	"slipway/step/azure/azuretest"
	"slipway/step/internal/ask"
	"slipway/step/oidc"
	"slipway/step/steptest"
)

func TestMain(m *testing.M) {
	ask.Pause = time.Millisecond
	os.Exit(m.Run())
}

func open(t *testing.T, a *azuretest.Azure, change func(*azure.Identity)) *azure.Credential {
	t.Helper()
	identity, file := a.Identity()
	if change != nil {
		change(&identity)
	}
	c, err := azure.Open("publish", identity.String(), file)
	if err != nil {
		t.Fatal(err)
	}
	c.Now = a.Now
	return c
}

// refused is the fault of a refusal, which holds none of the tokens.
func refused(t *testing.T, a *azuretest.Azure, err error, kind step.Kind, reason string) *step.Fault {
	t.Helper()
	f := steptest.Refused(t, err)
	if f.Kind != kind || !strings.Contains(f.Reason, reason) {
		t.Fatalf("got %v, want a fault of kind %s with %q", f, kind, reason)
	}
	for _, token := range append(a.Tokens(), azuretest.RequestToken) {
		if strings.Contains(f.Error(), token) {
			t.Fatalf("the fault shows a token: %v", f)
		}
	}
	return f
}

// A service's clock is its own: what it does not take any more is asked for anew.
func TestATokenThatIsNotTakenAnyMoreIsAnother(t *testing.T) {
	a := azuretest.Start(t)
	a.Hosts[azuretest.Registry] = http.NotFoundHandler()
	identity, file := a.Identity()
	c, err := azure.Open("publish", identity.String(), file)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, _, err := c.Password(t.Context(), azuretest.Registry); err != nil {
			t.Fatal(err)
		}
		a.Advance(2 * time.Hour)
	}
	a.Refuse[azuretest.Registry] = http.StatusUnauthorized
	before := len(a.Tokens())
	_, _, err = c.Password(t.Context(), azuretest.Registry)
	_ = refused(t, a, err, step.KindInput, "does not take the identity's token")
	if n := len(a.Tokens()) - before; n != 2 {
		t.Fatalf("%d more tokens were asked for; one of the job's and one of Entra's are enough", n)
	}
}

func count(a *azuretest.Azure, request string) int {
	n := 0
	for _, asked := range a.Asked() {
		if asked == request {
			n++
		}
	}
	return n
}

func TestTokensAreMintedWhenTheyAreNeeded(t *testing.T) {
	for name, change := range map[string]func(*azure.Identity){
		"GitHub": nil,
		"Azure DevOps": func(i *azure.Identity) {
			i.Source = oidc.Source{RequestURL: "https://devops.azure.test/oidctoken", ServiceConnection: azuretest.Subscription}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := azuretest.Start(t)
			a.Life = 20 * time.Second
			c := open(t, a, change)
			if len(a.Asked()) != 0 {
				t.Fatalf("nobody needed a token: %v", a.Asked())
			}
			var seen []string
			for range 3 {
				token, err := c.Token(t.Context(), azure.Kubernetes)
				if err != nil {
					t.Fatal(err)
				}
				if !a.Good(azure.Kubernetes, token.Value) || slices.Contains(seen, token.Value) {
					t.Fatal("the token is not a good one")
				}
				seen = append(seen, token.Value)
				again, err := c.Token(t.Context(), azure.Kubernetes)
				if err != nil || again.Value != token.Value {
					t.Fatalf("a good token was not used again: %v", err)
				}
				a.Advance(19 * time.Second)
			}
			other, err := c.Token(t.Context(), "https://vault.azure.test")
			if err != nil || a.Good(azure.Kubernetes, other.Value) {
				t.Fatalf("one service's token is another's: %v", err)
			}
		})
	}
}

func TestATokenFileIsReadAnew(t *testing.T) {
	a := azuretest.Start(t)
	a.Life = 20 * time.Second
	file := filepath.Join(t.TempDir(), "token")
	write := func() {
		t.Helper()
		if err := os.WriteFile(file, []byte(a.Give("job api://AzureADTokenExchange")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write()
	identity, _ := a.Identity()
	identity.Source = oidc.Source{}
	c, err := azure.Open("publish", identity.String(), file)
	if err != nil {
		t.Fatal(err)
	}
	c.Now = a.Now
	if _, err := c.Token(t.Context(), azure.Kubernetes); err != nil {
		t.Fatal(err)
	}
	a.Advance(time.Minute)
	_, err = c.Token(t.Context(), azure.Kubernetes)
	f := refused(t, a, err, step.KindInput, "Azure's token has expired")
	if !strings.Contains(f.Mend, "--request-url") {
		t.Fatal(f.Mend)
	}
	write()
	if _, err := c.Token(t.Context(), azure.Kubernetes); err != nil {
		t.Fatal(err)
	}
}

func TestARegistryIsSignedInToByTheExchange(t *testing.T) {
	a := azuretest.Start(t)
	a.Life = 20 * time.Second
	a.Hosts[azuretest.Registry] = http.NotFoundHandler()
	c := open(t, a, nil)
	for i := range 3 {
		user, password, err := c.Password(t.Context(), azuretest.Registry)
		if err != nil {
			t.Fatal(err)
		}
		if user != "00000000-0000-0000-0000-000000000000" || !a.Good("refresh", password) {
			t.Fatalf("%s has no refresh token", user)
		}
		if n := count(a, "POST "+azuretest.Registry+"/oauth2/exchange 200"); n != i+1 {
			t.Fatalf("%d exchanges after %d", n, i+1)
		}
		a.Advance(time.Minute)
	}
}

// An Entra token is given to registries of the cloud only.
func TestNoTokenLeavesTheCloud(t *testing.T) {
	a := azuretest.Start(t)
	c := open(t, a, nil)
	for _, host := range []string{"acme.azurecr.io", "acme.azurecr.azure.test.evil.example", "a.b.azurecr.azure.test", "azurecr.azure.test", ".azurecr.azure.test", "evilazurecr.azure.test", "localhost:5000", "acme.azurecr.azure.test:5000", ""} {
		_, _, err := c.Password(t.Context(), host)
		_ = refused(t, a, err, step.KindInput, "is no registry of the identity's cloud")
	}
	if n := count(a, "POST login.azure.test/"+azuretest.Tenant+"/oauth2/v2.0/token 200"); n != 0 {
		t.Fatalf("%d tokens were minted for them", n)
	}
	for host, want := range map[string]bool{"acme.azurecr.io": true, "Acme.Azurecr.IO": true, "acme.azurecr.cn": true, "acme.azurecr.azure.test": true,
		"azurecr.io": false, "ghcr.io": false, "localhost:5000": false, "a.b.azurecr.io": false, "evilazurecr.io": false, "": false} {
		if azure.IsRegistry(host) != want {
			t.Errorf("%q", host)
		}
	}
}

func TestRefusalsSayWhatToMend(t *testing.T) {
	const other = "00000000-0000-4000-8000-0000000000ff"
	for name, c := range map[string]struct {
		identity func(*azure.Identity)
		refuse   map[string]int
		kind     step.Kind
		reason   string
		mend     string
	}{
		"another client": {func(i *azure.Identity) { i.ClientID = other }, nil, step.KindInput, "Entra refuses the identity: AADSTS700016", "client and tenant ID"},
		"another tenant": {func(i *azure.Identity) { i.TenantID = other }, nil, step.KindInput, "Entra refuses the identity with status 401", "client and tenant ID"},
		"another connection": {func(i *azure.Identity) {
			i.Source = oidc.Source{RequestURL: "https://devops.azure.test/x", ServiceConnection: other}
		}, nil, step.KindInput, "is refused with status 401", "id-token: write"},
		"the job is over":        {nil, map[string]int{"jobs.azure.test": 401}, step.KindInput, "is refused with status 401", "id-token: write"},
		"another request URL":    {nil, map[string]int{"jobs.azure.test": 404}, step.KindInput, "is refused with status 404", "request URL"},
		"a redirect":             {nil, map[string]int{"jobs.azure.test": 307}, step.KindInput, "is refused with status 307", "request URL"},
		"an issuer that is down": {nil, map[string]int{"jobs.azure.test": 503}, step.KindInfrastructure, "3 tries: status 503", "run the stage again"},
		"Entra is down":          {nil, map[string]int{"login.azure.test": 429}, step.KindInfrastructure, "3 tries: status 429", "run the stage again"},
		"no cloud":               {nil, map[string]int{"management.azure.test": 404}, step.KindInput, "does not describe a cloud", "Resource Manager"},
		"no tokens":              {nil, map[string]int{"login.azure.test": 200}, step.KindInfrastructure, "holds no token", "login.azure.test"},
		"a firewall":             {nil, map[string]int{azuretest.Registry: 403}, step.KindInput, "lets nobody in from here", "network rules"},
		"another's registry":     {nil, map[string]int{azuretest.Registry: 401}, step.KindInput, "does not take the identity's token (401)", "tenant"},
		"no registry":            {nil, map[string]int{azuretest.Registry: 502}, step.KindInfrastructure, "3 tries: status 502", "such a registry"},
	} {
		t.Run(name, func(t *testing.T) {
			a := azuretest.Start(t)
			a.Hosts[azuretest.Registry] = http.NotFoundHandler()
			for host, status := range c.refuse {
				a.Refuse[host] = status
			}
			_, _, err := open(t, a, c.identity).Password(t.Context(), azuretest.Registry)
			if f := refused(t, a, err, c.kind, c.reason); !strings.Contains(f.Mend, c.mend) {
				t.Fatal(f.Mend)
			}
			if strings.Contains(strings.Join(a.Asked(), "\n"), "elsewhere") {
				t.Fatal("a redirect was followed")
			}
		})
	}
	t.Run("nobody waits any more", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		a := azuretest.Start(t)
		_, err := open(t, a, nil).Token(ctx, azure.Kubernetes)
		_ = refused(t, a, err, step.KindInfrastructure, "canceled")
	})
}

const ids = `"clientId": "00000000-0000-4000-8000-00000000000a", "tenantId": "00000000-0000-4000-8000-00000000000b", "subscriptionId": "00000000-0000-4000-8000-00000000000c"`

func TestIdentitiesThatAreNoneAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ identity, token, reason string }{
		"no JSON":            {"{x", "t", "invalid character"},
		"unknown key":        {"{" + ids + `, "clientSecret": "x"}`, "t", "unknown field"},
		"two objects":        {"{" + ids + "}{}", "t", "something after"},
		"no client":          {`{"tenantId": "00000000-0000-4000-8000-00000000000b"}`, "t", "is not a UUID"},
		"name for tenant":    {`{"clientId": "00000000-0000-4000-8000-00000000000a", "tenantId": "acme.example"}`, "t", "is not a UUID"},
		"plain request":      {"{" + ids + `, "requestUrl": "http://ci.example"}`, "t", "is not an https URL"},
		"a host like ours":   {"{" + ids + `, "requestUrl": "http://localhost.ci.example"}`, "t", "is not an https URL"},
		"request password":   {"{" + ids + `, "requestUrl": "https://u:p@ci.example"}`, "t", "is not an https URL"},
		"connection's name":  {"{" + ids + `, "requestUrl": "https://ci.example", "serviceConnection": "azure"}`, "t", "is not a UUID"},
		"connection alone":   {"{" + ids + `, "serviceConnection": "00000000-0000-4000-8000-00000000000d"}`, "t", "without a request URL"},
		"metadata as URL":    {"{" + ids + `, "metadataHost": "https://x"}`, "t", "is not a host's name"},
		"metadata injection": {"{" + ids + `, "metadataHost": "x/y"}`, "t", "is not a host's name"},
		"proxy password":     {"{" + ids + `, "proxy": "http://u:p@x"}`, "t", "is not an http URL"},
		"no certificate":     {"{" + ids + `, "authorities": "x"}`, "t", "are not certificates"},
		"empty token":        {"{" + ids + "}", " \n", "is not one token"},
		"two tokens":         {"{" + ids + "}", "a b", "is not one token"},
		"control character":  {"{" + ids + "}", "a\x00b", "is not one token"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(file, []byte(c.token), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := azure.Open("plan", c.identity, file)
			if f := steptest.Refused(t, err); f.Kind != step.KindInput || !strings.Contains(f.Reason, c.reason) {
				t.Fatal(f)
			}
		})
	}
	_, err := azure.Open("plan", "{"+ids+"}", filepath.Join(t.TempDir(), "none"))
	steptest.Refused(t, err)
}

func TestAnIdentityIsReadAsItWasWritten(t *testing.T) {
	a := azuretest.Start(t)
	identity, _ := a.Identity()
	identity.ServiceConnection = azuretest.Subscription
	read, err := azure.Parse("plan", identity.String())
	if err != nil || read != identity || !azure.Is(identity.String()) {
		t.Fatalf("%+v: %v", read, err)
	}
}
