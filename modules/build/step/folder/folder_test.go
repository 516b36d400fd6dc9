package folder_test

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/build/step/folder"
	"slipway/build/step/layer"
	"slipway/build/step/oci"
	"slipway/step"
	"slipway/step/result/build"
)

// programs is a folder with two parts.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "node", "usr", "bin"), 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "scan"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "node", "usr", "bin", "etcd"), []byte("etcd"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "scan", "trivy"), []byte("trivy"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "scan", "KEY"), []byte("h1:key"), 0o600))
	// Whatever the umask, and whoever the owner.
	require.NoError(t, os.Chmod(filepath.Join(dir, "scan", "trivy"), 0o777))
	if os.Getuid() == 0 {
		require.NoError(t, os.Chown(filepath.Join(dir, "scan", "trivy"), 1000, 1000))
	}
	require.NoError(t, os.Symlink("usr/bin", filepath.Join(dir, "node", "bin")))
	require.NoError(t, os.Symlink("/usr/bin/etcd", filepath.Join(dir, "node", "init")))
	return dir
}

func refused(t *testing.T, err error, kind step.Kind, reason string) {
	t.Helper()
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, kind, fault.Kind)
	assert.Contains(t, fault.Reason, reason)
	assert.NotEmpty(t, fault.Mend)
}

func TestWhatIsPackedComesOut(t *testing.T) {
	source, image, out := programs(t), filepath.Join(t.TempDir(), "layout"), filepath.Join(t.TempDir(), "files")
	packed, err := folder.Pack(image, source)
	require.NoError(t, err)
	assert.Equal(t, 2, packed.Layers, "one for each part")

	unpacked, err := folder.Unpack(image, out)
	require.NoError(t, err)
	assert.Equal(t, build.Unpacked{Digest: packed.Digest, Files: 5}, unpacked)
	for name, want := range map[string]struct {
		content string
		mode    os.FileMode
	}{"node/usr/bin/etcd": {"etcd", 0o755}, "scan/trivy": {"trivy", 0o777}, "scan/KEY": {"h1:key", 0o600}} {
		path := filepath.Join(out, name)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, want.content, string(data), name)
		info, err := os.Lstat(path)
		require.NoError(t, err)
		assert.Equal(t, want.mode, info.Mode(), name)
	}
	for name, want := range map[string]string{"node/bin": "usr/bin", "node/init": "/usr/bin/etcd"} {
		target, err := os.Readlink(filepath.Join(out, name))
		require.NoError(t, err)
		assert.Equal(t, want, target, name)
	}

	// Any other tool reads it as the image that it is.
	outer, err := layout.ImageIndexFromPath(image)
	require.NoError(t, err)
	hash, err := v1.NewHash(packed.Digest)
	require.NoError(t, err)
	index, err := outer.ImageIndex(hash)
	require.NoError(t, err)
	require.NoError(t, validate.Index(index))
	images, err := partial.FindImages(index, func(v1.Descriptor) bool { return true })
	require.NoError(t, err)
	require.Len(t, images, 1)
	archive := tar.NewReader(mutate.Extract(images[0]))
	seen := 0
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		seen++
		assert.Equal(t, [2]int{0, 0}, [2]int{header.Uid, header.Gid}, header.Name)
	}
	assert.Equal(t, 9, seen)
}

func TestTheSameFilesGiveTheSameImage(t *testing.T) {
	first, err := folder.Pack(filepath.Join(t.TempDir(), "layout"), programs(t))
	require.NoError(t, err)
	second, err := folder.Pack(filepath.Join(t.TempDir(), "layout"), programs(t))
	require.NoError(t, err)
	assert.Equal(t, first, second)

	other := programs(t)
	require.NoError(t, os.WriteFile(filepath.Join(other, "scan", "trivy"), []byte("another"), 0o755))
	third, err := folder.Pack(filepath.Join(t.TempDir(), "layout"), other)
	require.NoError(t, err)
	assert.NotEqual(t, first.Digest, third.Digest)
}

