package release

import (
	"fmt"
	"regexp"
	"strings"

	"slipway/step"
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
	// SourceRevision is the commit the image was built from.
	SourceRevision string
	// AuthorName and AuthorEmail stand in the commit.
	AuthorName  string
	AuthorEmail string
}

var (
	revisionPattern = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._/+:@-]{0,199}\z`)
	emailPattern    = regexp.MustCompile(`\A[A-Za-z0-9._%+\[\]-]+@[A-Za-z0-9.-]+\z`)
)

// checkIdentity refuses what could not stand in a commit as it is: every value
// becomes one line of it.
func (r Request) checkIdentity() error {
	if !revisionPattern.MatchString(r.SourceRevision) {
		return step.Input(Stage, fmt.Sprintf("source-revision %.80q", r.SourceRevision), "is not a revision",
			"give the commit that the image was built from")
	}
	if r.AuthorName == "" || len(r.AuthorName) > 200 || strings.TrimSpace(r.AuthorName) != r.AuthorName ||
		strings.ContainsFunc(r.AuthorName, func(c rune) bool { return c < ' ' || c == 0x7f || c == '<' || c == '>' }) {
		return step.Input(Stage, fmt.Sprintf("author-name %.80q", r.AuthorName), "is not a name",
			"give one line of text without angle brackets")
	}
	if len(r.AuthorEmail) > 200 || !emailPattern.MatchString(r.AuthorEmail) {
		return step.Input(Stage, fmt.Sprintf("author-email %.80q", r.AuthorEmail), "is not an e-mail address",
			"give an address such as release@example.com")
	}
	return nil
}

// Message is the commit message of a release: a subject, and trailers as
// git-interpret-trailers(1) reads them.
func (r Request) Message() string {
	return fmt.Sprintf(`Release %[1]s to %[2]s

%[1]s in %[2]s now runs %[3]s.

App: %[1]s
Environment: %[2]s
Image-Digest: %[4]s
Source-Revision: %[5]s
`, r.App, r.Env, r.Repository+"@"+r.Digest, r.Digest, r.SourceRevision)
}
