package layout_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
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

// blob writes a blob of a layout, and says what it is.
func blob(t *testing.T, folder string, media types.MediaType, content any) v1.Descriptor {
	t.Helper()
	data, ok := content.([]byte)
	if !ok {
		var err error
		data, err = json.Marshal(content)
		require.NoError(t, err)
	}
	digest, size, err := v1.SHA256(bytes.NewReader(data))
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "blobs", "sha256"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "blobs", "sha256", digest.Hex), data, 0o644))
	return v1.Descriptor{MediaType: media, Size: size, Digest: digest}
}

// parts are those of an image with two layers.
type parts struct {
	config     v1.ConfigFile
	manifest   v1.Manifest
	descriptor v1.Descriptor
	index      any
}

// crafted is a layout of the image, whose parts are changed as they are made.
func crafted(t *testing.T, config, manifest, index func(*parts)) (folder, digest string) {
	t.Helper()
	folder = t.TempDir()
	p := &parts{config: v1.ConfigFile{OS: "linux", Architecture: "arm", Variant: "v7"}, manifest: v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}}
	for _, content := range []string{"one", "two"} {
		layer := blob(t, folder, types.OCILayer, []byte(content))
		p.manifest.Layers = append(p.manifest.Layers, layer)
		p.config.RootFS.DiffIDs = append(p.config.RootFS.DiffIDs, layer.Digest)
	}
	for _, change := range []struct {
		made func()
		more func(*parts)
	}{
		{func() {}, config},
		{func() { p.manifest.Config = blob(t, folder, types.OCIConfigJSON, p.config) }, manifest},
		{func() {
			p.descriptor = blob(t, folder, types.OCIManifestSchema1, p.manifest)
			p.index = v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{p.descriptor}}
		}, index},
	} {
		change.made()
		if change.more != nil {
			change.more(p)
		}
	}
	data, err := json.Marshal(p.index)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "index.json"), data, 0o644))
	return folder, p.descriptor.Digest.String()
}

func TestAnImageIsWhatItsPartsSay(t *testing.T) {
	folder, digest := crafted(t, nil, nil, nil)
	l, err := subject.Verify(folder, digest)
	require.NoError(t, err)
	require.Equal(t, "linux/arm/v7", l.Images[0].Platform)
	layers, err := l.Layers(l.Images[0])
	require.NoError(t, err)
	require.Len(t, layers, 2)
	for n, content := range []string{"one", "two"} {
		file, err := layers[n].Open()
		require.NoError(t, err)
		data, err := io.ReadAll(file)
		require.NoError(t, errors.Join(err, file.Close()))
		require.Equal(t, content, string(data))
		require.Equal(t, layers[n].Digest, layers[n].DiffID)
	}
	folder, digest = crafted(t, nil, func(p *parts) { p.manifest.Config.MediaType = types.DockerConfigJSON }, nil)
	_, err = subject.Verify(folder, digest)
	require.NoError(t, err)

	big := bytes.Repeat([]byte(" "), 8<<20)
	for name, c := range map[string]struct {
		config, manifest, index func(*parts)
		reason                  string
	}{
		"no OS":                {func(p *parts) { p.config.OS = "" }, nil, nil, "does not say which platform it is for"},
		"an unknown OS":        {func(p *parts) { p.config.OS = "unknown" }, nil, nil, "does not say which platform it is for"},
		"no architecture":      {func(p *parts) { p.config.Architecture = "" }, nil, nil, "does not say which platform it is for"},
		"another OS":           {nil, nil, func(p *parts) { p.platform("windows", "arm") }, "is for linux/arm/v7 but listed for windows/arm"},
		"another architecture": {nil, nil, func(p *parts) { p.platform("linux", "arm64") }, "but listed for linux/arm64"},
		"a layer too many":     {nil, func(p *parts) { p.manifest.Layers = append(p.manifest.Layers, p.manifest.Layers[0]) }, nil, "lists other layers than its config"},
		"a layer too few": {func(p *parts) {
			p.config.RootFS.DiffIDs = append(p.config.RootFS.DiffIDs, v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("1", 64)})
		}, nil, nil, "lists other layers than its config"},
		"a layer that is none": {nil, func(p *parts) { p.manifest.Layers[1].MediaType = "text/plain" }, nil, "is a text/plain, not a layer"},
		"a foreign layer":      {nil, func(p *parts) { p.manifest.Layers[1].URLs = []string{"https://example.org"} }, nil, "is a foreign blob: its content is elsewhere"},
		"a layer of its size":  {nil, func(p *parts) { p.manifest.Layers[1].Size++ }, nil, "has 3 bytes, not 4"},
		"another algorithm": {nil, func(p *parts) {
			p.manifest.Layers[1].Digest = v1.Hash{Algorithm: "sha512", Hex: strings.Repeat("1", 128)}
		}, nil, "is not a sha256 digest"},
		"no config": {nil, func(p *parts) {
			p.manifest.Config = p.manifest.Layers[0]
			p.manifest.Config.MediaType = types.OCIConfigJSON
		}, nil, "is not an image config"},
		"a huge config":         {nil, func(p *parts) { p.manifest.Config.Size = 1 << 40 }, nil, "has 1099511627776 bytes, too many for a manifest"},
		"as huge as may be":     {nil, func(p *parts) { p.manifest.Config.Size = 4 << 20 }, nil, "bytes, not 4194304"},
		"a byte more":           {nil, func(p *parts) { p.manifest.Config.Size = 4<<20 + 1 }, nil, "has 4194305 bytes, too many for a manifest"},
		"a huge manifest":       {nil, nil, func(p *parts) { p.root(blobOf(p, big)) }, "too many for a manifest"},
		"no index":              {nil, nil, func(p *parts) { p.index = []int{1} }, "has an index.json that is not an index"},
		"an index that is none": {nil, nil, func(p *parts) { p.descriptor.MediaType = types.OCIImageIndex; p.root(p.descriptor) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			folder, digest := crafted(t, c.config, c.manifest, c.index)
			_, err := subject.Verify(folder, digest)
			if c.reason == "" {
				refused(t, err, "sha256:", "is an index of no image")
				return
			}
			refused(t, err, "", c.reason)
		})
	}
}