func TestPackRefuses(t *testing.T) {
	t.Run("nothing", func(t *testing.T) {
		_, err := folder.Pack(filepath.Join(t.TempDir(), "layout"), t.TempDir())
		refused(t, err, step.KindInput, "is empty")
	})
	t.Run("a file at the top", func(t *testing.T) {
		dir, image := programs(t), filepath.Join(t.TempDir(), "layout")
		require.NoError(t, os.WriteFile(filepath.Join(dir, "stray"), nil, 0o644))
		_, err := folder.Pack(image, dir)
		refused(t, err, step.KindInput, `"stray" at its top`)
		assert.NoDirExists(t, image, "nothing may be taken for an image")
	})
}

// imageOf is a layout of one image with the given layer.
func imageOf(t *testing.T, entries ...layer.Entry) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	w, err := oci.Create(dir)
	require.NoError(t, err)
	var diffID v1.Hash
	blob, err := w.Add(types.OCILayer, func(out io.Writer) (err error) {
		diffID, err = layer.Write(out, entries)
		return err
	})
	require.NoError(t, err)
	config, err := w.AddJSON(types.OCIConfigJSON, v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{diffID}}})
	require.NoError(t, err)
	image, err := w.AddJSON(types.OCIManifestSchema1, v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: config, Layers: []v1.Descriptor{blob}})
	require.NoError(t, err)
	root, err := w.AddJSON(types.OCIImageIndex, v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{image}})
	require.NoError(t, err)
	require.NoError(t, w.Finish(root))
	return dir
}

func TestUnpackRefuses(t *testing.T) {
	link := func(name, target string) layer.Entry {
		return layer.Entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}}
	}
	for name, of := range map[string]struct {
		entries []layer.Entry
		reason  string
	}{
		"a file through a link that leads out": {[]layer.Entry{link("a", ".."), layer.File("a/stolen", 0o644, []byte("x"))}, "can't be written"},
		"a file through an absolute link":      {[]layer.Entry{link("a", "/tmp"), layer.File("a/stolen", 0o644, []byte("x"))}, "can't be written"},
		"a hard link":                          {[]layer.Entry{{Header: tar.Header{Typeflag: tar.TypeLink, Name: "passwd", Linkname: "/etc/passwd"}}}, "neither folder, file nor symbolic link"},
		"a device":                             {[]layer.Entry{{Header: tar.Header{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}}}, "neither folder, file nor symbolic link"},
		"a file twice":                         {[]layer.Entry{layer.File("a", 0o644, []byte("x")), layer.File("a", 0o644, []byte("y"))}, "can't be written"},
	} {
		t.Run(name, func(t *testing.T) {
			beside := t.TempDir()
			_, err := folder.Unpack(imageOf(t, of.entries...), filepath.Join(beside, "files"))
			refused(t, err, step.KindPolicy, of.reason)
			assert.NoFileExists(t, filepath.Join(beside, "stolen"))
			assert.NoFileExists(t, "/tmp/stolen")
		})
	}
	t.Run("a changed byte", func(t *testing.T) {
		image := filepath.Join(t.TempDir(), "layout")
		_, err := folder.Pack(image, programs(t))
		require.NoError(t, err)
		blobs, err := filepath.Glob(filepath.Join(image, "blobs", "sha256", "*"))
		require.NoError(t, err)
		for _, blob := range blobs {
			data, err := os.ReadFile(blob)
			require.NoError(t, err)
			if data[0] == 0x1f {
				data[len(data)-1] ^= 1
				require.NoError(t, os.WriteFile(blob, data, 0o644))
				break
			}
		}
		out := filepath.Join(t.TempDir(), "files")
		_, err = folder.Unpack(image, out)
		refused(t, err, step.KindPolicy, "sha256")
		assert.NoDirExists(t, out)
	})
	t.Run("an index without an image", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "layout")
		w, err := oci.Create(dir)
		require.NoError(t, err)
		root, err := w.AddJSON(types.OCIImageIndex, v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}})
		require.NoError(t, err)
		require.NoError(t, w.Finish(root))
		_, err = folder.Unpack(dir, filepath.Join(t.TempDir(), "files"))
		refused(t, err, step.KindPolicy, "holds 0 images")
	})
	t.Run("a folder in use", func(t *testing.T) {
		image, out := filepath.Join(t.TempDir(), "layout"), t.TempDir()
		_, err := folder.Pack(image, programs(t))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(out, "mine"), []byte("mine"), 0o644))
		_, err = folder.Unpack(image, out)
		require.ErrorContains(t, err, "is not empty")
	})
}
