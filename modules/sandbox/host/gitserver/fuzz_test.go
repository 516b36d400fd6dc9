package gitserver

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzAnswer: what a program answers becomes an HTTP answer with a final status,
// or none at all.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		"Content-Type: text/plain\r\n\r\nbody", "Status: 404 Not Found\nX: y\n\n", "Status: 100\n\n", "Status: 999\n\n", "Status: -1\n\n", "Status: \n\nx", "Status: 200\nStatus: 500\n\n",
		"", "\n", "no header\n\n", "a: b\n c\n\n", "A\x00: b\n\n", ": x\n\n", "Content-Length: 5\n\nx", "a: b",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		w := httptest.NewRecorder()
		started, err := answer(w, bytes.NewReader(program))
		if !started {
			if err == nil || w.Body.Len() > 0 || len(w.Header()) > 0 {
				t.Fatalf("%v, %v %q", err, w.Header(), w.Body)
			}
			return
		}
		if w.Code < 200 || w.Code > 599 || w.Header().Get("Status") != "" {
			t.Fatalf("status %d, %v", w.Code, w.Header())
		}
		if !strings.HasSuffix(string(program), w.Body.String()) {
			t.Fatalf("%q became %q", program, w.Body)
		}
	})
}
