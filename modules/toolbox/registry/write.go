package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Add uploads a blob where the registry lacks it, in one piece, and says whether it
// had to. open gives its bytes to each try.
func (c *Client) Add(ctx context.Context, d v1.Descriptor, open func() (io.ReadCloser, error)) (uploaded bool, err error) {
	if have, err := c.Has(ctx, d); have || err != nil {
		return false, err
	}
	err = c.do(ctx, asked{verb: "upload", of: c.At(d.Digest)}, func(ctx context.Context, client *http.Client) error {
		begun, err := send(ctx, client, request{method: http.MethodPost, url: c.url("blobs", "uploads/"), want: http.StatusAccepted})
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
		blob, err := open()
		if err != nil {
			return err
		}
		defer blob.Close()
		return finish(ctx, client, session, "application/octet-stream", blob, d.Size)
	})
	return err == nil, err
}

// finish is the request that ends an upload.
func finish(ctx context.Context, client *http.Client, url, mediaType string, body io.Reader, size int64) error {
	header := http.Header{"Content-Type": {mediaType}}
	response, err := send(ctx, client, request{method: http.MethodPut, url: url, body: body, length: size, header: header, want: http.StatusCreated})
	if err != nil {
		return err
	}
	return response.Body.Close()
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

// Put writes a manifest by its digest, where the registry lacks it, and says whether
// it had to.
func (c *Client) Put(ctx context.Context, d v1.Descriptor, data []byte) (put bool, err error) {
	if have, err := c.Has(ctx, d); have || err != nil {
		return false, err
	}
	err = c.put(ctx, c.At(d.Digest), d.Digest.String(), d.MediaType, data)
	return err == nil, err
}

// Tag writes a manifest under a tag.
func (c *Client) Tag(ctx context.Context, tag string, mediaType types.MediaType, data []byte) error {
	if err := CheckTag(c.access.Stage, tag); err != nil {
		return err
	}
	return c.put(ctx, c.repo.Name()+":"+tag, tag, mediaType, data)
}

func (c *Client) put(ctx context.Context, of, last string, mediaType types.MediaType, data []byte) error {
	return c.do(ctx, asked{verb: "put", of: of}, func(ctx context.Context, client *http.Client) error {
		return finish(ctx, client, c.url("manifests", last), string(mediaType), bytes.NewReader(data), int64(len(data)))
	})
}
