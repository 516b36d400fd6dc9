package release

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"slipway/gitops/step/overlay"
	"slipway/step"
	"slipway/step/result/gitops"
)

// CommittedStage is the stage named by CheckCommitted's faults.
const CommittedStage = "receipt"

// CheckCommitted looks for the commit in the history of the head of a checkout,
// whose folder .git is read and nothing else, and refuses one that is not there,
// did not change the file, does not hold the image or says another thing of the
// decision that allowed it.
func CheckCommitted(dir string, want gitops.Committed) error {
	for _, err := range []error{checkCommit(want), overlay.Repository(want.Repository), step.Digest(CommittedStage, "digest", want.Digest)} {
		if err != nil {
			return err
		}
	}
	folder := filepath.Join(dir, ".git")
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return step.Input(CommittedStage, "repository", "is no checkout: it has no folder .git",
			"give a clone of the GitOps repository, and no additional worktree of one").Because(err)
	}
	store := filesystem.NewStorage(osfs.New(folder), cache.NewObjectLRUDefault())
	commit, err := ancestor(store, plumbing.NewHash(want.Commit))
	if err != nil {
		return err
	}
	found, err := imageIn(commit, want)
	if err != nil {
		return err
	}
	if err := changed(commit, want.Path); err != nil {
		return err
	}
	said := readMessage(commit.Message)
	if said.digest != found.Digest { // a message about another image says nothing about this one
		said.evidence = ""
	}
	if said.evidence != want.Evidence {
		return step.Policy(CommittedStage, "commit "+want.Commit,
			fmt.Sprintf("has the trailer %s: %s, and the receipt says %s", trailerEvidence, orNone(said.evidence), orNone(want.Evidence)),
			"trust neither: take the receipt from beside the image again, and find out who writes to the repository")
	}
	return nil
}

func checkCommit(c gitops.Committed) error {
	if !commitPattern.MatchString(c.Commit) {
		return step.Input(CommittedStage, fmt.Sprintf("commit %.80q", c.Commit), "is not a commit of the GitOps repository", "give the commit's 40 hexadecimal digits")
	}
	if !fsValid(c.Path) {
		return step.Input(CommittedStage, fmt.Sprintf("path %.80q", c.Path), "is not a path in the repository", "write it like gitops/apps/hello/overlays/dev/kustomization.yaml")
	}
	if c.Evidence == "" {
		return nil
	}
	return step.Digest(CommittedStage, "evidence", c.Evidence)
}

func orNone(value string) string {
	if value == "" {
		return "none"
	}
	return value
}

// ancestor is a commit of the head's history.
func ancestor(store storer.Storer, hash plumbing.Hash) (*object.Commit, error) {
	unreadable := func(err error) error {
		return step.Input(CommittedStage, "repository", "can't be read: "+err.Error(), "give a whole clone of the GitOps repository; git fsck says what it lacks").Because(err)
	}
	reference, err := storer.ResolveReference(store, plumbing.HEAD)
	if err != nil {
		return nil, unreadable(err)
	}
	head, err := object.GetCommit(store, reference.Hash())
	if err != nil {
		return nil, unreadable(err)
	}
	commits := object.NewCommitPreorderIter(head, nil, nil)
	defer commits.Close()
	for {
		commit, err := commits.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, step.Policy(CommittedStage, "commit "+hash.String(), "is not in the history of the checkout's head, "+head.Hash.String(),
				"check out the branch that the cluster follows, and fetch it; if it is not there then, somebody has taken it out")
		case errors.Is(err, plumbing.ErrObjectNotFound):
			return nil, shallow(err)
		case err != nil:
			return nil, unreadable(err)
		case commit.Hash == hash:
			return commit, nil
		}
	}
}

// imageIn is the images entry that the commit's file has, with the wanted digest.
func imageIn(commit *object.Commit, want gitops.Committed) (overlay.Image, error) {
	const mend = "find out who made it: the receipt names the commit and the file that released the image"
	input := "commit " + want.Commit
	file, err := commit.File(want.Path)
	if err != nil {
		return overlay.Image{}, step.Policy(CommittedStage, input, "has no file "+want.Path, mend).Because(err)
	}
	source, err := file.Contents()
	if err != nil {
		return overlay.Image{}, fmt.Errorf("read %s of commit %s: %w", want.Path, commit.Hash, err)
	}
	image, err := overlay.Find(want.Path, []byte(source), want.Repository)
	if err != nil {
		return overlay.Image{}, step.Policy(CommittedStage, input, want.Path+" does not name the image "+want.Repository, mend).Because(err)
	}
	if image.Digest != want.Digest {
		return overlay.Image{}, step.Policy(CommittedStage, input, fmt.Sprintf("%s holds %s, not %s", want.Path, image.Digest, want.Digest), mend)
	}
	return image, nil
}

// changed refuses a commit that has the file as one of its parents has it.
func changed(commit *object.Commit, name string) error {
	now, err := commit.File(name)
	if err != nil {
		return fmt.Errorf("read %s of commit %s: %w", name, commit.Hash, err)
	}
	err = commit.Parents().ForEach(func(parent *object.Commit) error {
		before, err := parent.File(name)
		switch {
		case errors.Is(err, object.ErrFileNotFound):
			return nil
		case err != nil:
			return fmt.Errorf("read %s of commit %s: %w", name, parent.Hash, err)
		case before.Hash == now.Hash:
			return step.Policy(CommittedStage, "commit "+commit.Hash.String(), "does not change "+name,
				"find out who made it: the receipt names the commit that put the digest there")
		}
		return nil
	})
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return shallow(err)
	}
	return err
}

func shallow(err error) error {
	return step.Input(CommittedStage, "repository", "does not have its whole history", "fetch it: git fetch --unshallow").Because(err)
}
