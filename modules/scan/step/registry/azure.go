package registry

import (
	"context"

	"github.com/google/go-containerregistry/pkg/authn"

	"slipway/step/azure"
)

// azureLogin signs in to a registry of Azure's each time that it is asked who it
// is: what it answered before may have grown old.
type azureLogin struct {
	*azure.Credential
	host string
}

// Authorization is authn.Authenticator's.
func (l azureLogin) Authorization() (*authn.AuthConfig, error) {
	return l.AuthorizationContext(context.Background())
}

// AuthorizationContext is authn.ContextAuthenticator's.
func (l azureLogin) AuthorizationContext(ctx context.Context) (*authn.AuthConfig, error) {
	username, password, err := l.Password(ctx, l.host)
	return &authn.AuthConfig{Username: username, Password: password}, err
}
