// Package sample makes images for tests: layouts with one file per platform.
package sample

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// Image is an image for linux and an architecture whose one layer holds file
// with content.
func Image(t testing.TB, architecture, file string, content []byte) v1.Image {
	t.Helper()
	return Files(t, architecture, map[string]string{file: string(content)})
}

// Files is an image for linux and an architecture whose one layer holds files.
func Files(t testing.TB, architecture string, files map[string]string) v1.Image {
	t.Helper()
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	for _, file := range slices.Sorted(maps.Keys(files)) {
		require.NoError(t, archive.WriteHeader(&tar.Header{Name: file, Mode: 0o755, Size: int64(len(files[file]))}))
		_, err := archive.Write([]byte(files[file]))
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	return Layers(t, architecture, layer.Bytes())
}

// blob is a layer whose archive may be compressed.
type blob struct {
	v1.Layer
	archive []byte
}

func (b blob) DiffID() (v1.Hash, error) {
	hash, _, err := v1.SHA256(bytes.NewReader(b.archive))
	return hash, err
}

func plain(t testing.TB, archive []byte) []byte {
	t.Helper()
	var r io.Reader
	var err error
	switch {
	case bytes.HasPrefix(archive, []byte("\x1f\x8b")):
		r, err = gzip.NewReader(bytes.NewReader(archive))
	case bytes.HasPrefix(archive, []byte("\x28\xb5\x2f\xfd")):
		r, err = zstd.NewReader(bytes.NewReader(archive))
	default:
		return archive
	}
	require.NoError(t, err)
	unpacked, err := io.ReadAll(r)
	require.NoError(t, err)
	return unpacked
}

// Layers is an image for linux and an architecture whose layers are archives, plain
// or compressed, the lowest first.
func Layers(t testing.TB, architecture string, archives ...[]byte) v1.Image {
	t.Helper()
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	var err error
	for _, archive := range archives {
		image, err = mutate.Append(image, mutate.Addendum{
			Layer: blob{static.NewLayer(archive, types.OCIUncompressedLayer), plain(t, archive)}, MediaType: types.OCIUncompressedLayer,
		})
		require.NoError(t, err)
	}
	config, err := image.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	image, err = mutate.ConfigFile(image, config)
	require.NoError(t, err)
	return image
}

// Index is an index of images.
func Index(t testing.TB, images ...v1.Image) v1.ImageIndex {
	t.Helper()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, image := range images {
		config, err := image.ConfigFile()
		require.NoError(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: config.Platform()},
		})
	}
	return index
}

// Layout writes an index or image as the only entry of an OCI layout, and
// returns its folder and digest.
func Layout(t testing.TB, content mutate.Appendable) (string, string) {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.RemoveAll(folder))
	path, err := layout.Write(folder, empty.Index)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "blobs", "sha256"), 0o755))
	switch content := content.(type) {
	case v1.ImageIndex:
		require.NoError(t, path.AppendIndex(content))
	case v1.Image:
		require.NoError(t, path.AppendImage(content))
	default:
		require.Fail(t, "neither an index nor an image")
	}
	digest, err := content.Digest()
	require.NoError(t, err)
	return folder, digest.String()
}
