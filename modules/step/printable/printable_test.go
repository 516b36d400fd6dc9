package printable_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"slipway/step/printable"
	"slipway/step/steptest"
)

func equal[T any](t *testing.T, want, got T) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("got %.300q, want %.300q", any(got), any(want))
	}
}

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "a b": "a b", "größer → 日本 😀 « é": "größer → 日本 😀 « é", `\x1b %q "quoted" <b>`: `\x1b %q "quoted" <b>`,
		"a: ::error::b": "a: ::error::b", "a::b": "a::b", "## Heading #1 [a]": "## Heading #1 [a]", "#[a]": "#[a]", "# #[a]": "# #[a]", "##1[a]": "##1[a]",
		"::error::x": `\::error::x`, " \t::error::x": `  \::error::x`, "\u00a0::x::y": "\u00a0\\::x::y", "::1": `\::1`,
		"##[error]x": `#\#[error]x`, "a##[error]x": `a#\#[error]x`, "###[x]": `##\#[x]`, "####[x]##[y]": `###\#[x]#\#[y]`,
		"##vso[a.b]c": `#\#vso[a.b]c`, "##VSO[a.b]c": `#\#VSO[a.b]c`, "see ##vso": `see #\#vso`, "##teamcity[x]": `#\#teamcity[x]`,
		"\x1b[31mred\x1b[0m": `\x1b[31mred\x1b[0m`, "\a\b\v\f\x00\x7f": `\x07\x08\x0b\x0c\x00\x7f`, "refused\rpassed": `refused\rpassed`,
		"a\u0085b\u2028c\u2029d": `a\u0085b\u2028c\u2029d`, "\u202etxt.exe": `\u202etxt.exe`, "pass\u200bed": `pass\u200bed`, "\ufeffa": `\ufeffa`,
		"\U000e0041": `\U000e0041`, "\ufe0f": `\ufe0f`, "\u115f": `\u115f`, "a\xff\xfeb": "a\uFFFDb", "\u00ad::x::": `\u00ad::x::`,
		"\u007f\u0080\uffff\U00010000": `\x7f\u0080\uffff` + "\U00010000",
		"a\nb":                         "a b", "a\r\nb\n\n\nc\n": "a b c", "\n": "", "a\tb": "a b", "a\n\tb": "a  b",
	} {
		got := printable.Line(text)
		equal(t, want, got)
		equal(t, got, printable.Line(got))
	}
}

func TestLineEnds(t *testing.T) {
	equal(t, strings.Repeat("a", printable.MaxLine), printable.Line(strings.Repeat("a", printable.MaxLine)))
	for text, want := range map[string]string{
		strings.Repeat("a", printable.MaxLine+1): strings.Repeat("a", printable.MaxLine-25) + "… (26 bytes left out)",
		strings.Repeat("é", 50_000):              strings.Repeat("é", 2034) + "… (95932 bytes left out)",
	} {
		got := printable.Line(text)
		if len(got) > printable.MaxLine {
			t.Fatalf("%d bytes", len(got))
		}
		equal(t, want, got)
		equal(t, got, printable.Line(got))
	}
}

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "\n": "\n", "a\n\n\tb\n": "a\n\n\tb\n", "a\r\nb\r\n": "a\nb\n", "a\tb\x1b\tc": "a\tb\\x1b\tc", "a\r\r\nb\rc": "a\\r\nb\\rc",
		"a\n::error::b\n  ::error::c\nd ::error::e": "a\n\\::error::b\n  \\::error::c\nd ::error::e",
		"a ##[x]\n##vso[y.z]":                       "a #\\#[x]\n#\\#vso[y.z]",
	} {
		equal(t, want, printable.Text(text))
		equal(t, want, printable.Whole(text))
	}
	all := strings.Repeat("a\n", printable.MaxLines-1) + "z"
	equal(t, all, printable.Text(all))
	more := "first\n" + strings.Repeat("a\n", 9_998) + "last"
	lines := strings.Split(printable.Text(more), "\n")
	equal(t, printable.MaxLines, len(lines))
	equal(t, []string{"first", "… (8001 lines left out)", "last"}, []string{lines[0], lines[printable.MaxLines/2], lines[len(lines)-1]})
	equal(t, more, printable.Whole(more))
	long := strings.Repeat("a", printable.MaxLine+1)
	equal(t, "x\n"+printable.Line(long)+"\ny", printable.Text("x\n"+long+"\ny"))
	equal(t, long, printable.Whole(long))
}

