//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// debianBase makes a base image of Debian's packages, for amd64, and pushes it to the
// platform's registry. It returns the reference by digest.
func debianBase(t testing.TB, p *platform, name string, packages ...string) string {
	t.Helper()
	tarball := filepath.Join(t.TempDir(), "base.tar.gz")
	file, err := os.Create(tarball)
	require.NoError(t, err)
	defer file.Close()
	layer, content := sha256.New(), sha256.New()
	zipped, err := gzip.NewWriterLevel(io.MultiWriter(file, layer), gzip.BestSpeed)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "mmdebstrap", "--variant=essential", "--architectures=amd64",
		"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		"--include="+strings.Join(packages, ","), "bookworm", "-")
	// The same packages give the same bytes.
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1")
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = io.MultiWriter(zipped, content), &log
	require.NoError(t, cmd.Run(), "a base image is made with mmdebstrap: %s", &log)
	require.NoError(t, zipped.Close())
	size, err := file.Seek(0, io.SeekEnd)
	require.NoError(t, err)
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux",
		"config": map[string]any{"Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", content.Sum(nil))}},
	})
	require.NoError(t, err)
	layerDigest := fmt.Sprintf("sha256:%x", layer.Sum(nil))
	_, err = file.Seek(0, io.SeekStart)
	require.NoError(t, err)
	blob(t, p, name, layerDigest, io.NewSectionReader(file, 0, size))
	blob(t, p, name, digestOf(config), strings.NewReader(string(config)))
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": map[string]any{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digestOf(config), "size": len(config)},
		"layers": []any{map[string]any{"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layerDigest, "size": size}},
	})
	require.NoError(t, err)
	put(t, p, "/v2/"+name+"/manifests/"+digestOf(manifest), manifestType, manifest)
	return p.sandbox + "/" + name + "@" + digestOf(manifest)
}

// put stores a manifest in the platform's registry.
func put(t testing.TB, p *platform, path, mediaType string, body []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+p.sandbox+path, bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", mediaType)
	request.SetBasicAuth(p.accounts["images"].Username, p.accounts["images"].Password)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusCreated, response.StatusCode, path)
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// blob stores a blob in the platform's registry.
func blob(t testing.TB, p *platform, repository, digest string, content io.Reader) {
	t.Helper()
	send := func(method, address string, body io.Reader, want int) (*url.URL, error) {
		request, err := http.NewRequestWithContext(t.Context(), method, address, body)
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/octet-stream")
		request.SetBasicAuth(p.accounts["images"].Username, p.accounts["images"].Password)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, response.StatusCode)
		return response.Location()
	}
	to, err := send(http.MethodPost, "http://"+p.sandbox+"/v2/"+repository+"/blobs/uploads/", nil, http.StatusAccepted)
	require.NoError(t, err)
	query := to.Query()
	query.Set("digest", digest)
	to.RawQuery = query.Encode()
	_, err = send(http.MethodPut, to.String(), content, http.StatusCreated)
	require.NoError(t, err)
}
