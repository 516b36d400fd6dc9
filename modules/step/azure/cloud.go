package azure

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"slipway/step"
	"slipway/step/internal/ask"
)

// The services that tokens are for. Their names are the same in every cloud.
const (
	// Kubernetes is the server application of every AKS cluster.
	Kubernetes = "6dae42f8-4368-4678-94ff-3960e28e3630"
	// Registry is what a container registry exchanges.
	Registry = "https://containerregistry.azure.net"
)

// Cloud is where the services of one of Azure's clouds are.
type Cloud struct {
	// Login is Entra's URL, without a path.
	Login string
	// Registries and Vaults are what the names of their hosts end in, without the
	// first dot.
	Registries, Vaults string
}

// public is the cloud that needs no asking.
var public = Cloud{Login: "https://login.microsoftonline.com", Registries: "azurecr.io", Vaults: "vault.azure.net"}

// Cloud is where Azure is: the public cloud, or what the metadata host says.
func (c *Credential) Cloud(ctx context.Context) (Cloud, error) {
	if c.identity.MetadataHost == "" {
		return public, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cloud != nil {
		return *c.cloud, nil
	}
	input := "Azure metadata host " + c.identity.MetadataHost
	answer, err := ask.Do(ctx, c.client, func(ctx context.Context) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.identity.MetadataHost+"/metadata/endpoints?api-version=2022-09-01", http.NoBody)
	})
	if err != nil {
		return Cloud{}, step.Infrastructure(c.stage, input, "can't be asked: "+err.Error(), "see whether the host can be reached from here, then run the stage again").Because(err)
	}
	var said struct {
		Authentication struct {
			LoginEndpoint string `json:"loginEndpoint"`
		} `json:"authentication"`
		Suffixes struct {
			Registry string `json:"acrLoginServer"`
			Vault    string `json:"keyVaultDns"`
		} `json:"suffixes"`
	}
	const mend = "give the host at which the cloud's Resource Manager answers, such as management.usgovcloudapi.net"
	if answer.Status != http.StatusOK || json.Unmarshal(answer.Body, &said) != nil {
		return Cloud{}, step.Input(c.stage, input, "does not describe a cloud: "+answer.Text(), mend)
	}
	login, err := url.Parse(said.Authentication.LoginEndpoint)
	if err != nil || login.Scheme != "https" || login.Host == "" || login.User != nil {
		return Cloud{}, step.Input(c.stage, input, "names no https login endpoint", mend)
	}
	found := Cloud{Login: "https://" + login.Host, Registries: suffix(said.Suffixes.Registry), Vaults: suffix(said.Suffixes.Vault)}
	c.cloud = &found
	return found, nil
}

func suffix(text string) string { return strings.ToLower(strings.Trim(text, ".")) }

// below reports whether a host is one label below a suffix.
func below(name, suffix string) bool {
	label, ok := strings.CutSuffix(strings.ToLower(name), "."+suffix)
	return ok && suffix != "" && label != "" && !strings.Contains(label, ".")
}
