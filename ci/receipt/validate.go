package receipt

import (
	"fmt"
	"math"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"slipway/ci/evidence"
	"slipway/ci/render"
	"slipway/ci/rules"
	"slipway/step"
)

var (
	platformCommit    = regexp.MustCompile(`\A[0-9a-f]{40}(-dirty)?\z`)
	objectPattern     = regexp.MustCompile(`\A([0-9a-f]{40}|[0-9a-f]{64})\z`)
	repositoryPattern = regexp.MustCompile(`\A([a-zA-Z0-9.-]+(:[0-9]{1,5})?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*\z`)
)

// longest is more than any stage takes, in seconds: a year.
const longest = 366 * 24 * 60 * 60

const (
	// rounding is how much earlier than the stage before it ended a stage may seem
	// to begin: starts are whole seconds, and lengths are tenths.
	rounding = 1100 * time.Millisecond
	// skew is how far the clocks of the cluster and the pipeline may be apart.
	skew = time.Minute
)

// orders are stages that run one after the other, whatever runs beside them.
var orders = [][]string{
	{"build", "scan", "publish", "sign", "apply", "verify", commitStage, waitStage},
	{"plan", "check", "publish"},
	{"test", "publish"},
	{"sign", "apply", "admit", commitStage},
}

// The stages that other times are held against.
const (
	commitStage = "commit"
	waitStage   = "wait"
)

const again = "write the receipt again from what the stages returned"

