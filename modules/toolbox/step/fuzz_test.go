package step_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"slipway/step"
	"slipway/step/steptest"
)

// FuzzDecode: a result is a fault, or a value that was there; whichever it is,
// writing it again keeps it.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		`{"value":{"digest":"sha256:00"}}`,
		`{"fault":{"kind":"policy","stage":"scan","input":"app hello","reason":"is vulnerable","mend":"update it","details":["CVE-1"]}}`,
		`{"fault":{"kind":"policy"},"value":1}`, `{"fault":null,"value":null}`, `{"fault":{}}`, `{}`, `null`, `[]`, ``, `{"value":`,
		`{"FAULT":{"reason":"x"},"Value":1}`, `{"value":1}{"fault":{}}`, `{"fault":{"kind":"pass"}}`,
		`{"fault":{"kind":"failed","details":[]}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var value any
		err := step.Decode(data, &value)
		fault, refused := step.AsFault(err)
		if err != nil && !refused {
			return
		}
		if refused && len(fault.Details) == 0 {
			fault.Details = nil // no details are not written, empty or not
		}
		if err == nil && step.Decode(data, nil) != nil {
			t.Fatal("the same result is none without a place for its value")
		}
		var said struct{ Fault, Value json.RawMessage }
		if json.Unmarshal(data, &said) == nil && err == nil && len(said.Value) == 0 {
			t.Fatal("no value passes")
		}
		out := t.TempDir()
		if err := step.Write(out, value, err); err != nil {
			t.Fatalf("write again: %v", err)
		}
		written, err := os.ReadFile(filepath.Join(out, step.ResultFile))
		if err != nil {
			t.Fatal(err)
		}
		var again any
		err = step.Decode(written, &again)
		if fault2, ok := step.AsFault(err); ok != refused || refused && !reflect.DeepEqual(fault, fault2) {
			t.Fatalf("%v became %v", fault, err)
		}
		if !refused && (err != nil || !reflect.DeepEqual(value, again)) {
			t.Fatalf("%v became %v, %v", value, again, err)
		}
	})
}

// FuzzName: what is taken for a name or a digest can't be a path, an option or
// more than one word, and what is not is refused on one line.
func FuzzName(f *testing.F) {
	for _, text := range []string{
		"hello", "dev-2", "../dev", "-dev", "dev\n", "a b", "$(id)", "", "ÄÖ", "sha256:" + strings.Repeat("0a", 32),
		"sha256:" + strings.Repeat("0A", 32), "sha256:" + strings.Repeat("0a", 32) + "\n", strings.Repeat("a", 64), "\xff\x00",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for what, check := range map[string]func(stage, what, value string) error{"name": step.Name, "digest": step.Digest} {
			if err := check("release", what, text); err != nil {
				if fault := steptest.Refused(t, err); fault.Kind != step.KindInput || len(fault.Input) > 500 {
					t.Fatalf("%v", err)
				}
				continue
			}
			if len(text) > 71 || strings.ContainsFunc(text, func(r rune) bool {
				return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-:", r)
			}) || text[0] == '-' || strings.HasSuffix(text, "-") || what == "name" && strings.Contains(text, ":") {
				t.Fatalf("%q is taken for a %s", text, what)
			}
		}
	})
}
