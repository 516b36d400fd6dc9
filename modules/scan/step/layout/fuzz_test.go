package layout_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	subject "slipway/scan/step/layout"
	"slipway/step"
	"slipway/step/steptest"
)

// FuzzVerify: a layout verifies only for the digest that it is about, with each
// platform once.
func FuzzVerify(f *testing.F) {
	const image, index = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"
	const config = `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["sha256:0000000000000000000000000000000000000000000000000000000000000000"]}}`
	// An empty root or manifest stands for one that names the next.
	f.Add([]byte{}, []byte{}, []byte(config), []byte("layer"), index)
	f.Add([]byte{}, []byte{}, []byte(config), []byte("layer"), image)
	for _, text := range []string{"", "null", "[]", "{}", `{"os":"unknown","architecture":"unknown"}`, `{"os":"linux\n","architecture":"../x","rootfs":{"diff_ids":[null]}}`} {
		f.Add([]byte{}, []byte{}, []byte(text), []byte{}, index)
		f.Add([]byte{}, []byte(text), []byte(config), []byte{}, index)
		f.Add([]byte(text), []byte{}, []byte(config), []byte{}, index)
	}
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{},null,{"platform":{}}]}`), []byte{}, []byte(config), []byte{}, index)
	f.Add([]byte{}, []byte(`{"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":-1,"digest":"sha256:../../x"},"layers":[{}]}`), []byte(config), []byte{}, index)
	f.Fuzz(func(t *testing.T, root, manifest, config, layer []byte, rootType string) {
		dir := t.TempDir()
		blobs := filepath.Join(dir, "blobs", "sha256")
		if err := os.MkdirAll(blobs, 0o755); err != nil {
			t.Fatal(err)
		}
		add := func(content []byte) string {
			sum := sha256.Sum256(content)
			name := hex.EncodeToString(sum[:])
			if err := os.WriteFile(filepath.Join(blobs, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
			return "sha256:" + name
		}
		if len(manifest) == 0 {
			manifest = fmt.Appendf(nil, `{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":%d,"digest":%q},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":%d,"digest":%q}]}`,
				len(config), add(config), len(layer), add(layer))
		}
		if len(root) == 0 {
			root = manifest
			if rootType == index {
				root = fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":%q,"size":%d,"digest":%q}]}`, image, len(manifest), add(manifest))
			}
		}
		digest := add(root)
		top := fmt.Appendf(nil, `{"schemaVersion":2,"manifests":[{"mediaType":%q,"size":%d,"digest":%q}]}`, rootType, len(root), digest)
		if err := os.WriteFile(filepath.Join(dir, "index.json"), top, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := subject.Verify(dir, "sha256:1111111111111111111111111111111111111111111111111111111111111111"); err == nil {
			t.Fatal("it verifies for another digest")
		}
		l, err := subject.Verify(dir, digest)
		if err != nil {
			if fault := steptest.Refused(t, err); l != nil || fault.Kind != step.KindInput || fault.Stage != "scan" {
				t.Fatal(err)
			}
			return
		}
		if l.Digest != digest || len(l.Images) == 0 {
			t.Fatalf("%+v", l)
		}
		seen := map[string]bool{}
		for _, i := range l.Images {
			if seen[i.Platform] || i.Platform == "" || step.Digest("scan", "image", i.Digest) != nil {
				t.Fatalf("%+v", l.Images)
			}
			seen[i.Platform] = true
		}
	})
}
