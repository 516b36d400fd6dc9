package rules

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"slipway/ci/evidence"
	"slipway/step"
	"slipway/step/result/build"
	"slipway/step/result/sign"
)

// Ruling is what one rule says.
type Ruling string

const (
	// Pass is for a rule that lets the image pass.
	Pass Ruling = "pass"
	// Warn is for a rule that would refuse, on a day that has not come yet.
	Warn Ruling = "warn"
	// Refuse is for one that does not.
	Refuse Ruling = "refuse"
)

// Outcome is a rule's verdict.
type Outcome struct {
	Rule    Kind   `json:"rule"`
	Verdict Ruling `json:"verdict"`
	// Reason says what was found, in a line.
	Reason string `json:"reason"`
	// Mend says what to do about a warning or a refusal.
	Mend string `json:"mend,omitempty"`
}

// Evidence is what is judged, and by what.
type Evidence struct {
	// Reference is repository@digest, and Environment where it is to run.
	Reference, Environment string
	// Policy is the scan's, with the database that it wants.
	Policy Policy
	Rules  Rules
	// Repository is the one that the platform registers the app with; empty for an app
	// of its own.
	Repository string
	// Revocations are the platform's, of whatever image.
	Revocations []Revocation
	// Statements are those that the platform's key signed about the image.
	Statements []sign.Statement
	// KeyHint names the key that signed them; empty where identities did.
	KeyHint string
	// Approvals are those that the approvers whom the rules ask have signed.
	Approvals []Approval
	// Elsewhere are the statements about the image by who may sign for another
	// environment, by its name.
	Elsewhere map[string][]sign.Statement
	// Plan is the digest of what is to be applied to the environment's infrastructure;
	// empty where nothing is.
	Plan string
	Now  time.Time
}

// Judgement is the decision about an image for an environment.
type Judgement struct {
	Reference   string `json:"reference"`
	Environment string `json:"environment"`
	Basis
	// PolicyDigest is of the rules and the scan's policy, with its database, that were
	// applied.
	PolicyDigest string    `json:"policyDigest"`
	Outcomes     []Outcome `json:"outcomes"`
	// At is when it was decided, and Until when it has to be decided again.
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	// Inputs are the statements that it was decided by.
	Inputs []evidence.Descriptor `json:"inputs"`
}

// Judge decides by every rule of the environment.
func Judge(in Evidence) Judgement {
	j := Judgement{
		Reference: in.Reference, Environment: in.Environment, PolicyDigest: in.policyDigest(),
		At: in.Now.UTC(), Until: in.Now.UTC().Add(in.Rules.SummaryMaxAge), Inputs: in.inputs(),
	}
	j.Outcomes = append(in.Revoked(), in.Foreign()...)
	for _, rule := range in.Rules.in(in.Environment) {
		outcome, until := in.apply(rule)
		j.Outcomes = append(j.Outcomes, outcome)
		if !until.IsZero() && until.Before(j.Until) {
			j.Until = until
		}
	}
	return j
}

// inputs are the statements that can decide.
func (in Evidence) inputs() []evidence.Descriptor {
	all, seen := []evidence.Descriptor{}, map[string]bool{}
	add := func(predicateType, referrer string) {
		seen[referrer] = true
		all = append(all, evidence.Descriptor{URI: predicateType, Digest: evidence.DigestSet(referrer)})
	}
	for _, s := range in.Statements {
		if !evidence.Follows(s.PredicateType) {
			add(s.PredicateType, s.Referrer)
		}
	}
	for _, a := range in.Approvals {
		add(evidence.ApprovalType, a.Referrer)
	}
	for _, env := range in.Rules.Soaks(in.Environment) {
		for _, s := range evidence.OfType(in.Elsewhere[env], evidence.ReceiptType) {
			if !seen[s.Referrer] {
				add(s.PredicateType, s.Referrer)
			}
		}
	}
	return all
}

