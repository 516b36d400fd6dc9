package layer

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"
)

// ErrBadLayer says that a layer's archive is not one that can be rewritten
// without changing what it means; the wrapping error says why.
var ErrBadLayer = errors.New("layer can't be rewritten")

// Rewritten is what Rewrite found and made.
type Rewritten struct {
	// DiffID is the digest of the new uncompressed archive.
	DiffID v1.Hash
	// SourceDiffID is the digest of the old one.
	SourceDiffID v1.Hash
	// Passwd is what the layer does to /etc/passwd.
	Passwd Passwd
}

// Passwd is what one layer says about /etc/passwd.
type Passwd struct {
	// Touched is false when the layer leaves the file alone.
	Touched bool
	// Content is the file; nil when the layer removes it, or makes it
	// anything but a small regular file.
	Content []byte
}

// Rewrite reads a layer (a tar archive: plain, gzip or zstd) and writes the
// same file system changes in this package's reproducible form. scratch is a
// folder for a temporary copy of the archive.
//
// Where an archive repeats a name, the last entry counts, as when it is
// unpacked; a group of hard links is written as the first of its names and
// links to it. Errors wrap ErrBadLayer when the archive is damaged, names a
// path above the root, links to a folder, mixes repeated names with hard links,
// or can't be written without the extensions of one tar format only.
func Rewrite(w io.Writer, compressed io.Reader, scratch string) (Rewritten, error) {
	spool, err := os.CreateTemp(scratch, "layer-")
	if err != nil {
		return Rewritten{}, fmt.Errorf("spool layer: %w", err)
	}
	defer os.Remove(spool.Name())
	defer spool.Close()

	source, err := decompress(spool, compressed)
	if err != nil {
		return Rewritten{}, err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return Rewritten{}, fmt.Errorf("spool layer: %w", err)
	}
	entries, err := read(spool)
	if err != nil {
		return Rewritten{}, err
	}
	passwd, err := passwdOf(entries)
	if err != nil {
		return Rewritten{}, err
	}
	diffID, err := Write(w, entries)
	if err != nil {
		return Rewritten{}, err
	}
	return Rewritten{DiffID: diffID, SourceDiffID: source, Passwd: passwd}, nil
}

// maxWindow is the largest zstd window that is read: what the zstd command reads
// unless it is told otherwise.
const maxWindow = 128 << 20

// decompress copies the plain archive to w and returns its digest. The
// compression is told by the first bytes.
func decompress(w io.Writer, compressed io.Reader) (v1.Hash, error) {
	buffered := bufio.NewReader(compressed)
	magic, _ := buffered.Peek(4)
	var plain io.Reader = buffered
	switch {
	case strings.HasPrefix(string(magic), "\x1f\x8b"):
		zr, err := gzip.NewReader(buffered)
		if err != nil {
			return v1.Hash{}, fmt.Errorf("%w: gzip: %w", ErrBadLayer, err)
		}
		plain = zr
	case string(magic) == "\x28\xb5\x2f\xfd":
		// The window is memory that a few bytes can ask for.
		zr, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return v1.Hash{}, fmt.Errorf("%w: zstd: %w", ErrBadLayer, err)
		}
		defer zr.Close()
		plain = zr
	}
	sum, _, err := v1.SHA256(io.TeeReader(plain, w))
	if err != nil {
		return v1.Hash{}, fmt.Errorf("%w: decompress: %w", ErrBadLayer, err)
	}
	return sum, nil
}

