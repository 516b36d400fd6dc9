package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/registry/verify"
	"slipway/step"
)

// Layout is an image layout on disk whose content was verified.
type Layout struct {
	dir string
	// Roots are what index.json names.
	Roots []v1.Descriptor
	// Content is everything that Roots reach, each digest once, children
	// before the manifest that names them.
	Content []v1.Descriptor

	manifests map[v1.Hash][]byte
}

// Open reads the layout in dir and verifies the digest and size of everything
// its index.json reaches. stage is the stage that faults name.
//
// Faults: KindInput when dir is no layout; KindPolicy, naming the blob, when
// content is missing or isn't what its descriptor says.
func Open(stage, dir string) (*Layout, error) {
	var marker layoutMarker
	var index v1.IndexManifest
	for _, file := range []struct {
		name  string
		value any
	}{{layoutFile, &marker}, {indexFile, &index}} {
		if err := readJSON(filepath.Join(dir, file.name), file.value); err != nil {
			return nil, step.Input(stage, "layout "+dir, "is not an OCI image layout: "+file.name+" can't be read",
				"give the folder that the build made").Because(err)
		}
	}
	if marker.Version != layoutVersion {
		return nil, step.Input(stage, "layout "+dir, fmt.Sprintf("is of layout version %q, not %s", marker.Version, layoutVersion),
			"give an OCI image layout of version "+layoutVersion)
	}
	if len(index.Manifests) == 0 {
		return nil, step.Input(stage, "layout "+dir, "holds no image", "give the folder that the build made")
	}
	l := &Layout{dir: dir, Roots: index.Manifests, manifests: map[v1.Hash][]byte{}}
	if err := validate(index.Manifests); err != nil {
		return nil, damaged(stage, indexFile, err)
	}
	for _, root := range l.Roots {
		if !verify.IsManifest(root) {
			return nil, damaged(stage, indexFile, fmt.Errorf("names %s of media type %q", root.Digest, root.MediaType))
		}
	}
	content, err := Walk(l.verify, l.Roots...)
	var malformed *Malformed
	if errors.As(err, &malformed) {
		return nil, damaged(stage, "manifest "+malformed.Descriptor.Digest.String(), malformed.Err)
	}
	var unreadable *blobError
	if errors.As(err, &unreadable) {
		return nil, damaged(stage, "blob "+unreadable.digest.String(), unreadable.err)
	}
	if err != nil {
		return nil, err
	}
	l.Content = content
	return l, nil
}

// blobError is a blob that can't be read or isn't what its descriptor says.
type blobError struct {
	digest v1.Hash
	err    error
}

func (e *blobError) Error() string { return "blob " + e.digest.String() + ": " + e.err.Error() }

func (e *blobError) Unwrap() error { return e.err }

func (l *Layout) verify(d v1.Descriptor) ([]byte, error) {
	if !verify.IsManifest(d) {
		if err := l.check(io.Discard, d); err != nil {
			return nil, &blobError{d.Digest, err}
		}
		return nil, nil
	}
	var content bytes.Buffer
	if err := l.check(&content, d); err != nil {
		return nil, &blobError{d.Digest, err}
	}
	l.manifests[d.Digest] = content.Bytes()
	return content.Bytes(), nil
}

func (l *Layout) check(w io.Writer, d v1.Descriptor) error {
	path := l.path(d)
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("is missing from the layout")
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return verify.Check(w, f, d)
}

func (l *Layout) path(d v1.Descriptor) string {
	return filepath.Join(l.dir, "blobs", d.Digest.Algorithm, d.Digest.Hex)
}

// OpenBlob opens the verified content that d describes.
func (l *Layout) OpenBlob(d v1.Descriptor) (io.ReadCloser, error) { return os.Open(l.path(d)) }

// Manifest returns the verified bytes of an index or manifest, which were read
// once: a file changed since doesn't matter.
func (l *Layout) Manifest(d v1.Descriptor) []byte { return l.manifests[d.Digest] }

func damaged(stage, input string, err error) error {
	return step.Policy(stage, input, err.Error(),
		"build the image again; nothing of this layout was used").Because(err)
}

func readJSON(path string, value any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, verify.MaxManifest))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, value)
}
