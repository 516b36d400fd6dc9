package backend

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/reach"
)

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backend.json")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestReadFillsInTheDefaults(t *testing.T) {
	c, err := Read("plan", write(t, `{"address": "http://localhost:3333/state/local/dev", "username": "ci"}`))
	require.NoError(t, err)
	assert.Equal(t, Config{Type: TypeHTTP, HTTP: HTTP{
		Address:       "http://localhost:3333/state/local/dev",
		LockAddress:   "http://localhost:3333/state/local/dev",
		UnlockAddress: "http://localhost:3333/state/local/dev",
		UpdateMethod:  "POST", LockMethod: "LOCK", UnlockMethod: "UNLOCK",
		Username: "ci",
	}}, c)
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, input, reason string }{
		"nothing":          {``, "backend.json", "EOF"},
		"no object":        {`[]`, "backend.json", "cannot unmarshal"},
		"no address":       {`{}`, "address", "is missing"},
		"a password":       {`{"address":"https://s.example/x","password":"p"}`, "backend.json", `unknown field "password"`},
		"credentials":      {`{"address":"https://u:p@s.example/x"}`, "address", "holds credentials"},
		"remote http":      {`{"address":"http://s.example/x"}`, "address", "plain HTTP"},
		"remote http lock": {`{"address":"https://s.example/x","lock_address":"http://s.example/x"}`, "lock_address", "plain HTTP"},
		"another scheme":   {`{"address":"file:///etc/passwd"}`, "address", "not a URL of a state"},
		"ftp":              {`{"address":"ftp://s.example/x"}`, "address", "neither https nor http"},
		"two objects":      {`{"address":"https://s.example/x"}{}`, "backend.json", "after its object"},
		"another backend":  {`{"type":"local"}`, "backend.json, type", `"local" is not a backend`},
		"names of another": {`{"type":"http","address":"https://s.example/x","namespace":"a"}`, "backend.json", `unknown field "namespace"`},
		"no namespace":     {`{"type":"kubernetes","secret_suffix":"local-dev"}`, "backend.json, namespace", "is not a valid name"},
		"a suffix":         {`{"type":"kubernetes","namespace":"a","secret_suffix":"../x"}`, "backend.json, secret_suffix", "is not a valid name"},
		"a numbered state": {`{"type":"kubernetes","namespace":"a","secret_suffix":"local-2"}`, `secret_suffix "local-2"`, "ends in a dash and a number"},
		"a config path":    {`{"type":"kubernetes","namespace":"a","secret_suffix":"b","config_path":"/x"}`, "backend.json", `unknown field "config_path"`},
		"an access key":    {`{"type":"azurerm","storage_account_name":"acme","container_name":"states","key":"a/b","access_key":"k"}`, "backend.json", `unknown field "access_key"`},
		"an account":       {`{"type":"azurerm","storage_account_name":"Ac-me","container_name":"states","key":"a/b"}`, `storage_account_name "Ac-me"`, "is not a valid name"},
		"a container":      {`{"type":"azurerm","storage_account_name":"acme","container_name":"-","key":"a/b"}`, `container_name "-"`, "is not a valid name"},
		"a blob":           {`{"type":"azurerm","storage_account_name":"acme","container_name":"states","key":"../b"}`, `key "../b"`, "is not a valid name"},
		"one bad address":  {`{"address":"http://s.example/x","lock_address":"https://s.example/x","unlock_address":"https://s.example/x"}`, "backend.json, address", "plain HTTP"},
		"one bad lock":     {`{"address":"https://s.example/x","lock_address":"http://s.example/x","unlock_address":"https://s.example/x"}`, "backend.json, lock_address", "plain HTTP"},
		"opaque":           {`{"address":"https:s.example/x"}`, "backend.json, address", "is not a URL of a state"},
		"one bad unlock":   {`{"address":"https://s.example/x","lock_address":"https://s.example/x","unlock_address":"http://s.example/x"}`, "backend.json, unlock_address", "plain HTTP"},
		"no hierarchy":     {`{"address":"https:s.example/x"}`, "backend.json, address", "is not a URL of a state"},
		"no host":          {`{"address":"https:///x"}`, "backend.json, address", "is not a URL of a state"},
		"a fragment":       {`{"address":"https://s.example/x#y"}`, "backend.json, address", "is not a URL of a state"},
		"no URL":           {`{"address":"https://%zz"}`, "backend.json, address", "is not a URL"},
		"plain, elsewhere": {`{"address":"ftp://localhost/x"}`, "backend.json, address", "is neither https nor http"},
		"a group":          {`{"type":"azurerm","resource_group_name":"a.","storage_account_name":"acme","container_name":"states","key":"a/b"}`, `resource_group_name "a."`, "is not a valid name"},
		"a long blob":      {`{"type":"azurerm","storage_account_name":"acme","container_name":"states","key":"` + strings.Repeat("a", 1025) + `"}`, "backend.json, key", "is not a valid name"},
		"another method":   {`{"address":"https://s.example/x","update_method":"po"}`, "update_method", "not an HTTP method"},
		"a last method":    {`{"address":"https://s.example/x","unlock_method":" UNLOCK"}`, "unlock_method", "not an HTTP method"},
		"a method":         {`{"address":"https://s.example/x","lock_method":"LO CK"}`, "lock_method", "not an HTTP method"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read("plan", write(t, c.text))
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, "plan", f.Stage)
			assert.Contains(t, f.Input, c.input)
			assert.Contains(t, f.Reason, c.reason)
			assert.NotEmpty(t, f.Mend)
		})
	}
	_, err := Read("apply", filepath.Join(t.TempDir(), "none"))
	f, ok := step.AsFault(err)
	require.True(t, ok)
	assert.Equal(t, "can't be read", f.Reason)
}

