package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/reach"
	"slipway/step/steptest"
)

// logical is the name that references use; no test listens there.
const logical = "localhost:5000"

const (
	manifestType = types.OCIImageIndex
	emptyIndex   = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`
)

// server is a registry with a hook that may answer first, and a record of
// requests, each "METHOD path".
type server struct {
	*httptest.Server
	repo     name.Repository
	mu       sync.Mutex
	requests []string
	hook     func(w http.ResponseWriter, r *http.Request) bool
}

func newFake(options ...fake.Option) http.Handler {
	return fake.New(append(options, fake.Logger(log.New(io.Discard, "", 0)))...)
}

func serve(t *testing.T, options ...fake.Option) *server {
	t.Helper()
	repo, err := ParseRepository("test", "repository", logical+"/hello")
	require.NoError(t, err)
	s, inner := &server{repo: repo}, newFake(options...)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		hook := s.hook
		s.mu.Unlock()
		if hook == nil || !hook(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // TLS is tried first
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *server) on(hook func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook, s.requests = hook, nil
}

// count counts the requests since on that contain each of the texts.
func (s *server) count(texts ...string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int
next:
	for _, r := range s.requests {
		for _, text := range texts {
			if !strings.Contains(r, text) {
				continue next
			}
		}
		n++
	}
	return n
}

func (s *server) access(stage string) Access {
	return Access{Stage: stage, Connections: reach.Connections{logical: s.Listener.Addr().String()}, Pause: time.Microsecond}
}

func (s *server) client() *Client { return New(s.access("publish"), s.repo, Push) }

func describeText(mediaType types.MediaType, text string) v1.Descriptor {
	digest, size, err := v1.SHA256(strings.NewReader(text))
	if err != nil {
		panic(err) // a string can be read
	}
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}
}

func blobOf(text string) v1.Descriptor     { return describeText(types.OCILayer, text) }
func manifestOf(text string) v1.Descriptor { return describeText(manifestType, text) }

func opened(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

func fprintf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }

// Every operation, by its name in faults.
var operations = map[string]func(context.Context, *Client) error{
	"look for localhost:5000/hello@" + blobOf("blob").Digest.String(): func(ctx context.Context, c *Client) error {
		_, err := c.Has(ctx, blobOf("blob"))
		return err
	},
	"read localhost:5000/hello@" + blobOf("blob").Digest.String(): func(ctx context.Context, c *Client) error {
		_, err := c.Read(ctx, blobOf("blob"))
		return err
	},
	"read localhost:5000/hello@" + manifestOf(emptyIndex).Digest.String(): func(ctx context.Context, c *Client) error {
		_, _, err := c.Manifest(ctx, manifestOf(emptyIndex).Digest)
		return err
	},
	"read localhost:5000/hello:2": func(ctx context.Context, c *Client) error {
		_, _, err := c.Tagged(ctx, "2")
		return err
	},
	"put localhost:5000/hello:2": func(ctx context.Context, c *Client) error {
		return c.Tag(ctx, "2", manifestType, []byte(emptyIndex))
	},
	"list referrers of localhost:5000/hello@" + blobOf("blob").Digest.String(): func(ctx context.Context, c *Client) error {
		_, err := c.Referrers(ctx, blobOf("blob").Digest)
		return err
	},
	"log in to localhost:5000/hello": func(ctx context.Context, c *Client) error {
		_, err := c.Transport(ctx)
		return err
	},
}

// The table of faults: what each answer of a registry means, whatever was asked.
func TestWhatAnAnswerMeans(t *testing.T) {
	const again, stays, account = "run the stage again", "will answer the same again", "access to localhost:5000/hello"
	for status, want := range map[int]struct {
		kind         step.Kind
		reason, mend string
		tries        int
	}{
		http.StatusBadRequest:          {step.KindInfrastructure, "400", stays, 1},
		http.StatusUnauthorized:        {step.KindInput, "credentials refused with status 401", account, 1},
		http.StatusForbidden:           {step.KindInput, "credentials refused with status 403", account, 1},
		http.StatusRequestTimeout:      {step.KindInfrastructure, "3 of 3 tries made", again, Tries},
		http.StatusGone:                {step.KindInfrastructure, "410", stays, 1},
		http.StatusTooManyRequests:     {step.KindInfrastructure, "3 of 3 tries made", again, Tries},
		http.StatusInternalServerError: {step.KindInfrastructure, "3 of 3 tries made", again, Tries},
		http.StatusBadGateway:          {step.KindInfrastructure, "3 of 3 tries made", again, Tries},
	} {
		for operation, do := range operations {
			t.Run(fmt.Sprintf("%d to %s", status, operation), func(t *testing.T) {
				s := serve(t)
				ping := strings.HasPrefix(operation, "log in")
				s.on(func(w http.ResponseWriter, r *http.Request) bool {
					if !ping && (r.URL.Path == "/v2/" || status == http.StatusBadRequest && strings.Contains(r.URL.Path, "/referrers/")) {
						return false
					}
					if ping && status == http.StatusUnauthorized {
						// Whom a 401 asks to sign in with a token, and there it is refused.
						w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+logical+`/token"`)
					}
					http.Error(w, "out\nof order", status)
					return true
				})
				var said bytes.Buffer
				access := s.access("publish")
				access.Say = func(format string, args ...any) { fprintf(&said, format, args...) }
				err := do(t.Context(), New(access, s.repo, Push))
				f := steptest.Refused(t, err)
				assert.Equal(t, want.kind, f.Kind)
				assert.Equal(t, "publish", f.Stage)
				assert.Equal(t, "registry localhost:5000", f.Input)
				assert.Contains(t, f.Reason, operation)
				assert.Contains(t, f.Reason, want.reason)
				assert.Contains(t, f.Mend, want.mend)
				assert.Equal(t, want.tries-1, strings.Count(said.String(), operation+", try "), said.String())
			})
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	s := serve(t)
	c := s.client()
	have, err := c.Has(t.Context(), blobOf("blob"))
	require.NoError(t, err)
	assert.False(t, have)
	_, _, err = c.Manifest(t.Context(), manifestOf("x").Digest)
	require.ErrorIs(t, err, ErrNotFound)
	input(t, err, "is not in the registry")
	_, _, err = c.Tagged(t.Context(), "2")
	require.ErrorIs(t, err, ErrNotFound)
	assert.Equal(t, "localhost:5000/hello:2", steptest.Refused(t, err).Input)
	// What a manifest names has to be there.
	_, err = c.Read(t.Context(), blobOf("blob"))
	require.ErrorIs(t, err, ErrNotFound)
	f := steptest.Refused(t, err)
	assert.Equal(t, []any{step.KindPolicy, "localhost:5000/hello@" + blobOf("blob").Digest.String()}, []any{f.Kind, f.Input})

	// A host that has no API at all is not an empty registry.
	s.on(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusNotFound)
		return true
	})
	have, err = s.client().Has(t.Context(), blobOf("blob"))
	assert.False(t, have)
	assert.Equal(t, step.KindInfrastructure, steptest.Refused(t, err).Kind)
	assert.NotErrorIs(t, err, ErrNotFound)
}

