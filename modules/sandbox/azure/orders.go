package azure

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
)

// Order is something that the stand-in shall do wrong, as Azure at times does.
type Order struct {
	// Method and Path, a regular expression on the path without its query, say to
	// which requests. Host is the beginning of the host's name; management if empty.
	Method string
	Host   string
	Path   string
	// Times is how often; without it, always.
	Times int
	// Status, Code and Message are the answer.
	Status  int
	Code    string
	Message string
	// RetryAfter is the header's seconds.
	RetryAfter int
	// Polls makes a write a long operation, that many polls long.
	Polls int
	// Hold keeps the request without an answer until its client goes.
	Hold bool

	path *regexp.Regexp
	left int
}

// Order adds one. A later one waits for the earlier ones to be used up.
func (s *Server) Order(o Order) error {
	path, err := regexp.Compile(o.Path)
	if err != nil {
		return err
	}
	ways := 0
	for _, way := range []bool{o.Status != 0, o.Polls != 0, o.Hold} {
		if way {
			ways++
		}
	}
	if o.Path == "" || o.Method == "" || ways != 1 {
		return errors.New("an order needs a method, a path, and one of status, polls and hold")
	}
	if o.Host == "" {
		o.Host = "management"
	}
	o.path, o.left = path, o.Times
	if o.Times == 0 {
		o.left = -1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders = append(s.orders, &o)
	return nil
}

// Recall takes every order back.
func (s *Server) Recall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders = nil
}

// take is the first order for a request that still holds, and suits.
func (s *Server) take(host string, r *http.Request, suits func(*Order) bool) *Order {
	for _, o := range s.orders {
		if o.left != 0 && o.Method == r.Method && o.Host+"."+Suffix == host && o.path.MatchString(r.URL.Path) && suits(o) {
			o.left--
			return o
		}
	}
	return nil
}

// ordered answers a request as it was ordered to, if it was.
func (s *Server) ordered(w http.ResponseWriter, r *http.Request, host string) bool {
	s.mu.Lock()
	o := s.take(host, r, func(o *Order) bool { return o.Polls == 0 })
	s.mu.Unlock()
	switch {
	case o == nil:
		return false
	case o.Hold:
		select {
		case s.Holding <- r.URL.Path:
		default:
		}
		<-r.Context().Done()
		return true
	}
	if o.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(o.RetryAfter))
	}
	fail(w, o.Status, o.Code, o.Message)
	return true
}

// slow is how many polls a write takes; the store is locked.
func (s *Server) slow(r *http.Request) int {
	if o := s.take(MetadataHost, r, func(o *Order) bool { return o.Polls > 0 }); o != nil {
		return o.Polls
	}
	return 0
}
