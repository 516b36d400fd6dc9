package remote

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"

	"slipway/gitops/step/overlay"
	"slipway/step"
)

// Snapshot is the branch as it was at one moment.
type Snapshot struct {
	store *memory.Storage
	head  *object.Commit
}

// Head is the branch's newest commit.
func (s *Snapshot) Head() plumbing.Hash { return s.head.Hash }

// Tree reads the files below root, a path inside the repository; "." is all of
// it. Symbolic links are noted, never followed; submodules are left out.
func (s *Snapshot) Tree(root string) (overlay.Tree, error) {
	top, err := s.head.Tree()
	if err != nil {
		return overlay.Tree{}, fmt.Errorf("read the branch's tree: %w", err)
	}
	if root != "." {
		at := top
		for _, part := range strings.Split(root, "/") {
			entry, err := at.FindEntry(part)
			if err != nil || entry.Mode != filemode.Dir {
				return overlay.Tree{}, step.Input(Stage, "root "+root, "is not a folder of the repository",
					"give the GitOps folder's path inside the repository, without links").Because(err)
			}
			if at, err = object.GetTree(s.store, entry.Hash); err != nil {
				return overlay.Tree{}, fmt.Errorf("read %s: %w", root, err)
			}
		}
		top = at
	}
	tree := overlay.Tree{Files: map[string][]byte{}}
	size := 0
	walker := object.NewTreeWalker(top, true, nil)
	defer walker.Close()
	for {
		name, entry, err := walker.Next()
		if errors.Is(err, io.EOF) {
			if name != "" { // so go-git ends at a folder that the remote left out
				return overlay.Tree{}, fmt.Errorf("read %s: %w", name, plumbing.ErrObjectNotFound)
			}
			return tree, nil
		}
		if err != nil {
			return overlay.Tree{}, fmt.Errorf("read the files of %s: %w", root, err)
		}
		switch entry.Mode {
		case filemode.Symlink:
			tree.Links = append(tree.Links, name)
		case filemode.Regular, filemode.Executable, filemode.Deprecated:
			data, err := s.blob(entry.Hash)
			if err != nil {
				return overlay.Tree{}, fmt.Errorf("read %s: %w", name, err)
			}
			if size += len(data); size > overlay.MaxTree {
				return overlay.Tree{}, overlay.TooBig("root " + root)
			}
			tree.Files[name] = data
		}
	}
}

func (s *Snapshot) blob(hash plumbing.Hash) ([]byte, error) {
	blob, err := object.GetBlob(s.store, hash)
	if err != nil {
		return nil, err
	}
	reader, err := blob.Reader()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(reader)
	return data, errors.Join(err, reader.Close())
}

// File reads one file of one commit of the snapshot. A commit that does not
// have it gives object.ErrFileNotFound.
func (s *Snapshot) File(commit plumbing.Hash, name string) ([]byte, error) {
	at, err := object.GetCommit(s.store, commit)
	if err != nil {
		return nil, err
	}
	file, err := at.File(name)
	if err != nil {
		return nil, err
	}
	return s.blob(file.Hash)
}

// Commit is one commit of the snapshot.
func (s *Snapshot) Commit(hash plumbing.Hash) (*object.Commit, error) {
	return object.GetCommit(s.store, hash)
}

// Parents are the parents of one commit of the snapshot. complete is false
// when the snapshot's history ends there although the branch's goes on.
func (s *Snapshot) Parents(commit plumbing.Hash) (parents []plumbing.Hash, complete bool, err error) {
	at, err := object.GetCommit(s.store, commit)
	if err != nil {
		return nil, false, err
	}
	for _, parent := range at.ParentHashes {
		if s.store.HasEncodedObject(parent) != nil {
			return nil, false, nil
		}
	}
	return at.ParentHashes, true, nil
}

// Author is who a commit is from, and when it was made.
type Author struct {
	Name  string
	Email string
	When  time.Time
}

// Change is one commit on top of a Snapshot, not yet pushed.
type Change struct {
	// Commit is the commit's hash.
	Commit plumbing.Hash
	base   *Snapshot
	// objects are the hashes of everything the commit adds.
	objects []plumbing.Hash
}

// Replace makes a commit on top of the snapshot in which the existing regular
// file name, a path inside the repository, has content. Nothing else differs.
func (s *Snapshot) Replace(name string, content []byte, message string, author Author) (*Change, error) {
	c := &Change{base: s}
	blob, err := c.add(plumbing.BlobObject, func(o plumbing.EncodedObject) error {
		w, err := o.Writer()
		if err != nil {
			return err
		}
		_, err = w.Write(content)
		return errors.Join(err, w.Close())
	})
	if err != nil {
		return nil, err
	}
	tree, err := c.replace(s.head.TreeHash, strings.Split(path.Clean(name), "/"), blob)
	if err != nil {
		return nil, fmt.Errorf("replace %s: %w", name, err)
	}
	signature := object.Signature{Name: author.Name, Email: author.Email, When: author.When}
	commit := &object.Commit{
		Author: signature, Committer: signature, Message: message,
		TreeHash: tree, ParentHashes: []plumbing.Hash{s.head.Hash},
	}
	if c.Commit, err = c.add(plumbing.CommitObject, commit.Encode); err != nil {
		return nil, err
	}
	return c, nil
}

// replace writes the tree that has blob at the path parts, and returns it.
func (c *Change) replace(tree plumbing.Hash, parts []string, blob plumbing.Hash) (plumbing.Hash, error) {
	old, err := object.GetTree(c.base.store, tree)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	fresh := &object.Tree{Entries: slices.Clone(old.Entries)}
	i := slices.IndexFunc(fresh.Entries, func(e object.TreeEntry) bool { return e.Name == parts[0] })
	if i < 0 {
		return plumbing.ZeroHash, object.ErrEntryNotFound
	}
	e := &fresh.Entries[i]
	switch {
	case len(parts) == 1 && (e.Mode == filemode.Regular || e.Mode == filemode.Executable || e.Mode == filemode.Deprecated):
		e.Hash = blob
	case len(parts) > 1 && e.Mode == filemode.Dir:
		if e.Hash, err = c.replace(e.Hash, parts[1:], blob); err != nil {
			return plumbing.ZeroHash, err
		}
	default:
		return plumbing.ZeroHash, fmt.Errorf("%s is no regular file or folder", e.Name)
	}
	return c.add(plumbing.TreeObject, fresh.Encode)
}

// add stores one object of the change.
func (c *Change) add(kind plumbing.ObjectType, encode func(plumbing.EncodedObject) error) (plumbing.Hash, error) {
	o := c.base.store.NewEncodedObject()
	o.SetType(kind)
	if err := encode(o); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("encode a %s: %w", kind, err)
	}
	hash, err := c.base.store.SetEncodedObject(o)
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("store a %s: %w", kind, err)
	}
	c.objects = append(c.objects, hash)
	return hash, nil
}
