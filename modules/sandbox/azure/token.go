package azure

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"
)

// exchangeAudience is the audience of tokens that Entra exchanges.
const exchangeAudience = "api://AzureADTokenExchange"

// claims are those of every token here.
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Tenant   string `json:"tid,omitempty"`
	ObjectID string `json:"oid,omitempty"`
	Client   string `json:"appid,omitempty"`
	// Access is what a registry's token permits, each REPOSITORY:ACTION.
	Access []string `json:"access,omitempty"`
	Issued int64    `json:"iat"`
	// NotBefore is in no token of Entra's here.
	NotBefore int64 `json:"nbf,omitempty"`
	Expires   int64 `json:"exp"`
}

// signer signs tokens as JWTs (ES256), Entra's and the CI systems' alike.
type signer struct {
	key *ecdsa.PrivateKey
	// header begins each token, and no other stand-in's.
	header string

	mu sync.Mutex
	// given are all tokens so far.
	given []string
}

func newSigner() (*signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &signer{key: key, header: base64url([]byte(`{"alg":"ES256","kid":"` + rand.Text() + `","typ":"JWT"}`))}, err
}

func (s *signer) sign(c claims) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	text := s.header + "." + base64url(payload)
	digest := sha256.Sum256([]byte(text))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, digest[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	text += "." + base64url(signature)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given = append(s.given, text)
	return text, nil
}

