// Package image makes reproducible images: one OCI index, with one manifest
// for each platform, as an image layout. The same input gives the same bytes
// on every machine: no time, no host, no order of a file system gets in.
package image

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway/build/step/gittree"
	"slipway/build/step/layer"
	"slipway/build/step/oci"
	"slipway/step"
	"slipway/step/result/build"
)

// AssembleInput is what an image of static binaries is made of.
type AssembleInput struct {
	// Binaries are the static executables: for each platform one, or a folder of
	// several, with the same names on all of them.
	Binaries []Source
	// Name is the binary's name in the image, or that of the folder's binary which
	// the image starts, a DNS label; the entrypoint is "/" and this.
	Name string
	// Zoneinfo is Go's lib/time/zoneinfo.zip.
	Zoneinfo string
	// Ports are the TCP ports that the config exposes.
	Ports []string
	// Labels become the configs' labels and the index's annotations.
	Labels Labels
	// Tree is the app's folder, whose Git tree id becomes the revision.
	Tree string
}

// taken are the names that the image's own folders have.
var taken = map[string]bool{"etc": true, "home": true, "tmp": true, "usr": true, "proc": true, "sys": true, "dev": true, "run": true}

// Assemble makes the layout of an image in the new folder dir: one layer with
// accounts, CA roots, time zones and /tmp, which all platforms share, and one
// with the binary, run as user and group 65532.
//
// Faults of KindInput name the flag that is wrong: a binary that is not static
// or is for another platform, a file that is not zoneinfo, a bad name, port or
// label, a folder without files.
func Assemble(dir string, in AssembleInput) (built build.Built, err error) {
	binaries, err := ordered("binary", in.Binaries)
	if err != nil {
		return build.Built{}, err
	}
	if err := step.Name(Stage, "--name", in.Name); err != nil {
		return build.Built{}, err
	}
	if taken[in.Name] {
		return build.Built{}, step.Input(Stage, fmt.Sprintf("--name %q", in.Name), "is the name of a folder in the image", "use another name")
	}
	ports, err := parsePorts(in.Ports)
	if err != nil {
		return build.Built{}, err
	}
	all := make([][]program, len(binaries))
	for i, b := range binaries {
		if all[i], err = programs(b, in.Name); err != nil {
			return build.Built{}, err
		}
		if !slices.EqualFunc(all[0], all[i], func(a, b program) bool { return a.name == b.name }) {
			return build.Built{}, step.Input(Stage, "--binary of "+b.Platform, "holds other programs than that of "+binaries[0].Platform, "compile the same packages for each platform")
		}
	}
	zoneinfo, err := readZoneinfo(in.Zoneinfo)
	if err != nil {
		return build.Built{}, err
	}
	b, err := begin(dir, in.Tree, in.Labels)
	if err != nil {
		return build.Built{}, err
	}
	defer discardOn(&err, dir)

	base, err := b.addLayer(layer.WithFolders(layer.Base(zoneinfo)))
	if err != nil {
		return build.Built{}, err
	}
	for i, binary := range binaries {
		app, err := b.addPrograms(all[i])
		if err != nil {
			return build.Built{}, err
		}
		config := v1.Config{
			Entrypoint:   []string{"/" + in.Name},
			Env:          environment,
			ExposedPorts: ports,
			Labels:       b.labels,
			User:         fmt.Sprintf("%d:%d", layer.NonRoot, layer.NonRoot),
			WorkingDir:   "/",
		}
		history := []v1.History{
			{Created: epoch, CreatedBy: "slipway: accounts, CA roots, time zones"},
			{Created: epoch, CreatedBy: "slipway: " + in.Name},
		}
		if err := b.addImage(ociPlatform(binary.Platform), config, []made{base, app}, history); err != nil {
			return build.Built{}, err
		}
	}
	return b.finish()
}

var (
	epoch       = v1.Time{Time: layer.Epoch}
	environment = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"SSL_CERT_FILE=/" + layer.CAFile,
		"ZONEINFO=/" + layer.ZoneinfoFile,
	}
)

