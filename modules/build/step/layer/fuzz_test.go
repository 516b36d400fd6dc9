package layer

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"
)

// FuzzRewrite: a layer is refused, or becomes one that says the same: in order,
// at the epoch, below its root, and rewritten again the same bytes.
func FuzzRewrite(f *testing.F) {
	pack := func(entries ...entry) []byte {
		var out bytes.Buffer
		tw := tar.NewWriter(&out)
		for _, e := range entries {
			h := e.Header
			h.Size = int64(len(e.content))
			if err := tw.WriteHeader(&h); err != nil {
				f.Fatal(err)
			}
			if _, err := tw.Write([]byte(e.content)); err != nil {
				f.Fatal(err)
			}
		}
		if err := tw.Close(); err != nil {
			f.Fatal(err)
		}
		return out.Bytes()
	}
	hostile := func(format tar.Format, change func(*tar.Header)) entry {
		e := file("etc/passwd", "root:x:0:0::/:/bin/sh\n")
		e.Format = format
		change(&e.Header)
		return e
	}
	usual := pack(other(tar.TypeDir, "etc/", ""), file("etc/passwd", "x"), other(tar.TypeSymlink, "bin", "usr/bin"), file(".wh.tmp", ""), other(tar.TypeLink, "etc/shadow", "etc/passwd"))
	f.Add(usual)
	for _, entries := range [][]entry{
		{file("../x", "y")}, {other(tar.TypeLink, "a", "../../x")}, {other(tar.TypeLink, "a", "a")}, {file("a", "1"), file("a", "2")},
		{other(tar.TypeDir, "d", ""), file("d/x", "y"), other(tar.TypeLink, "a", "d")}, {file("a", "1"), other(tar.TypeLink, "b", "a"), file("a", "2")},
		{other(tar.TypeChar, "null", ""), other(tar.TypeFifo, "p", ""), other(tar.TypeBlock, "b", "")}, {other(tar.TypeDir, "/", ""), file(".", ""), file("a//b/./c", "")},
		{hostile(tar.FormatPAX, func(h *tar.Header) {
			h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "\x01\x00", "comment": "x"}
		})},
		{hostile(tar.FormatGNU, func(h *tar.Header) { h.Uid, h.Devmajor = -1, 1 })}, {hostile(tar.FormatGNU, func(h *tar.Header) { h.Name = "\xff\xfe" })},
		{hostile(tar.FormatPAX, func(h *tar.Header) { h.Name = strings.Repeat("long/", 60) + "x" })},
	} {
		f.Add(pack(entries...))
	}
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	if _, err := zw.Write(usual); err != nil || zw.Close() != nil {
		f.Fatal(err)
	}
	f.Add(zipped.Bytes())
	f.Add(zipped.Bytes()[:zipped.Len()-9])
	f.Add(append(bytes.Clone(zipped.Bytes()), zipped.Bytes()...))
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encoder.EncodeAll(usual, nil))
	f.Add([]byte("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00")) // asks for a window of 2 GiB
	f.Add([]byte("\x28\xb5\x2f\xfd\x00\xff\xff\xff\xff"))
	f.Add([]byte("\x1f\x8b"))
	f.Add(append([]byte("old"), make([]byte, 1021)...))
	f.Add(make([]byte, 1024))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, source []byte) {
		scratch := t.TempDir()
		var out, again bytes.Buffer
		r, err := Rewrite(&out, bytes.NewReader(source), scratch)
		if left, _ := os.ReadDir(scratch); len(left) > 0 {
			t.Fatalf("left behind: %v", left)
		}
		if err != nil {
			if !errors.Is(err, ErrBadLayer) {
				t.Fatalf("what is wrong with the layer is not said to be: %v", err)
			}
			return
		}
		second, err := Rewrite(&again, bytes.NewReader(out.Bytes()), scratch)
		if err != nil || second.DiffID != r.DiffID || second.SourceDiffID != r.DiffID || !bytes.Equal(out.Bytes(), again.Bytes()) {
			t.Fatalf("rewritten again it is another layer: %v", err)
		}
		zr, err := gzip.NewReader(&out)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(zr)
		if err != nil {
			t.Fatal(err)
		}
		if sum, _, err := v1.SHA256(bytes.NewReader(plain)); err != nil || sum != r.DiffID {
			t.Fatalf("DiffID %s of %s: %v", r.DiffID, sum, err)
		}
		holds(t, source, plain)
	})
}

// holds fails unless the new archive is clean and has what the old one had, as
// far as no hard link is involved.
func holds(t *testing.T, source, plain []byte) {
	t.Helper()
	want, links := last(t, bytes.NewReader(source))
	got, _ := last(t, bytes.NewReader(plain))
	seen, before := map[string]bool{}, ""
	tr := tar.NewReader(bytes.NewReader(plain))
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(h.Name, "/")
		if seen[name] || name != clean(name) || !h.ModTime.Equal(Epoch) || h.Uname+h.Gname != "" || h.Mode&^0o7777 != 0 {
			t.Fatalf("entry %+v", h)
		}
		seen[name] = true
		if h.Typeflag != tar.TypeLink {
			if key := sortKey(name); before != "" && key < before {
				t.Fatalf("%q is out of order", name)
			} else {
				before = key
			}
		}
	}
	if want == nil || links {
		return // compressed, or its links may be regrouped
	}
	if len(want) != len(got) {
		t.Fatalf("%d entries became %d", len(want), len(got))
	}
	for name, text := range want {
		if got[name] != text {
			t.Fatalf("%q: %q became %q", name, text, got[name])
		}
	}
}

// last is what the last entry of each name says; nil where the archive is none.
func last(t *testing.T, r io.Reader) (found map[string]string, links bool) {
	t.Helper()
	found = map[string]string{}
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return found, links
		}
		if err != nil {
			return nil, links
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		links = links || h.Typeflag == tar.TypeLink
		text := string(h.Typeflag) + h.Linkname
		if h.Typeflag == tar.TypeReg {
			data, err := io.ReadAll(tr)
			if err != nil {
				return nil, links
			}
			text += "\n" + string(data)
		}
		found[strings.TrimPrefix(path.Clean("/"+h.Name), "/")] = text
	}
}
