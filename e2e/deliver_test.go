//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type receipt struct {
	App            string `json:"app"`
	Environment    string `json:"environment"`
	SourceRevision string `json:"sourceRevision"`
	SourceTree     string `json:"sourceTree"`
	Image          string `json:"image"`
	ImagePushed    bool   `json:"imagePushed"`
	Plan           string `json:"plan"`
	GitopsCommit   string `json:"gitopsCommit"`
	GitopsPath     string `json:"gitopsPath"`
	GitopsEvidence string `json:"gitopsEvidence"`
	ReleaseCreated bool   `json:"releaseCreated"`
	Verdict        struct {
		Digest         string `json:"digest"`
		DatabaseDigest string `json:"databaseDigest"`
	} `json:"verdict"`
}

// deliver delivers to an environment that other tests deliver to as well, each after the
// other: to this one, theirs are not newer.
func deliver(t testing.TB, p *platform, dir, app, env string, with ...string) receipt {
	t.Helper()
	out, err := p.call(dir, slices.Concat(p.options(), p.terraform(t), with), "deliver", "--app", app, "--env", env, "--older", "json")
	require.NoError(t, err)
	var r receipt
	require.NoError(t, json.Unmarshal([]byte(out), &r), out)
	return r
}

// fetch reads from the platform's registry or Terraform state.
func fetch(t testing.TB, p *platform, path, accept string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.sandbox+path, nil)
	require.NoError(t, err)
	req.Header.Set("Accept", accept)
	if strings.HasPrefix(path, "/state/") {
		account := p.accounts["state/"+filepath.Base(path)]
		req.SetBasicAuth(account.Username, account.Password)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, data
}

const indexType = "application/vnd.oci.image.index.v1+json"

