package image

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/build/step/layer"
	"slipway/build/step/oci"
	"slipway/registry/verify"
	"slipway/step"
	"slipway/step/result/build"
)

// NormalizeInput is what an index of exported images is made of.
type NormalizeInput struct {
	// Images are OCI archives or layouts, one for each platform.
	Images []Source
	// Labels are added to the images' own and become the index's
	// annotations.
	Labels Labels
	// Tree is the app's folder, whose Git tree id becomes the revision.
	Tree string
}

// Normalize makes the layout of one index in the new folder dir from images
// that a container engine exported: layers rewritten by package layer, every
// time at the epoch, the image's config kept except for what names the
// machine that built it. scratch is a folder for temporary files.
//
// Faults: KindInput when an archive is no OCI layout, holds no image or more
// than one for its platform, or holds a layer that can't be rewritten;
// KindPolicy when an image runs as root, or its content isn't what its digests
// say.
func Normalize(dir, scratch string, in NormalizeInput) (built build.Built, err error) {
	images, err := ordered("image", in.Images)
	if err != nil {
		return build.Built{}, err
	}
	b, err := begin(dir, in.Tree, in.Labels)
	if err != nil {
		return build.Built{}, err
	}
	defer discardOn(&err, dir)
	for _, source := range images {
		if err := b.addNormalized(source, scratch); err != nil {
			return build.Built{}, err
		}
	}
	return b.finish()
}

func (b *builder) addNormalized(source Source, scratch string) error {
	layout, cleanup, err := open(source, scratch)
	if err != nil {
		return err
	}
	defer cleanup()
	manifest, config, err := pick(layout, source)
	if err != nil {
		return err
	}

	var layers []made
	var passwd []byte
	for i, d := range manifest.Layers {
		m, p, err := b.rewrite(layout, d, config.RootFS.DiffIDs[i], source, scratch)
		if err != nil {
			return err
		}
		if p.Touched {
			passwd = p.Content
		}
		layers = append(layers, m)
	}
	if err := checkUser(source.Platform, config.Config.User, passwd); err != nil {
		return err
	}
	kept := config.Config
	kept.Hostname, kept.Domainname, kept.Image, kept.MacAddress = "", "", "", ""
	kept.AttachStderr, kept.AttachStdin, kept.AttachStdout = false, false, false
	kept.Labels = Labels(b.labels).with(kept.Labels)
	delete(kept.Labels, createdKey)
	return b.addImage(ociPlatform(source.Platform), kept, layers, timeless(config.History))
}

// boxed is how a command of a Dockerfile is run: not by the image's author, and
// with limits that are not the image's.
var boxed = regexp.MustCompile(`/~slipway/box run( --\S+)* -- `)

// timeless keeps of a history what was run, not when, by whom or within which
// limits.
func timeless(history []v1.History) []v1.History {
	var out []v1.History
	for _, h := range history {
		out = append(out, v1.History{Created: epoch, CreatedBy: boxed.ReplaceAllString(h.CreatedBy, ""), Comment: h.Comment, EmptyLayer: h.EmptyLayer})
	}
	return out
}

func (b *builder) rewrite(layout *oci.Layout, d v1.Descriptor, diffID v1.Hash, source Source, scratch string) (made, layer.Passwd, error) {
	input := fmt.Sprintf("image for %s: layer %s", source.Platform, d.Digest)
	var r layer.Rewritten
	descriptor, err := b.layout.Add(types.OCILayer, func(w io.Writer) error {
		f, err := layout.OpenBlob(d)
		if err != nil {
			return err
		}
		defer f.Close()
		r, err = layer.Rewrite(w, f, scratch)
		return err
	})
	if errors.Is(err, layer.ErrBadLayer) {
		return made{}, layer.Passwd{}, step.Input(Stage, input, err.Error(),
			"build the layer with another base image or builder").Because(err)
	}
	if err != nil {
		return made{}, layer.Passwd{}, err
	}
	if r.SourceDiffID != diffID {
		return made{}, layer.Passwd{}, step.Policy(Stage, input,
			fmt.Sprintf("unpacks to %s, and the image's config says %s", r.SourceDiffID, diffID),
			"export the image again")
	}
	return made{descriptor: descriptor, diffID: r.DiffID}, r.Passwd, nil
}