// Validate names the first inconsistency: something missing or malformed, health
// that is not Healthy or belongs to no revision, an order of times that can't be,
// a rule that refuses, a digest that isn't that of its parts.
//
// The error is a *step.Fault of stage receipt: of kind policy for an outcome that
// refuses and for another health than Healthy, else of kind input.
func (d *Document) Validate() error {
	for _, check := range []func() error{
		d.identity, d.source, d.image, d.scan, d.decision, d.plan, d.gitops, d.stages, d.order, d.live, d.evidence, d.binding,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (d *Document) identity() error {
	for _, f := range []struct{ name, value string }{{"app", d.App}, {"environment", d.Environment}} {
		if f.value == "" {
			return missing(f.name)
		}
		if err := step.Name(stage, f.name, f.value); err != nil {
			return err
		}
	}
	if kinds := []Kind{KindRelease, KindPromotion, KindRollback}; !slices.Contains(kinds, d.Kind) {
		return malformed("kind", string(d.Kind), "is not a kind of delivery", fmt.Sprintf("use one of %v", kinds))
	}
	runners := []evidence.Runner{evidence.RunnerLocal, evidence.RunnerGitHub, evidence.RunnerAzure}
	if d.Runner != "" && !slices.Contains(runners, d.Runner) {
		return malformed("runner", string(d.Runner), "is not a runner", fmt.Sprintf("use one of %v", runners))
	}
	return nil
}

func (d *Document) source() error {
	s := d.Source
	if s == nil {
		return nil
	}
	if err := object("source.commit", s.Commit); err != nil {
		return err
	}
	if len(s.Uncommitted) > 0 && !s.Dirty {
		return malformed("source.uncommitted", strings.Join(s.Uncommitted, ", "), "is there, and dirty is not true", again)
	}
	if s.Tree == "" {
		return nil
	}
	return object("source.tree", s.Tree)
}

func (d *Document) image() error {
	const field = "image.reference"
	if d.Image.Reference == "" {
		return missing(field)
	}
	repository, digest := d.Image.Reference.Repository(), d.Image.Reference.Digest()
	if err := step.Digest(stage, field, digest); err != nil {
		return err
	}
	if !repositoryPattern.MatchString(repository) {
		return malformed(field, repository, "is not a repository", "give repository@sha256:…, without a tag")
	}
	return nil
}

func (d *Document) scan() error {
	s := d.Scan
	if s == nil {
		return nil
	}
	if s.Scanner == "" {
		return missing("scan.scanner")
	}
	if s.ScannerDigest != "" {
		if err := step.Digest(stage, "scan.scannerDigest", s.ScannerDigest); err != nil {
			return err
		}
	}
	for _, f := range []struct{ name, value string }{{"database", s.Database}, {"policyDigest", s.PolicyDigest}} {
		if err := step.Digest(stage, "scan."+f.name, f.value); err != nil {
			return err
		}
	}
	if _, err := instant("scan.databaseUpdatedAt", s.DatabaseUpdatedAt); err != nil {
		return err
	}
	if s.Targets < 1 {
		return step.Input(stage, fmt.Sprintf("scan.targets %d", s.Targets), "says that nothing was scanned", again)
	}
	for n, e := range s.Excepted {
		if e.ID == "" {
			return missing(fmt.Sprintf("scan.excepted[%d].id", n))
		}
	}
	return nil
}

func (d *Document) decision() error {
	j := d.Decision
	if j == nil {
		return nil
	}
	if err := step.Digest(stage, "decision.policyDigest", j.PolicyDigest); err != nil {
		return err
	}
	if j.Manifests != "" {
		if err := step.Digest(stage, "decision.manifests", j.Manifests); err != nil {
			return err
		}
	}
	if p := j.Platform; p != nil && !platformCommit.MatchString(p.Commit) {
		return step.Input(stage, fmt.Sprintf("decision.platform.commit %.80q", p.Commit), "is not a commit's id", "give 40 hexadecimal digits, with -dirty behind them where a rule differed")
	}
	if len(j.Outcomes) == 0 {
		return missing("decision.outcomes")
	}
	for n, o := range j.Outcomes {
		field := fmt.Sprintf("decision.outcomes[%d]", n)
		if o.Rule == "" {
			return missing(field + ".rule")
		}
		switch o.Verdict {
		case rules.Pass, rules.Warn:
		case rules.Refuse:
			return step.Policy(stage, fmt.Sprintf("%s: rule %s", field, quote(string(o.Rule))), "refuses: "+quote(o.Reason), "mend what it names and deliver again: what is refused has no receipt")
		default:
			return malformed(field+".verdict", string(o.Verdict), "is not a verdict", fmt.Sprintf("use %s or %s", rules.Pass, rules.Warn))
		}
	}
	at, err := instant("decision.decidedAt", j.DecidedAt)
	if err != nil || j.Until == "" {
		return err
	}
	until, err := instant("decision.until", j.Until)
	if err != nil {
		return err
	}
	if until.Before(at) {
		return malformed("decision.until", j.Until, "is before it was decided, at "+j.DecidedAt, again)
	}
	return nil
}

func (d *Document) plan() error {
	p := d.Plan
	if p == nil {
		return nil
	}
	if p.Code != "" {
		if err := step.Digest(stage, "plan.code", p.Code); err != nil {
			return err
		}
	}
	return step.Digest(stage, "plan.sha256", p.SHA256)
}

func (d *Document) gitops() error {
	g := d.GitOps
	if g == nil {
		return nil
	}
	if err := remote(g.Remote); err != nil {
		return err
	}
	if err := object("gitops.commit", g.Commit); err != nil {
		return err
	}
	if g.Path == "" {
		return missing("gitops.path")
	}
	if path.IsAbs(g.Path) || path.Clean(g.Path) != g.Path || g.Path == "." || g.Path == ".." || strings.HasPrefix(g.Path, "../") {
		return malformed("gitops.path", g.Path, "is not a path in the repository", "write it like gitops/apps/hello/overlays/dev/kustomization.yaml")
	}
	return nil
}

// remote refuses all but a plain http(s) URL. It is never quoted: what is wrong
// with it may be a password in it.
func remote(value string) error {
	const field = "gitops.remote"
	if value == "" {
		return missing(field)
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return step.Input(stage, field, "is not an http(s) URL", "give the GitOps repository's URL")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return step.Input(stage, field, "has credentials, a query or a fragment", "give the URL without them, and revoke credentials that were written down")
	}
	return nil
}

func (d *Document) stages() error {
	for n, s := range d.Stages {
		field := fmt.Sprintf("stages[%d]", n)
		if s.Name == "" {
			return missing(field + ".name")
		}
		if err := step.Name(stage, field+".name", s.Name); err != nil {
			return err
		}
		if _, err := instant(field+".startedAt", s.StartedAt); err != nil {
			return err
		}
		if math.IsNaN(s.Seconds) || s.Seconds < 0 || s.Seconds > longest {
			return step.Input(stage, fmt.Sprintf("%s.seconds %g", field, s.Seconds), fmt.Sprintf("is not between 0 and %d", longest), again)
		}
	}
	return nil
}

func (d *Document) live() error {
	l := d.Live
	if l == nil {
		return nil
	}
	if l.SyncedRevision == "" {
		return step.Input(stage, "live.syncedRevision", "is missing: health without a revision is nobody's", again)
	}
	if err := object("live.syncedRevision", l.SyncedRevision); err != nil {
		return err
	}
	if l.Health != Healthy {
		return step.Policy(stage, "live.health "+quote(l.Health), "is not "+Healthy, "wait until it is, or leave out live: what is not healthy is not delivered")
	}
	if d.GitOps == nil {
		return missing("gitops")
	}
	at, err := instant("live.healthyAt", l.HealthyAt)
	if err != nil {
		return err
	}
	const clocks = "check the clocks of the cluster and of the pipeline's machine"
	if first, ok := d.began(); ok && at.Before(first) {
		return malformed("live.healthyAt", l.HealthyAt, "is before the first stage, at "+rfc3339(first), clocks)
	}
	for _, s := range d.Stages {
		ended, _ := s.ends()
		switch {
		case s.Name == commitStage && at.Before(s.began().Add(-skew)):
			return malformed("live.healthyAt", l.HealthyAt, "is before the release was committed, at "+s.StartedAt, clocks)
		case s.Name == waitStage && at.After(ended.Add(skew)):
			return malformed("live.healthyAt", l.HealthyAt, "is after the wait for it had ended, at "+rfc3339(ended), clocks)
		}
	}
	return nil
}

func (d *Document) evidence() error {
	for n, a := range d.Evidence {
		field := fmt.Sprintf("evidence[%d]", n)
		if u, err := url.Parse(a.PredicateType); err != nil || u.Scheme == "" {
			return malformed(field+".predicateType", a.PredicateType, "is not a URI", "give the statement's predicate type")
		}
		if err := step.Digest(stage, field+".digest", a.Digest); err != nil {
			return err
		}
	}
	return nil
}

// order refuses stages that begin before those that they need have ended, that
// end after the whole, and a decision after the commit that it allowed.
func (d *Document) order() error {
	const mend = again + ", and check the clock of the pipeline's machine"
	place := func(n int) string { return fmt.Sprintf("stages[%d]", n) }
	for n, s := range d.Stages {
		ended, _ := s.ends()
		for m, later := range d.Stages {
			if precedes(s.Name, later.Name) && later.began().Before(ended.Add(-rounding)) {
				return malformed(place(m)+".startedAt", later.StartedAt, fmt.Sprintf("is too early: %s comes after %s, which ended at %s", later.Name, s.Name, rfc3339(ended)), mend)
			}
			if end, _ := later.ends(); later.Name == waitStage && ended.After(end.Add(rounding)) {
				return malformed(place(n)+".startedAt", s.StartedAt, fmt.Sprintf("is too late: %s ends after the whole, which ended at %s", s.Name, rfc3339(end)), mend)
			}
		}
		if d.Decision != nil && s.Name == commitStage {
			if at, err := instant("decision.decidedAt", d.Decision.DecidedAt); err != nil || at.After(s.began()) {
				return malformed("decision.decidedAt", d.Decision.DecidedAt, "is after the release was committed, at "+s.StartedAt, mend)
			}
		}
	}
	return nil
}

// precedes says whether one stage has to end before another begins.
func precedes(one, other string) bool {
	for _, order := range orders {
		if n := slices.Index(order, one); n >= 0 && slices.Index(order, other) > n {
			return true
		}
	}
	return false
}

// binding checks that the decision's digest is that of its parts, and that the
// commit of this very delivery names it.
func (d *Document) binding() error {
	own := ""
	if j := d.Decision; j != nil && j.Digest != "" {
		if err := step.Digest(stage, "decision.digest", j.Digest); err != nil {
			return err
		}
		if own = d.decided(); own != j.Digest {
			return malformed("decision.digest", j.Digest, "is not that of the decision: its parts give "+own, again)
		}
	}
	g := d.GitOps
	if g == nil || g.Evidence == "" && (own == "" || !g.Created) {
		return nil
	}
	if err := step.Digest(stage, "gitops.evidence", g.Evidence); err != nil {
		return err
	}
	if g.Created && g.Evidence != own {
		return malformed("gitops.evidence", g.Evidence, "is not the digest of the decision that made the commit: "+render.Either(own != "", own, "there is none"), again)
	}
	return nil
}

// decided is the digest that the decision's parts give.
func (d *Document) decided() string {
	var statements []rules.DecidedBy
	for _, a := range d.Evidence {
		statements = append(statements, rules.DecidedBy{Digest: a.Digest, PredicateType: a.PredicateType})
	}
	return rules.NewDecision(d.Image.Reference.String(), d.Environment, d.Decision.Basis, d.Decision.PolicyDigest, d.Decision.Outcomes, statements).Digest()
}

// began is when the first stage started.
func (d *Document) began() (first time.Time, ok bool) {
	for _, s := range d.Stages {
		at, err := time.Parse(time.RFC3339, s.StartedAt)
		if err == nil && (!ok || at.Before(first)) {
			first, ok = at, true
		}
	}
	return first, ok
}

func missing(field string) error {
	return step.Input(stage, field, "is missing", again)
}

func malformed(field, value, reason, mend string) error {
	return step.Input(stage, field+" "+quote(value), reason, mend)
}

func object(field, value string) error {
	if objectPattern.MatchString(value) {
		return nil
	}
	return malformed(field, value, "is not a Git object id", "give all 40 (or 64) lower-case hexadecimal digits")
}

func instant(field, value string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return at, malformed(field, value, "is not a time of RFC 3339", "write it like 2026-11-24T12:00:00Z")
	}
	return at, nil
}

func rfc3339(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

// quote shows a value that may be hostile: escaped, and cut when long.
func quote(value string) string {
	const most = 80
	if len(value) > most {
		return fmt.Sprintf("%+q… (%d bytes)", value[:most], len(value))
	}
	return fmt.Sprintf("%+q", value)
}