func TestDeliver(t *testing.T) {
	p := shared
	first := deliver(t, p, p.repo, "hello", "dev")
	// A developer's checkout may hold uncommitted changes, and then says so.
	assert.Equal(t, git(t, p.repo, "rev-parse", "HEAD"), strings.TrimSuffix(first.SourceRevision, "-dirty"))
	repository, digest, ok := strings.Cut(first.Image, "@")
	require.True(t, ok, first.Image)
	assert.Equal(t, "localhost:5000/hello", repository)
	assert.Equal(t, digest, first.Verdict.Digest, "the verdict is about the released image")
	assert.NotEmpty(t, first.Verdict.DatabaseDigest)
	assert.NotEmpty(t, first.Plan)

	manifests := map[string]string{}
	t.Run("the registry holds exactly the scanned bytes", func(t *testing.T) {
		status, manifest := fetch(t, p, "/v2/hello/manifests/"+digest, indexType)
		require.Equal(t, http.StatusOK, status)
		sum := sha256.Sum256(manifest)
		assert.Equal(t, digest, "sha256:"+hex.EncodeToString(sum[:]))
		var index struct {
			Manifests []struct {
				Digest   string                            `json:"digest"`
				Platform struct{ OS, Architecture string } `json:"platform"`
			} `json:"manifests"`
		}
		require.NoError(t, json.Unmarshal(manifest, &index))
		for _, m := range index.Manifests {
			manifests[m.Platform.OS+"/"+m.Platform.Architecture] = m.Digest
		}
		assert.ElementsMatch(t, []string{"linux/amd64", "linux/arm64"}, slices.Collect(maps.Keys(manifests)))
	})

	t.Run("the bills of materials are about each platform's image and its source", func(t *testing.T) {
		require.Len(t, manifests, 2)
		bill := func(args ...string) (string, error) {
			return p.call(p.repo, p.options(), append([]string{"app", "--name", "hello", "build", "sbom"}, append(args, "contents")...)...)
		}
		for _, c := range []struct{ args, want []string }{
			{[]string{"--of", "IMAGE", "--format", "CYCLONEDX"}, []string{`"specVersion": "1.6"`, `"version": "` + manifests["linux/amd64"] + `"`, `"pkg:golang/slipway/apps/hello"`, `"linux/amd64"`}},
			{[]string{"--of", "IMAGE", "--platform", "linux/arm64"}, []string{`"specVersion": "1.6"`, `"version": "` + manifests["linux/arm64"] + `"`, `"pkg:golang/slipway/apps/hello"`, `"linux/arm64"`}},
			{[]string{"--platform", "linux/arm64", "--format", "SPDX"}, []string{`"spdxVersion": "SPDX-2.3"`, `"versionInfo": "` + manifests["linux/arm64"] + `"`, `"pkg:golang/slipway/apps/hello"`, `slipway:platform: linux/arm64`}},
			{[]string{"--of", "SOURCE", "--format", "CYCLONEDX"}, []string{`"name": "apps/hello"`, `"swh:1:dir:` + first.SourceTree + `"`, `"pkg:golang/github.com/stretchr/testify@`}},
			{[]string{"--of", "SOURCE", "--format", "SPDX"}, []string{`"name": "apps/hello"`, `"swh:1:dir:` + first.SourceTree + `"`, `"pkg:golang/github.com/stretchr/testify@`}},
		} {
			out, err := bill(c.args...)
			require.NoError(t, err)
			for _, text := range c.want {
				assert.Contains(t, out, text, c.args)
			}
		}
		_, err := bill("--platform", "linux/s390x")
		refused(t, err, `scan: bad input: platform "linux/s390x": is not one that the image is for`, "use linux/amd64 or linux/arm64")
		_, err = bill("--of", "SOURCE", "--platform", "linux/amd64")
		refused(t, err, `scan: bad input: platform "linux/amd64": is given, and a source has none`, "leave it out, or use --of IMAGE")
	})

	t.Run("the commit holds the digest and says where it came from", func(t *testing.T) {
		clone := p.remote(t)
		assert.Equal(t, first.GitopsCommit, git(t, clone, "log", "-1", "--format=%H", "--", first.GitopsPath))
		assert.Contains(t, read(t, clone+"/"+first.GitopsPath), digest)
		trailers := git(t, clone, "log", "-1", "--format=%(trailers:only,unfold)", first.GitopsCommit)
		assert.Contains(t, trailers, "App: hello")
		assert.Contains(t, trailers, "Environment: dev")
		assert.Contains(t, trailers, digest)
		assert.Contains(t, trailers, first.SourceRevision)
	})

	t.Run("the same release twice makes one commit and moves nothing", func(t *testing.T) {
		before := git(t, p.remote(t), "rev-list", "--count", "HEAD")
		second := deliver(t, p, p.repo, "hello", "dev")
		assert.Equal(t, first.Image, second.Image)
		assert.Equal(t, first.SourceRevision, second.SourceRevision)
		assert.Equal(t, first.Verdict, second.Verdict)
		assert.False(t, second.ImagePushed)
		assert.False(t, second.ReleaseCreated)
		assert.Equal(t, first.GitopsCommit, second.GitopsCommit)
		assert.Equal(t, before, git(t, p.remote(t), "rev-list", "--count", "HEAD"))
	})

	t.Run("a decision that stands needs nobody who signs, and another commit does", func(t *testing.T) {
		dir := source(t, nil)
		nobody := slices.Concat(p.place(), p.terraform(t), []string{"with-public-key", "--key", p.file("keys/cosign.pub")})
		again := []string{"deliver", "--app", "hello", "--env", "dev", "text"}
		_, err := p.call(dir, nobody, again...)
		refused(t, err, "sign: bad input: signing key: key or password is not given", "give --key and --key-password")

		attested := deliver(t, p, dir, "hello", "dev")
		assert.Equal(t, git(t, dir, "rev-parse", "HEAD"), attested.SourceRevision)
		assert.Equal(t, first.Image, attested.Image)
		out, err := p.call(dir, nobody, again...)
		require.NoError(t, err)
		assert.Regexp(t, `source commit +`+attested.SourceRevision+`\n`, out)
		assert.Regexp(t, `decision +sha256:[0-9a-f]{64} \(of 20[0-9-]{8}T[0-9:]{8}Z\)\n`, out)
		assert.Regexp(t, `GitOps commit +`+attested.GitopsCommit+` \(was in the repository\)\n`, out)
	})

	t.Run("a change behind the pipeline's back is noticed", func(t *testing.T) {
		clone := p.remote(t)
		path := clone + "/" + first.GitopsPath
		write(t, path, strings.ReplaceAll(read(t, path), digest, "sha256:"+strings.Repeat("0", 64)))
		git(t, clone, "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "-qam", "somebody else's change")
		git(t, clone, "push", "-q", "origin", "HEAD:main")

		again := deliver(t, p, p.repo, "hello", "dev")
		assert.True(t, again.ReleaseCreated)
		assert.NotEqual(t, first.GitopsCommit, again.GitopsCommit)
		assert.Contains(t, read(t, p.remote(t)+"/"+first.GitopsPath), digest)
	})

	t.Run("the signed image can be released elsewhere by its digest alone", func(t *testing.T) {
		options := append(p.options(), p.terraform(t)...)
		release := []string{"signed", "--app", "hello", "--digest", digest, "release", "--env", "staging", "--older", "commit"}
		_, err := p.call(p.repo, options, release...)
		refused(t, err, "release: refused by policy: infrastructure of staging: is not applied", "infra --env staging plan check apply")
		_, err = p.call(p.repo, options, "infra", "--env", "staging", "plan", "check", "apply", "sha-256")
		require.NoError(t, err)
		out, err := p.call(p.repo, options, release...)
		require.NoError(t, err)
		assert.Regexp(t, `^[0-9a-f]{40}$`, strings.TrimSpace(out))
	})
}

func TestDeliveryOfAnOlderCheckoutIsRefused(t *testing.T) {
	p := shared
	change := func(n int) string {
		return fmt.Sprintf("package greeting\n\nfunc init() {\n\tif n := %d; n < 0 {\n\t\tprintln(n)\n\t}\n}\n", n)
	}
	const name = "apps/hello/greeting/change.go"
	dir := source(t, map[string]string{name: change(1)})
	older := git(t, dir, "rev-parse", "HEAD")
	write(t, filepath.Join(dir, name), change(2))
	git(t, dir, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qam", "the next one")
	newer := deliver(t, p, dir, "hello", "dev")
	_, digest, _ := strings.Cut(newer.Image, "@")

	git(t, dir, "checkout", "-q", "--detach", older)
	run := func(more ...string) (string, error) {
		return p.call(dir, append(p.options(), p.terraform(t)...), append([]string{"deliver", "--app", "hello", "--env", "dev"}, more...)...)
	}
	_, err := run("image")
	refused(t, err, "release: refused by policy: "+newer.GitopsPath+": would go back: "+older+" is an ancestor of "+newer.SourceRevision+", which "+digest+" was built from", "rollback", "--older")
	out, err := p.call(dir, p.options(), "preview", "--app", "hello", "--env", "dev", "text")
	require.NoError(t, err)
	assert.Contains(t, out, "would be refused")
	_, err = run("--older", "image")
	require.NoError(t, err, "the control: with a yes")

	git(t, dir, "checkout", "-q", "main")
	_, err = run("image")
	refused(t, err, "release: refused by policy: "+newer.GitopsPath+": would go back: "+digest+" was released by commit "+newer.GitopsCommit+", before what runs now")
	_, err = p.call(dir, p.options(), "signed", "--app", "hello", "--digest", digest, "release", "--env", "dev", "commit")
	refused(t, err, "release: refused by policy: "+newer.GitopsPath+": would go back: "+digest)
	assert.Equal(t, newer.Image, deliver(t, p, dir, "hello", "dev").Image)
}
