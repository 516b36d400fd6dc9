// Package oci holds what the steps know of the OCI image specification 1.1:
// which content a descriptor's content names in turn, and the image layout.
package oci

import (
	"bytes"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/registry/verify"
)

// Children reads content, the bytes that d describes, and lists what it names
// in order: an index's manifests, or a manifest's config and layers. Blobs name
// nothing.
//
// It errs when the content is not what the media type says, and when it could
// be read as both an index and a manifest, which clients would disagree on
// (CVE-2021-41190).
func Children(d v1.Descriptor, content []byte) ([]v1.Descriptor, error) {
	if !verify.IsManifest(d) {
		return nil, nil
	}
	var shape struct {
		SchemaVersion int              `json:"schemaVersion"`
		MediaType     types.MediaType  `json:"mediaType"`
		Manifests     *json.RawMessage `json:"manifests"`
		Config        *json.RawMessage `json:"config"`
		Layers        *json.RawMessage `json:"layers"`
	}
	if err := json.Unmarshal(content, &shape); err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	if shape.SchemaVersion != 2 {
		return nil, fmt.Errorf("has schemaVersion %d, not 2", shape.SchemaVersion)
	}
	if shape.MediaType != "" && shape.MediaType != d.MediaType {
		return nil, fmt.Errorf("says media type %q and is described as %q", shape.MediaType, d.MediaType)
	}
	if d.MediaType.IsIndex() {
		if shape.Config != nil || shape.Layers != nil || shape.Manifests == nil {
			return nil, fmt.Errorf("is described as an index and doesn't have just an index's fields")
		}
		index, err := v1.ParseIndexManifest(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("is no index: %w", err)
		}
		return index.Manifests, validate(index.Manifests)
	}
	if shape.Manifests != nil || shape.Config == nil || shape.Layers == nil {
		return nil, fmt.Errorf("is described as a manifest and doesn't have just a manifest's fields")
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("is no manifest: %w", err)
	}
	children := append([]v1.Descriptor{manifest.Config}, manifest.Layers...)
	for _, child := range children {
		if verify.IsManifest(child) {
			return nil, fmt.Errorf("names the manifest %s as a blob", child.Digest)
		}
		if !child.MediaType.IsDistributable() || len(child.URLs) > 0 {
			return nil, fmt.Errorf("names blob %s, which is kept elsewhere (media type %q)", child.Digest, child.MediaType)
		}
	}
	return children, validate(children)
}

func validate(descriptors []v1.Descriptor) error {
	for _, d := range descriptors {
		if d.Digest.Algorithm != "sha256" {
			return fmt.Errorf("names content by %q, not by a sha256 digest", d.Digest)
		}
		if d.Size < 0 || verify.IsManifest(d) && d.Size > verify.MaxManifest {
			return fmt.Errorf("names %s with a size of %d bytes", d.Digest, d.Size)
		}
	}
	return nil
}
