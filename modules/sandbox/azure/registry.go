package azure

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// registryAudience is the service whose tokens a registry exchanges, the same in
// every cloud.
const registryAudience = "https://containerregistry.azure.net"

// registryUser is whom a registry takes a refresh token for.
const registryUser = "00000000-0000-0000-0000-000000000000"

// Backing is a registry that the hosts of registries lead to, and who writes there.
type Backing struct {
	URL      string
	Username string
	Password string
}

// repositoryOf is what a request to a registry is about.
var repositoryOf = regexp.MustCompile(`\A/v2/(.+)/(?:blobs|manifests|referrers|tags)/`)

// registry answers for one registry: it signs identities in, looks at their roles for
// each repository, and passes on what they may. It returns the client that asked.
// https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md
func (s *Server) registry(name string, w http.ResponseWriter, r *http.Request) string {
	host := strings.ToLower(name) + ".azurecr." + Suffix
	id, found := s.registryID(name)
	if !found {
		fail(w, http.StatusNotFound, "NotFound", "there is no registry "+host)
		return ""
	}
	deny := func(status int, code, message string) {
		answer(w, status, map[string]any{"errors": []any{map[string]any{"code": code, "message": message}}})
	}
	switch r.URL.Path {
	case "/oauth2/exchange":
		return s.exchangeToken(host, w, r, deny)
	case "/oauth2/token":
		return s.accessToken(host, id, w, r, deny)
	}
	challenge := `Bearer realm="https://` + host + `/oauth2/token",service="` + host + `"`
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	c, err := s.signer.verify(token)
	if err != nil || c.Audience != "access:"+host || c.Expires <= s.now().Unix() {
		w.Header().Set("WWW-Authenticate", challenge)
		deny(http.StatusUnauthorized, "UNAUTHORIZED", "authentication required, visit https://aka.ms/acr/authorization for more information.")
		return ""
	}
	if r.URL.Path != "/v2/" {
		repository := repositoryOf.FindStringSubmatch(r.URL.Path)
		action := "pull"
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			action = "push"
		}
		if repository == nil || !slices.Contains(c.Access, repository[1]+":"+action) {
			deny(http.StatusForbidden, "DENIED", "requested access to the resource is denied")
			return c.Client
		}
	}
	s.passRegistry(host, w, r)
	return c.Client
}

// registryID is the resource that a registry's name stands for.
func (s *Server) registryID(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.setup.Registries, strings.ToLower(name)) {
		return "/subscriptions/" + s.setup.Subscription + "/resourceGroups/ground/providers/Microsoft.ContainerRegistry/registries/" + name, true
	}
	for _, stored := range s.store {
		if stored.kind == "microsoft.containerregistry/registries" && strings.EqualFold(stored.name, name) {
			return stored.id, true
		}
	}
	return "", false
}

// exchangeToken gives a refresh token for one of Entra's.
func (s *Server) exchangeToken(host string, w http.ResponseWriter, r *http.Request, deny func(int, string, string)) string {
	if r.Method != http.MethodPost || r.PostFormValue("grant_type") != "access_token" || r.PostFormValue("service") != host {
		deny(http.StatusBadRequest, "BAD_REQUEST", "the exchange is a POST of grant_type access_token for service "+host)
		return ""
	}
	c, err := s.signer.verify(r.PostFormValue("access_token"))
	switch {
	case err != nil:
		deny(http.StatusUnauthorized, "UNAUTHORIZED", "the access token "+err.Error())
	case c.Audience != registryAudience:
		deny(http.StatusUnauthorized, "UNAUTHORIZED", "the access token is for "+c.Audience)
	case c.Tenant != s.setup.Tenant || r.PostFormValue("tenant") != s.setup.Tenant:
		deny(http.StatusUnauthorized, "UNAUTHORIZED", "the access token is of another tenant")
	case c.Expires <= s.now().Unix():
		deny(http.StatusUnauthorized, "UNAUTHORIZED", "the access token has expired")
	default:
		s.give(w, claims{Audience: "refresh:" + host, ObjectID: c.ObjectID, Client: c.Client, Tenant: c.Tenant}, "refresh_token")
		return c.Client
	}
	return c.Client
}

// accessToken gives an access token for a refresh token: for what the identity's roles
// permit of what is asked for.
func (s *Server) accessToken(host, id string, w http.ResponseWriter, r *http.Request, deny func(int, string, string)) string {
	user, refresh, basic := r.BasicAuth()
	if !basic {
		refresh, user = r.PostFormValue("refresh_token"), registryUser
	}
	c, err := s.signer.verify(refresh)
	if err != nil || user != registryUser || c.Audience != "refresh:"+host || c.Expires <= s.now().Unix() || r.FormValue("service") != host {
		deny(http.StatusUnauthorized, "UNAUTHORIZED", "the refresh token is none for "+host+", or has expired")
		return ""
	}
	var granted []string
	s.mu.Lock()
	for _, scope := range r.Form["scope"] {
		for _, one := range strings.Fields(scope) {
			kind, rest, _ := strings.Cut(one, ":")
			at := strings.LastIndex(rest, ":")
			if kind != "repository" || at < 0 {
				continue
			}
			repository := rest[:at]
			for _, action := range strings.Split(rest[at+1:], ",") {
				verb := map[string]string{"pull": "read", "push": "write"}[action]
				if verb != "" && s.may(c.ObjectID, "Microsoft.ContainerRegistry/registries/repositories/content/"+verb, id, true, repository) {
					granted = append(granted, repository+":"+action)
				}
			}
		}
	}
	s.mu.Unlock()
	s.give(w, claims{Audience: "access:" + host, ObjectID: c.ObjectID, Client: c.Client, Tenant: c.Tenant, Access: granted}, "access_token")
	return c.Client
}

func (s *Server) give(w http.ResponseWriter, c claims, field string) {
	now := s.now()
	c.Issuer, c.Issued, c.Expires = "Azure Container Registry", now.Unix(), now.Add(s.life()).Unix()
	token, err := s.signer.sign(c)
	if err != nil {
		fail(w, http.StatusInternalServerError, "InternalError", err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]any{field: token})
}

// passRegistry hands a request on to the registry that keeps the content.
func (s *Server) passRegistry(host string, w http.ResponseWriter, r *http.Request) {
	target, err := url.Parse(s.setup.Registry.URL)
	if err != nil || target.Host == "" {
		fail(w, http.StatusBadGateway, "BadGateway", fmt.Sprintf("the stand-in keeps no content: its registry is %q", s.setup.Registry.URL))
		return
	}
	proxy := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = target.Host
			p.Out.Header.Del("Authorization")
			if s.setup.Registry.Username != "" {
				p.Out.SetBasicAuth(s.setup.Registry.Username, s.setup.Registry.Password)
			}
		},
		ModifyResponse: func(response *http.Response) error {
			// Uploads go on where they began, wherever the content's registry says that it is.
			if at, err := response.Location(); err == nil {
				at.Scheme, at.Host = "https", host
				response.Header.Set("Location", at.String())
			}
			return nil
		},
		Transport: &http.Transport{ResponseHeaderTimeout: time.Minute},
	}
	proxy.ServeHTTP(w, r)
}
