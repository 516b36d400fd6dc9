package registry

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/registry/verify"
	"slipway/step"
	"slipway/step/steptest"
)

// serveBytes answers every read with these bytes.
func (s *server) serveBytes(mediaType, body string) {
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/" {
			return false
		}
		w.Header().Set("Content-Type", mediaType)
		_, _ = io.WriteString(w, body) // the client may be gone
		return true
	})
}

func TestOtherBytesAreRefused(t *testing.T) {
	s := serve(t)
	other := func(err error, of, reason string) {
		t.Helper()
		require.ErrorIs(t, err, ErrContent)
		f := steptest.Refused(t, err)
		assert.Equal(t, []any{step.KindPolicy, "localhost:5000/hello@" + of}, []any{f.Kind, f.Input})
		assert.Contains(t, f.Reason, reason)
	}
	blob := blobOf("blob")
	for body, reason := range map[string]string{
		"blub": "the registry serves other bytes: content " + blob.Digest.String() + " has digest sha256:", "blobs": "is longer than", "blo": "is shorter than", "": "is shorter than",
	} {
		s.serveBytes("application/octet-stream", body)
		data, err := s.client().Read(t.Context(), blob)
		other(err, blob.Digest.String(), reason)
		assert.Empty(t, data)
		// Also where nobody reads it to its end.
		other(s.client().Get(t.Context(), blob, func(io.Reader) error { return nil }), blob.Digest.String(), reason)
		assert.Equal(t, 2, s.count("GET", "/blobs/"), "a wrong byte is no reason to try again")
	}
	index := manifestOf(emptyIndex)
	for body, tc := range map[string]struct{ mediaType, reason string }{
		strings.Replace(emptyIndex, "2", "3", 1): {string(manifestType), "the registry serves other bytes: content " + index.Digest.String() + " has digest sha256:"},
		emptyIndex + "\n":                        {string(manifestType), "the registry serves other bytes"},
		emptyIndex:                               {"application/octet-stream", `is served as "application/octet-stream" and says that it is "application/vnd.oci.image.index.v1+json"`},
	} {
		s.serveBytes(tc.mediaType, body)
		_, _, err := s.client().Manifest(t.Context(), index.Digest)
		other(err, index.Digest.String(), tc.reason)
	}
	s.serveBytes("text/html", emptyIndex)
	_, _, err := s.client().Tagged(t.Context(), "2")
	require.ErrorIs(t, err, ErrContent)
}

func TestAManifestIsDescribed(t *testing.T) {
	s := serve(t)
	for served, want := range map[string]string{
		"application/vnd.oci.image.index.v1+json": string(manifestType), "application/vnd.oci.image.index.v1+json; charset=utf-8": string(manifestType),
	} {
		s.serveBytes(served, emptyIndex)
		d, data, err := s.client().Manifest(t.Context(), manifestOf(emptyIndex).Digest)
		require.NoError(t, err)
		assert.Equal(t, manifestOf(emptyIndex), d)
		assert.Equal(t, want, string(d.MediaType))
		assert.Equal(t, emptyIndex, string(data))
	}
	const untyped = `{"schemaVersion":2}`
	s.serveBytes("application/vnd.oci.image.manifest.v1+json", untyped)
	d, _, err := s.client().Tagged(t.Context(), "2")
	require.NoError(t, err)
	assert.Equal(t, manifestOf(untyped).Digest, d.Digest)
	assert.Equal(t, "application/vnd.oci.image.manifest.v1+json", string(d.MediaType))
}

func TestTooMuchIsRefused(t *testing.T) {
	s := serve(t)
	large := strings.Repeat("x", verify.MaxManifest+1)
	s.serveBytes(string(manifestType), large)
	_, _, err := s.client().Manifest(t.Context(), manifestOf(large).Digest)
	require.ErrorIs(t, err, ErrTooLarge)
	assert.Equal(t, step.KindPolicy, steptest.Refused(t, err).Kind)
	assert.Equal(t, 1, s.count("GET", "/manifests/"))

	s.on(nil)
	d := blobOf("blob")
	d.Size = MaxRead + 1
	_, err = s.client().Read(t.Context(), d)
	require.ErrorIs(t, err, ErrTooLarge)
	assert.Contains(t, steptest.Refused(t, err).Input, d.Digest.String())
	assert.Zero(t, s.count(""), "it is not asked for")
}

func TestTagsAreCheckedBeforeAnythingIsSent(t *testing.T) {
	s := serve(t)
	_, _, err := s.client().Tagged(t.Context(), "../x")
	input(t, err, "is not a valid tag")
	input(t, s.client().Tag(t.Context(), "a b", manifestType, []byte(emptyIndex)), "is not a valid tag")
	assert.Zero(t, s.count(""))
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	s := serve(t)
	c := s.client()
	index := manifestOf(emptyIndex)
	for _, want := range []bool{true, false} {
		uploaded, err := c.Add(t.Context(), blobOf("blob"), opened("blob"))
		require.NoError(t, err)
		put, err := c.Put(t.Context(), index, []byte(emptyIndex))
		require.NoError(t, err)
		assert.Equal(t, []bool{want, want}, []bool{uploaded, put})
	}
	var got bytes.Buffer
	require.NoError(t, c.Get(t.Context(), index, func(body io.Reader) error {
		_, err := io.Copy(&got, body)
		return err
	}))
	assert.Equal(t, emptyIndex, got.String())
	assert.Equal(t, 1, s.count("PUT", "/manifests/"))
	assert.Equal(t, 1, s.count("POST"))
}
