package database

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"slipway/registry"
	"slipway/scan/step/trivy"
	"slipway/step"
	"slipway/step/reach"
)

// TestMain makes the test binary a stand-in for Trivy when it is called so: it
// downloads the one layer of an artifact over plain HTTP and unpacks it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == trivy.ConfinedCommand {
		fmt.Fprintln(os.Stderr, trivy.Confined(os.Args[2:]))
		os.Exit(2)
	}
	if filepath.Base(os.Args[0]) != "trivy" {
		os.Exit(m.Run())
	}
	if err := standIn(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func standIn(args []string) error {
	if args[0] == "version" {
		fmt.Println(`{"Version":"0.74.0"}`)
		return nil
	}
	values := map[string]string{}
	for i := 0; i < len(args)-1; i++ {
		values[args[i]] = args[i+1]
	}
	reference, err := name.NewDigest(values["--db-repository"])
	if err != nil {
		return err
	}
	image, err := remote.Image(reference)
	if err != nil {
		return err
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	content, err := layers[0].Compressed()
	if err != nil {
		return err
	}
	defer content.Close()
	zip, err := gzip.NewReader(content)
	if err != nil {
		return err
	}
	folder := filepath.Join(values["--cache-dir"], "db")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	archive := tar.NewReader(zip)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(header.Name)), data, 0o644); err != nil {
			return err
		}
	}
}

const repository = "localhost:5000/slipway/trivy-db"

// store is a registry behind the logical name localhost:5000.
func store(t *testing.T, wrap func(http.Handler) http.Handler) registry.Access {
	t.Helper()
	handler := fake.New(fake.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return registry.Access{
		Stage: "scan", Pause: time.Microsecond,
		Connections: reach.Connections{"localhost:5000": strings.TrimPrefix(server.URL, "http://")},
	}
}

func publish(t *testing.T, a registry.Access, content []byte, media types.MediaType) string {
	t.Helper()
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image, err := mutate.Append(image, mutate.Addendum{
		Layer: static.NewLayer(content, media), MediaType: media,
		Annotations: map[string]string{"org.opencontainers.image.title": "db.tar.gz"},
	})
	require.NoError(t, err)
	tag, transport := tagged(t, a)
	require.NoError(t, remote.Write(tag, image, transport))
	digest, err := image.Digest()
	require.NoError(t, err)
	return digest.String()
}

// tagged is the database's tag, and how to write it.
func tagged(t *testing.T, a registry.Access) (name.Tag, remote.Option) {
	t.Helper()
	tag, err := name.NewTag(repository + ":2")
	require.NoError(t, err)
	transport, err := registry.New(a, tag.Repository, registry.Push).Transport(t.Context())
	require.NoError(t, err)
	return tag, remote.WithTransport(transport)
}

// packed is a database artifact's layer, with sources as its buckets.
func packed(t *testing.T, metadata string, sources ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trivy.db")
	db, err := bolt.Open(file, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		list, err := tx.CreateBucket([]byte("data-source"))
		if err != nil {
			return err
		}
		for _, source := range sources {
			if _, err := tx.CreateBucket([]byte(source)); err != nil {
				return err
			}
			if err := list.Put([]byte(source), []byte(`{"Name":"The `+strings.TrimPrefix(source, "go::")+`"}`)); err != nil {
				return err
			}
		}
		return list.Put([]byte("debian 13"), []byte("{}"))
	}))
	require.NoError(t, db.Close())
	data, err := os.ReadFile(file)
	require.NoError(t, err)

	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	for name, content := range map[string][]byte{"trivy.db": data, "metadata.json": []byte(metadata)} {
		require.NoError(t, archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}))
		_, err := archive.Write(content)
		require.NoError(t, err)
	}
	require.NoError(t, archive.Close())
	require.NoError(t, zip.Close())
	return out.Bytes()
}

const good = `{"Version":2,"NextUpdate":"2026-01-03T03:04:05Z","UpdatedAt":"2026-01-02T03:04:05Z","DownloadedAt":"2026-01-02T09:09:09Z"}`

func runner(t *testing.T) *trivy.Runner {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	work := t.TempDir()
	require.NoError(t, os.Symlink(self, filepath.Join(work, "trivy")))
	r, err := trivy.New(context.Background(), filepath.Join(work, "trivy"), work)
	require.NoError(t, err)
	return r
}

