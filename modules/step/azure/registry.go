package azure

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"slipway/step"
	"slipway/step/oidc"
)

// registryUser is whom a registry takes a refresh token for as the password.
const registryUser = "00000000-0000-0000-0000-000000000000"

// IsRegistry reports whether a host's name is one of a registry of some cloud of
// Azure's. Password asks the identity's own cloud, and refuses another one's.
func IsRegistry(name string) bool {
	_, after, _ := strings.Cut(strings.ToLower(name), ".")
	return after == public.Registries || strings.HasPrefix(after, "azurecr.")
}

// Password signs in to a registry of the identity's cloud: it exchanges a token of
// Entra's for one that the registry takes as a password. Every failure is a fault,
// and none holds a token.
//
// https://learn.microsoft.com/azure/container-registry/container-registry-authentication
func (c *Credential) Password(ctx context.Context, host string) (username, password string, err error) {
	cloud, err := c.Cloud(ctx)
	if err != nil {
		return "", "", err
	}
	input := "registry " + host
	if !below(host, cloud.Registries) {
		return "", "", step.Input(c.stage, input, "is no registry of the identity's cloud: their names end in ."+cloud.Registries,
			"give with-registry the user name and the password of this one, or name its cloud by with-azure-cloud")
	}
	err = c.with(ctx, Registry, func(token string) (denied bool, err error) {
		password, denied, err = c.exchange(ctx, input, host, token)
		return denied, err
	})
	return registryUser, password, err
}

func (c *Credential) exchange(ctx context.Context, input, host, token string) (refresh string, denied bool, err error) {
	answer, err := c.post(ctx, "https://"+host+"/oauth2/exchange", url.Values{
		"grant_type": {"access_token"}, "service": {host}, "tenant": {c.identity.TenantID}, "access_token": {token},
	})
	if err != nil {
		return "", false, step.Infrastructure(c.stage, input, "can't be signed in to: "+err.Error(), "see that there is such a registry, and that it can be reached from here, then run the stage again").Because(err)
	}
	switch said := answer.Text(token); {
	case answer.Status == http.StatusForbidden:
		return "", false, step.Input(c.stage, input, "lets nobody in from here: "+said, "let the registry's network rules admit this machine")
	case answer.Status != http.StatusOK:
		return "", answer.Status == http.StatusUnauthorized, step.Input(c.stage, input, fmt.Sprintf("does not take the identity's token (%d): %s", answer.Status, said),
			"use an identity of the registry's own tenant: client "+c.identity.ClientID+" is of tenant "+c.identity.TenantID)
	}
	var given struct {
		Token string `json:"refresh_token"`
	}
	_ = json.Unmarshal(answer.Body, &given)
	refresh, ok := oidc.Word([]byte(given.Token))
	if !ok {
		return "", false, step.Infrastructure(c.stage, input, "answers the exchange without a token", "see whether it is a registry of Azure's")
	}
	return refresh, false, nil
}

// Denied is the refusal of a registry that lets the identity in, but not do this.
func (c *Credential) Denied(input string, err error) *step.Fault {
	return step.Input(c.stage, input, "is not for the identity "+c.identity.ClientID+": its role does not permit this",
		"give the identity "+c.identity.ClientID+" a role on the registry, such as Container Registry Repository Writer for this repository (Reader, to verify and pull only); a new role needs some minutes").Because(err)
}
