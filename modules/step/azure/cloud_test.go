package azure_test

import (
	"net/http"
	"strings"
	"testing"

	"slipway/step"
	"slipway/step/azure"
	"slipway/step/azure/azuretest"
)

func TestTheCloudIsAskedOnce(t *testing.T) {
	a := azuretest.Start(t)
	c := open(t, a, nil)
	for range 2 {
		cloud, err := c.Cloud(t.Context())
		if want := (azure.Cloud{Login: "https://login.azure.test", Registries: "azurecr.azure.test", Vaults: "vault.azure.test"}); err != nil || cloud != want {
			t.Fatalf("%+v, %v", cloud, err)
		}
	}
	if n := count(a, "GET management.azure.test/metadata/endpoints 200"); n != 1 {
		t.Fatalf("asked %d times", n)
	}
	cloud, err := open(t, a, func(i *azure.Identity) { i.MetadataHost = "" }).Cloud(t.Context())
	if want := (azure.Cloud{Login: "https://login.microsoftonline.com", Registries: "azurecr.io", Vaults: "vault.azure.net"}); err != nil || cloud != want {
		t.Fatalf("%+v, %v", cloud, err)
	}
	if n := len(a.Asked()); n != 1 {
		t.Fatal("the public cloud is asked for")
	}
}

// Who says where Entra is gets the identity's assertion: only an https host is one.
func TestACloudThatIsNone(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		refuse int
		kind   step.Kind
		reason string
	}{
		"plain HTTP":     {`{"authentication":{"loginEndpoint":"http://login.azure.test"}}`, 0, step.KindInput, "names no https login endpoint"},
		"no host":        {`{"authentication":{"loginEndpoint":"https:///login.azure.test"}}`, 0, step.KindInput, "names no https login endpoint"},
		"a password":     {`{"authentication":{"loginEndpoint":"https://a:b@login.azure.test"}}`, 0, step.KindInput, "names no https login endpoint"},
		"no URL":         {`{"authentication":{"loginEndpoint":"https://%zz"}}`, 0, step.KindInput, "names no https login endpoint"},
		"no endpoint":    {`{}`, 0, step.KindInput, "names no https login endpoint"},
		"no JSON":        {`<html>`, 0, step.KindInput, "does not describe a cloud: <html>"},
		"no suffixes":    {`{"authentication":{"loginEndpoint":"https://login.azure.test"}}`, 0, step.KindInput, "is no registry of the identity's cloud"},
		"a refusal":      {"", http.StatusForbidden, step.KindInput, "does not describe a cloud"},
		"a redirect":     {"", http.StatusFound, step.KindInput, "does not describe a cloud"},
		"nobody answers": {"", http.StatusBadGateway, step.KindInfrastructure, "can't be asked: 3 tries: status 502"},
	} {
		t.Run(name, func(t *testing.T) {
			a := azuretest.Start(t)
			a.Answer("management.azure.test", c.text)
			if c.refuse != 0 {
				a.Refuse["management.azure.test"] = c.refuse
			}
			credential := open(t, a, nil)
			for _, host := range []string{azuretest.Registry, "x."} {
				_, _, err := credential.Password(t.Context(), host)
				_ = refused(t, a, err, c.kind, c.reason)
			}
			for _, asked := range a.Asked() {
				if !strings.HasPrefix(asked, "GET management.azure.test/metadata/") {
					t.Fatalf("somebody else was asked: %s", asked)
				}
			}
		})
	}
}

func TestWhatWasMintedIsHidden(t *testing.T) {
	a := azuretest.Start(t)
	c := open(t, a, nil)
	var tokens []string
	for _, audience := range []string{azure.Kubernetes, azure.Registry} {
		token, err := c.Token(t.Context(), audience)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token.Value)
	}
	if got := c.Hide(tokens[1] + " and " + tokens[0] + tokens[0] + " and x"); got != "*** and ****** and x" {
		t.Fatal(got)
	}
}

// A token that was minted for this use, or is taken, is used once.
func TestATokenThatIsTakenIsUsedOnce(t *testing.T) {
	a := azuretest.Start(t)
	a.Hosts[azuretest.Registry] = http.NotFoundHandler()
	c := open(t, a, nil)
	for n := 1; n <= 3; n++ {
		if _, _, err := c.Password(t.Context(), azuretest.Registry); err != nil {
			t.Fatal(err)
		}
		if exchanged := count(a, "POST "+azuretest.Registry+"/oauth2/exchange 200"); exchanged != n {
			t.Fatalf("%d exchanges for %d uses", exchanged, n)
		}
	}
	if n := count(a, "POST login.azure.test/"+azuretest.Tenant+"/oauth2/v2.0/token 200"); n != 1 {
		t.Fatalf("%d tokens were minted", n)
	}
}

// Entra's answer holds a token of one word, for a time that is to come, to be carried as
// such; anything else is none.
func TestWhatEntraAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"a token":        {`{"access_token":"x","token_type":"Bearer","expires_in":3600}`, true},
		"in small":       {`{"access_token":"x","token_type":"bearer","expires_in":"1"}`, true},
		"no token":       {`{"token_type":"Bearer","expires_in":3600}`, false},
		"two words":      {`{"access_token":"x y","token_type":"Bearer","expires_in":3600}`, false},
		"no time":        {`{"access_token":"x","token_type":"Bearer"}`, false},
		"a time in text": {`{"access_token":"x","token_type":"Bearer","expires_in":"soon"}`, false},
		"half a second":  {`{"access_token":"x","token_type":"Bearer","expires_in":0.5}`, false},
		"no seconds":     {`{"access_token":"x","token_type":"Bearer","expires_in":0}`, false},
		"the past":       {`{"access_token":"x","token_type":"Bearer","expires_in":-1}`, false},
		"another type":   {`{"access_token":"x","token_type":"mac","expires_in":3600}`, false},
		"no type":        {`{"access_token":"x","expires_in":3600}`, false},
		"nothing":        {`{}`, false},
		"no JSON":        {`<html>`, false},
	} {
		a := azuretest.Start(t)
		a.Answer("login.azure.test", c.text)
		token, err := open(t, a, nil).Token(t.Context(), azure.Kubernetes)
		if c.ok {
			if err != nil || token.Value != "x" || !token.Expires.After(a.Now()) {
				t.Errorf("%s: %+v, %v", name, token, err)
			}
			continue
		}
		_ = refused(t, a, err, step.KindInfrastructure, "Entra's answer holds no token")
	}
}