// pick finds the platform's one image in a layout. Attestations, which
// builders store as images for the platform "unknown/unknown", don't count.
func pick(layout *oci.Layout, source Source) (*v1.Manifest, *v1.ConfigFile, error) {
	var manifest *v1.Manifest
	var config *v1.ConfigFile
	input := "--image " + source.Platform
	for _, d := range layout.Content {
		if !d.MediaType.IsImage() {
			continue
		}
		m, c, err := readImage(layout, d)
		if err != nil {
			return nil, nil, step.Policy(Stage, input, err.Error(), "export the image again").Because(err)
		}
		if c == nil || c.OS+"/"+c.Architecture != source.Platform {
			continue
		}
		if manifest != nil {
			return nil, nil, step.Input(Stage, input, "holds two images for its platform", "export one image")
		}
		manifest, config = m, c
	}
	if manifest == nil {
		return nil, nil, step.Input(Stage, input, "holds no image for its platform", "export the image of that platform")
	}
	return manifest, config, nil
}

// readImage returns a nil config for a manifest that is no container image.
func readImage(layout *oci.Layout, d v1.Descriptor) (*v1.Manifest, *v1.ConfigFile, error) {
	var m v1.Manifest
	if err := json.Unmarshal(layout.Manifest(d), &m); err != nil {
		return nil, nil, fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	if !m.Config.MediaType.IsConfig() {
		return &m, nil, nil
	}
	if m.Config.Size > verify.MaxManifest {
		return nil, nil, fmt.Errorf("config %s is %d bytes long", m.Config.Digest, m.Config.Size)
	}
	f, err := layout.OpenBlob(m.Config)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	c, err := v1.ParseConfigFile(f)
	if err != nil {
		return nil, nil, fmt.Errorf("config %s: %w", m.Config.Digest, err)
	}
	if len(c.RootFS.DiffIDs) != len(m.Layers) {
		return nil, nil, fmt.Errorf("config %s tells of %d layers and the manifest of %d", m.Config.Digest, len(c.RootFS.DiffIDs), len(m.Layers))
	}
	return &m, c, nil
}

// open verifies the layout that source is or, as an archive, holds.
func open(source Source, scratch string) (*oci.Layout, func(), error) {
	none := func() {}
	info, err := os.Stat(source.Path)
	if err != nil {
		return nil, none, step.Input(Stage, "--image "+source.Platform, "can't be read", "give an OCI archive or layout").Because(err)
	}
	if info.IsDir() {
		layout, err := oci.Open(Stage, source.Path)
		return layout, none, err
	}
	dir, err := os.MkdirTemp(scratch, "image-")
	if err != nil {
		return nil, none, fmt.Errorf("unpack image: %w", err)
	}
	cleanup := func() { os.RemoveAll(dir) }
	if err := unpack(dir, source.Path); err != nil {
		cleanup()
		return nil, none, step.Input(Stage, "--image "+source.Platform, "is no archive that can be unpacked", "give an OCI archive").Because(err)
	}
	layout, err := oci.Open(Stage, dir)
	if err != nil {
		cleanup()
		return nil, none, err
	}
	return layout, cleanup, nil
}

// member are the files of a layout; an archive's others are not unpacked.
var member = regexp.MustCompile(`\A(\./)?(oci-layout|index\.json|blobs/sha256/[0-9a-f]{64})\z`)

func unpack(dir, archive string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	tr := tar.NewReader(f)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg || !member.MatchString(h.Name) {
			continue
		}
		if err := save(filepath.Join(dir, filepath.FromSlash(h.Name)), tr); err != nil {
			return err
		}
	}
}

func save(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// ReadConfig is the config of the image in an OCI archive or layout. scratch is a
// folder for temporary files.
//
// Faults: KindInput when it is no OCI layout, or holds no image or more than one
// for its platform; KindPolicy when its content isn't what its digests say.
func ReadConfig(scratch string, source Source) (v1.Config, error) {
	layout, cleanup, err := open(source, scratch)
	if err != nil {
		return v1.Config{}, err
	}
	defer cleanup()
	_, config, err := pick(layout, source)
	if err != nil {
		return v1.Config{}, err
	}
	return config.Config, nil
}
