// Package layout verifies an OCI image layout byte for byte, and shows Trivy
// one image of it at a time.
package layout

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/step"
)

const (
	stage = "scan"
	// most is the most bytes that a manifest or config may have.
	most = 4 << 20
)

// Image is one platform's image in a verified layout.
type Image struct {
	// Platform is os/architecture, or os/architecture/variant.
	Platform string
	// Digest is the digest of the image's own manifest.
	Digest string

	descriptor v1.Descriptor
}

// Layout is a verified layout.
type Layout struct {
	folder string
	// Digest is the digest of the index or image that the layout is about.
	Digest string
	// Images are its images, in the order of the index.
	Images []Image
}

// Verify checks that the layout at folder is about digest and nothing else, and
// that each blob that can be reached from it has the digest and the size that
// its descriptor says. It refuses a manifest that is no image of a platform:
// what can't be scanned must not be published.
func Verify(folder, digest string) (*Layout, error) {
	if err := step.Digest(stage, "--digest", digest); err != nil {
		return nil, err
	}
	l := &Layout{folder: folder, Digest: digest}
	data, err := os.ReadFile(filepath.Join(folder, "index.json"))
	if err != nil {
		return nil, l.refuse(digest, "is no OCI layout: index.json can't be read", err)
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(data))
	if err != nil {
		return nil, l.refuse(digest, "has an index.json that is not an index", err)
	}
	if len(index.Manifests) != 1 {
		return nil, l.refuse(digest, fmt.Sprintf("holds %d manifests, not the one that was asked for", len(index.Manifests)), nil)
	}
	root := index.Manifests[0]
	if root.Digest.String() != digest {
		return nil, l.refuse(digest, fmt.Sprintf("is about another image, %s", root.Digest), nil)
	}
	if !root.MediaType.IsIndex() {
		image, err := l.image(root)
		if err != nil {
			return nil, err
		}
		l.Images = []Image{image}
		return l, nil
	}
	data, err = l.read(root)
	if err != nil {
		return nil, err
	}
	index, err = v1.ParseIndexManifest(bytes.NewReader(data))
	if err != nil {
		return nil, l.refuse(digest, "is not an index", err)
	}
	seen := map[string]bool{}
	for _, descriptor := range index.Manifests {
		image, err := l.image(descriptor)
		if err != nil {
			return nil, err
		}
		if seen[image.Platform] {
			return nil, l.refuse(image.Digest, "is a second image for "+image.Platform, nil)
		}
		seen[image.Platform] = true
		l.Images = append(l.Images, image)
	}
	if len(l.Images) == 0 {
		return nil, l.refuse(digest, "is an index of no image", nil)
	}
	return l, nil
}

// image verifies one image: manifest, config and layers.
func (l *Layout) image(descriptor v1.Descriptor) (Image, error) {
	digest := descriptor.Digest.String()
	if !descriptor.MediaType.IsImage() {
		return Image{}, l.refuse(digest, fmt.Sprintf("is a %s, not an image", descriptor.MediaType), nil)
	}
	data, err := l.read(descriptor)
	if err != nil {
		return Image{}, err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil {
		return Image{}, l.refuse(digest, "is not an image manifest", err)
	}
	if media := manifest.Config.MediaType; media != types.OCIConfigJSON && media != types.DockerConfigJSON {
		return Image{}, l.refuse(digest, fmt.Sprintf("has a config of type %s: it is no container image", media), nil)
	}
	data, err = l.read(manifest.Config)
	if err != nil {
		return Image{}, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(data))
	if err != nil {
		return Image{}, l.refuse(manifest.Config.Digest.String(), "is not an image config", err)
	}
	if config.OS == "" || config.Architecture == "" || config.OS == "unknown" || config.Architecture == "unknown" {
		return Image{}, l.refuse(digest, "does not say which platform it is for", nil)
	}
	platform := config.Platform()
	if p := descriptor.Platform; p != nil && (p.OS != platform.OS || p.Architecture != platform.Architecture) {
		return Image{}, l.refuse(digest, fmt.Sprintf("is for %s but listed for %s", platform, p), nil)
	}
	if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return Image{}, l.refuse(digest, "lists other layers than its config", nil)
	}
	for _, layer := range manifest.Layers {
		if !layer.MediaType.IsLayer() {
			return Image{}, l.refuse(layer.Digest.String(), fmt.Sprintf("is a %s, not a layer", layer.MediaType), nil)
		}
		if err := l.check(layer); err != nil {
			return Image{}, err
		}
	}
	name := platform.OS + "/" + platform.Architecture
	if platform.Variant != "" {
		name += "/" + platform.Variant
	}
	return Image{Platform: name, Digest: digest, descriptor: descriptor}, nil
}

