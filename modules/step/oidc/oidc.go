// Package oidc asks for ID tokens about a CI job, where its host has a service for
// that. Such a token lives for minutes, so it is asked for when it is needed.
package oidc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"slipway/step"
	"slipway/step/internal/ask"
	"slipway/step/reach"
)

// Source is where a job's tokens come from.
type Source struct {
	// RequestURL is GitHub's ACTIONS_ID_TOKEN_REQUEST_URL or Azure DevOps'
	// SYSTEM_OIDCREQUESTURI. Without one, what would be the request token is an ID
	// token itself: of a pod's service account, for example.
	RequestURL string `json:"requestUrl,omitempty"`
	// ServiceConnection is the ID of Azure DevOps' service connection.
	ServiceConnection string `json:"serviceConnection,omitempty"`
}

// pipelines is the version of Azure DevOps' API.
// https://learn.microsoft.com/rest/api/azure/devops/distributedtask/oidctoken/create
const pipelines = "7.1"

var id = regexp.MustCompile(`\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z`)

// Check refuses what can't be a source.
func (s Source) Check(stage string) error {
	for _, k := range []struct {
		name, value, reason, mend string
		ok                        bool
	}{
		{"service connection", s.ServiceConnection, "is not a UUID in lower case", "copy the service connection's ID, not its name", s.ServiceConnection == "" || id.MatchString(s.ServiceConnection)},
		{"service connection", s.ServiceConnection, "is given without a request URL", "give SYSTEM_OIDCREQUESTURI as the request URL, too", s.ServiceConnection == "" || s.RequestURL != ""},
		{"request URL", s.RequestURL, "is not an https URL without credentials", "give ACTIONS_ID_TOKEN_REQUEST_URL or SYSTEM_OIDCREQUESTURI as the job has it", s.RequestURL == "" || secure(s.RequestURL)},
	} {
		if !k.ok {
			return step.Input(stage, fmt.Sprintf("%s %.80q", k.name, k.value), k.reason, k.mend)
		}
	}
	return nil
}

// secure reports whether a token may go there: plain HTTP is for this machine.
func secure(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && reach.Loopback(u.Hostname())
}

// Client sends requests over a transport. It follows no redirect, which would carry
// a token elsewhere.
func Client(transport http.RoundTripper) *http.Client { return ask.Client(transport) }

// Word reads a token: one word, a line end after it is left out.
func Word(data []byte) (string, bool) {
	text := strings.TrimSpace(string(data))
	return text, text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// Token asks for a token for an audience; secret is the job's request token, and
// client one of Client's. Every failure is a fault, and none holds a token.
func (s Source) Token(ctx context.Context, stage string, client *http.Client, secret, audience string) (string, error) {
	if s.RequestURL == "" {
		return secret, nil
	}
	address, err := url.Parse(s.RequestURL)
	if err != nil {
		return "", step.Input(stage, "request URL", "can't be read", "give the request URL as the job has it")
	}
	method, query := http.MethodGet, address.Query()
	query.Set("audience", audience)
	if s.ServiceConnection != "" {
		method = http.MethodPost
		query.Set("api-version", pipelines)
		query.Set("serviceConnectionId", s.ServiceConnection)
	}
	address.RawQuery = query.Encode()
	input := "ID token from " + address.Host
	answer, err := ask.Do(ctx, client, func(ctx context.Context) (*http.Request, error) {
		r, err := http.NewRequestWithContext(ctx, method, address.String(), http.NoBody)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("Accept", "application/json")
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/json")
		}
		return r, nil
	})
	if err != nil {
		return "", step.Infrastructure(stage, input, "can't be asked for: "+err.Error(), "see whether the job's host is up and can be reached from here, then run the stage again").Because(err)
	}
	var given struct {
		Value     string `json:"value"`
		OIDCToken string `json:"oidcToken"`
	}
	switch {
	case answer.Status == http.StatusUnauthorized || answer.Status == http.StatusForbidden:
		return "", step.Input(stage, input, fmt.Sprintf("is refused with status %d: the request token is not this job's, or the job has ended", answer.Status),
			"give ACTIONS_ID_TOKEN_REQUEST_TOKEN of a job with the permission id-token: write, or SYSTEM_ACCESSTOKEN with the service connection's ID")
	case answer.Status != http.StatusOK:
		return "", step.Input(stage, input, fmt.Sprintf("is refused with status %d: %s", answer.Status, answer.Text(secret)), "give the request URL, and Azure DevOps' service connection, as the job has them")
	case json.Unmarshal(answer.Body, &given) != nil || given.Value == "" && given.OIDCToken == "":
		return "", step.Input(stage, input, "is not in the answer", "give the request URL as the job has it: GitHub answers with value, Azure DevOps with oidcToken")
	}
	token, ok := Word([]byte(given.Value + given.OIDCToken))
	if !ok {
		return "", step.Infrastructure(stage, input, "is not one token", "see what answers at the request URL")
	}
	return token, nil
}
