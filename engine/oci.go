package engine

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Media types of the OCI image specification v1.1.
const (
	mediaManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaConfig   = "application/vnd.oci.image.config.v1+json"
	mediaLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// descriptor is an OCI content descriptor.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// imageConfig is the part of an OCI image configuration that is set here.
type imageConfig struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Config       struct {
		Env        []string
		WorkingDir string
	} `json:"config"`
	RootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// writeLayout writes an OCI image layout with one image of one layer into dir,
// and returns the digest of its manifest. layer writes the layer's files.
func writeLayout(dir string, env []string, layer func(*tar.Writer) error) (string, error) {
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return "", err
	}
	layerBlob, diffID, err := writeLayer(dir, layer)
	if err != nil {
		return "", err
	}
	config := imageConfig{Architecture: runtime.GOARCH, OS: "linux"}
	config.Config.Env, config.Config.WorkingDir = env, "/"
	config.RootFS.Type, config.RootFS.DiffIDs = "layers", []string{diffID}
	configBlob, err := writeJSON(dir, mediaConfig, config)
	if err != nil {
		return "", err
	}
	manifest, err := writeJSON(dir, mediaManifest, map[string]any{
		"schemaVersion": 2, "mediaType": mediaManifest, "config": configBlob, "layers": []descriptor{layerBlob},
	})
	if err != nil {
		return "", err
	}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []descriptor{manifest}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "index.json"), index, 0o644); err != nil {
		return "", err
	}
	return manifest.Digest, os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
}

// layoutDigest returns the digest of the only image of a layout.
func layoutDigest(dir string) (string, error) {
	content, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return "", err
	}
	var index struct{ Manifests []descriptor }
	if err := json.Unmarshal(content, &index); err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	if len(index.Manifests) != 1 {
		return "", fmt.Errorf("%s holds %d images, not one: remove it and build again", dir, len(index.Manifests))
	}
	return index.Manifests[0].Digest, nil
}

func writeJSON(dir, mediaType string, value any) (descriptor, error) {
	content, err := json.Marshal(value)
	if err != nil {
		return descriptor{}, err
	}
	sum := sha256.Sum256(content)
	blob := descriptor{MediaType: mediaType, Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(content))}
	return blob, os.WriteFile(blobPath(dir, blob.Digest), content, 0o644)
}

func blobPath(dir, digest string) string {
	return filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

// writeLayer writes the compressed layer and returns it with the digest of its
// uncompressed tar.
func writeLayer(dir string, write func(*tar.Writer) error) (descriptor, string, error) {
	file, err := os.CreateTemp(dir, "layer-")
	if err != nil {
		return descriptor{}, "", err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	compressed, plain := sha256.New(), sha256.New()
	// Fast over small: the layer is read once, by the engine beside it.
	zip, err := gzip.NewWriterLevel(io.MultiWriter(file, compressed), gzip.BestSpeed)
	if err != nil {
		return descriptor{}, "", err
	}
	archive := tar.NewWriter(io.MultiWriter(zip, plain))
	for _, finish := range []func() error{func() error { return write(archive) }, archive.Close, zip.Close} {
		if err := finish(); err != nil {
			return descriptor{}, "", fmt.Errorf("write the layer: %w", err)
		}
	}
	info, err := file.Stat()
	if err != nil {
		return descriptor{}, "", err
	}
	blob := descriptor{MediaType: mediaLayer, Digest: "sha256:" + hex.EncodeToString(compressed.Sum(nil)), Size: info.Size()}
	if err := os.Chmod(file.Name(), 0o644); err != nil {
		return descriptor{}, "", err
	}
	return blob, "sha256:" + hex.EncodeToString(plain.Sum(nil)), os.Rename(file.Name(), blobPath(dir, blob.Digest))
}

// addTree adds the folder from and all below it to an archive as the folder
// to, owned by root. mode gives the permissions of a file by its path in the
// tree, from those it has.
func addTree(archive *tar.Writer, from, to string, mode func(name string, mode fs.FileMode) fs.FileMode) error {
	return filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		target := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if target, err = os.Readlink(file); err != nil {
				return err
			}
		} else if !info.IsDir() && !info.Mode().IsRegular() {
			return nil
		}
		header, err := tar.FileInfoHeader(info, target)
		if err != nil {
			return err
		}
		header.Name = path.Join(to, filepath.ToSlash(relative))
		if info.IsDir() {
			header.Name += "/"
		}
		header.Mode = int64(mode(filepath.ToSlash(relative), info.Mode()).Perm())
		header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
		header.AccessTime, header.ChangeTime = header.ModTime, header.ModTime
		header.Format = tar.FormatPAX
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		content, err := os.Open(file)
		if err != nil {
			return err
		}
		defer content.Close()
		_, err = io.Copy(archive, content)
		return err
	})
}

// addDir adds one empty folder to an archive.
func addDir(archive *tar.Writer, name string, mode int64) error {
	if mode > 0o7777 {
		return fmt.Errorf("%s: %s is no mode", name, strconv.FormatInt(mode, 8))
	}
	return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode})
}
