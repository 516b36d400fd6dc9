//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refused wants an error that holds every text, and nothing of the app in the
// registry or of a release on the remote.
func refused(t *testing.T, err error, texts ...string) {
	t.Helper()
	require.Error(t, err)
	for _, text := range texts {
		assert.ErrorContains(t, err, text)
	}
	assert.ErrorContains(t, err, "mend: ")
}

func (p *platform) pushed(t *testing.T, app string) bool {
	t.Helper()
	status, _ := fetch(t, p, "/v2/"+app+"/tags/list", "application/json")
	return status == http.StatusOK
}

func TestVulnerableAppIsRefusedAndNothingIsPushed(t *testing.T) {
	p := shared
	before := git(t, p.remote(t), "rev-parse", "HEAD")
	_, err := p.call(p.repo, append(p.options(), p.terraform(t)...), "deliver", "--app", "legacy", "--env", "dev", "json")
	refused(t, err, "scan: refused by policy: app legacy", "CVE-2022-32149", "golang.org/x/text v0.3.7")
	assert.False(t, p.pushed(t, "legacy"))
	assert.Equal(t, before, git(t, p.remote(t), "rev-parse", "HEAD"))
}

// The key is made here, so that no secret is ever in the repository.
func TestCommittedSecretIsRefused(t *testing.T) {
	t.Parallel()
	p := shared
	token := "ghp_" + strings.Repeat("aB3dE5fG7h", 4)[:36]
	dir := source(t, map[string]string{"apps/hello/deploy.env": "GITHUB_TOKEN=" + token + "\n"})
	_, err := p.call(dir, p.options(), "app", "--name", "hello", "build", "scan", "digest")
	refused(t, err, "scan: refused by policy: app hello", "secret: ", "deploy.env:1")
	assert.NotContains(t, err.Error(), token, "the secret itself must not be printed")
}

// branch is a branch of the GitOps remote with other files, for a call that goes there.
func (p *platform) branch(t *testing.T, files map[string]string) []string {
	t.Helper()
	clone, name := p.remote(t), "branch-"+unseen()
	for file, text := range files {
		write(t, filepath.Join(clone, file), text)
	}
	git(t, clone, "add", "-A")
	git(t, clone, "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "-qm", "somebody's change")
	git(t, clone, "push", "-q", "origin", "HEAD:refs/heads/"+name)
	return []string{"with-gitops", "--branch", name}
}

// privileged adds a sidecar to an app's pods, by a patch that no file alone shows.
const privileged = `
patches:
  - target: {kind: Deployment}
    patch: |-
      - op: add
        path: /spec/template/spec/containers/-
        value: {name: sidecar, image: "localhost:5000/hello", securityContext: {privileged: true}}
`

func TestPrivilegedPodIsRefused(t *testing.T) {
	p := shared
	digest := published(t, p)
	clone := p.remote(t)
	const base, overlay = "gitops/apps/hello/base/deployment.yaml", "gitops/apps/hello/overlays/dev/kustomization.yaml"
	const harmless, object = "privileged: false", "gitops/apps/hello/overlays/dev/Deployment-hello.yaml:"
	require.Contains(t, read(t, clone+"/"+base), harmless)
	options := append(p.options(), p.terraform(t)...)
	release := []string{"signed", "--app", "hello", "--digest", digest, "release", "--env", "dev", "--older", "commit"}
	for name, files := range map[string]map[string]string{
		"in the base":   {base: strings.Replace(read(t, clone+"/"+base), harmless, "privileged: true", 1)},
		"by a patch":    {overlay: read(t, clone+"/"+overlay) + privileged},
		"a secret, too": {overlay: read(t, clone+"/"+overlay) + privileged + "configMapGenerator:\n  - name: token\n    literals: [\"TOKEN=ghp_" + strings.Repeat("aB3dE5fG7h", 4)[:36] + "\"]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			branch := p.branch(t, files)
			_, err := p.call(p.repo, options, append(branch, release...)...)
			refused(t, err, "release: refused by policy: hello in dev: ", object, "KSV-0017")
			if name == "a secret, too" {
				assert.ErrorContains(t, err, "in gitops/apps/hello/overlays/dev/ConfigMap-token-")
			}
			assert.Equal(t, "somebody's change", git(t, p.remote(t), "log", "-1", "--format=%s", "origin/"+branch[2]))
			out, err := p.call(p.repo, options, append(branch, "preview", "--app", "hello", "--env", "dev", "refusal")...)
			require.NoError(t, err)
			assert.Contains(t, out, "KSV-0017")
		})
	}
	// What lies in the checkout is nobody's overlay.
	dir := source(t, map[string]string{base: strings.Replace(read(t, p.repo+"/"+base), harmless, "privileged: true", 1)})
	_, err := p.call(dir, options, release...)
	require.NoError(t, err, "the control: the remote as it is")
}

