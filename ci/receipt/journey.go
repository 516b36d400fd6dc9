package receipt

import (
	"fmt"
	"math"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"slipway/ci/evidence"
	"slipway/ci/render"
	"slipway/ci/rules"
	"slipway/step/printable"
)

// tone is what a colour says.
type tone string

const (
	calm tone = "calm"
	good tone = "good"
	fair tone = "fair"
	bad  tone = "bad"
)

// stop is a stage of the journey that happened.
type stop struct {
	title string
	// hash is in full; code is what stands for it in the picture.
	hash, code string
	note       string
	// at is RFC 3339; empty when no stage says when.
	at   string
	tone tone
	// glyph is the path of its picture, around 0,0.
	glyph string
}

const (
	glyphSource   = "M-7 0H-3M3 0H7M3 0A3 3 0 1 1 -3 0A3 3 0 1 1 3 0"
	glyphImage    = "M0 -6.6L6 -3.3V3.3L0 6.6L-6 3.3V-3.3ZM-6 -3.3L0 0L6 -3.3M0 0V6.6"
	glyphScan     = "M4 -1A4.5 4.5 0 1 1 -5 -1A4.5 4.5 0 1 1 4 -1M2.8 2.3L6.2 5.8"
	glyphDecision = "M0 -6.6L5.5 -4.4V0C5.5 3.3 3.2 5.6 0 6.7C-3.2 5.6 -5.5 3.3 -5.5 0V-4.4ZM-2.4 0L-.6 1.9L2.6 -1.8"
	glyphPlan     = "M-5.5 -5.5H5.5V5.5H-5.5ZM-5.5 -1.5H5.5M-1.5 -1.5V5.5"
	glyphGitOps   = "M-2 -4.5A1.8 1.8 0 1 1 -5.6 -4.5A1.8 1.8 0 1 1 -2 -4.5M-2 4.5A1.8 1.8 0 1 1 -5.6 4.5A1.8 1.8 0 1 1 -2 4.5M5.6 -2.5A1.8 1.8 0 1 1 2 -2.5A1.8 1.8 0 1 1 5.6 -2.5M-3.8 -2.7V2.7M3.8 -.7C3.8 1.8 -.8 1 -3.4 2.8"
	glyphSynced   = "M5.6 -1.4A5.8 5.8 0 0 0 -4.9 -3M-5.6 1.4A5.8 5.8 0 0 0 4.9 3M-5.2 -6.2V-2.8H-1.8M5.2 6.2V2.8H1.8"
	glyphHealthy  = "M-4.8 .4L-1.5 3.8L4.8 -3.4"
	glyphBad      = "M-4 -4L4 4M4 -4L-4 4"
)

// journey is the stages that happened, from source to healthy.
func (d *Document) journey() []stop {
	var stops []stop
	add := func(s stop) {
		if s.tone == "" {
			s.tone = calm
		}
		if s.code == "" {
			s.code = short(s.hash)
		}
		stops = append(stops, s)
	}
	if s := d.Source; s != nil {
		first := ""
		if at, ok := d.began(); ok {
			first = rfc3339(at)
		}
		source := stop{title: "Source commit", hash: s.Commit, at: first, glyph: glyphSource}
		if s.Tree != "" {
			source.note = "tree " + short(s.Tree)
		}
		if s.Dirty {
			source.tone, source.note = fair, "and changes"
		}
		add(source)
	}
	digest := d.Image.Reference.Digest()
	add(stop{title: "Image", hash: digest, note: render.Either(d.Image.Pushed, "pushed", "already there"), at: d.when("build", "publish"), glyph: glyphImage})
	if s := d.Scan; s != nil {
		scan := stop{title: "Scan", hash: s.Database, note: "no findings", at: d.when("scan"), glyph: glyphScan}
		if n := len(s.Reported); n > 0 {
			scan.note = fmt.Sprintf("%d reported", n)
		}
		if n := len(s.Excepted); n > 0 {
			scan.note = fmt.Sprintf("%d excepted", n)
		}
		add(scan)
	}
	signature := d.statement(evidence.SignatureType)
	if j := d.Decision; j != nil {
		pass, warn, refuse := j.count()
		decision := stop{title: "Decision", hash: j.PolicyDigest, note: fmt.Sprintf("%d pass", pass), at: j.DecidedAt, glyph: glyphDecision}
		if signature != "" {
			decision.title, decision.hash = "Signed, decided", signature
		}
		if warn > 0 {
			decision.tone = fair
			decision.note += fmt.Sprintf(", %d warn", warn)
		}
		if refuse > 0 {
			decision.tone, decision.note = bad, fmt.Sprintf("%d refuse", refuse)
		}
		add(decision)
	} else if signature != "" {
		add(stop{title: "Signature", hash: signature, at: d.when("sign", "verify"), glyph: glyphDecision})
	}
	if p := d.Plan; p != nil {
		add(stop{title: "Plan", hash: p.SHA256, note: p.Changes, at: d.when("plan", "check", "apply"), glyph: glyphPlan})
	}
	if g := d.GitOps; g != nil {
		add(stop{title: "GitOps commit", hash: g.Commit, note: render.Either(g.Created, "new", "already there"), at: d.when(commitStage), glyph: glyphGitOps})
	}
	if l := d.Live; l != nil {
		add(stop{title: "Synced", hash: l.SyncedRevision, note: d.synced(), at: d.when("wait"), glyph: glyphSynced})
		healthy := stop{title: plain(l.Health), code: d.Environment, at: l.HealthyAt, tone: good, glyph: glyphHealthy}
		if l.Health != Healthy || d.fault() != nil {
			healthy.tone, healthy.glyph = bad, glyphBad
		}
		add(healthy)
	}
	return stops
}

