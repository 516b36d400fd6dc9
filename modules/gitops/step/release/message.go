package release

import (
	"fmt"
	"regexp"
	"strings"

	"slipway/step"
	"slipway/step/printable"
)

// Kind is what a release is: its commit message says so.
type Kind string

const (
	// KindRelease brings a new image to an environment.
	KindRelease Kind = "release"
	// KindPromotion brings the image of one environment to another.
	KindPromotion Kind = "promotion"
	// KindRollback puts an earlier image back.
	KindRollback Kind = "rollback"
)

// Request is one release: which digest of which app goes to which environment,
// and who says so.
type Request struct {
	// App and Env name the overlay.
	App string
	Env string
	// Repository and Digest are the image: repository@sha256:<64 hex>.
	Repository string
	Digest     string
	// SourceRevision is the commit the image was built from. A rollback may
	// leave it empty: then it is what the earlier release says, if it does.
	SourceRevision string
	// AuthorName and AuthorEmail stand in the commit.
	AuthorName  string
	AuthorEmail string
	// Kind is what the release is. Empty follows from RollbackOf and From.
	Kind Kind
	// From is the environment that a promotion comes from.
	From string
	// RollbackOf is the commit whose release a rollback takes back.
	RollbackOf string
	// Before is the digest that the overlay had when the release was decided. Empty means
	// that it is decided here, by what the overlay has at first.
	Before string
	// Manifests is the sha256:… of what the overlay was judged to render to with the
	// image. Empty means that nobody has judged it.
	Manifests string
	// Older lets a release or promotion bring back what the overlay ran before.
	Older bool
	// Evidence is the digest (sha256:<64 hex>) of the decision that allows the
	// release. It may be empty.
	Evidence string
}

