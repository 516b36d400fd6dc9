package keyless

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"

	"slipway/step/reach"
)

// By status: how often a service is asked, and what its answer is.
func TestPatience(t *testing.T) {
	for status, c := range map[int]struct {
		asked    int
		down, no bool
	}{
		200: {1, false, false}, 201: {1, false, false}, 299: {1, false, false}, 409: {1, false, false}, 300: {1, false, true}, 302: {1, false, true}, 400: {1, false, true}, 401: {1, false, true}, 404: {1, false, true}, 499: {1, false, true},
		408: {3, true, false}, 429: {3, true, false}, 500: {3, true, false}, 503: {3, true, false},
	} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			body, _ := io.ReadAll(r.Body)
			assert.Equal(t, "question", string(body), "each time")
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, " answer ")
		}))
		p := &patient{ctx: t.Context(), service: "the service", base: http.DefaultTransport}
		request, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader("question"))
		require.NoError(t, err)
		response, err := p.RoundTrip(request)
		server.Close()
		assert.Equal(t, c.asked, asked, status)
		var down *downError
		var answer *answerError
		assert.Equal(t, c.down, errors.As(err, &down), status)
		assert.Equal(t, c.no, errors.As(err, &answer), status)
		switch {
		case c.down:
			assert.Equal(t, []string{"the service", fmt.Sprintf("3 tries: status %d: answer", status)}, []string{down.service, down.Error()})
		case c.no:
			assert.Equal(t, []any{"the service", status, "answer"}, []any{answer.service, answer.status, answer.text})
		default:
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			assert.Equal(t, " answer ", string(body))
		}
	}
	big := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(make([]byte, maxAnswer+len(r.URL.Path)-1))
	}))
	defer big.Close()
	for path, ok := range map[string]bool{"/": true, "/x": false} {
		request, err := http.NewRequest(http.MethodGet, big.URL+path, nil)
		require.NoError(t, err)
		_, err = (&patient{ctx: t.Context(), base: http.DefaultTransport}).RoundTrip(request)
		assert.Equal(t, ok, err == nil, "%v", err)
		if !ok {
			assert.ErrorContains(t, err, "answer is too large")
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	request, err := http.NewRequest(http.MethodGet, big.URL, nil)
	require.NoError(t, err)
	_, err = (&patient{ctx: over, base: http.DefaultTransport}).RoundTrip(request)
	require.ErrorIs(t, err, context.Canceled)
	big.Close()
	_, err = (&patient{ctx: t.Context(), base: http.DefaultTransport}).RoundTrip(request)
	var down *downError
	require.ErrorAs(t, err, &down)
}

func TestDialling(t *testing.T) {
	assert.Same(t, http.DefaultTransport, dialling(nil))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer server.Close()
	request, err := http.NewRequest(http.MethodGet, "http://fulcio.example:80/", nil)
	require.NoError(t, err)
	response, err := dialling(reach.Connections{"fulcio.example:80": strings.TrimPrefix(server.URL, "http://")}).RoundTrip(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	assert.Equal(t, http.StatusTeapot, response.StatusCode)
}

func TestALineHoldsNoToken(t *testing.T) {
	s := &Signer{secrets: []string{"head.body.sign", "one"}}
	assert.Equal(t, "it says … … and … or …", s.line(errors.New("it  says head.body.sign\n one and body or sign")))
	assert.Equal(t, strings.Repeat("a", 400), s.line(errors.New(strings.Repeat("a", 400))))
	assert.Equal(t, strings.Repeat("a", 400)+"…", s.line(errors.New(strings.Repeat("a", 401))))
}

type log func() error

func (l log) GetTransparencyLogEntry(context.Context, []byte, *protobundle.Bundle) error { return l() }

// What a log's client says is an answer, or that there is none; also where it falls over.
func TestALogsClientIsNotBelieved(t *testing.T) {
	down, answer := &downError{service: "s", err: errors.New("x")}, &answerError{service: "s", status: 400, text: "x"}
	for name, c := range map[string]struct {
		said func() error
		want error
		text string
	}{
		"nothing":   {func() error { return nil }, nil, ""},
		"down":      {func() error { return fmt.Errorf("log: %w", down) }, down, ""},
		"an answer": {func() error { return fmt.Errorf("log: %w", answer) }, answer, ""},
		"another":   {func() error { return errors.New("lost") }, nil, "status 200: lost"},
		"a panic":   {func() error { panic("lost") }, nil, "status 200: the log's entry can't be read"},
	} {
		err := careful{log(c.said), "the log"}.GetTransparencyLogEntry(t.Context(), nil, nil)
		var told *answerError
		switch {
		case c.want != nil:
			require.ErrorIs(t, err, c.want, name)
		case c.text != "":
			require.ErrorAs(t, err, &told, name)
			assert.Equal(t, []string{"the log", c.text}, []string{told.service, told.Error()})
		default:
			require.NoError(t, err)
		}
	}
}
