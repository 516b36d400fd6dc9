package inventory

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"slipway/scan/step/layout"
	"slipway/step"
)

// Bounds of what is read of an image. Beyond them there is no verdict.
var (
	// mostEntries is the most files and folders of all layers, those that a path
	// only passes through among them.
	mostEntries = 1_000_000
	// mostBytes is the most that all layers may unpack to.
	mostBytes int64 = 64 << 30
	// mostRecords is the most that all package databases may have.
	mostRecords int64 = 512 << 20
)

// longest is the most bytes of a path, as for Linux.
const longest = 4096

// maxWindow is the largest zstd window that is read.
const maxWindow = 128 << 20

// Whiteouts (OCI image specification 1.1, "Image Layer Filesystem Changeset").
const (
	whiteoutPrefix = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// node is a file or folder of the image.
type node struct {
	children map[string]*node
	// layer is the one that wrote it last.
	layer int
	// link is a symbolic link's target.
	link string
	file *file
}

// file is a regular file that the inventory is about, or reads.
type file struct {
	executable *executable
	// record is the content of a package database's file.
	record []byte
}

// tree is an image's files as its layers leave them.
type tree struct {
	root    *node
	diffIDs []string
	scratch string
	entries int
	records int64
}

// unpack applies layers in order. What is not sure to be hidden by an upper layer
// stays: an inventory may hold too much, never too little.
func unpack(layers []layout.Layer, scratch string) (*tree, error) {
	t := &tree{root: &node{children: map[string]*node{}, layer: -1}, scratch: scratch}
	left := mostBytes
	for i, layer := range layers {
		t.diffIDs = append(t.diffIDs, layer.DiffID)
		if err := t.layer(i, layer, &left); err != nil {
			if _, ok := step.AsFault(err); ok {
				return nil, err
			}
			return nil, step.Input(stage, "layer "+layer.Digest, "can't be read, so there is no verdict: "+err.Error(),
				"build the image again and scan what the build returned").Because(err)
		}
	}
	return t, nil
}

func (t *tree) layer(number int, layer layout.Layer, left *int64) error {
	blob, err := layer.Open()
	if err != nil {
		return err
	}
	defer blob.Close()
	sum := sha256.New()
	if err := t.unpack(number, blob, sum, left); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != layer.DiffID {
		return fmt.Errorf("it unpacks to %s, not to %s", got, layer.DiffID)
	}
	return nil
}

// unpack applies the archive in blob, and writes all of it to sum.
func (t *tree) unpack(number int, blob io.Reader, sum io.Writer, left *int64) error {
	plain, done, err := decompress(blob)
	if err != nil {
		return err
	}
	defer done()
	bounded := &limited{r: io.TeeReader(plain, sum), left: left}
	archive := tar.NewReader(bounded)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		t.entries++
		if err := t.apply(number, h, archive); err != nil {
			return fmt.Errorf("%.200q: %w", h.Name, err)
		}
		if t.entries > mostEntries {
			return fmt.Errorf("the image has more than %d files and folders", mostEntries)
		}
	}
	// What follows the end of the archive is part of its digest.
	_, err = io.Copy(io.Discard, bounded)
	return err
}

// decompress tells the compression by the first bytes, as container runtimes do.
func decompress(blob io.Reader) (io.Reader, func(), error) {
	buffered := bufio.NewReaderSize(blob, 1<<16)
	magic, _ := buffered.Peek(4)
	switch {
	case strings.HasPrefix(string(magic), "\x1f\x8b"):
		zr, err := gzip.NewReader(buffered)
		return zr, func() {}, err
	case string(magic) == "\x28\xb5\x2f\xfd":
		// The window is memory that a few bytes can ask for.
		zr, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return zr, zr.Close, nil
	}
	return buffered, func() {}, nil
}

// limited reads until all layers together have given too much.
type limited struct {
	r    io.Reader
	left *int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if *l.left -= int64(n); *l.left < 0 {
		return 0, fmt.Errorf("the image unpacks to more than %d bytes", mostBytes)
	}
	return n, err
}

// clean is a path without a leading slash and without dots; empty for the root.
func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

