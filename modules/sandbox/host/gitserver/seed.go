package gitserver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Seeded says what Seed did.
type Seeded struct {
	// Seeded is false when the repository had a history already and was left
	// alone.
	Seeded bool `json:"seeded"`
	// Commit is the remote branch's commit, 40 hexadecimal digits; empty when
	// the repository has a history but not this branch.
	Commit string `json:"commit"`
}

// Seed fills the repository at url with the folder at tree, as root/ on the
// default branch, when it has no history at all; otherwise it changes nothing.
// Of two seeds at the same time one makes the commit, and the other sees it.
func Seed(ctx context.Context, url, tree, root string) (Seeded, error) {
	if info, err := os.Stat(tree); err != nil {
		return Seeded{}, fmt.Errorf("seed: the GitOps tree: %w", err)
	} else if !info.IsDir() {
		return Seeded{}, fmt.Errorf("seed: the GitOps tree %s is not a folder", tree)
	}
	if !filepath.IsLocal(root) || strings.HasPrefix(root, ".git") {
		return Seeded{}, fmt.Errorf("seed: %q is not a folder inside a repository", root)
	}
	if s, empty, err := look(ctx, url); err != nil || !empty {
		return s, err
	}
	work, err := os.MkdirTemp("", "slipway-seed-")
	if err != nil {
		return Seeded{}, err
	}
	defer os.RemoveAll(work)
	if _, err := Run(ctx, work, "init", "--quiet", "--initial-branch="+Branch); err != nil {
		return Seeded{}, err
	}
	if err := os.CopyFS(filepath.Join(work, root), os.DirFS(tree)); err != nil {
		return Seeded{}, fmt.Errorf("seed: copy the GitOps tree: %w", err)
	}
	for _, args := range [][]string{
		// The tree's own .gitignore must not drop what it holds.
		{"add", "--all", "--force"},
		{"-c", "user.name=Slipway", "-c", "user.email=slipway@localhost", "-c", "commit.gpgSign=false",
			"commit", "--quiet", "--message=Seed the GitOps tree"},
	} {
		if _, err := Run(ctx, work, args...); err != nil {
			return Seeded{}, err
		}
	}
	commit, err := Run(ctx, work, "rev-parse", "HEAD")
	if err != nil {
		return Seeded{}, err
	}
	if _, err := Run(ctx, work, "push", "--quiet", "--", url, "HEAD:refs/heads/"+Branch); err != nil {
		// Another seed may have come first: the remote says so, not the error.
		if s, empty, lookErr := look(ctx, url); lookErr == nil && !empty {
			return s, nil
		}
		return Seeded{}, err
	}
	return Seeded{Seeded: true, Commit: strings.TrimSpace(commit)}, nil
}

// look asks the remote whether it has any history, and where its branch is.
func look(ctx context.Context, url string) (s Seeded, empty bool, err error) {
	out, err := Run(ctx, "", "ls-remote", "--", url)
	if err != nil {
		return Seeded{}, false, err
	}
	for line := range strings.Lines(out) {
		commit, ref, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if ref == "refs/heads/"+Branch {
			s.Commit = commit
		}
	}
	return s, out == "", nil
}
