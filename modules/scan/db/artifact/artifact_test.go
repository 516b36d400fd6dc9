package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"slipway/registry"
	"slipway/step"
	"slipway/step/azure/azuretest"
	"slipway/step/reach"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const repository = "localhost:5000/slipway/trivy-db"

func layoutOf(t *testing.T) (string, string) {
	t.Helper()
	files := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(files, "trivy.db"), []byte("db"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(files, "metadata.json"), []byte("{}"), 0o644))
	archive, err := Archive(files, at)
	require.NoError(t, err)
	folder := filepath.Join(t.TempDir(), "layout")
	digest, err := Layout(archive, at, folder)
	require.NoError(t, err)
	return folder, digest
}

func store(t *testing.T, handler http.Handler) registry.Access {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return registry.Access{Stage: "scan", Pause: time.Microsecond,
		Connections: reach.Connections{"localhost:5000": strings.TrimPrefix(server.URL, "http://")}}
}

func TestTheArtifactIsTheOneThatTrivyReads(t *testing.T) {
	c := store(t, fake.New(fake.Logger(log.New(io.Discard, "", 0))))
	folder, digest := layoutOf(t)
	again, same := layoutOf(t)
	require.NotEqual(t, folder, again)
	require.Equal(t, digest, same)

	pushed, err := Push(context.Background(), c, folder, repository, "2")
	require.NoError(t, err)
	require.Equal(t, digest, pushed)

	reference, err := name.NewDigest(repository + "@" + digest)
	require.NoError(t, err)
	transport, err := registry.New(c, reference.Repository, registry.Pull).Transport(t.Context())
	require.NoError(t, err)
	image, err := remote.Image(reference, remote.WithTransport(transport))
	require.NoError(t, err)
	manifest, err := image.Manifest()
	require.NoError(t, err)
	require.Equal(t, "application/vnd.oci.image.manifest.v1+json", string(manifest.MediaType))
	require.Equal(t, "application/vnd.aquasec.trivy.config.v1+json", string(manifest.Config.MediaType))
	require.Len(t, manifest.Layers, 1)
	require.Equal(t, "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip", string(manifest.Layers[0].MediaType))
	require.Equal(t, map[string]string{"org.opencontainers.image.title": "db.tar.gz"}, manifest.Layers[0].Annotations)
	require.Equal(t, map[string]string{"org.opencontainers.image.created": "2026-01-02T03:04:05Z"}, manifest.Annotations)

	layers, err := image.Layers()
	require.NoError(t, err)
	content, err := layers[0].Compressed()
	require.NoError(t, err)
	defer content.Close()
	require.Equal(t, map[string]string{"trivy.db": "db", "metadata.json": "{}"}, unpack(t, content))
}

// Without a tag nothing is moved, so that it can be signed before anybody asks for it.
func TestADatabaseIsPushedByItsDigestFirst(t *testing.T) {
	c := store(t, fake.New(fake.Logger(log.New(io.Discard, "", 0))))
	folder, digest := layoutOf(t)
	repo, err := registry.ParseRepository("scan", "repository", repository)
	require.NoError(t, err)
	client := registry.New(c, repo, registry.Pull)
	for _, tag := range []string{"", "", "2"} {
		_, _, err := client.Tagged(t.Context(), "2")
		require.Error(t, err)
		pushed, err := Push(t.Context(), c, folder, repository, tag)
		require.NoError(t, err)
		require.Equal(t, digest, pushed)
		hash, err := v1.NewHash(digest)
		require.NoError(t, err)
		_, _, err = client.Manifest(t.Context(), hash)
		require.NoError(t, err)
	}
	tagged, _, err := client.Tagged(t.Context(), "2")
	require.NoError(t, err)
	require.Equal(t, digest, tagged.Digest.String())
}

func TestAnIdentityPushesToAzure(t *testing.T) {
	a := azuretest.Start(t)
	inner := fake.New(fake.Logger(log.New(io.Discard, "", 0)))
	denied := false
	a.Hosts[azuretest.Registry] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if denied && r.Method == http.MethodPut {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		inner.ServeHTTP(w, r)
	})
	folder, digest := layoutOf(t)
	identity, file := a.Identity()
	access := registry.Access{Stage: "scan", Pause: time.Microsecond}
	require.NoError(t, access.SignIn(identity.String(), file))
	pushed, err := Push(t.Context(), access, folder, azuretest.Registry+"/slipway/trivy-db", "2")
	require.NoError(t, err)
	require.Equal(t, digest, pushed)

	denied = true
	_, err = Push(t.Context(), access, folder, azuretest.Registry+"/slipway/trivy-db", "2")
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	require.Equal(t, step.KindInput, fault.Kind)
	require.Contains(t, fault.Mend, "Container Registry Repository Writer")
}

func unpack(t *testing.T, content io.Reader) map[string]string {
	t.Helper()
	zip, err := gzip.NewReader(content)
	require.NoError(t, err)
	archive := tar.NewReader(zip)
	files := map[string]string{}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		var data bytes.Buffer
		_, err = data.ReadFrom(archive)
		require.NoError(t, err)
		files[header.Name] = data.String()
	}
}

func TestPushRefuses(t *testing.T) {
	good := store(t, fake.New(fake.Logger(log.New(io.Discard, "", 0))))
	broken := store(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	shut := store(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	folder, _ := layoutOf(t)
	for name, c := range map[string]struct {
		access                  registry.Access
		folder, repository, tag string
		kind                    step.Kind
		reason                  string
	}{
		"no layout":               {good, t.TempDir(), repository, "2", step.KindInput, "is no OCI layout"},
		"an odd repository":       {good, folder, "localhost:5000/../x", "2", step.KindInput, "is not a repository"},
		"an odd tag":              {good, folder, repository, "-2", step.KindInput, "is not a valid tag"},
		"a flipped byte":          {good, edited(t, flip), repository, "2", step.KindInput, "does not match its digest"},
		"another artifact":        {good, edited(t, retype), repository, "2", step.KindInput, "not a Trivy database"},
		"a broken registry":       {broken, folder, repository, "2", step.KindInfrastructure, "500"},
		"a registry that forbids": {shut, folder, repository, "2", step.KindInput, "credentials refused with status 403"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Push(context.Background(), c.access, c.folder, c.repository, c.tag)
			fault, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			require.Equal(t, c.kind, fault.Kind, fault.Reason)
			require.Equal(t, "scan", fault.Stage)
			require.Contains(t, fault.Reason, c.reason)
			require.NotEmpty(t, fault.Mend)
		})
	}
}

// edited is a layout whose layer or manifest was changed.
func edited(t *testing.T, edit func(t *testing.T, folder string, manifest *v1.Manifest)) string {
	t.Helper()
	folder, digest := layoutOf(t)
	data, err := os.ReadFile(blob(folder, digest))
	require.NoError(t, err)
	var manifest v1.Manifest
	require.NoError(t, json.Unmarshal(data, &manifest))
	edit(t, folder, &manifest)
	return folder
}

func blob(folder, digest string) string {
	return filepath.Join(folder, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

func flip(t *testing.T, folder string, manifest *v1.Manifest) {
	path := blob(folder, manifest.Layers[0].Digest.String())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[len(data)-1] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o644))
}

func retype(t *testing.T, folder string, manifest *v1.Manifest) {
	manifest.Layers[0].MediaType = "application/vnd.example"
	data, err := json.Marshal(manifest)
	require.NoError(t, err)
	hash, size, err := v1.SHA256(bytes.NewReader(data))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(blob(folder, hash.String()), data, 0o644))
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{{
		MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: hash, Size: size,
	}}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "index.json"), index, 0o644))
}