// read returns a small blob after checking it.
func (l *Layout) read(descriptor v1.Descriptor) ([]byte, error) {
	digest := descriptor.Digest.String()
	if descriptor.Size > most {
		return nil, l.refuse(digest, fmt.Sprintf("has %d bytes, too many for a manifest", descriptor.Size), nil)
	}
	if err := l.check(descriptor); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(l.path(descriptor.Digest))
	if err != nil {
		return nil, l.refuse(digest, "can't be read", err)
	}
	// Once more, over the very bytes that are used.
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != descriptor.Digest.Hex {
		return nil, l.refuse(digest, "changed while it was read", nil)
	}
	return data, nil
}

// check compares a blob with its descriptor.
func (l *Layout) check(descriptor v1.Descriptor) error {
	digest := descriptor.Digest.String()
	if err := step.Digest(stage, "digest", digest); err != nil {
		return err
	}
	if len(descriptor.URLs) > 0 {
		return l.refuse(digest, "is a foreign blob: its content is elsewhere", nil)
	}
	file, err := os.Open(l.path(descriptor.Digest))
	if err != nil {
		return l.refuse(digest, "is missing", err)
	}
	defer file.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	if err != nil {
		return l.refuse(digest, "can't be read", err)
	}
	if hex.EncodeToString(hash.Sum(nil)) != descriptor.Digest.Hex {
		return l.refuse(digest, "does not match its content: a byte was changed", nil)
	}
	if size != descriptor.Size {
		return l.refuse(digest, fmt.Sprintf("has %d bytes, not %d", size, descriptor.Size), nil)
	}
	return nil
}

// Layer is one layer of an image.
type Layer struct {
	// Digest is the blob's, DiffID that of the archive in it.
	Digest, DiffID string
	path           string
}

// Open opens the blob.
func (l Layer) Open() (io.ReadCloser, error) { return os.Open(l.path) }

// Layers are the layers of an image, in the order in which they are applied.
func (l *Layout) Layers(image Image) ([]Layer, error) {
	data, err := l.read(image.descriptor)
	if err != nil {
		return nil, err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil {
		return nil, l.refuse(image.Digest, "is not an image manifest", err)
	}
	if data, err = l.read(manifest.Config); err != nil {
		return nil, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(data))
	if err != nil || len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return nil, l.refuse(manifest.Config.Digest.String(), "is not this image's config", err)
	}
	var layers []Layer
	for i, descriptor := range manifest.Layers {
		layers = append(layers, Layer{Digest: descriptor.Digest.String(), DiffID: config.RootFS.DiffIDs[i].String(), path: l.path(descriptor.Digest)})
	}
	return layers, nil
}

func (l *Layout) path(digest v1.Hash) string {
	return filepath.Join(l.folder, "blobs", digest.Algorithm, digest.Hex)
}

func (l *Layout) refuse(blob, reason string, cause error) error {
	return step.Input(stage, "layout blob "+blob, reason, "build the image again and scan what the build returned").Because(cause)
}

// View makes a layout of one image at folder. Trivy takes the first image of a
// layout, and can't be told another of a nested index. The blobs are the
// verified ones, by a symbolic link.
func (l *Layout) View(image Image, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	blobs, err := filepath.Abs(filepath.Join(l.folder, "blobs"))
	if err != nil {
		return err
	}
	index, err := json.Marshal(v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests:     []v1.Descriptor{image.descriptor},
	})
	if err != nil {
		return err
	}
	if err := os.Symlink(blobs, filepath.Join(folder, "blobs")); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "index.json"), index, 0o644)
}
