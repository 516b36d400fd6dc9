package engine

import (
	"context"
	"os"
)

// Environ returns the variables of .slipway/env as a process's environment has
// them, for programs that run the dagger CLI themselves.
func (l *Launcher) Environ(ctx context.Context) []string {
	env := []string{
		"PATH=" + l.Dirs.CLI() + string(os.PathListSeparator) + l.Getenv("PATH"),
		"DAGGER_NO_NAG=1", "DO_NOT_TRACK=1",
	}
	switch l.runner(ctx) {
	case RunnerNative:
		env = append(env, runnerVariable+"="+l.Dirs.RunnerHost())
	case RunnerGiven:
		env = append(env, runnerVariable+"="+l.Getenv(runnerVariable))
	}
	return env
}
