package commit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"slipway/build/step/gittree"
	"slipway/step"
)

const gitFolder = ".git"

// wholeClone is the mend of a repository that lacks objects.
const wholeClone = "give a clone that has them all: git fetch --refetch --no-filter fills a partial one, git fsck says what a broken one lacks"

func unfit(reason, mend string) *step.Fault {
	return step.Input(gittree.Stage, "repository", reason, mend)
}

// head is the commit that a checkout stands at, read from the objects of its
// repository: no attribute, filter or setting has touched what they say.
type head struct {
	store *filesystem.Storage
	// borrows is true when objects may be in another repository, which isn't there.
	borrows bool
	id      plumbing.Hash
	tree    plumbing.Hash
	// authors are the e-mail addresses that the commit names.
	authors []string
}

// open finds the head of the checkout at source. Its .git is in the folder
// repository; source has one only where the checkout is a linked worktree.
func open(repository, source string) (*head, error) {
	folder := filepath.Join(repository, gitFolder)
	info, err := os.Lstat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, unfit("is no checkout: it has no folder "+gitFolder+", as an unpacked archive or a bare repository has none",
			"give a full checkout: git clone it, and call from there, or name it with --repository")
	case err != nil:
		return nil, fmt.Errorf("read the repository: %w", err)
	case info.Mode().IsRegular():
		return nil, linked(folder)
	case !info.IsDir():
		return nil, unfit("has a "+gitFolder+" that is a symbolic link, so that its objects are elsewhere", "give a full checkout with --repository: the folder that holds "+gitFolder+" itself")
	}
	if _, err := os.Lstat(filepath.Join(folder, "reftable")); err == nil {
		return nil, unfit("keeps its branches as a reftable, which can't be read here", "git refs migrate --ref-format=files")
	}
	_, err = os.Lstat(filepath.Join(folder, "objects/info/alternates"))
	borrows := err == nil
	own := folder
	if worktree, err := worktreeOf(source); err != nil {
		return nil, err
	} else if worktree != "" {
		own = filepath.Join(folder, worktrees, worktree)
	}
	text, err := os.ReadFile(filepath.Join(own, "HEAD"))
	if err != nil {
		return nil, unfit("has no HEAD for this checkout", "give the repository that the checkout belongs to: git rev-parse --git-common-dir names its "+gitFolder).Because(err)
	}
	named := strings.TrimSpace(string(text))
	for _, name := range []string{"packed-refs", filepath.Clean("/" + strings.TrimPrefix(named, "ref: "))} {
		// Either may be missing; who needs it says so.
		refs, _ := os.ReadFile(filepath.Join(folder, name))
		if sha256Pattern.Match(refs) || sha256Pattern.MatchString(named) {
			return nil, unfit("names its objects by SHA-256, which can't be read here", "give a repository that names them by SHA-1, as git init --object-format=sha1 makes it")
		}
	}
	h := &head{borrows: borrows, store: filesystem.NewStorage(osfs.New(folder), cache.NewObjectLRUDefault())}
	return h, h.resolve(named)
}

var (
	shaPattern    = regexp.MustCompile(`\A[0-9a-f]{40}\z`)
	sha256Pattern = regexp.MustCompile(`(?m)^[0-9a-f]{64}\b`)
)

// resolve sets the commit that a HEAD names, by its id or by its branch.
func (h *head) resolve(text string) error {
	id := text
	if branch, ok := strings.CutPrefix(text, "ref: "); ok {
		reference, err := storer.ResolveReference(h.store, plumbing.ReferenceName(strings.TrimSpace(branch)))
		if err != nil {
			return unfit(fmt.Sprintf("has no commit at its head %.120q", branch), "commit the work that is to be delivered").Because(err)
		}
		id = reference.Hash().String()
	}
	if !shaPattern.MatchString(id) {
		return unfit(fmt.Sprintf("has a head that is no commit: %.120q", text), "check out a branch or a commit")
	}
	h.id = plumbing.NewHash(id)
	encoded, err := h.read(plumbing.CommitObject, h.id)
	if err != nil {
		return err
	}
	var c object.Commit
	if err := c.Decode(encoded); err != nil {
		return unfit("has a broken commit "+id, wholeClone).Because(err)
	}
	h.tree, h.authors = c.TreeHash, authors(c)
	return nil
}

