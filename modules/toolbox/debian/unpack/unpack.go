// Package unpack lays the files of Debian packages into a folder, without
// running anything of theirs.
package unpack

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"pault.ag/go/debian/deb"
)

// merged are the top-level folders that are links into /usr in a Debian system
// of today; older packages still carry files in them.
var merged = []string{"bin", "sbin", "lib", "lib64"}

// skipped are folders that no program needs to run.
var skipped = []string{"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/bug", "usr/share/info"}

// Prepare makes the folder's layout: /usr and the links into it.
func Prepare(root *os.Root) error {
	for _, name := range merged {
		if err := root.MkdirAll("usr/"+name, 0o755); err != nil {
			return err
		}
		if err := root.Symlink("usr/"+name, name); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// Package lays one package's files into root. Devices and set-user-id bits are
// left out. A path outside of root is an error.
func Package(root *os.Root, name string, data []byte) error {
	pkg, err := deb.Load(bytes.NewReader(data), name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for {
		header, err := pkg.Data.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := entry(root, header, pkg.Data); err != nil {
			return fmt.Errorf("%s: %s: %w", name, header.Name, err)
		}
	}
}

func entry(root *os.Root, header *tar.Header, content io.Reader) error {
	target := place(header.Name)
	if target == "." || skip(target) {
		return nil
	}
	mode := fs.FileMode(header.Mode).Perm()
	if header.Typeflag == tar.TypeDir {
		return root.MkdirAll(target, mode|0o700)
	}
	if err := root.MkdirAll(path.Dir(target), 0o755); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeReg:
		file, err := root.OpenFile(target, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Close())
	case tar.TypeSymlink:
		if err := root.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return root.Symlink(header.Linkname, target)
	case tar.TypeLink:
		if err := root.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return root.Link(place(header.Linkname), target)
	}
	return nil
}

// place is where an entry goes, relative to the root.
func place(name string) string {
	clean := strings.TrimPrefix(path.Clean("/"+name), "/")
	if clean == "" {
		return "."
	}
	top, rest, _ := strings.Cut(clean, "/")
	for _, folder := range merged {
		if top == folder {
			return path.Join("usr", folder, rest)
		}
	}
	return clean
}

func skip(target string) bool {
	for _, folder := range skipped {
		if target == folder || strings.HasPrefix(target, folder+"/") {
			return true
		}
	}
	return false
}
