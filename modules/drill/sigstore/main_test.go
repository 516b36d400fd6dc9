package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
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

	ask := func(token, query string) (int, string) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/job?email=a@example.org&issuer=i"+query, nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		var given struct{ Value string }
		_ = json.NewDecoder(response.Body).Decode(&given)
		return response.StatusCode, given.Value
	}
	for _, c := range [][2]string{{"guess", "&audience=sigstore"}, {jobToken, ""}, {jobToken, "&audience=other"}} {
		status, _ := ask(c[0], c[1])
		assert.Equal(t, http.StatusUnauthorized, status, c)
	}
	_, first := ask(jobToken, "&audience=sigstore")
	_, second := ask(jobToken, "&audience=sigstore")
	assert.NotEqual(t, first, second)
	certify := func(token string) int {
		response, err := http.Post(at+"/fulcio/api/v2/signingCert", "application/json", strings.NewReader(`{"credentials":{"oidcIdentityToken":"`+token+`"}}`))
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	assert.NotEqual(t, http.StatusUnauthorized, certify(first))
	assert.Equal(t, http.StatusUnauthorized, certify(first), "it is taken once")
	assert.NotEqual(t, http.StatusUnauthorized, certify(second))

	stop()
	require.NoError(t, <-ended)
}

func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{nil, {"get"}, {"serve", "more"}, {"serve", "--listen", "nowhere"}, {"other"}} {
		assert.Error(t, run(t.Context(), args, nil), args)
	}
}