func TestImageThatNothingVouchesForIsRefused(t *testing.T) {
	p := shared
	digest := published(t, p)
	const overlay, stranger = "gitops/apps/hello/overlays/dev/kustomization.yaml", "docker.io/library/redis@sha256:"
	ones := strings.Repeat("1", 64)
	add := func(list, container string) map[string]string {
		return map[string]string{overlay: read(t, p.remote(t)+"/"+overlay) + "patches:\n  - target: {kind: Deployment}\n    patch: |-\n      - op: add\n        path: /spec/template/spec/" + list +
			"\n        value: " + container + "\n"}
	}
	safe := func(image string) string {
		return `{name: other, image: "` + image + `", securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true, runAsUser: 65532, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}, resources: {requests: {cpu: 1m, memory: 1Mi}, limits: {cpu: 1m, memory: 1Mi}}}`
	}
	release := []string{"signed", "--app", "hello", "--digest", digest, "release", "--env", "dev", "--older", "commit"}
	options := append(p.options(), p.terraform(t)...)
	const pods = "Deployment hello: spec.template.spec."
	for name, c := range map[string]struct {
		files  map[string]string
		wanted string
	}{
		"a sidecar by a tag":     {add("containers/-", safe("docker.io/library/redis:8")), pods + "containers[other].image: docker.io/library/redis:8 is not named by its digest"},
		"a sidecar":              {add("containers/-", safe(stranger+ones)), pods + "containers[other].image: " + stranger + ones + " is no app's of this platform"},
		"an init container":      {add("initContainers", "["+safe(stranger+ones)+"]"), pods + "initContainers[other].image: "},
		"an image volume":        {add("volumes", "[{name: other, image: {reference: "+stranger+ones+"}}]"), pods + "volumes[other].image.reference: "},
		"an app's, never signed": {add("containers/-", safe("localhost:5000/legacy@sha256:"+ones)), pods + "containers[other].image: localhost:5000/legacy@sha256:" + ones + " does not verify: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.call(p.repo, options, append(p.branch(t, c.files), release...)...)
			refused(t, err, "release: refused by policy: hello in dev: would run images that nothing vouches for: 1", c.wanted, "gitops.images")
		})
	}
	text := read(t, p.repo+"/slipway.yaml")
	allowed := strings.Replace(text, "  root: gitops\n", "  root: gitops\n  images: ["+stranger+ones+"]\n", 1)
	require.NotEqual(t, text, allowed)
	_, err := p.call(source(t, map[string]string{"slipway.yaml": allowed}), options, append(p.branch(t, add("containers/-", safe(stranger+ones))), release...)...)
	require.NoError(t, err, "the control: allowed by its digest")
}

