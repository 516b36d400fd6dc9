package session

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asDagger makes this program a stand-in for the dagger CLI: it answers the
// status at the first --ports, and ends when it is interrupted.
const asDagger = "SLIPWAY_TEST_AS_DAGGER"

func TestMain(m *testing.M) {
	if os.Getenv(asDagger) == "" {
		os.Exit(m.Run())
	}
	os.Exit(dagger())
}

// dagger is the stand-in; it returns the exit status.
func dagger() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Println(strings.Join(os.Args[1:], " "))
	if os.Args[2] == "fails" {
		return 7
	}
	port, _, _ := strings.Cut(os.Args[len(os.Args)-1], ":")
	listener, err := net.Listen("tcp", "localhost:"+port)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	go func() {
		_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(Status{Phase: "testing", Address: "127.0.0.1"})
		}))
	}()
	<-ctx.Done()
	fmt.Println("interrupted")
	return 0
}

// node is a server that does what handle does with each connection.
func node(t *testing.T, handle func(*net.TCPConn)) int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				handle(conn.(*net.TCPConn))
			}()
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

func freePort(t *testing.T) int {
	listener, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// run starts a session whose cluster's port is the node's; end stops it and
// returns what Run returned and what the CLI printed.
func run(t *testing.T, nodePort int) (dial func() *net.TCPConn, end func() (string, error)) {
	local := freePort(t)
	var log bytes.Buffer
	s := session(map[int]int{nodePort: local}, &log)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	end = func() (string, error) {
		cancel()
		err := <-ended
		ended <- err
		return log.String(), err
	}
	t.Cleanup(func() { _, _ = end() })
	return func() *net.TCPConn {
		var conn net.Conn
		require.Eventually(t, func() bool {
			var err error
			conn, err = net.Dial("tcp", net.JoinHostPort("localhost", strconv.Itoa(local)))
			return err == nil
		}, 10*time.Second, 10*time.Millisecond)
		t.Cleanup(func() { _ = conn.Close() })
		require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		return conn.(*net.TCPConn)
	}, end
}

func session(ports map[int]int, log io.Writer) *Session {
	return &Session{
		Dagger: os.Args[0], Service: []string{"service"}, Env: append(os.Environ(), asDagger+"=1"),
		Ports: ports, Direct: true, Log: log,
	}
}

func TestAConnectionThatIsNotReadHoldsUpNoOther(t *testing.T) {
	dial, _ := run(t, node(t, func(conn *net.TCPConn) {
		what := make([]byte, 4)
		if _, err := io.ReadFull(conn, what); err != nil {
			return
		}
		if string(what) == "pour" {
			// Ends only when the other side goes away.
			for err := error(nil); err == nil; {
				_, err = conn.Write(make([]byte, 1<<16))
			}
			return
		}
		_, _ = conn.Write([]byte("pong"))
	}))
	for range 3 {
		_, err := dial().Write([]byte("pour"))
		require.NoError(t, err)
	}
	for range 20 {
		conn := dial()
		_, err := conn.Write([]byte("ping"))
		require.NoError(t, err)
		answer, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, "pong", string(answer))
	}
}

func TestTheEndOfAConnectionIsPassedOn(t *testing.T) {
	read := make(chan string, 2)
	dial, _ := run(t, node(t, func(conn *net.TCPConn) {
		data, err := io.ReadAll(conn)
		read <- fmt.Sprint(string(data), err)
		_, _ = conn.Write([]byte("all of it"))
	}))
	half := dial()
	_, err := half.Write([]byte("half"))
	require.NoError(t, err)
	require.NoError(t, half.CloseWrite())
	answer, err := io.ReadAll(half)
	require.NoError(t, err)
	assert.Equal(t, "all of it", string(answer))
	assert.Equal(t, "half<nil>", <-read)

	whole := dial()
	require.NoError(t, whole.Close())
	assert.Equal(t, "<nil>", <-read)
}

func TestASessionEndsWithEverythingOfIt(t *testing.T) {
	gone := make(chan struct{})
	port := node(t, func(conn *net.TCPConn) {
		_, _ = conn.Write([]byte("x"))
		_, _ = io.Copy(io.Discard, conn)
		close(gone)
	})
	dial, end := run(t, port)
	conn := dial()
	_, err := io.ReadFull(conn, make([]byte, 1))
	require.NoError(t, err)
	log, err := end()
	require.NoError(t, err)
	assert.Contains(t, log, "--progress=plain service up --ports ")
	assert.NotContains(t, log, ":"+strconv.Itoa(port), "only the status is tunnelled")
	assert.Contains(t, log, ":9000\ninterrupted\n")
	_, err = io.ReadAll(conn)
	assert.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the connection is closed")
	<-gone
	_, err = net.Dial("tcp", conn.RemoteAddr().String())
	assert.Error(t, err, "and nobody listens any more")
}

func TestASessionThatEndsByItselfIsAnError(t *testing.T) {
	s := session(nil, io.Discard)
	s.Service = []string{"fails"}
	err := s.Run(t.Context())
	require.ErrorContains(t, err, "the cluster's session ended")
	assert.ErrorContains(t, err, "exit status 7")
}

func TestATakenPortStartsNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	var log bytes.Buffer
	err = session(map[int]int{APIPort: port}, &log).Run(t.Context())
	require.ErrorContains(t, err, fmt.Sprintf("a port for the cluster: listen tcp 127.0.0.1:%d: bind: address already in use", port))
	assert.Empty(t, log.String())
}

func TestAnEngineElsewhereIsTunnelled(t *testing.T) {
	s := session(map[int]int{APIPort: 16443, StatusPort: 19000}, nil)
	s.Direct = false
	tunnels, err := s.tunnels()
	require.NoError(t, err)
	assert.Equal(t, s.Ports, tunnels)
}
