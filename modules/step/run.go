package step

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"

	"slipway/step/printable"
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

// Decode reads a ResultFile's bytes into value and returns the step's fault, if it
// had one. A file that is not exactly what Write writes is no result, and no result
// is no pass: it is a fault of KindInfrastructure. A nil value is for a step that
// returns none.
func Decode(data []byte, value any) error {
	parts, err := object(data, "fault", "value")
	if err != nil {
		return noResult(err)
	}
	switch len(parts) {
	case 0:
		return noResult(errors.New("it holds neither a value nor a fault"))
	case 2:
		return noResult(errors.New("it holds both a value and a fault"))
	}
	if text, refused := parts["fault"]; refused {
		f := &Fault{}
		if _, err := object(text, "kind", "stage", "input", "reason", "mend", "details"); err != nil {
			return noResult(fmt.Errorf("its fault can't be read: %w", err))
		}
		if err := json.Unmarshal(text, f); err != nil {
			return noResult(fmt.Errorf("its fault can't be read: %w", err))
		}
		if part := f.lacks(); part != "" {
			return noResult(fmt.Errorf("its fault has no %s: %w", part, f))
		}
		return f.printable()
	}
	if value == nil {
		return nil
	}
	text := parts["value"]
	if t := reflect.TypeOf(value); bytes.Equal(text, []byte("null")) && t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
		return noResult(errors.New("its value is null"))
	}
	// A number keeps all of its digits, also in a field of any type.
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(value); err != nil {
		return noResult(fmt.Errorf("its value has another shape: %w", err))
	}
	return nil
}

func noResult(err error) error {
	return Infrastructure("step", ResultFile, "is not what a step program writes: "+err.Error(),
		"use step programs and pipeline of one version; what the program printed says more").Because(err)
}

// object is the fields of the one JSON object that data is. It takes only the names
// that are known, as they are written, each once: encoding/json would let the last
// of two faults count, and FAULT as well as fault.
func object(data []byte, known ...string) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if token, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	} else if token != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	fields := map[string]json.RawMessage{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("it is no JSON: %w", err)
		}
		name := fmt.Sprint(token)
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("it has an unknown field %s", quote(name))
		}
		if _, twice := fields[name]; twice {
			return nil, fmt.Errorf("it has the field %s twice", name)
		}
		var field json.RawMessage
		if err := decoder.Decode(&field); err != nil {
			return nil, fmt.Errorf("it is no JSON: %w", err)
		}
		fields[name] = field
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("it goes on behind its end")
	}
	return fields, nil
}

// Write stores how a step ended below out. A nil err stores value; a Fault is
// stored as the decision it is; any other error is returned unchanged, for the
// process to fail with. The file is whole from the first moment, and replaces
// whatever has its name, also a link.
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
	return replace(filepath.Join(out, ResultFile), append(data, '\n'))
}

// replace puts a file at path at once, beside which it is written before.
func replace(path string, data []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(data)
	if err = errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// Main is the main function of a step program: it runs work with a context
// that ends on SIGINT or SIGTERM, writes its result below out, and exits.
func Main(out string, work func(context.Context) (any, error)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	value, err := work(ctx)
	stop()
	if err := Write(out, value, err); err != nil {
		fmt.Fprintln(os.Stderr, printable.Text(err.Error()))
		os.Exit(1)
	}
	os.Exit(0)
}
