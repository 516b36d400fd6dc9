package transfer

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/build/step/oci"
	"slipway/step"
)

func TestPullMakesTheLayoutThatWasPublished(t *testing.T) {
	s := serve(t)
	dir, built := assembled(t)
	_, err := Publish(t.Context(), dir, built.Digest, repository(t), s.access("publish"))
	require.NoError(t, err)
	s.on(nil)

	pulled := filepath.Join(t.TempDir(), "layout")
	got, err := Pull(t.Context(), pulled, reference(t, built.Digest), MaxImage, s.access("pull"))
	require.NoError(t, err)
	want, err := oci.Open("test", dir)
	require.NoError(t, err)
	have, err := oci.Open("test", pulled)
	require.NoError(t, err, "a layout, every blob as its digest says")
	assert.Equal(t, want.Roots, have.Roots)
	assert.Equal(t, want.Content, have.Content)
	var size int64
	for _, d := range want.Content {
		size += d.Size
		assert.Equal(t, 1, s.count("GET", d.Digest.String()), "%s is asked for once", d.Digest)
	}
	assert.Equal(t, Verified{Reference: "localhost:5000/hello@" + built.Digest, Digest: built.Digest, Manifests: 3, Blobs: 5, Bytes: size}, got)
	blobs, err := os.ReadDir(filepath.Join(pulled, "blobs", "sha256"))
	require.NoError(t, err)
	assert.Len(t, blobs, len(want.Content), "nothing else lies beside the image")

	// To the byte.
	_, err = Pull(t.Context(), filepath.Join(t.TempDir(), "layout"), reference(t, built.Digest), size, s.access("pull"))
	require.NoError(t, err)
}

func TestPullRefusesEachDamagedPartAndLeavesNoLayout(t *testing.T) {
	s := serve(t)
	dir, built := assembled(t)
	_, err := Publish(t.Context(), dir, built.Digest, repository(t), s.access("publish"))
	require.NoError(t, err)
	l, err := oci.Open("test", dir)
	require.NoError(t, err)
	for _, d := range l.Content {
		data, err := os.ReadFile(blob(dir, d))
		require.NoError(t, err)
		flipped := bytes.Clone(data)
		flipped[len(flipped)/2] ^= 1
		missing := step.KindPolicy
		if d.Digest.String() == built.Digest {
			missing = step.KindInput // what was asked for, not a part of it
		}
		for what, tc := range map[string]struct {
			status int
			body   []byte
			kind   step.Kind
			reason string
		}{
			"flipped": {http.StatusOK, flipped, step.KindPolicy, "the registry serves other bytes: content " + d.Digest.String() + " has digest"},
			"longer":  {http.StatusOK, append(bytes.Clone(data), 'x'), step.KindPolicy, "the registry serves other bytes: content " + d.Digest.String()},
			"gone":    {http.StatusNotFound, nil, missing, "is not in the registry"},
		} {
			s.on(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, d.Digest.String()) {
					return false
				}
				w.Header().Set("Content-Type", string(d.MediaType))
				w.WriteHeader(tc.status)
				_, err := w.Write(tc.body)
				return err == nil
			})
			pulled := filepath.Join(t.TempDir(), "layout")
			_, err := Pull(t.Context(), pulled, reference(t, built.Digest), MaxImage, s.access("pull"))
			f := fault(t, err, tc.kind, "pull")
			assert.Equal(t, "localhost:5000/hello@"+d.Digest.String(), f.Input, what)
			assert.Contains(t, f.Reason, tc.reason, what)
			assert.NoFileExists(t, filepath.Join(pulled, "index.json"), what)
			assert.NoFileExists(t, filepath.Join(pulled, "blobs", "sha256", d.Digest.Hex), what)
		}
	}
}

func TestPullRefusesMoreThanTheBoundBeforeItAsks(t *testing.T) {
	s := serve(t)
	dir, built := assembled(t)
	_, err := Publish(t.Context(), dir, built.Digest, repository(t), s.access("publish"))
	require.NoError(t, err)
	l, err := oci.Open("test", dir)
	require.NoError(t, err)
	var size int64
	for _, d := range l.Content {
		size += d.Size
	}
	s.on(nil)
	pulled := filepath.Join(t.TempDir(), "layout")
	_, err = Pull(t.Context(), pulled, reference(t, built.Digest), size-1, s.access("pull"))
	f := fault(t, err, step.KindPolicy, "pull")
	assert.Equal(t, "localhost:5000/hello@"+built.Digest, f.Input)
	assert.Contains(t, f.Reason, "is larger than")
	last := f.Reason[strings.LastIndex(f.Reason, "sha256:"):]
	assert.Zero(t, s.count("GET", last), "the part that is too much is not asked for")
	assert.NoFileExists(t, filepath.Join(pulled, "index.json"))
}

func TestPullOutlivesACutConnection(t *testing.T) {
	s := serve(t)
	dir, built := assembled(t)
	_, err := Publish(t.Context(), dir, built.Digest, repository(t), s.access("publish"))
	require.NoError(t, err)
	cut := map[string]bool{}
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !strings.Contains(r.URL.Path, "sha256:") || cut[r.URL.Path] {
			return false
		}
		cut[r.URL.Path] = true
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write([]byte("part")) // the client may be gone
		return true
	})
	pulled := filepath.Join(t.TempDir(), "layout")
	_, err = Pull(t.Context(), pulled, reference(t, built.Digest), MaxImage, s.access("pull"))
	require.NoError(t, err)
	assert.Len(t, cut, 8)
	l, err := oci.Open("test", pulled)
	require.NoError(t, err)
	blobs, err := os.ReadDir(filepath.Join(pulled, "blobs", "sha256"))
	require.NoError(t, err)
	assert.Len(t, blobs, len(l.Content), "no part of a first try is left")
}
