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

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/registry/verify"
)

// MaxReferrers is the largest number of referrers that is listed. Whoever can push can
// lengthen the list; whose they are is for the caller to see before it counts them.
const MaxReferrers = 100_000

var acceptIndex = http.Header{"Accept": {string(types.OCIImageIndex)}}

// Referrers lists what refers to the digest: through the API, page by page,
// or where there is none through the tag that the tag schema defines. No
// referrers is an empty list.
//
// Faults: KindPolicy when there are more than MaxReferrers, KindInfrastructure when
// the registry fails Tries times.
func (c *Client) Referrers(ctx context.Context, digest v1.Hash) ([]v1.Descriptor, error) {
	var all []v1.Descriptor
	err := c.do(ctx, asked{verb: "list referrers of", of: c.At(digest)}, func(ctx context.Context, client *http.Client) (err error) {
		all, err = c.referrers(ctx, client, digest)
		return err
	})
	return all, err
}

func (c *Client) referrers(ctx context.Context, client *http.Client, digest v1.Hash) ([]v1.Descriptor, error) {
	var all []v1.Descriptor
	seen := map[v1.Hash]bool{}
	for next := c.url("referrers", digest.String()); next != ""; {
		page, header, err := c.get(ctx, client, next, acceptIndex, verify.MaxManifest)
		if noAPI(err, header) {
			page, header, err = c.get(ctx, client, c.url("manifests", fallbackTag(digest)), acceptIndex, verify.MaxManifest)
			if errors.Is(err, ErrNotFound) {
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
		listed := len(all)
		for _, descriptor := range index.Manifests {
			if !seen[descriptor.Digest] {
				seen[descriptor.Digest] = true
				all = append(all, descriptor)
			}
		}
		if len(all) > MaxReferrers {
			return nil, fmt.Errorf("%w: more than %d referrers", ErrTooLarge, MaxReferrers)
		}
		if next, err = nextPage(next, header, len(all)-listed); err != nil {
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
	switch status(err) {
	case http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable:
		return true
	}
	return false
}

var linkNext = regexp.MustCompile(`<([^>]*)>\s*;\s*rel="?next"?`)

// nextPage follows the Link header (RFC 8288) on the same host, as encrypted as
// before. A page that brings nothing new is the last; so is one without such a header.
func nextPage(from string, header http.Header, got int) (string, error) {
	found := linkNext.FindStringSubmatch(header.Get("Link"))
	if found == nil || got == 0 {
		return "", nil
	}
	at, err := url.Parse(from)
	if err != nil {
		return "", err
	}
	next, err := at.Parse(found[1])
	if err != nil || next.Scheme != at.Scheme || next.Host != at.Host || next.User != nil {
		return "", fmt.Errorf("next page of referrers is not on %s", at.Host)
	}
	return next.String(), nil
}

// EmptyMediaType is the media type of the config of an artifact that has none
// (OCI image specification 1.1).
const EmptyMediaType = "application/vnd.oci.empty.v1+json"

// Artifact is a manifest with one layer that refers to a subject.
type Artifact struct {
	Subject     v1.Descriptor
	Type        string
	Data        []byte
	Annotations map[string]string
}

// referrer adds the field that go-containerregistry's manifest lacks.
type referrer struct {
	v1.Manifest
	ArtifactType string `json:"artifactType"`
}

// RawManifest is remote.Taggable's.
func (r referrer) RawManifest() ([]byte, error) { return json.Marshal(r) }

// MediaType is the one that RawManifest is put as.
func (r referrer) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// errUnlisted means that a pushed referrer is not in the list: another writer
// of the tag schema's list was quicker.
var errUnlisted = errors.New("pushed referrer is not listed")

// Attach pushes the artifact and returns its manifest's digest, once the list
// of the subject's referrers shows it. Attaching the same again moves nothing
// in the registry's content.
func (c *Client) Attach(ctx context.Context, artifact Artifact) (v1.Hash, error) {
	made := referrer{ArtifactType: artifact.Type, Manifest: v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: make([]v1.Descriptor, 1), Subject: &artifact.Subject, Annotations: artifact.Annotations,
	}}
	var err error
	if made.Config, err = c.add(ctx, EmptyMediaType, []byte("{}")); err != nil {
		return v1.Hash{}, err
	}
	if made.Layers[0], err = c.add(ctx, types.MediaType(artifact.Type), artifact.Data); err != nil {
		return v1.Hash{}, err
	}
	data, err := made.RawManifest()
	if err != nil {
		return v1.Hash{}, fmt.Errorf("encode manifest: %w", err)
	}
	digest, _, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return v1.Hash{}, err
	}
	what := asked{verb: "attach " + artifact.Type + " to", of: c.At(artifact.Subject.Digest)}
	err = c.do(ctx, what, func(ctx context.Context, client *http.Client) error {
		// Where there is no API, it keeps the tag schema's list as well.
		err := remote.Put(c.repo.Digest(digest.String()), made, remote.WithContext(ctx), remote.WithTransport(client.Transport),
			remote.WithRetryBackoff(remote.Backoff{Steps: 1}), remote.WithRetryPredicate(func(error) bool { return false }))
		if err != nil {
			return err
		}
		listed, err := c.referrers(ctx, client, artifact.Subject.Digest)
		if err != nil {
			return err
		}
		for _, descriptor := range listed {
			if descriptor.Digest == digest {
				return nil
			}
		}
		return errUnlisted
	})
	return digest, err
}

// add uploads bytes as a blob and describes it.
func (c *Client) add(ctx context.Context, mediaType types.MediaType, data []byte) (v1.Descriptor, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(data))
	if err != nil {
		return v1.Descriptor{}, err
	}
	d := v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}
	_, err = c.Add(ctx, d, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	return d, err
}