func (t *tree) apply(number int, h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if len(h.Name) > longest || len(h.Linkname) > longest {
		return fmt.Errorf("its path has more than %d bytes", longest)
	}
	name := clean(h.Name)
	dir, base := path.Split(name)
	if base == whiteoutOpaque {
		if n := t.at(dir); n != nil {
			n.drop(number)
		}
		return nil
	}
	if hidden, ok := strings.CutPrefix(base, whiteoutPrefix); ok {
		if parent := t.at(dir); parent != nil && parent.children[hidden] != nil && parent.children[hidden].drop(number) {
			delete(parent.children, hidden)
		}
		return nil
	}
	if name == "" {
		return nil
	}
	parent := t.folder(number, dir)
	was := parent.children[base]
	if h.Typeflag == tar.TypeDir {
		if was == nil || was.children == nil {
			parent.children[base] = &node{children: map[string]*node{}, layer: number}
		}
		return nil
	}
	made := &node{layer: number}
	switch h.Typeflag {
	case tar.TypeReg:
		f, err := t.read(name, h, content)
		if err != nil {
			return err
		}
		made.file = f
		if was != nil && f != nil && f.executable != nil {
			// Which of two contents a scanner has looked at is anybody's guess.
			f.executable.repeated = was.layer == number
			f.executable.replaces = was.file != nil && was.file.executable != nil && was.file.executable.sha256 != f.executable.sha256
		}
	case tar.TypeLink:
		target := t.at(h.Linkname)
		if target == nil {
			target = t.at(t.resolve(h.Linkname))
		}
		if target == nil || target.children != nil {
			return fmt.Errorf("it is a hard link to %.200q, which is no file of the image", h.Linkname)
		}
		made.file, made.link = target.file, target.link
	case tar.TypeSymlink:
		made.link = h.Linkname
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
	default:
		return fmt.Errorf("it is of tar type %q", h.Typeflag)
	}
	// What lies behind a link is not hidden by another link in its place.
	if was != nil && was.link != "" {
		made.children = was.children
	}
	parent.children[base] = made
	return nil
}

// drop removes what lower layers wrote, and reports whether nothing is left. What
// was written through a link lies elsewhere, and stays.
func (n *node) drop(number int) bool {
	if n.link != "" && len(n.children) > 0 {
		n.link = ""
		return false
	}
	for name, child := range n.children {
		if child.drop(number) {
			delete(n.children, name)
		}
	}
	return n.layer < number && len(n.children) == 0
}

// at is the node at a path, without following symbolic links.
func (t *tree) at(name string) *node {
	n := t.root
	for _, part := range parts(name) {
		if n = n.children[part]; n == nil {
			return nil
		}
	}
	return n
}

func parts(name string) []string {
	if name = clean(name); name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

// folder is the folder at a path; what is none on the way becomes one beside the
// link that it was, so that nothing below either is lost.
func (t *tree) folder(number int, name string) *node {
	n := t.root
	for _, part := range parts(name) {
		child := n.children[part]
		if child == nil {
			child = &node{layer: number}
			n.children[part] = child
			t.entries++
		}
		if child.children == nil {
			child.children = map[string]*node{}
		}
		n = child
	}
	return n
}

// resolve is the path that a path leads to, with every symbolic link followed as
// in a container that has the image for its root.
func (t *tree) resolve(name string) string {
	todo, done := parts(name), []string{}
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		if part == ".." {
			done = done[:max(0, len(done)-1)]
			continue
		}
		at := strings.Join(append(slices.Clone(done), part), "/")
		n := t.at(at)
		if n == nil || n.link == "" || links > 40 {
			done = append(done, part)
			continue
		}
		links++
		if strings.HasPrefix(n.link, "/") {
			done = nil
		}
		todo = append(rawParts(n.link), todo...)
	}
	return strings.Join(done, "/")
}

// rawParts splits a link's target and keeps its "..", which count from where the
// link leads.
func rawParts(name string) []string {
	return slices.DeleteFunc(strings.Split(name, "/"), func(part string) bool { return part == "" || part == "." })
}

// files calls each for every regular file that the tree knows something about.
func (t *tree) files(each func(name string, n *node)) { walk("", t.root, each) }

func walk(name string, n *node, each func(string, *node)) {
	if n.file != nil {
		each(name, n)
	}
	for base, child := range n.children {
		walk(path.Join(name, base), child, each)
	}
}