func TestAFailureThatPassesIsOutlived(t *testing.T) {
	s := serve(t)
	failed := map[string]bool{}
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		// Each kind of request fails once, the first upload after its body was taken.
		key := r.Method + strings.Split(r.URL.Path, "sha256")[0]
		if strings.Contains(r.URL.Path, "/uploads/") {
			key = r.Method + "upload"
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if failed[key] {
			return false
		}
		failed[key] = true
		_, err := io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusServiceUnavailable)
		return err == nil
	})
	c := s.client()
	uploaded, err := c.Add(t.Context(), blobOf("blob"), opened("blob"))
	require.NoError(t, err)
	assert.True(t, uploaded)
	again, err := c.Add(t.Context(), blobOf("blob"), opened("blob"))
	require.NoError(t, err)
	assert.False(t, again)
	put, err := c.Put(t.Context(), manifestOf(emptyIndex), []byte(emptyIndex))
	require.NoError(t, err)
	assert.True(t, put)
	data, err := c.Read(t.Context(), blobOf("blob"))
	require.NoError(t, err)
	assert.Equal(t, "blob", string(data))
	assert.Len(t, failed, 7, "ping, HEAD and GET of blobs, POST and PUT of uploads, HEAD and PUT of manifests")
}

func TestACutConnectionIsTriedAgain(t *testing.T) {
	s := serve(t)
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", "4")
		if r.URL.Path != "/v2/" && s.count("GET /v2/hello") < Tries {
			_, _ = io.WriteString(w, "bl") // the client may be gone
			return true
		}
		_, _ = io.WriteString(w, "blob")
		return true
	})
	data, err := s.client().Read(t.Context(), blobOf("blob"))
	require.NoError(t, err)
	assert.Equal(t, "blob", string(data), "without what a try before has read")
}

