package unpack

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// FuzzEntry: whatever a package's archive holds, nothing is written outside of
// the root.
func FuzzEntry(f *testing.F) {
	for _, headers := range [][]tar.Header{
		{{Typeflag: tar.TypeDir, Name: "./bin/"}, {Typeflag: tar.TypeReg, Name: "./bin/sh", Mode: 0o4755}, {Typeflag: tar.TypeLink, Name: "./usr/bin/dash", Linkname: "./bin/sh"}},
		{{Typeflag: tar.TypeReg, Name: "../beside"}}, {{Typeflag: tar.TypeSymlink, Name: "a", Linkname: ".."}, {Typeflag: tar.TypeReg, Name: "a/beside"}},
		{{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "../beside"}, {Typeflag: tar.TypeReg, Name: "a"}}, {{Typeflag: tar.TypeLink, Name: "a", Linkname: "../../beside"}, {Typeflag: tar.TypeReg, Name: "a"}},
		{{Typeflag: tar.TypeSymlink, Name: "usr", Linkname: ".."}, {Typeflag: tar.TypeReg, Name: "usr/beside"}}, {{Typeflag: tar.TypeSymlink, Name: "lib", Linkname: "/"}, {Typeflag: tar.TypeReg, Name: "lib/beside"}},
		{{Typeflag: tar.TypeReg, Name: "usr/share/doc/x"}, {Typeflag: tar.TypeChar, Name: "dev/null"}, {Typeflag: tar.TypeDir, Name: "/"}},
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
		f.Add(out.Bytes())
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		around := t.TempDir()
		dir := filepath.Join(around, "root")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(around, "beside"), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = root.Close() }()
		if err := Prepare(root); err != nil {
			t.Fatal(err)
		}
		tr := tar.NewReader(bytes.NewReader(archive))
		for {
			h, err := tr.Next()
			if errors.Is(err, io.EOF) || err != nil || entry(root, h, tr) != nil {
				break
			}
		}
		data, err := os.ReadFile(filepath.Join(around, "beside"))
		if err != nil || string(data) != "mine" {
			t.Fatalf("beside the root: %q, %v", data, err)
		}
		there, err := os.ReadDir(around)
		if err != nil || len(there) != 2 {
			t.Fatalf("around the root: %v, %v", there, err)
		}
		err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !d.Type().IsRegular() && d.Type() != fs.ModeSymlink {
				t.Fatalf("%s is %s", file, d.Type())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
