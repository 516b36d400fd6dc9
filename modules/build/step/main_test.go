package main

import (
	"archive/tar"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	fake "github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/build/step/internal/testinput"
	"slipway/step"
)

// run does what main does, without the exit, and reads result.json back.
func run(t *testing.T, args ...string) (map[string]any, string, error) {
	t.Helper()
	step.Progress = io.Discard
	out := filepath.Join(t.TempDir(), "out") // the program makes it
	where, work, err := commands.Parse("build", append(args, "--out", out))
	require.NoError(t, err)
	require.Equal(t, out, where)
	value, err := work(t.Context())
	require.NoError(t, step.Write(out, value, err))
	data, err := os.ReadFile(filepath.Join(out, step.ResultFile))
	require.NoError(t, err)
	var got map[string]any
	return got, out, step.Decode(data, &got)
}

func keys(m map[string]any) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

func TestFromBinariesToRegistryAndBack(t *testing.T) {
	server := httptest.NewUnstartedServer(fake.New(fake.Logger(log.New(io.Discard, "", 0))))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	defer server.Close()
	connect := "localhost:5000=" + server.Listener.Addr().String()

	built, out, err := run(t, "assemble",
		"--binary", "linux/amd64="+testinput.Static(t, elf.EM_X86_64), "--binary", "linux/arm64="+testinput.Static(t, elf.EM_AARCH64),
		"--zoneinfo", testinput.Zoneinfo(t), "--port", "8080", "--label", "org.opencontainers.image.title=hello", "--tree", testinput.Tree(t))
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"digest", "platforms", "revision"}, keys(built))
	platforms := built["platforms"].([]any)
	require.Len(t, platforms, 2)
	assert.ElementsMatch(t, []string{"platform", "digest", "size", "user"}, keys(platforms[0].(map[string]any)))
	digest := built["digest"].(string)

	layout := filepath.Join(out, "layout")
	published, _, err := run(t, "publish", "--layout", layout, "--digest", digest, "--repository", "localhost:5000/hello", "--connect", connect)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"reference": "localhost:5000/hello@" + digest, "digest": digest, "pushed": true, "uploadedBlobs": json.Number("5"), "uploadedManifests": json.Number("3"),
	}, published)

	verified, _, err := run(t, "fetch-verify", "--reference", "localhost:5000/hello@"+digest, "--connect", connect)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"reference", "digest", "manifests", "blobs", "bytes"}, keys(verified))
	assert.Equal(t, json.Number("5"), verified["blobs"])

	pulled, out, err := run(t, "pull", "--reference", "localhost:5000/hello@"+digest, "--connect", connect)
	require.NoError(t, err)
	assert.Equal(t, verified, pulled)
	assert.Equal(t, files(t, layout), files(t, filepath.Join(out, "layout")), "what was pulled is byte for byte what was pushed")

	// The platform's image can be made normal again from the index.
	again, _, err := run(t, "normalize", "--image", "linux/amd64="+layout, "--tree", testinput.Tree(t))
	require.NoError(t, err)
	assert.Equal(t, "65532:65532", again["platforms"].([]any)[0].(map[string]any)["user"])
}

// files are the files below dir, by their path in it.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		found[path] = string(data)
		return err
	}))
	return found
}

const pin = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// app makes an app's folder.
func app(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	return dir
}

func TestDockerfileCheck(t *testing.T) {
	dir := app(t, map[string]string{
		"Dockerfile":    "ARG TAG\nFROM golang:${TAG}" + pin + "\nRUN --mount=type=secret,id=token true\nFROM scratch AS other\n",
		".dockerignore": "# a note\n*\n!/bin/ \n",
	})
	got, _, err := run(t, "dockerfile-check", "--source", dir, "--build-arg", "TAG=1.26", "--platform", "linux/amd64", "--secret", "token")
	require.NoError(t, err)
	data, err := json.Marshal(got)
	require.NoError(t, err)
	assert.JSONEq(t, `{"bases":[{"line":2,"instruction":"FROM","reference":"golang:1.26`+pin+`","kind":"image"},{"line":4,"instruction":"FROM","reference":"scratch","kind":"scratch"}],
		"fetches":null,"configs":null,"ignore":["*","!bin"]}`, string(data))

	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile.dockerignore"), []byte("docs\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM golang"+pin+"\n"), 0o644))
	got, _, err = run(t, "dockerfile-check", "--source", dir, "--platform", "linux/amd64")
	require.NoError(t, err)
	assert.Equal(t, []any{"docs"}, got["ignore"])
	assert.Equal(t, []any{map[string]any{"build": "linux/amd64", "platform": "linux/amd64", "reference": "golang" + pin}}, got["configs"])

	for name, tc := range map[string]struct {
		files map[string]string
		args  []string
		want  []any
	}{
		"tag":                 {map[string]string{"Dockerfile": "FROM golang:1.26\n"}, nil, []any{step.KindPolicy, "build", "apps/web/Dockerfile:1"}},
		"target that is none": {map[string]string{"Dockerfile": "FROM scratch\n"}, []string{"--target", "test"}, []any{step.KindInput, "build", `apps/web/Dockerfile: target "test"`}},
		"bad ignore file":     {map[string]string{"Dockerfile": "FROM scratch\n", ".dockerignore": "[\n"}, nil, []any{step.KindInput, "build", ".dockerignore"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := run(t, append([]string{"dockerfile-check", "--source", app(t, tc.files), "--platform", "linux/amd64", "--display", "apps/web/Dockerfile"}, tc.args...)...)
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, tc.want, []any{f.Kind, f.Stage, f.Input})
		})
	}
}

