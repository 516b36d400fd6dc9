package transfer

import (
	"bytes"
	"context"
	"debug/elf"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/build/step/image"
	"slipway/build/step/internal/testinput"
	"slipway/build/step/oci"
	"slipway/registry"
	"slipway/step"
	"slipway/step/reach"
	"slipway/step/result/build"
)

// logical is the name that references use; no test listens there.
const logical = "localhost:5000"

// server is a registry with a hook that may answer first, and a record of
// requests, each "METHOD path".
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string
	hook     func(w http.ResponseWriter, r *http.Request) bool
}

func serve(t *testing.T) *server {
	t.Helper()
	s := &server{}
	inner := fake.New(fake.Logger(log.New(io.Discard, "", 0)))
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

func (s *server) access(stage string) registry.Access {
	return registry.Access{Stage: stage, Connections: reach.Connections{logical: s.Listener.Addr().String()}, Pause: time.Microsecond}
}

// build makes a layout for two platforms.
func assembled(t *testing.T) (string, build.Built) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	built, err := image.Assemble(dir, image.AssembleInput{
		Binaries: []image.Source{
			{Platform: "linux/amd64", Path: testinput.Static(t, elf.EM_X86_64)},
			{Platform: "linux/arm64", Path: testinput.Static(t, elf.EM_AARCH64)},
		},
		Name: "app", Zoneinfo: testinput.Zoneinfo(t), Tree: testinput.Tree(t),
	})
	require.NoError(t, err)
	return dir, built
}

func repository(t *testing.T) name.Repository {
	t.Helper()
	repo, err := registry.ParseRepository("publish", "--repository", logical+"/hello")
	require.NoError(t, err)
	return repo
}

func reference(t testing.TB, digest string) *registry.Reference {
	t.Helper()
	ref, err := registry.ParseReference("verify", "--reference", logical+"/hello@"+digest)
	require.NoError(t, err)
	return ref
}

func fault(t *testing.T, err error, kind step.Kind, stage string) *step.Fault {
	t.Helper()
	f, ok := step.AsFault(err)
	require.True(t, ok, "want a fault, got %v", err)
	assert.Equal(t, kind, f.Kind, f.Error())
	assert.Equal(t, stage, f.Stage)
	assert.NotEmpty(t, f.Mend)
	return f
}

func TestPublishPushesTheLayoutAndThenNothing(t *testing.T) {
	s := serve(t)
	dir, built := assembled(t)
	ctx := t.Context()

	first, err := Publish(ctx, dir, built.Digest, repository(t), s.access("publish"))
	require.NoError(t, err)
	assert.Equal(t, build.Published{
		Reference: "localhost:5000/hello@" + built.Digest, Digest: built.Digest,
		Pushed: true, UploadedBlobs: 5, UploadedManifests: 3,
	}, first)

	verified, err := FetchVerify(ctx, reference(t, built.Digest), s.access("verify"))
	require.NoError(t, err)
	assert.Equal(t, first.Reference, verified.Reference)
	assert.Equal(t, []int{3, 5}, []int{verified.Manifests, verified.Blobs})

	// Another client reads the same bytes, by digest; there is no tag.
	actual, err := name.NewRepository(s.Listener.Addr().String() + "/hello")
	require.NoError(t, err)
	index, err := remote.Index(actual.Digest(built.Digest))
	require.NoError(t, err)
	raw, err := index.RawManifest()
	require.NoError(t, err)
	want, err := os.ReadFile(filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(built.Digest, "sha256:")))
	require.NoError(t, err)
	assert.Equal(t, want, raw)

	s.on(nil)
	second, err := Publish(ctx, dir, built.Digest, repository(t), s.access("publish"))
	require.NoError(t, err)
	assert.Equal(t, build.Published{Reference: first.Reference, Digest: built.Digest}, second)
	assert.Zero(t, s.count("POST")+s.count("PUT")+s.count("PATCH"), "a second publish moves nothing")
}

func TestPublishMendsWhatTheRegistryLost(t *testing.T) {
	s := serve(t)
	dir, built := assembled(t)
	_, err := Publish(t.Context(), dir, built.Digest, repository(t), s.access("publish"))
	require.NoError(t, err)

	lost := firstOf(t, dir, types.OCILayer)
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, lost.Digest.String()) {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	})
	again, err := Publish(t.Context(), dir, built.Digest, repository(t), s.access("publish"))
	require.NoError(t, err)
	assert.Equal(t, []any{true, 1, 0}, []any{again.Pushed, again.UploadedBlobs, again.UploadedManifests})
}

