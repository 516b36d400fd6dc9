// Package printable makes text that comes from outside safe to show: in a
// terminal, in a CI system's log, in a table, on a page. What an app's tests
// print, what its files are called and what a server answers can then neither
// hide nor overwrite what stands beside it, nor start a command of the CI system
// that reads the log.
//
// Text that is safe is returned as it is, and what comes out comes out of a second
// pass unchanged.
package printable

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxLine is how many bytes of a line Line and Text show.
	MaxLine = 4096
	// MaxLines is how many lines Text and List show.
	MaxLines = 2000
)

// command is what Azure's agent obeys anywhere in a line, ##vso[area.event]data,
// and what it formats and GitHub's runner obeys there, ##[command]data. The runner
// takes names in any case. The agent also warns of a ##vso that it can't read.
var command = regexp.MustCompile(`(?i)##(vso|[a-z]*\[)`)

// Line is text as one line without tabs: line ends become single spaces, and what
// is longer than MaxLine is cut and says so.
func Line(text string) string {
	if strings.Contains(text, "\n") {
		text = strings.Join(strings.FieldsFunc(strings.ReplaceAll(text, "\r\n", "\n"), func(r rune) bool { return r == '\n' }), " ")
	}
	return cut(line(strings.ReplaceAll(text, "\t", " ")))
}

// Text is text of several lines, each as long as Line's at most. Of more than
// MaxLines lines, the first and the last are shown, and how many are between them.
func Text(text string) string {
	lines := split(text)
	for n := range lines {
		lines[n] = cut(line(lines[n]))
	}
	if len(lines) > MaxLines {
		left := len(lines) - MaxLines + 1
		head := MaxLines / 2
		lines = append(append(lines[:head:head], omitted(left, "lines")), lines[head+left:]...)
	}
	return strings.Join(lines, "\n")
}

// Whole is text of any length, for what has to be read to its end: a diff, a page.
func Whole(text string) string {
	lines := split(text)
	for n := range lines {
		lines[n] = line(lines[n])
	}
	return strings.Join(lines, "\n")
}

// List is items as lines: one that has several becomes several. Those above
// MaxLines are counted in the last. No items are nil.
func List(items []string) []string {
	var lines []string
	for _, item := range items {
		for _, part := range split(strings.TrimRight(item, "\r\n")) {
			lines = append(lines, Line(part))
		}
	}
	if len(lines) > MaxLines {
		lines = append(lines[:MaxLines-1:MaxLines-1], omitted(len(lines)-MaxLines+1, "lines"))
	}
	return lines
}

// IsLine says whether text may be kept as one line for people, such as a description
// or a name: it has no control characters, no line ends, no marks that turn the
// direction of text, and no command. What else is invisible, such as the joiners of
// some scripts, may stay; it is escaped where it is shown.
func IsLine(text string) bool {
	seen := strings.Map(func(r rune) rune {
		if shown(r) {
			return r
		}
		return -1
	}, text)
	return utf8.ValidString(text) && defuse(seen) == seen && !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
	})
}

// JSON is a JSON text that means the same and is safe to show: in its strings,
// escapes stand for what must not be seen as it is. What is not JSON is treated as
// Whole treats it.
func JSON(text string) string {
	if !json.Valid([]byte(text)) {
		return Whole(text)
	}
	text = command.ReplaceAllString(text, `#\u0023$1`)
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\r':
			b.WriteByte(' ') // between values; in a string it is escaped already
		case r == '\n' || r == '\t' || shown(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func split(text string) []string {
	return strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
}

// line makes one line safe, whatever its length.
func line(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if strings.ContainsFunc(text, func(r rune) bool { return !shown(r) && r != '\t' }) {
		var b strings.Builder
		for _, r := range text {
			switch {
			case shown(r) || r == '\t':
				b.WriteRune(r)
			case r == '\r':
				b.WriteString(`\r`)
			case r < utf8.RuneSelf:
				fmt.Fprintf(&b, `\x%02x`, r)
			case r > 0xffff:
				fmt.Fprintf(&b, `\U%08x`, r)
			default:
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		}
		text = b.String()
	}
	return defuse(text)
}

// defuse breaks the commands in a line.
func defuse(text string) string {
	text = command.ReplaceAllString(text, `#\#$1`)
	// GitHub's runner obeys ::command:: at the start of a line, behind white space.
	if rest := strings.TrimLeftFunc(text, unicode.IsSpace); strings.HasPrefix(rest, "::") {
		text = text[:len(text)-len(rest)] + `\` + rest
	}
	return text
}

// shown says whether a character is seen as itself: no control character, no mark
// that turns the direction of text, nothing invisible.
func shown(r rune) bool {
	return unicode.IsGraphic(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// cut shortens a line that is longer than MaxLine to that, and says by how much.
func cut(text string) string {
	if len(text) <= MaxLine {
		return text
	}
	// The number of what is left out is no longer than that of everything.
	keep := MaxLine - len(omitted(len(text), "bytes"))
	for !utf8.RuneStart(text[keep]) {
		keep--
	}
	return text[:keep] + omitted(len(text)-keep, "bytes")
}

func omitted(count int, what string) string {
	return fmt.Sprintf("… (%d %s left out)", count, what)
}