// A link in an app's folder leads to nothing of the machine that builds it.
func TestDockerfileCheckStaysInsideTheFolder(t *testing.T) {
	dir := t.TempDir()
	outside := testinput.File(t, "Dockerfile", []byte("FROM scratch\n"))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "Dockerfile")))
	_, _, err := run(t, "dockerfile-check", "--source", dir, "--platform", "linux/amd64")
	f, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, []any{step.KindInput, "Dockerfile", "can't be read"}, []any{f.Kind, f.Input, f.Reason})
}

func TestDockerfileRewrite(t *testing.T) {
	_, base, err := run(t, "assemble", "--binary", "linux/amd64="+testinput.Static(t, elf.EM_X86_64), "--zoneinfo", testinput.Zoneinfo(t), "--tree", testinput.Tree(t))
	require.NoError(t, err)
	archive := filepath.Join(t.TempDir(), "base.tar")
	f, err := os.Create(archive)
	require.NoError(t, err)
	tw := tar.NewWriter(f)
	require.NoError(t, errors.Join(tw.AddFS(os.DirFS(filepath.Join(base, "layout"))), tw.Close(), f.Close()))
	dir := app(t, map[string]string{"Dockerfile": "FROM golang" + pin + "\nCOPY . /\nRUN <<E\n#!/x\nE\n"})
	args := []string{"dockerfile-rewrite", "--source", dir, "--platform", "linux/amd64", "--box", "run", "--box=--time=1m"}
	_, out, err := run(t, append(args, "--image", "golang"+pin+"=linux/amd64="+archive)...)
	require.NoError(t, err)
	found := files(t, out)
	assert.Equal(t, "FROM golang"+pin+"\nCOPY context/ /\nRUN --network=none --mount=type=bind,source=scripts/3,target=/~slipway/script "+
		"--mount=type=bind,source=box/amd64,target=/~slipway/box [\"/~slipway/box\",\"run\",\"--time=1m\",\"--\",\"/~slipway/script\"]\n\n\n", found["Dockerfile"])
	assert.Equal(t, "#!/x\n", found["scripts/3"])
	info, err := os.Stat(filepath.Join(out, "scripts", "3"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o755), info.Mode())

	_, out, err = run(t, append(args, "--packages", "--image", "golang"+pin+"=linux/amd64="+archive)...)
	require.NoError(t, err)
	assert.Contains(t, files(t, out)["Dockerfile"], "source=packages,target=/~slipway/packages")

	_, _, err = run(t, args...)
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, "has no config for linux/amd64", fault.Reason)
}

func TestPackagesFetch(t *testing.T) {
	value, out, err := run(t, "packages-fetch", "--npm", "https://registry.invalid", "--source", app(t, map[string]string{"package-lock.json": `{"lockfileVersion":3,"packages":{}}`, "requirements.txt": "# none\n"}))
	require.NoError(t, err)
	assert.Equal(t, []any{
		map[string]any{"path": "package-lock.json", "digest": "sha256:e25b3e26894b0261fafd86d044f10b48e92e8cd8670493effd8207ff149019e5"},
		map[string]any{"path": "requirements.txt", "digest": "sha256:a59b054e8ef7a3a30bbc7135d8060cd4fad8572b6ef2332669f9798870f86caa"},
	}, value["locks"])
	assert.Equal(t, "[]\n", files(t, out)["packages/index.json"])
}

