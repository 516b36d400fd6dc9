// Package process runs the node's long-lived programs.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Group starts programs and keeps them running until it is stopped. They are
// stopped in the reverse order of their start.
type Group struct {
	// Logs is the folder that receives a log file per program.
	Logs string
	// Say takes a line for people.
	Say func(format string, args ...any)
	// Environment is added to each program's own.
	Environment []string

	mu       sync.Mutex
	programs []*program
}

type program struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
}

// Programs that end by themselves are started again after a wait that doubles
// from the first to the last of these; one that ran for a while starts over.
const (
	firstWait = 500 * time.Millisecond
	lastWait  = 15 * time.Second
	steady    = time.Minute
	// grace is how long a program may take to end when it is asked to.
	grace = 20 * time.Second
)

// Start keeps a program running. Its standard output and error go to
// <name>.log, which keeps the run before as <name>.log.1.
func (g *Group) Start(name string, argv ...string) error {
	file := filepath.Join(g.Logs, name+".log")
	if err := os.Rename(file, file+".1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	log, err := os.Create(file)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{name: name, cancel: cancel, done: make(chan struct{})}
	g.mu.Lock()
	g.programs = append(g.programs, p)
	g.mu.Unlock()
	go func() {
		defer close(p.done)
		defer log.Close()
		g.keep(ctx, name, argv, log)
	}()
	return nil
}

func (g *Group) keep(ctx context.Context, name string, argv []string, log io.Writer) {
	wait := firstWait
	for {
		began := time.Now()
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), g.Environment...)
		cmd.Stdout, cmd.Stderr = log, log
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = grace
		err := cmd.Run()
		if ctx.Err() != nil {
			return
		}
		g.Say("%s ended: %v; see its log", name, err)
		if time.Since(began) > steady {
			wait = firstWait
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, lastWait)
	}
}

// Stop ends all programs, the last started first.
func (g *Group) Stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := len(g.programs) - 1; i >= 0; i-- {
		p := g.programs[i]
		p.cancel()
		<-p.done
	}
	g.programs = nil
}

// Run runs a program to its end; the error holds what it printed.
func Run(ctx context.Context, stdin io.Reader, argv ...string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = stdin
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(argv[0]), err, out)
	}
	return nil
}
