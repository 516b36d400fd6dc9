package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/build/step/oci"
	"slipway/registry"
	"slipway/step/reach"
	"slipway/step/steptest"
)

func sha(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
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
		ref := reference(t, sha(root))
		const most = 1 << 20
		dir := filepath.Join(t.TempDir(), "layout")
		got, err := Pull(t.Context(), dir, ref, most, registry.Access{Stage: "pull", Connections: reach.Connections{logical: server.Listener.Addr().String()}, Pause: time.Nanosecond})
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
		if len(l.Roots) != 1 || l.Roots[0].Digest != ref.Digest || got.Digest != sha(root) || got.Bytes > most || got.Blobs+got.Manifests != len(l.Content) {
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