// synced says how the synced revision relates to the release's commit.
func (d *Document) synced() string {
	if d.GitOps == nil || d.Live == nil {
		return ""
	}
	return render.Either(d.Live.SyncedRevision == d.GitOps.Commit, "that commit", "a later commit")
}

// bound says whose decision the commit names; empty where nothing is known.
func (d *Document) bound() string {
	if d.Decision == nil || d.Decision.Digest == "" || d.GitOps == nil {
		return ""
	}
	switch d.GitOps.Evidence {
	case "":
		return "the commit names no decision"
	case d.Decision.Digest:
		return "this decision"
	}
	return "another decision, of the call that made the commit"
}

// when is the start of the first stage that has one of the names, the first name
// first.
func (d *Document) when(names ...string) string {
	for _, name := range names {
		for _, s := range d.Stages {
			if s.Name == name {
				return s.StartedAt
			}
		}
	}
	return ""
}

// statement is the digest of the first statement of a type.
func (d *Document) statement(predicateType string) string {
	for _, a := range d.Evidence {
		if a.PredicateType == predicateType {
			return a.Digest
		}
	}
	return ""
}

// shown is the remote, unless it may hold a password.
func (g *GitOps) shown() string {
	if remote(g.Remote) != nil {
		return "(not shown)"
	}
	return plain(g.Remote)
}

func (j *Decision) count() (pass, warn, refuse int) {
	for _, o := range j.Outcomes {
		switch o.Verdict {
		case rules.Pass:
			pass++
		case rules.Warn:
			warn++
		default:
			refuse++
		}
	}
	return pass, warn, refuse
}

// headline says what became of the delivery.
func (d *Document) headline() string {
	app, env := plain(d.App), plain(d.Environment)
	switch {
	case d.fault() != nil:
		return fmt.Sprintf("The receipt of %s in %s is inconsistent", app, env)
	case d.Live != nil && d.Live.Health == Healthy:
		return fmt.Sprintf("%s is healthy in %s", app, env)
	case d.GitOps == nil:
		return fmt.Sprintf("%s is prepared for %s", app, env)
	case d.Kind == KindPromotion:
		return fmt.Sprintf("%s is promoted to %s", app, env)
	case d.Kind == KindRollback:
		return fmt.Sprintf("%s is rolled back in %s", app, env)
	}
	return fmt.Sprintf("%s is released to %s", app, env)
}

// statementNames are what the pipeline calls its statements.
var statementNames = map[string]string{
	evidence.SignatureType: "signature", evidence.ScanType: "scan", evidence.ProvenanceType: "provenance",
	evidence.TestResultType: "tests", evidence.CycloneDXType: "SBOM, CycloneDX", evidence.SPDXType: "SBOM, SPDX",
	evidence.SummaryType: "decision", PredicateType: "receipt",
}

