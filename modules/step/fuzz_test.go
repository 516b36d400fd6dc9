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

// FuzzDecode: a result is a whole fault, or a value that was there; whichever it is,
// it is safe to print, and writing it again keeps it.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		`{"value":{"digest":"sha256:00"}}`,
		`{"fault":{"kind":"policy","stage":"scan","input":"app hello","reason":"is vulnerable","mend":"update it","details":["CVE-1"]}}`,
		`{"fault":{"kind":"policy"},"value":1}`, `{"fault":null,"value":null}`, `{"fault":{}}`, `{}`, `null`, `[]`, ``, `{"value":`,
		`{"fault":{"kind":"policy","stage":"scan","input":"a","reason":"b","mend":"c"},"fault":{}}`, `{"value":1,"value":2}`,
		`{"fault":{"kind":"policy","kind":"input","stage":"\u001b","input":"::a::","reason":"##vso[b.c]","mend":"\r","details":["a\nmend: b",""]}}`,
		`{"FAULT":{"reason":"x"},"Value":1}`, `{"value":1}{"fault":{}}`, `{"fault":{"kind":"pass"}}`,
		`{"fault":{"kind":"failed","details":[]}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var value any
		err := step.Decode(data, &value)
		if err == nil {
			if step.Decode(data, nil) != nil {
				t.Fatal("the same result is none without a place for its value")
			}
			var said map[string]json.RawMessage
			if err := json.Unmarshal(data, &said); err != nil || len(said) != 1 || said["value"] == nil {
				t.Fatalf("%q passes", data)
			}
		} else {
			fault := steptest.Refused(t, err)
			steptest.Printable(t, err.Error())
			for _, text := range append([]string{fault.Stage, fault.Input, fault.Reason, fault.Mend}, fault.Details...) {
				steptest.OneLine(t, text)
			}
			if other := step.Decode(data, nil); other == nil || fault.Kind != step.KindInfrastructure && other.Error() != err.Error() {
				t.Fatalf("%v is %v without a place for its value", err, other)
			}
		}
		out := t.TempDir()
		if err := step.Write(out, value, err); err != nil {
			t.Fatalf("write again: %v", err)
		}
		written, readErr := os.ReadFile(filepath.Join(out, step.ResultFile))
		if readErr != nil {
			t.Fatal(readErr)
		}
		var again any
		err2 := step.Decode(written, &again)
		if !reflect.DeepEqual(shape(err), shape(err2)) || !reflect.DeepEqual(value, again) {
			t.Fatalf("%v, %v became %v, %v", value, err, again, err2)
		}
	})
}

// shape is everything of a fault that its file holds.
func shape(err error) any {
	f, ok := step.AsFault(err)
	if !ok {
		return err
	}
	return []any{f.Kind, f.Stage, f.Input, f.Reason, f.Mend, f.Details}
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
