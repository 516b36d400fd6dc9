package step_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"slipway/step"
	"slipway/step/printable"
	"slipway/step/steptest"
)

func is[T comparable](t *testing.T, want, got T) {
	t.Helper()
	if want != got {
		t.Fatalf("got %.300q, want %.300q", fmt.Sprint(got), fmt.Sprint(want))
	}
}

func TestFault(t *testing.T) {
	for kind, c := range map[step.Kind]struct {
		make  func(stage, input, reason, mend string, details ...string) *step.Fault
		label string
	}{
		step.KindPolicy: {step.Policy, "refused by policy"}, step.KindInput: {step.Input, "bad input"},
		step.KindInfrastructure: {step.Infrastructure, "infrastructure failure"},
	} {
		f := c.make("scan", "app hello", "is größer", "update it", "CVE-1", "CVE-2")
		is(t, kind, f.Kind)
		is(t, "scan: "+c.label+": app hello: is größer\n  - CVE-1\n  - CVE-2\n  mend: update it", f.Error())
		is(t, "scan|app hello|is größer|update it|CVE-1|CVE-2", strings.Join(append([]string{f.Stage, f.Input, f.Reason, f.Mend}, f.Details...), "|"))
		is(t, true, c.make("a", "b", "c", "d").Details == nil)
	}
	is(t, "a: failed: b: c", (&step.Fault{Kind: "passed", Stage: "a", Input: "b", Reason: "c"}).Error())
}

// TestFaultOfOthersText: no part of a fault can look like another one, however the
// fault came to be.
func TestFaultOfOthersText(t *testing.T) {
	f := step.Policy("scan", "a\nb", "c\r\nd\n\ne", "f\tg\x1b[2J", "h\n  mend: i", "::error::j", "##vso[k.l]", "m\rn", "")
	is(t, "a b", f.Input)
	is(t, "c d e", f.Reason)
	is(t, `f g\x1b[2J`, f.Mend)
	is(t, `h|  mend: i|\::error::j|#\#vso[k.l]|m\rn|`, strings.Join(f.Details, "|"))
	is(t, "scan: refused by policy: a b: c d e\n  - h\n  -   mend: i\n  - \\::error::j\n  - #\\#vso[k.l]\n  - m\\rn\n  - \n  mend: f g\\x1b[2J", f.Error())

	for _, text := range steptest.Hostile() {
		details := []string{text, text}
		for _, f := range []*step.Fault{
			step.Input(text, text, text, text, details...), {Kind: step.KindInput, Stage: text, Input: text, Reason: text, Mend: text, Details: details},
		} {
			said := f.Error()
			steptest.Printable(t, said)
			lines := strings.Split(said, "\n")
			for n, line := range lines {
				last := n == len(lines)-1 && printable.Line(text) != ""
				if n > 0 && !strings.HasPrefix(line, "  - ") && (!last || !strings.HasPrefix(line, "  mend: ")) {
					t.Fatalf("%q has a line of its own: %.200q", text, line)
				}
			}
		}
		f := step.Input(text, text, text, text, details...)
		for _, part := range append([]string{f.Stage, f.Input, f.Reason, f.Mend}, f.Details...) {
			steptest.OneLine(t, part)
		}
	}
	is(t, printable.MaxLines, len(step.Policy("a", "b", "c", "d", make([]string, 9_999)...).Details))
	details := []string{"a\nb", "\x1b"}
	_ = (&step.Fault{Details: details}).Error()
	is(t, true, slices.Equal([]string{"a\nb", "\x1b"}, details))
}

func TestFaultInAChain(t *testing.T) {
	f := step.Input("a", "b", "c", "d").Because(io.EOF)
	is(t, io.EOF, f.Unwrap())
	is(t, true, errors.Is(f, io.EOF))
	is(t, nil, step.Input("a", "b", "c", "d").Unwrap())
	for _, err := range []error{f, fmt.Errorf("read: %w", f), errors.Join(io.ErrUnexpectedEOF, f)} {
		found, ok := step.AsFault(err)
		is(t, true, ok)
		is(t, f, found)
	}
	var none *step.Fault
	for _, err := range []error{nil, io.EOF, errors.New("a: bad input: b: c"), none} {
		if _, ok := step.AsFault(err); ok {
			t.Fatalf("%T is a fault", err)
		}
	}
}

func TestADetailNamesItsMendWhereThereIsOne(t *testing.T) {
	is(t, "main.tf:3: HIGH X: open; mend: Close it.", step.Detail("main.tf:3: HIGH X: open.", "Close it."))
	is(t, "main.tf:3: HIGH X: open.", step.Detail("main.tf:3: HIGH X: open.", " "))
}
