package registry_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sandbox/host/registry"
)

// serve starts a registry over dir and returns its host:port.
func serve(t *testing.T, dir string) string {
	t.Helper()
	handler, err := registry.New(t.Context(), dir)
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	return u.Host
}

// index makes an OCI index of two images.
func index(t *testing.T) v1.ImageIndex {
	t.Helper()
	var add []mutate.IndexAddendum
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := random.Image(2048, 2)
		require.NoError(t, err)
		config, err := image.ConfigFile()
		require.NoError(t, err)
		config.OS, config.Architecture = "linux", arch
		image, err = mutate.ConfigFile(image, config)
		require.NoError(t, err)
		image = mutate.ConfigMediaType(mutate.MediaType(image, types.OCIManifestSchema1), types.OCIConfigJSON)
		add = append(add, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), add...)
}

func TestIndexByDigest(t *testing.T) {
	dir := t.TempDir()
	pushed := index(t)
	digest, err := pushed.Digest()
	require.NoError(t, err)
	ref, err := name.NewDigest(serve(t, dir) + "/team/hello@" + digest.String())
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(ref, pushed))

	// A second registry over the same folder knows what the first was given.
	again, err := name.NewDigest(serve(t, dir) + "/team/hello@" + digest.String())
	require.NoError(t, err)
	pulled, err := remote.Index(again)
	require.NoError(t, err)
	require.NoError(t, validate.Index(pulled))
	want, err := pushed.RawManifest()
	require.NoError(t, err)
	got, err := pulled.RawManifest()
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}

func TestIndexWithoutItsImagesIsRefused(t *testing.T) {
	ref, err := name.NewTag(serve(t, t.TempDir()) + "/hello:v1")
	require.NoError(t, err)
	incomplete := index(t)
	err = remote.Put(ref, incomplete)
	var refusal *transport.Error
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, http.StatusBadRequest, refusal.StatusCode)
	assert.Contains(t, err.Error(), string(transport.ManifestBlobUnknownErrorCode))
}

func TestReferrersByFallbackTag(t *testing.T) {
	host := serve(t, t.TempDir())
	repository, err := name.NewRepository(host + "/hello")
	require.NoError(t, err)
	subject := index(t)
	digest, err := subject.Digest()
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(repository.Digest(digest.String()), subject))
	descriptor, err := partial.Descriptor(subject)
	require.NoError(t, err)

	const bundle = types.MediaType("application/vnd.dev.sigstore.bundle.v0.3+json")
	for range 2 {
		signature, err := random.Image(64, 1)
		require.NoError(t, err)
		signature = mutate.ConfigMediaType(mutate.MediaType(signature, types.OCIManifestSchema1), bundle)
		signature = mutate.Subject(signature, *descriptor).(v1.Image)
		signed, err := signature.Digest()
		require.NoError(t, err)
		require.NoError(t, remote.Write(repository.Digest(signed.String()), signature))
	}
	found, err := remote.Referrers(repository.Digest(digest.String()), remote.WithFilter("artifactType", string(bundle)))
	require.NoError(t, err)
	manifest, err := found.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 2)
	assert.Equal(t, string(bundle), manifest.Manifests[0].ArtifactType)

	// It is the tag that holds them: the endpoint of OCI 1.1 isn't there.
	tags, err := remote.List(repository)
	require.NoError(t, err)
	assert.Equal(t, []string{"sha256-" + digest.Hex}, tags)
	response, err := http.Get("http://" + host + "/v2/hello/referrers/" + digest.String())
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusNotFound, response.StatusCode)
}

func TestDeletionIsRefused(t *testing.T) {
	repository, err := name.NewRepository(serve(t, t.TempDir()) + "/hello")
	require.NoError(t, err)
	image, err := random.Image(64, 1)
	require.NoError(t, err)
	digest, err := image.Digest()
	require.NoError(t, err)
	ref := repository.Digest(digest.String())
	require.NoError(t, remote.Write(ref, image))
	var refusal *transport.Error
	require.ErrorAs(t, remote.Delete(ref), &refusal)
	assert.Equal(t, http.StatusMethodNotAllowed, refusal.StatusCode)
	_, err = remote.Head(ref)
	assert.NoError(t, err)
}

func TestFlippedByteOnDiskIsNoticedByThePuller(t *testing.T) {
	dir := t.TempDir()
	repository, err := name.NewRepository(serve(t, dir) + "/hello")
	require.NoError(t, err)
	image, err := random.Image(64, 1)
	require.NoError(t, err)
	digest, err := image.Digest()
	require.NoError(t, err)
	require.NoError(t, remote.Write(repository.Digest(digest.String()), image))
	layers, err := image.Layers()
	require.NoError(t, err)
	layer, err := layers[0].Digest()
	require.NoError(t, err)
	blob := filepath.Join(dir, "docker/registry/v2/blobs/sha256", layer.Hex[:2], layer.Hex, "data")
	content, err := os.ReadFile(blob)
	require.NoError(t, err)
	content[len(content)-1] ^= 1
	require.NoError(t, os.WriteFile(blob, content, 0o644))

	pulled, err := remote.Image(repository.Digest(digest.String()))
	require.NoError(t, err)
	got, err := pulled.LayerByDigest(layer)
	require.NoError(t, err)
	reader, err := got.Compressed()
	require.NoError(t, err)
	defer reader.Close()
	_, err = io.Copy(io.Discard, reader)
	require.ErrorContains(t, err, layer.Hex)
}

func TestUnusableFolderIsAServerError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	repository, err := name.NewRepository(serve(t, filepath.Join(file, "below")) + "/hello")
	require.NoError(t, err)
	image, err := random.Image(64, 1)
	require.NoError(t, err)
	var refusal *transport.Error
	require.ErrorAs(t, remote.Write(repository.Tag("v1"), image, remote.WithRetryStatusCodes()), &refusal)
	assert.Equal(t, http.StatusInternalServerError, refusal.StatusCode)
}
