package transfer

import (
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/build/step/oci"
	"slipway/registry"
	"slipway/registry/verify"
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
// Faults: FetchVerify's, and KindPolicy when it would make more than most bytes of
// the whole.
func Pull(ctx context.Context, dir string, ref *registry.Reference, most int64, access registry.Access) (Verified, error) {
	r, err := read(ctx, ref, access)
	if err != nil {
		return Verified{}, err
	}
	layout, err := oci.Create(dir)
	if err != nil {
		return Verified{}, err
	}
	left := most
	out, err := r.walk(func(d v1.Descriptor) ([]byte, error) {
		// Sizes are what digests vouch for, so the bound holds before a byte
		// is asked for.
		if d.Size > left {
			return nil, step.Policy(access.Stage, ref.Text, fmt.Sprintf("is larger than %d bytes with %s", most, d.Digest),
				"look at what the image holds, and release a smaller one")
		}
		left -= d.Size
		if !verify.IsManifest(d) {
			err := r.client.Get(ctx, d, func(body io.Reader) error { return copyTo(layout, d, body) })
			if err == nil {
				access.Report("pulled %s, %d bytes", d.Digest, d.Size)
			}
			return nil, err
		}
		data, err := r.manifest(ctx, d)
		if err != nil {
			return nil, err
		}
		_, err = layout.Add(d.MediaType, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
		return data, err
	})
	if err != nil {
		return Verified{}, err
	}
	return out, layout.Finish(r.root)
}

// copyTo adds a blob to the layout, whose body fails where it isn't d.
func copyTo(layout *oci.Writer, d v1.Descriptor, body io.Reader) error {
	_, err := layout.Add(d.MediaType, func(w io.Writer) error {
		_, err := io.Copy(w, body)
		return err
	})
	return err
}
