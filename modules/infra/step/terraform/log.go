package terraform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"

	tfjson "github.com/hashicorp/terraform-json"

	"slipway/infra/step/redact"
)

// log reads Terraform's machine-readable output (-json): one JSON object a
// line. It keeps the diagnostics and passes on how an apply gets on; what a plan would
// change is said by its summary. Lines that are no JSON are people's text and dropped.
//
// See https://developer.hashicorp.com/terraform/internals/machine-readable-ui.
type log struct {
	progress    io.Writer
	secrets     *redact.Secrets
	diagnostics []tfjson.Diagnostic
	rest        []byte
}

// Write takes the next piece of the output.
func (l *log) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		l.line(line)
		l.rest = rest
	}
}

func (l *log) line(line []byte) {
	var m struct {
		Type       string             `json:"type"`
		Message    string             `json:"@message"`
		Diagnostic *tfjson.Diagnostic `json:"diagnostic"`
	}
	if json.Unmarshal(line, &m) != nil {
		return
	}
	if m.Diagnostic != nil {
		l.diagnostics = append(l.diagnostics, *m.Diagnostic)
		return
	}
	switch m.Type {
	case "apply_start", "apply_progress", "apply_complete", "apply_errored":
		// An ID may be what a provider keeps secret.
		fmt.Fprintln(l.progress, l.secrets.Text(id.ReplaceAllString(firstLine(m.Message), "")))
	}
}

var id = regexp.MustCompile(` \[id=.*\]`)

func (l *log) warnings() []string {
	list := []string{}
	for _, d := range l.diagnostics {
		if d.Severity == tfjson.DiagnosticSeverityWarning {
			list = append(list, line(d))
		}
	}
	return list
}

// line renders a diagnostic as "file:line: summary: detail".
func line(d tfjson.Diagnostic) string {
	text := oneLine(d.Summary)
	if d.Detail != "" {
		text += ": " + oneLine(d.Detail)
	}
	if at := place(d); at != "" {
		text = at + ": " + text
	}
	return text
}

// place is where a diagnostic points: "file:line", the address of a resource,
// or nothing.
func place(d tfjson.Diagnostic) string {
	if d.Range != nil {
		return oneLine(fmt.Sprintf("%s:%d", d.Range.Filename, d.Range.Start.Line))
	}
	return oneLine(d.Address)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func firstLine(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	return first
}

// lastLine is the last line of text with something on it: a failed process's
// error text ends in its reason. Colour codes are dropped.
func lastLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	for i := len(lines) - 1; i >= 0; i-- {
		if last := oneLine(plain(lines[i])); last != "" {
			return last
		}
	}
	return "no reason given"
}

// plain drops ANSI escape sequences of the form that Terraform colours with.
func plain(text string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(text, "\x1b[")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		_, text, _ = strings.Cut(after, "m")
	}
}

// tail keeps the last part of what is written to it.
type tail struct{ data []byte }

// Write keeps at most the last 4 KiB.
func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if over := len(t.data) - 4<<10; over > 0 {
		t.data = t.data[over:]
	}
	return len(p), nil
}

// String returns what was kept.
func (t *tail) String() string { return string(t.data) }
