package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"slipway/ci/evidence"
	"slipway/step"
	"slipway/step/result/sign"
)

// RequireApproval is that so many whom the platform names have approved the image for
// the environment.
const RequireApproval Kind = "approval"

// Approver is somebody who may approve: by a key, or as an identity.
type Approver struct {
	// PublicKey is the path of the PEM public key that they sign by.
	PublicKey string `yaml:"publicKey" json:"publicKey,omitempty"`
	// Issuer and Subject are what their certificate says, each exactly.
	Issuer  string `yaml:"issuer" json:"issuer,omitempty"`
	Subject string `yaml:"subject" json:"subject,omitempty"`
	// Emails are those that their commits carry.
	Emails []string `yaml:"emails" json:"emails,omitempty"`
}

// Approved is the predicate of an approval. Who gave it is who signed it.
type Approved struct {
	Environment string `json:"environment"`
	// Image is repository@digest.
	Image string `json:"image"`
	// Plan is the digest of what a plan of the environment's infrastructure would do;
	// empty for an approval of the image alone.
	Plan string `json:"plan,omitempty"`
	// At is when it was given, and Until when it stops to count.
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	// Freeze is the name of the freeze that is overridden; empty for none.
	Freeze string `json:"freeze,omitempty"`
	// Reason says why, where the approver says so.
	Reason string `json:"reason,omitempty"`
}

// Approval is a signed statement of type evidence.ApprovalType about the image, by an approver's
// own key or identity.
type Approval struct {
	By       string
	Signer   sign.Signer
	Referrer string
	Approved json.RawMessage
}

// AsksApprovers says whether a rule of any environment asks them.
func (r Rules) AsksApprovers() bool { return slices.ContainsFunc(r.Rules, Rule.approvable) }

// AsksFirst says whether a rule of the environment has to be asked before anything is
// changed there.
func (r Rules) AsksFirst(env string) bool { return slices.ContainsFunc(r.in(env), Rule.waits) }

// WithoutWaits are the rules that wait for nobody and nothing, for an environment that
// has neither people nor a yesterday.
func (r Rules) WithoutWaits() Rules {
	r.Rules, r.Named = slices.DeleteFunc(slices.Clone(r.Rules), Rule.waits), nil
	return r
}

// Approvers are those whom rules of an environment ask, by their names.
func (r Rules) Approvers(env string) map[string]Approver {
	asked := map[string]Approver{}
	for _, rule := range r.in(env) {
		for name, approver := range r.Named {
			if rule.approvable() && rule.asks(name) {
				asked[name] = approver
			}
		}
	}
	return asked
}

// ApprovalAge is how long an approval by somebody counts at most for an environment.
func (r Rules) ApprovalAge(env, by string) (longest time.Duration) {
	for _, rule := range r.in(env) {
		if rule.approvable() && rule.asks(by) {
			longest = max(longest, rule.MaxAge)
		}
	}
	return longest
}

// Said are the approvals of an image for an environment, a line each, for people.
func Said(approvals []Approval, image, env string) []string {
	var lines []string
	for _, a := range approvals {
		p, err := a.read()
		if err != nil || p.Image != image || p.Environment != env {
			continue
		}
		line := fmt.Sprintf("approved by %s at %s", a.By, p.At.UTC().Format(time.RFC3339))
		if p.Freeze != "" {
			line += ", overriding freeze " + p.Freeze
		}
		if p.Reason != "" {
			line += ": " + p.Reason
		}
		lines = append(lines, line)
	}
	return lines
}

