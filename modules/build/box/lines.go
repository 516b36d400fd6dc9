package main

import (
	"bytes"
	"io"

	"slipway/step/printable"
)

// lines passes on what a command prints, line by line and so that it is safe to show:
// the engine puts it into its log as it is, and a CI system reads commands in logs.
type lines struct {
	to      io.Writer
	pending []byte
}

// longLine is where a line without an end is cut.
const longLine = 64 << 10

// Write is of io.Writer.
func (l *lines) Write(data []byte) (int, error) {
	l.pending = append(l.pending, data...)
	for {
		end := bytes.IndexByte(l.pending, '\n')
		if end < 0 && len(l.pending) < longLine {
			return len(data), nil
		}
		if end < 0 {
			end = len(l.pending)
		}
		if _, err := io.WriteString(l.to, printable.Line(string(bytes.TrimSuffix(l.pending[:end], []byte("\r"))))+"\n"); err != nil {
			return 0, err
		}
		l.pending = l.pending[min(end+1, len(l.pending)):]
	}
}

// Close passes on a last line that has no end.
func (l *lines) Close() error {
	_, err := io.WriteString(l.to, printable.Line(string(l.pending)))
	l.pending = nil
	return err
}
