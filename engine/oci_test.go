package engine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// readBlob reads a blob and checks that its name is its digest.
func readBlob(t *testing.T, dir, digest string) []byte {
	t.Helper()
	content, err := os.ReadFile(blobPath(dir, digest))
	require.NoError(t, err)
	sum := sha256.Sum256(content)
	require.Equal(t, digest, "sha256:"+hex.EncodeToString(sum[:]))
	return content
}

func TestWriteLayout(t *testing.T) {
	tree, dir := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(tree, "go"), []byte("binary"), 0o750))
	require.NoError(t, os.Symlink("go", filepath.Join(tree, "link")))

	digest, err := writeLayout(dir, []string{"A=b"}, func(archive *tar.Writer) error {
		if err := addDir(archive, "tmp", 0o1777); err != nil {
			return err
		}
		return addTree(archive, tree, "usr/local", func(_ string, mode fs.FileMode) fs.FileMode { return mode })
	})
	require.NoError(t, err)
	again, err := layoutDigest(dir)
	require.NoError(t, err)
	assert.Equal(t, digest, again)

	var manifest struct {
		MediaType string
		Config    descriptor
		Layers    []descriptor
	}
	require.NoError(t, json.Unmarshal(readBlob(t, dir, digest), &manifest))
	assert.Equal(t, mediaManifest, manifest.MediaType)
	assert.Equal(t, mediaConfig, manifest.Config.MediaType)
	require.Len(t, manifest.Layers, 1)
	assert.Equal(t, mediaLayer, manifest.Layers[0].MediaType)

	compressed := readBlob(t, dir, manifest.Layers[0].Digest)
	assert.Len(t, compressed, int(manifest.Layers[0].Size))
	zip, err := gzip.NewReader(bytes.NewReader(compressed))
	require.NoError(t, err)
	plain, err := io.ReadAll(zip)
	require.NoError(t, err)

	var config imageConfig
	require.NoError(t, json.Unmarshal(readBlob(t, dir, manifest.Config.Digest), &config))
	assert.Equal(t, "linux", config.OS)
	assert.Equal(t, runtime.GOARCH, config.Architecture)
	assert.Equal(t, []string{"A=b"}, config.Config.Env)
	sum := sha256.Sum256(plain)
	assert.Equal(t, []string{"sha256:" + hex.EncodeToString(sum[:])}, config.RootFS.DiffIDs)

	type entry struct {
		kind  byte
		mode  int64
		link  string
		owner int
	}
	got := map[string]entry{}
	for reader := tar.NewReader(bytes.NewReader(plain)); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		got[header.Name] = entry{header.Typeflag, header.Mode, header.Linkname, header.Uid}
	}
	assert.Equal(t, entry{tar.TypeDir, 0o1777, "", 0}, got["tmp/"])
	assert.Equal(t, entry{tar.TypeReg, 0o750, "", 0}, got["usr/local/go"])
	assert.Equal(t, entry{tar.TypeSymlink, 0o777, "go", 0}, got["usr/local/link"])
}

func TestLayoutDigestRefusesAnythingButOneImage(t *testing.T) {
	dir := t.TempDir()
	_, err := layoutDigest(dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.json"), []byte(`{"manifests":[]}`), 0o600))
	_, err = layoutDigest(dir)
	require.ErrorContains(t, err, "holds 0 images, not one: remove it and build again")
}