func TestPublishRefusesOtherLayouts(t *testing.T) {
	for what, tc := range map[string]struct {
		change        func(t *testing.T, dir string, d v1.Descriptor)
		digest        string
		kind          step.Kind
		input, reason string
	}{
		"flipped byte": {change: func(t *testing.T, dir string, d v1.Descriptor) { flip(t, blob(dir, d)) },
			kind: step.KindPolicy, input: "blob sha256:", reason: "has digest sha256:"},
		"added byte": {change: func(t *testing.T, dir string, d v1.Descriptor) {
			data, err := os.ReadFile(blob(dir, d))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(blob(dir, d), append(data, 0), 0o644))
		}, kind: step.KindPolicy, input: "blob sha256:", reason: "is longer than its descriptor says"},
		"cut blob": {change: func(t *testing.T, dir string, d v1.Descriptor) {
			require.NoError(t, os.Truncate(blob(dir, d), d.Size-1))
		}, kind: step.KindPolicy, input: "blob sha256:", reason: "is shorter than its descriptor says"},
		"missing blob": {change: func(t *testing.T, dir string, d v1.Descriptor) { require.NoError(t, os.Remove(blob(dir, d))) },
			kind: step.KindPolicy, input: "blob sha256:", reason: "is missing from the layout"},
		"linked blob": {change: func(t *testing.T, dir string, d v1.Descriptor) {
			outside := filepath.Join(t.TempDir(), "blob")
			require.NoError(t, os.Rename(blob(dir, d), outside))
			require.NoError(t, os.Symlink(outside, blob(dir, d)))
		}, kind: step.KindPolicy, input: "blob sha256:", reason: "is not a regular file"},
		"no layout": {change: func(t *testing.T, dir string, _ v1.Descriptor) {
			require.NoError(t, os.Remove(filepath.Join(dir, "oci-layout")))
		},
			kind: step.KindInput, input: "layout ", reason: "oci-layout can't be read"},
		"other digest": {digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			kind: step.KindPolicy, input: "layout ", reason: "not just sha256:0123"},
		"no digest": {digest: "latest", kind: step.KindInput, input: `--digest "latest"`, reason: "is not a sha256 digest"},
	} {
		t.Run(what, func(t *testing.T) {
			s := serve(t)
			dir, built := assembled(t)
			d := firstOf(t, dir, types.OCILayer)
			if tc.change != nil {
				tc.change(t, dir, d)
			}
			digest := built.Digest
			if tc.digest != "" {
				digest = tc.digest
			}
			_, err := Publish(t.Context(), dir, digest, repository(t), s.access("publish"))
			f := fault(t, err, tc.kind, "publish")
			assert.Contains(t, f.Input, tc.input)
			assert.Contains(t, f.Reason, tc.reason)
			if tc.input == "blob sha256:" {
				assert.Equal(t, "blob "+d.Digest.String(), f.Input, "the fault names the blob")
			}
			assert.Zero(t, s.count(""), "the registry was asked nothing")
		})
	}
}

func TestPublishGivesUpOnA500AfterBoundedTries(t *testing.T) {
	for what, tc := range map[string]struct{ method, path, operation string }{
		"ping":           {"GET", "/v2/", "look for localhost:5000/hello@sha256:"},
		"look":           {"HEAD", "/blobs/", "look for localhost:5000/hello@sha256:"},
		"upload":         {"PUT", "/blobs/uploads/", "upload localhost:5000/hello@sha256:"},
		"begin upload":   {"POST", "/blobs/uploads/", "upload localhost:5000/hello@sha256:"},
		"put a manifest": {"PUT", "/manifests/", "put localhost:5000/hello@sha256:"},
		"read it back":   {"GET", "/manifests/", "read localhost:5000/hello@sha256:"},
	} {
		t.Run(what, func(t *testing.T) {
			s := serve(t)
			dir, built := assembled(t)
			s.on(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != tc.method || !strings.Contains(r.URL.Path, tc.path) || tc.path == "/v2/" && r.URL.Path != tc.path {
					return false
				}
				http.Error(w, "out of order", http.StatusInternalServerError)
				return true
			})
			_, err := Publish(t.Context(), dir, built.Digest, repository(t), s.access("publish"))
			f := fault(t, err, step.KindInfrastructure, "publish")
			assert.Equal(t, "registry localhost:5000", f.Input)
			assert.Contains(t, f.Reason, tc.operation)
			assert.Contains(t, f.Reason, "failed, 3 of 3 tries made")
			assert.Contains(t, f.Reason, "500")
			if tc.path == "/v2/" {
				assert.Equal(t, registry.Tries, s.count("GET /v2/"))
			} else {
				assert.Equal(t, registry.Tries, s.count(tc.method, tc.path))
			}
		})
	}
}