func TestARegistryIsLeftAloneAsLongAsItAsks(t *testing.T) {
	for header, want := range map[string]struct {
		waits  []time.Duration
		reason string
	}{
		"":                              {[]time.Duration{time.Microsecond, 2 * time.Microsecond}, "3 of 3 tries made"},
		"0":                             {[]time.Duration{time.Microsecond, 2 * time.Microsecond}, "3 of 3 tries made"},
		"7":                             {[]time.Duration{7 * time.Second, 7 * time.Second}, "3 of 3 tries made"},
		" 120 ":                         {[]time.Duration{patience, patience}, "3 of 3 tries made"},
		"121":                           {nil, "wants to be left alone for 2m1s (status 429)"},
		"99999999999999999999":          {nil, "wants to be left alone for 298261h37m4s"},
		"Fri, 31 Dec 9999 23:59:59 GMT": {nil, "wants to be left alone for"},
		"Fri, 31 Dec 1999 23:59:59 GMT": {[]time.Duration{time.Microsecond, 2 * time.Microsecond}, "3 of 3 tries made"},
		"-1":                            {[]time.Duration{time.Microsecond, 2 * time.Microsecond}, "3 of 3 tries made"},
		"soon":                          {[]time.Duration{time.Microsecond, 2 * time.Microsecond}, "3 of 3 tries made"},
	} {
		s := serve(t)
		s.on(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/v2/" {
				return false
			}
			w.Header().Set("Retry-After", header)
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		})
		var waits []time.Duration
		access := s.access("publish")
		access.rest = func(_ context.Context, d time.Duration) error {
			waits = append(waits, d)
			return nil
		}
		_, err := New(access, s.repo, Pull).Read(t.Context(), blobOf("blob"))
		f := steptest.Refused(t, err)
		assert.Equal(t, step.KindInfrastructure, f.Kind, header)
		assert.Contains(t, f.Reason, want.reason, header)
		assert.Equal(t, want.waits, waits, header)
		assert.Equal(t, len(want.waits)+1, s.count("GET", "/blobs/"), header)
	}
	// What is no answer to wait after, and what was cut off after one.
	s, asked := serve(t), 0
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/" {
			return false
		}
		asked++
		w.Header().Set("Retry-After", "3600")
		if asked == 1 {
			w.Header().Set("Content-Length", "4")
			_, _ = io.WriteString(w, "bl") // the client may be gone
			return true
		}
		_, _ = io.WriteString(w, "blob")
		return true
	})
	data, err := s.client().Read(t.Context(), blobOf("blob"))
	require.NoError(t, err)
	assert.Equal(t, "blob", string(data))

	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	assert.Equal(t, 55*time.Second, retryAfter(http.Header{"Retry-After": {"Fri, 02 Jan 2026 03:05:00 GMT"}}, now))
}