// read lists the archive's entries; contents stay in spool.
func read(spool *os.File) ([]Entry, error) {
	tr := tar.NewReader(spool)
	byName := map[string]Entry{}
	repeated := map[string]bool{}
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: tar: %w", ErrBadLayer, err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue // defaults of an archiver, such as a commit id: no file
		}
		e, err := spooled(spool, h)
		if err != nil {
			return nil, err
		}
		name := clean(h.Name)
		if _, ok := byName[name]; ok {
			repeated[name] = true
		}
		byName[name] = e
	}
	if err := regroupLinks(byName, repeated); err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(byName))
	for name, e := range byName {
		h := fixed(e.Header)
		if err := tar.NewWriter(io.Discard).WriteHeader(&h); err != nil {
			return nil, fmt.Errorf("%w: %q: %w", ErrBadLayer, name, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func spooled(spool *os.File, h *tar.Header) (Entry, error) {
	names := []string{h.Name}
	if h.Typeflag == tar.TypeLink {
		names = append(names, h.Linkname)
	}
	for _, name := range names {
		if aboveRoot(name) {
			return Entry{}, fmt.Errorf("%w: %q leaves the layer's root", ErrBadLayer, name)
		}
	}
	e := Entry{Header: *h}
	switch h.Typeflag {
	case tar.TypeReg:
	case tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		e.Header.Size = 0
		return e, nil
	default:
		return Entry{}, fmt.Errorf("%w: %q is of tar type %q", ErrBadLayer, h.Name, h.Typeflag)
	}
	// A sparse file's content is not stored as it reads: its records
	// would have to be rebuilt.
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return Entry{}, fmt.Errorf("%w: %q is sparse", ErrBadLayer, h.Name)
		}
	}
	// archive/tar reads its source in order and without a buffer of its
	// own, so after Next the file stands at the content's first byte.
	offset, err := spool.Seek(0, io.SeekCurrent)
	if err != nil {
		return Entry{}, fmt.Errorf("spool layer: %w", err)
	}
	size := h.Size
	e.Content = func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(spool, offset, size)), nil
	}
	return e, nil
}

func aboveRoot(name string) bool {
	for _, part := range strings.Split(name, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// regroupLinks makes the first name of each group of hard links the file and
// the others links to it. Which name an exporter writes as the file depends on
// the order it walks in.
func regroupLinks(byName map[string]Entry, repeated map[string]bool) error {
	groups := map[string][]string{}
	for name, e := range byName {
		if e.Header.Typeflag != tar.TypeLink {
			continue
		}
		target := clean(e.Header.Linkname)
		if repeated[name] || repeated[target] {
			return fmt.Errorf("%w: %q is a hard link to %q and one of them is repeated", ErrBadLayer, name, target)
		}
		if to, ok := byName[target]; ok && to.Header.Typeflag == tar.TypeLink {
			return fmt.Errorf("%w: %q is a hard link to the hard link %q", ErrBadLayer, name, target)
		}
		groups[target] = append(groups[target], name)
	}
	for target, links := range groups {
		file, ok := byName[target]
		if !ok {
			continue // the target is in a layer below
		}
		if file.Header.Typeflag == tar.TypeDir {
			return fmt.Errorf("%w: %q is a hard link to the folder %q", ErrBadLayer, links[0], target)
		}
		names := append(slices.Clone(links), target)
		sort.Strings(names)
		for _, name := range names[1:] {
			h := file.Header
			h.Typeflag, h.Name, h.Linkname, h.Size = tar.TypeLink, name, names[0], 0
			byName[name] = Entry{Header: h}
		}
		file.Header.Name = names[0]
		byName[names[0]] = file
	}
	return nil
}

// maxPasswd bounds what is read of an /etc/passwd.
const maxPasswd = 1 << 20

func passwdOf(entries []Entry) (Passwd, error) {
	var p Passwd
	for _, e := range entries {
		switch clean(e.Header.Name) {
		case "etc/passwd":
			p = Passwd{Touched: true}
			if e.Header.Typeflag == tar.TypeReg && e.Header.Size <= maxPasswd {
				r, err := e.Content()
				if err != nil {
					return p, err
				}
				defer r.Close()
				if p.Content, err = io.ReadAll(r); err != nil {
					return p, fmt.Errorf("read etc/passwd: %w", err)
				}
			}
			return p, nil
		case "etc/" + WhiteoutPrefix + "passwd", "etc/" + WhiteoutOpaque, WhiteoutPrefix + "etc", WhiteoutOpaque:
			p.Touched = true
		case "etc":
			// etc replaced by anything but a folder takes passwd along.
			if e.Header.Typeflag != tar.TypeDir {
				p.Touched = true
			}
		}
	}
	return p, nil
}
