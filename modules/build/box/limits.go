package main

import (
	"flag"
	"fmt"
	"time"

	"slipway/step/result/build"
)

// Limits bound everything that runs in a box, together.
type Limits struct {
	// Time is how long a command may run.
	Time time.Duration
	// Memory is how many bytes its processes may hold that are no file's.
	Memory build.Size
	// Processes is how many processes and threads there may be at once.
	Processes int
	// Output is how many bytes it may print.
	Output build.Size
	// Disk is how many bytes it may leave in the folders that it may write to, and
	// the longest file.
	Disk build.Size
}

// DefaultLimits hold where a flag says nothing.
var DefaultLimits = Limits{Time: 20 * time.Minute, Memory: 4 << 30, Processes: 1024, Output: 64 << 20, Disk: 10 << 30}

func (l *Limits) register(flags *flag.FlagSet) {
	*l = DefaultLimits
	flags.DurationVar(&l.Time, "time", l.Time, "how long it may run")
	flags.Var(&l.Memory, "memory", "`bytes` of memory, such as 4GiB")
	flags.IntVar(&l.Processes, "processes", l.Processes, "processes and threads at once")
	flags.Var(&l.Output, "output", "`bytes` that it may print, such as 64MiB")
	flags.Var(&l.Disk, "disk", "`bytes` that it may write, such as 10GiB")
}

func (l *Limits) check() error {
	if l.Time <= 0 || l.Memory <= 0 || l.Processes <= 0 || l.Output <= 0 || l.Disk <= 0 {
		return fmt.Errorf("each limit has to be more than nothing: %+v", *l)
	}
	return nil
}

// Hit is a limit that something ran into.
type Hit struct {
	// Limit is time, memory, processes, output or disk.
	Limit string
	// Text says what was too much, with the limit's value.
	Text string
}

func (l *Limits) hit(limit string) *Hit {
	text := map[string]string{
		"time":      "it did not end within " + l.Time.String(),
		"memory":    "its processes took more than " + l.Memory.String() + " of memory",
		"processes": fmt.Sprintf("it started %d processes and threads, as many as it may have", l.Processes),
		"output":    "it printed more than " + l.Output.String(),
		"disk":      "it wrote more than " + l.Disk.String() + ", or the disk is full",
	}[limit]
	return &Hit{Limit: limit, Text: text}
}
