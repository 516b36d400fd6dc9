package layout_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/require"

	subject "slipway/scan/step/layout"

	"slipway/scan/step/internal/sample"
	"slipway/step"
)

func twoPlatforms(t *testing.T) (string, string) {
	t.Helper()
	return sample.Layout(t, sample.Index(t,
		sample.Image(t, "amd64", "app", []byte("one")), sample.Image(t, "arm64", "app", []byte("two"))))
}

func TestVerifyListsThePlatforms(t *testing.T) {
	folder, digest := twoPlatforms(t)
	l, err := subject.Verify(folder, digest)
	require.NoError(t, err)
	require.Len(t, l.Images, 2)
	require.Equal(t, "linux/amd64", l.Images[0].Platform)
	require.Equal(t, "linux/arm64", l.Images[1].Platform)

	folder, digest = sample.Layout(t, sample.Image(t, "amd64", "app", []byte("one")))
	l, err = subject.Verify(folder, digest)
	require.NoError(t, err)
	require.Len(t, l.Images, 1)
	require.Equal(t, digest, l.Images[0].Digest)
}

func TestViewHoldsOneImage(t *testing.T) {
	folder, digest := twoPlatforms(t)
	l, err := subject.Verify(folder, digest)
	require.NoError(t, err)
	view := filepath.Join(t.TempDir(), "view")
	require.NoError(t, l.View(l.Images[1], view))
	path, err := layout.FromPath(view)
	require.NoError(t, err)
	index, err := path.ImageIndex()
	require.NoError(t, err)
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	image, err := index.Image(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	config, err := image.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, "arm64", config.Architecture)
}

func TestVerifyRefusesEachChangedBlob(t *testing.T) {
	folder, digest := twoPlatforms(t)
	blobs, err := os.ReadDir(filepath.Join(folder, "blobs", "sha256"))
	require.NoError(t, err)
	// An index, and for each image a manifest, a config and a layer.
	require.Len(t, blobs, 7)
	for _, blob := range blobs {
		t.Run(blob.Name(), func(t *testing.T) {
			path := filepath.Join(folder, "blobs", "sha256", blob.Name())
			good, err := os.ReadFile(path)
			require.NoError(t, err)
			bad := append([]byte(nil), good...)
			bad[len(bad)/2] ^= 1
			require.NoError(t, os.WriteFile(path, bad, 0o644))
			_, err = subject.Verify(folder, digest)
			refused(t, err, "sha256:"+blob.Name(), "a byte was changed")

			require.NoError(t, os.Remove(path))
			_, err = subject.Verify(folder, digest)
			refused(t, err, "sha256:"+blob.Name(), "is missing")

			require.NoError(t, os.WriteFile(path, good, 0o644))
			_, err = subject.Verify(folder, digest)
			require.NoError(t, err)
		})
	}
}

func TestVerifyRefusesAnotherDigest(t *testing.T) {
	folder, _ := twoPlatforms(t)
	other := "sha256:" + strings.Repeat("1", 64)
	_, err := subject.Verify(folder, other)
	refused(t, err, other, "is about another image")

	_, err = subject.Verify(folder, "latest")
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "is not a sha256 digest", fault.Reason)
}

func TestVerifyRefusesALayoutOfTwo(t *testing.T) {
	folder, digest := twoPlatforms(t)
	path, err := layout.FromPath(folder)
	require.NoError(t, err)
	require.NoError(t, path.AppendImage(sample.Image(t, "amd64", "app", []byte("smuggled"))))
	_, err = subject.Verify(folder, digest)
	refused(t, err, digest, "holds 2 manifests")
}

func TestVerifyRefusesWhatCanNotBeScanned(t *testing.T) {
	for name, c := range map[string]struct {
		index  v1.ImageIndex
		reason string
	}{
		"no image": {sample.Index(t), "is an index of no image"},
		"an image without a platform": {
			sample.Index(t, sample.Image(t, "unknown", "app", []byte("one"))), "does not say which platform"},
		"two images for one platform": {
			sample.Index(t, sample.Image(t, "amd64", "app", []byte("one")), sample.Image(t, "amd64", "app", []byte("two"))),
			"is a second image for linux/amd64"},
		"an artifact": {
			sample.Index(t, mutate.ConfigMediaType(sample.Image(t, "amd64", "app", []byte("one")), "application/vnd.example+json")),
			"it is no container image"},
		"an index in an index": {
			mutate.AppendManifests(sample.Index(t), mutate.IndexAddendum{Add: sample.Index(t)}), "not an image"},
		"an image listed for another platform": {
			mutate.AppendManifests(sample.Index(t), mutate.IndexAddendum{
				Add:        sample.Image(t, "amd64", "app", []byte("one")),
				Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}}}),
			"is for linux/amd64 but listed for linux/arm64"},
	} {
		t.Run(name, func(t *testing.T) {
			folder, digest := sample.Layout(t, c.index)
			_, err := subject.Verify(folder, digest)
			refused(t, err, "sha256:", c.reason)
		})
	}
}

func TestVerifyRefusesWhatIsNoLayout(t *testing.T) {
	digest, err := empty.Index.Digest()
	require.NoError(t, err)
	_, err = subject.Verify(t.TempDir(), digest.String())
	refused(t, err, digest.String(), "is no OCI layout")
}

// A size that is not the blob's would let a registry store something else.
func TestVerifyRefusesAnotherSize(t *testing.T) {
	folder, digest := twoPlatforms(t)
	file := filepath.Join(folder, "index.json")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var index v1.IndexManifest
	require.NoError(t, json.Unmarshal(data, &index))
	index.Manifests[0].Size++
	data, err = json.Marshal(index)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, data, 0o644))
	_, err = subject.Verify(folder, digest)
	refused(t, err, digest, "bytes, not")
}

func refused(t *testing.T, err error, input, reason string) {
	t.Helper()
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	require.Equal(t, step.KindInput, fault.Kind)
	require.Equal(t, "scan", fault.Stage)
	require.Contains(t, fault.Input, input)
	require.Contains(t, fault.Reason, reason)
	require.NotEmpty(t, fault.Mend)
}