var (
	revisionPattern = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._/+:@-]{0,199}\z`)
	emailPattern    = regexp.MustCompile(`\A[A-Za-z0-9._%+\[\]-]+@[A-Za-z0-9.-]+\z`)
	commitPattern   = regexp.MustCompile(`\A[0-9a-f]{40}\z`)
)

func (r Request) kind() Kind {
	switch {
	case r.Kind != "":
		return r.Kind
	case r.RollbackOf != "":
		return KindRollback
	case r.From != "":
		return KindPromotion
	}
	return KindRelease
}

// checkKind refuses a kind that the other values contradict.
func (r Request) checkKind() error {
	kind := r.kind()
	input := fmt.Sprintf("kind %.80q", kind)
	switch kind {
	case KindRelease, KindPromotion, KindRollback:
	default:
		return step.Input(Stage, input, "is no kind of release", "give release, promotion or rollback")
	}
	if (kind == KindPromotion) != (r.From != "") {
		return step.Input(Stage, input, "does not go with from "+fmt.Sprintf("%.80q", r.From),
			"give --from, the environment to promote from, with a promotion and with nothing else")
	}
	if (kind == KindRollback) != (r.RollbackOf != "") {
		return step.Input(Stage, input, "does not go with rollback-of "+fmt.Sprintf("%.80q", r.RollbackOf),
			"give --rollback-of, the commit whose release to take back, with a rollback and with nothing else")
	}
	for name, value := range map[string]string{"before": r.Before, "manifests": r.Manifests} {
		if value == "" {
			continue
		}
		if err := step.Digest(Stage, name, value); err != nil {
			return err
		}
	}
	switch kind {
	case KindPromotion:
		if err := step.Name(Stage, "from", r.From); err != nil {
			return err
		}
		if r.From == r.Env {
			return step.Input(Stage, "from "+r.From, "is the environment to promote to", "name two environments")
		}
	case KindRollback:
		if !commitPattern.MatchString(r.RollbackOf) {
			return step.Input(Stage, fmt.Sprintf("rollback-of %.80q", r.RollbackOf), "is not a commit of the GitOps repository",
				"give the commit's 40 hexadecimal digits, as history lists it")
		}
	}
	return nil
}

// checkIdentity refuses what could not stand in a commit as it is: every value
// becomes one line of it.
func (r Request) checkIdentity() error {
	inherited := r.SourceRevision == "" && r.kind() == KindRollback
	if !inherited && !revisionPattern.MatchString(r.SourceRevision) {
		return step.Input(Stage, fmt.Sprintf("source-revision %.80q", r.SourceRevision), "is not a revision",
			"give the commit that the image was built from")
	}
	if r.AuthorName == "" || len(r.AuthorName) > 200 || strings.TrimSpace(r.AuthorName) != r.AuthorName ||
		!printable.IsLine(r.AuthorName) || strings.ContainsAny(r.AuthorName, "<>") {
		return step.Input(Stage, fmt.Sprintf("author-name %.80q", r.AuthorName), "is not a name",
			"give one line of text without angle brackets")
	}
	if len(r.AuthorEmail) > 200 || !emailPattern.MatchString(r.AuthorEmail) {
		return step.Input(Stage, fmt.Sprintf("author-email %.80q", r.AuthorEmail), "is not an e-mail address",
			"give an address such as release@example.com")
	}
	if r.Evidence != "" {
		return step.Digest(Stage, "evidence", r.Evidence)
	}
	return nil
}

// The trailers of a release's commit message.
const (
	trailerApp      = "App"
	trailerEnv      = "Environment"
	trailerDigest   = "Image-Digest"
	trailerRevision = "Source-Revision"
	trailerFrom     = "Promoted-From"
	trailerReverts  = "Reverts"
	trailerEvidence = "Slipway-Evidence"
)

// Message is the commit message of a release: a subject, and trailers as
// git-interpret-trailers(1) reads them. A rollback also has the sentence that
// git-revert(1) writes.
func (r Request) Message() string {
	image := r.Repository + "@" + r.Digest
	var b strings.Builder
	switch r.kind() {
	case KindPromotion:
		fmt.Fprintf(&b, "Promote %[1]s from %[3]s to %[2]s\n\n%[1]s in %[2]s now runs %[4]s, as %[3]s does.\n", r.App, r.Env, r.From, image)
	case KindRollback:
		fmt.Fprintf(&b, "Roll back %[1]s in %[2]s\n\n%[1]s in %[2]s runs %[3]s again.\n\nThis reverts commit %[4]s.\n", r.App, r.Env, image, r.RollbackOf)
	default:
		fmt.Fprintf(&b, "Release %[1]s to %[2]s\n\n%[1]s in %[2]s now runs %[3]s.\n", r.App, r.Env, image)
	}
	b.WriteByte('\n')
	for _, trailer := range [][2]string{
		{trailerApp, r.App}, {trailerEnv, r.Env}, {trailerDigest, r.Digest},
		{trailerRevision, r.SourceRevision}, {trailerFrom, r.From}, {trailerReverts, r.RollbackOf},
		{trailerEvidence, r.Evidence},
	} {
		if trailer[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", trailer[0], trailer[1])
		}
	}
	return b.String()
}

// said is what a commit message says about a release. Anybody may have written
// it: what is not valid, or said twice, is left out.
type said struct {
	subject string
	// digest, revision, from, reverts and evidence are empty where it says nothing.
	digest   string
	revision string
	from     string
	reverts  string
	evidence string
}

var revertPattern = regexp.MustCompile(`(?m)^This reverts commit ([0-9a-f]{40})\b`)

// readMessage reads what Message writes, and the messages of people, who may
// have reverted a release with git-revert(1).
func readMessage(message string) said {
	message = strings.TrimSpace(strings.ReplaceAll(message, "\r\n", "\n"))
	var m said
	m.subject, _, _ = strings.Cut(message, "\n")
	if reverted := revertPattern.FindStringSubmatch(message); reverted != nil {
		m.reverts = reverted[1]
	}
	// The trailers are the last paragraph, and the first one is the subject.
	start := strings.LastIndex(message, "\n\n")
	if start < 0 {
		return m
	}
	given := map[string][]string{}
	for _, line := range strings.Split(message[start+2:], "\n") {
		key, value, _ := strings.Cut(line, ": ")
		given[key] = append(given[key], strings.TrimSpace(value))
	}
	for key, values := range given {
		value := values[0]
		switch {
		case len(values) > 1: // which of them counts would be a guess
		case key == trailerDigest && step.Digest(Stage, "image", value) == nil:
			m.digest = value
		case key == trailerRevision && revisionPattern.MatchString(value):
			m.revision = value
		case key == trailerFrom && step.Name(Stage, "from", value) == nil:
			m.from = value
		case key == trailerReverts && commitPattern.MatchString(value):
			m.reverts = value
		case key == trailerEvidence && step.Digest(Stage, "evidence", value) == nil:
			m.evidence = value
		}
	}
	return m
}
