// Package commit compares what is built with the commit that its provenance
// names: with the objects of the commit, never with an index or a working tree,
// and with every file that is there, whether Git ignores it or not.
package commit

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"slipway/build/step/gittree"
	"slipway/step"
	"slipway/step/result/build"
)

// Most is how many differing files are named.
const Most = 20

// Input is what is compared.
type Input struct {
	// Repository is a folder that holds the folder .git of the checkout.
	Repository string
	// Source is the folder that things are taken from, and Paths what is taken: files
	// and folders in it, and in the commit; "." is all of it.
	Source string
	Paths  []string
	// Without are patterns of names that were left out of Source (path.Match): a file
	// of the commit with such a name, or below one, may be missing.
	Without []string
	// Since is the id of another commit of the checkout to compare with, instead of the
	// one that it stands at.
	Since string
}

// Compare compares what is taken with the commit that the checkout stands at, or with
// another one.
//
// Faults of KindInput: the repository is no checkout, or one without the objects
// of the commit; what gittree.Files refuses; a submodule in a path.
func Compare(in Input) (build.Compared, error) {
	h, err := open(in.Repository, in.Source)
	if err == nil && in.Since != "" {
		err = h.since(in.Since)
	}
	if err != nil {
		return build.Compared{}, err
	}
	taken, committed := map[string]gittree.File{}, map[string]gittree.File{}
	for _, name := range in.Paths {
		if clean := path.Clean(name); clean != name || path.IsAbs(name) || strings.HasPrefix(name, "..") {
			return build.Compared{}, step.Input(gittree.Stage, fmt.Sprintf("--path %.120q", name), "is no path in the repository", "write it like apps/hello, or . for all of it")
		}
		// The commit first: it can say that a folder is a submodule.
		below := name
		if name == "." {
			below = ""
		}
		if err := h.files(committed, h.tree, "", below); err != nil {
			return build.Compared{}, err
		}
		files, err := gittree.Files(in.Source, name)
		if err != nil {
			return build.Compared{}, err
		}
		maps.Copy(taken, files)
	}
	all := maps.Clone(committed)
	maps.Copy(all, taken)
	result := build.Compared{Commit: h.id.String(), Authors: h.authors}
	more, changed := 0, map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, before := committed[name]
		is, now := taken[name]
		difference := ""
		switch {
		case !now && !in.leftOut(name):
			difference = "removed " + shown(name)
		case now && !before:
			difference = "added " + shown(name)
		case now && was != is:
			difference = "changed " + shown(name) + in.how(h, name, was, is)
		case now && pointer(in.content(name, maxPointer)):
			difference = "changed " + shown(name) + " (Git LFS has the file, and the commit only a pointer to it)"
		default:
			continue
		}
		for _, p := range in.Paths {
			changed[p] = changed[p] || p == "." || p == name || strings.HasPrefix(name, p+"/")
		}
		if len(result.Uncommitted) == Most {
			more++
			continue
		}
		result.Uncommitted = append(result.Uncommitted, difference)
	}
	if more > 0 {
		result.Uncommitted = append(result.Uncommitted, fmt.Sprintf("and %d more", more))
	}
	for _, p := range in.Paths {
		if changed[p] {
			result.Changed = append(result.Changed, p)
		}
	}
	return result, nil
}

// files adds the files of the commit at and below a path. The tree has this id
// and lies at the folder at; rest is what is left of the path.
func (h *head) files(files map[string]gittree.File, id plumbing.Hash, at, rest string) error {
	encoded, err := h.read(plumbing.TreeObject, id)
	if err != nil {
		return err
	}
	var tree object.Tree
	if err := tree.Decode(encoded); err != nil {
		return unfit("has a broken tree "+id.String(), wholeClone).Because(err)
	}
	wanted, rest, _ := strings.Cut(rest, "/")
	seen := map[string]bool{}
	for _, e := range tree.Entries {
		name := path.Join(at, e.Name)
		if seen[e.Name] || path.Base(name) != e.Name {
			return unfit(fmt.Sprintf("has a tree %s with an entry that no folder can have: %s", id, shown(e.Name)), "git fsck says which commit made it; commit the folder again")
		}
		seen[e.Name] = true
		if wanted != "" && e.Name != wanted {
			continue
		}
		switch e.Mode {
		case filemode.Dir:
			if err := h.files(files, e.Hash, name, rest); err != nil {
				return err
			}
		case filemode.Submodule:
			return step.Input(gittree.Stage, shown(name), "is a submodule: its files are in no commit of this repository", "put its files into this repository: git rm --cached it, remove its "+gitFolder+", and add it again")
		default:
			if rest == "" {
				files[name] = gittree.File{Mode: e.Mode, ID: e.Hash}
			}
		}
	}
	return nil
}

func (in Input) leftOut(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if slices.ContainsFunc(in.Without, func(pattern string) bool {
			ok, err := path.Match(pattern, part)
			return err == nil && ok
		}) {
			return true
		}
	}
	return false
}

// maxRead is the size up to which a file's content is looked at to tell how it
// differs; that it differs is known from its id alone.
const maxRead = 8 << 20

// content is that of a file as it is taken; empty when it has most bytes or more,
// and when it is no file.
func (in Input) content(name string, most int64) []byte {
	file := filepath.Join(in.Source, filepath.FromSlash(name))
	info, err := os.Lstat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() >= most {
		return nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return content
}

// how says how a file has changed, where that tells more than that it has.
func (in Input) how(h *head, name string, was, is gittree.File) string {
	if was.ID == is.ID || was.Mode == filemode.Symlink || is.Mode == filemode.Symlink {
		switch {
		case is.Mode == filemode.Symlink && was.Mode != filemode.Symlink:
			return " (now a symbolic link)"
		case was.Mode == filemode.Symlink && is.Mode != filemode.Symlink:
			return " (no longer a symbolic link)"
		case is.Mode == filemode.Executable:
			return " (now executable)"
		case was.Mode == filemode.Executable:
			return " (no longer executable)"
		}
		return ""
	}
	content := in.content(name, maxRead)
	lf := bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
	if gittree.Blob(lf) == was.ID || gittree.Blob(bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n"))) == was.ID {
		return " (line endings)"
	}
	if encoded, err := h.store.EncodedObject(plumbing.BlobObject, was.ID); err == nil && encoded.Size() < maxPointer {
		if text, err := h.text(encoded); err == nil && pointer(text) {
			return " (Git LFS has the file, and the commit only a pointer to it)"
		}
	}
	return ""
}

// A pointer of Git LFS (docs/spec.md there) is smaller than this.
const maxPointer = 1024

var pointerPattern = regexp.MustCompile(`\Aversion https?://[^\n]+\n(ext-[^\n]+\n)*oid sha256:[0-9a-f]{64}\nsize [0-9]+\n`)

func pointer(content []byte) bool {
	return len(content) < maxPointer && pointerPattern.Match(content)
}

// shown is a path on one line and in one word, whatever is in it.
func shown(name string) string {
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` || strings.ContainsAny(name, " ,;()") {
		return quoted
	}
	return name
}
