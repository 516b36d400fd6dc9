package receipt

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"slipway/ci/evidence"
	"slipway/step"
)

const parityStage = "parity"

// HealthType is the predicate type of the attestation that an image was healthy.
const HealthType = "https://slipway.dev/attestations/health/v1"

// What a delivery's plan changed.
const (
	PlanApplied   = "applied"
	PlanUnchanged = "no changes"
)

// absent is the value of what only one receipt has.
const absent = "absent"

// Difference is where two receipts say something else.
type Difference struct {
	// Field is the receipt's, in the notation of its JSON.
	Field         string
	First, Second string
}

// Compare reads two receipts and says in a line that they are at parity. Otherwise the
// first difference is a *step.Fault of kind policy, and a receipt that is none one of
// kind input that says which.
func Compare(first, second []byte) (string, error) {
	var both [2]*Document
	for n, data := range [][]byte{first, second} {
		d, err := Parse(data)
		if err == nil {
			err = d.Validate()
		}
		if f, ok := step.AsFault(err); ok {
			return "", step.Input(parityStage, [...]string{"first", "second"}[n]+" receipt: "+f.Input, f.Reason, f.Mend)
		} else if err != nil {
			return "", err
		}
		both[n] = d
	}
	if d := Parity(both[0], both[1]); d != nil {
		return "", step.Policy(parityStage, d.Field, fmt.Sprintf("is %s in the first receipt and %s in the second", quote(d.First), quote(d.Second)),
			"deliver the same commit, with the same platform and database, to the same environment; what differs then is the pipeline's fault")
	}
	return fmt.Sprintf("%s in %s: both receipts say the same of %s", both[0].App, both[0].Environment, both[0].Image.Reference), nil
}

// Parity returns the first difference between two deliveries of the same commit, or
// nil: in what was delivered, by which scan, decision and plan, and where to. What two
// deliveries can't have in common is left out:
//
//   - who ran them: runner, and the words of outcomes, which name the builder
//   - when: decidedAt, until, healthyAt and the stages, which a repeated delivery
//     doesn't list at all
//   - whether the registry held the image: image.pushed
//   - plan.sha256: a saved plan holds the time at which it was made. Its code, program
//     and changes are compared; of the second, "no changes" is what "applied" leaves
//   - digests of statements, and of the decision over them: a signature is another one
//     each time. The types are compared, but for those that follow a release
//   - a commit that the second delivery made itself, which has its time and evidence,
//     and live.syncedRevision, which may be a later one of somebody else
func Parity(first, second *Document) *Difference {
	one, two := first.says(), second.says()
	if second.GitOps != nil && first.GitOps != nil && !second.GitOps.Created {
		one, two = append(one, first.GitOps.commit()...), append(two, second.GitOps.commit()...)
	}
	if first.Plan != nil && second.Plan != nil && (first.Plan.Changes != PlanApplied || second.Plan.Changes != PlanUnchanged) {
		one, two = append(one, saying{"plan.changes", first.Plan.Changes}), append(two, saying{"plan.changes", second.Plan.Changes})
	}
	for _, f := range one {
		if value := two.of(f.field); value != f.value {
			return &Difference{Field: f.field, First: f.value, Second: value}
		}
	}
	for _, f := range two {
		if one.of(f.field) == absent {
			return &Difference{Field: f.field, First: absent, Second: f.value}
		}
	}
	return nil
}

// saying is one thing that a receipt says.
type saying struct{ field, value string }

type sayings []saying

func (all sayings) of(field string) string {
	n := slices.IndexFunc(all, func(f saying) bool { return f.field == field })
	if n < 0 {
		return absent
	}
	return all[n].value
}

// says is what a receipt says that another of the same commit has to say, too.
func (d *Document) says() (all sayings) {
	add := func(field, value string) { all = append(all, saying{field, value}) }
	add("app", d.App)
	add("environment", d.Environment)
	add("kind", string(d.Kind))
	if s := d.Source; s != nil {
		add("source.commit", s.Commit)
		add("source.tree", s.Tree)
		add("source.dirty", strconv.FormatBool(s.Dirty))
		add("source.uncommitted", strings.Join(s.Uncommitted, ", "))
	}
	add("image.reference", d.Image.Reference.String())
	if s := d.Scan; s != nil {
		add("scan.scanner", s.Scanner)
		add("scan.scannerDigest", s.ScannerDigest)
		add("scan.database", s.Database)
		add("scan.databaseUpdatedAt", moment(s.DatabaseUpdatedAt))
		add("scan.policyDigest", s.PolicyDigest)
		add("scan.targets", strconv.Itoa(s.Targets))
		for n, line := range s.Reported {
			add(fmt.Sprintf("scan.reported[%d]", n), line)
		}
		for n, e := range s.Excepted {
			add(fmt.Sprintf("scan.excepted[%d]", n), fmt.Sprintf("%+v", e))
		}
	}
	if j := d.Decision; j != nil {
		add("decision.policyDigest", j.PolicyDigest)
		if j.Platform != nil {
			add("decision.platform", j.Platform.String())
		}
		if j.Manifests != "" {
			add("decision.manifests", j.Manifests)
		}
		for n, o := range j.Outcomes {
			add(fmt.Sprintf("decision.outcomes[%d].rule", n), string(o.Rule))
			add(fmt.Sprintf("decision.outcomes[%d].verdict of %s", n, o.Rule), string(o.Verdict))
		}
	}
	if p := d.Plan; p != nil {
		add("plan.code", p.Code)
		add("plan.program", p.Program)
	}
	if g := d.GitOps; g != nil {
		add("gitops.remote", g.Remote)
		add("gitops.path", g.Path)
	}
	if l := d.Live; l != nil {
		add("live.health", l.Health)
	}
	for _, a := range d.Evidence {
		follows := a.PredicateType == PredicateType || a.PredicateType == HealthType || evidence.Follows(a.PredicateType)
		if field := "evidence of " + a.PredicateType; !follows && all.of(field) == absent {
			add(field, "there")
		}
	}
	return all
}

// commit is what two receipts of one commit say of it.
func (g *GitOps) commit() sayings {
	return sayings{{"gitops.commit", g.Commit}, {"gitops.evidence", g.Evidence}}
}
