package trivy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"slipway/step"
)

const stage = "scan"

// Runner runs one Trivy binary.
type Runner struct {
	binary  string
	work    string
	version string
}

// New finds out how binary can be run and which version it is. work is an empty
// folder of the caller's, for Trivy's working folder and temporary files.
func New(ctx context.Context, binary, work string) (*Runner, error) {
	r := &Runner{binary: binary, work: work}
	for _, folder := range []string{r.folder("cwd"), r.folder("tmp"), r.folder("home")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
	}
	if info, err := os.Stat(binary); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
		return nil, step.Input(stage, "--trivy "+binary, "is not an executable", "give the path of the Trivy binary").Because(err)
	}
	out, err := r.run(ctx, r.confined("version", "--format", "json"))
	if err != nil {
		return nil, failed("version", err)
	}
	var answer struct{ Version string }
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Version == "" {
		return nil, step.Infrastructure(stage, "--trivy "+binary, "does not say its version",
			"give the Trivy binary that modules/scan/trivy pins").Because(err)
	}
	r.version = answer.Version
	return r, nil
}

// Version is what the binary calls its version.
func (r *Runner) Version() string { return r.version }

// Digest is the sha256:… of the binary.
func (r *Runner) Digest() (string, error) {
	file, err := os.Open(r.binary)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("read %s: %w", r.binary, err)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// Offline runs Trivy without a network: see Confined. what names the run in a
// fault.
func (r *Runner) Offline(ctx context.Context, what string, args ...string) error {
	if _, err := r.run(ctx, r.confined(args...)); err != nil {
		return failed(what, err)
	}
	return nil
}

// Online runs Trivy with the network of the step. The error is not a fault yet:
// what it means depends on what Trivy was to fetch.
func (r *Runner) Online(ctx context.Context, args ...string) error {
	_, err := r.run(ctx, append([]string{r.binary}, args...))
	return err
}

func (r *Runner) folder(name string) string { return filepath.Join(r.work, name) }

func (r *Runner) run(ctx context.Context, line []string) (string, error) {
	command := exec.CommandContext(ctx, line[0], line[1:]...)
	command.Dir = r.folder("cwd")
	command.Env = []string{"HOME=" + r.folder("home"), "TMPDIR=" + r.folder("tmp")}
	var out, log bytes.Buffer
	command.Stdout, command.Stderr = &out, &log
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", &runError{log: tail(log.String()), err: err}
	}
	return out.String(), nil
}

// runError is a failed run with the end of its log.
type runError struct {
	log []string
	err error
}

func (e *runError) Error() string {
	return strings.Join(append([]string{e.err.Error()}, e.log...), ": ")
}

func (e *runError) Unwrap() error { return e.err }

// Log is the end of the log of a failed run, by line.
func Log(err error) []string {
	var r *runError
	if errors.As(err, &r) {
		return r.log
	}
	return nil
}

func failed(what string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return step.Infrastructure(stage, "trivy "+what, fmt.Sprintf("the scanner failed (%v), so there is no verdict", errors.Unwrap(err)),
		"read the scanner's last lines above", Log(err)...).Because(err)
}

// tail is the last lines of a log, each cut to a readable length.
func tail(log string) []string {
	const lines, width = 5, 400
	var out []string
	for _, line := range strings.Split(log, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if len(line) > width {
			line = line[:width] + "…"
		}
		out = append(out, line)
	}
	return out[max(0, len(out)-lines):]
}
