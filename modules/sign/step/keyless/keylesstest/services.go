// Package keylesstest serves a stand-in Sigstore on loopback, for tests.
package keylesstest

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"slipway/sign/step/standin"
)

// Services are the services of one Sigstore, each at an address of its own.
type Services struct {
	*standin.Services
	servers map[standin.Service]*httptest.Server
}

// New starts the services; they end with the test.
func New(t testing.TB) *Services {
	t.Helper()
	services, err := standin.New()
	require.NoError(t, err)
	s := &Services{Services: services, servers: map[standin.Service]*httptest.Server{}}
	for _, service := range standin.All() {
		s.servers[service] = httptest.NewServer(services.Handler(service))
		t.Cleanup(s.servers[service].Close)
	}
	return s
}

// URL is where a service is.
func (s *Services) URL(service standin.Service) string { return s.servers[service].URL }

// Stop closes a service's port.
func (s *Services) Stop(service standin.Service) { s.servers[service].Close() }

// Root is the services' trusted_root.json.
func (s *Services) Root(t testing.TB) []byte {
	t.Helper()
	data, err := s.Services.Root()
	require.NoError(t, err)
	return data
}