func TestPrivilegedPodOfAChartIsRefused(t *testing.T) {
	t.Parallel()
	p := shared
	const name = "gitops/apps/pages/chart/templates/deployment.yaml"
	text := read(t, p.remote(t)+"/"+name)
	const harmless = "privileged: false"
	require.Contains(t, text, harmless)
	preview := []string{"preview", "--app", "pages", "--env", "dev", "refusal"}
	out, err := p.call(p.repo, p.options(), append(p.branch(t, map[string]string{name: strings.Replace(text, harmless, "privileged: true", 1)}), preview...)...)
	require.NoError(t, err)
	assert.Contains(t, out, "release: refused by policy: pages in dev: ")
	assert.Contains(t, out, "gitops/apps/pages/overlays/dev/Deployment-pages.yaml:")
	assert.Contains(t, out, "KSV-0017")

	// What can't be rendered can't be scanned.
	_, err = p.call(p.repo, p.options(), append(p.branch(t, map[string]string{name: "{{ fail \"not now\" }}\n" + text}), preview...)...)
	refused(t, err, "release: bad input: apps/pages/overlays/dev: does not build with kustomize", "not now")
}

func TestChartThatIsNotSaidToBeOneIsRefused(t *testing.T) {
	t.Parallel()
	p := shared
	text := read(t, p.repo+"/apps/pages/app.yaml")
	require.Contains(t, text, "packaging: helm\n")
	for packaging, wanted := range map[string][]string{
		"":                     {"release: bad input: apps/pages/overlays/dev/kustomization.yaml: inflates a Helm chart", "packaging: helm in apps/pages/app.yaml"},
		"packaging: flatpak\n": {`config: bad input: apps/pages/app.yaml: packaging "flatpak"`, "use kustomize or helm"},
	} {
		dir := source(t, map[string]string{"apps/pages/app.yaml": strings.Replace(text, "packaging: helm\n", packaging, 1)})
		_, err := p.call(dir, p.options(), "preview", "--app", "pages", "--env", "dev", "text")
		refused(t, err, wanted...)
	}
}

func TestExpiredExceptionIsRefused(t *testing.T) {
	t.Parallel()
	p := shared
	const list = "    exceptions:\n"
	text := read(t, p.repo+"/slipway.yaml")
	require.Contains(t, text, list)
	text = strings.Replace(text, list,
		list+`      - {id: CVE-2022-32149, reason: not reachable, owner: team-a, expires: "2026-01-31"}`+"\n", 1)
	dir := source(t, map[string]string{"slipway.yaml": text})
	_, err := p.call(dir, p.options(), "app", "--name", "hello", "build", "scan", "digest")
	refused(t, err, "scan: refused by policy: exception CVE-2022-32149 of team-a: expired on 2026-01-31")
}

func TestDatabaseThatCannotDecideIsRefused(t *testing.T) {
	t.Parallel()
	p := shared
	scan := []string{"app", "--name", "hello", "build", "scan", "digest"}
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		_, err := p.call(p.repo, p.options(), append([]string{"with-database", "--repository", "localhost:5000/no/such-db"}, scan...)...)
		refused(t, err, "scan: ", "localhost:5000/no/such-db")
	})
	t.Run("unreachable", func(t *testing.T) {
		t.Parallel()
		_, err := p.call(p.repo, p.options(), append([]string{"with-registry", "--service", "tcp://" + deadAddress()}, scan...)...)
		refused(t, err, "scan: infrastructure failure", "trivy-db")
	})
	t.Run("stale", func(t *testing.T) {
		t.Parallel()
		const stale = "localhost:5000/slipway/stale-db"
		_, err := p.call(p.repo, p.options(), "with-database", "--repository", stale, "publish-database", "--updated-at", "2026-01-01T00:00:00Z")
		require.NoError(t, err)
		_, err = p.call(p.repo, p.options(), append([]string{"with-database", "--repository", stale}, scan...)...)
		refused(t, err, "scan: refused by policy: vulnerability database", "is stale: made at 2026-01-01T00:00:00Z")
	})
}

