package folder_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/build/step/folder"
	"slipway/build/step/oci"
	"slipway/step"
	"slipway/step/result/build"
	"slipway/step/steptest"
)

// FuzzUnpack: whatever archive a layer holds, nothing is written outside of the
// folder, and what can't be taken is refused.
func FuzzUnpack(f *testing.F) {
	for _, headers := range [][]tar.Header{
		{{Typeflag: tar.TypeDir, Name: "scan/", Mode: 0o755}, {Typeflag: tar.TypeReg, Name: "scan/trivy", Mode: 0o4755}, {Typeflag: tar.TypeSymlink, Name: "scan/t", Linkname: "trivy"}},
		{{Typeflag: tar.TypeReg, Name: "../beside"}}, {{Typeflag: tar.TypeReg, Name: "/beside"}}, {{Typeflag: tar.TypeReg, Name: "a/../../beside"}},
		{{Typeflag: tar.TypeSymlink, Name: "a", Linkname: ".."}, {Typeflag: tar.TypeReg, Name: "a/beside"}},
		{{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "../beside"}, {Typeflag: tar.TypeReg, Name: "a"}},
		{{Typeflag: tar.TypeSymlink, Name: "a", Linkname: ".."}, {Typeflag: tar.TypeDir, Name: "a", Mode: 0}, {Typeflag: tar.TypeDir, Name: "a/beside", Mode: 0o777}},
		{{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "b"}, {Typeflag: tar.TypeSymlink, Name: "b", Linkname: "a"}, {Typeflag: tar.TypeReg, Name: "a/x"}},
		{{Typeflag: tar.TypeLink, Name: "a", Linkname: "../layout/index.json"}}, {{Typeflag: tar.TypeDir, Name: ".", Mode: 0o777}}, {{Typeflag: tar.TypeReg, Name: "a"}, {Typeflag: tar.TypeReg, Name: "a/b"}},
		{{Typeflag: tar.TypeFifo, Name: "p"}}, {{Typeflag: tar.TypeReg, Name: "a"}, {Typeflag: tar.TypeDir, Name: "a"}},
	} {
		var out bytes.Buffer
		tw := tar.NewWriter(&out)
		for _, h := range headers {
			if h.Typeflag == tar.TypeReg {
				h.Size = 4
			}
			if err := tw.WriteHeader(&h); err != nil {
				f.Fatal(err)
			}
			if h.Typeflag == tar.TypeReg {
				if _, err := tw.Write([]byte("text")); err != nil {
					f.Fatal(err)
				}
			}
		}
		if err := tw.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(out.Bytes(), true)
	}
	f.Add([]byte("no gzip"), false)
	f.Add([]byte{}, true)
	f.Fuzz(func(t *testing.T, archive []byte, zip bool) {
		around := t.TempDir()
		image := layoutOf(t, filepath.Join(around, "layout"), archive, zip)
		before := snapshot(t, around)
		out := filepath.Join(around, "files")
		unpacked, err := folder.Unpack(image, out)
		if err != nil {
			if fault := steptest.Refused(t, err); fault.Kind != step.KindPolicy || unpacked != (build.Unpacked{}) {
				t.Fatal(err)
			}
		}
		after := snapshot(t, around)
		for name, was := range before {
			if after[name] != was {
				t.Fatalf("%s was changed", name)
			}
			delete(after, name)
		}
		files := 0
		for name, is := range after {
			if !filepath.IsLocal(name) || name != "files" && filepath.Dir(name) == "." {
				t.Fatalf("%s was written", name)
			}
			if is[0] != 'd' {
				files++
			}
		}
		if err == nil && files != unpacked.Files {
			t.Fatalf("%d files, and %d are said to be", files, unpacked.Files)
		}
	})
}

// layoutOf is a layout of one image whose one layer is the archive.
func layoutOf(t *testing.T, dir string, archive []byte, zip bool) string {
	t.Helper()
	w, err := oci.Create(dir)
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	check(err)
	blob, err := w.Add(types.OCILayer, func(out io.Writer) error {
		if !zip {
			_, err := out.Write(archive)
			return err
		}
		zw := gzip.NewWriter(out)
		if _, err := zw.Write(archive); err != nil {
			return err
		}
		return zw.Close()
	})
	check(err)
	config, err := w.AddJSON(types.OCIConfigJSON, v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	check(err)
	image, err := w.AddJSON(types.OCIManifestSchema1, v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: config, Layers: []v1.Descriptor{blob}})
	check(err)
	root, err := w.AddJSON(types.OCIImageIndex, v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{image}})
	check(err)
	check(w.Finish(root))
	return dir
}

// snapshot is the mode and content of everything below dir, links not followed.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == dir {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		found[name] = info.Mode().String()
		if d.Type().IsRegular() {
			data, err := os.ReadFile(file)
			found[name] += string(data)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