func TestABlobMayHaveALongName(t *testing.T) {
	key := strings.Repeat("a", 1024)
	c, err := Read("plan", write(t, `{"type":"azurerm","storage_account_name":"acme","container_name":"states","key":"`+key+`"}`))
	require.NoError(t, err)
	assert.Equal(t, key, c.Azurerm.Key)
}

func TestConnections(t *testing.T) {
	c := reach.Connections{}
	require.NoError(t, c.Set("localhost:3333=state:8080"))
	require.NoError(t, c.Set("localhost:3333=state:8080"))
	require.NoError(t, c.Set("localhost:80=web:8000"))
	for _, bad := range []string{"", "a", "a=b", "localhost:1=", "=b:1", "a:1=b:1/x", "a:1=u@b:1", "localhost:3333=other:1", "a:1=b :1"} {
		assert.Error(t, c.Set(bad), bad)
	}
	for address, want := range map[string]string{
		"http://localhost:3333/state/a/b?x=y": "http://state:8080/state/a/b?x=y",
		"http://localhost/x":                  "http://web:8000/x",
		"http://localhost:33/x":               "http://localhost:33/x",
		"https://s.example/x":                 "https://s.example/x",
	} {
		got, err := dial(c, "plan", address)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	require.NoError(t, c.Set("s.example:443=elsewhere:1"))
	_, err := dial(c, "plan", "https://s.example/x")
	f, ok := step.AsFault(err)
	require.True(t, ok, "a TLS name can't be reached elsewhere")
	assert.Equal(t, step.KindInput, f.Kind)
}

func TestEnvHoldsTheActualAddressAndThePassword(t *testing.T) {
	config, err := Read("plan", write(t, `{"address":"http://localhost:3333/s","lock_address":"http://localhost:3333/l","username":"ci"}`))
	require.NoError(t, err)
	env, err := Endpoint{Config: config, Connect: reach.Connections{"localhost:3333": "state:80"}, Password: "pw"}.Env("plan")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{
		"TF_HTTP_ADDRESS":        "http://state:80/s",
		"TF_HTTP_LOCK_ADDRESS":   "http://state:80/l",
		"TF_HTTP_UNLOCK_ADDRESS": "http://state:80/l",
		"TF_HTTP_UPDATE_METHOD":  "POST",
		"TF_HTTP_LOCK_METHOD":    "LOCK",
		"TF_HTTP_UNLOCK_METHOD":  "UNLOCK",
		"TF_HTTP_USERNAME":       "ci",
		"TF_HTTP_PASSWORD":       "pw",
		"TF_HTTP_RETRY_MAX":      "2",
		"TF_HTTP_RETRY_WAIT_MIN": "1",
		"TF_HTTP_RETRY_WAIT_MAX": "3",
	}, env)
}