func TestList(t *testing.T) {
	equal(t, nil, printable.List(nil))
	equal(t, nil, printable.List([]string{}))
	equal(t, []string{"a", "", "b c", `\::error::d`, "mend: e", `\rf`}, printable.List([]string{"a", "", "b\tc\r\n", "::error::d\nmend: e", "\rf"}))
	items := make([]string, printable.MaxLines)
	equal(t, items, printable.List(items))
	got := printable.List(append(items, "a", "b\nc"))
	equal(t, printable.MaxLines, len(got))
	equal(t, "… (4 lines left out)", got[len(got)-1])
	equal(t, got, printable.List(got))
}

func TestIsLine(t *testing.T) {
	for _, text := range []string{"", "a", "größer → 日本 ❤\ufe0f", "می\u200cخواهم", "a: ::b", `C:\x1b`, "<b>", "a | b", "a\u00a0b"} {
		equal(t, true, printable.IsLine(text))
	}
	for _, text := range []string{
		"a\n", "a\rb", "\ta", "a\x1b", "\x00", "\x7f", "\u0085", "\u2028", "\u2029", "\u202e", "\u2066", "\u200f", "\u061c", "\xff",
		"::error::a", " ::error::a", "\u00a0::a", "##[a]", "a ##vso[b.c]", "##VSO",
	} {
		if printable.IsLine(text) {
			t.Fatalf("%q is a line", text)
		}
	}
}

func TestJSON(t *testing.T) {
	for text, want := range map[string]string{
		"{}\n": "{}\n", `{"a": "é😀<"}`: `{"a": "é😀<"}`, "{\n\t\"a\": 1}": "{\n\t\"a\": 1}", "[1,\r\n2]": "[1, \n2]",
		`{"a":"##vso[x.y]","##[b]":"\\##[c]"}`:   `{"a":"#\u0023vso[x.y]","#\u0023[b]":"\\#\u0023[c]"}`,
		"[\"\u202e\u009b\x7f\U000e0041\ue000\"]": `["\u202e\u009b\u007f\udb40\udc41\ue000"]`, "[\"a\xffb\"]": "[\"a\uFFFDb\"]",
		"no JSON\r\n##[x]\n\x1b": "no JSON\n#\\#[x]\n\\x1b",
	} {
		equal(t, want, printable.JSON(text))
	}
}

func TestHostile(t *testing.T) {
	for _, text := range steptest.Hostile() {
		check(t, text)
	}
}

// FuzzPrintable: whatever comes in, nothing that comes out is obeyed or invisible, a
// second pass changes nothing, and JSON means what it meant.
func FuzzPrintable(f *testing.F) {
	for _, text := range steptest.Hostile() {
		if len(text) < 10_000 {
			f.Add(text)
		}
	}
	f.Fuzz(check)
}

func check(t *testing.T, text string) {
	steptest.OneLine(t, printable.Line(text))
	for _, safe := range []func(string) string{printable.Line, printable.Text, printable.Whole, printable.JSON} {
		once := safe(text)
		steptest.Printable(t, once)
		equal(t, once, safe(once))
	}
	// A prefix of our own must not undo it, nor may lines that are put together.
	steptest.Printable(t, "  - "+printable.Line(text)+"\n  "+printable.Line(text))
	if lines := strings.Split(printable.Text(text), "\n"); len(lines) > printable.MaxLines {
		t.Fatalf("%d lines", len(lines))
	}
	if printable.IsLine(text) && (steptest.Obeyed(text) != "" || strings.ContainsAny(text, "\n\r\t\x1b")) {
		t.Fatalf("%q is a line", text)
	}
	list := printable.List([]string{text, text})
	equal(t, list, printable.List(list))
	for _, item := range list {
		steptest.OneLine(t, item)
	}
	data, err := json.Marshal(map[string]string{text: text})
	if err != nil {
		t.Fatal(err)
	}
	var before, after map[string]string
	if err := errors.Join(json.Unmarshal(data, &before), json.Unmarshal([]byte(printable.JSON(string(data))), &after)); err != nil {
		t.Fatalf("%v: %.300q", err, text)
	}
	steptest.Printable(t, printable.JSON(string(data)))
	equal(t, before, after)
}
