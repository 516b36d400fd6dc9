package gittree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"

	"slipway/step"
)

// File is a file as the entry of a Git tree names it.
type File struct {
	// Mode is that of a regular file, of one that its owner may execute, or of a
	// symbolic link.
	Mode filemode.FileMode
	ID   plumbing.Hash
}

// Files are the files at and below a path in root, by their path in root, as Git
// counts them (see Hash). A path that is not there has none.
//
// Faults of KindInput: the path is behind a symbolic link, so that its files are
// others'; there is a socket, device or pipe; there is a repository, also at the
// path itself: Git lists none of its files. The path "." is the repository that root
// is, without its .git.
func Files(root, name string) (map[string]File, error) {
	files := map[string]File{}
	for at := name; at != "."; at = path.Dir(at) {
		info, err := os.Lstat(filepath.Join(root, at))
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return nil, step.Input(Stage, at, "is a symbolic link: what is behind it belongs to another folder",
				"put the files there themselves")
		}
	}
	err := filepath.WalkDir(filepath.Join(root, name), func(found string, child fs.DirEntry, err error) error {
		if found == filepath.Join(root, name) && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read folder: %w", err)
		}
		relative, err := filepath.Rel(root, found)
		if err != nil {
			return fmt.Errorf("read folder: %w", err)
		}
		shown := filepath.ToSlash(relative)
		if child.Name() == gitFolder {
			if shown == gitFolder && name == "." {
				if child.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			return step.Input(Stage, path.Dir(shown), "is a repository of its own, or a submodule: Git counts none of its files to the commit",
				"put its files into this repository, without its "+gitFolder)
		}
		if child.IsDir() {
			return nil
		}
		files[shown], err = hashFile(found, shown)
		return err
	})
	return files, err
}

// Blob is the id of a file with this content.
func Blob(content []byte) plumbing.Hash { return plumbing.ComputeHash(plumbing.BlobObject, content) }
