package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// MaxManifest is the largest manifest that is read: the limit that
	// registries commonly set.
	MaxManifest = 4 << 20
	// MaxBlob is the largest bundle that is read.
	MaxBlob = 32 << 20
	// MaxReferrers is the largest number of referrers that is read.
	MaxReferrers = 1000
)

var manifestTypes = strings.Join([]string{
	string(types.OCIImageIndex), string(types.OCIManifestSchema1),
	string(types.DockerManifestList), string(types.DockerManifestSchema2),
}, ", ")

// Manifest reads a manifest by its digest and describes it.
func (c *Client) Manifest(ctx context.Context, digest v1.Hash) (v1.Descriptor, []byte, error) {
	var data []byte
	var header http.Header
	err := c.try(ctx, "read manifest "+digest.String(), func(session http.RoundTripper) (err error) {
		data, header, err = get(ctx, session, c.url("manifests", digest.String()), manifestTypes, MaxManifest)
		if err != nil {
			return err
		}
		return match(data, digest)
	})
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	var body struct {
		MediaType types.MediaType `json:"mediaType"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return v1.Descriptor{}, nil, fmt.Errorf("manifest %s is not JSON: %w", digest, err)
	}
	if body.MediaType == "" {
		body.MediaType = types.MediaType(header.Get("Content-Type"))
	}
	return v1.Descriptor{MediaType: body.MediaType, Digest: digest, Size: int64(len(data))}, data, nil
}

// Blob reads a blob by its digest.
func (c *Client) Blob(ctx context.Context, digest v1.Hash) ([]byte, error) {
	var data []byte
	err := c.try(ctx, "read blob "+digest.String(), func(session http.RoundTripper) (err error) {
		data, _, err = get(ctx, session, c.url("blobs", digest.String()), "", MaxBlob)
		if err != nil {
			return err
		}
		return match(data, digest)
	})
	return data, err
}

// Referrers lists what refers to the digest: through the API, page by page,
// or where there is none through the tag that the tag schema defines. No
// referrers is an empty list.
func (c *Client) Referrers(ctx context.Context, digest v1.Hash) ([]v1.Descriptor, error) {
	var all []v1.Descriptor
	err := c.try(ctx, "list referrers of "+digest.String(), func(session http.RoundTripper) (err error) {
		all, err = c.referrers(ctx, session, digest)
		return err
	})
	return all, err
}

func (c *Client) referrers(ctx context.Context, session http.RoundTripper, digest v1.Hash) ([]v1.Descriptor, error) {
	var all []v1.Descriptor
	for next := c.url("referrers", digest.String()); next != nil; {
		page, header, err := get(ctx, session, next, string(types.OCIImageIndex), MaxManifest)
		if noAPI(err, header) {
			page, header, err = get(ctx, session, c.url("manifests", fallbackTag(digest)), string(types.OCIImageIndex), MaxManifest)
			if errors.Is(classify(err), ErrNotFound) {
				return nil, nil
			}
		}
		if err != nil {
			return nil, err
		}
		var index v1.IndexManifest
		if err := json.Unmarshal(page, &index); err != nil {
			return nil, fmt.Errorf("list of referrers is not JSON: %w", err)
		}
		all = append(all, index.Manifests...)
		if len(all) > MaxReferrers {
			return nil, fmt.Errorf("more than %d referrers: %w", MaxReferrers, ErrTooLarge)
		}
		if next, err = nextPage(next, header, len(index.Manifests)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// fallbackTag is the tag below which the tag schema keeps the list.
func fallbackTag(digest v1.Hash) string { return digest.Algorithm + "-" + digest.Hex }

// noAPI says whether a referrers request was answered by a registry that does
// not know it. Such a registry answers 404, some 400, 405 or 406; some answer
// 200 with another document.
func noAPI(err error, header http.Header) bool {
	if err == nil {
		return !strings.HasPrefix(header.Get("Content-Type"), string(types.OCIImageIndex))
	}
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.StatusCode {
	case http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable:
		return true
	}
	return false
}

var linkNext = regexp.MustCompile(`<([^>]*)>\s*;\s*rel="?next"?`)

// nextPage follows the Link header (RFC 8288) on the same host, as encrypted as
// before. A page that brings nothing is the last.
func nextPage(at *url.URL, header http.Header, got int) (*url.URL, error) {
	found := linkNext.FindStringSubmatch(header.Get("Link"))
	if found == nil || got == 0 {
		return nil, nil
	}
	next, err := at.Parse(found[1])
	if err != nil || next.Scheme != at.Scheme || next.Host != at.Host || next.User != nil {
		return nil, fmt.Errorf("next page of referrers is not on %s", at.Host)
	}
	return next, nil
}

func (c *Client) url(kind, identifier string) *url.URL {
	return &url.URL{
		Scheme: c.repository.Scheme(),
		Host:   c.repository.RegistryStr(),
		Path:   "/v2/" + c.repository.RepositoryStr() + "/" + kind + "/" + identifier,
	}
}

func get(ctx context.Context, session http.RoundTripper, from *url.URL, accept string, most int64) ([]byte, http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	client := &http.Client{Transport: session, Timeout: 2 * time.Minute}
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	if err := transport.CheckError(response, http.StatusOK); err != nil {
		return nil, response.Header, err
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(data)) > most {
		return nil, nil, fmt.Errorf("more than %d bytes: %w", most, ErrTooLarge)
	}
	return data, response.Header, nil
}

func match(data []byte, digest v1.Hash) error {
	got, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return err
	}
	if got != digest {
		return fmt.Errorf("%w: it has %s", ErrContent, got)
	}
	return nil
}