// checkApproval checks what a rule says about approvers; at names the rule.
func (r Rules) checkApproval(rule Rule, at string) error {
	const stage = "config"
	for _, name := range rule.By {
		if _, ok := r.Named[name]; !ok {
			return step.Input(stage, fmt.Sprintf("%s.by %.80q", at, name), "is not an approver", "name who that is in verification.approvers")
		}
	}
	if rule.Require != RequireApproval {
		return nil
	}
	those := len(rule.By)
	if those == 0 {
		those = len(r.Named)
	}
	switch {
	case rule.MaxAge == 0:
		return step.Input(stage, at+".maxAge", "is missing: an approval has to run out", "give how long one counts, such as 72h")
	case rule.Count < 0 || max(1, rule.Count) > those:
		return step.Input(stage, fmt.Sprintf("%s.count %d", at, rule.Count), fmt.Sprintf("can't be met: %d may approve", those), "give a count from 1 on, or name more approvers in verification.approvers")
	case len(slices.Compact(slices.Sorted(slices.Values(rule.By)))) < len(rule.By):
		return step.Input(stage, at+".by", "names somebody twice", "name each approver once")
	}
	return nil
}

// approvable says whether a rule asks approvers.
func (r Rule) approvable() bool {
	return r.Require == RequireApproval || r.Require == RequireNoFreeze && len(r.By) > 0
}

// waits says whether people or the time decide by a rule, whatever the image is.
func (r Rule) waits() bool {
	return r.Require == RequireApproval || r.Require == RequireNoFreeze || r.Require == RequireSoak
}

// asks says whether a rule counts somebody's approval.
func (r Rule) asks(name string) bool {
	return len(r.By) == 0 && r.Require == RequireApproval || slices.Contains(r.By, name)
}

// approval counts the approvers whose approval counts: each once, however often and by
// however many names they have given it.
func (in Evidence) approval(rule Rule) (finding, time.Time) {
	wanted := max(1, rule.Count)
	counted, others, left := map[string]time.Time{}, map[string]string{}, []string{}
	signers := []sign.Signer{}
	for _, a := range in.Approvals {
		until, why := in.counts(rule, a)
		switch {
		case !rule.asks(a.By):
		case why != "":
			others[a.By] = why
		case !slices.ContainsFunc(signers, func(s sign.Signer) bool { return sameSigner(s, a.Signer) }):
			signers = append(signers, a.Signer)
			counted[a.By] = until
		case until.After(counted[a.By]) && !counted[a.By].IsZero():
			counted[a.By] = until
		}
	}
	var said []string
	var ends []time.Time
	for _, name := range slices.Sorted(maps.Keys(counted)) {
		said, ends = append(said, name+" until "+counted[name].UTC().Format(time.RFC3339)), append(ends, counted[name])
	}
	if len(ends) >= wanted {
		slices.SortFunc(ends, func(a, b time.Time) int { return b.Compare(a) })
		return finding{reason: "approved by " + strings.Join(said, ", ")}, ends[wanted-1]
	}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		if _, ok := counted[name]; !ok {
			said = append(said, name+"'s "+others[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in.Rules.Approvers(in.Environment))) {
		if _, ok := counted[name]; !ok && rule.asks(name) && in.Unfit(name) == "" {
			left = append(left, name)
		}
	}
	reason := fmt.Sprintf("%d of %d approvals count", len(ends), wanted)
	if len(said) > 0 {
		reason += ": " + strings.Join(said, ", ")
	}
	switch {
	case len(in.authors()) == 0:
		return finding{reason + "; no provenance says whose commit it is", "commit everything, and " + rebuild}, time.Time{}
	case len(ends)+len(left) < wanted:
		return finding{reason, "name more approvers in verification.approvers: who has authored or delivers it can't approve it"}, time.Time{}
	}
	return finding{reason, fmt.Sprintf("have %d more of %s approve it: %s", wanted-len(ends), strings.Join(left, ", "), in.approve())}, time.Time{}
}

// approve is the command that approves the image.
func (in Evidence) approve() string {
	image := step.Reference(in.Reference)
	command := fmt.Sprintf("dagger call signed --app %s --digest %s approve --env %s --by NAME", path.Base(image.Repository()), image.Digest(), in.Environment)
	if in.Plan != "" {
		command += " --plan " + in.Plan
	}
	return command
}

// counts says until when an approval counts for a rule, or why it does not.
func (in Evidence) counts(rule Rule, a Approval) (until time.Time, why string) {
	p, err := a.read()
	if err != nil {
		return until, "can't be read: " + err.Error()
	}
	until = p.Until
	// Where a log has seen it, it is no younger than that.
	for _, began := range append([]time.Time{p.At}, a.Signer.Times...) {
		if end := began.Add(rule.MaxAge); end.Before(until) {
			until = end
		}
	}
	switch {
	case p.Environment != in.Environment:
		return until, fmt.Sprintf("is for %.40q", p.Environment)
	case p.Image != in.Reference:
		return until, "is for another image"
	case p.At.After(in.Now):
		return until, "is of a time that has not come"
	case !in.Now.Before(until):
		return until, "ran out at " + until.UTC().Format(time.RFC3339)
	case in.Plan != "" && p.Plan == "":
		return until, "names no plan, and " + in.Plan + " is to be applied"
	case in.Plan != "" && p.Plan != in.Plan:
		return until, "is for another plan than " + in.Plan + ", which is to be applied"
	}
	return until, in.unfit(a.By, a.Signer)
}

// read is what an approval says. One with something that is not known says more than
// can be held to, so that it does not count.
func (a Approval) read() (Approved, error) {
	var p Approved
	decoder := json.NewDecoder(bytes.NewReader(a.Approved))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return p, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return p, errors.New("it has something behind it")
	}
	return p, nil
}

