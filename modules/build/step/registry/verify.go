package registry

import (
	"context"
	"errors"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/build/step/oci"
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
// Faults: KindPolicy, naming the part, when it is missing, isn't what its
// digest says, or is no image; KindInfrastructure when the registry fails
// Tries times.
func FetchVerify(ctx context.Context, repo name.Repository, digest v1.Hash, o Options) (Verified, error) {
	c := newClient(repo, o, "pull")
	root, content, err := c.readRoot(ctx, digest)
	if err != nil {
		return Verified{}, err
	}
	return c.walk(root, func(d v1.Descriptor) ([]byte, error) {
		if d.Digest == root.Digest {
			return content, nil
		}
		data, err := c.read(ctx, d)
		if err == nil {
			c.o.Say("verified %s, %d bytes", d.Digest, d.Size)
		}
		return data, err
	})
}

// walk reads root and all that it reaches, and counts it.
func (c *Client) walk(root v1.Descriptor, read oci.Reader) (Verified, error) {
	parts, err := oci.Walk(read, root)
	var malformed *oci.Malformed
	if errors.As(err, &malformed) {
		return Verified{}, step.Policy(c.o.Stage, c.at(malformed.Descriptor.Digest), malformed.Err.Error(), "build and publish the image again").Because(err)
	}
	if err != nil {
		return Verified{}, err
	}
	out := Verified{Reference: c.at(root.Digest), Digest: root.Digest.String()}
	for _, d := range parts {
		out.Bytes += d.Size
		if oci.IsManifest(d) {
			out.Manifests++
		} else {
			out.Blobs++
		}
	}
	return out, nil
}
