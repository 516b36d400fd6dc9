package azure

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"slipway/step"
	"slipway/step/oidc"
)

// vaultApplication is what vaults are called in tokens of Entra's version 2.
const vaultApplication = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"

// claims are what an access token says of itself. Whether it is true is for the
// service to say.
type claims struct {
	Audience string `json:"aud"`
	Tenant   string `json:"tid"`
	Expires  int64  `json:"exp"`
}

// SignedIn reports whether a token's file holds what az account get-access-token
// prints: access tokens of somebody who is signed in, one JSON object for each service.
func SignedIn(data []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) }

// pick is the token for a service among those that az printed.
func (c *Credential) pick(data []byte, audience string, now time.Time) (Token, error) {
	const mend = "give what az account get-access-token --scope SERVICE/.default prints, once for each service that is needed"
	input := "az's token for " + audience
	decoder := json.NewDecoder(bytes.NewReader(data))
	for {
		var printed struct {
			Token string `json:"accessToken"`
		}
		err := decoder.Decode(&printed)
		if errors.Is(err, io.EOF) {
			return Token{}, step.Input(c.stage, input, "is not among those that are given", mend)
		}
		value, ok := oidc.Word([]byte(printed.Token))
		said, read := claim(value)
		switch {
		case err != nil || !ok || !read:
			// The decoder's error could show a part of a token.
			return Token{}, step.Input(c.stage, "az's tokens", "can't be read", mend)
		case !same(said.Audience, audience):
			continue
		case said.Tenant != c.identity.TenantID:
			return Token{}, step.Input(c.stage, input, "is of another tenant", "sign in with az login --tenant "+c.identity.TenantID)
		}
		life := time.Unix(said.Expires, 0).Sub(now)
		if life <= 0 {
			return Token{}, step.Input(c.stage, input, "has expired", "run it again: az gives a new one")
		}
		return fresh(value, now, life), nil
	}
}

func claim(token string) (said claims, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return said, false
	}
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	return said, err == nil && json.Unmarshal(data, &said) == nil
}

// same reports whether a token's audience is the one that is wanted.
func same(said, wanted string) bool {
	return strings.TrimSuffix(said, "/") == strings.TrimSuffix(wanted, "/") || said == vaultApplication && wanted == "https://"+public.Vaults
}