// A program that nothing identifies, beside one that is known.
func TestAnUnknownExecutableIsRefused(t *testing.T) {
	t.Parallel()
	p := shared
	const copied, list = "COPY site/ /site/\n", "    exceptions:\n"
	dockerfile, text := read(t, p.repo+"/apps/pages/Dockerfile"), read(t, p.repo+"/slipway.yaml")
	require.Contains(t, dockerfile, copied)
	require.Contains(t, text, list)
	files := map[string]string{
		"apps/pages/Dockerfile":    strings.Replace(dockerfile, copied, copied+"COPY site/stranger /opt/stranger\n", 1),
		"apps/pages/site/stranger": "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 57),
	}
	scan := []string{"app", "--name", "pages", "build", "scan", "digest"}
	_, err := p.call(source(t, files), p.options(), scan...)
	refused(t, err, "scan: refused by policy: app pages at sha256:", "2 executables that nothing identifies, such as opt/stranger",
		"unknown-executable: site/stranger (ELF file, linux/amd64 and linux/arm64", "add an exception with class executable, id unknown-executable")
	var exceptions string
	for _, path := range []string{"opt/stranger", "site/stranger"} {
		exceptions += "      - {id: unknown-executable, app: pages, path: " + path + ", reason: a test, owner: team-a, expires: \"2999-12-31\"}\n"
	}
	files["slipway.yaml"] = strings.Replace(text, list, list+exceptions, 1)
	_, err = p.call(source(t, files), p.options(), scan...)
	require.NoError(t, err)
}

func TestUnpinnedBaseImageIsRefused(t *testing.T) {
	t.Parallel()
	p := shared
	dir := source(t, map[string]string{"apps/pages/Dockerfile": "FROM docker.io/library/nginx:1.29\nUSER 65532\n"})
	_, err := p.call(dir, p.options(), "app", "--name", "pages", "build", "digest")
	refused(t, err, "build: ", "Dockerfile:1", "nginx:1.29")
}

func TestNetworkOfABuildIsRefused(t *testing.T) {
	t.Parallel()
	p := shared
	dir := source(t, map[string]string{"apps/pages/Dockerfile": "FROM scratch\nCOPY --chmod=0755 bin/${TARGETARCH}/pages /pages\nrun \\\n --network=host [\"/pages\"]\nUSER 65532\n"})
	_, err := p.call(dir, p.options(), "app", "--name", "pages", "build", "digest")
	refused(t, err, "build: refused by policy: Dockerfile:3: RUN --network=host: a build reaches no network")
}

func TestACheckoutThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	p := shared
	dir := source(t, nil)
	require.NoError(t, os.Remove(filepath.Join(dir, "slipway.yaml")))
	_, err := p.call(dir, p.options(), "app", "--name", "hello", "build", "digest")
	refused(t, err, "config: bad input: slipway.yaml: can't be read: ", "mend: add it at the repository's root")
	dir = source(t, nil)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, ".git")))
	git(t, dir, "init", "-q", "-b", "main")
	_, err = p.call(dir, p.options(), "app", "--name", "hello", "build", "digest")
	refused(t, err, "build: bad input: repository: has no commit at its head", "mend: commit the work")
}

// deadAddress is one that nobody listens at.
func deadAddress() string {
	dead := httptest.NewServer(http.NotFoundHandler())
	defer dead.Close()
	return dead.Listener.Addr().String()
}

func TestHostileNamesAreRefused(t *testing.T) {
	t.Parallel()
	p := shared
	for label, name := range map[string]string{
		"path": "../hello", "space": "he llo", "shell": "$(id)", "dash": "-hello", "newline": "hello\n", "long": strings.Repeat("a", 300),
	} {
		t.Run(label, func(t *testing.T) {
			t.Parallel()
			_, err := p.call(p.repo, p.options(), "app", "--name="+name, "build", "digest")
			refused(t, err, "app: bad input: app ", "is not a valid name")
			_, err = p.call(p.repo, p.options(), "infra", "--env="+name, "plan", "sha-256")
			refused(t, err, "plan: bad input: environment ", "is not a valid name")
		})
	}
	_, err := p.call(p.repo, p.options(), "signed", "--app", "hello", "--digest", "latest", "release", "--env", "dev", "commit")
	refused(t, err, `digest "latest"`, "is not a sha256 digest")
}

// published delivers hello and returns its digest.
func published(t testing.TB, p *platform) string {
	t.Helper()
	_, digest, ok := strings.Cut(deliver(t, p, p.repo, "hello", "dev").Image, "@")
	require.True(t, ok)
	return digest
}

