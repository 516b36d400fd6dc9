// Package transfer moves images between OCI layouts and registries, down to the last
// layer, and verifies them there.
package transfer

import (
	"context"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/build/step/oci"
	"slipway/registry"
	"slipway/registry/verify"
	"slipway/step"
	"slipway/step/result/build"
)

// Publish pushes the layout in dir, whose one content has to be digest, to
// repo: first its blobs, then its manifests, then the index, each by digest and
// only where the registry lacks it, so that a push cut short anywhere can be
// run again. At the end it reads index and manifests back. No tag is made.
//
// Faults: KindInput when dir is no layout or digest no digest; KindPolicy when
// the layout holds another digest or a changed byte (before the registry is
// asked anything), or when the registry serves other bytes than were sent;
// KindInfrastructure when the registry fails registry.Tries times.
func Publish(ctx context.Context, dir, digest string, repo name.Repository, access registry.Access) (build.Published, error) {
	stage := access.Stage
	if err := step.Digest(stage, "--digest", digest); err != nil {
		return build.Published{}, err
	}
	layout, err := oci.Open(stage, dir)
	if err != nil {
		return build.Published{}, err
	}
	if len(layout.Roots) != 1 || layout.Roots[0].Digest.String() != digest {
		return build.Published{}, step.Policy(stage, "layout "+dir,
			fmt.Sprintf("holds %s, not just %s", layout.Roots[0].Digest, digest), "publish the layout that was scanned")
	}
	c := registry.New(access, repo, registry.Push)
	out := build.Published{Reference: c.At(layout.Roots[0].Digest), Digest: digest}

	for _, d := range inPushOrder(layout.Content) {
		var pushed bool
		if verify.IsManifest(d) {
			pushed, err = c.Put(ctx, d, layout.Manifest(d))
		} else {
			pushed, err = c.Add(ctx, d, func() (io.ReadCloser, error) { return layout.OpenBlob(d) })
		}
		switch {
		case err != nil:
			return build.Published{}, err
		case !pushed:
			continue
		case verify.IsManifest(d):
			out.UploadedManifests++
		default:
			out.UploadedBlobs++
		}
		access.Report("pushed %s, %d bytes", d.Digest, d.Size)
	}
	out.Pushed = out.UploadedBlobs+out.UploadedManifests > 0

	for _, d := range layout.Content {
		if verify.IsManifest(d) {
			if err := c.Get(ctx, d, func(io.Reader) error { return nil }); err != nil {
				return build.Published{}, err
			}
		}
	}
	access.Report("%s: %d blobs and %d manifests uploaded", out.Reference, out.UploadedBlobs, out.UploadedManifests)
	return out, nil
}

// inPushOrder puts blobs first; manifests stay behind what they name.
func inPushOrder(all []v1.Descriptor) []v1.Descriptor {
	var blobs, manifests []v1.Descriptor
	for _, d := range all {
		if verify.IsManifest(d) {
			manifests = append(manifests, d)
		} else {
			blobs = append(blobs, d)
		}
	}
	return append(blobs, manifests...)
}
