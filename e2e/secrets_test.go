//go:build e2e

package e2e

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// canary is a secret that is used, and that nothing may keep.
type canary struct {
	name, secret string
	forms        map[string][]byte
}

// newCanary knows every form that a secret takes on its way: each of its lines,
// encoded, escaped, and as the password of basic authentication (RFC 7617).
func newCanary(name, user, secret string) canary {
	c := canary{name: name, secret: secret, forms: map[string][]byte{}}
	quoted, _ := json.Marshal(secret)
	for form, text := range map[string]string{
		"as it is": secret, "hex": hex.EncodeToString([]byte(secret)), "url": url.QueryEscape(secret), "path": url.PathEscape(secret),
		"json": strings.Trim(string(quoted), `"`), "basic": base64.StdEncoding.EncodeToString([]byte(user + ":" + secret)),
	} {
		c.forms[form] = []byte(text)
	}
	for n, line := range strings.Split(secret, "\n") {
		if len(line) >= 16 {
			c.forms[fmt.Sprintf("line %d", n)] = []byte(line)
		}
	}
	// Whatever stands before it, in base64 it has one of three forms.
	for before := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + secret))
		c.forms[fmt.Sprintf("base64 %d", before)] = []byte(strings.TrimRight(encoded, "=")[4 : len(strings.TrimRight(encoded, "="))-2])
	}
	return c
}

func random() string { return rand.Text() }

// leaks are the canaries in a content: in it, in what it is the gzip of, and in
// the files of the zip that it is.
func leaks(content []byte, canaries []canary) []string {
	var found []string
	for _, c := range canaries {
		for form, text := range c.forms {
			if bytes.Contains(content, text) {
				found = append(found, c.name+" ("+form+")")
			}
		}
	}
	if bytes.HasPrefix(content, []byte("\x1f\x8b")) {
		if reader, err := gzip.NewReader(bytes.NewReader(content)); err == nil {
			inner, _ := io.ReadAll(reader) // a torn one is searched as far as it goes
			found = append(found, leaks(inner, canaries)...)
		}
	}
	if bytes.HasPrefix(content, []byte("PK\x03\x04")) {
		if reader, err := zip.NewReader(bytes.NewReader(content), int64(len(content))); err == nil {
			for _, file := range reader.File {
				if opened, err := file.Open(); err == nil {
					inner, _ := io.ReadAll(opened)
					_ = opened.Close()
					found = append(found, leaks(inner, canaries)...)
				}
			}
		}
	}
	return found
}

// search looks for canaries in every file below a folder that was written since.
func search(t *testing.T, folder string, since time.Time, canaries []canary) (found []string, files int) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone meanwhile, or not ours to see
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		info, err := entry.Info()
		if err != nil || info.ModTime().Before(since) {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		files++
		for _, leak := range leaks(content, canaries) {
			found = append(found, strings.TrimPrefix(path, folder)+": "+leak)
		}
		return nil
	})
	require.NoError(t, err)
	return found, files
}