func TestPublishOutlivesA500(t *testing.T) {
	s := serve(t)
	dir, built := assembled(t)
	failed := map[string]bool{}
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		// Each kind of request fails once, the first upload after its
		// body was taken.
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
	published, err := Publish(t.Context(), dir, built.Digest, repository(t), s.access("publish"))
	require.NoError(t, err)
	assert.Equal(t, []int{5, 3}, []int{published.UploadedBlobs, published.UploadedManifests})
	assert.Len(t, failed, 7, "ping, HEAD and GET of manifests, HEAD of blobs, POST and PUT of uploads, PUT of manifests")
}

func TestPublishDoesNotRetryAnAnswerThatStays(t *testing.T) {
	s := serve(t)
	dir, built := assembled(t)
	for status, kind := range map[int]step.Kind{
		http.StatusUnauthorized: step.KindInput,
		http.StatusForbidden:    step.KindInput,
		http.StatusBadRequest:   step.KindInfrastructure,
	} {
		s.on(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				w.WriteHeader(status)
			}
			return r.Method == http.MethodPost
		})
		_, err := Publish(t.Context(), dir, built.Digest, repository(t), s.access("publish"))
		f := fault(t, err, kind, "publish")
		assert.Equal(t, "registry localhost:5000", f.Input)
		assert.Equal(t, 1, s.count("POST"))
	}
}

func TestPublishWithoutARegistry(t *testing.T) {
	s := serve(t)
	dir, built := assembled(t)
	s.Close()
	var said bytes.Buffer
	o := s.access("publish")
	o.Say = log.New(&said, "", 0).Printf
	_, err := Publish(t.Context(), dir, built.Digest, repository(t), o)
	f := fault(t, err, step.KindInfrastructure, "publish")
	assert.Contains(t, f.Reason, "connection refused")
	assert.Contains(t, said.String(), "try 2 of 3")
}

func TestPublishReadsBack(t *testing.T) {
	s := serve(t)
	dir, built := assembled(t)
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, built.Digest) {
			return false
		}
		_, err := w.Write([]byte(`{"schemaVersion":2}`))
		return err == nil
	})
	_, err := Publish(t.Context(), dir, built.Digest, repository(t), s.access("publish"))
	f := fault(t, err, step.KindPolicy, "publish")
	assert.Equal(t, "localhost:5000/hello@"+built.Digest, f.Input)
	assert.Contains(t, f.Reason, "the registry serves other bytes")
	assert.Equal(t, 1, s.count("GET", built.Digest), "a wrong byte is no reason to try again")
}

func TestFetchVerifyRefusesEachDamagedPart(t *testing.T) {
	s := serve(t)
	dir, built := assembled(t)
	_, err := Publish(t.Context(), dir, built.Digest, repository(t), s.access("publish"))
	require.NoError(t, err)
	l, err := oci.Open("test", dir)
	require.NoError(t, err)
	require.Len(t, l.Content, 8)

	for _, d := range l.Content {
		data, err := os.ReadFile(blob(dir, d))
		require.NoError(t, err)
		flipped := bytes.Clone(data)
		flipped[len(flipped)/2] ^= 1
		missing := step.KindPolicy
		if d.Digest.String() == built.Digest {
			missing = step.KindInput // what was asked for, not a part of it
		}
		for what, tc := range map[string]struct {
			status int
			body   []byte
			kind   step.Kind
			reason string
		}{
			"flipped": {http.StatusOK, flipped, step.KindPolicy, "the registry serves other bytes: content " + d.Digest.String() + " has digest"},
			"longer":  {http.StatusOK, append(bytes.Clone(data), 'x'), step.KindPolicy, "the registry serves other bytes: content " + d.Digest.String()},
			"gone":    {http.StatusNotFound, nil, missing, "is not in the registry"},
		} {
			s.on(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, d.Digest.String()) {
					return false
				}
				w.Header().Set("Content-Type", string(d.MediaType))
				w.WriteHeader(tc.status)
				_, err := w.Write(tc.body)
				return err == nil
			})
			_, err := FetchVerify(t.Context(), reference(t, built.Digest), s.access("verify"))
			f := fault(t, err, tc.kind, "verify")
			assert.Equal(t, "localhost:5000/hello@"+d.Digest.String(), f.Input, what)
			assert.Contains(t, f.Reason, tc.reason, what)
			assert.Equal(t, 1, s.count("GET", d.Digest.String()), what)
		}
	}
}

