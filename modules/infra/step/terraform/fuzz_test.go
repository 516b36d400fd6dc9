package terraform

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"slipway/step/steptest"
)

// FuzzLog: what Terraform says means the same in whatever pieces it comes, and
// each line that is shown is one.
func FuzzLog(f *testing.F) {
	for _, text := range []string{
		`{"@message":"Plan: 1 to add","type":"change_summary"}` + "\n",
		`{"type":"diagnostic","diagnostic":{"severity":"warning","summary":"a\nb","detail":"c","range":{"filename":"main.tf","start":{"line":3}}}}` + "\nplain text\n",
		`{"type":"apply_start","@message":"x\ny"}` + "\n{\n", "null\n[]\n\n", `{"diagnostic":{}}` + "\r\n", `{"type":"diagnostic","diagnostic":null}` + "\n", "\x1b[31mError\x1b[0m: no\n", "\x1b[",
	} {
		f.Add([]byte(text), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		size = max(1, size%64)
		var whole, pieces log
		var shown, shownPieces bytes.Buffer
		whole.progress, pieces.progress = &shown, &shownPieces
		if n, err := whole.Write(data); n != len(data) || err != nil {
			t.Fatal(n, err)
		}
		for rest := data; len(rest) > 0; {
			n := min(size, len(rest))
			if _, err := pieces.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if !reflect.DeepEqual(whole.diagnostics, pieces.diagnostics) || shown.String() != shownPieces.String() {
			t.Fatalf("%+v and %q in one piece, %+v and %q in several", whole.diagnostics, shown.String(), pieces.diagnostics, shownPieces.String())
		}
		if strings.Count(shown.String(), "\n") > bytes.Count(data, []byte("\n")) {
			t.Fatalf("%q shows %q", data, shown.String())
		}
		for _, text := range append(whole.warnings(), lastLine(string(data))) {
			if strings.ContainsAny(text, "\r\n") {
				t.Fatalf("%q has several lines", text)
			}
		}
	})
}

// FuzzFault: whatever Terraform says when it fails, the refusal is whole; and
// what it says of a lock makes no command but the one that gives the lock back.
func FuzzFault(f *testing.F) {
	const held = `{"type":"diagnostic","diagnostic":{"severity":"error","summary":"Error acquiring the state lock","detail":"Lock Info:\n  ID:        `
	for _, text := range []string{
		held + `2f3a-11\n  Who:       me@here\n  Operation: OperationTypeApply\n  Created:   2026-01-02"}}`, held + `x; rm -rf /\n"}}`, held + `\u001b[31m--force\n"}}`, held + `"}}`,
		`{"diagnostic":{"severity":"error","summary":"Error acquiring the state lock","detail":"already locked: ID=$(id)"}}`,
		`{"diagnostic":{"severity":"error"}}`, `{"diagnostic":{"severity":"error","summary":"\nx"}}`, `{"diagnostic":{"severity":"warning","summary":"x"}}`, `{"diagnostic":{"severity":"error","summary":"x","range":{"filename":"a\nb"}}}`,
		`{"diagnostic":{"severity":"error","summary":"Saved plan is stale"}}`, `{"diagnostic":{"severity":"error","summary":"Failed to install provider","detail":"checksums"}}`, `{"diagnostic":{"severity":"error","summary":"Instance cannot be destroyed","address":"a.b"}}`, "",
	} {
		f.Add([]byte(text), "plan", "exit status 1")
		f.Add([]byte(text), "apply", "\n\x1b[31m\n")
	}
	unlock := regexp.MustCompile(`unlock --id (.*) \(which`)
	word := regexp.MustCompile(`\A[0-9A-Za-z][0-9A-Za-z-]*\z`)
	f.Fuzz(func(t *testing.T, said []byte, command, reason string) {
		l := log{progress: io.Discard}
		if _, err := l.Write(append(bytes.Clone(said), '\n')); err != nil {
			t.Fatal(err)
		}
		failed := errors.New(reason)
		for _, err := range []error{fault("plan", command, l.diagnostics, failed), validateFault("plan", l.diagnostics), initFault("plan", l.diagnostics, true, true, failed), initFault("plan", l.diagnostics, false, false, failed)} {
			refusal := steptest.Refused(t, err)
			if found := unlock.FindStringSubmatch(refusal.Mend); found != nil && !word.MatchString(found[1]) {
				t.Fatalf("mend: %q", refusal.Mend)
			}
		}
	})
}
