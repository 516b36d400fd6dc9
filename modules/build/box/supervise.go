package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"slipway/step/result/build"
)

// Command is something that runs in the box.
type Command struct {
	Argv []string
	// Dir is where it runs, Env its whole environment.
	Dir string
	Env []string
	// UID is the user and the group that it runs as; negative for the box's own.
	UID int
	// Alone says that nothing else runs as this user, anywhere on the machine, so
	// that the kernel itself can count its processes.
	Alone bool
	// Writable are the folders that it may write to, for the limit of the disk.
	Writable []string
	// Stdin is what it reads; nothing if nil.
	Stdin *os.File
	// Stdout and Stderr take what it prints, one write at a time.
	Stdout, Stderr io.Writer
}

// Supervisor runs commands within limits. It is the first process of a container,
// so that what it runs can neither stop nor outlive it: the kernel keeps signals of
// a namespace's own processes from the first, and whoever loses its parent becomes
// the first one's child.
type Supervisor struct {
	Limits Limits

	mu      sync.Mutex
	ended   map[int]chan syscall.WaitStatus
	started *sync.Cond
	printed int64
}

// errNotFirst says that there are processes that are not the box's to end.
var errNotFirst = errors.New("the box only runs as the first process of a container")

// NewSupervisor returns the box's supervisor; only the first process of a PID
// namespace gets one.
func NewSupervisor(limits Limits) (*Supervisor, error) {
	if os.Getpid() != 1 {
		return nil, errNotFirst
	}
	if err := limits.check(); err != nil {
		return nil, err
	}
	// Nobody with the box's own user id may look into it.
	if err := prctl(prSetDumpable, 0); err != nil {
		return nil, err
	}
	s := &Supervisor{Limits: limits, ended: map[int]chan syscall.WaitStatus{}}
	s.started = sync.NewCond(&s.mu)
	go s.reap()
	return s, nil
}

// reap collects whatever ends, the children of children too.
func (s *Supervisor) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		s.mu.Lock()
		switch {
		case err == syscall.ECHILD && len(s.ended) == 0:
			s.started.Wait()
		case err == nil && s.ended[pid] != nil:
			s.ended[pid] <- status
			delete(s.ended, pid)
		}
		s.mu.Unlock()
	}
}

// start starts a command and says when it ends.
func (s *Supervisor) start(c Command, stdout, stderr *os.File) (<-chan syscall.WaitStatus, error) {
	args := []string{os.Args[0], "enter", // A little more than the limit, so that it shows on the disk that it was hit.
		"--file-size", strconv.FormatInt(int64(s.Limits.Disk)+1<<20, 10)}
	if c.UID >= 0 {
		args = append(args, "--uid", strconv.Itoa(c.UID))
	}
	if c.Alone {
		args = append(args, "--processes", strconv.Itoa(s.Limits.Processes))
	}
	stdin := c.Stdin
	if stdin == nil {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return nil, err
		}
		defer null.Close()
		stdin = null
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	pid, err := syscall.ForkExec(os.Args[0], append(append(args, "--"), c.Argv...), &syscall.ProcAttr{
		Dir: c.Dir, Env: c.Env, Files: []uintptr{stdin.Fd(), stdout.Fd(), stderr.Fd()},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Argv[0], err)
	}
	ended := make(chan syscall.WaitStatus, 1)
	s.ended[pid] = ended
	s.started.Signal()
	return ended, nil
}

// Run runs a command to its end, with whatever it has started, and returns its exit
// code (128 and the signal's number where one ended it) or the limit that it hit.
func (s *Supervisor) Run(ctx context.Context, c Command) (code int, hit *Hit, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.Limits.Time)
	defer cancel()
	var over sync.Once
	tooMuch := make(chan struct{})
	var copies sync.WaitGroup
	pipe := func(to io.Writer) (*os.File, error) {
		reader, writer, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		copies.Go(func() {
			defer reader.Close()
			if !s.copy(to, reader) {
				over.Do(func() { close(tooMuch) })
				_, _ = io.Copy(io.Discard, reader) // nobody has to wait for a reader
			}
		})
		return writer, nil
	}
	stdout, err := pipe(c.Stdout)
	if err != nil {
		return 0, nil, err
	}
	stderr, err := pipe(c.Stderr)
	if err != nil {
		stdout.Close()
		return 0, nil, err
	}
	before, err := s.diskUsage(c.Writable)
	if err != nil {
		stdout.Close()
		stderr.Close()
		return 0, nil, err
	}
	ended, err := s.start(c, stdout, stderr)
	stdout.Close()
	stderr.Close()
	if err != nil {
		copies.Wait()
		return 0, nil, err
	}
	status, hit, err := s.watch(ctx, c, before, ended, tooMuch)
	// What it has left running holds its output open, and is no part of the result.
	killErr := s.killAll()
	copies.Wait()
	if err = errors.Join(err, killErr); err != nil || hit != nil {
		return 0, hit, err
	}
	select {
	case <-tooMuch:
		return 0, s.Limits.hit("output"), nil
	default:
	}
	code = status.ExitStatus()
	if status.Signaled() {
		code = 128 + int(status.Signal())
		if status.Signal() == syscall.SIGXFSZ {
			return 0, s.Limits.hit("disk"), nil
		}
	}
	if code != 0 && s.diskHit(c.Writable, before) {
		return 0, s.Limits.hit("disk"), nil
	}
	return code, nil, nil
}

