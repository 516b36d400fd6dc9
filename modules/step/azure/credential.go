package azure

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"slipway/step"
	"slipway/step/internal/ask"
	"slipway/step/oidc"
)

// exchange is the audience of tokens that Entra exchanges.
const exchange = "api://AzureADTokenExchange"

// Token is one that Azure's services take.
type Token struct {
	Value   string
	Expires time.Time

	renew time.Time
	// used says that it was minted for an earlier use.
	used bool
}

// fresh begins the life of a token. It is used for three quarters of it: a request
// that begins with it has time to end.
func fresh(value string, now time.Time, life time.Duration) Token {
	return Token{Value: value, Expires: now.Add(life), renew: now.Add(life / 4 * 3)}
}

// Credential mints tokens for an Identity. They are kept in its memory, for as
// long as they are good.
type Credential struct {
	// Now is the clock; a test has its own.
	Now func() time.Time

	stage    string
	identity Identity
	file     string
	proxy    *url.URL
	roots    *x509.CertPool
	client   *http.Client

	mu     sync.Mutex
	cloud  *Cloud
	minted map[string]Token
	// given are all tokens so far.
	given []string
}

// Open reads an Identity and makes its Credential; nothing is asked for yet. The
// token's file holds the job's request token, or without a request URL an ID token, or
// what az account get-access-token prints. It is read anew for each token: where it is
// a pod's, it changes.
func Open(stage, identity, tokenFile string) (*Credential, error) {
	i, err := Parse(stage, identity)
	if err != nil {
		return nil, err
	}
	c := &Credential{stage: stage, identity: i, file: tokenFile, Now: time.Now, minted: map[string]Token{}}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	transport := &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true}
	if i.Proxy != "" {
		if c.proxy, err = url.Parse(i.Proxy); err != nil {
			return nil, err
		}
	}
	if i.Authorities != "" {
		if c.roots, err = x509.SystemCertPool(); err != nil {
			c.roots = x509.NewCertPool()
		}
		c.roots.AppendCertsFromPEM([]byte(i.Authorities))
	}
	c.Route(transport)
	c.client = ask.Client(transport)
	_, err = c.read()
	return c, err
}

// Identity is whose credential it is.
func (c *Credential) Identity() Identity { return c.identity }

// Route leads a transport to Azure: through the proxy, and with the cloud's own
// authorities.
func (c *Credential) Route(t *http.Transport) {
	if c.proxy != nil {
		t.Proxy = c.Proxy
	}
	if c.roots != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: c.roots, MinVersion: tls.VersionTLS12}
	}
}

// Proxy is the one that Azure is reached through, as http.Transport wants it.
func (c *Credential) Proxy(*http.Request) (*url.URL, error) { return c.proxy, nil }

// Hide takes what was minted out of a text that a server chose.
func (c *Credential) Hide(text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, token := range c.given {
		text = strings.ReplaceAll(text, token, "***")
	}
	return text
}

// read is the token's file: one token, or those that az printed.
func (c *Credential) read() ([]byte, error) {
	data, err := os.ReadFile(c.file)
	token, ok := oidc.Word(data)
	switch {
	case err == nil && c.identity.RequestURL == "" && SignedIn(data):
		return data, nil
	case err != nil || !ok:
		return nil, step.Input(c.stage, "Azure token", "is not one token", "give the job's request token with its request URL, or without one the token itself, or what az account get-access-token prints").Because(err)
	}
	return []byte(token), nil
}

// Token is one for a service, named by its audience: a URL or an application's ID.
// Every failure is a fault, and none holds a token.
func (c *Credential) Token(ctx context.Context, audience string) (Token, error) {
	cloud, err := c.Cloud(ctx)
	if err != nil {
		return Token{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.minted[audience]; c.Now().Before(known.renew) {
		known.used = true
		return known, nil
	}
	token, err := c.mint(ctx, cloud, audience)
	if err == nil {
		c.minted[audience], c.given = token, append(c.given, token.Value)
	}
	return token, err
}

// Forget drops a token that a service did not take, so that the next one is another:
// it may have been revoked, or clocks may differ.
func (c *Credential) Forget(audience string, token Token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.minted[audience].Value == token.Value {
		delete(c.minted, audience)
	}
}

// with uses a token for a service. When that denies one that was used before, it gets
// another.
func (c *Credential) with(ctx context.Context, audience string, use func(token string) (denied bool, err error)) error {
	for {
		token, err := c.Token(ctx, audience)
		if err != nil {
			return err
		}
		denied, err := use(token.Value)
		if !denied || !token.used {
			return err
		}
		c.Forget(audience, token)
	}
}

// mint asks the job for a token about itself, and Entra for one in its place.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
func (c *Credential) mint(ctx context.Context, cloud Cloud, audience string) (Token, error) {
	data, err := c.read()
	if err != nil {
		return Token{}, err
	}
	if SignedIn(data) {
		return c.pick(data, audience, c.Now())
	}
	secret := string(data)
	assertion, err := c.identity.Token(ctx, c.stage, c.client, secret, exchange)
	if err != nil {
		return Token{}, err
	}
	now, input := c.Now(), "identity "+c.identity.ClientID
	answer, err := c.post(ctx, cloud.Login+"/"+c.identity.TenantID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {c.identity.ClientID}, "scope": {audience + "/.default"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
	})
	if err != nil {
		return Token{}, step.Infrastructure(c.stage, input, "Entra can't be asked: "+err.Error(), "see whether "+cloud.Login+" can be reached from here, then run the stage again").Because(err)
	}
	if answer.Status != http.StatusOK {
		if refused := Refusal(c.stage, input, answer.Text(secret, assertion)); refused != nil {
			return Token{}, refused
		}
		return Token{}, step.Input(c.stage, input, fmt.Sprintf("Entra refuses the identity with status %d", answer.Status), compare)
	}
	var given struct {
		Token   string      `json:"access_token"`
		Type    string      `json:"token_type"`
		Expires json.Number `json:"expires_in"`
	}
	_ = json.Unmarshal(answer.Body, &given)
	value, ok := oidc.Word([]byte(given.Token))
	seconds, err := given.Expires.Int64()
	if !ok || err != nil || seconds <= 0 || !strings.EqualFold(given.Type, "Bearer") {
		return Token{}, step.Infrastructure(c.stage, input, "Entra's answer holds no token", "see what answers at "+cloud.Login)
	}
	return fresh(value, now, time.Duration(seconds)*time.Second), nil
}

var (
	entra = regexp.MustCompile(`(AADSTS[0-9]+): ([^"\\]*)`)
	// expired are Entra's code for a job's token, and Resource Manager's for one of
	// Entra's.
	expired = regexp.MustCompile(`AADSTS700024\b|ExpiredAuthenticationToken`)
)

const compare = "compare client and tenant ID, and the identity's federated credential with the issuer and subject that this job's token has"

// Refusal is what Azure's words say of an identity and its tokens; nil when they say
// nothing of them.
func Refusal(stage, input, text string) *step.Fault {
	if expired.MatchString(text) {
		return step.Input(stage, input, "Azure's token has expired",
			"give --request-url with --token, so that tokens are asked for when they are needed, or a new token; then run it again")
	}
	if m := entra.FindStringSubmatch(text); m != nil {
		return step.Input(stage, input, "Entra refuses the identity: "+m[1]+": "+strings.TrimSpace(m[2]), compare)
	}
	return nil
}

func (c *Credential) post(ctx context.Context, address string, form url.Values) (*ask.Answer, error) {
	return ask.Do(ctx, c.client, func(ctx context.Context) (*http.Request, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "application/json")
		return r, nil
	})
}
