package oci

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// File names and marker of an image layout (image-layout.md).
const (
	layoutFile    = "oci-layout"
	indexFile     = "index.json"
	layoutVersion = "1.0.0"
)

type layoutMarker struct {
	Version string `json:"imageLayoutVersion"`
}

// Writer makes an image layout in a new folder.
type Writer struct {
	dir string
}

// Create begins a layout in dir, which must not exist yet or be empty.
func Create(dir string) (*Writer, error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("layout folder %s is not empty", dir)
	}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return nil, fmt.Errorf("make layout: %w", err)
	}
	return &Writer{dir: dir}, nil
}

// Add stores what write writes as a blob and describes it.
func (w *Writer) Add(mediaType types.MediaType, write func(io.Writer) error) (v1.Descriptor, error) {
	blobs := filepath.Join(w.dir, "blobs", "sha256")
	f, err := os.CreateTemp(blobs, "new-")
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("write blob: %w", err)
	}
	defer os.Remove(f.Name()) // fails once the file is renamed
	defer f.Close()
	counter := newDigester(f)
	if err := write(counter); err != nil {
		return v1.Descriptor{}, err
	}
	if err := f.Chmod(0o644); err != nil {
		return v1.Descriptor{}, fmt.Errorf("write blob: %w", err)
	}
	if err := f.Close(); err != nil {
		return v1.Descriptor{}, fmt.Errorf("write blob: %w", err)
	}
	digest := counter.digest()
	if err := os.Rename(f.Name(), filepath.Join(blobs, digest.Hex)); err != nil {
		return v1.Descriptor{}, fmt.Errorf("write blob: %w", err)
	}
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: counter.size}, nil
}

// AddJSON stores value's JSON as a blob.
func (w *Writer) AddJSON(mediaType types.MediaType, value any) (v1.Descriptor, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("encode %s: %w", mediaType, err)
	}
	return w.Add(mediaType, func(out io.Writer) error {
		_, err := out.Write(data)
		return err
	})
}

// Finish names root as the layout's one content.
func (w *Writer) Finish(root v1.Descriptor) error {
	files := map[string]any{
		layoutFile: layoutMarker{Version: layoutVersion},
		indexFile: v1.IndexManifest{
			SchemaVersion: 2,
			MediaType:     types.OCIImageIndex,
			Manifests:     []v1.Descriptor{root},
		},
	}
	for name, value := range files {
		data, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("encode %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(w.dir, name), append(data, '\n'), 0o644); err != nil {
			return fmt.Errorf("write layout: %w", err)
		}
	}
	return nil
}
