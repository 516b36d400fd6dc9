// Package azure says who Terraform's azurerm provider and backend are, and where
// Azure is. A token is minted when it is needed, by the service that a CI system
// has for that: one that was minted before would be too old at the end.
//
// See https://registry.terraform.io/providers/hashicorp/azurerm/latest/docs.
package azure

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"slipway/step"
)

// Identity is an application or a managed identity, and how it proves itself.
type Identity struct {
	// ClientID, TenantID and SubscriptionID are UUIDs.
	ClientID       string `json:"clientId"`
	TenantID       string `json:"tenantId"`
	SubscriptionID string `json:"subscriptionId"`
	// RequestURL is where a job's tokens are asked for: GitHub's
	// ACTIONS_ID_TOKEN_REQUEST_URL or Azure DevOps' SYSTEM_OIDCREQUESTURI. Empty
	// means that the token file holds a token itself.
	RequestURL string `json:"requestUrl,omitempty"`
	// ServiceConnection is the ID of Azure DevOps' service connection.
	ServiceConnection string `json:"serviceConnection,omitempty"`
	// MetadataHost is where another cloud than the public one describes itself:
	// a host without a scheme.
	MetadataHost string `json:"metadataHost,omitempty"`
	// Proxy is the http URL that Azure is reached through; empty is none.
	Proxy string `json:"proxy,omitempty"`
}

// Files are what an Identity is read from.
type Files struct {
	// Identity is a JSON file of an Identity; empty is none.
	Identity string
	// Token is a file with the job's request token, or the token itself.
	Token string
	// CA is a PEM file with the authorities of another cloud, beside the usual
	// ones; empty is none.
	CA string
}

var (
	id   = regexp.MustCompile(`\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z`)
	host = regexp.MustCompile(`\A[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?\z`)
)

// systemRoots is where the runner's container keeps the usual authorities.
var systemRoots = "/etc/ssl/certs/ca-certificates.crt"

// Env returns the environment of Terraform's provider and backend; none when no
// identity is given. It writes to the folder scratch what the environment names.
func (f Files) Env(stage, scratch string) (map[string]string, error) {
	if f.Identity == "" {
		if f.Token != "" || f.CA != "" {
			return nil, step.Input(stage, "--azure", "is missing, but what belongs to it is given", "give the identity's JSON file, or leave its token and authorities out")
		}
		return nil, nil
	}
	i, err := f.read(stage)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(f.Token)
	token := string(bytes.TrimSpace(data))
	if err != nil || token == "" || strings.ContainsAny(token, " \t\r\n\x00") {
		return nil, step.Input(stage, "Azure token", "is not one token", "give the job's request token with its request URL, or the token itself without one").Because(err)
	}
	env := map[string]string{
		"ARM_CLIENT_ID": i.ClientID, "ARM_TENANT_ID": i.TenantID, "ARM_SUBSCRIPTION_ID": i.SubscriptionID,
		"ARM_USE_OIDC": "true",
		// The state's account takes no shared key.
		"ARM_USE_AZUREAD": "true",
		// Nobody else than who was named, should that fail.
		"ARM_USE_CLI": "false", "ARM_USE_MSI": "false",
	}
	if i.RequestURL == "" {
		env["ARM_OIDC_TOKEN"] = token
	} else {
		env["ARM_OIDC_REQUEST_URL"], env["ARM_OIDC_REQUEST_TOKEN"] = i.RequestURL, token
	}
	if i.ServiceConnection != "" {
		env["ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID"] = i.ServiceConnection
	}
	if i.MetadataHost != "" {
		// The second is what OpenTofu's backend calls it.
		env["ARM_METADATA_HOSTNAME"], env["ARM_METADATA_HOST"] = i.MetadataHost, i.MetadataHost
	}
	if i.Proxy != "" {
		env["HTTPS_PROXY"] = i.Proxy
	}
	if f.CA == "" {
		return env, nil
	}
	env["SSL_CERT_FILE"], err = f.authorities(stage, scratch)
	return env, err
}

func (f Files) read(stage string) (Identity, error) {
	const mend = `give a JSON object such as {"clientId": "…", "tenantId": "…", "subscriptionId": "…", "requestUrl": "https://…"}`
	var i Identity
	data, err := os.ReadFile(f.Identity)
	if err != nil {
		return i, step.Input(stage, "--azure "+f.Identity, "can't be read", mend).Because(err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&i); err != nil {
		return i, step.Input(stage, "--azure "+f.Identity, err.Error(), mend).Because(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return i, step.Input(stage, "--azure "+f.Identity, "has something after its object", mend)
	}
	for _, k := range []struct {
		name, value, reason, mend string
		ok                        bool
	}{
		{"client ID", i.ClientID, "is not a UUID in lower case", "copy the identity's client ID, not its object ID or name", id.MatchString(i.ClientID)},
		{"tenant ID", i.TenantID, "is not a UUID in lower case", "copy the tenant's ID, not its domain", id.MatchString(i.TenantID)},
		{"subscription ID", i.SubscriptionID, "is not a UUID in lower case", "copy the subscription's ID, not its name", id.MatchString(i.SubscriptionID)},
		{"service connection", i.ServiceConnection, "is not a UUID in lower case", "copy the service connection's ID, not its name", i.ServiceConnection == "" || id.MatchString(i.ServiceConnection)},
		{"service connection", i.ServiceConnection, "is given without a request URL", "give SYSTEM_OIDCREQUESTURI as the request URL, too", i.ServiceConnection == "" || i.RequestURL != ""},
		{"request URL", i.RequestURL, "is not an https URL without credentials", "give ACTIONS_ID_TOKEN_REQUEST_URL or SYSTEM_OIDCREQUESTURI as the job has it", i.RequestURL == "" || secure(i.RequestURL)},
		{"metadata host", i.MetadataHost, "is not a host's name", "give the host without a scheme, such as management.usgovcloudapi.net", i.MetadataHost == "" || host.MatchString(i.MetadataHost)},
		{"proxy", i.Proxy, "is not an http URL without credentials", "give http://host:port", i.Proxy == "" || plain(i.Proxy)},
	} {
		if !k.ok {
			return i, step.Input(stage, fmt.Sprintf("Azure %s %.80q", k.name, k.value), k.reason, k.mend)
		}
	}
	return i, nil
}

func secure(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil && u.Fragment == ""
}

func plain(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "http" && u.Hostname() != "" && u.User == nil && strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == ""
}

// authorities writes the usual authorities and the given ones into one file.
func (f Files) authorities(stage, scratch string) (string, error) {
	own, err := os.ReadFile(f.CA)
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(own) {
		return "", step.Input(stage, "Azure authorities", "are not certificates in PEM", "give the file of the cloud's own authorities, or leave it out").Because(err)
	}
	usual, err := os.ReadFile(systemRoots)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	file := filepath.Join(scratch, "authorities.pem")
	return file, os.WriteFile(file, append(append(usual, '\n'), own...), 0o600)
}