func TestAnAddressThatCannotBeReachedHasNoEnv(t *testing.T) {
	config, err := Read("plan", write(t, `{"address":"https://s.example/x"}`))
	require.NoError(t, err)
	env, err := Endpoint{Config: config, Connect: reach.Connections{"s.example:443": "state:80"}}.Env("plan")
	f, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, []any{step.KindInput, "--connect for https://s.example/x"}, []any{f.Kind, f.Input})
	assert.Nil(t, env)
}

func TestUnlock(t *testing.T) {
	usual := backoff
	backoff = 0
	t.Cleanup(func() { backoff = usual })
	var requests atomic.Int32
	statuses := []int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(requests.Add(1))
		assert.Equal(t, "UNLOCK", r.Method)
		assert.Equal(t, "/s", r.URL.Path)
		assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
		user, password, _ := r.BasicAuth()
		assert.Equal(t, "ci:pw", user+":"+password)
		body, _ := io.ReadAll(r.Body)
		assert.JSONEq(t, `{"ID":"abc"}`, string(body))
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(statuses[min(n, len(statuses))-1])
	}))
	defer server.Close()
	e := Endpoint{
		Config:   Config{Type: TypeHTTP, HTTP: HTTP{UnlockAddress: "http://localhost:3333/s", UnlockMethod: "UNLOCK", Username: "ci"}},
		Connect:  reach.Connections{"localhost:3333": strings.TrimPrefix(server.URL, "http://")},
		Password: "pw",
	}
	for name, c := range map[string]struct {
		statuses []int
		requests int
		kind     step.Kind
		reason   string
	}{
		"given back":        {[]int{200}, 1, "", ""},
		"with no content":   {[]int{204}, 1, "", ""},
		"locked":            {[]int{423}, 1, step.KindPolicy, "is not the one that is held"},
		"gone":              {[]int{404}, 1, step.KindInfrastructure, "answered 404"},
		"after one failure": {[]int{503, 200}, 2, "", ""},
		"after two":         {[]int{500, 599, 204}, 3, "", ""},
		"another's lock":    {[]int{409}, 1, step.KindPolicy, "is not the one that is held"},
		"always failing":    {[]int{500}, 3, step.KindInfrastructure, "failed 3 times, last: status 500"},
		"not allowed":       {[]int{401}, 1, step.KindInfrastructure, "answered 401"},
		"a redirect":        {[]int{307}, 1, step.KindInfrastructure, "answered 307"},
	} {
		t.Run(name, func(t *testing.T) {
			requests.Store(0)
			statuses = c.statuses
			err := e.Unlock(context.Background(), "unlock", "abc")
			assert.EqualValues(t, c.requests, requests.Load())
			if c.kind == "" {
				require.NoError(t, err)
				return
			}
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, c.kind, f.Kind)
			assert.Contains(t, f.Reason, c.reason)
			assert.NotContains(t, f.Error(), "pw")
		})
	}
}

