// Package release puts a digest into an overlay on the GitOps remote, whoever
// else is pushing there at the same time.
package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"time"

	"slipway/gitops/step/overlay"
	"slipway/gitops/step/remote"
	"slipway/step"
	"slipway/step/printable"
	"slipway/step/result/gitops"
)

// Stage is the stage named by this package's faults.
const Stage = "release"

// patience bounds how often a push may fail while the branch stays where it
// was. A remote may refuse a push only because another one holds the branch's
// lock at that moment, so one refusal is no proof.
const patience = 3

// Releaser releases to one GitOps folder.
type Releaser struct {
	// Remote is the branch.
	Remote *remote.Remote
	// Branch is its short name, for the result.
	Branch string
	// Root is the GitOps folder's path inside the repository, or ".".
	Root string
	// Renderer builds the overlay.
	Renderer overlay.Renderer
	// Attempts bounds the rounds of read, edit and push.
	Attempts int
	// Now gives the commits' time.
	Now func() time.Time
	// Sleep waits between rounds.
	Sleep func(context.Context, time.Duration) error
	// Log takes a line per step for people; it may be io.Discard.
	Log io.Writer
}

// Check validates everything about a release that needs no network.
func (r *Releaser) Check(q Request) error {
	checks := []error{
		checkOverlay(r.Root, q.App, q.Env),
		checkImage(q.Repository, q.Digest),
		q.checkKind(),
		q.checkIdentity(),
	}
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	if r.Attempts < 1 || r.Attempts > 100 {
		return step.Input(Stage, fmt.Sprintf("attempts %d", r.Attempts), "is out of range", "give 1 to 100")
	}
	return nil
}

