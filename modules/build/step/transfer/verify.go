package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/build/step/oci"
	"slipway/registry"
	"slipway/registry/verify"
	"slipway/step"
)

// Verified is the result of FetchVerify and of Pull.
type Verified struct {
	// Reference is what was asked for.
	Reference string `json:"reference"`
	// Digest is its digest.
	Digest string `json:"digest"`
	// Manifests counts the index and manifests that were read, Blobs the
	// configs and layers, each digest once.
	Manifests int `json:"manifests"`
	Blobs     int `json:"blobs"`
	// Bytes is the size of all of them.
	Bytes int64 `json:"bytes"`
}

// FetchVerify reads an image or index back from its registry, down to the last
// layer, and verifies the digest and size of each part.
//
// Faults: KindInput when it isn't there; KindPolicy, naming the part, when a part is
// missing, isn't what its digest says, or is no image; KindInfrastructure when the
// registry fails registry.Tries times.
func FetchVerify(ctx context.Context, ref *registry.Reference, access registry.Access) (Verified, error) {
	r, err := read(ctx, ref, access)
	if err != nil {
		return Verified{}, err
	}
	return r.walk(func(d v1.Descriptor) (data []byte, err error) {
		if verify.IsManifest(d) {
			data, err = r.manifest(ctx, d)
		} else {
			err = r.client.Get(ctx, d, func(io.Reader) error { return nil })
		}
		if err == nil {
			access.Report("verified %s, %d bytes", d.Digest, d.Size)
		}
		return data, err
	})
}

// reading is an image that is being read: its root is.
type reading struct {
	access registry.Access
	client *registry.Client
	ref    *registry.Reference
	root   v1.Descriptor
	data   []byte
}

// read reads and verifies the manifest of a reference, whose media type and size only
// the registry knows.
func read(ctx context.Context, ref *registry.Reference, access registry.Access) (*reading, error) {
	r := &reading{access: access, client: registry.New(access, ref.Repository, registry.Pull), ref: ref}
	var err error
	if r.root, r.data, err = r.client.Manifest(ctx, ref.Digest); err != nil {
		return nil, err
	}
	if !verify.IsManifest(r.root) {
		return nil, step.Policy(access.Stage, ref.Text, fmt.Sprintf("is served as %q, which is no image", r.root.MediaType), "give the digest of an image or index")
	}
	return r, nil
}

// manifest reads an index or manifest, each once.
func (r *reading) manifest(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if d.Digest == r.root.Digest {
		return r.data, nil
	}
	return r.client.Read(ctx, d)
}

// walk reads the root and all that it reaches, and counts it.
func (r *reading) walk(read oci.Reader) (Verified, error) {
	parts, err := oci.Walk(read, r.root)
	var malformed *oci.Malformed
	if errors.As(err, &malformed) {
		return Verified{}, step.Policy(r.access.Stage, r.client.At(malformed.Descriptor.Digest), malformed.Err.Error(), "build and publish the image again").Because(err)
	}
	if err != nil {
		return Verified{}, err
	}
	out := Verified{Reference: r.ref.Text, Digest: r.root.Digest.String()}
	for _, d := range parts {
		out.Bytes += d.Size
		if verify.IsManifest(d) {
			out.Manifests++
		} else {
			out.Blobs++
		}
	}
	return out, nil
}