func TestWrongFlagValuesAreInputFaults(t *testing.T) {
	for _, tc := range []struct {
		args  []string
		stage string
		input string
	}{
		{[]string{"assemble", "--binary", "x"}, "build", `--binary "x"`},
		{[]string{"assemble", "--label", "x"}, "build", `--label "x"`},
		{[]string{"assemble"}, "build", "--binary"},
		{[]string{"normalize", "--image", "x"}, "build", `--image "x"`},
		{[]string{"normalize", "--label", "x"}, "build", `--label "x"`},
		{[]string{"normalize"}, "build", "--image"},
		{[]string{"dockerfile-check", "--source", "/nonexistent", "--display", "Dockerfile"}, "build", "Dockerfile"},
		{[]string{"dockerfile-rewrite", "--source", "/nonexistent", "--display", "Dockerfile"}, "build", "Dockerfile"},
		{[]string{"dockerfile-check", "--build-arg", "x"}, "build", `--build-arg "x"`},
		{[]string{"packages-fetch", "--npm", "x"}, "build", `npm registry "x"`},
		{[]string{"packages-fetch", "--pip", "http://index.example"}, "build", `pip index "http://index.example"`},
		{[]string{"packages-fetch", "--connect", "x"}, "build", `--connect "x"`},
		{[]string{"packages-fetch", "--netrc", "/nonexistent"}, "build", "--netrc"},
		{[]string{"publish", "--repository", "$(id)"}, "publish", `--repository "$(id)"`},
		{[]string{"publish", "--repository", "localhost:5000/a", "--connect", "x"}, "publish", `--connect "x"`},
		{[]string{"publish", "--repository", "localhost:5000/a", "--username", "x"}, "publish", "--username and --registry-password-file"},
		{[]string{"publish", "--repository", "localhost:5000/a"}, "publish", `--digest ""`},
		{[]string{"fetch-verify", "--reference", "localhost:5000/a:v1"}, "verify", `--reference "localhost:5000/a:v1"`},
		{[]string{"pull", "--reference", "localhost:5000/a:v1"}, "pull", `--reference "localhost:5000/a:v1"`},
		{[]string{"pull", "--reference", "localhost:5000/a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "--connect", "x"}, "pull", `--connect "x"`},
		{[]string{"publish-folder", "--repository", "localhost:5000/a:v1"}, "publish", `--repository "localhost:5000/a:v1"`},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			_, _, err := run(t, tc.args...)
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, []any{step.KindInput, tc.stage, tc.input}, []any{f.Kind, f.Stage, f.Input})
			assert.NotEmpty(t, f.Mend)
		})
	}
}

func TestUsage(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, "usage: build assemble|committed|dockerfile-check|dockerfile-rewrite|fetch-verify|normalize|order|packages-fetch|publish|publish-folder|pull|unpack [flags]"},
		{[]string{"deploy"}, "usage: "},
		{[]string{"publish"}, "--out is missing"},
		{[]string{"publish", "--out", "x", "more"}, `takes no argument: "more"`},
	} {
		_, _, err := commands.Parse("build", tc.args)
		assert.ErrorContains(t, err, tc.want)
	}
}

func TestAFolderGoesToARegistryAndBack(t *testing.T) {
	server := httptest.NewServer(fake.New(fake.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	connect := "localhost:5000=" + server.Listener.Addr().String()
	source := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(source, "scan"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(source, "scan", "trivy"), []byte("trivy"), 0o755))
	publish := []string{"publish-folder", "--folder", source, "--repository", "localhost:5000/toolbox", "--connect", connect}
	published, _, err := run(t, publish...)
	require.NoError(t, err)
	digest := published["digest"].(string)
	assert.Equal(t, map[string]any{
		"reference": "localhost:5000/toolbox@" + digest, "digest": digest, "pushed": true, "uploadedBlobs": json.Number("2"), "uploadedManifests": json.Number("2"),
	}, published)
	again, _, err := run(t, publish...)
	require.NoError(t, err)
	assert.Equal(t, digest, again["digest"], "the same files are the same image")
	assert.Equal(t, false, again["pushed"])

	_, out, err := run(t, "pull", "--reference", "localhost:5000/toolbox@"+digest, "--connect", connect)
	require.NoError(t, err)
	unpacked, out, err := run(t, "unpack", "--layout", filepath.Join(out, "layout"))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"digest": digest, "files": json.Number("1")}, unpacked)
	assert.Equal(t, map[string]string{"scan/trivy": "trivy"}, files(t, filepath.Join(out, "files")))

	_, _, err = run(t, "unpack", "--layout", source)
	require.ErrorContains(t, err, "is not an OCI image layout")
}