// How often the box looks: at processes and memory, and at the disk.
const (
	lookEvery = 25 * time.Millisecond
	diskEvery = 500 * time.Millisecond
)

// watch waits for the command's end, or for the first limit that it hits.
func (s *Supervisor) watch(ctx context.Context, c Command, before int64, ended <-chan syscall.WaitStatus, tooMuch <-chan struct{}) (syscall.WaitStatus, *Hit, error) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	disk := time.NewTimer(diskEvery)
	defer disk.Stop()
	for {
		select {
		case status := <-ended:
			return status, nil, nil
		case <-tooMuch:
			return 0, s.Limits.hit("output"), nil
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return 0, s.Limits.hit("time"), nil
			}
			return 0, nil, ctx.Err()
		case <-look.C:
			tasks, memory, err := usage("/proc", s.Limits.Processes)
			switch {
			case err != nil:
				return 0, nil, err // what can't be counted is not let run
			case tasks >= s.Limits.Processes:
				return 0, s.Limits.hit("processes"), nil
			case memory > s.Limits.Memory:
				return 0, s.Limits.hit("memory"), nil
			}
		case <-disk.C:
			began := time.Now()
			if s.diskHit(c.Writable, before) {
				return 0, s.Limits.hit("disk"), nil
			}
			// Looking takes at most a twentieth of the time.
			disk.Reset(max(diskEvery, 20*time.Since(began)))
		}
	}
}

// killAll ends every process but the box, and returns when none is left.
func (s *Supervisor) killAll() error {
	for {
		// To all that this process may signal but itself, at once: none of them can
		// start another in between. Nobody left is what is wanted.
		if err := syscall.Kill(-1, syscall.SIGKILL); err == syscall.ESRCH {
			return nil
		} else if err != nil {
			return fmt.Errorf("end what still runs: %w", err)
		}
		if tasks, _, err := usage("/proc", math.MaxInt); err != nil || tasks == 0 {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// copy passes on what is printed until it is too much, which it says.
func (s *Supervisor) copy(to io.Writer, from io.Reader) (within bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		s.mu.Lock()
		s.printed += int64(n)
		within = s.printed <= int64(s.Limits.Output)
		if within && n > 0 {
			if _, failed := to.Write(buffer[:n]); failed != nil {
				within = false
			}
		}
		s.mu.Unlock()
		if !within || err != nil {
			return within
		}
	}
}

// usage counts the processes and threads that a /proc shows besides this one, and
// the memory that is theirs alone. It stops counting at enough: whoever has that many
// must be stopped, not measured.
func usage(proc string, enough int) (tasks int, memory build.Size, err error) {
	dir, err := os.Open(proc)
	if err != nil {
		return 0, 0, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0, 0, err
	}
	self, page := os.Getpid(), int64(os.Getpagesize())
	pids := slices.DeleteFunc(names, func(name string) bool {
		pid, err := strconv.Atoi(name)
		return err != nil || pid == self
	})
	if len(pids) == len(names) {
		return 0, 0, fmt.Errorf("%s does not show the box itself: its processes can't be counted", proc)
	}
	if len(pids) >= enough {
		return len(pids), 0, nil
	}
	for _, pid := range pids {
		threads, state := readStat(filepath.Join(proc, pid, "stat"))
		if threads == 0 || state == 'Z' || state == 'X' {
			continue
		}
		tasks += threads
		memory += build.Size(readStatm(filepath.Join(proc, pid, "statm")) * page)
	}
	return tasks, memory, nil
}
