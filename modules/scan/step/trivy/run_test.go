package trivy

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"slipway/step"
)

// TestMain makes the test binary a stand-in for Trivy when it is called so: it
// answers the version, shows its environment, or fails with a log.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "trivy" && (len(os.Args) < 2 || os.Args[1] != ConfinedCommand) {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case "version":
		fmt.Println(`{"Version":"0.74.0"}`)
	case "show":
		folder, err := os.Getwd()
		if err != nil {
			os.Exit(2)
		}
		interfaces, err := os.ReadFile("/proc/net/dev")
		if err != nil {
			os.Exit(2)
		}
		shown := strings.Join(os.Environ(), "\n") + "\n" + folder + "\n" + string(interfaces)
		if err := os.WriteFile(os.Args[2], []byte(shown), 0o644); err != nil {
			os.Exit(2)
		}
	case ConfinedCommand:
		fmt.Fprintln(os.Stderr, Confined(os.Args[2:]))
		os.Exit(2)
	case "dial":
		told := "connected"
		if _, err := net.Dial(os.Args[3], os.Args[4]); err != nil {
			told = err.Error()
		}
		if err := os.WriteFile(os.Args[2], []byte(told), 0o644); err != nil {
			os.Exit(2)
		}
	default:
		for i := range 9 {
			fmt.Fprintln(os.Stderr, "line", i)
		}
		os.Exit(1)
	}
	os.Exit(0)
}

func runner(t *testing.T) (*Runner, string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	work := t.TempDir()
	binary := filepath.Join(work, "trivy")
	require.NoError(t, os.Symlink(self, binary))
	r, err := New(context.Background(), binary, work)
	require.NoError(t, err)
	return r, work
}

func TestOfflineRunsInheritNothing(t *testing.T) {
	t.Setenv("TRIVY_IGNOREFILE", "/somewhere")
	r, work := runner(t)
	require.Equal(t, "0.74.0", r.Version())
	shown := filepath.Join(work, "shown")
	require.NoError(t, r.Offline(context.Background(), "show", "show", shown))
	data, err := os.ReadFile(shown)
	require.NoError(t, err)
	text := string(data)
	require.NotContains(t, text, "TRIVY_IGNOREFILE")
	require.Contains(t, text, "HOME="+filepath.Join(work, "home"))
	require.Contains(t, text, filepath.Join(work, "cwd"))
}

// The run looks for itself: it dials a listener that answers, by TCP and by a Unix
// socket, and asks for a raw socket.
func TestOfflineRunsOpenNoSocket(t *testing.T) {
	folder := t.TempDir()
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(folder, "socket")} {
		listener, err := net.Listen(network, address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = listener.Close() })
		r, work := runner(t)
		told := filepath.Join(work, "told")
		dial := []string{"dial", told, network, listener.Addr().String()}
		require.NoError(t, r.Online(context.Background(), dial...))
		data, err := os.ReadFile(told)
		require.NoError(t, err)
		require.Equal(t, "connected", string(data), "the listener answers")

		require.NoError(t, r.Offline(context.Background(), "dial", dial...))
		data, err = os.ReadFile(told)
		require.NoError(t, err)
		require.Contains(t, string(data), "operation not permitted", network)
	}
}

func TestConfinedStartsNothingElse(t *testing.T) {
	require.ErrorContains(t, Confined(nil), "names no program")
}

func TestAFailedRunIsAFaultWithTheEndOfItsLog(t *testing.T) {
	r, _ := runner(t)
	err := r.Offline(context.Background(), "image linux/amd64", "image")
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	require.Equal(t, step.KindInfrastructure, fault.Kind)
	require.Equal(t, "trivy image linux/amd64", fault.Input)
	require.Contains(t, fault.Reason, "no verdict")
	require.Equal(t, []string{"line 4", "line 5", "line 6", "line 7", "line 8"}, fault.Details)
}

