package receipt

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"strings"

	"slipway/ci/evidence"
	"slipway/ci/render"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/printable"
)

//go:embed page.html.tmpl
var pageSource string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"counted": (*Decision).counted, "exception": exception, "moment": moment, "plural": plural, "tone": toneOf,
	"plain": func(value any) string { return plain(fmt.Sprint(value)) },
}).Parse(pageSource))

// HTML is the receipt as one page that needs nothing else: no script, no font,
// nothing from a network. It shows the journey as a picture, every hash in full,
// the rules' verdicts and the stages in time, on a phone as on a desktop, in
// light and in dark. A document that is not valid says so in the first place.
//
// The error is a *step.Fault of kind input.
func (d *Document) HTML() ([]byte, error) {
	var b bytes.Buffer
	if err := page.Execute(&b, d.view()); err != nil {
		return nil, step.Input(stage, "document", "can't be shown: "+err.Error(), "validate it first").Because(err)
	}
	return []byte(printable.Whole(b.String())), nil
}

// fault is what Validate finds.
func (d *Document) fault() *step.Fault {
	f, _ := step.AsFault(d.Validate())
	return f
}

// view is everything on the page, as it is shown.
type view struct {
	Title, Status, Lead string
	Tone                tone
	Fault               *step.Fault
	Facts               []fact
	Wide, Tall          picture
	Remote, Path        string
	Hashes              []hash
	Decision            *Decision
	Scan                *Scan
	Lanes               []lane
	Took                string
	Type                string
}

type fact struct{ Name, Value, More string }

// picture is the journey as an SVG. Lines lead from stop to stop.
type picture struct {
	ID, Story     string
	Width, Height int
	Nodes         []node
	Lines         []line
}

type node struct {
	// X and Y are the middle of the circle; the texts have places of their own.
	X, Y                         int
	Title, Code, Note, At, Glyph string
	TextX, TitleY, CodeY, NoteY  int
	AtX, AtY                     int
	Tone                         tone
}

type line struct {
	X1, Y1, X2, Y2 int
	Tone           tone
}

// hash is a row: Lead and Value together are what is copied.
type hash struct {
	Name, Lead, Value, Note string
	Tone                    tone
}

func (d *Document) view() view {
	stops := d.journey()
	lanes, total := d.lanes()
	v := view{
		Title: d.headline(), Fault: d.fault(), Type: PredicateType,
		Wide: d.wide(stops), Tall: d.tall(stops), Hashes: d.hashes(), Facts: d.facts(),
		Decision: d.Decision, Scan: d.Scan, Lanes: lanes,
	}
	v.Status, v.Tone, v.Lead = d.status(v.Fault)
	if g := d.GitOps; g != nil {
		v.Remote, v.Path = g.shown(), plain(g.Path)
	}
	if len(lanes) > 0 {
		v.Took = duration(total)
	}
	return v
}

// status is the page's first word, its tone, and a sentence.
func (d *Document) status(f *step.Fault) (string, tone, string) {
	if f != nil {
		return "Inconsistent", bad, "This receipt contradicts itself and proves nothing."
	}
	warned := 0
	if d.Decision != nil {
		_, warned, _ = d.Decision.count()
	}
	switch {
	case d.Live != nil && warned > 0:
		return Healthy, good, fmt.Sprintf("Synced and found healthy. %s today and will refuse later.", plural(warned, "rule warns", "rules warn"))
	case d.Live != nil && d.Decision != nil:
		return Healthy, good, "Every rule passes. The release is synced and was found healthy."
	case d.Live != nil:
		return Healthy, good, "The release is synced and was found healthy."
	case d.GitOps != nil:
		return "Committed", calm, "The release is in the GitOps repository. Nothing has waited for the cluster."
	}
	return "Prepared", calm, "The image is ready. Nothing is committed yet."
}

func (d *Document) facts() []fact {
	kinds := map[Kind]string{KindRelease: "Release from source", KindPromotion: "Promotion", KindRollback: "Rollback"}
	kind, ok := kinds[d.Kind]
	if !ok {
		kind = plain(string(d.Kind))
	}
	facts := []fact{{"Delivery", kind, ""}}
	if d.Source != nil {
		facts = append(facts, fact{"Source", short(d.Source.Commit), render.Either(d.Source.Dirty, "with uncommitted changes", "")})
	}
	if lanes, total := d.lanes(); len(lanes) > 0 {
		at, _ := d.began()
		facts = append(facts, fact{"Started", at.UTC().Format("2 Jan 2006"), at.UTC().Format("15:04:05 UTC")}, fact{"Took", duration(total), plural(len(lanes), "stage", "stages")})
	}
	runners := map[evidence.Runner]string{evidence.RunnerLocal: "Local machine", evidence.RunnerGitHub: "GitHub Actions", evidence.RunnerAzure: "Azure DevOps"}
	if d.Runner != "" {
		name, ok := runners[d.Runner]
		if !ok {
			name = plain(string(d.Runner))
		}
		facts = append(facts, fact{"Runner", name, ""})
	}
	return facts
}

// Sizes of the two pictures, in CSS pixels. The tall one fits its card on a phone
// of 360.
const (
	wideWidth, wideHeight = 1088, 150
	tallWidth, tallRow    = 294, 78
	radius                = 15
)