// checkOverlay refuses what can't name an overlay.
func checkOverlay(root, app, env string) error {
	for _, err := range []error{step.Name(Stage, "app", app), step.Name(Stage, "environment", env), CheckRoot(root)} {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkImage refuses what can't be released.
func checkImage(repository, digest string) error {
	if err := overlay.Repository(repository); err != nil {
		return err
	}
	if err := step.Digest(Stage, "digest", digest); err != nil {
		return err
	}
	if digest == overlay.Unreleased {
		return step.Input(Stage, "digest "+digest, "stands for an overlay that was never released",
			"give the digest of a published image")
	}
	return nil
}

// CheckRoot refuses a root that is not a clean path inside the repository.
func CheckRoot(root string) error {
	if len(root) > 200 || !fsValid(root) {
		return step.Input(Stage, fmt.Sprintf("root %.80q", root), "is not a clean path inside the repository",
			`give a path such as gitops, or "." for the whole repository`)
	}
	return nil
}

// Release sets the digest and returns when the branch holds it. A push that
// loses a race is made again on the new head, from the edit on, unless the race was
// lost to another release of the same overlay, which is never overwritten; what became
// of a failed push is decided by looking at the branch, never by the error.
func (r *Releaser) Release(ctx context.Context, q Request) (*gitops.Released, error) {
	if err := r.Check(q); err != nil {
		return nil, err
	}
	failures := 0
	for attempt := 1; ; attempt++ {
		began := time.Now()
		base, result, change, err := r.read(ctx, &q)
		if errors.Is(err, errOvertaken) {
			return nil, r.overtaken(ctx, q)
		}
		if err != nil {
			return nil, err
		}
		result.Attempts = attempt
		if change == nil && result.Commit != "" {
			r.logf("%s was rolled back already, by commit %s", result.Path, result.Commit)
			return result, nil
		}
		if change == nil {
			setter, err := LastSet(ctx, r.Remote, result.Path, q.Repository)
			if err != nil {
				return nil, err
			}
			if setter.Image.Digest != q.Digest { // changed since: look again
				if attempt == r.Attempts {
					return nil, r.outrun(attempt, nil)
				}
				continue
			}
			result.Commit, result.Evidence = setter.Commit, setter.Evidence
			r.logf("%s already has %s, since commit %s", result.Path, q.Digest, setter.Commit)
			return result, nil
		}
		result.Commit, result.Created, result.Evidence = change.Commit.String(), true, q.Evidence
		pushErr := r.Remote.Push(ctx, change)
		if pushErr == nil {
			r.logf("pushed commit %s", result.Commit)
			return result, nil
		}
		head, landed, err := r.Remote.Contains(ctx, base, change.Commit)
		if err != nil {
			return nil, err
		}
		if landed {
			r.logf("pushed commit %s, although the remote's answer was: %v", result.Commit, pushErr)
			return result, nil
		}
		if f, ok := step.AsFault(pushErr); ok {
			return nil, f
		}
		if moved := head != base.Head(); moved {
			failures = 0
			r.logf("attempt %d: the branch moved to %s first", attempt, head)
			if attempt == r.Attempts {
				return nil, r.outrun(attempt, pushErr)
			}
		} else {
			failures++
			r.logf("attempt %d: not accepted: %v", attempt, pushErr)
			if failures == patience || attempt == r.Attempts {
				return nil, r.refused(pushErr, failures)
			}
		}
		if err := r.Sleep(ctx, backoff(attempt, time.Since(began))); err != nil {
			return nil, step.Infrastructure(Stage, r.Remote.Name(), "stopped while waiting to push again: "+err.Error(),
				"run the release again").Because(err)
		}
	}
}

// read takes a snapshot and prepares the release on it. Where the overlay's past
// decides, the snapshot is as deep as that takes.
func (r *Releaser) read(ctx context.Context, q *Request) (base *remote.Snapshot, result *gitops.Released, change *remote.Change, err error) {
	err = deepen(ctx, r.Remote, nowAndThen, func(snapshot *remote.Snapshot) error {
		base = snapshot
		result, change, err = r.prepare(base, q)
		return err
	})
	return base, result, change, err
}

// prepare edits, renders and proves on one snapshot, and notes in q what the release is
// decided over. The change is nil when the digest is already there; then the result
// names the commit of a rollback that was made before.
func (r *Releaser) prepare(base *remote.Snapshot, q *Request) (*gitops.Released, *remote.Change, error) {
	tree, err := base.Tree(r.Root)
	if err != nil {
		return nil, nil, err
	}
	e, err := edit(r.Renderer, tree, q.App, q.Env, q.Repository, q.Digest)
	if err != nil {
		return nil, nil, err
	}
	result := &gitops.Released{
		Path: path.Join(r.Root, e.file), Branch: r.Branch,
		Image: q.Repository + "@" + q.Digest, Containers: e.containers,
	}
	switch kind := q.kind(); {
	case kind == KindRollback:
		previous, err := rollback(base, result.Path, *q)
		if err != nil {
			return nil, nil, err
		}
		if q.SourceRevision == "" {
			q.SourceRevision = previous.revision
		}
		result.Commit, result.Evidence = previous.commit, previous.evidence
	case !e.changed(): // the same again is no new decision
	case q.Before != "" && q.Before != e.had():
		return nil, nil, errOvertaken
	case kind == KindPromotion:
		if err := promotable(tree, *q); err != nil {
			return nil, nil, err
		}
		fallthrough
	default:
		if q.Before == "" && !q.Older {
			if _, err := forward(base, result.Path, q.Repository, q.Digest); err != nil {
				return nil, nil, err
			}
		}
	}
	if judged := hashed(e.after); q.Manifests != "" && q.Manifests != judged {
		return nil, nil, step.Policy(Stage, overlay.Folder(q.App, q.Env),
			fmt.Sprintf("renders to other manifests at commit %s than those that were judged: %s, not %s", base.Head(), judged, q.Manifests),
			"look at what was committed to it meanwhile, then run the release again: it judges what is there now")
	}
	q.Before = e.had()
	if !e.changed() {
		return result, nil, nil
	}
	change, err := base.Replace(result.Path, e.edited, q.Message(),
		remote.Author{Name: q.AuthorName, Email: q.AuthorEmail, When: r.Now()})
	if err != nil {
		return nil, nil, err
	}
	return result, change, nil
}

// errOvertaken is the error of an overlay that has another digest than the release was
// decided over.
var errOvertaken = errors.New("the overlay was released to meanwhile")

// overtaken is the Fault of a release that would overwrite one that it knew nothing of.
func (r *Releaser) overtaken(ctx context.Context, q Request) error {
	file := path.Join(r.Root, overlay.File(q.App, q.Env))
	won, err := LastSet(ctx, r.Remote, file, q.Repository)
	if err != nil {
		return err
	}
	return step.Policy(Stage, file,
		fmt.Sprintf("was changed by another release meanwhile: commit %s put %s there, built from %s, where %s was when this release was decided",
			won.Commit, cmp.Or(won.Image.Digest, "no digest"), cmp.Or(won.SourceRevision, "a source that it does not name"), q.Before),
		"look at what it released; to release this image over it, decide again: run the release again")
}

// outrun is the Fault of a release that others were faster than, every time.
func (r *Releaser) outrun(attempts int, err error) error {
	return step.Infrastructure(Stage, r.Remote.Name(),
		fmt.Sprintf("the branch moved during each of %d attempts", attempts),
		"run the release again, or raise --attempts").Because(err)
}

// refused is the Fault of a push that did not land on a branch that did not
// move either.
func (r *Releaser) refused(err error, times int) error {
	var rejected *remote.Rejected
	if errors.As(err, &rejected) {
		return step.Policy(Stage, r.Remote.Name(),
			fmt.Sprintf("the remote rejected the push (%d times): %s", times, rejected.Reason),
			"do what the remote says, or give credentials that may push this branch",
			rejected.Messages...).Because(err)
	}
	return step.Infrastructure(Stage, r.Remote.Name(),
		fmt.Sprintf("the push did not arrive (%d times): %v", times, err),
		"see that the Git remote is up and reachable, then run the release again: it makes no second commit").Because(err)
}

// backoff is a random wait. Its bound doubles from round to round and is
// measured in rounds, which are slow where many compete: those who lost the
// same race must not meet again.
func backoff(attempt int, round time.Duration) time.Duration {
	bound := max(round, 100*time.Millisecond) << min(attempt-1, 3)
	return rand.N(min(bound, 20*time.Second))
}

func (r *Releaser) logf(format string, args ...any) {
	fmt.Fprintln(r.Log, printable.Line(fmt.Sprintf("release: "+format, args...)))
}

// fsValid says whether root is a clean, relative path without a dot-dot or an
// empty part, that is no option and needs no quotes.
func fsValid(root string) bool {
	return fs.ValidPath(root) && root[0] != '-' &&
		!strings.ContainsFunc(root, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' || c == '$' })
}
