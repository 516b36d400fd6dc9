// Package step is the protocol between the typed pipeline and its step
// programs: the small static programs that do one stage's work inside one
// container. A step reads flags and files, writes its results as files into an
// output folder, and ends in exactly one of two ways:
//
//   - decided: the process exits 0 and the folder holds result.json, whose
//     "fault" is absent when the stage passed and names the refusal otherwise;
//   - broken: the process exits non-zero, and the caller treats that as an
//     infrastructure failure.
//
// So a step that is killed, panics or can't write never looks like a pass.
package step

import (
	"errors"
	"fmt"
	"strings"

	"slipway/step/printable"
)

// Kind says who has to act on a Fault.
type Kind string

const (
	// KindPolicy is a gate that decided against the input: the artifact,
	// plan or signature has to change, or a policy owner has to.
	KindPolicy Kind = "policy"
	// KindInput is an argument, file or name that is not valid: the caller
	// has to mend it.
	KindInput Kind = "input"
	// KindInfrastructure is a part that did not answer or answered wrongly
	// (registry, Git remote, database, state backend): a later try may pass.
	KindInfrastructure Kind = "infrastructure"
)

// Fault is the one error type of the pipeline. Every field is for its reader:
// what refused, what it looked at, why, and how to mend it.
type Fault struct {
	Kind Kind `json:"kind"`
	// Stage is the stage that refused: app, build, scan, publish, sign,
	// verify, plan, check, apply, release, admit, wait, promote, rollback, status,
	// drift, debian or config.
	Stage string `json:"stage"`
	// Input names what the stage looked at: a file and line, a flag, a
	// reference with its digest.
	Input string `json:"input"`
	// Reason says in one line what is wrong with it.
	Reason string `json:"reason"`
	// Mend says what to do about it.
	Mend string `json:"mend"`
	// Details are further lines, one finding each; may be empty.
	Details []string `json:"details,omitempty"`

	cause error
}

// Error renders the fault on a few lines: stage and reason first, then the
// details, then the mend. Whatever it was made of, it is safe to print.
func (f *Fault) Error() string {
	f = f.printable()
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %s: %s", f.Stage, f.label(), f.Input, f.Reason)
	for _, d := range f.Details {
		b.WriteString("\n  - " + d)
	}
	if f.Mend != "" {
		b.WriteString("\n  mend: " + f.Mend)
	}
	return b.String()
}

// Unwrap returns the error behind the fault, if any.
func (f *Fault) Unwrap() error { return f.cause }

func (f *Fault) label() string {
	switch f.Kind {
	case KindPolicy:
		return "refused by policy"
	case KindInput:
		return "bad input"
	case KindInfrastructure:
		return "infrastructure failure"
	default:
		return "failed"
	}
}

// Because keeps err as the cause of the fault and returns the fault.
func (f *Fault) Because(err error) *Fault {
	f.cause = err
	return f
}

// Policy makes a fault of KindPolicy.
func Policy(stage, input, reason, mend string, details ...string) *Fault {
	return fault(KindPolicy, stage, input, reason, mend, details)
}

// Input makes a fault of KindInput.
func Input(stage, input, reason, mend string, details ...string) *Fault {
	return fault(KindInput, stage, input, reason, mend, details)
}

// Detail is one finding of a fault that has several, with its own mend where there
// is one: "what; mend: how".
func Detail(what, mend string) string {
	if strings.TrimSpace(mend) == "" {
		return what
	}
	return strings.TrimRight(what, ". ") + "; mend: " + mend
}

// Infrastructure makes a fault of KindInfrastructure.
func Infrastructure(stage, input, reason, mend string, details ...string) *Fault {
	return fault(KindInfrastructure, stage, input, reason, mend, details)
}

func fault(kind Kind, stage, input, reason, mend string, details []string) *Fault {
	return (&Fault{Kind: kind, Stage: stage, Input: input, Reason: reason, Mend: mend, Details: details}).printable()
}

// printable is the fault with each part safe to show and on one line: parts of
// them come from outside, and a line of their own would read like another part.
func (f *Fault) printable() *Fault {
	return &Fault{
		Kind: f.Kind, Stage: printable.Line(f.Stage), Input: printable.Line(f.Input), Reason: printable.Line(f.Reason),
		Mend: printable.Line(f.Mend), Details: printable.List(f.Details),
	}
}

// lacks names the first part that a fault needs and doesn't have; empty for a fault
// that is whole.
func (f *Fault) lacks() string {
	if f.Kind != KindPolicy && f.Kind != KindInput && f.Kind != KindInfrastructure {
		return "known kind"
	}
	for _, part := range []struct{ name, text string }{{"stage", f.Stage}, {"input", f.Input}, {"reason", f.Reason}, {"mend", f.Mend}} {
		if strings.TrimSpace(part.text) == "" {
			return part.name
		}
	}
	return ""
}

// AsFault finds the Fault in err's chain.
func AsFault(err error) (*Fault, bool) {
	var f *Fault
	ok := errors.As(err, &f) && f != nil
	return f, ok
}