func TestEvidenceCanariesAreFoundWhereTheyAre(t *testing.T) {
	c := newCanary("token", "bot", "line one "+random()+"\nline two "+random())
	lines := strings.Split(c.secret, "\n")
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write([]byte("before " + lines[1] + " after"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	inner, err := z.Create("tfplan")
	require.NoError(t, err)
	_, err = inner.Write([]byte(c.secret))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	for name, content := range map[string][]byte{
		"as it is": []byte("x" + c.secret + "x"), "one line": []byte("x" + lines[0] + "x"), "gzip": packed.Bytes(), "zip": archive.Bytes(),
		"basic":  []byte("Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("bot:"+c.secret))),
		"json":   []byte(`{"token":"` + strings.ReplaceAll(c.secret, "\n", `\n`) + `"}`),
		"base64": []byte(base64.StdEncoding.EncodeToString([]byte("password: " + c.secret + "\n"))),
		"hex":    []byte(hex.EncodeToString([]byte("a" + c.secret))),
	} {
		assert.NotEmpty(t, leaks(content, []canary{c}), name)
	}
	assert.Empty(t, leaks([]byte("line one line two"), []canary{c}))
}

// Every secret that the pipeline takes is used once by a whole delivery, and then
// looked for in everything that it wrote: the log, the registry, the Git remote,
// the Terraform state, and the engine's storage with its layers, plans, cache
// volumes and traces.
func TestEvidenceNoSecretIsKeptAnywhere(t *testing.T) {
	p := shared
	began := time.Now().Add(-time.Second)
	images, gitops, backend := p.accounts["images"], p.accounts["gitops/staging"], p.accounts["state/staging"]
	canaries := []canary{
		newCanary("key password", "", "first line "+random()+"\nsecond line "+random()),
		newCanary("registry password", images.Username, images.Password),
		newCanary("git token", gitops.Username, gitops.Password),
		newCanary("state password", backend.Username, backend.Password),
		newCanary("Terraform variable", "", "tf-"+random()),
	}
	variable, err := json.Marshal(map[string]string{"token": canaries[4].secret})
	require.NoError(t, err)
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return "file:" + path
	}
	var given []string
	for _, c := range canaries {
		given = append(given, file("secret", c.secret))
	}
	keys := t.TempDir()
	_, err = p.run(p.repo, "-m", "modules/sign", "call", "keygen", "--password", given[0], "export", "--path", keys)
	require.NoError(t, err)

	// A text that is no secret is looked for beside them: a search that does not
	// find it would find nothing.
	control := newCanary("control", "", "control "+random())
	dir := source(t, map[string]string{
		"apps/hello/greeting/extra.go": "package greeting\n\n// Extra makes another image.\nconst Extra = \"" + control.secret + "\"\n",
		// Terraform refuses a token that it does not get.
		"infra/builtin/token.tf": "variable \"token\" {\n  type      = string\n  ephemeral = true\n  validation {\n    condition     = startswith(var.token, \"tf-\")\n    error_message = \"There is no token.\"\n  }\n}\n",
	})
	log, out := p.logged(t, dir, append(slices.Concat([]string{"call"}, p.place(), []string{
		"--key", "file:" + filepath.Join(keys, "cosign.key"), "--key-password", given[0],
	}, p.terraform(t)),
		"with-registry", "--username", images.Username, "--password", given[1],
		"with-gitops", "--username", gitops.Username, "--token", given[2],
		"with-state", "--username", backend.Username, "--password", given[3],
		"with-infra-variables", "--variables", file("variables", string(variable)),
		"deliver", "--app", "hello", "--env", "staging", "--older", "json")...)
	assert.Contains(t, out, `"releaseCreated": true`)
	assert.Empty(t, leaks([]byte(log+out), canaries), "the log and the output")

	data := filepath.Join(p.dir, "sandbox")
	found, files := search(t, data, began, canaries)
	assert.Empty(t, found, "registry, Git remote and state")
	assert.Greater(t, files, 10)
	assert.Empty(t, leaks([]byte(git(t, p.remote(t), "log", "--all", "-p")), canaries), "the Git history")

	state := engineState(t, p)
	found, files = search(t, state, began, append(canaries, control))
	var controls int
	for _, leak := range found {
		if strings.Contains(leak, ": control (") {
			controls++
			continue
		}
		t.Error("the engine's storage: " + leak)
	}
	assert.Positive(t, controls, "the engine's storage was searched, and holds what is no secret")
	t.Logf("searched %d new files of the engine", files)
}

// logged runs the dagger CLI with everything it can tell, and returns that and
// its standard output.
func (p *platform) logged(t *testing.T, dir string, args ...string) (log, out string) {
	t.Helper()
	dagger, err := p.look("dagger")
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), dagger, append([]string{"--progress=plain", "-vvv"}, args...)...)
	cmd.Dir, cmd.Env = dir, p.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), end(stderr.String()))
	return stderr.String(), stdout.String()
}

var statePattern = regexp.MustCompile(`(?m)state[^/\n]*(/\S+)`)

// engineState is where the engine stores everything. One in Docker has it out of
// the tests' reach.
func engineState(t *testing.T, p *platform) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(repository(), ".slipway/bin/slipway-dev"), "engine", "status").CombinedOutput()
	require.NoError(t, err, string(out))
	match := statePattern.FindStringSubmatch(string(out))
	if match == nil {
		t.Skip("the engine's storage is not on this machine, so it is not searched: " + string(out))
	}
	return match[1]
}

// spy looks for everything that signs, from inside whatever it is compiled into.
const spy = `
import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// marks stand in every key file, and in the names of what it is handed over by.
var marks = []string{"ENCRYPTED " + "SIGSTORE PRIVATE KEY", "ENCRYPTED " + "COSIGN PRIVATE KEY", "PASSWORD-" + "CANARY"}

func look(root string, skip ...string) (found []string, files int) {
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		for _, folder := range skip {
			if folder != "" && path == folder {
				return fs.SkipDir
			}
		}
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		files++
		for _, mark := range marks {
			if bytes.Contains(content, []byte(mark)) {
				found = append(found, path)
			}
		}
		return nil
	})
	return found, files
}

// spyOut fails where a key is in a file or an environment, and where it could not
// have seen one: least is how many files there are at the least.
func spyOut(least int, skip ...string) error {
	planted := filepath.Join(os.TempDir(), "planted")
	if err := os.MkdirAll(planted, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(planted, "key"), []byte("-----BEGIN "+marks[0]), 0o600); err != nil {
		return err
	}
	if found, _ := look(planted); len(found) != 1 {
		return fmt.Errorf("the spy is blind")
	}
	if err := os.RemoveAll(planted); err != nil {
		return err
	}
	found, files := look("/", append(skip, "/proc", "/sys")...)
	if len(found) > 0 {
		return fmt.Errorf("keys lie at %v", found)
	}
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environs {
		content, _ := os.ReadFile(path)
		for _, mark := range append(marks, "COSIGN", "SLIPWAY_KEY") {
			if bytes.Contains(content, []byte(mark)) {
				return fmt.Errorf("the environment of %s names a key", path)
			}
		}
	}
	if len(environs) == 0 || files < least {
		return fmt.Errorf("nothing was searched: %d processes, %d files", len(environs), files)
	}
	return nil
}
`

