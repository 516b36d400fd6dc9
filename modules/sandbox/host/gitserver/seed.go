package gitserver

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"slipway/sandbox/host/accounts"
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

// Remote is a repository that is pushed to.
type Remote struct {
	URL string
	// Account is who pushes; none pushes to a sandbox that is open.
	Account accounts.Account
}

// run is Run as the remote's account, of which neither a command line nor an error
// says anything.
func (r Remote) run(ctx context.Context, dir string, args ...string) (string, error) {
	if r.Account == (accounts.Account{}) {
		return run(ctx, nil, dir, args...)
	}
	basic := base64.StdEncoding.EncodeToString([]byte(r.Account.Username + ":" + r.Account.Password))
	return run(ctx, []string{
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http." + r.URL + ".extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Basic " + basic,
	}, dir, args...)
}

// Seed fills the remote with the folder at tree, as root/ on the
// default branch, when it has no history at all; otherwise it changes nothing.
// Of two seeds at the same time one makes the commit, and the other sees it.
func Seed(ctx context.Context, remote Remote, tree, root string) (Seeded, error) {
	if info, err := os.Stat(tree); err != nil {
		return Seeded{}, fmt.Errorf("seed: the GitOps tree: %w", err)
	} else if !info.IsDir() {
		return Seeded{}, fmt.Errorf("seed: the GitOps tree %s is not a folder", tree)
	}
	if !filepath.IsLocal(root) || strings.HasPrefix(root, ".git") {
		return Seeded{}, fmt.Errorf("seed: %q is not a folder inside a repository", root)
	}
	if s, empty, err := look(ctx, remote); err != nil || !empty {
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
	if _, err := remote.run(ctx, work, "push", "--quiet", "--", remote.URL, "HEAD:refs/heads/"+Branch); err != nil {
		// Another seed may have come first: the remote says so, not the error.
		if s, empty, lookErr := look(ctx, remote); lookErr == nil && !empty {
			return s, nil
		}
		return Seeded{}, err
	}
	return Seeded{Seeded: true, Commit: strings.TrimSpace(commit)}, nil
}

// digestLine is the line of an overlay that a release changes.
var digestLine = regexp.MustCompile(`(?m)^[ \t]*(- )?digest: sha256:[0-9a-f]{64}[ \t]*$`)

// Update brings the folder at tree to the seeded remote, as one
// commit: what a developer does who pushes the checkout. Digests that releases
// have put into overlays stay. When nothing differs it makes no commit.
func Update(ctx context.Context, remote Remote, tree, root string) (Seeded, error) {
	s, err := Seed(ctx, remote, tree, root)
	if err != nil || s.Seeded {
		return s, err
	}
	work, err := os.MkdirTemp("", "slipway-seed-")
	if err != nil {
		return Seeded{}, err
	}
	defer os.RemoveAll(work)
	for attempt := 1; ; attempt++ {
		clone := filepath.Join(work, fmt.Sprint(attempt))
		if _, err := remote.run(ctx, "", "clone", "--quiet", "--depth=1", "--branch="+Branch, "--", remote.URL, clone); err != nil {
			return Seeded{}, err
		}
		if err := syncTree(filepath.Join(clone, root), tree); err != nil {
			return Seeded{}, err
		}
		if _, err := Run(ctx, clone, "add", "--all", "--force"); err != nil {
			return Seeded{}, err
		}
		changed, err := Run(ctx, clone, "status", "--porcelain")
		if err != nil {
			return Seeded{}, err
		}
		if changed != "" {
			if _, err := Run(ctx, clone, "-c", "user.name=Slipway", "-c", "user.email=slipway@localhost", "-c", "commit.gpgSign=false",
				"commit", "--quiet", "--message=Update the GitOps tree from the checkout"); err != nil {
				return Seeded{}, err
			}
		}
		commit, err := Run(ctx, clone, "rev-parse", "HEAD")
		if err != nil {
			return Seeded{}, err
		}
		if changed == "" {
			return Seeded{Commit: strings.TrimSpace(commit)}, nil
		}
		_, err = remote.run(ctx, clone, "push", "--quiet", "origin", "HEAD:refs/heads/"+Branch)
		if err == nil {
			return Seeded{Seeded: true, Commit: strings.TrimSpace(commit)}, nil
		}
		if attempt == 5 {
			return Seeded{}, err
		}
	}
}

// syncTree makes the folder at to hold the files of the folder at from, and no
// others, with to's own digests.
func syncTree(to, from string) error {
	released := map[string]string{}
	err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() != "kustomization.yaml" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		// An overlay has one digest; with another number nobody can say which
		// belongs where, and the file is left as it is.
		if lines := digestLine.FindAllString(string(data), -1); len(lines) == 1 {
			rel, err := filepath.Rel(to, path)
			released[rel] = lines[0]
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return fmt.Errorf("copy the GitOps tree: %w", err)
	}
	for rel, line := range released {
		path := filepath.Join(to, rel)
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(digestLine.ReplaceAllLiteralString(string(data), line)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// look asks the remote whether it has any history, and where its branch is.
func look(ctx context.Context, remote Remote) (s Seeded, empty bool, err error) {
	out, err := remote.run(ctx, "", "ls-remote", "--", remote.URL)
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
