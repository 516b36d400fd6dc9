// Package steptest holds what the tests of every stage ask of a refusal. Nothing
// but tests imports it.
package steptest

import (
	"slices"
	"strings"
	"testing"

	"slipway/step"
)

// Refused returns the Fault that err is, and fails the test unless it is one
// with every part that its reader needs: a known kind, a stage, and on one line
// each the input, the reason and the mend.
func Refused(t testing.TB, err error) *step.Fault {
	t.Helper()
	f, ok := step.AsFault(err)
	if !ok {
		t.Fatalf("%v is no fault", err)
	}
	if !slices.Contains([]step.Kind{step.KindPolicy, step.KindInput, step.KindInfrastructure}, f.Kind) || f.Stage == "" {
		t.Fatalf("the fault is of kind %q and stage %q: %v", f.Kind, f.Stage, err)
	}
	for part, text := range map[string]string{"input": f.Input, "reason": f.Reason, "mend": f.Mend} {
		if strings.TrimSpace(text) == "" {
			t.Fatalf("the fault has no %s: %v", part, err)
		}
		if strings.ContainsAny(text, "\r\n") {
			t.Fatalf("the fault's %s has several lines: %q", part, text)
		}
	}
	return f
}