func parsePorts(values []string) (map[string]struct{}, error) {
	if len(values) == 0 {
		return nil, nil
	}
	ports := map[string]struct{}{}
	for _, v := range values {
		n, err := strconv.ParseUint(v, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != v {
			return nil, step.Input(Stage, fmt.Sprintf("--port %.20q", v), "is not a port", "give a number from 1 to 65535")
		}
		ports[v+"/tcp"] = struct{}{}
	}
	return ports, nil
}

func readZoneinfo(path string) ([]byte, error) {
	fault := func(err error) error {
		return step.Input(Stage, fmt.Sprintf("--zoneinfo %q", path), "is not Go's archive of time zones",
			"give the toolchain's lib/time/zoneinfo.zip").Because(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fault(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fault(err)
	}
	zone, err := archive.Open("Etc/UTC")
	if err != nil {
		return nil, fault(err)
	}
	return data, zone.Close()
}

// builder collects one index's images.
type builder struct {
	layout    *oci.Writer
	labels    map[string]string
	revision  string
	index     v1.IndexManifest
	platforms []build.Platform
}

// made is one layer of the layout.
type made struct {
	descriptor v1.Descriptor
	diffID     v1.Hash
}

func begin(dir, tree string, labels Labels) (*builder, error) {
	revision, err := gittree.Hash(tree)
	if err != nil {
		return nil, err
	}
	layout, err := oci.Create(dir)
	if err != nil {
		return nil, err
	}
	all := labels.with(nil)
	all[RevisionKey] = revision.String()
	return &builder{
		layout:   layout,
		labels:   all,
		revision: revision.String(),
		index: v1.IndexManifest{
			SchemaVersion: 2,
			MediaType:     types.OCIImageIndex,
			Annotations:   maps.Clone(all),
		},
	}, nil
}

// discardOn removes a begun layout when *err is set: a refused build leaves
// nothing that could be taken for an image.
func discardOn(err *error, dir string) {
	if *err != nil {
		*err = errors.Join(*err, os.RemoveAll(dir))
	}
}

func (b *builder) addLayer(entries []layer.Entry) (made, error) {
	var m made
	var err error
	m.descriptor, err = b.layout.Add(types.OCILayer, func(w io.Writer) (err error) {
		m.diffID, err = layer.Write(w, entries)
		return err
	})
	return m, err
}

// program is an executable of an image and its file.
type program struct{ name, path string }

// programs are those of a platform, in the order of their names: each one that can
// run there, and name is one of them.
func programs(source Source, name string) ([]program, error) {
	all := []program{{name, source.Path}}
	if entries, err := os.ReadDir(source.Path); err == nil {
		all = nil
		for _, entry := range entries {
			all = append(all, program{entry.Name(), filepath.Join(source.Path, entry.Name())})
		}
	}
	if !slices.ContainsFunc(all, func(p program) bool { return p.name == name }) {
		return nil, step.Input(Stage, "--binary of "+source.Platform, fmt.Sprintf("holds no program %q", name), "give the folder that has the image's own")
	}
	for _, p := range all {
		if err := step.Name(Stage, "program", p.name); err != nil {
			return nil, err
		}
		if taken[p.name] {
			return nil, step.Input(Stage, fmt.Sprintf("program %q", p.name), "is the name of a folder in the image", "give its package another name")
		}
		if err := checkBinary(Source{Platform: source.Platform, Path: p.path}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (b *builder) addPrograms(programs []program) (made, error) {
	var entries []layer.Entry
	for _, p := range programs {
		info, err := os.Stat(p.path)
		if err != nil {
			return made{}, fmt.Errorf("read binary: %w", err)
		}
		entry := layer.File(p.name, 0o755, nil)
		entry.Header.Size = info.Size()
		entry.Content = func() (io.ReadCloser, error) { return os.Open(p.path) }
		entries = append(entries, entry)
	}
	return b.addLayer(entries)
}

// addImage adds the config and manifest of one platform's image.
func (b *builder) addImage(platform *v1.Platform, config v1.Config, layers []made, history []v1.History) error {
	file := v1.ConfigFile{
		OS:           platform.OS,
		Architecture: platform.Architecture,
		Created:      epoch,
		Config:       config,
		History:      history,
		RootFS:       v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}},
	}
	manifest := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: []v1.Descriptor{}}
	var size int64
	for _, l := range layers {
		file.RootFS.DiffIDs = append(file.RootFS.DiffIDs, l.diffID)
		manifest.Layers = append(manifest.Layers, l.descriptor)
		size += l.descriptor.Size
	}
	var err error
	if manifest.Config, err = b.layout.AddJSON(types.OCIConfigJSON, file); err != nil {
		return err
	}
	descriptor, err := b.layout.AddJSON(types.OCIManifestSchema1, manifest)
	if err != nil {
		return err
	}
	descriptor.Platform = platform
	b.index.Manifests = append(b.index.Manifests, descriptor)
	b.platforms = append(b.platforms, build.Platform{
		Platform: platform.OS + "/" + platform.Architecture,
		Digest:   descriptor.Digest.String(),
		Size:     size + manifest.Config.Size + descriptor.Size,
		User:     config.User,
	})
	return nil
}

func (b *builder) finish() (build.Built, error) {
	if !sort.SliceIsSorted(b.platforms, func(i, j int) bool { return b.platforms[i].Platform < b.platforms[j].Platform }) {
		return build.Built{}, errors.New("images were added out of order")
	}
	root, err := b.layout.AddJSON(types.OCIImageIndex, b.index)
	if err != nil {
		return build.Built{}, err
	}
	if err := b.layout.Finish(root); err != nil {
		return build.Built{}, err
	}
	return build.Built{Digest: root.Digest.String(), Platforms: b.platforms, Revision: b.revision}, nil
}
