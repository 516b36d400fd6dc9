// Package gittree computes Git object ids from the content of a folder,
// without a repository and without git: the id that `git write-tree` prints
// when exactly the folder's files are in the index, as the Git object format
// (gitformat-pack, "git cat-file") defines blobs and trees, with SHA-1.
package gittree

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"slipway/step"
)

// Stage is the stage that faults of this package name.
const Stage = "build"

const gitFolder = ".git"

// Hash returns the tree id of dir. As Git does, it knows a file's content, its
// name and whether its owner may execute it, and a symbolic link's target;
// times, owners, other permission bits and empty folders don't count. A .git at
// the top of dir is left out. Ignore files are not read: every file counts.
//
// Faults of KindInput: dir is missing, is no folder or has no file; it holds a
// socket, device or pipe; it holds a nested repository, whose id in Git would
// be a commit that its content can't tell.
func Hash(dir string) (plumbing.Hash, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return plumbing.ZeroHash, step.Input(Stage, "--tree "+dir, "can't be read", "give the folder of the app").Because(err)
	}
	if !info.IsDir() {
		return plumbing.ZeroHash, step.Input(Stage, "--tree "+dir, "is not a folder", "give the folder of the app")
	}
	id, err := hashTree(dir, true)
	if err == nil && id.IsZero() {
		err = step.Input(Stage, "--tree "+dir, "holds no file", "give the folder of the app")
	}
	return id, err
}

// hashTree returns no id for a folder with no file anywhere below it: Git has no
// empty folders.
func hashTree(dir string, top bool) (none plumbing.Hash, err error) {
	children, err := os.ReadDir(dir)
	if err != nil {
		return none, fmt.Errorf("read folder: %w", err)
	}
	var tree object.Tree
	for _, child := range children {
		path := filepath.Join(dir, child.Name())
		if child.Name() == gitFolder {
			if top {
				continue
			}
			return none, step.Input(Stage, path, "is a repository inside the app",
				"remove the nested repository or submodule, or vendor its files")
		}
		f := File{Mode: filemode.Dir}
		if child.IsDir() {
			f.ID, err = hashTree(path, false)
		} else {
			f, err = hashFile(path, path)
		}
		if err != nil {
			return none, err
		}
		if !f.ID.IsZero() {
			tree.Entries = append(tree.Entries, object.TreeEntry{Name: child.Name(), Mode: f.Mode, Hash: f.ID})
		}
	}
	if len(tree.Entries) == 0 {
		return none, nil
	}
	sort.Sort(object.TreeEntrySorter(tree.Entries))
	encoded := &plumbing.MemoryObject{}
	if err := tree.Encode(encoded); err != nil {
		return none, fmt.Errorf("hash folder: %w", err)
	}
	return encoded.Hash(), nil
}

// hashFile hashes what is no folder; shown is its path in faults.
func hashFile(path, shown string) (File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return File{}, fmt.Errorf("read file: %w", err)
	}
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return File{Mode: filemode.Symlink, ID: Blob([]byte(target))}, err
	case mode.IsRegular():
		f := File{Mode: filemode.Regular}
		if mode.Perm()&0o100 != 0 {
			f.Mode = filemode.Executable
		}
		f.ID, err = fileID(path, info.Size())
		return f, err
	}
	return File{}, step.Input(Stage, shown, "is neither a file, a folder nor a symbolic link", "remove it")
}

func fileID(path string, size int64) (none plumbing.Hash, err error) {
	f, err := os.Open(path)
	if err != nil {
		return none, fmt.Errorf("read file: %w", err)
	}
	defer f.Close()
	h := plumbing.NewHasher(plumbing.BlobObject, size)
	n, err := io.Copy(h, f)
	if err != nil {
		return none, fmt.Errorf("read file %s: %w", path, err)
	}
	if n != size {
		return none, step.Input(Stage, path, "changed while it was read", "build again when nothing writes to the app's folder")
	}
	return h.Sum(), nil
}
