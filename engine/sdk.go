package engine

import (
	"archive/tar"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// sdkEnv is the environment of the Go SDK image.
var sdkEnv = []string{
	"PATH=/usr/local/bin:/usr/local/go/bin",
	"HOME=/root",
	"GOROOT=/usr/local/go",
	"GOPATH=/go",
	"GOTOOLCHAIN=local",
	"CGO_ENABLED=0",
}

// certificates is the CA bundle, on Debian and in every root made here.
const certificates = "/etc/ssl/certs/ca-certificates.crt"

// sdkTrees are the folders that the image consists of, besides /tmp.
var sdkTrees = []string{
	"/usr/local/go", "/usr/local/bin", proxyPath, "/etc/ssl/certs", "/go/pkg/mod", "/root/.cache/go-build",
}

// SDK builds the Go SDK image from its seeded root and the code generator.
func (b *Builder) SDK(ctx context.Context) error {
	return b.part("pack the Go SDK image", b.Dirs.SDK(), func(temp string) error {
		root := b.seedDir()
		codegen, err := os.ReadFile(filepath.Join(b.Dirs.Programs(), "codegen"))
		if err != nil {
			return err
		}
		bin := filepath.Join(root, "usr/local/bin")
		if err := os.MkdirAll(bin, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(bin, "codegen"), codegen, 0o755); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		// The engine opens the layout as a content store, which has this folder.
		if err := os.Mkdir(filepath.Join(temp, "ingest"), 0o755); err != nil {
			return err
		}
		if _, err := writeLayout(temp, sdkEnv, func(archive *tar.Writer) error { return addSDK(archive, root) }); err != nil {
			return err
		}
		return os.RemoveAll(root)
	})
}

// addSDK adds the image's files from its root.
func addSDK(archive *tar.Writer, root string) error {
	if err := addDir(archive, "tmp", 0o1777); err != nil {
		return err
	}
	for _, tree := range sdkTrees {
		err := addTree(archive, filepath.Join(root, tree), strings.TrimPrefix(tree, "/"), func(_ string, mode fs.FileMode) fs.FileMode { return mode })
		if err != nil {
			return err
		}
	}
	return nil
}

// seedDir is the image's root while it is being made.
func (b *Builder) seedDir() string { return filepath.Join(b.Dirs.Cache, "seed") }

// seedSDK makes the image's root: the toolchain, the file proxy, a CA bundle,
// and the caches that compiling engine/seed at the image's own paths leaves.
func (b *Builder) seedSDK(ctx context.Context) error {
	if exists(b.Dirs.SDK()) {
		return nil
	}
	return b.part("prepare the Go SDK image", b.seedDir(), func(root string) error {
		from, err := downloadToolchain(ctx)
		if err != nil {
			return err
		}
		if err := copyToolchain(from, filepath.Join(root, "usr/local/go")); err != nil {
			return err
		}
		if err := writeFileProxy(root); err != nil {
			return err
		}
		for _, dir := range []string{"tmp", "dev", "etc/ssl/certs", "root/.cache/go-build", "go/pkg/mod"} {
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				return err
			}
		}
		if err := copyFile(certificates, filepath.Join(root, certificates), 0o644); err != nil {
			return err
		}
		return b.compileSeed(ctx, root)
	})
}

// copyToolchain copies a toolchain and makes its commands executable: a module
// has no permissions of its own.
func copyToolchain(from, to string) error {
	return copyTree(from, to, func(name string, info fs.FileInfo) fs.FileMode {
		if info.IsDir() {
			return 0o755
		}
		return toolchainMode(name)
	})
}

// toolchainMode is 0755 for the toolchain's commands and 0644 for the rest.
func toolchainMode(name string) fs.FileMode {
	if strings.HasPrefix(name, "bin/") || strings.HasPrefix(name, "pkg/tool/") {
		return 0o755
	}
	return 0o644
}

// copyFile copies a file's content.
func copyFile(from, to string, mode fs.FileMode) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, mode)
}

// copyTree copies folders, files and links. mode gives the permissions of a folder or
// file by its path in the tree.
func copyTree(from, to string, mode func(name string, info fs.FileInfo) fs.FileMode) error {
	return filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch {
		case info.IsDir():
			return os.MkdirAll(target, mode(filepath.ToSlash(relative), info))
		case info.Mode()&fs.ModeSymlink != 0:
			link, err := os.Readlink(file)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		case info.Mode().IsRegular():
			return copyFile(file, target, mode(filepath.ToSlash(relative), info))
		}
		return nil
	})
}
