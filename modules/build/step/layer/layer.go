// Package layer writes image layers whose bytes depend on their content alone:
// tar archives (OCI image specification 1.1, "Image Layer Filesystem
// Changeset") with sorted entries, every time at the Unix epoch, no user or
// group names, compressed by gzip with no time or name in its header.
//
// The compressed bytes are those of the Go release that compiled the program;
// every user of one toolchain gets the same digest.
package layer

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"sort"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Epoch is the one time that an image holds.
var Epoch = time.Unix(0, 0).UTC()

// Entry is one file system object of a layer.
type Entry struct {
	// Header is the entry's tar header; Write sets what has to be fixed.
	Header tar.Header
	// Content opens Header.Size bytes; nil when there are none.
	Content func() (io.ReadCloser, error)
}

// File is a regular file owned by root; name has no leading slash.
func File(name string, mode int64, content []byte) Entry {
	return Entry{
		Header: tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))},
		Content: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(content)), nil
		},
	}
}

// Folder is a folder owned by the user and group owner.
func Folder(name string, mode int64, owner int) Entry {
	return Entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode, Uid: owner, Gid: owner}}
}

// WithFolders adds each parent folder that entries name and don't hold, owned
// by root with mode 0755.
func WithFolders(entries []Entry) []Entry {
	have := map[string]bool{".": true}
	for _, e := range entries {
		have[clean(e.Header.Name)] = true
	}
	out := append([]Entry(nil), entries...)
	for _, e := range entries {
		for dir := path.Dir(clean(e.Header.Name)); !have[dir]; dir = path.Dir(dir) {
			have[dir] = true
			out = append(out, Folder(dir, 0o755, 0))
		}
	}
	return out
}

// Write writes entries as a compressed layer to w and returns the layer's
// DiffID, the digest of the uncompressed archive.
func Write(w io.Writer, entries []Entry) (v1.Hash, error) {
	return WriteLevel(w, entries, gzip.DefaultCompression)
}

// WriteLevel is Write with a level of compression, as compress/gzip names them.
func WriteLevel(w io.Writer, entries []Entry, level int) (v1.Hash, error) {
	sorted := append([]Entry(nil), entries...)
	sort.SliceStable(sorted, func(i, j int) bool { return before(sorted[i].Header, sorted[j].Header) })

	zw, err := gzip.NewWriterLevel(w, level)
	if err != nil {
		return v1.Hash{}, err
	}
	sum := sha256.New()
	tw := tar.NewWriter(io.MultiWriter(zw, sum))
	for _, e := range sorted {
		if err := writeEntry(tw, e); err != nil {
			return v1.Hash{}, fmt.Errorf("write layer entry %q: %w", e.Header.Name, err)
		}
	}
	if err := tw.Close(); err != nil {
		return v1.Hash{}, fmt.Errorf("write layer: %w", err)
	}
	if err := zw.Close(); err != nil {
		return v1.Hash{}, fmt.Errorf("compress layer: %w", err)
	}
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}, nil
}

func writeEntry(tw *tar.Writer, e Entry) error {
	h := fixed(e.Header)
	if err := tw.WriteHeader(&h); err != nil {
		return err
	}
	if e.Content == nil {
		return nil
	}
	r, err := e.Content()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(tw, r)
	return err
}

// fixed keeps of a header what a running container can observe (kind, name,
// link, size, permission bits, numeric owner, device, extended attributes) and
// gives everything else one value.
func fixed(h tar.Header) tar.Header {
	out := tar.Header{
		Typeflag: h.Typeflag,
		Name:     clean(h.Name),
		Linkname: h.Linkname,
		Size:     h.Size,
		Mode:     h.Mode & 0o7777,
		Uid:      h.Uid,
		Gid:      h.Gid,
		Devmajor: h.Devmajor,
		Devminor: h.Devminor,
		ModTime:  Epoch,
	}
	switch out.Typeflag {
	case tar.TypeDir:
		out.Name += "/"
	case tar.TypeLink:
		out.Linkname = clean(h.Linkname)
	}
	for key, value := range h.PAXRecords {
		if strings.HasPrefix(key, xattrPrefix) {
			if out.PAXRecords == nil {
				out.PAXRecords = map[string]string{}
			}
			out.PAXRecords[key] = value
		}
	}
	return out
}

// xattrPrefix marks extended attributes, among them file capabilities, in
// PAX records.
const xattrPrefix = "SCHILY.xattr."

// clean is name as a path relative to the layer's root, "." for the root.
func clean(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return "."
	}
	return name
}

// before orders a layer: hard links last, since they need their target, and
// else by path, a folder before its content and whiteouts first in theirs, as
// the specification asks for opaque ones.
func before(a, b tar.Header) bool {
	if la, lb := a.Typeflag == tar.TypeLink, b.Typeflag == tar.TypeLink; la != lb {
		return lb
	}
	if ka, kb := sortKey(a.Name), sortKey(b.Name); ka != kb {
		return ka < kb
	}
	return a.Name < b.Name
}

func sortKey(name string) string {
	dir, base := path.Split(clean(name))
	if strings.HasPrefix(base, WhiteoutPrefix) {
		base = "\x01" + base
	}
	return strings.ReplaceAll(dir+base, "/", "\x00")
}

// WhiteoutPrefix begins the name of an entry that removes one of a layer
// below; WhiteoutOpaque removes a whole folder's content.
const (
	WhiteoutPrefix = ".wh."
	WhiteoutOpaque = ".wh..wh..opq"
)
