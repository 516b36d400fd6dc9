package main

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serve starts a registry with two images and a referrer of the first one, and
// returns its address and the images' digests.
func serve(t *testing.T) (string, [2]v1.Hash) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "http://")
	var digests [2]v1.Hash
	var first v1.Image
	for n := range digests {
		image, err := random.Image(100, 1)
		require.NoError(t, err)
		digests[n] = push(t, address, image)
		if n == 0 {
			first = image
		}
	}
	about, err := random.Image(100, 1)
	require.NoError(t, err)
	media, err := first.MediaType()
	require.NoError(t, err)
	size, err := first.Size()
	require.NoError(t, err)
	statement, ok := mutate.Subject(about, v1.Descriptor{MediaType: media, Digest: digests[0], Size: size}).(v1.Image)
	require.True(t, ok)
	push(t, address, statement)
	return address, digests
}

func push(t *testing.T, address string, image v1.Image) v1.Hash {
	t.Helper()
	digest, err := image.Digest()
	require.NoError(t, err)
	ref, err := name.NewDigest(address+"/app@"+digest.String(), name.Insecure)
	require.NoError(t, err)
	require.NoError(t, remote.Write(ref, image))
	return digest
}

func attack(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), args, &out)
	return out.String(), err
}

func TestTagMoves(t *testing.T) {
	address, digests := serve(t)
	at := []string{"--registry", address, "--repository", "app"}
	for _, digest := range digests {
		_, err := attack(t, append([]string{"tag", "--digest", digest.String(), "--tag", "v1"}, at...)...)
		require.NoError(t, err)
		out, err := attack(t, append([]string{"resolve", "--tag", "v1"}, at...)...)
		require.NoError(t, err)
		assert.Equal(t, digest.String(), out)
	}
}

func TestGraft(t *testing.T) {
	address, digests := serve(t)
	at := []string{"graft", "--registry", address, "--repository", "app"}
	out, err := attack(t, append(at, "--from", digests[0].String(), "--to", digests[1].String())...)
	require.NoError(t, err)
	assert.Equal(t, "1", out)

	ref, err := name.NewDigest(address+"/app@"+digests[1].String(), name.Insecure)
	require.NoError(t, err)
	index, err := remote.Referrers(ref)
	require.NoError(t, err)
	all, err := index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, all.Manifests, 1)
	grafted, err := remote.Image(ref.Digest(all.Manifests[0].Digest.String()))
	require.NoError(t, err)
	layers, err := grafted.Layers()
	require.NoError(t, err)
	assert.Len(t, layers, 1)

	_, err = attack(t, append(at, "--from", strings.Replace(digests[0].String(), digests[0].Hex[:4], "0000", 1), "--to", digests[1].String())...)
	assert.ErrorContains(t, err, "nothing refers to the image")
}

func TestFlipTurnsManifestsOnly(t *testing.T) {
	address, digests := serve(t)
	proxy := httptest.NewServer(flipping(address, "app"))
	t.Cleanup(proxy.Close)
	get := func(base, path string) []byte {
		r, err := http.Get(base + path)
		require.NoError(t, err)
		defer r.Body.Close()
		require.Equal(t, http.StatusOK, r.StatusCode)
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		return body
	}
	path := "/v2/app/manifests/" + digests[0].String()
	good, bad := get("http://"+address, path), get(proxy.URL, path)
	require.Len(t, bad, len(good))
	turned := 0
	for n := range good {
		if good[n] != bad[n] {
			turned++
		}
	}
	assert.Equal(t, 1, turned)

	ref, err := name.NewDigest(address+"/app@"+digests[0].String(), name.Insecure)
	require.NoError(t, err)
	image, err := remote.Image(ref)
	require.NoError(t, err)
	layers, err := image.Layers()
	require.NoError(t, err)
	digest, err := layers[0].Digest()
	require.NoError(t, err)
	path = "/v2/app/blobs/" + digest.String()
	assert.Equal(t, get("http://"+address, path), get(proxy.URL, path))
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"steal"}, {"tag", "more"}, {"tag", "--registry", "localhost:1", "--repository", "app", "--tag", "../x"}} {
		_, err := attack(t, args...)
		require.Error(t, err)
	}
}
