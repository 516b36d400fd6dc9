package registry

import (
	"io"
	"log"
	"net/http"
	"testing"

	fake "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/azure/azuretest"
)

func TestAnIdentityReachesAzure(t *testing.T) {
	a := azuretest.Start(t)
	denied := false
	inner := fake.New(fake.Logger(log.New(io.Discard, "", 0)))
	a.Hosts[azuretest.Registry] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if denied {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		inner.ServeHTTP(w, r)
	})
	identity, file := a.Identity()
	c := &Client{Stage: "scan", Pause: 1}
	require.NoError(t, c.Credentials(identity.String(), file))
	repository, err := c.Repository(azuretest.Registry + "/slipway/trivy-db")
	require.NoError(t, err)
	image, err := random.Image(64, 1)
	require.NoError(t, err)
	require.NoError(t, remote.Write(repository.Tag("2"), image, c.Options(t.Context(), repository.Registry)...))
	_, err = remote.Get(repository.Tag("2"), c.Options(t.Context(), repository.Registry)...)
	require.NoError(t, err)

	denied = true
	_, err = remote.Get(repository.Tag("2"), c.Options(t.Context(), repository.Registry)...)
	fault, ok := step.AsFault(c.Fault("vulnerability database", err))
	require.True(t, ok, "%v", err)
	require.Contains(t, fault.Mend, "Container Registry Repository Writer")

	a.Refuse["login.azure.test"] = http.StatusBadRequest
	c = &Client{Stage: "scan", Pause: 1}
	require.NoError(t, c.Credentials(identity.String(), file))
	_, err = remote.Get(repository.Tag("2"), c.Options(t.Context(), repository.Registry)...)
	fault, ok = step.AsFault(c.Fault("vulnerability database", err))
	require.True(t, ok, "%v", err)
	require.Equal(t, step.KindInput, fault.Kind)
	require.Equal(t, "Entra refuses the identity with status 400", fault.Reason)

	_, err = (&Client{Stage: "scan"}).Repository(azuretest.Registry)
	require.Error(t, err)
	require.Error(t, (&Client{Stage: "scan"}).Credentials("{", file), "what begins like an identity is one")
}