func TestWhoeverIsInterruptedWaitsNoLonger(t *testing.T) {
	s := serve(t)
	s.on(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	ctx, cancel := context.WithCancel(t.Context())
	access := s.access("publish")
	access.rest = func(ctx context.Context, _ time.Duration) error {
		cancel()
		return (&Access{}).wait(ctx, time.Hour)
	}
	_, err := New(access, s.repo, Pull).Has(ctx, blobOf("blob"))
	f := steptest.Refused(t, err)
	assert.Equal(t, step.KindInfrastructure, f.Kind)
	assert.Contains(t, f.Reason, "context canceled")
	require.ErrorIs(t, err, context.Canceled)
}

func TestPlainHTTPIsForLoopbackOnly(t *testing.T) {
	s := serve(t)
	plain := func(err error, host string) {
		f := steptest.Refused(t, err)
		assert.Equal(t, []any{step.KindInput, "registry " + host}, []any{f.Kind, f.Input})
		assert.Contains(t, f.Reason, "plain HTTP is only for loopback names, not for")
		assert.Contains(t, f.Mend, "HTTPS")
	}
	for _, host := range []string{"10.0.0.1:5000", "172.16.0.9:5000", "192.168.1.1:80", "registry.localhost:5000"} {
		repo, err := ParseRepository("publish", "--repository", host+"/hello")
		require.NoError(t, err)
		access := Access{Stage: "publish", Connections: reach.Connections{host: s.Listener.Addr().String()}, Pause: time.Microsecond}
		_, err = New(access, repo, Pull).Has(t.Context(), blobOf("blob"))
		plain(err, host)
		assert.Zero(t, s.count(""), host)
	}
	// A name that go-containerregistry does not take for a local one is asked by HTTPS
	// only.
	repo, err := ParseRepository("publish", "--repository", "registry.example:5000/hello")
	require.NoError(t, err)
	_, err = New(Access{Stage: "publish", Connections: reach.Connections{"registry.example:5000": s.Listener.Addr().String()}, Pause: time.Microsecond}, repo, Pull).Has(t.Context(), blobOf("blob"))
	assert.Equal(t, step.KindInfrastructure, steptest.Refused(t, err).Kind)
	assert.Zero(t, s.count(""))

	// Neither a redirect nor a token's realm leads there.
	for what, hook := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"a redirect": func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/v2/" {
				http.Redirect(w, r, "http://elsewhere.test/", http.StatusTemporaryRedirect)
			}
			return r.URL.Path != "/v2/"
		},
		"a realm": func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://elsewhere.test/token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		},
	} {
		s.on(hook)
		access := s.access("publish")
		access.Connections["elsewhere.test:80"] = "127.0.0.1:1"
		_, err := New(access, s.repo, Pull).Read(t.Context(), blobOf("blob"))
		t.Log(what)
		plain(err, logical)
	}
}

func TestARedirectStaysEncrypted(t *testing.T) {
	request := func(url string) *http.Request {
		r, err := http.NewRequest(http.MethodGet, url, nil)
		require.NoError(t, err)
		return r
	}
	secured, local := request("https://registry.example/v2/"), request("http://localhost:5000/v2/")
	require.NoError(t, secure(request("https://store.example/x"), []*http.Request{secured}))
	require.NoError(t, secure(request("http://localhost:5001/x"), []*http.Request{local}))
	var plain *plainHTTPError
	require.ErrorAs(t, secure(request("http://localhost:5001/x"), []*http.Request{secured}), &plain)
	require.ErrorAs(t, secure(request("http://store.example/x"), []*http.Request{local, secured}), &plain)
	require.Error(t, secure(local, make([]*http.Request, 10)))
}

func TestACertificateThatNobodyVouchesFor(t *testing.T) {
	server := httptest.NewUnstartedServer(newFake())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	repo, err := ParseRepository("publish", "--repository", "registry.example:5000/hello")
	require.NoError(t, err)
	tries := 0
	access := Access{Stage: "publish", Connections: reach.Connections{"registry.example:5000": server.Listener.Addr().String()}, Pause: 1}
	access.Say = func(string, ...any) { tries++ }
	_, err = New(access, repo, Pull).Has(t.Context(), blobOf("blob"))
	f := steptest.Refused(t, err)
	assert.Equal(t, step.KindInfrastructure, f.Kind)
	assert.Contains(t, f.Reason, "certificate")
	assert.Contains(t, f.Mend, "public authority")
	assert.Zero(t, tries, "it will be the same one")
}

func TestARegistryThatIsNotThere(t *testing.T) {
	s := serve(t)
	s.Close()
	_, err := s.client().Has(t.Context(), blobOf("blob"))
	f := steptest.Refused(t, err)
	assert.Equal(t, step.KindInfrastructure, f.Kind)
	assert.Contains(t, f.Reason, "connection refused")
	assert.Contains(t, f.Mend, "run the stage again")
}

// A fault of whoever takes the content ends it; another error is tried again.
func TestWhoTakesTheContentDecides(t *testing.T) {
	s := serve(t)
	c := s.client()
	_, err := c.Add(t.Context(), blobOf("blob"), opened("blob"))
	require.NoError(t, err)
	for want, given := range map[int]error{Tries: errors.New("disk full"), 1: step.Policy("pull", "blob", "is not wanted", "look elsewhere")} {
		n := 0
		err := c.Get(t.Context(), blobOf("blob"), func(io.Reader) error {
			n++
			return given
		})
		require.ErrorIs(t, err, given)
		assert.Equal(t, want, n)
	}
}
