package registry

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

func TestParseConnect(t *testing.T) {
	connect, err := ParseConnect("scan", []string{"localhost:5000=registry:5000", "[::1]:80=a:1"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"localhost:5000": "registry:5000", "[::1]:80": "a:1"}, connect)
	for _, pair := range []string{"", "localhost:5000", "localhost=registry", "localhost:5000=", "=registry:5000", "http://a:1=b:1"} {
		_, err := ParseConnect("scan", []string{pair})
		fault, ok := step.AsFault(err)
		require.True(t, ok, "%q: %v", pair, err)
		require.Equal(t, step.KindInput, fault.Kind)
		require.Equal(t, "is not a pair of addresses", fault.Reason)
	}
}

func TestCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("sword fish\r\n"), 0o600))
	c := &Client{Stage: "scan"}
	require.NoError(t, c.Credentials("a", file))
	require.Equal(t, "sword fish", c.Password)
	c = &Client{Stage: "scan"}
	require.NoError(t, c.Credentials("", ""))
	require.Equal(t, &Client{Stage: "scan"}, c)
	err := c.Credentials("a", file+"x")
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "--password-file", fault.Input)
}

func TestRepository(t *testing.T) {
	c := &Client{Stage: "scan"}
	for value, scheme := range map[string]string{
		"localhost:5000/a/b":       "http",
		"127.0.0.1:5000/a":         "http",
		"registry.example.org/a-b": "https",
		"registry:5000/a":          "https",
	} {
		repository, err := c.Repository(value)
		require.NoError(t, err)
		require.Equal(t, scheme, repository.Scheme(), value)
	}
	for _, value := range []string{"10.0.0.1:5000/a", "192.168.1.1/a"} {
		_, err := c.Repository(value)
		fault, ok := step.AsFault(err)
		require.True(t, ok, "%q: %v", value, err)
		require.Contains(t, fault.Reason, "plain HTTP")
	}
	for _, value := range []string{"a", "../a", "-x.example.org/a", "localhost:5000/a@sha256:0", "localhost:5000/a/", "localhost:5000/A"} {
		_, err := c.Repository(value)
		fault, ok := step.AsFault(err)
		require.True(t, ok, "%q: %v", value, err)
		require.Equal(t, "is not the name of a repository", fault.Reason)
	}
}

func TestAnonymousWithoutAName(t *testing.T) {
	require.Equal(t, authn.Anonymous, (&Client{}).Authenticator(name.Registry{}))
	require.Equal(t, &authn.Basic{Username: "a", Password: "b"}, (&Client{Username: "a", Password: "b"}).Authenticator(name.Registry{}))
}