func TestFetchVerifyRetriesACutConnection(t *testing.T) {
	s := serve(t)
	dir, built := assembled(t)
	_, err := Publish(t.Context(), dir, built.Digest, repository(t), s.access("publish"))
	require.NoError(t, err)
	d := firstOf(t, dir, types.OCILayer)
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, d.Digest.String()) {
			return false
		}
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write([]byte("part")) // the client may be gone
		return true
	})
	_, err = FetchVerify(t.Context(), reference(t, built.Digest), s.access("verify"))
	f := fault(t, err, step.KindInfrastructure, "verify")
	assert.Contains(t, f.Reason, "read localhost:5000/hello@"+d.Digest.String()+" failed, 3 of 3 tries made")
	assert.Equal(t, registry.Tries, s.count("GET", d.Digest.String()))
}

func TestFetchVerifyRefusesWhatIsNoImage(t *testing.T) {
	s := serve(t)
	const index = `"mediaType":"application/vnd.oci.image.index.v1+json",`
	both := func(mediaType string) []byte {
		return []byte(`{"schemaVersion":2,` + mediaType + `"manifests":[],"layers":[]}`)
	}
	for what, tc := range map[string]struct {
		body              []byte
		mediaType, reason string
	}{
		"a blob":               {both(""), "application/octet-stream", "which is no image"},
		"index and manifest":   {both(index), string(types.OCIImageIndex), "doesn't have just an index's fields"},
		"without a type":       {both(""), string(types.OCIImageIndex), "doesn't have just an index's fields"},
		"a blob by its header": {both(index), "application/octet-stream", `is served as "application/octet-stream" and says that it is "application/vnd.oci.image.index.v1+json"`},
		"described as another": {both(index), string(types.OCIManifestSchema1), `is served as "application/vnd.oci.image.manifest.v1+json" and says`},
	} {
		digest, _, err := v1.SHA256(bytes.NewReader(tc.body))
		require.NoError(t, err)
		s.on(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			w.Header().Set("Content-Type", tc.mediaType)
			_, err := w.Write(tc.body)
			return err == nil
		})
		_, err = FetchVerify(t.Context(), reference(t, digest.String()), s.access("verify"))
		f := fault(t, err, step.KindPolicy, "verify")
		assert.Contains(t, f.Reason, tc.reason, what)
	}
}

func TestCredentialsReachOnlyTheRegistry(t *testing.T) {
	s := serve(t)
	dir, built := assembled(t)
	const secret = "correct horse"
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		user, password, _ := r.BasicAuth()
		if user == "pusher" && password == secret {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	var said bytes.Buffer
	o := s.access("publish")
	o.Say = log.New(&said, "", 0).Printf

	_, err := Publish(t.Context(), dir, built.Digest, repository(t), o)
	f := fault(t, err, step.KindInput, "publish")
	assert.Contains(t, f.Reason, "credentials refused with status 401")
	assert.Contains(t, f.Mend, "localhost:5000/hello")

	file := testinput.File(t, "password", []byte("wrong-"+secret))
	require.NoError(t, o.SignIn("pusher", file))
	_, err = Publish(t.Context(), dir, built.Digest, repository(t), o)
	f = fault(t, err, step.KindInput, "publish")
	assert.NotContains(t, f.Error()+said.String(), secret)

	require.NoError(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))
	require.NoError(t, o.SignIn("pusher", file))
	published, err := Publish(t.Context(), dir, built.Digest, repository(t), o)
	require.NoError(t, err)
	assert.True(t, published.Pushed)
	assert.NotContains(t, said.String(), secret)
}

func TestInterruptedPublishSaysSo(t *testing.T) {
	s := serve(t)
	dir, built := assembled(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Publish(ctx, dir, built.Digest, repository(t), s.access("publish"))
	f := fault(t, err, step.KindInfrastructure, "publish")
	assert.Contains(t, f.Reason, "context canceled")
	assert.Zero(t, s.count("POST"))
}

func firstOf(t *testing.T, dir string, mediaType types.MediaType) v1.Descriptor {
	t.Helper()
	l, err := oci.Open("test", dir)
	require.NoError(t, err)
	for _, d := range l.Content {
		if d.MediaType == mediaType {
			return d
		}
	}
	require.Fail(t, "no content of type "+string(mediaType))
	return v1.Descriptor{}
}

func blob(dir string, d v1.Descriptor) string {
	return filepath.Join(dir, "blobs", "sha256", d.Digest.Hex)
}

func flip(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(path, data, 0o644))
}
