package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sandbox/host/command"
	"slipway/sandbox/host/daemon"
	"slipway/sandbox/host/gitserver"
	"slipway/sandbox/host/server"
)

// tick is how often a state that another process makes is looked at.
const tick = 10 * time.Millisecond

// The test binary is also the program that up starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		code := command.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// run runs a command line and returns its exit code and what it printed.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = command.Run(context.WithoutCancel(t.Context()), args, &out, &errs)
	return code, out.String(), errs.String()
}

// up starts the daemon of dir on a free port.
func up(t *testing.T, dir string, more ...string) (s daemon.Status, notices string) {
	t.Helper()
	args := append([]string{"up", "--state-dir", dir, "--listen", "127.0.0.1:0"}, more...)
	code, stdout, stderr := run(t, args...)
	require.Zero(t, code, stderr)
	require.NoError(t, json.Unmarshal([]byte(stdout), &s))
	require.NotNil(t, s.Endpoint)
	return s, stderr
}

// stateDir makes a state folder whose daemon ends with the test.
func stateDir(t *testing.T) string {
	dir := t.TempDir()
	t.Cleanup(func() {
		code, _, stderr := run(t, "down", "--state-dir", dir)
		assert.Zero(t, code, stderr)
	})
	return dir
}

func TestUpTwiceStatusDown(t *testing.T) {
	dir := stateDir(t)
	first, notices := up(t, dir)
	assert.True(t, first.Running)
	assert.True(t, first.Started)
	assert.Empty(t, notices)

	second, _ := up(t, dir)
	assert.False(t, second.Started)
	assert.Equal(t, first.Endpoint, second.Endpoint)

	code, stdout, _ := run(t, "status", "--state-dir", dir)
	assert.Equal(t, command.ExitOK, code)
	var status daemon.Status
	require.NoError(t, json.Unmarshal([]byte(stdout), &status))
	assert.Equal(t, second, status)

	code, stdout, _ = run(t, "down", "--state-dir", dir)
	assert.Equal(t, command.ExitOK, code)
	assert.JSONEq(t, `{"stopped":true}`, stdout)
	assert.NoFileExists(t, filepath.Join(dir, "ready.json"))
	log, err := os.ReadFile(filepath.Join(dir, "daemon.log"))
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(string(log), "stopped\n"), "it ended by itself")
	code, stdout, _ = run(t, "status", "--state-dir", dir)
	assert.Equal(t, command.ExitNotRunning, code)
	assert.Contains(t, stdout, `"running":false`)
	code, stdout, _ = run(t, "down", "--state-dir", dir)
	assert.Equal(t, command.ExitOK, code)
	assert.JSONEq(t, `{"stopped":false}`, stdout)
}

func TestConcurrentUpsStartOne(t *testing.T) {
	dir := stateDir(t)
	statuses := make([]daemon.Status, 3)
	var group sync.WaitGroup
	for i := range statuses {
		group.Go(func() {
			var out, errs bytes.Buffer
			code := command.Run(context.Background(), []string{"up", "--state-dir", dir, "--listen", "127.0.0.1:0"}, &out, &errs)
			assert.Zero(t, code, errs.String())
			assert.NoError(t, json.Unmarshal(out.Bytes(), &statuses[i]))
		})
	}
	group.Wait()
	started := 0
	for _, s := range statuses {
		assert.Equal(t, statuses[0].Endpoint, s.Endpoint)
		if s.Started {
			started++
		}
	}
	assert.Equal(t, 1, started)
}

