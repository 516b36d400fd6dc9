package transfer

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/registry"
	"slipway/step"
	"slipway/step/azure/azuretest"
)

// acr is a registry of Azure's, and the options of who reaches it by an identity.
func acr(t *testing.T, front func(http.Handler) http.Handler) (*azuretest.Azure, name.Repository, func(stage string) registry.Access) {
	t.Helper()
	a := azuretest.Start(t)
	a.Hosts[azuretest.Registry] = front(fake.New(fake.Logger(log.New(io.Discard, "", 0))))
	repo, err := registry.ParseRepository("publish", "--repository", azuretest.Registry+"/apps/hello")
	require.NoError(t, err)
	return a, repo, func(stage string) registry.Access {
		o := registry.Access{Stage: stage, Pause: time.Microsecond}
		identity, file := a.Identity()
		require.NoError(t, o.SignIn(identity.String(), file))
		o.Azure.Now = a.Now
		return o
	}
}

func TestAnIdentityPublishesToAzure(t *testing.T) {
	dir, built := assembled(t)
	a, repo, options := acr(t, func(h http.Handler) http.Handler { return h })
	published, err := Publish(t.Context(), dir, built.Digest, repo, options("publish"))
	require.NoError(t, err)
	assert.True(t, published.Pushed)
	ref, err := registry.ParseReference("verify", "--reference", repo.Name()+"@"+built.Digest)
	require.NoError(t, err)
	_, err = FetchVerify(t.Context(), ref, options("verify"))
	require.NoError(t, err)
	_, err = Pull(t.Context(), t.TempDir()+"/layout", ref, MaxImage, options("pull"))
	require.NoError(t, err)
	assert.Contains(t, a.Asked(), "POST "+azuretest.Registry+"/oauth2/exchange 200")
	assert.Contains(t, a.Asked(), "GET "+azuretest.Registry+"/v2/ 401", "nobody gets in without")
}

// Every token is too old after a few requests: of the registry, of Entra and of
// the job.
func TestAPushThatOutlivesItsTokensGoesOn(t *testing.T) {
	dir, built := assembled(t)
	var asked atomic.Int32
	var grow func()
	a, repo, options := acr(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1)%3 == 0 {
				grow()
			}
			h.ServeHTTP(w, r)
		})
	})
	a.Life, grow = 20*time.Second, func() { a.Advance(time.Minute) }
	var said bytes.Buffer
	o := options("publish")
	o.Say = log.New(&said, "", 0).Printf
	published, err := Publish(t.Context(), dir, built.Digest, repo, o)
	require.NoError(t, err)
	assert.True(t, published.Pushed)
	exchanges := 0
	for _, request := range a.Asked() {
		if request == "POST "+azuretest.Registry+"/oauth2/exchange 200" {
			exchanges++
		}
	}
	assert.Greater(t, exchanges, 2)
	for _, token := range append(a.Tokens(), azuretest.RequestToken) {
		assert.NotContains(t, said.String(), token)
	}
}

func TestAnIdentityThatMayNotIsToldWhatItLacks(t *testing.T) {
	dir, built := assembled(t)
	t.Run("its role", func(t *testing.T) {
		_, repo, options := acr(t, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					http.Error(w, `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`, http.StatusForbidden)
					return
				}
				h.ServeHTTP(w, r)
			})
		})
		_, err := Publish(t.Context(), dir, built.Digest, repo, options("publish"))
		f := fault(t, err, step.KindInput, "publish")
		assert.Equal(t, "repository "+azuretest.Registry+"/apps/hello", f.Input)
		assert.Contains(t, f.Mend, "Container Registry Repository Writer")
	})
	t.Run("a job", func(t *testing.T) {
		a, repo, options := acr(t, func(h http.Handler) http.Handler { return h })
		a.Refuse["jobs.azure.test"] = http.StatusUnauthorized
		_, err := Publish(t.Context(), dir, built.Digest, repo, options("publish"))
		f := fault(t, err, step.KindInput, "publish")
		assert.Contains(t, f.Reason, "the request token is not this job's")
		n := 0
		for _, request := range a.Asked() {
			if request == "GET jobs.azure.test/token 401" {
				n++
			}
		}
		assert.Equal(t, 1, n, "who is refused does not ask again")
	})
	t.Run("this cloud", func(t *testing.T) {
		a := azuretest.Start(t)
		s := serve(t)
		s.on(func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Basic realm="all"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		})
		o := s.access("publish")
		identity, file := a.Identity()
		identity.MetadataHost, identity.Proxy = "", ""
		require.NoError(t, o.SignIn(identity.String(), file))
		_, err := Publish(t.Context(), dir, built.Digest, repository(t), o)
		f := fault(t, err, step.KindInput, "publish")
		assert.Equal(t, "is no registry of the identity's cloud: their names end in .azurecr.io", f.Reason)
		assert.Empty(t, a.Tokens(), "no token was minted for it")
	})
}
