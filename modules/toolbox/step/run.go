package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// ResultFile is the name of the file, below a step's output folder, that says
// how the step ended.
const ResultFile = "result.json"

// Result is the content of ResultFile.
type Result struct {
	// Fault is nil when the step passed.
	Fault *Fault `json:"fault,omitempty"`
	// Value is what the step returned; its shape belongs to the step.
	Value json.RawMessage `json:"value,omitempty"`
}

// Decode reads a ResultFile's bytes into value and returns the step's fault,
// if it had one. Bytes that say neither are an error: no result is no pass.
func Decode(data []byte, value any) error {
	var r Result
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("step result is not JSON: %w", err)
	}
	if r.Fault != nil {
		return r.Fault
	}
	if len(r.Value) == 0 {
		return errors.New("step result holds neither a value nor a fault")
	}
	if value == nil {
		return nil
	}
	if err := json.Unmarshal(r.Value, value); err != nil {
		return fmt.Errorf("step result has another shape: %w", err)
	}
	return nil
}

// Write stores how a step ended below out. A nil err stores value; a Fault is
// stored as the decision it is; any other error is returned unchanged, for the
// process to fail with.
func Write(out string, value any, err error) error {
	var r Result
	if f, ok := AsFault(err); ok {
		r.Fault = f
	} else if err != nil {
		return err
	} else {
		data, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("encode step result: %w", err)
		}
		r.Value = data
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode step result: %w", err)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, ResultFile), append(data, '\n'), 0o644)
}

// Main is the main function of a step program: it runs work with a context
// that ends on SIGINT or SIGTERM, writes its result below out, and exits.
func Main(out string, work func(context.Context) (any, error)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	value, err := work(ctx)
	stop()
	if err := Write(out, value, err); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