// Unfit says why an approver can't approve the image, whenever they do; nothing where
// they can.
func (in Evidence) Unfit(name string) string {
	approver := in.Rules.Named[name]
	return in.unfit(name, sign.Signer{Identity: approver.Subject, Issuer: approver.Issuer})
}

// unfit is Unfit for somebody who has signed.
func (in Evidence) unfit(name string, signer sign.Signer) string {
	authors := in.authors()
	for _, email := range in.Rules.Named[name].Emails {
		if slices.ContainsFunc(authors, func(author string) bool { return strings.EqualFold(author, email) }) {
			return "doesn't count: they are an author of the commit"
		}
	}
	if in.delivers(signer) {
		return "doesn't count: they have signed or delivered it"
	}
	if len(authors) == 0 {
		return "doesn't count: whose commit it is isn't known"
	}
	return ""
}

// authors are the e-mail addresses of who has made the commits that the image was built
// from, all of it; none where no provenance says so.
func (in Evidence) authors() []string {
	var all []string
	for _, p := range in.provenances() {
		if source, _ := p.Source(); !source.Dirty {
			all = append(all, source.Authors...)
		}
	}
	return all
}

// DeliveredBy is the input with who has just signed a decision.
func (in Evidence) DeliveredBy(signed []*sign.Attached) Evidence {
	in.Statements = slices.Clip(in.Statements)
	for _, s := range signed {
		who := sign.Signer{KeyHint: s.KeyHint, Identity: s.Identity, Issuer: s.Issuer}
		in.Statements = append(in.Statements, sign.Statement{PredicateType: evidence.SummaryType, Predicate: json.RawMessage(`{"environment":"` + in.Environment + `"}`), Referrer: s.Referrer, Signer: &who})
	}
	return in
}

// delivers says whether somebody has signed the image, its provenance, or a decision to
// release it to the environment.
func (in Evidence) delivers(who sign.Signer) bool {
	return slices.ContainsFunc(in.Statements, func(s sign.Statement) bool {
		switch s.PredicateType {
		case evidence.SignatureType, evidence.ProvenanceType:
		case evidence.SummaryType:
			var decision Summary
			if json.Unmarshal(s.Predicate, &decision) != nil || decision.Environment != in.Environment {
				return false
			}
		default:
			return false
		}
		if s.Signer == nil {
			return sameSigner(who, sign.Signer{KeyHint: in.KeyHint})
		}
		return sameSigner(who, *s.Signer)
	})
}

func sameSigner(a, b sign.Signer) bool {
	return a.KeyHint+a.Identity != "" && a.KeyHint == b.KeyHint && a.Identity == b.Identity && a.Issuer == b.Issuer
}
