// Package artifact makes and publishes the OCI artifact that Trivy downloads
// its database from: an image manifest with an empty config of Trivy's media
// type and one layer, a gzipped tar of trivy.db and metadata.json.
package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/registry"
	"slipway/scan/db/advisory"
	"slipway/step"
)

const stage = "scan"

// The media types of Trivy's own database artifact.
const (
	ConfigMediaType types.MediaType = "application/vnd.aquasec.trivy.config.v1+json"
	LayerMediaType  types.MediaType = "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip"
)

// ArchiveFile is the name of the layer, which Trivy reads from its annotation.
const ArchiveFile = "db.tar.gz"

// Archive packs the database in folder into a gzipped tar. Files are dated at,
// so that the same database gives the same bytes.
func Archive(folder string, at time.Time) ([]byte, error) {
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	archive := tar.NewWriter(zip)
	for _, file := range []string{advisory.MetadataFile, advisory.DatabaseFile} {
		data, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			return nil, err
		}
		header := &tar.Header{
			Name: file, Mode: 0o644, Size: int64(len(data)),
			ModTime: at.UTC().Truncate(time.Second), Format: tar.FormatPAX,
		}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(data); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Layout writes the artifact of an archive as an OCI layout into folder and
// returns the digest of its manifest.
func Layout(archive []byte, created time.Time, folder string) (string, error) {
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, ConfigMediaType)
	image, err := mutate.Append(image, mutate.Addendum{
		Layer:       static.NewLayer(archive, LayerMediaType),
		MediaType:   LayerMediaType,
		Annotations: map[string]string{"org.opencontainers.image.title": ArchiveFile},
	})
	if err != nil {
		return "", err
	}
	image = mutate.Annotations(image, map[string]string{
		"org.opencontainers.image.created": created.UTC().Format(time.RFC3339),
	}).(v1.Image)
	if err := os.RemoveAll(folder); err != nil {
		return "", err
	}
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return "", err
	}
	if err := path.AppendImage(image); err != nil {
		return "", err
	}
	digest, err := image.Digest()
	return digest.String(), err
}

// Push publishes the artifact of an OCI layout as repository:tag, or without a tag by
// its digest only, and returns its digest.
func Push(ctx context.Context, access registry.Access, folder, repository, tag string) (string, error) {
	repo, err := registry.ParseRepository(stage, "repository", repository)
	if err == nil && tag != "" {
		err = registry.CheckTag(stage, tag)
	}
	if err != nil {
		return "", err
	}
	image, err := open(folder)
	if err != nil {
		return "", err
	}
	data, err := image.RawManifest()
	if err != nil {
		return "", err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return "", err
	}
	client := registry.New(access, repo, registry.Push)
	for _, d := range append(manifest.Layers, manifest.Config) {
		blob := func() (io.ReadCloser, error) { return layout.Path(folder).Blob(d.Digest) }
		if _, err := client.Add(ctx, d, blob); err != nil {
			return "", err
		}
	}
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	if tag != "" {
		err = client.Tag(ctx, tag, manifest.MediaType, data)
	} else {
		_, err = client.Put(ctx, v1.Descriptor{MediaType: manifest.MediaType, Size: int64(len(data)), Digest: digest}, data)
	}
	return digest.String(), err
}

// open returns the one database artifact of a layout.
func open(folder string) (v1.Image, error) {
	refuse := func(reason string, cause error) error {
		return step.Input(stage, folder, reason, "give the layout that build wrote").Because(cause)
	}
	path, err := layout.FromPath(folder)
	if err != nil {
		return nil, refuse("is no OCI layout", err)
	}
	index, err := path.ImageIndex()
	if err != nil {
		return nil, refuse("has no index", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		return nil, refuse("does not hold exactly one manifest", err)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		return nil, refuse("holds no image manifest", err)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		return nil, refuse("does not hold exactly one layer", err)
	}
	if media, err := layers[0].MediaType(); err != nil || media != LayerMediaType {
		return nil, refuse(fmt.Sprintf("holds a layer of type %s, not a Trivy database", media), err)
	}
	want, err := layers[0].Digest()
	if err != nil {
		return nil, refuse("has no layer digest", err)
	}
	content, err := layers[0].Compressed()
	if err != nil {
		return nil, refuse("lacks its layer", err)
	}
	defer content.Close()
	got, _, err := v1.SHA256(io.NopCloser(content))
	if err != nil || got != want {
		return nil, refuse("holds a layer that does not match its digest", err)
	}
	return image, nil
}
