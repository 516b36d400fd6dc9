package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/build/step/oci"
	"slipway/step"
	"slipway/step/steptest"
)

func sha(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// FuzzParseReference: what is taken for a repository or reference is one, written
// out, and is refused as an input otherwise.
func FuzzParseReference(f *testing.F) {
	const at = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, text := range []string{
		"localhost:5000/hello", "ghcr.io/acme/a__b.c-d", "hello", "docker.io/hello", "localhost/hello:v1", "localhost/../x", "localhost//x", "localhost/x/",
		"u@localhost/x", "localhost/X", "localhost:99999/x", "-x/y", "http://localhost/x", "", "@", "[::1]/x", "a.b/x\n", "LOCALHOST/x", "a.b/" + strings.Repeat("x", 300),
	} {
		f.Add(text)
		f.Add(text + at)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if repo, err := ParseRepository("publish", "--repository", text); err != nil {
			_ = steptest.Refused(t, err)
		} else if repo.Name() != text || strings.ContainsAny(text, "@ \r\n%?#\\") || strings.Contains(text, "/.") || text[0] == '-' {
			t.Fatalf("%q is accepted", text)
		}
		repo, digest, err := ParseReference("pull", "--reference", text)
		if err != nil {
			if fault := steptest.Refused(t, err); fault.Kind != step.KindInput || len(fault.Input) > 2500 {
				t.Fatal(err)
			}
			return
		}
		if repo.Name()+"@"+digest.String() != text || step.Digest("pull", "digest", digest.String()) != nil {
			t.Fatalf("%q is accepted", text)
		}
	})
}

// FuzzUploadURL: where an upload goes on is where the registry says, for the
// digest that is uploaded.
func FuzzUploadURL(f *testing.F) {
	for _, location := range []string{
		"/v2/x/blobs/uploads/1?_state=a%20b", "http://localhost:5000/x", "//elsewhere.test/x?digest=sha256:00", "?a=1;b=2", "%zz", "", "?digest=x&digest=y", "\x7f",
	} {
		f.Add(location)
	}
	digest := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("ab", 32)}
	asked := &http.Request{URL: &url.URL{Scheme: "https", Host: "localhost:5000", Path: "/v2/x/blobs/uploads/"}}
	f.Fuzz(func(t *testing.T, location string) {
		got, err := uploadURL(&http.Response{Header: http.Header{"Location": {location}}, Request: asked}, digest)
		if err != nil {
			return
		}
		u, err := url.Parse(got)
		if err != nil {
			return // nothing is sent to such a host
		}
		if len(u.Query()["digest"]) != 1 || u.Query().Get("digest") != digest.String() {
			t.Fatalf("%q leads to %q", location, got)
		}
	})
}

// FuzzPull: whatever a registry answers, what is pulled is a layout of the digest
// that was asked for, within its bound, or none.
func FuzzPull(f *testing.F) {
	var now atomic.Pointer[map[string]answer]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		found, ok := (*now.Load())[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", found.mediaType)
		_, _ = w.Write(found.body) // the client may be gone
	}))
	f.Cleanup(server.Close)
	const index, image = string(types.OCIImageIndex), string(types.OCIManifestSchema1)
	// An empty root or manifest stands for one that names the next.
	f.Add([]byte{}, []byte{}, []byte("layer"), index, "")
	f.Add([]byte{}, []byte{}, []byte("layer"), index+"; charset=utf-8", "other")
	f.Add([]byte(`{"schemaVersion":2,"manifests":[]}`), []byte{}, []byte{}, index, "")
	f.Add([]byte(`{"schemaVersion":2,"manifests":[]}`), []byte{}, []byte{}, image, "")
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"a/b","size":9223372036854775807,"digest":"sha256:`+strings.Repeat("0", 64)+`"}]}`), []byte{}, []byte{}, index, "")
	f.Add([]byte{}, []byte(`{"schemaVersion":2,"config":{},"layers":[{}]}`), []byte{}, index, "")
	f.Add([]byte("null"), []byte{}, []byte{}, "text/html", "")
	f.Fuzz(func(t *testing.T, root, manifest, layer []byte, rootType, served string) {
		if strings.ContainsAny(rootType, "\r\n\x00") {
			return // no HTTP header holds these
		}
		config := []byte("{}")
		if len(manifest) == 0 {
			manifest = fmt.Appendf(nil, `{"schemaVersion":2,"config":{"mediaType":%q,"size":2,"digest":%q},"layers":[{"mediaType":%q,"size":%d,"digest":%q}]}`,
				types.OCIConfigJSON, sha(config), types.OCILayer, len(layer), sha(layer))
		}
		if len(root) == 0 {
			root = fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":%q,"size":%d,"digest":%q}]}`, image, len(manifest), sha(manifest))
		}
		all := map[string]answer{sha(config): {"", config}, sha(layer): {"", layer}, sha(manifest): {image, manifest}, sha(root): {rootType, root}}
		if served != "" {
			all[sha(layer)] = answer{"", []byte(served)}
		}
		now.Store(&all)
		repo, err := ParseRepository("pull", "--repository", logical+"/hello")
		if err != nil {
			t.Fatal(err)
		}
		digest, err := v1.NewHash(sha(root))
		if err != nil {
			t.Fatal(err)
		}
		const most = 1 << 20
		dir := filepath.Join(t.TempDir(), "layout")
		got, err := Pull(t.Context(), dir, repo, digest, most, Options{Stage: "pull", Connections: Connections{logical: server.Listener.Addr().String()}, Wait: time.Nanosecond})
		if err != nil {
			if fault := steptest.Refused(t, err); fault.Stage != "pull" || got != (Verified{}) {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(dir, "index.json")); err == nil {
				t.Fatal("a layout is left behind")
			}
			return
		}
		l, err := oci.Open("test", dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Roots) != 1 || l.Roots[0].Digest != digest || got.Digest != digest.String() || got.Bytes > most || got.Blobs+got.Manifests != len(l.Content) {
			t.Fatalf("%+v", got)
		}
		if data := l.Manifest(l.Roots[0]); !bytes.Equal(data, root) {
			t.Fatalf("%s became %s", root, data)
		}
	})
}

type answer struct {
	mediaType string
	body      []byte
}
