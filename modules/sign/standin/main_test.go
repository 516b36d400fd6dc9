package main

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "address")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--address", file}, nil) }()
	var at string
	require.Eventually(t, func() bool {
		data, err := os.ReadFile(file)
		at = "http://" + string(data)
		return err == nil
	}, time.Minute, 5*time.Millisecond)

	got := func(path string) (string, error) {
		var out bytes.Buffer
		err := run(ctx, []string{"get", at + path}, &out)
		return out.String(), err
	}
	text, err := got("/trusted_root.json")
	require.NoError(t, err)
	trusted, err := root.NewTrustedRootFromJSON([]byte(text))
	require.NoError(t, err)
	assert.Len(t, trusted.RekorLogs(), 2)
	text, err = got("/token?email=a@example.org&issuer=i")
	require.NoError(t, err)
	assert.Regexp(t, `^[\w-]+\.[\w-]+\.[\w-]+$`, text)
	_, err = got("/nothing")
	assert.EqualError(t, err, at+"/nothing answers 404 Not Found")

	asked := func(path string, form url.Values) int {
		response, err := http.PostForm(at+path, form)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	const rekor = "/rekor1/api/v1/log/entries"
	assert.Equal(t, http.StatusBadRequest, asked(rekor, nil), "it answers, and wants an entry")
	assert.Equal(t, http.StatusOK, asked("/control", url.Values{"down": {"rekor1"}, "ago": {"90s"}}))
	assert.Equal(t, http.StatusServiceUnavailable, asked(rekor, nil))
	assert.Equal(t, http.StatusBadRequest, asked("/control", url.Values{"down": {"rekor3"}}))
	assert.Equal(t, http.StatusBadRequest, asked("/control", url.Values{"ago": {"long"}}))
	assert.Equal(t, http.StatusServiceUnavailable, asked(rekor, nil), "a bad order changes nothing")
	assert.Equal(t, http.StatusOK, asked("/control", nil))
	assert.Equal(t, http.StatusBadRequest, asked(rekor, nil))

	stop()
	require.NoError(t, <-ended)
}

func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{nil, {"get"}, {"serve", "more"}, {"serve", "--listen", "nowhere"}, {"other"}} {
		assert.Error(t, run(t.Context(), args, nil), args)
	}
}