// since puts another commit in the head's place.
func (h *head) since(id string) error {
	subject := fmt.Sprintf("--since %.120q", id)
	if !shaPattern.MatchString(id) {
		return step.Input(gittree.Stage, subject, "is no commit's id", "give all of its 40 digits, as git rev-parse prints them")
	}
	if _, err := h.store.EncodedObject(plumbing.CommitObject, plumbing.NewHash(id)); errors.Is(err, plumbing.ErrObjectNotFound) && !h.borrows {
		return step.Input(gittree.Stage, subject, "is no commit of the checkout", "fetch it: a shallow checkout has no history (fetch-depth: 0), and a forced push has taken the commit away").Because(err)
	}
	return h.resolve(id)
}

var coauthorPattern = regexp.MustCompile(`(?im)^co-authored-by:.*<([^<>\n]+)>\s*$`)

// authors are the e-mail addresses of who has made a commit.
func authors(c object.Commit) []string {
	all := []string{c.Author.Email, c.Committer.Email}
	for _, found := range coauthorPattern.FindAllStringSubmatch(c.Message, -1) {
		all = append(all, found[1])
	}
	for n := range all {
		all[n] = strings.ToLower(strings.TrimSpace(all[n]))
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(email string) bool { return email == "" })
}

// read returns an object whose content has been hashed: an id that a repository
// gives to something else does not pass.
func (h *head) read(kind plumbing.ObjectType, id plumbing.Hash) (plumbing.EncodedObject, error) {
	broken := func(what string, err error) error {
		return unfit(fmt.Sprintf("%s %s %s of its head", what, kind, id), wholeClone).Because(err)
	}
	encoded, err := h.store.EncodedObject(kind, id)
	if errors.Is(err, plumbing.ErrObjectNotFound) && h.borrows {
		return nil, unfit("borrows objects from another repository, which isn't there in a build", "make it whole: git repack -a -d, then remove "+gitFolder+"/objects/info/alternates").Because(err)
	}
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, broken("lacks", err)
	}
	if err != nil {
		return nil, broken("can't be read: it has a broken", err)
	}
	content, err := h.text(encoded)
	if err != nil {
		return nil, broken("can't be read: it has a broken", err)
	}
	if plumbing.ComputeHash(kind, content) != id {
		return nil, broken("has another content under the id of", nil)
	}
	return encoded, nil
}

func (*head) text(encoded plumbing.EncodedObject) ([]byte, error) {
	reader, err := encoded.Reader()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return io.ReadAll(reader)
}

// worktrees is the folder of a repository's linked worktrees.
const worktrees = "worktrees"

var gitdirPattern = regexp.MustCompile(`\Agitdir: (.*)/\.git/worktrees/([^/\s]+)\s*\z`)

// linked is the refusal of a repository whose .git is a file.
func linked(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the repository: %w", err)
	}
	if found := gitdirPattern.FindStringSubmatch(string(text)); found != nil {
		return unfit("is a linked worktree, whose objects are in the repository that it was made from",
			fmt.Sprintf("name that repository, too: --repository %s", shown(found[1])))
	}
	return unfit("has a file "+gitFolder+" instead of a folder, as a submodule, a worktree of a bare repository or a checkout with a separate Git folder has", "give a full checkout: git clone it, and call from there, or name it with --repository")
}

// worktreeOf is the name of the linked worktree that source is; empty when it is
// none.
func worktreeOf(source string) (string, error) {
	file := filepath.Join(source, gitFolder)
	info, err := os.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the source: %w", err)
	}
	found := gitdirPattern.FindStringSubmatch(string(text))
	if found == nil || found[2] == "." || found[2] == ".." {
		return "", unfit("can't be told from the source's file "+gitFolder, "give a full checkout: git clone it, and call from there")
	}
	return found[2], nil
}
