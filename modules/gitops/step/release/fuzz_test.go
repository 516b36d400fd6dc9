package release

import (
	"strings"
	"testing"

	"slipway/step"
	"slipway/step/steptest"
)

// FuzzReadMessage: of a message that anybody may have written, only what is valid
// is taken.
func FuzzReadMessage(f *testing.F) {
	r := request(sum(1))
	f.Add(r.Message())
	r.From = "staging"
	f.Add(r.Message())
	r.From, r.RollbackOf = "", strings.Repeat("ab", 20)
	f.Add(r.Message())
	for _, text := range []string{
		"", "subject", "Revert \"x\"\n\nThis reverts commit " + strings.Repeat("ab", 20) + ".\n", "x\n\nImage-Digest: latest\n", "x\n\nSource-Revision: --upload-pack=x\nPromoted-From: ../x\nReverts: HEAD\n",
		"x\r\n\r\nApp: a\r\nImage-Digest: " + sum(1) + "\r\n", "x\n\nImage-Digest: " + sum(1) + "\nImage-Digest: " + sum(2) + "\n", "\n\n\nImage-Digest: " + sum(1), "x\n\nPromoted-From: a\n\nnot the trailers\n", "\x00\xff\n\nReverts:  \n",
	} {
		f.Add(text)
	}
	for _, text := range steptest.Hostile() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, message string) {
		m := readMessage(message)
		if strings.ContainsAny(m.subject, "\n") {
			t.Fatalf("subject %q", m.subject)
		}
		for what, bad := range map[string]bool{
			"digest":   m.digest != "" && step.Digest("release", "digest", m.digest) != nil,
			"revision": m.revision != "" && !revisionPattern.MatchString(m.revision),
			"from":     m.from != "" && step.Name("release", "from", m.from) != nil,
			"reverts":  m.reverts != "" && !commitPattern.MatchString(m.reverts),
		} {
			if bad {
				t.Fatalf("%s is taken: %+v", what, m)
			}
		}
	})
}

// FuzzMessage: a request that is accepted is in its commit's message, and comes
// out of it as it went in: no value of it makes another line.
func FuzzMessage(f *testing.F) {
	for _, kind := range []string{"", "release", "promotion", "rollback", "revert"} {
		f.Add(kind, "abc", "", "", "Slipway", "slipway@example.com")
		f.Add(kind, "abc", "staging", "", "a\nApp: other", "x@y")
		f.Add(kind, "", "", strings.Repeat("ab", 20), " x", "x@y\n")
		f.Add(kind, "a\nImage-Digest: "+sum(9), "dev", "HEAD", "a <b>", "-@x")
	}
	for _, text := range steptest.Hostile() {
		f.Add("", text, "", "", "Slipway", "slipway@example.com")
		f.Add("", "abc", "", "", text, "slipway@example.com")
		f.Add("promotion", "abc", text, "", "Slipway", text)
	}
	f.Fuzz(func(t *testing.T, kind, revision, from, rollbackOf, name, email string) {
		r := request(sum(1))
		r.Kind, r.SourceRevision, r.From, r.RollbackOf, r.AuthorName, r.AuthorEmail = Kind(kind), revision, from, rollbackOf, name, email
		for _, check := range []func() error{r.checkKind, r.checkIdentity} {
			if err := check(); err != nil {
				if fault := steptest.Refused(t, err); fault.Kind != step.KindInput || fault.Stage != Stage {
					t.Fatal(err)
				}
				return
			}
		}
		message := r.Message()
		got := readMessage(message)
		if got.digest != r.Digest || got.revision != revision || got.from != from || got.reverts != rollbackOf {
			t.Fatalf("%q reads as %+v", message, got)
		}
		for _, trailer := range []string{"\n" + trailerApp + ": ", "\n" + trailerEnv + ": ", "\n" + trailerDigest + ": "} {
			if strings.Count(message, trailer) != 1 {
				t.Fatalf("%q says twice %q", message, trailer)
			}
		}
		steptest.Printable(t, message)
		if strings.ContainsAny(name+email, "<>\r\n\x00\x1b\u202e\u2028") || steptest.Obeyed(name) != "" {
			t.Fatalf("author %q <%q>", name, email)
		}
	})
}
