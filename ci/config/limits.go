package config

import (
	"fmt"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
	"slipway/step"
	"slipway/step/result/build"
)

// Limits bound what an app brings along: its build, its tests and the commands of its
// Dockerfile. What is left out of slipway.yaml is as in DefaultLimits; an app.yaml can
// only lower them.
type Limits struct {
	// Time is how long one command may run, in Go's notation ("20m").
	Time time.Duration `yaml:"time"`
	// Memory is how much of it the command's processes may take together ("4GiB").
	Memory Size `yaml:"memory"`
	// Processes is how many processes and threads there may be at once.
	Processes int `yaml:"processes"`
	// Output is how much a command may print ("64MiB").
	Output Size `yaml:"output"`
	// Disk is how much it may write ("10GiB").
	Disk Size `yaml:"disk"`
}

// DefaultLimits hold where slipway.yaml says nothing.
var DefaultLimits = Limits{Time: 20 * time.Minute, Memory: 4 << 30, Processes: 1024, Output: 64 << 20, Disk: 10 << 30}

// Size is a number of bytes, written as a whole number with KiB, MiB or GiB behind it.
type Size build.Size

// UnmarshalYAML reads a size. It is of yaml.Unmarshaler.
func (s *Size) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: %q is not a size such as 512MiB", node.Line, node.Value)
	}
	if err := (*build.Size)(s).Set(node.Value); err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	return nil
}

// MarshalYAML writes a size as UnmarshalYAML reads it. It is of yaml.Marshaler.
func (s Size) MarshalYAML() (any, error) { return s.String(), nil }

func (s Size) String() string { return (*build.Size)(&s).String() }

// parts are the limits by their keys; what is not set is 0.
func (l Limits) parts() []struct {
	key, text string
	value     int64
} {
	return []struct {
		key, text string
		value     int64
	}{
		{"time", l.Time.String(), int64(l.Time)},
		{"memory", l.Memory.String(), int64(l.Memory)},
		{"processes", strconv.Itoa(l.Processes), int64(l.Processes)},
		{"output", l.Output.String(), int64(l.Output)},
		{"disk", l.Disk.String(), int64(l.Disk)},
	}
}

// over are the limits with what they leave out taken from others.
func (l Limits) over(others Limits) Limits {
	take := func(value *int64, other int64) {
		if *value == 0 {
			*value = other
		}
	}
	take((*int64)(&l.Time), int64(others.Time))
	take((*int64)(&l.Memory), int64(others.Memory))
	take((*int64)(&l.Output), int64(others.Output))
	take((*int64)(&l.Disk), int64(others.Disk))
	if l.Processes == 0 {
		l.Processes = others.Processes
	}
	return l
}

// validate refuses limits that are nothing, or less; where names them.
func (l Limits) validate(where string) error {
	for _, part := range l.parts() {
		if part.value < 0 {
			return step.Input(stage, fmt.Sprintf("%s.%s %q", where, part.key, part.text), "is less than nothing", "give a limit, or leave it out")
		}
	}
	return nil
}

// Lowered are the platform's limits where the app's don't go below them; a limit that
// is above is a fault, which where names.
func (l Limits) Lowered(where string, app Limits) (Limits, error) {
	platform := l.over(DefaultLimits)
	if err := app.validate(where); err != nil {
		return Limits{}, err
	}
	lowered := app.over(platform)
	for i, part := range lowered.parts() {
		if most := platform.parts()[i]; part.value > most.value {
			return Limits{}, step.Input(stage, fmt.Sprintf("%s.%s %q", where, part.key, part.text), "is more than the platform allows: "+most.text,
				"lower it, or have build.limits of "+File+" raised")
		}
	}
	return lowered, nil
}

// Flags are the limits as the box takes them: key=value.
func (l Limits) Flags() []string {
	var flags []string
	for _, part := range l.parts() {
		flags = append(flags, part.key+"="+part.text)
	}
	return flags
}
