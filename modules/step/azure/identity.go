// Package azure is who a step is in Azure: an application or a managed identity
// that trusts the tokens of the job. From them it mints, when they are needed and
// never to be kept, tokens for Azure's services: for a registry, a vault's keys, the
// API of a cluster.
//
// See https://learn.microsoft.com/entra/workload-id/workload-identity-federation.
package azure

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"

	"slipway/step"
	"slipway/step/oidc"
)

// Identity is an application or a managed identity, where its job's tokens come
// from, and where Azure is. It holds no secret. Where a registry's user name is
// asked for, an Identity as JSON is one, too: its password is the request token.
type Identity struct {
	// ClientID, TenantID and SubscriptionID are UUIDs.
	ClientID       string `json:"clientId"`
	TenantID       string `json:"tenantId"`
	SubscriptionID string `json:"subscriptionId"`
	oidc.Source
	// MetadataHost is where another cloud than the public one describes itself:
	// a host without a scheme.
	MetadataHost string `json:"metadataHost,omitempty"`
	// Authorities of another cloud, in PEM, beside the usual ones.
	Authorities string `json:"authorities,omitempty"`
	// Proxy is the http URL that Azure is reached through; empty is none.
	Proxy string `json:"proxy,omitempty"`
}

var (
	id   = regexp.MustCompile(`\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z`)
	host = regexp.MustCompile(`\A[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?\z`)
)

// Is reports whether a user name is an Identity.
func Is(username string) bool { return strings.HasPrefix(username, "{") }

// Parse reads an Identity; what it refuses is an input Fault of stage.
func Parse(stage, text string) (Identity, error) {
	const mend = `give a JSON object such as {"clientId": "…", "tenantId": "…", "subscriptionId": "…", "requestUrl": "https://…"}`
	var i Identity
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&i); err != nil {
		return i, step.Input(stage, "Azure identity", err.Error(), mend).Because(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return i, step.Input(stage, "Azure identity", "has something after its object", mend)
	}
	for _, k := range []struct {
		name, value, reason, mend string
		ok                        bool
	}{
		{"client ID", i.ClientID, "is not a UUID in lower case", "copy the identity's client ID, not its object ID or name", id.MatchString(i.ClientID)},
		{"tenant ID", i.TenantID, "is not a UUID in lower case", "copy the tenant's ID, not its domain", id.MatchString(i.TenantID)},
		{"subscription ID", i.SubscriptionID, "is not a UUID in lower case", "copy the subscription's ID, not its name", id.MatchString(i.SubscriptionID)},
		{"metadata host", i.MetadataHost, "is not a host's name", "give the host without a scheme, such as management.usgovcloudapi.net", i.MetadataHost == "" || host.MatchString(i.MetadataHost)},
		{"authorities", i.Authorities, "are not certificates in PEM", "give the file of the cloud's own authorities, or leave it out", i.Authorities == "" || x509.NewCertPool().AppendCertsFromPEM([]byte(i.Authorities))},
		{"proxy", i.Proxy, "is not an http URL without credentials", "give http://host:port", i.Proxy == "" || plain(i.Proxy)},
	} {
		if !k.ok {
			return i, step.Input(stage, fmt.Sprintf("Azure %s %.80q", k.name, k.value), k.reason, k.mend)
		}
	}
	return i, i.Check(stage)
}

// String is the Identity as Parse reads it.
func (i Identity) String() string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	// Strings can be encoded.
	_ = encoder.Encode(i)
	return strings.TrimSpace(b.String())
}

func plain(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "http" && u.Hostname() != "" && u.User == nil && strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == ""
}
