package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/build/step/oci"
	"slipway/step"
)

// MaxImage is the most bytes that Pull takes in all, every platform counted:
// far above what a service needs, and below what fills an engine's disk.
const MaxImage = 8 << 30

// Pull takes an image or index from its registry into a new OCI layout in dir,
// down to the last layer. Each part is verified against its digest and size
// before it becomes a file of the layout; index.json comes last, so that a pull
// cut short leaves no layout.
//
// Faults: KindPolicy, naming the part, when it is missing, isn't what its
// digest says, is no image, or would make more than most bytes of the whole;
// KindInfrastructure when the registry fails Tries times.
func Pull(ctx context.Context, dir string, repo name.Repository, digest v1.Hash, most int64, o Options) (Verified, error) {
	c := newClient(repo, o, "pull")
	root, content, err := c.readRoot(ctx, digest)
	if err != nil {
		return Verified{}, err
	}
	layout, err := oci.Create(dir)
	if err != nil {
		return Verified{}, err
	}
	left := most
	out, err := c.walk(root, func(d v1.Descriptor) ([]byte, error) {
		// Sizes are what digests vouch for, so the bound holds before a byte
		// is asked for.
		if d.Size > left {
			return nil, step.Policy(o.Stage, c.at(digest), fmt.Sprintf("is larger than %d bytes with %s", most, d.Digest),
				"look at what the image holds, and release a smaller one")
		}
		left -= d.Size
		if !oci.IsManifest(d) {
			return nil, c.keep(ctx, layout, d)
		}
		data := content
		if d.Digest != root.Digest {
			read, err := c.read(ctx, d)
			if err != nil {
				return nil, err
			}
			data = read
		}
		_, err := layout.Add(d.MediaType, func(w io.Writer) error { return oci.Check(w, bytes.NewReader(data), d) })
		return data, err
	})
	if err != nil {
		return Verified{}, err
	}
	return out, layout.Finish(root)
}

// keep adds a blob to the layout.
func (c *Client) keep(ctx context.Context, layout *oci.Writer, d v1.Descriptor) error {
	err := c.get(ctx, d, func(body io.Reader) error {
		_, err := layout.Add(d.MediaType, func(w io.Writer) error { return oci.Check(w, body, d) })
		return err
	})
	if err == nil {
		c.o.Say("pulled %s, %d bytes", d.Digest, d.Size)
	}
	return err
}
