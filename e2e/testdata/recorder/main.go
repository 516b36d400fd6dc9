// Command recorder stands before a program of the same name on a runner's PATH. It runs
// the real one, RECORDER_<name>, and keeps in the folder RECORDER how it was called and
// what it printed: act loses the end of what a step prints that fails. As curl it
// fetches the file RECORDER_curl, whatever it was asked for.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

func main() {
	name := filepath.Base(os.Args[0])
	real := os.Getenv("RECORDER_" + name)
	if name == "curl" {
		data, err := os.ReadFile(real)
		if err == nil {
			err = os.WriteFile(os.Args[slices.Index(os.Args, "--output")+1], data, 0o600)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	printed, result := &log{}, &bytes.Buffer{}
	cmd := exec.Command(real, os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = io.MultiWriter(os.Stdout, printed, result), io.MultiWriter(os.Stderr, printed)
	err := cmd.Run()
	call := map[string]any{"args": os.Args[1:], "printed": printed.text.String(), "result": result.String(), "failed": err != nil}
	data, encodeErr := json.Marshal(call)
	if encodeErr == nil {
		encodeErr = os.WriteFile(filepath.Join(os.Getenv("RECORDER"), strconv.FormatInt(time.Now().UnixNano(), 10)+".json"), data, 0o600)
	}
	if encodeErr != nil {
		fmt.Fprintln(os.Stderr, encodeErr)
	}
	if err != nil || encodeErr != nil {
		os.Exit(1)
	}
}

// log takes what is printed to both outputs.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends.
func (l *log) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(data)
}
