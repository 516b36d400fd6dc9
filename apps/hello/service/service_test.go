package service_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/apps/hello/service"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func get(s *service.Service, path, acceptLanguage string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept-Language", acceptLanguage)
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestGreeting(t *testing.T) {
	w := get(service.New(quiet()), "/", "fr-CH, en;q=0.3")
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
	assert.Equal(t, "fr", w.Header().Get("Content-Language"))
	assert.Equal(t, "Accept-Language", w.Header().Get("Vary"))
	assert.JSONEq(t, `{"greeting":"Bonjour","language":"fr"}`, w.Body.String())
}

func TestOnlyWhatIsOfferedIsAnswered(t *testing.T) {
	s := service.New(quiet())
	assert.Equal(t, http.StatusNotFound, get(s, "/etc/passwd", "").Code)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	assert.Equal(t, http.StatusMethodNotAllowed, w.Code)
}

func TestHealthBeforeServing(t *testing.T) {
	s := service.New(quiet())
	assert.Equal(t, http.StatusOK, get(s, "/healthz", "").Code)
	assert.Equal(t, http.StatusServiceUnavailable, get(s, "/readyz", "").Code)
}

func TestMetrics(t *testing.T) {
	s := service.New(quiet())
	get(s, "/", "de")
	get(s, "/made-up", "")
	body := get(s, "/metrics", "").Body.String()
	assert.Contains(t, body, `hello_greetings_total{language="de"} 1`)
	assert.Contains(t, body, `http_request_duration_seconds_count{code="404",route="none"} 1`)
	assert.NotContains(t, body, "made-up")
}

func TestLogsAreJSON(t *testing.T) {
	var log bytes.Buffer
	s := service.New(slog.New(slog.NewJSONHandler(&log, nil)))
	get(s, "/healthz", "")
	assert.Empty(t, log.String(), "probes fill the log")
	get(s, "/", "")
	assert.Contains(t, log.String(), `"msg":"request","method":"GET","path":"/","code":200`)
}

// pipe is a listener whose connections never leave the process, so that the
// whole life of a server runs on a test's own clock.
type pipe struct {
	accepted chan net.Conn
	closed   chan struct{}
}

func newPipe() *pipe { return &pipe{make(chan net.Conn), make(chan struct{})} }

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Close() error {
	close(p.closed)
	return nil
}

func (p *pipe) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipe) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.accepted <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestShutdownFlipsReadinessThenDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := service.New(quiet())
		listener := newPipe()
		client := &http.Client{Transport: &http.Transport{DialContext: listener.dial, DisableKeepAlives: true}}
		code := func(path string) int {
			response, err := client.Get("http://hello" + path)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			return response.StatusCode
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(ctx, listener) }()
		synctest.Wait()
		assert.Equal(t, http.StatusOK, code("/readyz"))

		stop()
		synctest.Wait()
		assert.Equal(t, http.StatusServiceUnavailable, code("/readyz"))
		assert.Equal(t, http.StatusOK, code("/healthz"))
		assert.Equal(t, http.StatusOK, code("/"), "a late request is still answered")

		asked := time.Now()
		require.NoError(t, <-ended)
		assert.Equal(t, s.Drain, time.Since(asked), "on the test's own clock")
		answer, err := client.Get("http://hello/")
		if err == nil {
			assert.NoError(t, answer.Body.Close())
		}
		assert.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestListenerThatFailsEndsTheService(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	s := service.New(quiet())
	require.ErrorIs(t, s.Serve(t.Context(), l), net.ErrClosed)
	assert.Equal(t, http.StatusServiceUnavailable, get(s, "/readyz", "").Code)
}
