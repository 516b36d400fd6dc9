package terraform

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"

	"slipway/step"
)

// Terraform's diagnostics have no codes; these are their summaries, the same
// through all supported versions.
var (
	staleSummaries = []string{
		"Saved plan is stale",
		"Saved plan does not match the given state",
	}
	policySummaries = []string{
		"Instance cannot be destroyed",
		"Resource precondition failed",
		"Resource postcondition failed",
		"Module output value precondition failed",
	}
	providerSummaries = []string{
		"Failed to query available provider packages",
		"Failed to resolve provider packages", // OpenTofu
		"Inconsistent dependency lock file",
		"Provider requirements cannot be satisfied by locked dependencies",
		"Failed to install provider",
		"Incompatible provider version",
	}
)

const lockSummary = "Error acquiring the state lock"

var (
	holderID = regexp.MustCompile(`already locked: ID=(\S+)`)
	// lockInfo is a line of what Terraform prints of a lock.
	lockInfo = regexp.MustCompile(`(?m)^[\s│]*(ID|Operation|Who|Created):[ \t]*(\S.*?)\s*$`)

	// lockID is what the unlock stage takes.
	lockID = regexp.MustCompile(`\A[0-9A-Za-z][0-9A-Za-z-]{0,127}\z`)

	// How the backends that know force-unlock refuse it.
	anotherLock = regexp.MustCompile(`does not match existing lock|lock [Ii][Dd].* does not match|lease ID .* did not match`)
	noLock      = regexp.MustCompile(`state is not locked|already unlocked|blob metadata "terraformlockid" was empty|no lock`)
)

// IsStale reports whether err is Terraform's refusal of a plan whose state has
// moved on, or is another one.
func IsStale(err error) bool {
	f, ok := step.AsFault(err)
	return ok && slices.Contains(staleSummaries, f.Reason)
}

// fault turns a failed command's error diagnostics into the Fault they mean.
// With none, the command broke off, and err is all there is.
func fault(stage, command string, all []tfjson.Diagnostic, err error) error {
	what := "terraform " + command
	errs := onlyErrors(all)
	if len(errs) == 0 {
		return step.Infrastructure(stage, what, "failed: "+lastLine(err.Error()), "see the reason, then try again").Because(err)
	}
	details := lines(errs)
	for _, d := range errs {
		if f := unadmitted(stage, d.Summary+" "+d.Detail); f != nil {
			f.Details = details
			return f.Because(err)
		}
	}
	for _, d := range errs {
		switch {
		case d.Summary == lockSummary:
			return lockFault(stage, d.Detail, details).Because(err)
		case slices.Contains(staleSummaries, d.Summary):
			return step.Policy(stage, what, d.Summary, "plan again, and check that plan", details...).Because(err)
		}
	}
	for _, d := range errs {
		if slices.Contains(policySummaries, d.Summary) {
			return step.Policy(stage, at(d, what), d.Summary, "change the code or its variables so that the condition holds", details...).Because(err)
		}
	}
	for _, d := range errs {
		if f := azureFault(stage, command, at(d, what), d.Summary+" "+d.Detail); f != nil {
			f.Details = details
			return f.Because(err)
		}
	}
	// What points at code but at no resource is an error of the code or its
	// variables; a resource's error is mostly its provider's.
	code := slices.ContainsFunc(errs, func(d tfjson.Diagnostic) bool { return d.Range != nil })
	resource := slices.ContainsFunc(errs, func(d tfjson.Diagnostic) bool { return d.Address != "" })
	if command != "apply" && code && !resource {
		return codeFault(stage, what, errs).Because(err)
	}
	mend := "see the reason, then try again"
	if command == "apply" {
		mend = "see the reason, then plan again: a part may have been applied"
	}
	return step.Infrastructure(stage, at(errs[0], what), summary(errs[0]), mend, details...).Because(err)
}

// noEntry is how Terraform and OpenTofu tell that an http state answers 401 or 403.
var noEntry = regexp.MustCompile(`HTTP remote state endpoint (?:requires|invalid) auth`)

