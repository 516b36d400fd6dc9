package oci

import (
	"errors"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/registry/verify"
)

// maxDepth is how deep indexes may nest.
const maxDepth = 4

// Malformed is content that holds together by digest and is still no image.
type Malformed struct {
	// Descriptor describes the content at fault.
	Descriptor v1.Descriptor
	// Err says what is wrong with it.
	Err error
}

// Error names the content and the error.
func (m *Malformed) Error() string {
	return "content " + m.Descriptor.Digest.String() + " " + m.Err.Error()
}

// Unwrap returns the error without the content's name.
func (m *Malformed) Unwrap() error { return m.Err }

// Reader verifies the content that d describes, and returns it when d is an
// index or a manifest.
type Reader func(d v1.Descriptor) ([]byte, error)

// Walk reads root and everything it reaches, each digest once, and returns
// their descriptors, children before the manifest that names them. Errors are
// read's own, or *Malformed.
func Walk(read Reader, roots ...v1.Descriptor) ([]v1.Descriptor, error) {
	w := &walker{read: read, seen: map[v1.Hash]v1.Descriptor{}}
	for _, root := range roots {
		if err := w.visit(root, 0); err != nil {
			return nil, err
		}
	}
	return w.visited, nil
}

type walker struct {
	read    Reader
	seen    map[v1.Hash]v1.Descriptor
	visited []v1.Descriptor
}

func (w *walker) visit(d v1.Descriptor, depth int) error {
	if before, ok := w.seen[d.Digest]; ok {
		if before.Size != d.Size || verify.IsManifest(before) != verify.IsManifest(d) {
			return &Malformed{d, errors.New("is described in two ways")}
		}
		return nil
	}
	w.seen[d.Digest] = d
	if depth > maxDepth {
		return &Malformed{d, errors.New("is nested too deep")}
	}
	content, err := w.read(d)
	if err != nil {
		return err
	}
	children, err := Children(d, content)
	if err != nil {
		return &Malformed{d, err}
	}
	for _, child := range children {
		if err := w.visit(child, depth+1); err != nil {
			return err
		}
	}
	w.visited = append(w.visited, d)
	return nil
}
