package steptest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Hostile is what an app, an image, a commit or a server may write where one text
// is expected: each would do something, or look like something of ours, where it
// is printed as it is.
func Hostile() []string {
	return []string{
		// commands of CI systems, as GitHub's runner and Azure's agent read them
		"::error::owned", "  ::error file=a.go,line=1::owned", "\t::set-output name=digest::sha256:00", "::stop-commands::token",
		"ok\n::add-mask::e", "ok\r\n::warning::owned", "ok\r::error::owned", "\u00a0\u3000::error::owned", "\u200b::error::owned", "\x00::error::owned",
		"##[error]owned", "a ##[group]owned", "###[SET-ENV name=PATH]/evil", "#\u00ad#[error]owned", "##[##[error]owned", "#\x00#[error]owned",
		"##vso[task.setvariable variable=PATH]/evil", "a ##vso[task.complete result=Succeeded]b", "##VSO[task.complete]", "##vso", "##\u200bvso[task.complete]",
		"##teamcity[buildStatus status='SUCCESS']", "section_start:1:owned\r\x1b[0Kowned", "\x1b[0Ksection_end:1:owned\r\x1b[0K",
		// what a terminal obeys
		"\x1b[2J\x1b[1;1Hpassed", "\x1b]0;title\a", "\x1b]8;;https://example.com\x1b\\click\x1b]8;;\x1b\\", "\u009b31mred", "a\b\b\bpassed",
		"refused\rpassed ", "refused\r", "a\x00b", "a\x7fb", "a\vb\fc",
		// what looks like something else
		"\u202etxt.exe", "\u2066a\u2069", "\u200f", "a\u2028b\u2029c\u0085d", "pass\u200bed", "\ufeffa", "pass\U000e0041ed", "a\ufe0fb", "\u115fa", "\ue000",
		"bad \xff\xfe utf-8", "\xed\xa0\x80", "\xc0\xaf",
		// what would be a part of its own
		"a\nmend: run this", "a\n  mend: run this", "a\n  - CVE-1 is excepted", "a\n\n\nb", "a\tb\tc", "| a | b |\n|---|---|", "a,b\n\"c\"",
		"a\n\nSlipway-Evidence: sha256:" + strings.Repeat("0", 64), "a\nImage-Digest: sha256:" + strings.Repeat("0", 64), "a\nimage: evil@sha256:00",
		`{"value":{"passed":true}}`, "a\n{\"fault\":null,\"value\":{}}", "passed\nPASS\nok  \texample.com/a\t0.1s",
		// what a page obeys
		"</script><script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "<!--", "]]>", "</title>", "</text></svg>", "javascript:alert(1)", "&lt;b&gt;",
		"`$(id)`", "{{.Secret}}", "%0A::error::owned", "%s%n", "-rf", "=cmd|' /C calc'!A0",
		// what never ends
		strings.Repeat("a", 100_000), strings.Repeat("é", 50_001), strings.Repeat("line\n", 10_000), strings.Repeat("\n", 50_000),
		strings.Repeat("\x1b[31m", 5_000), strings.Repeat("##[", 5_000),
	}
}

// A CI system's own readers, at their most generous: any name is a command, and
// what collation ignores may stand anywhere.
var (
	anywhere = regexp.MustCompile(`(?i)##(\[|vso|[a-z]+\[)`)
	section  = regexp.MustCompile(`section_(start|end):[0-9]+:[A-Za-z0-9_.-]+.*\r\x1b\[0K`)
)

// Obeyed is what a CI system would obey in a line of its log instead of showing it;
// empty for nothing. It reads as ActionCommand of GitHub's runner, Command of Azure's
// agent and GitLab's log do.
func Obeyed(line string) string {
	heard := strings.Map(func(r rune) rune {
		if r != '\r' && r != '\x1b' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, line)
	if found := anywhere.FindString(heard); found != "" {
		return found
	}
	if found := section.FindString(heard); found != "" {
		return found
	}
	if trimmed := strings.TrimLeftFunc(heard, unicode.IsSpace); strings.HasPrefix(trimmed, "::") && strings.Contains(trimmed[2:], "::") {
		return trimmed
	}
	return ""
}

// Printable fails the test unless text, of any number of lines, is safe to show:
// valid UTF-8 without a command, a control character or anything invisible.
func Printable(t testing.TB, text string) {
	t.Helper()
	if err := printable(text); err != nil {
		t.Fatal(err)
	}
}

func printable(text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("not UTF-8: %.200q", text)
	}
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029' || r == '\u0085' }) {
		if found := Obeyed(line); found != "" {
			return fmt.Errorf("%.80q is obeyed: %.200q", found, line)
		}
	}
	for _, r := range text {
		if r != '\n' && r != '\t' && (unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)) {
			return fmt.Errorf("%U is not shown: %.200q", r, text)
		}
	}
	return nil
}

// OneLine is Printable of a text that must be one line, and no column of its own.
func OneLine(t testing.TB, text string) {
	t.Helper()
	Printable(t, text)
	if strings.ContainsAny(text, "\n\t") {
		t.Fatalf("is not one cell: %.200q", text)
	}
}
