package main

import (
	"context"
	"strings"

	"slipway/ci/internal/dagger"

	"slipway/step"
	"slipway/step/azure"
	"slipway/step/oidc"
)

// Azure is who the pipeline is in Azure, and where Azure is.
type Azure struct {
	ClientID          string          // +private
	TenantID          string          // +private
	SubscriptionID    string          // +private
	Token             *dagger.Secret  // +private
	RequestURL        string          // +private
	ServiceConnection string          // +private
	MetadataHost      string          // +private
	CA                *dagger.File    // +private
	Proxy             *dagger.Service // +private
}

// azureAlias is what the module calls the proxy's service.
const azureAlias = "azure"

// WithAzure says who the pipeline is in Azure: an identity that trusts this job's
// tokens. It signs in to Azure's registries (*.azurecr.io) that have no password of
// their own, reads and writes Terraform's state, acts for the azurerm provider, signs
// with a key in a vault (with-kms-key), and reaches a cluster of AKS whose kubeconfig
// names kubelogin.
//
// Nobody needs a password, and nothing is stored: each step asks for the token that it
// needs when it needs it, so that a delivery may take longer than a token lives.
// GitHub's live for five minutes.
//
// On a laptop, where no job gives tokens, az does: --client-id
// 04b07795-8ddb-461a-bbee-02f9e1bf7b46, which is az's own, and --token
// cmd:"az account get-access-token --scope https://containerregistry.azure.net/.default",
// with another such command behind a semicolon for each service that is needed:
// https://vault.azure.net; https://management.azure.com and https://graph.microsoft.com,
// which the azurerm provider asks who it is, for infrastructure; https://storage.azure.com
// for its state; and 6dae42f8-4368-4678-94ff-3960e28e3630 for clusters.
//
// Example: dagger call with-azure --client-id $CLIENT --tenant-id $TENANT --subscription-id $SUBSCRIPTION --request-url $ACTIONS_ID_TOKEN_REQUEST_URL --token env:ACTIONS_ID_TOKEN_REQUEST_TOKEN with-registry --repository acme.azurecr.io/apps deliver --app hello --env dev text
//
// +cache="168h"
func (s *Slipway) WithAzure(
	// The identity's client ID.
	clientId string,
	// The Entra tenant's ID.
	tenantId string,
	// The subscription's ID.
	subscriptionId string,
	// The token with which this job asks for its tokens: GitHub's
	// ACTIONS_ID_TOKEN_REQUEST_TOKEN, Azure DevOps' SYSTEM_ACCESSTOKEN. Without a
	// request URL it is a token that the identity trusts, such as that of a pod in AKS:
	// file:/var/run/secrets/azure/tokens/azure-identity-token. Or it is what az account
	// get-access-token prints.
	token *dagger.Secret,
	// Where this job asks for its tokens: GitHub's ACTIONS_ID_TOKEN_REQUEST_URL, Azure
	// DevOps' SYSTEM_OIDCREQUESTURI.
	// +optional
	requestUrl string,
	// The ID of Azure DevOps' service connection.
	// +optional
	serviceConnection string,
) (*Slipway, error) {
	next, who := *s, Azure{}
	if s.Azure != nil {
		who = *s.Azure
	}
	who.ClientID, who.TenantID, who.SubscriptionID = clientId, tenantId, subscriptionId
	who.Token, who.RequestURL, who.ServiceConnection = token, requestUrl, serviceConnection
	next.Azure = &who
	_, err := azure.Parse("config", who.identity().String())
	return &next, err
}

// WithAzureCloud names a cloud other than the public one. It comes after with-azure.
//
// Example: dagger call with-azure … with-azure-cloud --metadata-host management.usgovcloudapi.net infra --env dev plan summary
//
// +cache="168h"
func (s *Slipway) WithAzureCloud(
	// The host at which the cloud describes itself.
	metadataHost string,
	// The cloud's own authorities, in PEM, beside the usual ones.
	// +optional
	authorities *dagger.File,
	// The HTTP proxy that the cloud is reached through, its registries, vaults and
	// clusters among it. Example: tcp://localhost:3128
	// +optional
	proxy *dagger.Service,
) (*Slipway, error) {
	if s.Azure == nil {
		return nil, step.Input("config", "with-azure-cloud", "says where Azure is, but nobody who asks there", "give with-azure before it")
	}
	next, who := *s, *s.Azure
	who.MetadataHost, who.CA, who.Proxy = metadataHost, authorities, proxy
	next.Azure = &who
	_, err := azure.Parse("config", who.identity().String())
	return &next, err
}

// identity is who the pipeline is, without authorities and proxy.
func (a *Azure) identity() azure.Identity {
	return azure.Identity{
		ClientID: a.ClientID, TenantID: a.TenantID, SubscriptionID: a.SubscriptionID, MetadataHost: a.MetadataHost,
		Source: oidc.Source{RequestURL: a.RequestURL, ServiceConnection: a.ServiceConnection},
	}
}

// as is the identity as step programs read it, where alias is the proxy's name. It
// holds no secret: that is the token.
func (a *Azure) as(ctx context.Context, stage, alias string) (string, error) {
	i := a.identity()
	if a.CA != nil {
		text, err := a.CA.Contents(ctx)
		if err != nil {
			return "", step.Input(stage, "Azure authorities", "can't be read: "+err.Error(), "give a file of certificates in PEM")
		}
		i.Authorities = text
	}
	if a.Proxy != nil {
		connect, err := (&Endpoint{Service: a.Proxy}).connect(ctx, stage, "http://proxy:80", alias)
		if err != nil {
			return "", err
		}
		_, actual, _ := strings.Cut(connect, "=")
		i.Proxy = "http://" + actual
	}
	return i.String(), nil
}

// reach lets a root's commands be somebody in Azure.
func (a *Azure) reach(ctx context.Context, stage string, root *dagger.InfraRoot) (*dagger.InfraRoot, error) {
	identity, err := a.as(ctx, stage, azureAlias)
	if err != nil {
		return nil, err
	}
	return root.WithAzure(identity, a.Token, dagger.InfraRootWithAzureOpts{Proxy: a.Proxy}), nil
}
