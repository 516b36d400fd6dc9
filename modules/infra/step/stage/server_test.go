package stage

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// stateServer is the least that Terraform's http backend needs: one state and
// one lock for each path, in memory, and ways to make it fail.
type stateServer struct {
	*httptest.Server
	mu     sync.Mutex
	states map[string]string
	locks  map[string]string
	// refuse, when set, answers a request with the status it returns, if any.
	refuse func(*http.Request) int
	// seen are the requests' methods, in order.
	seen []string
	// auth are the Authorization headers that were sent.
	auth map[string]bool
}

func newStateServer(t *testing.T) *stateServer {
	t.Helper()
	s := &stateServer{states: map[string]string{}, locks: map[string]string{}, auth: map[string]bool{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// address is the host:port that the server is really at.
func (s *stateServer) address() string { return strings.TrimPrefix(s.URL, "http://") }

func (s *stateServer) set(refuse func(*http.Request) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

func (s *stateServer) state(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.states[path]
}

func (s *stateServer) lock(path, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.locks[path] = `{"ID":"` + id + `"}`
}

func (s *stateServer) unlock(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.locks, path)
}

func (s *stateServer) locked(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.locks[path] != ""
}

// ServeHTTP answers one request.
func (s *stateServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r.Method)
	s.auth[r.Header.Get("Authorization")] = true
	if s.refuse != nil {
		if status := s.refuse(r); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	path := r.URL.Path
	switch r.Method {
	case http.MethodGet:
		if s.states[path] == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, s.states[path])
	case http.MethodPost:
		if idOf(s.locks[path]) != r.URL.Query().Get("ID") {
			w.WriteHeader(http.StatusConflict)
			return
		}
		s.states[path] = string(body)
	case "LOCK":
		if s.locks[path] != "" {
			w.WriteHeader(http.StatusLocked)
			_, _ = io.WriteString(w, s.locks[path])
			return
		}
		s.locks[path] = string(body)
	case "UNLOCK":
		if idOf(s.locks[path]) != idOf(string(body)) {
			w.WriteHeader(http.StatusConflict)
			return
		}
		delete(s.locks, path)
	}
}

func idOf(info string) string {
	var doc struct{ ID string }
	if json.Unmarshal([]byte(info), &doc) != nil {
		return ""
	}
	return doc.ID
}