// policyDigest is sha256:… of everything that decides.
func (in Evidence) policyDigest() string {
	data, err := json.Marshal(struct {
		Environment string `json:"environment"`
		Rules       []Rule `json:"rules"`
		Scan        Policy `json:"scan"`
		// Approvers are absent where no rule asks any.
		Approvers map[string]Approver `json:"approvers,omitempty"`
	}{in.Environment, in.Rules.in(in.Environment), in.Policy, in.Rules.Approvers(in.Environment)})
	if err != nil {
		panic(err) // plain data always encodes
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// apply is one rule's outcome, and when it may be another one; zero for never.
func (in Evidence) apply(rule Rule) (Outcome, time.Time) {
	found, until := map[Kind]func(Rule) (finding, time.Time){
		RequireScan: in.scan, RequireTests: in.tests, RequireProvenance: in.provenance,
		RequireSBOM: in.sbom, RequireBases: in.bases, RequireLicences: in.licences, RequireBox: in.box,
		RequireApproval: in.approval, RequireSoak: in.soak, RequireNoFreeze: in.freeze,
	}[rule.Require](rule)
	outcome := Outcome{Rule: rule.Require, Verdict: Pass, Reason: found.reason}
	if found.mend == "" {
		return outcome, until
	}
	outcome.Verdict, outcome.Mend = Refuse, found.mend
	from, err := rule.from()
	if err == nil && in.Now.Before(from) {
		outcome.Verdict = Warn
		outcome.Reason += ", which is refused from " + rule.From
		if until.IsZero() || from.Before(until) {
			until = from
		}
	}
	return outcome, until
}

// finding is what a rule found; one with a mend is not as required.
type finding struct{ reason, mend string }

const rebuild = "build, scan, publish and sign the image again with this pipeline"

func (in Evidence) scan(rule Rule) (finding, time.Time) {
	var predicates []json.RawMessage
	for _, s := range evidence.OfType(in.Statements, evidence.ScanType) {
		predicates = append(predicates, s.Predicate)
	}
	scan, err := in.Policy.Newest("verify", in.Reference, predicates, in.Now)
	if err != nil {
		f, ok := step.AsFault(err)
		if !ok {
			return finding{err.Error(), rebuild}, time.Time{}
		}
		return finding{f.Input + " " + f.Reason, f.Mend}, time.Time{}
	}
	until := scan.Until()
	taken := scan.Scanner.DB.LastUpdate
	unsigned := ""
	if !in.Policy.Database.Verified() {
		unsigned = ", by a database that nobody vouches for"
		if rule.Database == DatabaseVerified {
			return finding{"its scan was made with a database that nobody vouches for", "name who signs the database as scan.database.signing in slipway.yaml, or pin it as scan.database.digest, then scan and sign the image again"}, time.Time{}
		}
	}
	if rule.MaxAge > 0 {
		stale := taken.Add(rule.MaxAge)
		if !in.Now.Before(stale) {
			return finding{fmt.Sprintf("the newest scan knows the advisories of %s, older than %s", taken.UTC().Format(time.RFC3339), rule.MaxAge), "scan and sign the image again"}, time.Time{}
		}
		if until.IsZero() || stale.Before(until) {
			until = stale
		}
	}
	return finding{reason: fmt.Sprintf("passed with the advisories of %s, %d excepted%s", taken.UTC().Format(time.RFC3339), len(scan.Decision.Excepted), unsigned)}, until
}

func (in Evidence) tests(rule Rule) (finding, time.Time) {
	reason := "no test result is attested"
	for _, s := range evidence.OfType(in.Statements, evidence.TestResultType) {
		var r evidence.TestResult
		if json.Unmarshal(s.Predicate, &r) != nil {
			reason = "the test result can't be read"
			continue
		}
		if r.Result != evidence.TestsPassed || len(r.FailedTests) > 0 {
			reason = "the tests have not passed: " + r.Result
			continue
		}
		if len(r.PassedTests) == 0 {
			reason = "no test has run"
			continue
		}
		if !in.builtFrom(r.Configuration) {
			reason = "the tests were those of another source"
			continue
		}
		// Statements of before there were counts name packages; each has one at least.
		counts := build.Counts{Passed: len(r.PassedTests)}
		if r.Counts != nil {
			counts = *r.Counts
		}
		if counts.Passed < max(1, rule.Minimum) || counts.Failed != 0 {
			reason = fmt.Sprintf("%d tests have passed, and the rule wants %d", counts.Passed, max(1, rule.Minimum))
			continue
		}
		reason = fmt.Sprintf("%d tests have passed", counts.Passed)
		if counts.Skipped > 0 {
			reason += fmt.Sprintf(", %d were skipped", counts.Skipped)
		}
		if r.Box != nil && len(r.Box.Network) > 0 {
			reason += ", " + r.Box.Said()
		}
		return finding{reason: reason}, time.Time{}
	}
	return finding{reason, "give the app tests, then deliver it again; or take the rule out for this environment"}, time.Time{}
}

// builtFrom says whether a provenance names one of the trees.
func (in Evidence) builtFrom(trees []evidence.Descriptor) bool {
	for _, p := range in.provenances() {
		for _, d := range p.BuildDefinition.ResolvedDependencies {
			for _, t := range trees {
				if tree := d.Digest["gitTree"]; tree != "" && tree == t.Digest["gitTree"] {
					return true
				}
			}
		}
	}
	return false
}

// provenances are those of Slipway's build type.
func (in Evidence) provenances() []evidence.SignedProvenance {
	return evidence.Provenances(in.Statements)
}

func (in Evidence) provenance(rule Rule) (finding, time.Time) {
	reason, mend := "no provenance of build type "+evidence.BuildType+" is attested", rebuild
	for _, p := range in.provenances() {
		name, other, away := builder(p, rule.Runners)
		if other != "" {
			reason, mend = other, away
			continue
		}
		source, ok := p.Source()
		if !ok {
			reason, mend = "its provenance names no source", rebuild
			continue
		}
		if rule.Committed && source.Dirty {
			reason, mend = uncommitted(source)
			continue
		}
		return finding{reason: fmt.Sprintf("%.12s, built by %s", source.Commit, name)}, time.Time{}
	}
	return finding{reason, mend}, time.Time{}
}

// uncommitted is the finding about a source that is not all as its commit has it.
func uncommitted(source evidence.BuiltSource) (reason, mend string) {
	reason = "it was built with uncommitted changes"
	if len(source.Uncommitted) > 0 {
		reason += ": " + strings.Join(source.Uncommitted, ", ")
	}
	return reason, "commit or remove them, also files that Git ignores, and let Git convert no line endings (git config core.autocrlf false); then deliver again"
}

func (in Evidence) bases(rule Rule) (finding, time.Time) {
	all := in.provenances()
	if len(all) == 0 {
		return finding{"no provenance says which base images are in it", rebuild}, time.Time{}
	}
	var refused []string
	count := 0
	for _, p := range all {
		for _, base := range p.Bases() {
			count++
			if !matches(rule.Allow, base) && !slices.Contains(refused, base) {
				refused = append(refused, base)
			}
		}
	}
	if len(refused) > 0 {
		return finding{"it stands on " + strings.Join(refused, ", "), "use an allowed base image, or allow this one"}, time.Time{}
	}
	return finding{reason: fmt.Sprintf("%d base images, all allowed", count)}, time.Time{}
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, _ := path.Match(pattern, name) // a pattern that is none matches nothing
		return ok
	})
}

// Refusal is the fault of a judgement in which a rule refuses, and nil for
// another: every rule's verdict is one of its details.
func (j Judgement) Refusal(stage string) error {
	var refusing []string
	mend := ""
	for _, o := range j.Outcomes {
		if o.Verdict == Refuse {
			refusing = append(refusing, string(o.Rule)+": "+o.Reason)
			mend = cmp.Or(mend, o.Mend)
		}
	}
	if len(refusing) == 0 {
		return nil
	}
	return step.Policy(stage, j.Reference, fmt.Sprintf("is not fit for %s: %s", cmp.Or(j.Environment, "any environment"), strings.Join(refusing, "; ")), mend, j.Lines()...)
}

// Lines are the outcomes for people.
func (j Judgement) Lines() []string {
	var lines []string
	for _, o := range j.Outcomes {
		line := fmt.Sprintf("%-6s %s: %s", o.Verdict, o.Rule, o.Reason)
		if o.Mend != "" {
			line += "; " + o.Mend
		}
		lines = append(lines, line)
	}
	return lines
}
