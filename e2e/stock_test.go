//go:build e2e

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// crane is the stock tool of github.com/google/go-containerregistry, at the version
// that cosign's module pins.
func crane(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "crane")
	out, err := exec.Command("go", "-C", filepath.Join(repository(), "modules/sign/cosign"), "build", "-o", path,
		"github.com/google/go-containerregistry/cmd/crane").CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

// skopeo is Debian's, with the libraries that it was linked with: the start of its
// command line.
func skopeo(t *testing.T, p *platform) []string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "debian")
	_, err := p.run(p.repo, "-m", "modules/toolbox", "call", "debian", "--pins", "e2e/testdata/skopeo.lock", "export", "--path", root)
	require.NoError(t, err)
	libraries := filepath.Join(root, "usr/lib/x86_64-linux-gnu") + ":" + filepath.Join(root, "lib/x86_64-linux-gnu")
	return []string{filepath.Join(root, "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"), "--library-path", libraries, filepath.Join(root, "usr/bin/skopeo")}
}

// cosign is the stock tool, compiled from its own module by the toolbox.
func cosign(t testing.TB, p *platform) string {
	t.Helper()
	path := p.file("cosign")
	if !isExecutable(path) {
		_, err := p.run(p.repo, "-m", "modules/toolbox", "call", "binary",
			"--source", "modules/sign/cosign", "--pkg", "github.com/sigstore/cosign/v3/cmd/cosign", "export", "--path", path)
		require.NoError(t, err)
	}
	return path
}

// statementTypes are those of what is signed about a published image, beside its
// signature.
var statementTypes = []string{
	"https://in-toto.io/attestation/vulns/v0.2", "https://slsa.dev/provenance/v1", "https://in-toto.io/attestation/test-result/v0.1",
	"https://cyclonedx.org/bom", "https://spdx.dev/Document",
}

// cosignVerify has cosign verify hello's signature, or of a statement's type the
// attestation, by one of the platform's public keys. It returns all that it says.
func cosignVerify(t testing.TB, p *platform, tool, digest, key, predicateType string) (string, error) {
	t.Helper()
	args := []string{"verify"}
	if predicateType != "" {
		args = []string{"verify-attestation", "--type", predicateType}
	}
	args = append(args, "--key", p.file(key), "--insecure-ignore-tlog=true", "--allow-http-registry", p.sandbox+"/hello@"+digest)
	cmd := exec.CommandContext(t.Context(), tool, args...)
	cmd.Env = append(cmd.Environ(), "HOME="+p.dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestEvidenceStockToolsReadTheImage(t *testing.T) {
	p := shared
	digest := published(t, p)
	t.Run("crane validate", func(t *testing.T) {
		tool := crane(t)
		out, err := exec.Command(tool, "validate", "--remote", p.sandbox+"/hello@"+digest).CombinedOutput()
		require.NoError(t, err, string(out))
		assert.Contains(t, string(out), "PASS")

		// A layer that is not what its digest says is found.
		proxy := newProxy(t, p, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
			answer := httptest.NewRecorder()
			forward.ServeHTTP(answer, r)
			body := answer.Body.Bytes()
			if strings.Contains(r.URL.Path, "/blobs/") && len(body) > 0 {
				body[len(body)/2] ^= 1
			}
			for name, values := range answer.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(answer.Code)
			_, _ = w.Write(body)
		})
		out, err = exec.Command(tool, "validate", "--remote", proxy+"/hello@"+digest).CombinedOutput()
		require.Error(t, err, string(out))
	})
	t.Run("skopeo inspect", func(t *testing.T) {
		tool := skopeo(t, p)
		inspect := func(args ...string) []byte {
			args = append(append(append([]string{}, tool[1:]...), "--insecure-policy"), args...)
			cmd := exec.CommandContext(t.Context(), tool[0], append(args, "--tls-verify=false", "docker://"+p.sandbox+"/hello@"+digest)...)
			var out, log bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &log
			require.NoError(t, cmd.Run(), log.String())
			return out.Bytes()
		}
		sum := sha256.Sum256(inspect("inspect", "--raw"))
		assert.Equal(t, digest, "sha256:"+hex.EncodeToString(sum[:]))
		for _, arch := range []string{"amd64", "arm64"} {
			var seen struct {
				Architecture, Os string
				Layers           []string
				Labels           map[string]string
			}
			require.NoError(t, json.Unmarshal(inspect("--override-os", "linux", "--override-arch", arch, "inspect"), &seen))
			assert.Equal(t, arch+" linux", seen.Architecture+" "+seen.Os)
			assert.NotEmpty(t, seen.Layers)
			assert.NotEmpty(t, seen.Labels["org.opencontainers.image.revision"])
		}
	})
}