// name is what the statement is called.
func (a Attestation) name() string {
	if name, ok := statementNames[a.PredicateType]; ok {
		return name
	}
	if env, ok := evidence.AdmissionTo(a.PredicateType); ok {
		return "admission to " + env
	}
	// https://example.org/attestations/health/v1 is about health.
	u, err := url.Parse(a.PredicateType)
	if err != nil {
		return "statement"
	}
	parts := strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' })
	if n := len(parts); n > 1 && isVersion(path.Base(u.Path)) {
		parts = parts[:n-1]
	}
	if len(parts) == 0 {
		return "statement"
	}
	return parts[len(parts)-1]
}

func isVersion(s string) bool {
	return len(s) > 1 && s[0] == 'v' && s[1] >= '0' && s[1] <= '9'
}

// lane is a stage's place in time.
type lane struct {
	Name, Started, Took string
	// Left and Width are parts of the whole, in percent.
	Left, Width float64
}

// lanes are the stages by when they started, and how long everything took, up to
// healthy.
func (d *Document) lanes() ([]lane, time.Duration) {
	first, ok := d.began()
	if !ok {
		return nil, 0
	}
	var last time.Time
	if d.Live != nil {
		if at, err := time.Parse(time.RFC3339, d.Live.HealthyAt); err == nil {
			last = at
		}
	}
	stages := []Stage{}
	for _, s := range d.Stages {
		at, ok := s.ends()
		if !ok {
			continue
		}
		stages = append(stages, s)
		if at.After(last) {
			last = at
		}
	}
	slices.SortStableFunc(stages, func(a, b Stage) int { return a.began().Compare(b.began()) })
	total := last.Sub(first)
	part := func(d time.Duration) float64 {
		if total <= 0 {
			return 0
		}
		return math.Round(1000*min(1, max(0, d.Seconds()/total.Seconds()))) / 10
	}
	lanes := make([]lane, 0, len(stages))
	for _, s := range stages {
		took := time.Duration(s.Seconds * float64(time.Second))
		l := lane{Name: s.Name, Started: clock(s.StartedAt, first), Took: duration(took), Left: min(99, part(s.began().Sub(first))), Width: part(took)}
		l.Width = min(l.Width, 100-l.Left)
		lanes = append(lanes, l)
	}
	return lanes, total
}

func (s Stage) began() time.Time {
	at, _ := time.Parse(time.RFC3339, s.StartedAt)
	return at
}

// ends is false for a stage that says nothing sensible.
func (s Stage) ends() (time.Time, bool) {
	at, err := time.Parse(time.RFC3339, s.StartedAt)
	if err != nil || math.IsNaN(s.Seconds) || s.Seconds < 0 || s.Seconds > longest {
		return at, false
	}
	return at.Add(time.Duration(s.Seconds * float64(time.Second))), true
}

// clock is a time of day in UTC, with the day where it is another than that of
// since.
func clock(at string, since time.Time) string {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return ""
	}
	t = t.UTC()
	if t.Format(time.DateOnly) != since.UTC().Format(time.DateOnly) {
		return t.Format("2 Jan 15:04")
	}
	return t.Format("15:04:05")
}

// moment is a time in full, in UTC; what is none is shown as it is.
func moment(at string) string {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return plain(at)
	}
	return t.UTC().Format("2 Jan 2006, 15:04:05 UTC")
}

// duration is one for people: 41.2 s, 2 min 41 s, 1 h 02 min.
func duration(d time.Duration) string {
	switch {
	case d < time.Minute-50*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour-500*time.Millisecond:
		d = d.Round(time.Second)
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d%time.Minute/time.Second)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%d h %02d min", d/time.Hour, d%time.Hour/time.Minute)
}

// short is the first twelve digits of a digest or commit.
func short(hash string) string {
	_, digits, ok := strings.Cut(hash, ":")
	if !ok {
		digits = hash
	}
	digits = plain(digits)
	if runes := []rune(digits); len(runes) > 12 {
		return string(runes[:12])
	}
	return digits
}

// clip cuts a value that has no room to wrap.
func clip(value string, most int) string {
	runes := []rune(plain(value))
	if len(runes) <= most {
		return string(runes)
	}
	return string(runes[:most-1]) + "…"
}

// plain is a value on one line.
func plain(value string) string {
	return printable.Line(strings.Join(strings.Fields(value), " "))
}

func plural(n int, one, many string) string {
	return fmt.Sprintf("%d %s", n, render.Either(n == 1, one, many))
}
