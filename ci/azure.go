package main

import (
	"context"
	"encoding/json"
	"strings"

	"slipway/ci/internal/dagger"

	"slipway/step"
)

// Azure is who the pipeline is in Azure, and where Azure is.
type Azure struct {
	// +private
	ClientID string
	// +private
	TenantID string
	// +private
	SubscriptionID string
	// +private
	Token *dagger.Secret
	// +private
	RequestURL string
	// +private
	ServiceConnection string
	// +private
	MetadataHost string
	// +private
	CA *dagger.File
	// +private
	Proxy *dagger.Service
}

// azureAlias is what the module calls the proxy's service.
const azureAlias = "azure"

// WithAzure says who the pipeline is in Azure: an identity that trusts this job's
// tokens. Nobody needs a password, and a token is asked for when it is needed: one
// of GitHub's lives for five minutes.
//
// Example: dagger call with-azure --client-id $CLIENT --tenant-id $TENANT --subscription-id $SUBSCRIPTION --request-url $ACTIONS_ID_TOKEN_REQUEST_URL --token env:ACTIONS_ID_TOKEN_REQUEST_TOKEN infra --env dev plan summary
//
// +cache="168h"
func (s *Slipway) WithAzure(
	// The identity's client ID.
	clientId string,
	// The Entra tenant's ID.
	tenantId string,
	// The subscription's ID.
	subscriptionId string,
	// The token that this job asks for its tokens with: GitHub's
	// ACTIONS_ID_TOKEN_REQUEST_TOKEN, Azure DevOps' SYSTEM_ACCESSTOKEN. Without a
	// request URL it is a token that the identity trusts.
	token *dagger.Secret,
	// Where this job asks for its tokens: GitHub's ACTIONS_ID_TOKEN_REQUEST_URL, Azure
	// DevOps' SYSTEM_OIDCREQUESTURI.
	// +optional
	requestUrl string,
	// The ID of Azure DevOps' service connection.
	// +optional
	serviceConnection string,
) *Slipway {
	next := *s
	azure := Azure{}
	if s.Azure != nil {
		azure = *s.Azure
	}
	azure.ClientID, azure.TenantID, azure.SubscriptionID = clientId, tenantId, subscriptionId
	azure.Token, azure.RequestURL, azure.ServiceConnection = token, requestUrl, serviceConnection
	next.Azure = &azure
	return &next
}

// WithAzureCloud says where another cloud than the public one is. It comes after
// with-azure.
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
	// The HTTP proxy that the cloud is reached through. Example: tcp://localhost:3128
	// +optional
	proxy *dagger.Service,
) (*Slipway, error) {
	if s.Azure == nil {
		return nil, step.Input("config", "with-azure-cloud", "says where Azure is, but nobody who asks there", "give with-azure before it")
	}
	next, azure := *s, *s.Azure
	azure.MetadataHost, azure.CA, azure.Proxy = metadataHost, authorities, proxy
	next.Azure = &azure
	return &next, nil
}

// reach lets a root's commands be somebody in Azure.
func (a *Azure) reach(ctx context.Context, root *dagger.TerraformRoot) (*dagger.TerraformRoot, error) {
	identity := map[string]string{
		"clientId": a.ClientID, "tenantId": a.TenantID, "subscriptionId": a.SubscriptionID,
		"requestUrl": a.RequestURL, "serviceConnection": a.ServiceConnection, "metadataHost": a.MetadataHost,
	}
	if a.Proxy != nil {
		connect, err := (&Endpoint{Service: a.Proxy}).connect(ctx, "azure", "http://proxy:80", azureAlias)
		if err != nil {
			return nil, err
		}
		_, actual, _ := strings.Cut(connect, "=")
		identity["proxy"] = "http://" + actual
	}
	data, err := json.Marshal(identity)
	if err != nil {
		return nil, err
	}
	return root.WithAzure(string(data), a.Token, dagger.TerraformRootWithAzureOpts{Ca: a.CA, Proxy: a.Proxy}), nil
}
