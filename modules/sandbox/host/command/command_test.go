package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sandbox/host/command"
	"slipway/sandbox/host/gitserver"
	"slipway/sandbox/host/server"
)

func TestMain(m *testing.M) {
	// The remote's hook is a copy of the program that serves it.
	if code, hook := gitserver.AsHook(context.Background()); hook {
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

// serve serves a data folder until end is called.
func serve(t *testing.T, data string, more ...string) (address string, end func() int) {
	t.Helper()
	ready := filepath.Join(t.TempDir(), "ready.json")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		ended <- command.Run(ctx, append([]string{"serve", "--data", data, "--ready-file", ready}, more...), &bytes.Buffer{}, &errs)
	}()
	var e server.Endpoint
	require.Eventually(t, func() bool {
		content, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(content, &e) == nil
	}, 30*time.Second, 5*time.Millisecond)
	assert.Equal(t, os.Getpid(), e.PID)
	return e.Address, func() int {
		stop()
		code := <-ended
		assert.Empty(t, errs.String())
		return code
	}
}

func TestServeSeedServe(t *testing.T) {
	data, tree := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(tree, "file"), nil, 0o644))
	address, end := serve(t, data, "--listen", "127.0.0.1:0", "--environments", "dev,production")
	seed := []string{"seed", "--gitops", tree, "--url", "http://" + address + "/" + gitserver.Repository}
	code, _, stderr := run(t, seed...)
	require.Equal(t, command.ExitFailed, code, "nobody may push")
	assert.Contains(t, stderr, "could not read Username")
	code, devs, stderr := run(t, "accounts", "--data", data, "--environment", "dev")
	require.Zero(t, code, stderr)
	assert.Contains(t, devs, `"gitops/dev":`)
	assert.NotContains(t, devs, "production")
	code, stdout, stderr := run(t, "accounts", "--data", data, "--environment", "staging")
	assert.Equal(t, command.ExitFailed, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "there is no account for gitops/staging")
	file := filepath.Join(t.TempDir(), "dev.json")
	require.NoError(t, os.WriteFile(file, []byte(devs), 0o600))
	code, _, stderr = run(t, append(slices.Clone(seed), "--accounts", file)...)
	require.Equal(t, command.ExitFailed, code)
	assert.Contains(t, stderr, "has no account for platform")
	seed = append(seed, "--accounts", filepath.Join(data, server.AccountsFile))
	code, stdout, stderr = run(t, seed...)
	require.Zero(t, code, stderr)
	var seeded gitserver.Seeded
	require.NoError(t, json.Unmarshal([]byte(stdout), &seeded))
	assert.Equal(t, command.ExitOK, end())

	address, end = serve(t, data, "--prefer", address)
	code, stdout, stderr = run(t, "seed", "--gitops", tree, "--url", "http://"+address+"/"+gitserver.Repository, "--accounts", filepath.Join(data, server.AccountsFile))
	require.Zero(t, code, stderr)
	assert.Contains(t, stderr, "has a history already; left alone")
	assert.JSONEq(t, `{"seeded":false,"commit":"`+seeded.Commit+`"}`, stdout)
	assert.Equal(t, command.ExitOK, end())
}

func TestPreferredPortInUseIsNotTaken(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer other.Close()
	address, end := serve(t, t.TempDir(), "--prefer", other.Addr().String())
	assert.NotEqual(t, other.Addr().String(), address)
	assert.Zero(t, end())
}

func TestAServedFolderIsNotServedTwice(t *testing.T) {
	data := t.TempDir()
	_, end := serve(t, data, "--listen", "127.0.0.1:0")
	code, _, stderr := run(t, "serve", "--data", data, "--listen", "127.0.0.1:0")
	assert.Equal(t, command.ExitFailed, code)
	assert.Contains(t, stderr, server.ErrInUse.Error()+": "+data)
	assert.Zero(t, end())
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
	for _, args := range [][]string{{}, {"start"}, {"up"}, {"serve", "--data", "x", "more"}, {"seed", "--listen", "x"}, {"serve"}, {"seed", "--gitops", "x"}, {"accounts", "--data", "x"}} {
		code, stdout, stderr := run(t, args...)
		assert.Equal(t, command.ExitUsage, code, "%q", args)
		assert.Empty(t, stdout, "%q", args)
		assert.NotEmpty(t, stderr, "%q", args)
	}
	code, _, stderr := run(t, "serve", "-h")
	assert.Zero(t, code)
	assert.Contains(t, stderr, "-ready-file")
}
