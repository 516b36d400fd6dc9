package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/registry/verify"
)

// MaxRead is the most bytes that Read takes into memory.
const MaxRead = 32 << 20

var acceptManifests = http.Header{"Accept": {strings.Join([]string{
	string(types.OCIImageIndex), string(types.OCIManifestSchema1),
	string(types.DockerManifestList), string(types.DockerManifestSchema2),
}, ", ")}}

// Manifest reads a manifest by its digest and describes it. Its media type is what
// the registry says, which has to be what it says itself.
//
// Faults: KindInput when it isn't there, KindPolicy when it has another digest or
// type, KindInfrastructure when the registry fails Tries times.
func (c *Client) Manifest(ctx context.Context, digest v1.Hash) (v1.Descriptor, []byte, error) {
	return c.manifest(ctx, c.At(digest), digest.String(), digest)
}

// Tagged reads what a tag names now, as Manifest does, and says which digest that
// is. Nothing vouches for a tag but the registry.
func (c *Client) Tagged(ctx context.Context, tag string) (v1.Descriptor, []byte, error) {
	if err := CheckTag(c.access.Stage, tag); err != nil {
		return v1.Descriptor{}, nil, err
	}
	return c.manifest(ctx, c.repo.Name()+":"+tag, tag, v1.Hash{})
}

func (c *Client) manifest(ctx context.Context, of, last string, digest v1.Hash) (d v1.Descriptor, data []byte, err error) {
	err = c.do(ctx, asked{verb: "read", of: of}, func(ctx context.Context, client *http.Client) error {
		var header http.Header
		if data, header, err = c.get(ctx, client, c.url("manifests", last), acceptManifests, verify.MaxManifest); err != nil {
			return err
		}
		d, err = describe(data, header, digest)
		return err
	})
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	return d, data, nil
}

// describe holds a manifest to its digest, unless that is none, and to its type.
func describe(data []byte, header http.Header, want v1.Hash) (v1.Descriptor, error) {
	got, size, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return v1.Descriptor{}, err
	}
	if want != (v1.Hash{}) && got != want {
		return v1.Descriptor{}, &verify.Mismatch{Want: v1.Descriptor{Digest: want, Size: size}, GotDigest: got, GotSize: size}
	}
	served, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	d := v1.Descriptor{MediaType: types.MediaType(strings.TrimSpace(served)), Digest: got, Size: size}
	var says struct {
		MediaType types.MediaType `json:"mediaType"`
	}
	// What is no JSON names no type; who reads further will say so.
	if json.Unmarshal(data, &says) == nil && says.MediaType != "" && says.MediaType != d.MediaType {
		return v1.Descriptor{}, &mistypedError{d.MediaType, says.MediaType}
	}
	return d, nil
}

// mistypedError is a manifest that one reader would take for another thing than the
// next.
type mistypedError struct{ served, says types.MediaType }

func (e *mistypedError) Error() string {
	return fmt.Sprintf("is served as %.100q and says that it is %.100q", e.served, e.says)
}

// Read reads into memory what a manifest names, at most MaxRead bytes.
//
// Faults: KindPolicy when it isn't there, isn't what d says or is larger,
// KindInfrastructure when the registry fails Tries times.
func (c *Client) Read(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if d.Size > MaxRead {
		return nil, c.fault(asked{of: c.At(d.Digest)}, 0, 0, fmt.Errorf("%w: %d bytes of at most %d", ErrTooLarge, d.Size, MaxRead))
	}
	var data bytes.Buffer
	err := c.Get(ctx, d, func(body io.Reader) error {
		data.Reset()
		_, err := io.Copy(&data, body)
		return err
	})
	if err != nil {
		return nil, err
	}
	return data.Bytes(), nil
}

// Get reads what a manifest names and gives each try's content to take: reading it to
// its end fails unless it is what d says, and so does Get when take does not.
//
// Faults: as Read's, but for the size; an error of take's is tried again, unless it
// is a fault.
func (c *Client) Get(ctx context.Context, d v1.Descriptor, take func(body io.Reader) error) error {
	return c.do(ctx, asked{verb: "read", of: c.At(d.Digest), part: true}, func(ctx context.Context, client *http.Client) error {
		response, err := send(ctx, client, request{method: http.MethodGet, url: c.content(d), header: acceptManifests, want: http.StatusOK})
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body := verify.NewReader(response.Body, d)
		if err := take(body); err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, body)
		return err
	})
}

// Has asks whether the registry says that it has what d describes.
func (c *Client) Has(ctx context.Context, d v1.Descriptor) (bool, error) {
	err := c.do(ctx, asked{verb: "look for", of: c.At(d.Digest)}, func(ctx context.Context, client *http.Client) error {
		response, err := send(ctx, client, request{method: http.MethodHead, url: c.content(d), header: acceptManifests, want: http.StatusOK})
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// get reads an answer of at most most bytes. With an error there may be a header.
func (c *Client) get(ctx context.Context, client *http.Client, url string, header http.Header, most int64) ([]byte, http.Header, error) {
	response, err := send(ctx, client, request{method: http.MethodGet, url: url, header: header, want: http.StatusOK})
	if err != nil {
		if response != nil {
			return nil, response.Header, err
		}
		return nil, nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(data)) > most {
		return nil, nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, most)
	}
	return data, response.Header, nil
}
