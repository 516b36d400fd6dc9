package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asProgram makes this test binary the program that stays: it holds the lock that the
// variable names, and does what its first argument says.
const asProgram = "SLIPWAY_TEST_AS_PROGRAM"

func init() {
	path := os.Getenv(asProgram)
	if path == "" {
		return
	}
	what := os.Args[1]
	fmt.Println("it", what)
	if what == "fails" {
		os.Exit(7)
	}
	lock, err := Hold(path)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	if what == "stays" {
		child := exec.Command("sleep", "600")
		err := child.Start()
		if err == nil {
			err = os.WriteFile(path+".child", []byte(strconv.Itoa(child.Process.Pid)), 0o600)
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	if err := os.WriteFile(path+".ready", nil, 0o600); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	<-ended
	for what == "stays" {
		<-ended
	}
	fmt.Println("ended")
	_ = lock.Close()
	os.Exit(0)
}

// inBackground is a program of a test, the command that does what it is told, and
// whether it is ready.
func inBackground(t *testing.T) (b Background, does func(string) *exec.Cmd, ready func() error, said *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	said = &bytes.Buffer{}
	b = Background{
		Name: "the program", Lock: filepath.Join(dir, "lock"), Log: filepath.Join(dir, "log"),
		End: syscall.SIGTERM, Patience: time.Minute, Progress: NewProgress(said),
	}
	ready = func() error {
		_, err := os.Stat(b.Lock + ".ready")
		return err
	}
	does = func(what string) *exec.Cmd {
		cmd := exec.Command("/proc/self/exe", what)
		cmd.Env = append(os.Environ(), asProgram+"="+b.Lock)
		return cmd
	}
	return b, does, ready, said
}

// free fails unless nobody holds the lock.
func free(t *testing.T, b Background) {
	t.Helper()
	running, err := b.Running()
	require.NoError(t, err)
	assert.False(t, running)
	pid, err := b.PID()
	require.NoError(t, err)
	assert.Zero(t, pid)
}

func TestAProgramInTheBackground(t *testing.T) {
	b, does, ready, said := inBackground(t)
	free(t, b)
	require.NoError(t, os.WriteFile(b.Log, []byte("the last one's\n"), 0o600))
	require.NoError(t, os.WriteFile(b.Lock, []byte("1234567890\n"), 0o600))
	free(t, b)
	cmd := does("works")
	require.NoError(t, b.Start(t.Context(), cmd, ready))
	pid, err := b.PID()
	require.NoError(t, err)
	assert.Equal(t, cmd.Process.Pid, pid)
	session, _, errno := syscall.Syscall(syscall.SYS_GETSID, uintptr(pid), 0, 0)
	require.Zero(t, errno)
	assert.Equal(t, pid, int(session), "it is not in the session of who started it")
	require.NoError(t, b.Await(t.Context(), ready))
	_, err = Hold(b.Lock)
	require.ErrorContains(t, err, "another process may hold "+b.Lock)

	lock, err := b.Stop(t.Context(), pid)
	require.NoError(t, err)
	require.NoError(t, lock.Close())
	free(t, b)
	log, err := os.ReadFile(b.Log)
	require.NoError(t, err)
	assert.Equal(t, "it works\nended\n", string(log))
	log, err = os.ReadFile(b.Log + ".old")
	require.NoError(t, err)
	assert.Equal(t, "the last one's\n", string(log))
	assert.Empty(t, said.String())
}

func TestAProgramThatStaysIsKilledWithItsChildren(t *testing.T) {
	b, does, ready, said := inBackground(t)
	cmd := does("stays")
	require.NoError(t, b.Start(t.Context(), cmd, ready))
	child, err := os.ReadFile(b.Lock + ".child")
	require.NoError(t, err)
	b.Patience = 300 * time.Millisecond
	lock, err := b.Stop(t.Context(), cmd.Process.Pid)
	require.NoError(t, err)
	require.NoError(t, lock.Close())
	free(t, b)
	assert.Equal(t, fmt.Sprintf("the program (process %d) did not end within 300ms: killing it\n", cmd.Process.Pid), said.String())
	require.Eventually(t, func() bool {
		status, err := os.ReadFile("/proc/" + string(child) + "/status")
		return err != nil || strings.Contains(string(status), "zombie")
	}, time.Minute, lockPoll)
}

func TestAProgramThatDoesNotGetReadyIsEnded(t *testing.T) {
	never := func() error { return errors.New("not yet") }
	b, does, _, _ := inBackground(t)
	err := b.Start(t.Context(), does("fails"), never)
	assert.EqualError(t, err, "the program ended at once (exit status 7): the end of "+b.Log+" is:\nit fails")
	free(t, b)

	ctx, cancel := context.WithCancelCause(t.Context())
	cmd := does("works")
	err = b.Start(ctx, cmd, func() error {
		if _, err := os.Stat(b.Lock + ".ready"); err == nil {
			cancel(errors.New("somebody is in a hurry"))
		}
		return never()
	})
	assert.EqualError(t, err, "the program does not answer (not yet): somebody is in a hurry; the end of "+b.Log+" is:\nit works")
	free(t, b)
	log, err := os.ReadFile(b.Log)
	require.NoError(t, err)
	assert.Equal(t, "it works\nended\n", string(log), "it could end by itself")

	b.Patience = 300 * time.Millisecond
	require.NoError(t, os.Remove(b.Lock+".ready"))
	ctx, end := context.WithCancel(t.Context())
	err = b.Start(ctx, does("stays"), func() error {
		if _, err := os.Stat(b.Lock + ".ready"); err == nil {
			end()
		}
		return never()
	})
	require.ErrorIs(t, err, context.Canceled)
	free(t, b)
	err = b.Start(t.Context(), exec.Command("/no/such/program"), never)
	require.ErrorContains(t, err, "start the program: ")
	free(t, b)
}

// A process id that a reboot gave to another program must not be signalled.
func TestOnlyWhoHoldsTheLockIsStopped(t *testing.T) {
	b, _, _, _ := inBackground(t)
	stranger := exec.Command("sleep", "600")
	require.NoError(t, stranger.Start())
	defer func() {
		require.NoError(t, stranger.Process.Kill())
		_ = stranger.Wait()
	}()
	require.NoError(t, os.WriteFile(b.Lock, []byte(strconv.Itoa(stranger.Process.Pid)), 0o600))
	free(t, b)
	lock, err := b.Stop(t.Context(), stranger.Process.Pid)
	require.NoError(t, err)
	require.NoError(t, lock.Close())
	assert.NoError(t, stranger.Process.Signal(syscall.Signal(0)), "the stranger was stopped")
}

func TestALockThatDoesNotSayWhoHoldsIt(t *testing.T) {
	b, _, _, _ := inBackground(t)
	lock, err := tryLock(b.Lock)
	require.NoError(t, err)
	defer lock.Close()
	for _, content := range []string{"", "x", "-1", "0", "1", "12 34"} {
		require.NoError(t, os.WriteFile(b.Lock, []byte(content), 0o600))
		_, err = b.PID()
		assert.EqualError(t, err, "the program runs, but "+b.Lock+" does not say as which process", content)
	}
}

func TestCommandsAboutAProgramWaitForEachOther(t *testing.T) {
	b, _, _, said := inBackground(t)
	b.Lock = filepath.Join(t.TempDir(), "new", "lock")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.NoError(t, b.Exclusive(t.Context(), func() error {
		other := b
		other.Progress = NewProgress(writerFunc(func(line []byte) (int, error) {
			cancel()
			return said.Write(line)
		}))
		return ignoreCanceled(other.Exclusive(ctx, func() error { return errors.New("not alone") }))
	}))
	assert.Equal(t, "another command starts or stops the program: waiting for it\n", said.String())
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(data []byte) (int, error) { return f(data) }

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