// wide leads from left to right.
func (d *Document) wide(stops []stop) picture {
	p := picture{ID: "wide", Story: story(stops), Width: wideWidth, Height: wideHeight}
	since, _ := d.began()
	const y = 46
	gap := wideWidth / len(stops)
	for n, s := range stops {
		x := n*gap + radius + 1
		if n > 0 {
			p.Lines = append(p.Lines, line{X1: x - gap + radius + 6, Y1: y, X2: x - radius - 6, Y2: y, Tone: s.tone})
		}
		p.Nodes = append(p.Nodes, node{
			X: x, Y: y, TextX: n * gap, AtX: n * gap, AtY: 16, TitleY: 92, CodeY: 113, NoteY: 133,
			Title: clip(s.title, 16), Code: clip(s.code, 14), Note: clip(s.note, 18), At: clock(s.at, since), Glyph: s.glyph, Tone: s.tone,
		})
	}
	return p
}

// tall leads from top to bottom.
func (d *Document) tall(stops []stop) picture {
	p := picture{ID: "tall", Story: story(stops), Width: tallWidth, Height: tallRow*len(stops) - 16}
	since, _ := d.began()
	const x, text = radius + 1, 48
	for n, s := range stops {
		top := n * tallRow
		y := top + radius + 5
		if n > 0 {
			p.Lines = append(p.Lines, line{X1: x, Y1: y - tallRow + radius + 6, X2: x, Y2: y - radius - 6, Tone: s.tone})
		}
		p.Nodes = append(p.Nodes, node{
			X: x, Y: y, TextX: text, TitleY: top + 16, CodeY: top + 37, NoteY: top + 56, AtX: tallWidth, AtY: top + 16,
			Title: clip(s.title, 18), Code: clip(s.code, 22), Note: clip(s.note, 30), At: clock(s.at, since), Glyph: s.glyph, Tone: s.tone,
		})
	}
	return p
}

// story is the picture in words.
func story(stops []stop) string {
	var parts []string
	for _, s := range stops {
		part := plain(s.title)
		for _, more := range []string{s.code, s.note} {
			if more = plain(more); more != "" {
				part += ", " + more
			}
		}
		if at := moment(s.at); at != "" {
			part += ", at " + at
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ") + "."
}

// hashes are all of the document, in the order of the journey.
func (d *Document) hashes() []hash {
	var all []hash
	add := func(name, value, note string, t tone) {
		if value = plain(value); value != "" {
			lead, digest, ok := strings.Cut(value, "@")
			if !ok {
				lead, digest = "", value
			} else {
				lead += "@"
			}
			all = append(all, hash{Name: name, Lead: lead, Value: digest, Note: plain(note), Tone: t})
		}
	}
	if s := d.Source; s != nil {
		if s.Dirty {
			add("Source commit", s.Commit, strings.Join(append([]string{"what was built had uncommitted changes"}, s.Uncommitted...), "; "), fair)
		} else {
			add("Source commit", s.Commit, "", "")
		}
		add("Source tree", s.Tree, "the app's folder", "")
	}
	add("Image", d.Image.Reference.String(), render.Either(d.Image.Pushed, "pushed", "was in the registry"), "")
	if s := d.Scan; s != nil {
		add("Scanner", s.ScannerDigest, s.Scanner, "")
		add("Advisories", s.Database, "of "+moment(s.DatabaseUpdatedAt), "")
		add("Scan policy", s.PolicyDigest, "", "")
	}
	if d.Decision != nil {
		add("Rules", d.Decision.PolicyDigest, "of "+plain(d.Environment), "")
		if p := d.Decision.Platform; p != nil {
			note := "whose rules they are"
			if p.Branch != "" {
				note = "whose rules they are, on " + plain(p.Branch)
			}
			add("Platform commit", p.Commit, note, "")
		}
		add("Manifests", d.Decision.Manifests, "as they were scanned", "")
		add("Decision", d.Decision.Digest, "", "")
	}
	if d.Plan != nil {
		add("Plan", d.Plan.SHA256, strings.TrimSpace(d.Plan.Changes+" "+d.Plan.Program), "")
	}
	if g := d.GitOps; g != nil {
		note := render.Either(g.Created, "new", "was in the repository")
		if g.Evidence == "" && d.bound() != "" {
			note += "; " + d.bound()
		}
		add("GitOps commit", g.Commit, note, "")
		add("Evidence in the commit", g.Evidence, d.bound(), "")
	}
	if d.Live != nil {
		add("Synced revision", d.Live.SyncedRevision, d.synced(), "")
	}
	for _, a := range d.Evidence {
		add("Evidence: "+plain(a.name()), a.Digest, a.PredicateType, "")
	}
	return all
}

// toneOf is a verdict's.
func toneOf(v rules.Ruling) tone {
	switch v {
	case rules.Pass:
		return good
	case rules.Warn:
		return fair
	}
	return bad
}

// counted says how many rules pass, warn and refuse.
func (j *Decision) counted() string {
	pass, warn, refuse := j.count()
	var parts []string
	for _, c := range []struct {
		n         int
		one, many string
	}{{pass, "rule passes", "rules pass"}, {warn, "warns", "warn"}, {refuse, "refuses", "refuse"}} {
		if c.n > 0 {
			parts = append(parts, plural(c.n, c.one, c.many))
		}
	}
	return strings.Join(parts, ", ")
}

// exception is one in a sentence.
func exception(e rules.Exception) string {
	where := ""
	if in := cmp.Or(e.Path, e.Package); in != "" {
		where = " in " + in
	}
	return plain(fmt.Sprintf("%s%s: %s (%s answers for it until %s)", e.ID, where, e.Reason, e.Owner, e.Expires))
}