// spyTest is a test of the delivered app itself. It runs where the app's tests run.
const spyTest = `package greeting

import (
	"os/exec"
	"strings"
	"testing"
)

func TestSpy(t *testing.T) {
	env := func(name string) string {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	if err := spyOut(10, env("GOROOT"), env("GOMODCACHE"), env("GOCACHE")); err != nil {
		t.Fatal(err)
	}
}
`

// canaryKey makes a key whose password can be told from any other text, and returns
// the pipeline's flags for it.
func canaryKey(t *testing.T, p *platform) []string {
	t.Helper()
	password := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(password, []byte("PASSWORD-CANARY "+random()), 0o600))
	keys := t.TempDir()
	_, err := p.run(p.repo, "-m", "modules/sign", "call", "keygen", "--password", "file:"+password, "export", "--path", keys)
	require.NoError(t, err)
	return append(p.place(), "--key", "file:"+filepath.Join(keys, "cosign.key"), "--key-password", "file:"+password)
}

const plantedKey = "-----BEGIN ENCRYPTED " + "SIGSTORE PRIVATE KEY-----\n"

func TestEvidenceTheAppsOwnTestsSeeNoKey(t *testing.T) {
	p := shared
	options := canaryKey(t, p)
	// The engine must not remember what an earlier spy saw.
	files := map[string]string{"apps/hello/greeting/spy.go": "package greeting\n" + spy + "\n// " + random() + "\n", "apps/hello/greeting/spy_test.go": spyTest}
	// The key is at work in the same call, after the tests.
	out, err := p.call(source(t, files), options, "app", "--name", "hello", "build", "scan", "publish", "sign", "reference")
	require.NoError(t, err)
	assert.Contains(t, out, "localhost:5000/hello@sha256:")

	// And a test that finds one would be heard.
	files["apps/hello/greeting/key.pem"] = plantedKey
	_, err = p.call(source(t, files), options, "app", "--name", "hello", "test")
	refused(t, err, "test: refused by policy: app hello", "keys lie at")
}

// spyProgram compiles the spy for this machine. It leaves /clean where it found nothing.
func spyProgram(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module spy\n\ngo 1.26.0\n", "spy.go": "package main\n" + spy,
		"main.go": "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() {\n\terr := spyOut(1)\n\tif err == nil {\n\t\terr = os.WriteFile(\"/clean\", nil, 0o644)\n\t}\n" +
			"\tif err != nil {\n\t\tfmt.Fprintln(os.Stderr, err)\n\t\tos.Exit(1)\n\t}\n}\n",
	} {
		write(t, filepath.Join(folder, name), text)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "spy", ".")
	build.Dir, build.Env = folder, append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	return read(t, filepath.Join(folder, "spy"))
}

func TestEvidenceAStepOfADockerfileSeesNoKey(t *testing.T) {
	p := shared
	options := canaryKey(t, p)
	dockerfile, ignore := read(t, p.repo+"/apps/pages/Dockerfile"), read(t, p.repo+"/apps/pages/.dockerignore")
	const last = "FROM scratch\n"
	require.Contains(t, dockerfile, last)
	// The engine must not remember what an earlier spy saw.
	files := map[string]string{
		"apps/pages/spy/spy": spyProgram(t), "apps/pages/spy/run": random(), "apps/pages/.dockerignore": ignore + "!spy\n",
		"apps/pages/app.yaml": read(t, p.repo+"/apps/pages/app.yaml") + "platforms: [linux/amd64]\n",
	}
	build := func(steps string) string {
		files["apps/pages/Dockerfile"] = strings.Replace(dockerfile, last, "FROM scratch AS spy\nCOPY --chmod=0755 spy/ /\n"+steps+last+"COPY --from=spy /clean /clean\n", 1)
		return source(t, files)
	}
	out, err := p.call(build("RUN [\"/spy\"]\n"), options,
		"app", "--name", "pages", "build", "scan", "publish", "sign", "reference")
	require.NoError(t, err)
	assert.Contains(t, out, "localhost:5000/pages@sha256:")

	for _, id := range []string{"key", "cosign.key", "SLIPWAY_KEY"} {
		_, err = p.call(build("RUN --mount=type=secret,id="+id+" [\"/spy\"]\n"), options, "app", "--name", "pages", "build", "digest")
		refused(t, err, "build: refused by policy: Dockerfile:", "RUN --mount secret "+id+": is not one of the build's secrets")
	}
	files["apps/pages/spy/key.pem"] = plantedKey
	_, err = p.call(build("RUN [\"/spy\"]\n"), options, "app", "--name", "pages", "build", "digest")
	refused(t, err, "build: bad input: app pages: Dockerfile: /spy fails for linux/amd64 with exit code 1: keys lie at [/key.pem]")
}
