package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// clientTimeout bounds the wait for interrupted calls to end.
const clientTimeout = time.Minute

// clients are the processes of the dagger CLI that use this engine.
func (l *Launcher) clients() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	setting := []byte(runnerVariable + "=" + l.Dirs.RunnerHost())
	var clients []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// A process that ends meanwhile, or is another user's, can't be read.
		program, err := os.Readlink(filepath.Join("/proc", entry.Name(), "exe"))
		if err != nil || filepath.Base(program) != "dagger" {
			continue
		}
		environ, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if err != nil {
			continue
		}
		for variable := range bytes.SplitSeq(environ, []byte{0}) {
			if bytes.Equal(variable, setting) {
				clients = append(clients, pid)
			}
		}
	}
	return clients, nil
}

// interruptClients ends the calls that run, as Ctrl-C does. An engine that is
// told to stop waits for its clients, and they for it.
func (l *Launcher) interruptClients(ctx context.Context) error {
	clients, err := l.clients()
	if err != nil || len(clients) == 0 {
		return err
	}
	l.Progress.Say("interrupting what runs on it: %d dagger processes", len(clients))
	for _, pid := range clients {
		if err := syscall.Kill(pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, clientTimeout, fmt.Errorf("they did not end in %s", clientTimeout))
	defer cancel()
	for {
		if clients, err = l.clients(); err != nil || len(clients) == 0 {
			return err
		}
		if err := pause(ctx, lockPoll); err != nil {
			break
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	l.Progress.Say("%d of them did not end in %s: killing them", len(clients), clientTimeout)
	for _, pid := range clients {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return nil
}