func (p *parts) root(d v1.Descriptor) {
	p.descriptor = d
	p.index = v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{d}}
}

func (p *parts) platform(os, architecture string) {
	p.descriptor.Platform = &v1.Platform{OS: os, Architecture: architecture}
	p.root(p.descriptor)
}

// blobOf is a descriptor that says a size, whatever is there.
func blobOf(p *parts, content []byte) v1.Descriptor {
	d := p.descriptor
	d.Size = int64(len(content))
	return d
}

// What is used later is checked again.
func TestLayersAreThoseThatWereVerified(t *testing.T) {
	for _, part := range []string{"manifest", "config"} {
		t.Run(part, func(t *testing.T) {
			var p *parts
			folder, digest := crafted(t, nil, nil, func(made *parts) { p = made })
			l, err := subject.Verify(folder, digest)
			require.NoError(t, err)
			changed := map[string]v1.Hash{"manifest": p.descriptor.Digest, "config": p.manifest.Config.Digest}[part]
			require.NoError(t, os.WriteFile(filepath.Join(folder, "blobs", "sha256", changed.Hex), []byte("{}"), 0o644))
			layers, err := l.Layers(l.Images[0])
			refused(t, err, changed.String(), "a byte was changed")
			require.Empty(t, layers)
		})
	}
}

func TestAViewThatCannotBeMadeIsNone(t *testing.T) {
	folder, digest := crafted(t, nil, nil, nil)
	l, err := subject.Verify(folder, digest)
	require.NoError(t, err)
	for name, spoil := range map[string]func(string) error{
		"a file in its place": func(view string) error { return os.WriteFile(view, nil, 0o644) },
		"other blobs":         func(view string) error { return os.MkdirAll(filepath.Join(view, "blobs"), 0o755) },
		"no mark":             func(view string) error { return os.MkdirAll(filepath.Join(view, "oci-layout"), 0o755) },
		"no index":            func(view string) error { return os.MkdirAll(filepath.Join(view, "index.json"), 0o755) },
	} {
		view := filepath.Join(t.TempDir(), "view")
		require.NoError(t, spoil(view))
		require.Error(t, l.View(l.Images[0], view), name)
	}
}
