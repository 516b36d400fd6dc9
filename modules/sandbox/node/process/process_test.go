package process

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain lets the test program be the program that is run: child NOTES NAME
// notes that it runs and waits for SIGTERM; child NOTES fails at once.
func TestMain(m *testing.M) {
	if len(os.Args) < 3 || os.Args[1] != "child" {
		os.Exit(m.Run())
	}
	note := func(text string) {
		f, err := os.OpenFile(os.Args[2], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(f, text)
		f.Close()
	}
	if len(os.Args) == 3 {
		note("ran")
		fmt.Println("this is why, " + os.Getenv("READER"))
		os.Exit(3)
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	note(os.Args[3] + " up")
	<-asked
	note(os.Args[3] + " down")
}

// group is a group that collects what it says.
func group(t *testing.T) (g *Group, said func() string) {
	t.Helper()
	var mu sync.Mutex
	var lines []string
	g = &Group{Logs: t.TempDir(), Environment: []string{"READER=reader"}, Say: func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, fmt.Sprintf(format, args...))
	}}
	t.Cleanup(g.Stop)
	return g, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(lines, "\n")
	}
}

func text(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return ""
	}
	require.NoError(t, err)
	return string(data)
}

// until waits for a file to hold exactly this, and nothing after it.
func until(t *testing.T, file, want string) {
	t.Helper()
	require.Eventually(t, func() bool { return text(t, file) == want }, 30*time.Second, 10*time.Millisecond, "%s", want)
}

func TestAProgramThatEndsIsStartedAgainAndSaidTo(t *testing.T) {
	g, said := group(t)
	notes := filepath.Join(t.TempDir(), "notes")
	require.NoError(t, g.Start("failing", "/proc/self/exe", "child", notes))
	until(t, notes, "ran\nran\n")
	g.Stop()
	ran := text(t, notes)
	assert.Contains(t, said(), "failing ended: exit status 3; see its log")
	assert.Contains(t, text(t, filepath.Join(g.Logs, "failing.log")), "this is why, reader\n")

	// The log of the run before is kept, and nothing runs after Stop.
	require.NoError(t, g.Start("failing", "/proc/self/exe", "child", filepath.Join(t.TempDir(), "other")))
	assert.Contains(t, text(t, filepath.Join(g.Logs, "failing.log.1")), "this is why, reader\n")
	assert.Equal(t, ran, text(t, notes))
}

func TestStopEndsTheLastStartedFirst(t *testing.T) {
	g, said := group(t)
	notes := filepath.Join(t.TempDir(), "notes")
	require.NoError(t, g.Start("etcd", "/proc/self/exe", "child", notes, "etcd"))
	until(t, notes, "etcd up\n")
	require.NoError(t, g.Start("apiserver", "/proc/self/exe", "child", notes, "apiserver"))
	until(t, notes, "etcd up\napiserver up\n")
	g.Stop()
	assert.Equal(t, "etcd up\napiserver up\napiserver down\netcd down\n", text(t, notes))
	assert.Empty(t, said(), "a program that was asked to end did not end by itself")
	g.Stop()
}

func TestAProgramThatIsNotThereIsSaidTo(t *testing.T) {
	g, said := group(t)
	require.NoError(t, g.Start("missing", filepath.Join(t.TempDir(), "missing")))
	require.Eventually(t, func() bool { return strings.Contains(said(), "missing ended: ") }, 30*time.Second, 10*time.Millisecond)
	assert.Contains(t, said(), "no such file or directory")
}

func TestRunTellsWhatAFailedProgramPrinted(t *testing.T) {
	err := Run(t.Context(), nil, "/proc/self/exe", "child", filepath.Join(t.TempDir(), "notes"))
	require.ErrorContains(t, err, "exe: exit status 3: this is why, ")
}
