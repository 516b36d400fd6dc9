package receipt

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"slipway/ci/render"
	"slipway/ci/rules"
	"slipway/step/printable"
)

const (
	// labels and columns are the widths of the first column and of prose in the
	// second; a value without a space is never broken.
	labels  = 18
	columns = 100
)

// Text is the receipt for a terminal of 100 columns. Digests and commits stay
// whole. A document that is not valid says so first.
func (d *Document) Text() string {
	t := &text{}
	t.WriteString(d.headline() + "\n")
	if f := d.fault(); f != nil {
		t.line("INCONSISTENT", f.Input+" "+f.Reason)
		t.line("", "mend: "+f.Mend)
	}
	lanes, total := d.lanes()
	t.line("kind", string(d.Kind))
	if len(lanes) > 0 {
		at, _ := d.began()
		t.line("started", moment(rfc3339(at)))
		t.line("took", duration(total))
	}
	t.line("runner", string(d.Runner))

	if s := d.Source; s != nil {
		t.head("source")
		t.line("commit", s.Commit)
		t.line("tree", s.Tree)
		if s.Dirty {
			t.line("", "with uncommitted changes")
			for _, difference := range s.Uncommitted {
				t.line("", difference)
			}
		}
	}
	t.head("image")
	repository, digest := d.Image.Reference.Repository(), d.Image.Reference.Digest()
	t.line("repository", repository)
	t.line("digest", digest)
	t.line("registry", render.Either(d.Image.Pushed, "pushed", "held it already"))
	if s := d.Scan; s != nil {
		t.head("scan")
		t.line("result", fmt.Sprintf("%s, %s reported, %d excepted", plural(s.Targets, "target", "targets"), plural(len(s.Reported), "finding", "findings"), len(s.Excepted)))
		t.line("scanner", s.Scanner)
		t.line("", s.ScannerDigest)
		t.line("database", s.Database)
		t.line("", "of "+moment(s.DatabaseUpdatedAt))
		t.line("policy", s.PolicyDigest)
		for _, finding := range s.Reported {
			t.line("reported", finding)
		}
		for _, e := range s.Excepted {
			t.line("excepted", exception(e))
		}
	}
	if j := d.Decision; j != nil {
		t.head("decision")
		for _, o := range j.Outcomes {
			t.line(string(o.Verdict), string(o.Rule)+": "+o.Reason)
			if o.Mend != "" && o.Verdict != rules.Pass {
				t.line("", "mend: "+o.Mend)
			}
		}
		t.line("policy", j.PolicyDigest)
		t.line("platform", j.Platform.String())
		t.line("manifests", j.Manifests)
		t.line("digest", j.Digest)
		t.line("decided", moment(j.DecidedAt))
		t.line("counts until", moment(j.Until))
	}
	if p := d.Plan; p != nil {
		t.head("infrastructure")
		t.line("plan", p.SHA256)
		t.line("of code", p.Code)
		t.line("made by", p.Program)
		t.line("", p.Changes)
	}
	if g := d.GitOps; g != nil {
		t.head("GitOps")
		t.line("remote", g.shown())
		t.line("commit", g.Commit)
		t.line("", render.Either(g.Created, "new", "was in the repository"))
		t.line("file", g.Path)
		t.line("evidence", g.Evidence)
		t.line(render.Either(g.Evidence == "", "evidence", ""), d.bound())
	}
	if l := d.Live; l != nil {
		t.head("cluster")
		t.line("synced revision", l.SyncedRevision)
		t.line("", d.synced())
		t.line("health", l.Health+", "+moment(l.HealthyAt))
	}
	if len(d.Evidence) > 0 {
		t.head("evidence")
		for _, a := range d.Evidence {
			t.line(a.name(), a.Digest)
		}
	}
	if len(lanes) > 0 {
		t.head("stages")
		for _, l := range lanes {
			fmt.Fprintf(t, "  %s%-14s%10s\n", pad(plain(l.Name)), l.Started, l.Took)
		}
	}
	return printable.Whole(t.String())
}

// text is what is written so far.
type text struct{ strings.Builder }

func (t *text) head(name string) { t.WriteString("\n" + name + "\n") }

// line writes a label and a value, which wraps between words; nothing for an
// empty value.
func (t *text) line(label, value string) {
	if value = plain(value); value == "" {
		return
	}
	prefix, width := "  "+pad(plain(label)), 0
	t.WriteString(prefix)
	for word := range strings.FieldsSeq(value) {
		n := utf8.RuneCountInString(word)
		switch {
		case width == 0:
		case width+1+n > columns-labels-2:
			t.WriteString("\n  " + strings.Repeat(" ", labels))
			width = 0
		default:
			t.WriteString(" ")
			width++
		}
		t.WriteString(word)
		width += n
	}
	t.WriteString("\n")
}

// pad fills a label up to its column.
func pad(label string) string {
	return label + strings.Repeat(" ", max(1, labels-utf8.RuneCountInString(label)))
}
