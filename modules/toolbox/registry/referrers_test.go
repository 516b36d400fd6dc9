package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/steptest"
)

// subject is an index in a registry, with the referrers API or without.
func subject(t *testing.T, api bool) (*server, v1.Descriptor) {
	t.Helper()
	s := serve(t, fake.WithReferrersSupport(api))
	_, err := s.client().Put(t.Context(), manifestOf(emptyIndex), []byte(emptyIndex))
	require.NoError(t, err)
	return s, manifestOf(emptyIndex)
}

func TestAttachedArtifactsAreListed(t *testing.T) {
	for _, api := range []bool{true, false} {
		s, d := subject(t, api)
		c := s.client()
		list, err := c.Referrers(t.Context(), d.Digest)
		require.NoError(t, err)
		assert.Empty(t, list)

		want := map[v1.Hash]string{}
		for _, data := range []string{"one", "two", "one"} {
			digest, err := c.Attach(t.Context(), Artifact{Subject: d, Type: "application/vnd.example", Data: []byte(data), Annotations: map[string]string{"a": data}})
			require.NoError(t, err)
			want[digest] = data
		}
		list, err = c.Referrers(t.Context(), d.Digest)
		require.NoError(t, err)
		require.Len(t, list, 2, "the same again is there already")
		for _, r := range list {
			assert.Contains(t, want, r.Digest)
			assert.Contains(t, []string{"application/vnd.example", EmptyMediaType}, r.ArtifactType, "not every registry tells it")
			_, data, err := c.Manifest(t.Context(), r.Digest)
			require.NoError(t, err)
			var m referrer
			require.NoError(t, json.Unmarshal(data, &m))
			assert.Equal(t, "application/vnd.example", m.ArtifactType)
			assert.EqualValues(t, EmptyMediaType, m.Config.MediaType)
			assert.Equal(t, d.Digest, m.Subject.Digest)
			assert.Equal(t, map[string]string{"a": want[r.Digest]}, m.Annotations)
			layer, err := c.Read(t.Context(), m.Layers[0])
			require.NoError(t, err)
			assert.Equal(t, want[r.Digest], string(layer))
		}
	}
}

// A lost race for the tag schema's list: the first write of it is overwritten.
func TestAReferrerThatALostRaceUnlistedIsListedAgain(t *testing.T) {
	for lost, want := range map[int32]string{1: "", 1 << 20: "pushed referrer is not listed"} {
		s, d := subject(t, false)
		var asked atomic.Int32
		s.on(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/sha256-") || asked.Add(1) > lost {
				return false
			}
			w.WriteHeader(http.StatusCreated)
			return true
		})
		_, err := s.client().Attach(t.Context(), Artifact{Subject: d, Type: "application/vnd.example", Data: []byte("x")})
		if want == "" {
			require.NoError(t, err)
			assert.EqualValues(t, 2, asked.Load())
			continue
		}
		f := steptest.Refused(t, err)
		assert.Equal(t, step.KindInfrastructure, f.Kind)
		assert.Contains(t, f.Reason, "attach application/vnd.example to localhost:5000/hello@"+d.Digest.String())
		assert.Contains(t, f.Reason, want)
		assert.EqualValues(t, Tries, asked.Load())
	}
}

func TestReferrersAreReadPageByPage(t *testing.T) {
	s, d := subject(t, true)
	page := func(w http.ResponseWriter, next string, manifests ...v1.Descriptor) bool {
		if next != "" {
			w.Header().Set("Link", next)
		}
		w.Header().Set("Content-Type", string(types.OCIImageIndex))
		assert.NoError(t, json.NewEncoder(w).Encode(v1.IndexManifest{SchemaVersion: 2, Manifests: manifests}))
		return true
	}
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		switch r.URL.Query().Get("page") {
		case "":
			return strings.Contains(r.URL.Path, "/referrers/") && page(w, `<`+r.URL.Path+`?page=2>; rel="next"`, blobOf("1"))
		case "2":
			return page(w, `<?page=3>; rel=next`, blobOf("2"))
		default:
			return page(w, `<?page=4>; rel=next`) // one that brings nothing is the last
		}
	})
	list, err := s.client().Referrers(t.Context(), d.Digest)
	require.NoError(t, err)
	assert.Equal(t, []v1.Descriptor{blobOf("1"), blobOf("2")}, list)
	assert.Equal(t, 3, s.count("/referrers/"))

	for what, link := range map[string]string{
		"elsewhere": `<http://elsewhere.test/x>; rel="next"`, "as somebody": `<//u:p@localhost:5000/x>; rel="next"`, "encrypted otherwise": `<https://localhost:5000/x>; rel=next`,
	} {
		s.on(func(w http.ResponseWriter, r *http.Request) bool {
			return strings.Contains(r.URL.Path, "/referrers/") && page(w, link, blobOf("1"))
		})
		_, err := s.client().Referrers(t.Context(), d.Digest)
		assert.Contains(t, steptest.Refused(t, err).Reason, "next page of referrers is not on localhost:5000", what)
	}

	// One page that goes on for ever ends where it brings nothing new.
	asked := 0
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		asked++
		return strings.Contains(r.URL.Path, "/referrers/") && page(w, `<?again>; rel=next`, blobOf("1"), blobOf("1"))
	})
	list, err = s.client().Referrers(t.Context(), d.Digest)
	require.NoError(t, err)
	assert.Equal(t, []v1.Descriptor{blobOf("1")}, list)
	assert.LessOrEqual(t, asked, 3, "sign in, and two pages")

	// One that brings something new for ever.
	brought := 0
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			return false
		}
		all := make([]v1.Descriptor, 10_000)
		for n := range all {
			brought++
			all[n] = v1.Descriptor{Digest: v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%064x", brought)}}
		}
		return page(w, `<?again>; rel=next`, all...)
	})
	_, err = s.client().Referrers(t.Context(), d.Digest)
	require.ErrorIs(t, err, ErrTooLarge)
	f := steptest.Refused(t, err)
	assert.Equal(t, step.KindPolicy, f.Kind)
	assert.Contains(t, f.Reason, "more than 100000 referrers")
	assert.Equal(t, MaxReferrers+10_000, brought, "and no further")
}

// What is no list of the API is no list: then the tag schema's counts.
func TestARegistryWithoutTheAPI(t *testing.T) {
	s, d := subject(t, false)
	_, err := s.client().Attach(t.Context(), Artifact{Subject: d, Type: "application/vnd.example", Data: []byte("x")})
	require.NoError(t, err)
	for what, answer := range map[string]func(http.ResponseWriter){
		"404":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
		"400":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest) },
		"405":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusMethodNotAllowed) },
		"406":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotAcceptable) },
		"a web page": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") },
	} {
		s.on(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/referrers/") {
				return false
			}
			answer(w)
			return true
		})
		list, err := s.client().Referrers(t.Context(), d.Digest)
		require.NoError(t, err, what)
		assert.Len(t, list, 1, what)
	}
	// A list that can't be read is no empty one.
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/referrers/") {
			w.Header().Set("Content-Type", string(types.OCIImageIndex))
			_, _ = io.WriteString(w, "<html>") // the client may be gone
			return true
		}
		return false
	})
	_, err = s.client().Referrers(t.Context(), d.Digest)
	assert.Contains(t, steptest.Refused(t, err).Reason, "list of referrers is not JSON")
}
