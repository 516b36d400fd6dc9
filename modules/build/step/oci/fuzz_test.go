package oci

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/registry/verify"
	"slipway/step"
	"slipway/step/steptest"
)

var seeds = []string{
	`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":2,"digest":"` + digest + `"}]}`,
	`{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"` + digest + `"},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":9,"digest":"` + digest + `"}]}`,
	`{"schemaVersion":2,"manifests":[],"layers":[]}`, `{"schemaVersion":2,"manifests":[],"LAYERS":[],"Config":{}}`, `{"schemaVersion":2,"manifests":null}`,
	`{"schemaVersion":2,"manifests":[null]}`, `{"schemaVersion":2,"manifests":[{}]}`, `{"schemaVersion":2,"config":null,"layers":null}`,
	`{"schemaVersion":2,"manifests":[{"mediaType":"a/b","size":9223372036854775807,"digest":"` + digest + `"}]}`,
	`{"schemaVersion":2,"manifests":[{"mediaType":"a/b","size":-1,"digest":"` + digest + `"}]}`,
	`{"schemaVersion":2,"manifests":[{"mediaType":"a/b","size":1,"digest":"sha256:../../../../etc/passwd"}]}`,
	`{"schemaVersion":2,"manifests":[],"manifests":[{"mediaType":"a/b","size":1,"digest":"` + strings.ToUpper(digest[7:]) + `"}]}`,
	`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`, `{"schemaVersion":2.0,"manifests":[]}{}`, `[]`, `null`, ``,
}

// FuzzChildren: what content names, it names by digest, with a size that can be,
// and it is an index or a manifest to every reader, not both.
func FuzzChildren(f *testing.F) {
	for _, content := range seeds {
		for _, mediaType := range []types.MediaType{types.OCIImageIndex, types.OCIManifestSchema1, types.DockerManifestList, types.DockerManifestSchema2, types.OCILayer, ""} {
			f.Add(string(mediaType), []byte(content))
		}
	}
	f.Fuzz(func(t *testing.T, mediaType string, content []byte) {
		d := descriptor(types.MediaType(mediaType), 1)
		children, err := Children(d, content)
		if err != nil || !verify.IsManifest(d) {
			if err == nil && children != nil {
				t.Fatalf("a blob names %v", children)
			}
			return
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(content, &members); err != nil {
			t.Fatal(err)
		}
		index, manifest := false, false
		for key, value := range members {
			given := string(value) != "null"
			index = index || given && strings.EqualFold(key, "manifests")
			manifest = manifest || given && (strings.EqualFold(key, "layers") || strings.EqualFold(key, "config"))
		}
		if index == manifest || index != d.MediaType.IsIndex() {
			t.Fatalf("accepted as %s: %s", mediaType, content)
		}
		for _, child := range children {
			if step.Digest("test", "child", child.Digest.String()) != nil || child.Size < 0 || manifest && verify.IsManifest(child) {
				t.Fatalf("%+v", child)
			}
		}
	})
}

// FuzzOpen: a layout opens only when everything that it reaches is in it, byte
// for byte.
func FuzzOpen(f *testing.F) {
	const marker = `{"imageLayoutVersion":"1.0.0"}`
	// An empty index, root or manifest stands for one that names the next.
	f.Add([]byte(marker), []byte{}, []byte{}, []byte{}, []byte("layer"))
	for _, content := range seeds {
		f.Add([]byte(marker), []byte(content), []byte{}, []byte{}, []byte("layer"))
		f.Add([]byte(marker), []byte{}, []byte(content), []byte{}, []byte("layer"))
		f.Add([]byte(marker), []byte{}, []byte{}, []byte(content), []byte("layer"))
	}
	f.Add([]byte(`{"imageLayoutVersion":"1.1.0"}`), []byte{}, []byte{}, []byte{}, []byte{})
	f.Add([]byte("[]"), []byte{}, []byte{}, []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, marker, index, root, manifest, layer []byte) {
		dir := t.TempDir()
		blobs := filepath.Join(dir, "blobs", "sha256")
		if err := os.MkdirAll(blobs, 0o755); err != nil {
			t.Fatal(err)
		}
		add := func(mediaType types.MediaType, content []byte) v1.Descriptor {
			w := &Writer{dir: dir}
			d, err := w.AddJSON(mediaType, json.RawMessage("0"))
			if content != nil {
				sum := newDigester(discard{})
				_, _ = sum.Write(content) // a hash takes everything
				d = v1.Descriptor{MediaType: mediaType, Digest: sum.digest(), Size: sum.size}
				err = os.WriteFile(filepath.Join(blobs, d.Digest.Hex), content, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		encode := func(content []byte, value any) []byte {
			if len(content) > 0 {
				return content
			}
			data, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
		manifest = encode(manifest, v1.Manifest{
			SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: add(types.OCIConfigJSON, nil), Layers: []v1.Descriptor{add(types.OCILayer, layer)},
		})
		root = encode(root, v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{add(types.OCIManifestSchema1, manifest)}})
		index = encode(index, v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{add(types.OCIImageIndex, root)}})
		for name, content := range map[string][]byte{layoutFile: marker, indexFile: index} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		l, err := Open("scan", dir)
		if err != nil {
			if fault := steptest.Refused(t, err); l != nil || fault.Kind == step.KindInfrastructure || fault.Stage != "scan" {
				t.Fatal(err)
			}
			return
		}
		if len(l.Roots) == 0 || len(l.Content) < len(l.Roots) {
			t.Fatalf("%+v", l)
		}
		for _, d := range l.Content {
			data, err := os.ReadFile(filepath.Join(blobs, d.Digest.Hex))
			if err != nil {
				t.Fatal(err)
			}
			if got, _, err := v1.SHA256(strings.NewReader(string(data))); err != nil || got != d.Digest || int64(len(data)) != d.Size {
				t.Fatalf("%s is %s: %v", d.Digest, got, err)
			}
			if verify.IsManifest(d) != (l.Manifest(d) != nil) {
				t.Fatalf("manifest of %s", d.Digest)
			}
		}
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
