// Package gittree computes Git object ids from the content of a folder,
// without a repository and without git: the id that `git write-tree` prints
// when exactly the folder's files are in the index, as the Git object format
// (gitformat-pack, "git cat-file") defines blobs and trees, with SHA-1.
package gittree

import (
	"crypto/sha1" //nolint:gosec // Git's object format is SHA-1; the id names a source state and is no integrity check here.
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"

	"slipway/step"
)

// Stage is the stage that faults of this package name.
const Stage = "build"

const (
	modeTree       = "40000"
	modeFile       = "100644"
	modeExecutable = "100755"
	modeSymlink    = "120000"
	gitFolder      = ".git"
)

// ID is a Git object id: 40 lower-case hexadecimal digits.
type ID string

type entry struct {
	mode string
	name string
	id   []byte
}

// Hash returns the tree id of dir. As Git does, it knows a file's content, its
// name and whether its owner may execute it, and a symbolic link's target;
// times, owners, other permission bits and empty folders don't count. A .git at
// the top of dir is left out. Ignore files are not read: every file counts.
//
// Faults of KindInput: dir is missing, is no folder or has no file; it holds a
// socket, device or pipe; it holds a nested repository, whose id in Git would
// be a commit that its content can't tell.
func Hash(dir string) (ID, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", step.Input(Stage, "--tree "+dir, "can't be read", "give the folder of the app").Because(err)
	}
	if !info.IsDir() {
		return "", step.Input(Stage, "--tree "+dir, "is not a folder", "give the folder of the app")
	}
	id, err := hashTree(dir, true)
	if err != nil {
		return "", err
	}
	if id == nil {
		return "", step.Input(Stage, "--tree "+dir, "holds no file", "give the folder of the app")
	}
	return ID(hex.EncodeToString(id)), nil
}

// hashTree returns nil for a folder with no file anywhere below it: Git has no
// empty folders.
func hashTree(dir string, top bool) ([]byte, error) {
	children, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read folder: %w", err)
	}
	var entries []entry
	for _, child := range children {
		path := filepath.Join(dir, child.Name())
		if child.Name() == gitFolder {
			if top {
				continue
			}
			return nil, step.Input(Stage, path, "is a repository inside the app",
				"remove the nested repository or submodule, or vendor its files")
		}
		e, err := hashEntry(path, child)
		if err != nil {
			return nil, err
		}
		if e.id != nil {
			entries = append(entries, e)
		}
	}
	if len(entries) == 0 {
		return nil, nil
	}
	return treeID(entries), nil
}

func hashEntry(path string, child fs.DirEntry) (e entry, err error) {
	if child.IsDir() {
		e.mode = modeTree
		e.id, err = hashTree(path, false)
	} else {
		e, err = hashFile(path, path)
	}
	e.name = child.Name()
	return e, err
}

// hashFile hashes what is no folder; shown is its path in faults.
func hashFile(path, shown string) (entry, error) {
	e := entry{}
	info, err := os.Lstat(path)
	if err != nil {
		return e, fmt.Errorf("read file: %w", err)
	}
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		e.mode = modeSymlink
		var target string
		if target, err = os.Readlink(path); err == nil {
			e.id = blobID([]byte(target))
		}
	case mode.IsRegular():
		e.mode = modeFile
		if mode.Perm()&0o100 != 0 {
			e.mode = modeExecutable
		}
		e.id, err = fileID(path, info.Size())
	default:
		return e, step.Input(Stage, shown, "is neither a file, a folder nor a symbolic link", "remove it")
	}
	return e, err
}

// treeID hashes a tree object. Git orders entries by name in bytes, a folder's
// name as if it ended in a slash.
func treeID(entries []entry) []byte {
	key := func(e entry) string {
		if e.mode == modeTree {
			return e.name + "/"
		}
		return e.name
	}
	sort.Slice(entries, func(i, j int) bool { return key(entries[i]) < key(entries[j]) })
	var body []byte
	for _, e := range entries {
		body = append(body, e.mode+" "+e.name+"\x00"...)
		body = append(body, e.id...)
	}
	h := object("tree", int64(len(body)))
	h.Write(body)
	return h.Sum(nil)
}

func blobID(content []byte) []byte {
	h := object("blob", int64(len(content)))
	h.Write(content)
	return h.Sum(nil)
}

func fileID(path string, size int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	defer f.Close()
	h := object("blob", size)
	n, err := io.Copy(h, f)
	if err != nil {
		return nil, fmt.Errorf("read file %s: %w", path, err)
	}
	if n != size {
		return nil, step.Input(Stage, path, "changed while it was read", "build again when nothing writes to the app's folder")
	}
	return h.Sum(nil), nil
}

// object starts an object's hash with Git's header: type, size, NUL.
func object(kind string, size int64) hash.Hash {
	h := sha1.New() //nolint:gosec // see the import
	h.Write([]byte(kind + " " + strconv.FormatInt(size, 10) + "\x00"))
	return h
}
