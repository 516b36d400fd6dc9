package registry

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/build/step/oci"
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
// KindInfrastructure when the registry fails Tries times.
func Publish(ctx context.Context, dir, digest string, repo name.Repository, o Options) (build.Published, error) {
	if err := step.Digest(o.Stage, "--digest", digest); err != nil {
		return build.Published{}, err
	}
	layout, err := oci.Open(o.Stage, dir)
	if err != nil {
		return build.Published{}, err
	}
	if len(layout.Roots) != 1 || layout.Roots[0].Digest.String() != digest {
		return build.Published{}, step.Policy(o.Stage, "layout "+dir,
			fmt.Sprintf("holds %s, not just %s", layout.Roots[0].Digest, digest), "publish the layout that was scanned")
	}
	c := newClient(repo, o, "push,pull")
	out := build.Published{Reference: c.at(layout.Roots[0].Digest), Digest: digest}

	for _, d := range inPushOrder(layout.Content) {
		have, err := c.exists(ctx, d)
		if err != nil {
			return build.Published{}, err
		}
		if have {
			continue
		}
		if oci.IsManifest(d) {
			err = c.putManifest(ctx, d, layout.Manifest(d))
			out.UploadedManifests++
		} else {
			err = c.upload(ctx, layout, d)
			out.UploadedBlobs++
		}
		if err != nil {
			return build.Published{}, err
		}
		c.o.Say("pushed %s, %d bytes", d.Digest, d.Size)
	}
	out.Pushed = out.UploadedBlobs+out.UploadedManifests > 0

	for _, d := range layout.Content {
		if oci.IsManifest(d) {
			if _, err := c.read(ctx, d); err != nil {
				return build.Published{}, err
			}
		}
	}
	c.o.Say("%s: %d blobs and %d manifests uploaded", out.Reference, out.UploadedBlobs, out.UploadedManifests)
	return out, nil
}

// inPushOrder puts blobs first; manifests stay behind what they name.
func inPushOrder(content []v1.Descriptor) []v1.Descriptor {
	var blobs, manifests []v1.Descriptor
	for _, d := range content {
		if oci.IsManifest(d) {
			manifests = append(manifests, d)
		} else {
			blobs = append(blobs, d)
		}
	}
	return append(blobs, manifests...)
}

func (c *Client) putManifest(ctx context.Context, d v1.Descriptor, content []byte) error {
	return c.do(ctx, "put manifest "+d.Digest.String(), d.Digest, func(ctx context.Context, client *http.Client) error {
		header := http.Header{"Content-Type": {string(d.MediaType)}}
		response, err := send(ctx, client, http.MethodPut, c.content(d), bytes.NewReader(content), d.Size, header, http.StatusCreated)
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
}

// upload sends a blob in one piece: POST begins a session, PUT ends it.
func (c *Client) upload(ctx context.Context, layout *oci.Layout, d v1.Descriptor) error {
	return c.do(ctx, "upload blob "+d.Digest.String(), d.Digest, func(ctx context.Context, client *http.Client) error {
		begun, err := send(ctx, client, http.MethodPost, c.url("blobs", "uploads/"), nil, 0, nil, http.StatusAccepted)
		if err != nil {
			return err
		}
		if err := begun.Body.Close(); err != nil {
			return err
		}
		session, err := uploadURL(begun, d.Digest)
		if err != nil {
			return err
		}
		blob, err := layout.OpenBlob(d)
		if err != nil {
			return err
		}
		defer blob.Close()
		header := http.Header{"Content-Type": {"application/octet-stream"}}
		response, err := send(ctx, client, http.MethodPut, session, blob, d.Size, header, http.StatusCreated)
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
}

// uploadURL is where a begun upload continues, with the digest it will have.
func uploadURL(begun *http.Response, digest v1.Hash) (string, error) {
	location, err := begun.Location()
	if err != nil {
		return "", fmt.Errorf("upload session: %w", err)
	}
	query, err := url.ParseQuery(location.RawQuery)
	if err != nil {
		return "", fmt.Errorf("upload session: %w", err)
	}
	query.Set("digest", digest.String())
	location.RawQuery = query.Encode()
	return location.String(), nil
}