func TestKilledDaemonIsStartedAgainWithItsData(t *testing.T) {
	dir := stateDir(t)
	first, _ := up(t, dir)
	tree := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(tree, "file"), nil, 0o644))
	seed := []string{"seed", "--gitops", tree, "--url", "http://" + first.Address + "/" + gitserver.Repository}
	code, _, stderr := run(t, seed...)
	require.Equal(t, command.ExitFailed, code, "nobody may push")
	assert.Contains(t, stderr, "could not read Username")
	seed = append(seed, "--accounts", filepath.Join(dir, "data", server.AccountsFile))
	code, stdout, stderr := run(t, seed...)
	require.Zero(t, code, stderr)
	var seeded gitserver.Seeded
	require.NoError(t, json.Unmarshal([]byte(stdout), &seeded))
	require.NoError(t, syscall.Kill(first.PID, syscall.SIGKILL))
	require.Eventually(t, func() bool {
		holder, err := server.Holder(filepath.Join(dir, "data"))
		return err == nil && holder == 0
	}, daemon.Patience, tick)

	code, _, _ = run(t, "status", "--state-dir", dir)
	assert.Equal(t, command.ExitNotRunning, code)
	second, notices := up(t, dir)
	assert.True(t, second.Started)
	assert.NotEqual(t, first.PID, second.PID)
	assert.Contains(t, notices, "ended without being stopped")
	code, stdout, stderr = run(t, "seed", "--gitops", tree, "--url", "http://"+second.Address+"/"+gitserver.Repository, "--accounts", filepath.Join(dir, "data", server.AccountsFile))
	require.Zero(t, code, stderr)
	assert.Contains(t, stderr, "has a history already; left alone")
	assert.JSONEq(t, `{"seeded":false,"commit":"`+seeded.Commit+`"}`, stdout)
}

// A process id that a reboot gave to another program must not be signalled.
func TestStaleProcessIDIsNotSignalled(t *testing.T) {
	dir := stateDir(t)
	stranger := exec.Command("sleep", "600")
	require.NoError(t, stranger.Start())
	defer func() {
		require.NoError(t, stranger.Process.Kill())
		_ = stranger.Wait()
	}()
	ready, err := json.Marshal(server.Endpoint{Address: "127.0.0.1:1", PID: stranger.Process.Pid})
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "data"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ready.json"), ready, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "lock"), ready, 0o644))

	code, stdout, _ := run(t, "down", "--state-dir", dir)
	assert.Zero(t, code)
	assert.JSONEq(t, `{"stopped":false}`, stdout)
	assert.NoError(t, stranger.Process.Signal(syscall.Signal(0)), "the stranger was stopped")
}

func TestPreferredPortInUseFallsBackWithANotice(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer other.Close()
	taken := other.Addr().String()
	s, notices := up(t, stateDir(t), "--listen", taken)
	assert.NotEqual(t, taken, s.Address)
	assert.Contains(t, notices, "is in use; taking "+s.Address)
}

func TestServerOfAnotherOriginIsNotAdopted(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	require.NoError(t, os.MkdirAll(data, 0o755))
	lock, err := server.Lock(data)
	require.NoError(t, err)
	defer lock.Close()
	code, stdout, stderr := run(t, "up", "--state-dir", dir)
	assert.Equal(t, command.ExitFailed, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "was not started by up")
}

func TestServerThatCantStartSaysWhy(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "data"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data", "git"), nil, 0o644))
	code, _, stderr := run(t, "up", "--state-dir", dir, "--listen", "127.0.0.1:0")
	assert.Equal(t, command.ExitFailed, code)
	assert.Contains(t, stderr, "the sandbox ended at once")
	assert.Contains(t, stderr, filepath.Join(dir, "data", "git"))
}

func TestServeRefusesATakenPort(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer other.Close()
	code, _, stderr := run(t, "serve", "--data", t.TempDir(), "--listen", other.Addr().String())
	assert.Equal(t, command.ExitFailed, code)
	assert.Contains(t, stderr, "choose another address with -listen")
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"start"}, {"up"}, {"up", "--state-dir", "x", "more"}, {"down", "--listen", "x"}, {"serve"}, {"seed", "--gitops", "x"}} {
		code, stdout, stderr := run(t, args...)
		assert.Equal(t, command.ExitUsage, code, "%q", args)
		assert.Empty(t, stdout, "%q", args)
		assert.NotEmpty(t, stderr, "%q", args)
	}
	code, _, stderr := run(t, "up", "-h")
	assert.Zero(t, code)
	assert.Contains(t, stderr, "-state-dir")
}
