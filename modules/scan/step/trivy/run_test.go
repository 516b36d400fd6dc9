package trivy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"slipway/step"
)

// TestMain makes the test binary a stand-in for Trivy when it is called so: it
// answers the version, shows its environment, or fails with a log.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "trivy" {
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
	if r.Isolated() {
		require.NotContains(t, text, "eth0")
		require.Contains(t, text, "lo:")
	}
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

func TestNamespacesThatAreRefusedAreNotAFailedRun(t *testing.T) {
	require.True(t, denied(&runError{err: fmt.Errorf("fork/exec: %w", syscall.EPERM)}))
	require.False(t, denied(&runError{err: &exec.ExitError{}}))
	require.False(t, denied(errors.New("other")))
	ways := isolations(1000, 1000)
	require.Len(t, ways, 3)
	require.Equal(t, 1, ways[1].UidMappings[0].Size)
	require.Nil(t, ways[2])
}
