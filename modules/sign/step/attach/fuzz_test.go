package attach_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/registry"
	"slipway/sign/step/attach"
	"slipway/sign/step/bundle"
	"slipway/sign/step/key"
	"slipway/step/reach"
	"slipway/step/steptest"
)

func sha(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// answers is a registry that says what a fuzz test wants it to say.
type answers struct {
	image, list, manifest, blob []byte
	listType, link              string
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, name := "", ""
	if parts := strings.Split(r.URL.Path, "/"); len(parts) > 2 {
		kind, name = parts[len(parts)-2], parts[len(parts)-1]
	}
	body := a.manifest
	switch {
	case r.URL.Path == "/v2/":
		return
	case kind == "referrers":
		if a.link != "" {
			w.Header().Set("Link", a.link)
		}
		w.Header().Set("Content-Type", a.listType)
		body = a.list
	case kind == "blobs":
		body = a.blob
	case kind == "manifests" && name == sha(a.image):
		w.Header().Set("Content-Type", string(types.OCIImageIndex))
		body = a.image
	}
	_, _ = w.Write(body) // the client may be gone
}

// FuzzVerify: whatever a registry answers, an image verifies only by the bundle
// that the key has signed for it, and every refusal says what to do.
func FuzzVerify(f *testing.F) {
	read := func(name string) []byte {
		data, err := os.ReadFile("../bundle/testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		return data
	}
	image, good := read("signed.index.json"), read("signed.sigstore.json")
	public, err := key.ParsePublic(read("signed.pub"))
	if err != nil {
		f.Fatal(err)
	}
	ref, err := registry.ParseReference("verify", "reference", "localhost:5000/apps/hello@"+sha(image))
	if err != nil {
		f.Fatal(err)
	}
	signed, err := bundle.TrustKey(public).Verify(good, sha(image))
	if err != nil {
		f.Fatal(err)
	}
	var now atomic.Pointer[answers]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.Load().ServeHTTP(w, r) }))
	f.Cleanup(server.Close)

	manifest := func(blob []byte) []byte {
		return fmt.Appendf(nil, `{"schemaVersion":2,"layers":[{"mediaType":"%s","size":%d,"digest":"%s"}]}`, bundle.MediaType, len(blob), sha(blob))
	}
	list := func(manifest []byte) []byte {
		return fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":"%s","size":%d,"digest":"%s"}]}`, types.OCIManifestSchema1, len(manifest), sha(manifest))
	}
	index := string(types.OCIImageIndex)
	// An empty list or manifest stands for one that names the rest.
	f.Add([]byte{}, []byte{}, good, index, "")
	f.Add([]byte{}, []byte{}, bytes.Replace(good, []byte("sig"), []byte("gis"), 1), index, "")
	f.Add(list(manifest(good)), manifest(good), good, index+"; charset=utf-8", `</v2/apps/hello/referrers/x?n=1>; rel="next"`)
	f.Add(list(manifest(good)), manifest(good), good[1:], "text/html", `<http://elsewhere.test/>; rel=next`)
	f.Add([]byte(`{"manifests":[{},{"digest":""},null]}`), []byte("null"), []byte{}, index, "<::>;rel=next")
	f.Add([]byte(`{"manifests":[{"digest":"sha256:../../x"}]}`), []byte(`{"layers":[null]}`), []byte("{}"), index, "")
	f.Add([]byte(`{"manifests":{}}`), []byte(`{"layers":[{"mediaType":"application/vnd.dev.sigstore.bundle"}]}`), []byte{}, index, "")
	f.Fuzz(func(t *testing.T, listed, referrer, blob []byte, listType, link string) {
		if len(referrer) == 0 {
			referrer = manifest(blob)
		}
		if len(listed) == 0 {
			listed = list(referrer)
		}
		if strings.ContainsAny(listType+link, "\r\n\x00") {
			return // no HTTP header holds these
		}
		now.Store(&answers{image: image, list: listed, manifest: referrer, blob: blob, listType: listType, link: link})
		client := registry.New(registry.Access{
			Stage: "verify", Connections: reach.Connections{"localhost:5000": strings.TrimPrefix(server.URL, "http://")}, Pause: time.Nanosecond,
		}, ref.Repository, registry.Pull)
		done, err := attach.Verify(ctx, client, bundle.TrustKey(public), attach.Wanted{Stage: "verify", Reference: ref, PredicateType: signed.Statement.PredicateType})
		if err != nil {
			if fault := steptest.Refused(t, err); done != nil || fault.Stage != "verify" {
				t.Fatal(err)
			}
			return
		}
		if done.Verified < 1 || done.Verified != len(done.Predicates) || done.Digest != sha(image) {
			t.Fatalf("%+v", done)
		}
		for _, predicate := range done.Predicates {
			if !bytes.Equal(predicate, signed.Statement.Predicate) {
				t.Fatalf("nobody has signed %s", predicate)
			}
		}
	})
}
