package cluster

import (
	"context"
	"net/http"

	"slipway/step/azure"
)

// bearer asks for a token when a request needs one: a wait may outlive the first.
type bearer struct {
	inner http.RoundTripper
	azure *azure.Credential
}

// RoundTrip is http.RoundTripper's.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.azure.Token(r.Context(), azure.Kubernetes)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token.Value)
	response, err := b.inner.RoundTrip(r)
	if err == nil && response.StatusCode == http.StatusUnauthorized {
		// The next request comes with another.
		b.azure.Forget(azure.Kubernetes, token)
	}
	return response, err
}

// SignIn asks for the first token where an identity of Azure's reaches the cluster:
// what it is refused for is told before anything waits for it.
func (c *Cluster) SignIn(ctx context.Context) error {
	if c.azure == nil {
		return nil
	}
	_, err := c.azure.Token(ctx, azure.Kubernetes)
	return err
}
