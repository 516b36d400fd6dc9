package trivy

import (
	"context"
	"fmt"
	"net"
	"os"
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
