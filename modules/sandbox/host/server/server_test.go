package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sandbox/host/server"
)

// patience and tick bound the wait for what another goroutine does.
const (
	patience = 30 * time.Second
	tick     = 5 * time.Millisecond
)

const free = "127.0.0.1:0"

func TestTakenPortNamesPortAndFlag(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer other.Close()
	taken := other.Addr().String()
	_, port, err := net.SplitHostPort(taken)
	require.NoError(t, err)
	_, err = server.Listen(taken)
	require.ErrorContains(t, err, "port "+port+" is in use")
	require.ErrorContains(t, err, "choose another address with -listen")

	var said bytes.Buffer
	log.SetOutput(&said)
	defer log.SetOutput(os.Stderr)
	l, err := server.Prefer(taken)
	require.NoError(t, err)
	defer l.Close()
	assert.NotEqual(t, taken, l.Addr().String())
	assert.Contains(t, said.String(), "port "+port+" is in use; taking "+l.Addr().String())
}

func TestBadAddressIsRefused(t *testing.T) {
	for _, address := range []string{"nowhere", "127.0.0.1:99999", "192.0.2.1:0"} {
		_, err := server.Prefer(address)
		require.ErrorContains(t, err, "-listen")
		require.ErrorContains(t, err, address)
	}
}

func TestServe(t *testing.T) {
	data, ready := t.TempDir(), filepath.Join(t.TempDir(), "ready.json")
	l, err := server.Listen(free)
	require.NoError(t, err)
	want := server.Endpoint{Address: l.Addr().String(), PID: os.Getpid()}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, data, l, ready, server.Access{}) }()
	// The socket is open already: the first answer comes when it serves.
	for path, code := range map[string]int{
		"/v2/":             http.StatusUnauthorized,
		"/v2/x/tags/list":  http.StatusNotFound,
		"/state/local/dev": http.StatusUnauthorized,
		"/gitops.git/info/refs?service=git-upload-pack": http.StatusOK,
	} {
		response, err := http.Get("http://" + want.Address + path)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, code, response.StatusCode, path)
	}
	info, err := os.Stat(filepath.Join(data, server.AccountsFile))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	for _, unclean := range []string{"/v2/../state/x/y", "//v2/", "/state/./x"} {
		request, err := http.NewRequest(http.MethodGet, "http://"+want.Address, nil)
		require.NoError(t, err)
		request.URL.Path = unclean
		response, err := http.DefaultTransport.RoundTrip(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, http.StatusNotFound, response.StatusCode, unclean)
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		content, err := os.ReadFile(ready)
		require.NoError(c, err)
		var got server.Endpoint
		require.NoError(c, json.Unmarshal(content, &got))
		assert.Equal(c, want, got)
	}, patience, tick)

	holder, err := os.ReadFile(filepath.Join(data, "lock"))
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintln(os.Getpid()), string(holder))
	second, err := server.Listen(free)
	require.NoError(t, err)
	require.ErrorIs(t, server.Serve(ctx, data, second, "", server.Access{}), server.ErrInUse)

	stop()
	require.NoError(t, <-ended)
	lock, err := server.Lock(data)
	require.NoError(t, err, "the folder is free again")
	require.NoError(t, lock.Close())
	_, err = net.Dial("tcp", want.Address)
	assert.Error(t, err)
}

// Whoever asks whether a sandbox runs has the lock for a moment.
func TestAQuestionForTheLockIsNoRunningSandbox(t *testing.T) {
	data := t.TempDir()
	asking, err := os.Create(filepath.Join(data, "lock"))
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(asking.Fd()), syscall.LOCK_SH))
	answered := time.AfterFunc(20*time.Millisecond, func() { asking.Close() })
	defer answered.Stop()
	lock, err := server.Lock(data)
	require.NoError(t, err)
	assert.NoError(t, lock.Close())
}

func TestProcessIDLeftBehindHoldsNothing(t *testing.T) {
	data := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(data, "lock"), []byte("1234567890\n"), 0o644))
	lock, err := server.Lock(data)
	require.NoError(t, err)
	defer lock.Close()
	content, err := os.ReadFile(filepath.Join(data, "lock"))
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintln(os.Getpid()), string(content))
}

func TestUnwritableReadyFileStopsTheServer(t *testing.T) {
	l, err := server.Listen(free)
	require.NoError(t, err)
	err = server.Serve(t.Context(), t.TempDir(), l, filepath.Join(t.TempDir(), "absent", "ready.json"), server.Access{Everybody: true})
	require.ErrorContains(t, err, "write the ready-file")
	assert.ErrorContains(t, err, "absent")
}