// unadmitted is the Fault of a state that does not let the run's account in; nil for
// another error.
func unadmitted(stage, text string) *step.Fault {
	if !noEntry.MatchString(oneLine(frame.Replace(plain(text)))) {
		return nil
	}
	return step.Input(stage, "state", "refuses these credentials", "give the account that reads and writes the state of this environment: with-state --username … --password …")
}

func validateFault(stage string, all []tfjson.Diagnostic) error {
	errs := onlyErrors(all)
	if len(errs) == 0 {
		return step.Input(stage, "terraform validate", "the code is not valid", "run terraform validate on it")
	}
	return codeFault(stage, "terraform validate", errs)
}

func initFault(stage string, all []tfjson.Diagnostic, locked, mirror bool, err error) error {
	errs := onlyErrors(all)
	i := slices.IndexFunc(errs, func(d tfjson.Diagnostic) bool { return slices.Contains(providerSummaries, d.Summary) })
	if i < 0 {
		return fault(stage, "init", all, err)
	}
	if !locked {
		return step.Input(stage, "code "+lockFile, "is missing, but the code needs providers", lockMend, lines(errs)...).Because(err)
	}
	aboutLock := strings.Contains(errs[i].Detail, "locked provider") || strings.Contains(errs[i].Detail, "checksums")
	if strings.HasPrefix(errs[i].Summary, "Failed to ") && !aboutLock {
		if mirror {
			return step.Input(stage, "providers", "lack what the code's "+lockFile+" names",
				"give a mirror as terraform providers mirror makes it from this code; name providers by their full address, since OpenTofu reads hashicorp/… as one of its own registry", lines(errs)...).Because(err)
		}
		return step.Infrastructure(stage, "terraform init", errs[i].Summary, "see that the provider registry can be reached, then try again", lines(errs)...).Because(err)
	}
	return step.Input(stage, "code "+lockFile, "does not hold what the code needs", lockMend, lines(errs)...).Because(err)
}

// heldBy is the diagnostic text that tells who holds the state's lock; empty
// when it isn't held.
func heldBy(all []tfjson.Diagnostic) string {
	for _, d := range onlyErrors(all) {
		for _, text := range []string{d.Detail, d.Summary} {
			if strings.Contains(text, "Lock Info:") {
				return text
			}
		}
	}
	return ""
}

// lockFault names the holder of a lock, as far as the text tells it.
func lockFault(stage, text string, details []string) *step.Fault {
	info := map[string]string{}
	for _, m := range lockInfo.FindAllStringSubmatch(plain(text), -1) {
		info[m[1]] = m[2]
	}
	if m := holderID.FindStringSubmatch(text); m != nil {
		info["ID"] = m[1]
	}
	// The ID becomes a part of a command: people copy it.
	id := info["ID"]
	if !lockID.MatchString(id) {
		return step.Infrastructure(stage, "state lock", "can't be taken", "see that the state backend runs, then try again", details...)
	}
	reason := "is held by another run"
	for _, part := range []struct{ before, text string }{
		{": ", info["Who"]}, {", ", strings.TrimPrefix(info["Operation"], "OperationType")}, {", since ", info["Created"]},
	} {
		if part.text != "" {
			reason += part.before + part.text
		}
	}
	return step.Infrastructure(stage, "state lock "+id, reason,
		"wait for that run; if it was killed, give the lock back: infra --env … unlock --id "+id+
			" (which, but for an http state, is terraform force-unlock "+id+")")
}

func onlyErrors(all []tfjson.Diagnostic) []tfjson.Diagnostic {
	var errs []tfjson.Diagnostic
	for _, d := range all {
		if d.Severity != tfjson.DiagnosticSeverityWarning {
			errs = append(errs, d)
		}
	}
	return errs
}

func lines(all []tfjson.Diagnostic) []string {
	list := make([]string, len(all))
	for i, d := range all {
		list[i] = line(d)
	}
	return list
}

// summary is a diagnostic's on one line.
func summary(d tfjson.Diagnostic) string {
	return cmp.Or(oneLine(firstLine(strings.TrimSpace(d.Summary))), "failed without a reason")
}

func at(d tfjson.Diagnostic, otherwise string) string {
	if p := place(d); p != "" {
		return p
	}
	return otherwise
}
