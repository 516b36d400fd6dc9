package state

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	lockA = `{"ID":"aaaa","Operation":"OperationTypeApply","Who":"someone@somewhere"}`
	lockB = `{"ID":"bbbb","Operation":"OperationTypePlan","Who":"other@elsewhere"}`
)

func document(serial int) string {
	return fmt.Sprintf(`{"version":4,"serial":%d,"lineage":"l-1","outputs":{},"resources":[]}`, serial)
}

// do sends one request and returns its status and body.
func do(t *testing.T, server *httptest.Server, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	return send(t, server, req)
}

func send(t *testing.T, server *httptest.Server, req *http.Request) (int, string) {
	t.Helper()
	res, err := server.Client().Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(data)
}

func serve(t *testing.T, dir string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(Handler(dir))
	t.Cleanup(server.Close)
	return server
}

func TestStateIsWrittenUnderItsLockAndReadBack(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	const path = "/state/local/dev"

	status, _ := do(t, s, "GET", path, "")
	assert.Equal(t, 404, status)

	status, _ = do(t, s, "LOCK", path, lockA)
	require.Equal(t, 200, status)
	status, _ = do(t, s, "POST", path+"?ID=aaaa", document(1))
	require.Equal(t, 200, status)
	status, _ = do(t, s, "UNLOCK", path, lockA)
	require.Equal(t, 200, status)

	status, body := do(t, s, "GET", path, "")
	assert.Equal(t, 200, status)
	assert.Equal(t, document(1), body)
	status, _ = do(t, s, "GET", "/state/local/staging", "")
	assert.Equal(t, 404, status, "another environment has a state of its own")

	again := serve(t, dir)
	_, body = do(t, again, "GET", path, "")
	assert.Equal(t, document(1), body, "a new server finds what the old one stored")
}

func TestLockConflictNamesTheHolder(t *testing.T) {
	s := serve(t, t.TempDir())
	const path = "/state/local/dev"
	status, _ := do(t, s, "LOCK", path, lockA)
	require.Equal(t, 200, status)

	status, body := do(t, s, "LOCK", path, lockB)
	assert.Equal(t, 423, status)
	assert.JSONEq(t, lockA, body)

	status, _ = do(t, s, "LOCK", path, lockA)
	assert.Equal(t, 200, status, "a repeated request gets the same answer")

	status, body = do(t, s, "UNLOCK", path, lockB)
	assert.Equal(t, 409, status)
	assert.JSONEq(t, lockA, body)

	for range 2 {
		status, _ = do(t, s, "UNLOCK", path, lockA)
		assert.Equal(t, 200, status)
	}
	status, _ = do(t, s, "LOCK", path, lockB)
	assert.Equal(t, 200, status)
}

func TestLockOutlivesTheServer(t *testing.T) {
	dir := t.TempDir()
	status, _ := do(t, serve(t, dir), "LOCK", "/state/local/dev", lockA)
	require.Equal(t, 200, status)
	status, body := do(t, serve(t, dir), "LOCK", "/state/local/dev", lockB)
	assert.Equal(t, 423, status)
	assert.JSONEq(t, lockA, body)
}

func TestWritesWithoutTheLockAreRefused(t *testing.T) {
	s := serve(t, t.TempDir())
	const path = "/state/local/dev"

	status, body := do(t, s, "POST", path, document(1))
	assert.Equal(t, 409, status)
	assert.Contains(t, body, "not locked")
	status, _ = do(t, s, "POST", path+"?ID=aaaa", document(1))
	assert.Equal(t, 409, status, "an ID whose lock was given back")

	status, _ = do(t, s, "LOCK", path, lockA)
	require.Equal(t, 200, status)
	for _, query := range []string{"", "?ID=bbbb"} {
		status, body = do(t, s, "POST", path+query, document(1))
		assert.Equal(t, 423, status, query)
		assert.JSONEq(t, lockA, body)
	}
	status, _ = do(t, s, "DELETE", path, "")
	assert.Equal(t, 423, status)

	status, _ = do(t, s, "GET", path, "")
	assert.Equal(t, 404, status, "nothing was written")
}

func TestDelete(t *testing.T) {
	s := serve(t, t.TempDir())
	const path = "/state/local/dev"
	do(t, s, "LOCK", path, lockA)
	do(t, s, "POST", path+"?ID=aaaa", document(1))
	do(t, s, "UNLOCK", path, lockA)
	for range 2 {
		status, _ := do(t, s, "DELETE", path, "")
		assert.Equal(t, 200, status)
	}
	status, _ := do(t, s, "GET", path, "")
	assert.Equal(t, 404, status)
}

