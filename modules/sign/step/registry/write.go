package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// EmptyMediaType is the media type of the config of an artifact that has none
// (OCI image specification 1.1).
const EmptyMediaType = "application/vnd.oci.empty.v1+json"

// Artifact is a manifest with one layer that refers to a subject.
type Artifact struct {
	Subject     v1.Descriptor
	Type        string
	Data        []byte
	Annotations map[string]string
}

// manifest adds the field that go-containerregistry's manifest lacks.
type manifest struct {
	v1.Manifest
	ArtifactType string `json:"artifactType"`
}

type taggable struct{ data []byte }

func (t taggable) RawManifest() ([]byte, error)        { return t.data, nil }
func (t taggable) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// errUnlisted means that a pushed referrer is not in the list: another writer
// of the tag schema's list was quicker.
var errUnlisted = errors.New("pushed referrer is not listed")

// Attach pushes the artifact and returns its manifest's digest, once the list
// of the subject's referrers shows it. Attaching the same again moves nothing
// in the registry's content.
func (c *Client) Attach(ctx context.Context, artifact Artifact) (v1.Hash, error) {
	config := static.NewLayer([]byte("{}"), EmptyMediaType)
	layer := static.NewLayer(artifact.Data, types.MediaType(artifact.Type))
	configDescriptor, err := describe(config)
	if err != nil {
		return v1.Hash{}, err
	}
	layerDescriptor, err := describe(layer)
	if err != nil {
		return v1.Hash{}, err
	}
	data, err := json.Marshal(manifest{
		Manifest: v1.Manifest{
			SchemaVersion: 2,
			MediaType:     types.OCIManifestSchema1,
			Config:        configDescriptor,
			Layers:        []v1.Descriptor{layerDescriptor},
			Subject:       &artifact.Subject,
			Annotations:   artifact.Annotations,
		},
		ArtifactType: artifact.Type,
	})
	if err != nil {
		return v1.Hash{}, fmt.Errorf("encode manifest: %w", err)
	}
	digest, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return v1.Hash{}, err
	}
	err = c.try(ctx, "attach "+artifact.Type+" to "+artifact.Subject.Digest.String(), func(session http.RoundTripper) error {
		options := []remote.Option{
			remote.WithContext(ctx),
			remote.WithTransport(session),
			remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
			remote.WithRetryPredicate(func(error) bool { return false }),
		}
		for _, blob := range []v1.Layer{config, layer} {
			if err := remote.WriteLayer(c.repository, blob, options...); err != nil {
				return err
			}
		}
		if err := remote.Put(c.repository.Digest(digest.String()), taggable{data}, options...); err != nil {
			return err
		}
		listed, err := c.referrers(ctx, session, artifact.Subject.Digest)
		if err != nil {
			return err
		}
		for _, descriptor := range listed {
			if descriptor.Digest == digest {
				return nil
			}
		}
		return errUnlisted
	})
	return digest, err
}

func describe(layer v1.Layer) (v1.Descriptor, error) {
	digest, err := layer.Digest()
	if err != nil {
		return v1.Descriptor{}, err
	}
	size, err := layer.Size()
	if err != nil {
		return v1.Descriptor{}, err
	}
	mediaType, err := layer.MediaType()
	if err != nil {
		return v1.Descriptor{}, err
	}
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, nil
}
