package packages

import (
	"context"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/steptest"
)

// TestANameOfThisMachineIsNotDialled is for what a redirect's name stands for.
func TestANameOfThisMachineIsNotDialled(t *testing.T) {
	neighbour := httptest.NewServer(nil)
	defer neighbour.Close()
	u, err := url.Parse(neighbour.URL)
	require.NoError(t, err)
	dial := guarded("registry.invalid", map[string]string{"other.invalid:443": u.Host})
	for _, host := range []string{"127.0.0.1", "localhost"} {
		_, err := dial(context.Background(), "tcp", host+":"+u.Port())
		require.ErrorContains(t, err, "is an address of this machine or beside it", host)
	}
	// A connection is for the registry, not for whatever else has such a name.
	_, err = dial(context.Background(), "tcp", "other.invalid:443")
	require.Error(t, err)
	for home, address := range map[string]string{"127.0.0.1": u.Host, "registry.invalid": "registry.invalid:443"} {
		c, err := guarded(home, map[string]string{"registry.invalid:443": u.Host})(context.Background(), "tcp", address)
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
}

func TestWhereARegistryMayKeepItsFiles(t *testing.T) {
	c, err := newClient(Origin{Address: "http://localhost:1/simple"}, Reach{}, Limits{})
	require.NoError(t, err)
	for address, may := range map[string]bool{
		"http://localhost:1/other": true, "https://files.example/a": true,
		"http://localhost:2/a": false, "https://localhost:1/a": false, "http://files.example/a": false, "https://127.0.0.1/a": false,
		"https://u:p@files.example/a": false, "file:///etc/passwd": false, "https:///a": false, "ftp://files.example/a": false,
	} {
		u, err := url.Parse(address)
		require.NoError(t, err)
		assert.Equal(t, may, c.May(u), address)
	}
}

func TestNetrc(t *testing.T) {
	all, err := parseNetrc("# a comment\nmachine a.example login me password p#1\nmachine b.example\n  login you\n  account x\n  password p2\nmacdef init\n machine evil login x\n\ndefault login anyone password everything\n")
	require.NoError(t, err)
	assert.Equal(t, Netrc{"a.example": {"me", "p#1"}, "b.example": {"you", "p2"}}, all)
	for _, content := range []string{"machine", "machine a login", "secret", "secret word", "machine a secret word"} {
		_, err := parseNetrc(content)
		f := steptest.Refused(t, err)
		assert.Equal(t, step.KindInput, f.Kind, content)
		assert.NotContains(t, f.Error(), "secret")
	}
	_, err = ReadNetrc(t.TempDir() + "/nothing")
	assert.Equal(t, "can't be read", steptest.Refused(t, err).Reason)
}