func TestSignaturesAreVerifiedAtRelease(t *testing.T) {
	p := shared
	digest := published(t, p)
	release := []string{"signed", "--app", "hello", "--digest", digest, "release", "--env", "dev", "--older", "commit"}
	before := git(t, p.remote(t), "rev-parse", "HEAD")

	t.Run("wrong key", func(t *testing.T) {
		_, err := p.run(p.repo, "-m", "modules/sign", "call", "keygen", "--password", "file:"+p.file("password"), "export", "--path", p.file("other"))
		require.NoError(t, err)
		_, err = p.call(p.repo, p.options(), append([]string{"with-public-key", "--key", p.file("other/cosign.pub")}, release...)...)
		refused(t, err, "refused by policy", digest)
	})
	t.Run("missing signature", func(t *testing.T) {
		copyUnsigned(t, p, digest, indexType)
		_, err := p.call(p.repo, p.options(), append([]string{"with-registry", "--repository", "localhost:5000/unsigned", "--service", "tcp://" + p.sandbox}, release...)...)
		refused(t, err, "refused by policy", "no signature")
	})
	t.Run("a key without its password", func(t *testing.T) {
		require.NoError(t, os.WriteFile(p.file("wrong-password"), []byte("wrong"), 0o600))
		_, err := p.call(p.repo, append(p.place(), "--key", "file:"+p.file("keys/cosign.key"), "--key-password", "file:"+p.file("wrong-password")), release...)
		refused(t, err, "bad input", "password")
		// A checkout without the set-up's .env, which would give the password.
		_, err = p.call(source(t, nil), append(p.place(), "--key", "file:"+p.file("keys/cosign.key")),
			"app", "--name", "hello", "build", "scan", "publish", "sign", "reference")
		refused(t, err, "sign: bad input: signing key", "password is not given")
	})
	t.Run("a flipped byte in a blob", func(t *testing.T) {
		proxy := newProxy(t, p, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
			if !strings.Contains(r.URL.Path, "/hello/blobs/sha256:") {
				forward.ServeHTTP(w, r)
				return
			}
			recorder := httptest.NewRecorder()
			forward.ServeHTTP(recorder, r)
			body := recorder.Body.Bytes()
			if len(body) > 0 {
				body[len(body)/2] ^= 1
			}
			for key, values := range recorder.Header() {
				w.Header()[key] = values
			}
			w.WriteHeader(recorder.Code)
			_, _ = w.Write(body)
		})
		_, err := p.call(p.repo, p.options(), append([]string{"with-registry", "--service", "tcp://" + proxy}, release...)...)
		refused(t, err, "refused by policy", "sha256:")
	})
	assert.Equal(t, before, git(t, p.remote(t), "rev-parse", "HEAD"), "no refused release may leave a commit")
}

// copyUnsigned copies hello's index and all below it, but no referrers, into
// the repository unsigned/hello.
func copyUnsigned(t *testing.T, p *platform, digest, mediaType string) {
	t.Helper()
	status, manifest := fetch(t, p, "/v2/hello/manifests/"+digest, mediaType)
	require.Equal(t, http.StatusOK, status)
	var content struct {
		Manifests, Layers []struct{ MediaType, Digest string }
		Config            struct{ Digest string }
	}
	require.NoError(t, json.Unmarshal(manifest, &content))
	for _, child := range content.Manifests {
		copyUnsigned(t, p, child.Digest, child.MediaType)
	}
	blobs := []string{content.Config.Digest}
	for _, layer := range content.Layers {
		blobs = append(blobs, layer.Digest)
	}
	for _, blob := range blobs {
		if blob != "" {
			send(t, p, http.MethodPost, "/v2/unsigned/hello/blobs/uploads/?mount="+blob+"&from=hello", "", nil)
		}
	}
	send(t, p, http.MethodPut, "/v2/unsigned/hello/manifests/"+digest, mediaType, manifest)
}

