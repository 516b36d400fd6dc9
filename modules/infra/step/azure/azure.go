// Package azure lets Terraform's azurerm provider and backend, and whatever reaches
// a cluster of AKS, be an identity in Azure. They ask for tokens when they need them.
//
// See https://registry.terraform.io/providers/hashicorp/azurerm/latest/docs.
package azure

import (
	"errors"
	"os"
	"path/filepath"

	"slipway/step/azure"
	"slipway/step/oidc"
)

// systemRoots is where the runner's container keeps the usual authorities.
var systemRoots = "/etc/ssl/certs/ca-certificates.crt"

// Env returns the environment of Terraform's provider and backend, and what ends it;
// none when no identity is given. It writes to the folder scratch what the environment
// names.
func Env(a azure.Access, stage, scratch string) (env map[string]string, stop func(), err error) {
	stop = func() {}
	credential, err := a.Open(stage)
	if err != nil || credential == nil {
		return nil, stop, err
	}
	i := credential.Identity()
	data, err := os.ReadFile(a.Token)
	if err != nil {
		return nil, stop, err
	}
	env = map[string]string{
		"ARM_CLIENT_ID": i.ClientID, "ARM_TENANT_ID": i.TenantID, "ARM_SUBSCRIPTION_ID": i.SubscriptionID,
		// The state's account takes no shared key.
		"ARM_USE_AZUREAD": "true",
		// Nobody else than who was named, should that fail.
		"ARM_USE_CLI": "false", "ARM_USE_MSI": "false", "ARM_USE_OIDC": "true",
	}
	switch token, _ := oidc.Word(data); {
	case i.RequestURL != "":
		env["ARM_OIDC_REQUEST_URL"], env["ARM_OIDC_REQUEST_TOKEN"] = i.RequestURL, token
	case !azure.SignedIn(data):
		env["ARM_OIDC_TOKEN"] = token
	default:
		env["ARM_USE_MSI"], env["ARM_USE_OIDC"] = "true", "false"
		if env["ARM_MSI_ENDPOINT"], stop, err = serve(credential); err != nil {
			return nil, func() {}, err
		}
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
	if i.Authorities == "" {
		return env, stop, nil
	}
	env["SSL_CERT_FILE"], err = authorities(i.Authorities, scratch)
	return env, stop, err
}

// authorities writes the usual authorities and the given ones into one file.
func authorities(own, scratch string) (string, error) {
	usual, err := os.ReadFile(systemRoots)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	file := filepath.Join(scratch, "authorities.pem")
	return file, os.WriteFile(file, append(append(usual, '\n'), own...), 0o600)
}
