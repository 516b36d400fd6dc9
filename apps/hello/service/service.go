// Package service is the HTTP service: its routes, health and life.
package service

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"slipway/apps/hello/greeting"
)

// Service answers:
//
//	GET /         {"greeting", "language"}, by the request's Accept-Language
//	GET /healthz  200 while the process lives
//	GET /readyz   200 while it takes requests, 503 before and after
//	GET /metrics  Prometheus' text format
type Service struct {
	// Drain is how long the service goes on answering after it was asked to
	// stop and before it stops listening, so that load balancers can see that
	// it isn't ready any more.
	Drain time.Duration
	// Grace is how long requests under way may take to end after that.
	Grace time.Duration

	log     *slog.Logger
	ready   atomic.Bool
	handler http.Handler
}

// New makes a service that logs to log.
func New(log *slog.Logger) *Service {
	s := &Service{Drain: 5 * time.Second, Grace: 10 * time.Second, log: log}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	greetings := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "hello_greetings_total", Help: "Greetings by language.",
	}, []string{"language"})
	requests := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_request_duration_seconds", Help: "Time to answer, by route and status.", Buckets: prometheus.DefBuckets,
	}, []string{"route", "code"})
	metrics.MustRegister(greetings, requests)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		text, tag := greeting.For(r.Header.Get("Accept-Language"))
		greetings.WithLabelValues(tag.String()).Inc()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Language", tag.String())
		w.Header().Set("Vary", "Accept-Language")
		s.write(w, map[string]string{"greeting": text, "language": tag.String()})
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !s.ready.Load() {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	s.handler = s.observe(requests, mux)
	return s
}

// Handler returns the service's routes.
func (s *Service) Handler() http.Handler { return s.handler }

func (s *Service) write(w http.ResponseWriter, value any) {
	if err := json.NewEncoder(w).Encode(value); err != nil {
		s.log.Warn("answer not sent", "error", err)
	}
}

// observe counts, times and logs requests; probes and scrapes are only counted.
func (s *Service) observe(requests *prometheus.HistogramVec, mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		recorded := &recorder{ResponseWriter: w, code: http.StatusOK}
		mux.ServeHTTP(recorded, r)
		// The pattern, not the path: what visitors make up must not become
		// label values.
		route := r.Pattern
		if route == "" {
			route = "none"
		}
		requests.WithLabelValues(route, strconv.Itoa(recorded.code)).Observe(time.Since(start).Seconds())
		if route == "GET /{$}" || route == "none" {
			s.log.Info("request", "method", r.Method, "path", r.URL.Path, "code", recorded.code, "duration", time.Since(start))
		}
	})
}

type recorder struct {
	http.ResponseWriter
	code int
}

func (r *recorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController reach the writer below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Serve answers on l until ctx ends, then stops in order: not ready, Drain,
// no new connections, requests under way end within Grace.
func (s *Service) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	s.ready.Store(true)
	s.log.Info("ready", "address", l.Addr().String())
	select {
	case err := <-ended:
		s.ready.Store(false)
		return err
	case <-ctx.Done():
	}
	s.ready.Store(false)
	s.log.Info("stopping", "drain", s.Drain, "grace", s.Grace)
	drained := time.NewTimer(s.Drain)
	defer drained.Stop()
	select {
	case err := <-ended:
		return err
	case <-drained.C:
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Grace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return errors.Join(err, server.Close())
	}
	s.log.Info("stopped")
	return nil
}