func TestUnlockOfNobodySaysWhy(t *testing.T) {
	usual := backoff
	backoff = 0
	t.Cleanup(func() { backoff = usual })
	server := httptest.NewServer(nil)
	server.Close()
	e := Endpoint{Config: Config{Type: TypeHTTP, HTTP: HTTP{UnlockAddress: server.URL, UnlockMethod: "UNLOCK"}}}
	f, ok := step.AsFault(e.Unlock(t.Context(), "unlock", "abc"))
	require.True(t, ok)
	assert.Equal(t, step.KindInfrastructure, f.Kind)
	assert.Contains(t, f.Reason, "failed 3 times, last: ")
	assert.Contains(t, f.Reason, "connection refused")
	e.Config.HTTP.UnlockMethod = "UN LOCK"
	f, ok = step.AsFault(e.Unlock(t.Context(), "unlock", "abc"))
	require.True(t, ok)
	assert.Contains(t, f.Reason, "invalid method")

	// A context that ends while it waits ends it.
	backoff = time.Hour
	over, cancel := context.WithCancel(t.Context())
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		go cancel()
	}))
	defer failing.Close()
	e.Config.HTTP = HTTP{UnlockAddress: failing.URL, UnlockMethod: "UNLOCK"}
	require.ErrorIs(t, e.Unlock(over, "unlock", "abc"), context.Canceled)
}

func TestUnlockRefusesAnAddressThatCannotBeReached(t *testing.T) {
	asked := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer server.Close()
	connect := reach.Connections{"s.example:443": strings.TrimPrefix(server.URL, "http://")}
	for address, reason := range map[string]string{"https://s.example/x": "is for plain-HTTP loopback names only", "http://%zz": "is not a URL"} {
		err := Endpoint{Config: Config{Type: TypeHTTP, HTTP: HTTP{UnlockAddress: address, UnlockMethod: "UNLOCK"}}, Connect: connect}.Unlock(t.Context(), "unlock", "abc")
		f, ok := step.AsFault(err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, []string{"unlock", reason}, []string{f.Stage, f.Reason})
		assert.Equal(t, step.KindInput, f.Kind)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Endpoint{Config: Config{HTTP: HTTP{UnlockAddress: server.URL, UnlockMethod: "UNLOCK"}}}.Unlock(over, "unlock", "abc"), context.Canceled)
	assert.False(t, asked)
}

func TestWhatTheCodeIsTold(t *testing.T) {
	for name, c := range map[string]struct{ text, address, override string }{
		"http": {`{"address":"http://localhost:3333/s","username":"ci"}`, "http://localhost:3333/s", `{"terraform":{"backend":{"http":{}}}}`},
		"kubernetes": {`{"type":"kubernetes","namespace":"slipway-system","secret_suffix":"local-dev"}`, "kubernetes://slipway-system/local-dev",
			`{"terraform":{"backend":{"kubernetes":{"namespace":"slipway-system","secret_suffix":"local-dev"}}}}`},
		"azurerm": {`{"type":"azurerm","resource_group_name":"platform","storage_account_name":"acme","container_name":"states","key":"local/dev.tfstate"}`, "azurerm://acme/states/local/dev.tfstate",
			`{"terraform":{"backend":{"azurerm":{"resource_group_name":"platform","storage_account_name":"acme","container_name":"states","key":"local/dev.tfstate"}}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := Read("plan", write(t, c.text))
			require.NoError(t, err)
			assert.Equal(t, c.address, config.Address())
			data, err := config.Override()
			require.NoError(t, err)
			assert.JSONEq(t, c.override, string(data))
		})
	}
}

func TestAzurermCredentialsAreVariables(t *testing.T) {
	env, err := Endpoint{Config: Config{Type: TypeAzurerm}, Password: "# who\nARM_CLIENT_ID=a=b\n\n  # and\n\tARM_USE_OIDC=true \r\n"}.Env("plan")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"ARM_CLIENT_ID": "a=b", "ARM_USE_OIDC": "true"}, env)
	for text, reason := range map[string]string{
		"ARM_CLIENT_ID=a\nLD_PRELOAD=secret": "is not ARM_…=value", "\nsecret": "is not ARM_…=value",
		"ARM_CLIENT_ID=a\nARM_CLIENT_ID=secret": "sets ARM_CLIENT_ID again",
	} {
		_, err := Variables("plan", text)
		f, ok := step.AsFault(err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, "azurerm credentials, line 2", f.Input)
		assert.Equal(t, reason, f.Reason)
		assert.NotContains(t, f.Error(), "secret")
	}
}