func (s *signer) verify(token string) (claims, error) {
	var c claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c, errors.New("is not a JWT")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		return c, errors.New("has no signature")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !ecdsa.Verify(&s.key.PublicKey, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return c, errors.New("is signed by somebody else")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(payload, &c)
}

func base64url(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// clusterAudience is the server application of every AKS cluster.
const clusterAudience = "6dae42f8-4368-4678-94ff-3960e28e3630"

// audiences are the services that Entra knows, by the scope that asks for them.
var audiences = map[string]string{
	"https://" + MetadataHost: "https://" + MetadataHost,
	"https://vault." + Suffix: "https://vault." + Suffix,
	storageAudience:           storageAudience,
	"https://graph." + Suffix: "https://graph." + Suffix,
	registryAudience:          registryAudience,
	clusterAudience:           clusterAudience,
}

func (s *Server) life() time.Duration { return time.Duration(s.setup.TokenSeconds) * time.Second }

// login is Entra: it gives an identity a token for one service, for the token of
// somebody whom the identity trusts.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	refuse := func(code, message string) {
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_request", "error_description": code + ": " + message})
	}
	tenant, ok := strings.CutSuffix(strings.Trim(r.URL.Path, "/"), "/oauth2/v2.0/token")
	if r.Method != http.MethodPost || !ok {
		fail(w, http.StatusNotFound, "NotFound", "only POST /<tenant>/oauth2/v2.0/token is a part of the stand-in")
		return
	}
	if err := r.ParseForm(); err != nil {
		refuse("AADSTS900144", err.Error())
		return
	}
	form := r.PostForm
	if tenant != s.setup.Tenant {
		refuse("AADSTS90002", "Tenant '"+tenant+"' not found")
		return
	}
	if form.Get("grant_type") != "client_credentials" || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		refuse("AADSTS7000218", "The request body must contain the parameter 'client_assertion': identities here have no passwords")
		return
	}
	client := form.Get("client_id")
	identity, known := s.identity(client)
	if !known {
		refuse("AADSTS700016", "Application with identifier '"+client+"' was not found in the directory '"+tenant+"'")
		return
	}
	presented, err := s.signer.verify(form.Get("client_assertion"))
	switch {
	case err != nil:
		refuse("AADSTS50027", "The client assertion "+err.Error())
		return
	case presented.Expires <= s.now().Unix():
		refuse("AADSTS700024", "Client assertion is not within its valid time range")
		return
	case presented.Audience != exchangeAudience:
		refuse("AADSTS700212", "No matching federated identity record found for presented assertion audience '"+presented.Audience+"'")
		return
	}
	if !trusts(identity, presented) {
		refuse("AADSTS700213", fmt.Sprintf("No matching federated identity record found for presented assertion subject '%s' of issuer '%s'", presented.Subject, presented.Issuer))
		return
	}
	audience, ok := audiences[strings.TrimSuffix(strings.TrimSuffix(form.Get("scope"), ".default"), "/")]
	if !ok {
		refuse("AADSTS500011", "The resource principal named "+form.Get("scope")+" was not found in the tenant")
		return
	}
	now := s.now()
	token, err := s.signer.sign(claims{
		Issuer: "https://sts." + Suffix + "/" + tenant + "/", Subject: identity.ObjectID, ObjectID: identity.ObjectID, Client: client,
		Audience: audience, Tenant: tenant, Issued: now.Unix(), Expires: now.Add(s.life()).Unix(),
	})
	if err != nil {
		fail(w, http.StatusInternalServerError, "InternalError", err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": s.setup.TokenSeconds, "access_token": token})
}

func trusts(identity Identity, presented claims) bool {
	for _, f := range identity.Federated {
		if f.Issuer == presented.Issuer && f.Subject == presented.Subject {
			return true
		}
	}
	return false
}

// refusal is why a token is none.
type refusal struct{ code, message string }

// authorized is who asks, with a token for one audience; nil has been answered.
func (s *Server) authorized(w http.ResponseWriter, r *http.Request, audience string) *claims {
	c, refused := s.bearer(r, audience)
	if refused == nil {
		return c
	}
	if r.Header.Get("Authorization") == "" {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer authorization="https://login.%s/%s", resource="%s"`, Suffix, s.setup.Tenant, audience))
	}
	fail(w, http.StatusUnauthorized, refused.code, refused.message)
	return nil
}

// bearer is whose token a request has, or why it has none for the audience.
func (s *Server) bearer(r *http.Request, audience string) (*claims, *refusal) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return nil, &refusal{"AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."}
	}
	c, err := s.signer.verify(token)
	switch {
	case err != nil:
		return nil, &refusal{"InvalidAuthenticationToken", "The access token " + err.Error()}
	case c.Tenant != s.setup.Tenant:
		return nil, &refusal{"InvalidAuthenticationTokenTenant", "The access token is from the wrong issuer '" + c.Issuer + "'"}
	case c.Audience != audience:
		return nil, &refusal{"InvalidAuthenticationTokenAudience", "The access token has been obtained for wrong audience or resource '" + c.Audience + "'. It should exactly match with one of the allowed audiences '" + audience + "'."}
	case c.Expires <= s.now().Unix():
		return nil, &refusal{"ExpiredAuthenticationToken", "The access token expiry UTC time '" + time.Unix(c.Expires, 0).UTC().Format(time.RFC3339) + "' is earlier than current UTC time"}
	}
	return &c, nil
}

// github is the service that gives a job of GitHub Actions a token about itself.
// https://docs.github.com/en/actions/reference/security/oidc
func (s *Server) github(w http.ResponseWriter, r *http.Request) {
	s.issue(w, r, http.MethodGet, "value", func(Pipeline) bool { return true })
}

// devops is the same of Azure DevOps.
// https://learn.microsoft.com/rest/api/azure/devops/distributedtask/oidctoken/create
func (s *Server) devops(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("api-version") == "" {
		fail(w, http.StatusBadRequest, "VssVersionNotSpecifiedException", "No api-version was supplied")
		return
	}
	connection := r.URL.Query().Get("serviceConnectionId")
	s.issue(w, r, http.MethodPost, "oidcToken", func(p Pipeline) bool { return p.ServiceConnection != "" && p.ServiceConnection == connection })
}

func (s *Server) issue(w http.ResponseWriter, r *http.Request, method, field string, suits func(Pipeline) bool) {
	asked, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	for _, p := range s.setup.Pipelines {
		if r.Method != method || p.RequestToken == "" || p.RequestToken != asked || !suits(p) {
			continue
		}
		now := s.now()
		token, err := s.signer.sign(claims{
			Issuer: p.Issuer, Subject: p.Subject, Audience: r.URL.Query().Get("audience"), Issued: now.Unix(), Expires: now.Add(s.life()).Unix(),
		})
		if err != nil {
			fail(w, http.StatusInternalServerError, "InternalError", err.Error())
			return
		}
		answer(w, http.StatusOK, map[string]any{"count": len(token), field: token})
		return
	}
	fail(w, http.StatusUnauthorized, "Unauthorized", "no job has this request token")
}
