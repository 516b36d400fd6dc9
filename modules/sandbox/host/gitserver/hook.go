package gitserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"slipway/sandbox/host/accounts"
)

// hook is the name of Git's hook that may refuse a push: of all of its refs, before any
// is changed.
const hook = "pre-receive"

// remoteUser is the variable with which http-backend hands on who pushes.
const remoteUser = "REMOTE_USER"

// guard makes this program the hook of a repository. A copy of it: Git passes over a
// hook that is not there, as it is while a program is compiled again.
func guard(repository string, guarded bool) error {
	at := filepath.Join(repository, "hooks", hook)
	if !guarded {
		if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	from, err := os.Open(program)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(at+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	return os.Rename(at+".new", at)
}

// AsHook judges the push, if Git has started this program as its hook, and returns the
// exit code.
func AsHook(ctx context.Context) (code int, is bool) {
	if filepath.Base(os.Args[0]) != hook {
		return 0, false
	}
	if err := judge(ctx, accounts.Purpose(os.Getenv(remoteUser)), os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	return 0, true
}

// judge refuses a push, which is a line for each ref: the old object, the new one and
// the ref's name. An environment's account may change nothing but its own overlays, on
// no branch and in no commit on the way; the platform's may change everything.
func judge(ctx context.Context, who accounts.Purpose, push io.Reader) error {
	if who == accounts.Platform {
		return nil
	}
	environment := who.Releases()
	if environment == "" {
		return fmt.Errorf("refused: the account %q pushes nothing here\n  mend: push as %s", who, accounts.Platform)
	}
	lines := bufio.NewScanner(push)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 3 {
			return fmt.Errorf("refused: %.200q is not an update of a ref", lines.Text())
		}
		if err := judgeRef(ctx, environment, words[0], words[1], words[2]); err != nil {
			return fmt.Errorf("refused: the account %s may change nothing but %s: %w\n  mend: release to %s with it, and push everything else as %s",
				who, overlays(environment), err, environment, accounts.Platform)
		}
	}
	return lines.Err()
}

// overlays are what the releases of an environment change.
func overlays(environment string) string { return "gitops/apps/*/overlays/" + environment + "/**" }

// within reports whether a file is one of overlays.
func within(file, environment string) bool {
	parts := strings.Split(file, "/")
	return len(parts) > 5 && parts[0] == "gitops" && parts[1] == "apps" && parts[3] == "overlays" && parts[4] == environment
}

func judgeRef(ctx context.Context, environment, before, after, ref string) error {
	none := func(object string) bool { return strings.Trim(object, "0") == "" }
	switch {
	case !strings.HasPrefix(ref, "refs/heads/"):
		return fmt.Errorf("%q is no branch", ref)
	case none(after):
		return fmt.Errorf("it would delete %q", ref)
	case none(before):
		// A new branch is compared with where it leaves the one that is followed.
		left, err := asHook(ctx, nil, "merge-base", "HEAD", after)
		if err != nil {
			return fmt.Errorf("%q is new and does not leave the branch %s", ref, Branch)
		}
		before = strings.TrimSpace(left)
	}
	compared, err := asHook(ctx, nil, "diff-tree", "-r", "-z", "--no-renames", before, after)
	if err != nil {
		return err
	}
	// What is not seen in the end would still be in the history.
	commits, err := asHook(ctx, nil, "rev-list", after, "--not", "--all")
	if err != nil {
		return err
	}
	each, err := asHook(ctx, strings.NewReader(commits), "diff-tree", "--stdin", "--root", "-c", "-r", "-z", "--no-renames", "--no-commit-id")
	if err != nil {
		return err
	}
	for _, diff := range []string{compared, each} {
		if err := judgeDiff(diff, environment); err != nil {
			return fmt.Errorf("%q changes %w", ref, err)
		}
	}
	return nil
}

// judgeDiff reads Git's raw output: a colon and the modes of a file, of which the last is
// that of what it becomes, and then its name. A merge has a colon for each parent.
func judgeDiff(diff, environment string) error {
	words := strings.Split(strings.TrimSuffix(diff, "\x00"), "\x00")
	if diff == "" {
		return nil
	}
	for pair := range slices.Chunk(words, 2) {
		parents := strings.Count(pair[0], ":")
		fields := strings.Fields(strings.TrimLeft(pair[0], ":"))
		if len(pair) != 2 || parents == 0 || len(fields) <= parents {
			return fmt.Errorf("what Git tells of as %.200q", pair)
		}
		switch file, mode := pair[1], fields[parents]; {
		case !within(file, environment):
			return fmt.Errorf("%.200q", file)
		case mode != "100644" && mode != "100755" && mode != "000000":
			return fmt.Errorf("%.200q into what is no file (mode %s)", file, mode)
		}
	}
	return nil
}

// asHook runs git as Git's hook has to: its objects are not the repository's yet.
func asHook(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	return runWith(ctx, stdin, os.Environ(), "", args...)
}
