// Package policy decides whether a plan may be applied.
package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"slipway/step"
)

// Finding is one misconfiguration of the code, as a scanner found it.
type Finding struct {
	// ID is the scanner's name of the rule, such as AVD-AZU-0011.
	ID string `json:"id"`
	// Severity is LOW, MEDIUM, HIGH, CRITICAL or UNKNOWN.
	Severity string `json:"severity"`
	// File and Line say where, relative to the root; Line is 0 for a whole file.
	File  string `json:"file"`
	Line  int    `json:"line"`
	Title string `json:"title"`
	// Message says what is wrong at this place, Resource what it is about;
	// both may be empty.
	Message  string `json:"message,omitempty"`
	Resource string `json:"resource,omitempty"`
	// Mend is what to do about it; may be empty.
	Mend string `json:"mend,omitempty"`
}

// Severities are the thresholds, lowest first.
var Severities = []string{"LOW", "MEDIUM", "HIGH", "CRITICAL"}

// Severity checks that value is a threshold.
func Severity(stage, value string) error {
	if !slices.Contains(Severities, value) {
		return step.Input(stage, fmt.Sprintf("--severity %q", value), "is not a severity", "give LOW, MEDIUM, HIGH or CRITICAL")
	}
	return nil
}

// ReadFindings reads a findings file: a JSON list of Finding; an empty list
// when the scanner looked and found nothing. No file, and a file that isn't
// such a list, is an input Fault: an unread scan is no pass.
func ReadFindings(stage, file string) ([]Finding, error) {
	const mend = "scan the code for misconfigurations and give the findings, [] when there are none"
	if file == "" {
		return nil, step.Input(stage, "--misconfig", "is missing", mend)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, step.Input(stage, "misconfigurations "+file, "can't be read", mend).Because(err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var list []Finding
	err = dec.Decode(&list)
	if err == nil && list == nil {
		err = errors.New("is null, not a list")
	}
	if err == nil {
		if _, end := dec.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("has something after its list")
		}
	}
	if err != nil {
		return nil, step.Input(stage, "misconfigurations "+file, err.Error(), mend).Because(err)
	}
	return list, nil
}

// Misconfigurations refuses when a finding is at or above the threshold. A
// severity that isn't known can't be ranked and counts as above.
func Misconfigurations(stage string, findings []Finding, threshold string) error {
	if err := Severity(stage, threshold); err != nil {
		return err
	}
	var details []string
	for _, f := range findings {
		rank := slices.Index(Severities, f.Severity)
		if rank >= 0 && rank < slices.Index(Severities, threshold) {
			continue
		}
		details = append(details, step.Detail(fmt.Sprintf("%s:%d: %s %s: %s", f.File, f.Line, f.Severity, f.ID, f.Title), f.Mend))
	}
	if len(details) == 0 {
		return nil
	}
	return step.Policy(stage, "code", fmt.Sprintf("has misconfigurations at or above %s: %d", threshold, len(details)),
		"mend each as its line says, or have the policy's owner except it", details...)
}

// Destroys refuses a plan that ends existing objects unless that is allowed.
func Destroys(stage string, destroys []string, allowed bool) error {
	if len(destroys) == 0 || allowed {
		return nil
	}
	return step.Policy(stage, "plan", fmt.Sprintf("destroys, replaces or forgets existing resources: %d", len(destroys)),
		"change the code so that they stay, or allow destroys explicitly (--allow-destroy)", destroys...)
}