func send(t *testing.T, p *platform, method, path, contentType string, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.sandbox+path, bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", contentType)
	req.SetBasicAuth(p.accounts["images"].Username, p.accounts["images"].Password)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusCreated, resp.StatusCode, path)
}

// newProxy forwards to the platform's sandbox through a handler and returns
// its address.
func newProxy(t *testing.T, p *platform, handle func(http.ResponseWriter, *http.Request, http.Handler)) string {
	t.Helper()
	target, err := url.Parse("http://" + p.sandbox)
	require.NoError(t, err)
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(w, r, forward) }))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	return "localhost:" + port
}

func TestRegistryThatAnswers500IsRetriedAndThenNamed(t *testing.T) {
	p := shared
	published(t, p) // build, scan and database are known, so that only publishing asks
	var asked atomic.Int32
	proxy := newProxy(t, p, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if strings.HasPrefix(r.URL.Path, "/v2/hello/") {
			asked.Add(1)
			http.Error(w, "out of order", http.StatusInternalServerError)
			return
		}
		forward.ServeHTTP(w, r)
	})
	_, err := p.call(p.repo, p.options(), "with-registry", "--service", "tcp://"+proxy, "app", "--name", "hello", "build", "scan", "publish", "reference")
	refused(t, err, "publish: infrastructure failure", "localhost:5000/hello")
	assert.Greater(t, asked.Load(), int32(1), "a 500 is tried again")
	assert.Less(t, asked.Load(), int32(20), "but not for ever")
}

func TestRemoteThatRejectsThePushIsNamed(t *testing.T) {
	p := shared
	digest := published(t, p)
	before := git(t, p.remote(t), "rev-parse", "HEAD")
	proxy := newProxy(t, p, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/git-receive-pack") {
			http.Error(w, "this branch is protected", http.StatusForbidden)
			return
		}
		forward.ServeHTTP(w, r)
	})
	// The environment's infrastructure is not what this is about.
	dir := source(t, map[string]string{"slipway.yaml": strings.Replace(read(t, p.repo+"/slipway.yaml"), "production: {}", "production: {infra: ignore}", 1)})
	_, err := p.call(dir, p.options(), "with-gitops", "--service", "tcp://"+proxy, "signed", "--app", "hello", "--digest", digest, "release", "--env", "production", "commit")
	refused(t, err, "release: ", "gitops.git")
	assert.Equal(t, before, git(t, p.remote(t), "rev-parse", "HEAD"))
}

// addedEnvironment is one that slipway.yaml doesn't have.
const addedEnvironment = "tofu"

// Where no executable is given, OpenTofu is compiled, plans and applies; another
// program can't apply what it has planned.
func TestOpenTofuProvisionsWhereNoTerraformIsGiven(t *testing.T) {
	t.Parallel()
	p := shared
	const env = addedEnvironment
	// A checkout without the set-up's .env, which would name the executable.
	dir := source(t, map[string]string{
		"slipway.yaml": strings.Replace(read(t, p.repo+"/slipway.yaml"), "  staging: {}\n", "  staging: {}\n  "+env+": {}\n", 1),
		"infra/builtin/environments/" + env + ".tfvars.json": strings.ReplaceAll(read(t, p.repo+"/infra/builtin/environments/staging.tfvars.json"), "staging", env),
	})
	infra := func(args ...string) string {
		out, err := p.call(dir, p.options(), append([]string{"infra", "--env", env, "plan"}, args...)...)
		require.NoError(t, err)
		return strings.TrimSpace(out)
	}
	assert.Regexp(t, `\AOpenTofu 1\.12\.6 \(sha256:[0-9a-f]{64}\)\z`, infra("program"))
	assert.Contains(t, infra("check", "apply", "outputs"), `"`+env+`"`)
	assert.Equal(t, "false", infra("changes"))
	status, state := fetch(t, p, "/state/builtin/"+env, "application/json")
	require.Equal(t, http.StatusOK, status)
	assert.Contains(t, string(state), `"terraform_version":"1.12.6"`)
}
