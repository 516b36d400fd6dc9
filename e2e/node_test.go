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
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// debianBase makes a base image of Debian's packages, for amd64, and pushes it to the
// platform's registry. It returns the reference by digest.
func debianBase(t *testing.T, p *platform, name string, packages ...string) string {
	t.Helper()
	tarball := filepath.Join(t.TempDir(), "base.tar.gz")
	file, err := os.Create(tarball)
	require.NoError(t, err)
	defer file.Close()
	layer, content := sha256.New(), sha256.New()
	zipped, err := gzip.NewWriterLevel(io.MultiWriter(file, layer), gzip.BestSpeed)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "mmdebstrap", "--variant=essential", "--architectures=amd64", "--include="+strings.Join(packages, ","), "bookworm", "-")
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
func put(t *testing.T, p *platform, path, mediaType string, body []byte) {
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
func blob(t *testing.T, p *platform, repository, digest string, content io.Reader) {
	t.Helper()
	send := func(method, address string, body io.Reader) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), method, address, body)
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/octet-stream")
		request.SetBasicAuth(p.accounts["images"].Username, p.accounts["images"].Password)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response
	}
	begun := send(http.MethodPost, "http://"+p.sandbox+"/v2/"+repository+"/blobs/uploads/", nil)
	require.Equal(t, http.StatusAccepted, begun.StatusCode)
	to, err := begun.Location()
	require.NoError(t, err)
	query := to.Query()
	query.Set("digest", digest)
	to.RawQuery = query.Encode()
	require.Equal(t, http.StatusCreated, send(http.MethodPut, to.String(), content).StatusCode)
}

// A Node service with dependencies of npm's registry is built by the Dockerfile that
// it has, with npm ci in a RUN without a network; what the lock file does not pin is
// refused.
func TestEvidenceANodeServiceIsBuiltAndTested(t *testing.T) {
	t.Parallel()
	p := shared
	base := debianBase(t, p, "bases/node", "nodejs", "npm")
	folder := filepath.Join(repository(), "e2e", "testdata", "ages")
	dir := withApp(t, "ages", folder, read(t, filepath.Join(folder, "app.yaml")))
	file := filepath.Join(dir, "apps", "ages", "Dockerfile")
	commit := func(name, text string) {
		write(t, filepath.Join(dir, "apps", "ages", name), text)
		git(t, dir, "add", "-A")
		git(t, dir, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", name)
	}
	dockerfile := strings.Replace(read(t, file), "FROM base ", "FROM "+base+" ", 1)
	commit("Dockerfile", dockerfile)

	out, err := p.call(dir, p.options(), "app", "--name", "ages", "test")
	require.NoError(t, err)
	assert.Contains(t, out, "| # pass 1\n")
	assert.Contains(t, out, "Dockerfile --target test\t1 passed, 0 skipped\n")

	// Packages are there only while a command runs: none of what was fetched for them
	// is in the image.
	layout := filepath.Join(t.TempDir(), "layout")
	_, err = p.call(dir, p.options(), "app", "--name", "ages", "build", "oci-layout", "export", "--path", layout)
	require.NoError(t, err)
	assert.True(t, holds(t, layout, "app/node_modules/ms/package.json"))
	assert.False(t, holds(t, layout, "app/node_modules/is-number/package.json"))
	assert.False(t, holds(t, layout, "~slipway"))

	// The demo's vulnerability database knows Go's modules only: a gate that can't decide
	// refuses.
	_, err = p.call(dir, p.options(), "app", "--name", "ages", "build", "scan", "verdict")
	refused(t, err, "scan: infrastructure failure: ", "packages of type debian, for which the vulnerability database has no advisories")

	// A package that the lock file does not name is not to be had.
	commit("Dockerfile", strings.Replace(dockerfile, "RUN npm ci --omit=dev", "RUN npm install left-pad", 1))
	_, err = p.call(dir, p.options(), "app", "--name", "ages", "build", "digest")
	refused(t, err, "build: bad input: app ages: Dockerfile: ", "npm install left-pad fails for linux/amd64", "no lock file of the app names it")

	lock := read(t, filepath.Join(dir, "apps", "ages", "package-lock.json"))
	for name, tc := range map[string]struct{ old, new, refusal string }{
		"another content": {"sha512-6FlzubTLZG3J2a", "sha512-7FlzubTLZG3J2a", "build: refused by policy: package-lock.json: \"node_modules/ms\": is not what the lock file pins"},
		"no integrity":    {`"integrity": "sha512-6Flz`, `"was": "sha512-6Flz`, "\"node_modules/ms\" has no integrity"},
		"a Git address":   {"https://registry.npmjs.org/ms/-/ms-2.1.3.tgz", "git+https://example.org/ms.git", "\"node_modules/ms\" comes from \"git+https://example.org/ms.git\""},
	} {
		require.Contains(t, lock, tc.old, name)
		commit("package-lock.json", strings.Replace(lock, tc.old, tc.new, 1))
		_, err = p.call(dir, p.options(), "app", "--name", "ages", "build", "digest")
		refused(t, err, tc.refusal)
	}
	assert.False(t, p.pushed(t, "ages"))
}