func TestHostilePathsReachNothing(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, filepath.Join(dir, "states"))
	for _, path := range []string{
		"/state/local/..%2f..%2fetc", "/state/..%2f../dev", "/state/local/%2e%2e", "/state/-x/dev", "/state/local/Dev",
		"/state/local/a%00b", "/state/local/a%0ab", "/state/local/$(id)", "/state/local/" + strings.Repeat("a", 64),
		"/state/local", "/state/local/dev/more", "/", "/state//dev",
	} {
		req, err := http.NewRequest("LOCK", s.URL, strings.NewReader(lockA))
		require.NoError(t, err)
		req.URL.Opaque = path
		status, _ := send(t, s, req)
		assert.GreaterOrEqual(t, status, 300, path)
		assert.Less(t, status, 500, path)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestUnusableBodiesAreRefused(t *testing.T) {
	s := serve(t, t.TempDir())
	const path = "/state/local/dev"
	for _, body := range []string{"", "[]", "{}", `{"ID":""}`, "nonsense"} {
		for _, method := range []string{"LOCK", "UNLOCK"} {
			status, _ := do(t, s, method, path, body)
			assert.Equal(t, 400, status, method+" "+body)
		}
	}
	status, _ := do(t, s, "LOCK", path, `{"ID":"`+strings.Repeat("x", MaxLock)+`"}`)
	assert.Equal(t, 413, status)

	status, _ = do(t, s, "LOCK", path, lockA)
	require.Equal(t, 200, status)
	for _, body := range []string{"", "{}", "nonsense", `{"version":4,"lineage":"l"}`, `{"version":4,"serial":1}`, document(1)[:20]} {
		status, _ := do(t, s, "POST", path+"?ID=aaaa", body)
		assert.Equal(t, 400, status, body)
	}
	req, err := http.NewRequest("POST", s.URL+path+"?ID=aaaa", io.LimitReader(zeros{}, MaxState+1))
	require.NoError(t, err)
	status, _ = send(t, s, req)
	assert.Equal(t, 413, status)

	status, _ = do(t, s, "PUT", path, document(1))
	assert.Equal(t, 405, status)
	status, _ = do(t, s, "GET", path, "")
	assert.Equal(t, 404, status, "nothing was written")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestContentMD5(t *testing.T) {
	s := serve(t, t.TempDir())
	const path = "/state/local/dev"
	do(t, s, "LOCK", path, lockA)
	sum := md5.Sum([]byte(document(1)))
	good := base64.StdEncoding.EncodeToString(sum[:])

	post := func(body string) int {
		req, err := http.NewRequest("POST", s.URL+path+"?ID=aaaa", strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-MD5", good)
		status, _ := send(t, s, req)
		return status
	}
	assert.Equal(t, 400, post(document(2)), "a body changed on its way")
	assert.Equal(t, 200, post(document(1)))

	res, err := s.Client().Get(s.URL + path)
	require.NoError(t, err)
	res.Body.Close()
	assert.Equal(t, good, res.Header.Get("Content-MD5"))
}

func TestDamagedLockStaysClosed(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir)
	const path = "/state/local/dev"
	do(t, s, "LOCK", path, lockA)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "local", "dev", lockFile), []byte("{"), 0o600))
	for method, body := range map[string]string{"LOCK": lockB, "UNLOCK": lockA, "POST": document(1), "DELETE": ""} {
		status, text := do(t, s, method, path, body)
		assert.Equal(t, 500, status, method)
		assert.NotContains(t, text, dir)
	}
}

// Many clients, over two servers that share one folder, count one state up
// under its lock. Each count must be there at the end.
func TestConcurrentLocksKeepWritersApart(t *testing.T) {
	dir := t.TempDir()
	servers := []*httptest.Server{serve(t, dir), serve(t, dir)}
	const clients, path = 8, "/state/local/dev"
	var inside atomic.Int32
	var conflicts atomic.Int32
	var wg sync.WaitGroup
	for i := range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			s := servers[i%len(servers)]
			info := fmt.Sprintf(`{"ID":"client-%d"}`, i)
			for {
				status, _ := do(t, s, "LOCK", path, info)
				if status == 200 {
					break
				}
				if !assert.Equal(t, 423, status) {
					return
				}
				conflicts.Add(1)
			}
			assert.EqualValues(t, 1, inside.Add(1), "two holders at once")
			serial := 0
			if status, body := do(t, s, "GET", path, ""); status == 200 {
				_, err := fmt.Sscanf(body, `{"version":4,"serial":%d,`, &serial)
				assert.NoError(t, err)
			}
			status, _ := do(t, s, "POST", path+fmt.Sprintf("?ID=client-%d", i), document(serial+1))
			assert.Equal(t, 200, status)
			inside.Add(-1)
			status, _ = do(t, s, "UNLOCK", path, info)
			assert.Equal(t, 200, status)
		}()
	}
	wg.Wait()
	_, body := do(t, servers[0], "GET", path, "")
	assert.Equal(t, document(clients), body)
	t.Logf("%d refused attempts", conflicts.Load())
	entries, err := os.ReadDir(filepath.Join(dir, "local", "dev"))
	require.NoError(t, err)
	var files []string
	for _, e := range entries {
		files = append(files, e.Name())
	}
	assert.Equal(t, []string{stateFile}, files, "no lock and no temporary file is left")
}
