package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Background is a program that stays when the command that started it has ended. A
// lock, which ends with the program however it ends, says whether it runs; a process
// id alone never does.
type Background struct {
	// Name is what people call it, such as "the sandbox".
	Name string
	// Lock is the file that the program holds locked; see Hold.
	Lock string
	// Log is the file that it writes to. The last one's is kept beside it.
	Log string
	// End is the signal that it ends at, and Patience how long that may take before
	// it is killed.
	End      syscall.Signal
	Patience time.Duration
	// Progress tells people what is unusual.
	Progress *Progress
}

// Hold takes the lock of a program, for the program itself, and writes its process id
// into the file. The lock lasts as long as the file is open.
func Hold(path string) (*os.File, error) {
	// Who only asks for it has it for a moment.
	file, err := awaitLock(context.Background(), time.Second, path)
	if err != nil {
		return nil, fmt.Errorf("another process may hold %s: %w", path, err)
	}
	if err = file.Truncate(0); err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Running says whether the program runs.
func (b Background) Running() (bool, error) { return held(b.Lock) }

// PID is the process id of the program, by its lock file; 0 when it does not run. One
// that a killed program has left behind is not returned.
func (b Background) PID() (int, error) {
	running, err := b.Running()
	if err != nil || !running {
		return 0, err
	}
	content, err := os.ReadFile(b.Lock)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("%s runs, but %s does not say as which process", b.Name, b.Lock)
	}
	return pid, nil
}

// Exclusive runs work while no other command starts or stops the program.
func (b Background) Exclusive(ctx context.Context, work func() error) error {
	if err := os.MkdirAll(filepath.Dir(b.Lock), 0o700); err != nil {
		return err
	}
	return exclusive(ctx, b.Lock+".command", func() { b.Progress.Say("another command starts or stops %s: waiting for it", b.Name) }, work)
}

func exclusive(ctx context.Context, path string, waiting func(), work func() error) error {
	unlock, err := lockFile(ctx, path, waiting)
	if err != nil {
		return err
	}
	defer unlock()
	return work()
}

// Start starts the program and waits until ready returns nil. What does not get there
// is ended again.
func (b Background) Start(ctx context.Context, cmd *exec.Cmd, ready func() error) error {
	ended, err := b.launch(cmd)
	if err != nil {
		return err
	}
	if err = b.await(ctx, ended, ready); err == nil {
		return nil
	}
	err = errors.Join(err, ignoreDone(cmd.Process.Signal(b.End)))
	select {
	case <-ended:
	case <-time.After(b.Patience):
		kill(cmd.Process)
		<-ended
	}
	return err
}

// Await waits until ready returns nil, for a program that another command has started.
func (b Background) Await(ctx context.Context, ready func() error) error {
	return b.await(ctx, nil, ready)
}

// launch starts the program in a session of its own. What it writes goes to the log;
// the channel tells how it ended.
func (b Background) launch(cmd *exec.Cmd) (<-chan string, error) {
	// The next process id in it is the program's own.
	if err := os.Truncate(b.Lock, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.Rename(b.Log, b.Log+".old"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	log, err := os.OpenFile(b.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", b.Name, err)
	}
	ended := make(chan string, 1)
	go func() {
		ended <- exitText(cmd.Wait())
		close(ended)
	}()
	return ended, nil
}

// await waits until ready returns nil. ended tells that the program ended; nil when it
// is not this process's child.
func (b Background) await(ctx context.Context, ended <-chan string, ready func() error) error {
	for {
		select {
		case how := <-ended:
			return fmt.Errorf("%s ended at once (%s): the end of %s is:\n%s", b.Name, how, b.Log, b.logEnd())
		default:
		}
		err := ready()
		if err == nil {
			return nil
		}
		if pause(ctx, lockPoll/2) != nil {
			return fmt.Errorf("%s does not answer (%w): %w; the end of %s is:\n%s", b.Name, err, context.Cause(ctx), b.Log, b.logEnd())
		}
	}
}

func ignoreDone(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// exitText says how a process ended, from what Wait returned.
func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// logEnd is the end of the program's log, without the rest of long lines.
func (b Background) logEnd() string {
	content, err := os.ReadFile(b.Log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(lastLines(string(content), 15), "\n")
	for i, line := range lines {
		lines[i] = line[:min(len(line), 500)]
	}
	return strings.Join(lines, "\n")
}

// Stop ends the program, which is the process pid, and returns the lock that it gave
// back. Nothing happens to a process that does not hold it.
func (b Background) Stop(ctx context.Context, pid int) (*os.File, error) {
	// Find the process first and look at the lock then: a handle on a process stays
	// that process's, even when its id is given to another.
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil, err
	}
	defer process.Release()
	if lock, err := tryLock(b.Lock); lock != nil || err != nil {
		return lock, err
	}
	if err := ignoreDone(process.Signal(b.End)); err != nil {
		return nil, fmt.Errorf("stop %s (process %d): %w", b.Name, pid, err)
	}
	lock, err := awaitLock(ctx, b.Patience, b.Lock)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		b.Progress.Say("%s (process %d) did not end within %s: killing it", b.Name, pid, b.Patience)
		kill(process)
		lock, err = awaitLock(ctx, b.Patience, b.Lock)
	}
	if err != nil {
		return nil, fmt.Errorf("stop %s (process %d): %w", b.Name, pid, err)
	}
	return lock, nil
}

// kill ends a process, and its children where it leads them.
func kill(process *os.Process) {
	_ = syscall.Kill(-process.Pid, syscall.SIGKILL)
	_ = process.Kill()
}
