// Package folder makes an image of a folder and a folder of an image, for
// programs that are distributed as an image and never run as one. The same files
// give the same bytes everywhere. Only what the folder holds is kept: names,
// content, permission bits and symbolic links, all owned by root.
package folder

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/build/step/layer"
	"slipway/build/step/oci"
	"slipway/step"
	"slipway/step/result/build"
)

// Stage is the stage that faults of this package name.
const Stage = "toolbox"

// platform is what the programs run on.
var platform = v1.Platform{OS: "linux", Architecture: "amd64"}

// Pack makes the layout of an image in the new folder dir. Each folder at the
// top of source becomes a layer of its own, so that one that has not changed is
// not pushed again.
//
// Faults of KindInput: a source without folders, with a file at its top, or with
// anything but folders, files and symbolic links.
func Pack(dir, source string) (packed build.Packed, err error) {
	tops, err := os.ReadDir(source)
	if err != nil {
		return build.Packed{}, fmt.Errorf("read folder: %w", err)
	}
	if len(tops) == 0 {
		return build.Packed{}, step.Input(Stage, "folder", "is empty", "give one with a folder for each part")
	}
	layout, err := oci.Create(dir)
	if err != nil {
		return build.Packed{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	config := v1.ConfigFile{
		OS: platform.OS, Architecture: platform.Architecture, Created: v1.Time{Time: layer.Epoch},
		RootFS: v1.RootFS{Type: "layers"},
	}
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	for _, top := range tops {
		if !top.IsDir() {
			return build.Packed{}, step.Input(Stage, "folder", fmt.Sprintf("has %q at its top, which is no folder", top.Name()), "put each part into a folder")
		}
		entries, err := read(source, top.Name())
		if err != nil {
			return build.Packed{}, err
		}
		descriptor, err := layout.Add(types.OCILayer, func(w io.Writer) error {
			// Programs of a gigabyte are packed once and pulled by few.
			diffID, err := layer.WriteLevel(w, entries, gzip.BestSpeed)
			config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
			return err
		})
		if err != nil {
			return build.Packed{}, err
		}
		config.History = append(config.History, v1.History{Created: config.Created, CreatedBy: "slipway: " + top.Name()})
		manifest.Layers = append(manifest.Layers, descriptor)
		packed.Size += descriptor.Size
	}
	if manifest.Config, err = layout.AddJSON(types.OCIConfigJSON, config); err != nil {
		return build.Packed{}, err
	}
	image, err := layout.AddJSON(types.OCIManifestSchema1, manifest)
	if err != nil {
		return build.Packed{}, err
	}
	image.Platform = &platform
	root, err := layout.AddJSON(types.OCIImageIndex, v1.IndexManifest{
		SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{image},
	})
	if err != nil {
		return build.Packed{}, err
	}
	packed.Digest, packed.Layers = root.Digest.String(), len(manifest.Layers)
	packed.Size += manifest.Config.Size + image.Size + root.Size
	return packed, layout.Finish(root)
}

// read lists what lies at and below source/top, by its path below source.
func read(source, top string) ([]layer.Entry, error) {
	var entries []layer.Entry
	err := filepath.WalkDir(filepath.Join(source, top), func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		target := ""
		if d.Type() == fs.ModeSymlink {
			if target, err = os.Readlink(file); err != nil {
				return err
			}
		} else if !d.IsDir() && !d.Type().IsRegular() {
			return step.Input(Stage, "folder", fmt.Sprintf("has %q, which is %s", name, d.Type()), "leave it out")
		}
		header, err := tar.FileInfoHeader(info, target)
		if err != nil {
			return err
		}
		header.Name, header.Uid, header.Gid = filepath.ToSlash(name), 0, 0
		entry := layer.Entry{Header: *header}
		if d.Type().IsRegular() {
			entry.Content = func() (io.ReadCloser, error) { return os.Open(file) }
		}
		entries = append(entries, entry)
		return nil
	})
	return entries, err
}

// Unpack takes the files of an image that Pack made into the folder dir, which
// must be empty or new. Nothing is written outside of it.
//
// Faults: KindInput when layout is no layout; KindPolicy when a byte of it is not
// what its digest says, or when it holds what Pack does not make: several images,
// a path that leads out, a link or device in place of a file.
func Unpack(layout, dir string) (out build.Unpacked, err error) {
	l, err := oci.Open(Stage, layout)
	if err != nil {
		return build.Unpacked{}, err
	}
	if len(l.Roots) != 1 || !l.Roots[0].MediaType.IsIndex() {
		return build.Unpacked{}, foreign("is not one image index")
	}
	images, err := oci.Children(l.Roots[0], l.Manifest(l.Roots[0]))
	if err != nil {
		return build.Unpacked{}, foreign(err.Error())
	}
	if len(images) != 1 || !images[0].MediaType.IsImage() {
		return build.Unpacked{}, foreign(fmt.Sprintf("holds %d images, not one", len(images)))
	}
	blobs, err := oci.Children(images[0], l.Manifest(images[0]))
	if err != nil {
		return build.Unpacked{}, foreign(err.Error())
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return build.Unpacked{}, fmt.Errorf("make folder: %w", err)
	}
	if there, err := os.ReadDir(dir); err != nil || len(there) > 0 {
		return build.Unpacked{}, errors.Join(fmt.Errorf("folder %s is not empty", dir), err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return build.Unpacked{}, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	out.Digest = l.Roots[0].Digest.String()
	for _, blob := range blobs[1:] {
		n, err := unpackLayer(root, l, blob)
		if err != nil {
			return build.Unpacked{}, err
		}
		out.Files += n
	}
	return out, nil
}

func foreign(reason string) *step.Fault {
	return step.Policy(Stage, "image", reason, "give an image that toolbox publish has made")
}

func unpackLayer(root *os.Root, l *oci.Layout, d v1.Descriptor) (files int, err error) {
	if d.MediaType != types.OCILayer {
		return 0, foreign(fmt.Sprintf("has a layer of media type %q", d.MediaType))
	}
	blob, err := l.OpenBlob(d)
	if err != nil {
		return 0, err
	}
	defer blob.Close()
	unzipped, err := gzip.NewReader(blob)
	if err != nil {
		return 0, foreign("has a layer that is not compressed by gzip: " + err.Error())
	}
	archive := tar.NewReader(unzipped)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return files, foreign("has a layer that is no archive: " + err.Error())
		}
		if header.Typeflag != tar.TypeDir {
			files++
		}
		if err := write(root, header, archive); err != nil {
			return files, err
		}
	}
}

// write makes one entry of an archive.
func write(root *os.Root, header *tar.Header, content io.Reader) error {
	name := path.Clean(header.Name)
	if !filepath.IsLocal(name) {
		return foreign(fmt.Sprintf("has a file %q, which leads out of its folder", header.Name))
	}
	mode := fs.FileMode(header.Mode).Perm()
	var err error
	switch header.Typeflag {
	case tar.TypeDir:
		// The permissions of a folder that exists are set below, too.
		if err = root.MkdirAll(name, 0o755); err == nil {
			err = root.Chmod(name, mode)
		}
	case tar.TypeSymlink:
		err = root.Symlink(header.Linkname, name)
	case tar.TypeReg:
		err = writeFile(root, name, mode, content)
	default:
		return foreign(fmt.Sprintf("has %q of type %q, which is neither folder, file nor symbolic link", header.Name, header.Typeflag))
	}
	if err != nil {
		// The layer's digest was checked: it is not the transport that failed.
		return step.Policy(Stage, "image", fmt.Sprintf("has %q, which can't be written: %v", header.Name, err),
			"give an image that toolbox publish has made; see that the disk is not full").Because(err)
	}
	return nil
}

func writeFile(root *os.Root, name string, mode fs.FileMode, content io.Reader) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	// The process's umask does not count.
	return errors.Join(err, f.Chmod(mode), f.Close())
}