func TestACancelledRunIsNoFault(t *testing.T) {
	r, _ := runner(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := r.Offline(ctx, "image", "image")
	require.ErrorIs(t, err, context.Canceled)
	_, ok := step.AsFault(err)
	require.False(t, ok)
}

func TestNewRefusesWhatIsNoScanner(t *testing.T) {
	folder := t.TempDir()
	plain := filepath.Join(folder, "plain")
	require.NoError(t, os.WriteFile(plain, []byte("x"), 0o644))
	for _, binary := range []string{filepath.Join(folder, "none"), folder, plain} {
		_, err := New(context.Background(), binary, t.TempDir())
		fault, ok := step.AsFault(err)
		require.True(t, ok, "%v", err)
		require.Equal(t, step.KindInput, fault.Kind)
		require.Equal(t, "--trivy "+binary, fault.Input)
		require.Equal(t, "is not an executable", fault.Reason)
	}
}

// program is a runner's program of another kind: text that a shell reads.
func program(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	return file
}

func TestNewRefusesWhatDoesNotSayItsVersion(t *testing.T) {
	for name, c := range map[string]struct{ text, input, reason string }{
		"no JSON":    {"echo trivy", "--trivy ", "does not say its version"},
		"no version": {"echo '{}'", "--trivy ", "does not say its version"},
		"a failure":  {"echo broken >&2; exit 3", "trivy version", "the scanner failed (exit status 3), so there is no verdict"},
	} {
		r, err := New(t.Context(), program(t, c.text), t.TempDir())
		fault, ok := step.AsFault(err)
		require.True(t, ok, "%s: %v", name, err)
		require.Equal(t, step.KindInfrastructure, fault.Kind)
		require.Contains(t, fault.Input, c.input)
		require.Equal(t, c.reason, fault.Reason)
		require.Nil(t, r)
	}
	work := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(work, nil, 0o644))
	_, err := New(t.Context(), program(t, `echo '{"Version":"1"}'`), work)
	require.ErrorContains(t, err, "not a directory")
}

func TestTheBinaryHasADigest(t *testing.T) {
	r, _ := runner(t)
	data, err := os.ReadFile(r.binary)
	require.NoError(t, err)
	digest, err := r.Digest()
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("sha256:%x", sha256.Sum256(data)), digest)
	for _, none := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir()} {
		r.binary = none
		digest, err := r.Digest()
		require.Error(t, err)
		require.Empty(t, digest)
	}
}

func TestRunsHaveFoldersOfTheirOwn(t *testing.T) {
	r, work := runner(t)
	for _, folder := range []string{"cwd", "tmp", "home"} {
		require.DirExists(t, filepath.Join(work, folder))
	}
	shown := filepath.Join(work, "shown")
	require.NoError(t, r.Online(t.Context(), "show", shown))
	data, err := os.ReadFile(shown)
	require.NoError(t, err)
	require.Equal(t, "HOME="+filepath.Join(work, "home")+"\nTMPDIR="+filepath.Join(work, "tmp")+"\n", strings.SplitAfter(string(data), "PWD")[0][:len("HOME="+filepath.Join(work, "home")+"\nTMPDIR="+filepath.Join(work, "tmp")+"\n")])
}

func TestAnOnlineRunThatFails(t *testing.T) {
	r, _ := runner(t)
	err := r.Online(t.Context(), "image")
	require.ErrorContains(t, err, "exit status 1: line 4: line 5")
	require.Equal(t, []string{"line 4", "line 5", "line 6", "line 7", "line 8"}, Log(err))
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Nil(t, Log(os.ErrNotExist))
	over, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	err = r.Offline(over, "image", "image")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, fault := step.AsFault(err)
	require.False(t, fault, "a time that is over is no scanner's failure")
}

func TestTail(t *testing.T) {
	long := strings.Repeat("a", 400)
	require.Equal(t, []string{"x", long, long + "…"}, tail("\n x \n\n"+long+"\n"+long+"b\n"))
	require.Empty(t, tail("\n \n"))
}

func TestConfinedSaysWhatItCouldNotStart(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	out, err := exec.Command(os.Args[0], ConfinedCommand, none).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 2, exit.ExitCode())
	require.Equal(t, "start "+none+": no such file or directory\n", string(out))
}