func TestFetch(t *testing.T) {
	c := store(t, nil)
	digest := publish(t, c, packed(t, good, "go::Sample", "debian 12"), layerMediaType)
	resolved, err := Resolve(context.Background(), c, repository, "2")
	require.NoError(t, err)
	require.Equal(t, digest, resolved)

	cache := t.TempDir()
	info, err := Fetch(context.Background(), c, runner(t), repository, digest, cache)
	require.NoError(t, err)
	require.Equal(t, digest, info.Digest)
	require.Equal(t, "2026-01-02 03:04:05 +0000 UTC", info.UpdatedAt.String())
	require.Equal(t, "2026-01-03 03:04:05 +0000 UTC", info.NextUpdate.String())

	loaded, coverage, err := Load(cache)
	require.NoError(t, err)
	require.Equal(t, info, loaded)
	require.Equal(t, []string{"The Sample", "The debian 12"}, info.Sources, "of what there are advisories")
	require.ElementsMatch(t, []string{"go::Sample", "debian 12"}, coverage.sources)
	// The same artifact gives the same cache, whenever it was downloaded.
	data, err := os.ReadFile(filepath.Join(cache, "db", "metadata.json"))
	require.NoError(t, err)
	require.NotContains(t, string(data), "09:09:09")
}

func TestFetchAuthenticatesForTrivy(t *testing.T) {
	c := store(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user, password, ok := r.BasicAuth(); !ok || user != "robot" || password != "swordfish" {
				w.Header().Set("WWW-Authenticate", `Basic realm="sample"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	_, err := Resolve(context.Background(), c, repository, "2")
	_ = refused(t, err, step.KindInput, "credentials refused with status 401")

	c.Auth = &authn.Basic{Username: "robot", Password: "swordfish"}
	digest := publish(t, c, packed(t, good, "go::Sample"), layerMediaType)
	_, err = Fetch(context.Background(), c, runner(t), repository, digest, t.TempDir())
	require.NoError(t, err)
}

func TestResolveRefuses(t *testing.T) {
	t.Run("a database that is not there", func(t *testing.T) {
		_, err := Resolve(context.Background(), store(t, nil), repository, "2")
		fault := refused(t, err, step.KindInput, "is not in the registry")
		require.Equal(t, repository+":2", fault.Input)
	})
	t.Run("a registry that does not answer", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		address := strings.TrimPrefix(server.URL, "http://")
		server.Close()
		c := registry.Access{Stage: "scan", Pause: time.Microsecond, Connections: reach.Connections{"localhost:5000": address}}
		_, err := Resolve(context.Background(), c, repository, "2")
		_ = refused(t, err, step.KindInfrastructure, "read localhost:5000/slipway/trivy-db:2 failed, 3 of 3 tries made")
	})
	t.Run("a registry that is broken", func(t *testing.T) {
		var asked atomic.Int32
		c := store(t, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					next.ServeHTTP(w, r)
					return
				}
				asked.Add(1)
				w.WriteHeader(http.StatusInternalServerError)
			})
		})
		_, err := Resolve(context.Background(), c, repository, "2")
		_ = refused(t, err, step.KindInfrastructure, "500")
		require.EqualValues(t, 3, asked.Load())
	})
	t.Run("something that is no database", func(t *testing.T) {
		c := store(t, nil)
		publish(t, c, []byte("x"), types.OCILayer)
		_, err := Resolve(context.Background(), c, repository, "2")
		_ = refused(t, err, step.KindInput, "is not a Trivy database")
	})
	t.Run("an index", func(t *testing.T) {
		c := store(t, nil)
		tag, transport := tagged(t, c)
		require.NoError(t, remote.WriteIndex(tag, mutate.IndexMediaType(empty.Index, types.OCIImageIndex), transport))
		_, err := Resolve(context.Background(), c, repository, "2")
		_ = refused(t, err, step.KindInput, "not a database")
	})
	t.Run("names that are none", func(t *testing.T) {
		c := store(t, nil)
		for _, hostile := range []string{"", "../x", "localhost:5000/$(id)", "localhost:5000/db:2", "-x", "localhost:5000/a\nb"} {
			_, err := Resolve(context.Background(), c, hostile, "2")
			_ = refused(t, err, step.KindInput, "is not a repository")
		}
		c.Connections["192.168.0.1:5000"] = c.Connections["localhost:5000"]
		_, err := Resolve(context.Background(), c, "192.168.0.1:5000/db", "2")
		_ = refused(t, err, step.KindInput, "plain HTTP")
		for _, hostile := range []string{"", "../x", "a b", "-x", "a\nb", strings.Repeat("a", 300)} {
			_, err := Resolve(context.Background(), c, repository, hostile)
			_ = refused(t, err, step.KindInput, "is not a valid tag")
		}
	})
}

func TestFetchRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		content []byte
		reason  string
	}{
		"a layer that is no archive":        {[]byte("x"), "could not be downloaded or unpacked"},
		"another schema version":            {packed(t, `{"Version":1,"UpdatedAt":"2026-01-02T03:04:05Z","NextUpdate":"2026-01-02T03:04:05Z"}`, "go::Sample"), "schema version 1"},
		"an unknown age":                    {packed(t, `{"Version":2}`, "go::Sample"), "does not say how old it is"},
		"metadata that is not JSON":         {packed(t, `x`, "go::Sample"), "is not JSON"},
		"a database without any advisories": {packed(t, good), "empty vulnerability database"},
	} {
		t.Run(name, func(t *testing.T) {
			s := store(t, nil)
			digest := publish(t, s, c.content, layerMediaType)
			_, err := Fetch(context.Background(), s, runner(t), repository, digest, t.TempDir())
			_ = refused(t, err, step.KindInfrastructure, c.reason)
		})
	}
}

func TestLoadRefusesAFolderWithoutADatabase(t *testing.T) {
	_, _, err := Load(t.TempDir())
	_ = refused(t, err, step.KindInfrastructure, "holds no vulnerability database")

	cache := t.TempDir()
	info := map[string]any{"digest": "sha256:" + strings.Repeat("1", 64), "updatedAt": "2026-01-02T03:04:05Z", "version": 2}
	data, err := json.Marshal(info)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(cache, InfoFile), data, 0o644))
	_, _, err = Load(cache)
	_ = refused(t, err, step.KindInfrastructure, "damaged vulnerability database")

	require.NoError(t, os.WriteFile(filepath.Join(cache, InfoFile), []byte(`{}`), 0o644))
	_, _, err = Load(cache)
	_ = refused(t, err, step.KindInfrastructure, "unknown age")
}

func TestTheGatewayServesOneRepositoryToRead(t *testing.T) {
	c := store(t, nil)
	digest := publish(t, c, packed(t, good, "go::Sample"), layerMediaType)
	repo, err := registry.ParseRepository("scan", "repository", repository)
	require.NoError(t, err)
	g, err := open(context.Background(), registry.New(c, repo, registry.Pull), repo)
	require.NoError(t, err)
	defer func() { _ = g.Close() }()
	base := "http://" + g.listener.Addr().String()
	for _, ask := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/v2/", http.StatusOK},
		{http.MethodGet, "/v2/slipway/trivy-db/manifests/" + digest, http.StatusOK},
		{http.MethodGet, "/v2/other/manifests/2", http.StatusForbidden},
		{http.MethodPut, "/v2/slipway/trivy-db/manifests/2", http.StatusForbidden},
		{http.MethodDelete, "/v2/slipway/trivy-db/manifests/" + digest, http.StatusForbidden},
	} {
		request, err := http.NewRequest(ask.method, base+ask.path, nil)
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, ask.status, answer.StatusCode, "%s %s", ask.method, ask.path)
	}
}

func TestFetchedDatabaseHoldsAnEmptyJavaDatabase(t *testing.T) {
	s, cache := store(t, nil), t.TempDir()
	digest := publish(t, s, packed(t, good, "go::Sample"), layerMediaType)
	_, err := Fetch(context.Background(), s, runner(t), repository, digest, cache)
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(cache, "java-db", "trivy-java.db"))
	require.NoError(t, err)
	for _, text := range []string{"SQLite format 3\x00", "CREATE TABLE artifacts(id INTEGER PRIMARY KEY, group_id TEXT, artifact_id TEXT)",
		"CREATE TABLE indices(artifact_id INTEGER, version TEXT, sha1 BLOB, archive_type TEXT"} {
		require.Contains(t, string(data), text)
	}
	about, err := os.ReadFile(filepath.Join(cache, "java-db", "metadata.json"))
	require.NoError(t, err)
	require.Contains(t, string(about), `"Version":1`)
}

func refused(t *testing.T, err error, kind step.Kind, reason string) *step.Fault {
	t.Helper()
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	require.Equal(t, kind, fault.Kind)
	require.Equal(t, "scan", fault.Stage)
	require.Contains(t, fault.Reason, reason)
	require.NotEmpty(t, fault.Mend)
	return fault
}

func TestFetchTakesOnlyADatabase(t *testing.T) {
	s, cache := store(t, nil), t.TempDir()
	r := runner(t)
	none := publish(t, s, packed(t, good, "go::Sample"), types.OCILayer)
	_, err := Fetch(t.Context(), s, r, repository, none, cache)
	_ = refused(t, err, step.KindInput, "is not a Trivy database")
	require.NoFileExists(t, filepath.Join(cache, InfoFile))
	_, err = Fetch(t.Context(), s, r, repository, "sha256:"+strings.Repeat("1", 64), cache)
	_ = refused(t, err, step.KindInput, "is not in the registry")
	_, err = Fetch(t.Context(), s, r, repository, "2", cache)
	require.Error(t, err)
	digest := publish(t, s, packed(t, good, "go::Sample"), layerMediaType)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Fetch(over, s, r, repository, digest, cache)
	require.ErrorIs(t, err, context.Canceled)

	// A cache that can't be written to is no database.
	for name, spoil := range map[string]func(string) error{
		"a file in its place": func(cache string) error { return os.WriteFile(cache, nil, 0o644) },
		"no note":             func(cache string) error { return os.MkdirAll(filepath.Join(cache, InfoFile), 0o755) },
		"no Java database":    func(cache string) error { return os.MkdirAll(filepath.Join(cache, "java-db", "trivy-java.db"), 0o755) },
		"no note about it":    func(cache string) error { return os.MkdirAll(filepath.Join(cache, "java-db", "metadata.json"), 0o755) },
		"a file for it": func(cache string) error {
			return errors.Join(os.MkdirAll(cache, 0o755), os.WriteFile(filepath.Join(cache, "java-db"), nil, 0o644))
		},
	} {
		cache := filepath.Join(t.TempDir(), "cache")
		require.NoError(t, spoil(cache))
		_, err := Fetch(t.Context(), s, r, repository, digest, cache)
		require.Error(t, err, name)
	}
}

func TestCheckTakesOneLayer(t *testing.T) {
	manifest := func(layers ...types.MediaType) []byte {
		some := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("1", 64)}
		m := v1.Manifest{SchemaVersion: 2, Config: v1.Descriptor{Digest: some}}
		for _, media := range layers {
			m.Layers = append(m.Layers, v1.Descriptor{MediaType: media, Digest: some})
		}
		data, err := json.Marshal(m)
		require.NoError(t, err)
		return data
	}
	d := v1.Descriptor{MediaType: types.OCIManifestSchema1}
	require.NoError(t, check("db", d, manifest(layerMediaType)))
	for _, data := range [][]byte{manifest(layerMediaType, layerMediaType), manifest(), manifest(types.OCILayer)} {
		_ = refused(t, check("db", d, data), step.KindInput, "is not a Trivy database: it has not one layer")
	}
	_ = refused(t, check("db", d, []byte("[")), step.KindInput, "has a manifest that can't be read")
	_ = refused(t, check("db", v1.Descriptor{MediaType: types.OCIImageIndex}, manifest(layerMediaType)), step.KindInput, "not a database")
}

func TestMetadata(t *testing.T) {
	folder := t.TempDir()
	_, err := normalizeMetadata(folder, "sha256:1")
	require.ErrorContains(t, err, "it has no metadata.json")
	file := filepath.Join(folder, "metadata.json")
	for text, reason := range map[string]string{
		`{"Version":2,"UpdatedAt":"2026-01-02T03:04:05Z"}`:                                              "does not say how old it is",
		`{"Version":2,"NextUpdate":"2026-01-02T03:04:05Z"}`:                                             "does not say how old it is",
		`{"Version":3,"UpdatedAt":"2026-01-02T03:04:05Z","NextUpdate":"2026-01-02T03:04:05Z"}`:          "it has schema version 3, not 2",
		`{"Version":2,"UpdatedAt":"9999-12-31T23:59:59-01:00","NextUpdate":"2026-01-02T03:04:05Z"}`:     "names the year 10000",
		`{"Version":2,"UpdatedAt":"2026-01-02T03:04:05Z","NextUpdate":"9999-12-31T23:59:59-01:00"}`:     "names the year 10000",
		`{"Version":2,"UpdatedAt":"0000-01-02T03:04:05Z","NextUpdate":"2026-01-02T03:04:05Z"}`:          "names the year 0",
		`{"Version":2,"UpdatedAt":"0001-01-01T00:00:00+01:00","NextUpdate":"9999-12-31T23:59:59.999Z"}`: "names the year 0",
	} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		_, err := normalizeMetadata(folder, "sha256:1")
		require.ErrorContains(t, err, reason, text)
	}
	require.NoError(t, os.WriteFile(file, []byte(`{"Version":2,"UpdatedAt":"0001-01-01T01:00:01+01:00","NextUpdate":"9999-12-31T23:59:59Z","DownloadedAt":"2026-01-02T03:04:05Z"}`), 0o644))
	info, err := normalizeMetadata(folder, "sha256:1")
	require.NoError(t, err)
	require.Equal(t, "0001-01-01T00:00:01Z 9999-12-31T23:59:59Z sha256:1 2", fmt.Sprintf("%s %s %s %d", info.UpdatedAt.Format(time.RFC3339), info.NextUpdate.Format(time.RFC3339), info.Digest, info.Version))
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.JSONEq(t, `{"Version":2,"UpdatedAt":"0001-01-01T00:00:01Z","NextUpdate":"9999-12-31T23:59:59Z","DownloadedAt":"0001-01-01T00:00:01Z"}`, string(data))
}

func TestLoadRefusesWhatIsOfNoOrigin(t *testing.T) {
	cache := t.TempDir()
	for text, reason := range map[string]string{
		`{"updatedAt":"2026-01-02T03:04:05Z","digest":"sha256:1"}`: "holds a vulnerability database of unknown origin",
		`{"updatedAt":"2026-01-02T03:04:05Z"}`:                     "holds a vulnerability database of unknown origin",
		`{"updatedAt":"2026-01-02T03:04:05Z","digest":1}`:          "holds a vulnerability database of unknown age",
		`{"digest":"sha256:1"}`:                                    "holds a vulnerability database of unknown age",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(cache, InfoFile), []byte(text), 0o644))
		_, _, err := Load(cache)
		_ = refused(t, err, step.KindInfrastructure, reason)
	}
}

// The registry is told its own name, and its answers to HEAD come through.
func TestTheGatewaySpeaksForTheRegistry(t *testing.T) {
	var hosts []string
	c := store(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hosts = append(hosts, r.Host)
			next.ServeHTTP(w, r)
		})
	})
	digest := publish(t, c, packed(t, good, "go::Sample"), layerMediaType)
	repo, err := registry.ParseRepository("scan", "repository", repository)
	require.NoError(t, err)
	g, err := open(t.Context(), registry.New(c, repo, registry.Pull), repo)
	require.NoError(t, err)
	base := "http://" + g.listener.Addr().String() + "/v2/"
	for path, status := range map[string]int{"slipway/trivy-db/manifests/" + digest: http.StatusOK, "": http.StatusOK, "slipway/trivy-db-other/manifests/" + digest: http.StatusForbidden} {
		hosts = nil
		answer, err := http.Head(base + path)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, status, answer.StatusCode, path)
		for _, host := range hosts {
			require.Equal(t, "localhost:5000", host)
		}
	}
	for _, path := range []string{"", "slipway/trivy-db/tags/list"} {
		answer, err := http.Post(base+path, "text/plain", nil)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusForbidden, answer.StatusCode)
	}
	require.NoError(t, g.Close())
	answer, err := http.Get(base)
	if err == nil {
		require.NoError(t, answer.Body.Close())
	}
	require.Error(t, err, "it is closed")
}
