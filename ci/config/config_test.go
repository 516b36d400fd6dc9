package config_test

import (
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"slipway/ci/config"
	"slipway/step"
	"slipway/step/printable"
	"slipway/step/result/scan"
	"slipway/step/steptest"
)

func shipped(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../" + config.File)
	require.NoError(t, err)
	return string(data)
}

func TestTheShippedConfigurationIsValid(t *testing.T) {
	c, err := config.Parse([]byte(shipped(t)))
	require.NoError(t, err)
	assert.Equal(t, "localhost:5000/hello", c.Image("hello"))
	assert.Equal(t, []string{"dev", "production", "staging"}, c.EnvironmentNames())
	assert.Equal(t, 48*time.Hour, c.Scan.Database.MaxAge)
	assert.Equal(t, scan.High, c.Scan.Policy.Threshold)
}

func TestConfigurationFaultsNameThePlace(t *testing.T) {
	for name, tc := range map[string]struct{ old, new, input, reason string }{
		"unknown key":            {"  branch: main", "  brnach: main", "slipway.yaml", "brnach"},
		"wrong type":             {"maxAge: 48h", "maxAge: soon", "slipway.yaml", "line"},
		"repository scheme":      {"repository: localhost:5000\n", "repository: https://localhost\n", `slipway.yaml: registry.repository "https://localhost"`, "is not a registry prefix"},
		"repository option":      {"repository: localhost:5000\n", "repository: --insecure\n", `slipway.yaml: registry.repository "--insecure"`, "is not a registry prefix"},
		"platform's remote":      {"registry:\n", "platform: {remote: git@github.com:acme/platform}\nregistry:\n", `slipway.yaml: platform.remote "git@github.com:acme/platform"`, "is not an http(s) URL"},
		"platform's branch":      {"registry:\n", "platform: {branch: a..b}\nregistry:\n", `slipway.yaml: platform.branch "a..b"`, "is not a branch name"},
		"protected by nothing":   {"  staging: {}\n", "  staging: {platform: protected}\n", "slipway.yaml: environments.staging.platform", "is protected, and nothing says by which branch"},
		"an unknown cluster":     {"  staging: {}\n", "  staging: {cluster: aks}\n", `slipway.yaml: environments.staging.cluster "aks"`, "is not a demand"},
		"an unknown demand":      {"  staging: {}\n", "  staging: {platform: clean}\n", `slipway.yaml: environments.staging.platform "clean"`, "is not a demand"},
		"token in the remote":    {"http://localhost:5000/gitops.git", "https://u:p@example.test/x.git", `slipway.yaml: gitops.remote "https://u:xxxxx@example.test/x.git"`, "is not an http(s) URL without credentials"},
		"ssh remote":             {"http://localhost:5000/gitops.git", "git@example.test:x.git", `slipway.yaml: gitops.remote "git@example.test:x.git"`, "is not an http(s) URL without credentials"},
		"root outside":           {"root: gitops", "root: ../gitops", `slipway.yaml: gitops.root "../gitops"`, "is not a folder inside the repository"},
		"branch option":          {"branch: main", "branch: --upload-pack=x", `slipway.yaml: gitops.branch "--upload-pack=x"`, "is not a branch name"},
		"author":                 {"name: Slipway", `name: "a\nb"`, `slipway.yaml: gitops.author.name "a\nb"`, "is not an author name"},
		"e-mail":                 {"slipway@localhost", "nobody", `slipway.yaml: gitops.author.email "nobody"`, "is not an e-mail address"},
		"key outside":            {`publicKey: ""`, "publicKey: ../key", `slipway.yaml: signing.publicKey "../key"`, "is not a path inside the repository"},
		"key not taken":          {`publicKey: ""`, "publicKey: cosign.pub", `slipway.yaml: signing.publicKey "cosign.pub"`, "is not a path below apps, gitops or infra"},
		"environment name":       {"staging: {}", "../staging: {}", `slipway.yaml: environments "../staging"`, "is not a valid name"},
		"database tag":           {`tag: "2"`, `tag: "../2"`, `slipway.yaml: scan.database.tag "../2"`, "is not a tag"},
		"cluster over http":      {"server: https://localhost:6443", "server: http://localhost:6443", `slipway.yaml: cluster.server "http://localhost:6443"`, "is not an https URL"},
		"image by a tag":         {"  root: gitops\n", "  root: gitops\n  images: [\"a@sha256:" + strings.Repeat("0", 64) + "\", \"redis:8\"]\n", `slipway.yaml: gitops.images[1] "redis:8"`, "is not pinned by digest"},
		"image by both":          {"  root: gitops\n", "  root: gitops\n  images: [\"redis:8@sha256:" + strings.Repeat("0", 64) + "\"]\n", `slipway.yaml: gitops.images[0] "redis:8@sha256:` + strings.Repeat("0", 64) + `"`, "is not pinned by digest"},
		"image by a URL":         {"  root: gitops\n", "  root: gitops\n  images: [\"https://a/b@sha256:" + strings.Repeat("0", 64) + "\"]\n", `slipway.yaml: gitops.images[0] "https://a/b@sha256:` + strings.Repeat("0", 64) + `"`, "is not pinned by digest"},
		"base not pinned":        {"build:\n", "build:\n  bases: {\"node:22\": \"node:22\"}\n", `slipway.yaml: build.bases: "node:22"`, `gets "node:22", which is not pinned by digest`},
		"base by a short digest": {"build:\n", "build:\n  bases: {\"node:22\": \"node@sha256:12\"}\n", `slipway.yaml: build.bases: "node:22"`, "is not pinned by digest"},
		"base of a digest":       {"build:\n", "build:\n  bases: {\"node@sha256:12\": \"node\"}\n", `slipway.yaml: build.bases: "node@sha256:12"`, "is not a name of an image without a digest"},
		"base that is a flag":    {"build:\n", "build:\n  bases: {\"--platform=x\": \"node\"}\n", `slipway.yaml: build.bases: "--platform=x"`, "is not a name of an image"},
		"npm over http":          {"build:\n", "build:\n  npm: {registry: http://registry.example/npm}\n", `slipway.yaml: build.npm.registry "http://registry.example/npm"`, "is not an https URL"},
		"npm with a token":       {"build:\n", "build:\n  npm: {registry: https://u:p@registry.example}\n", `slipway.yaml: build.npm.registry "https://u:xxxxx@registry.example"`, "is not an https URL"},
		"pip over http":          {"build:\n", "build:\n  pip: {index: http://index.example/simple}\n", `slipway.yaml: build.pip.index "http://index.example/simple"`, "is not an https URL"},
		"pip with a query":       {"build:\n", "build:\n  pip: {index: 'https://index.example/simple?x'}\n", `slipway.yaml: build.pip.index "https://index.example/simple?x"`, "is not an https URL"},
		"wildcard of hosts":      {"build:\n", "build:\n  network: [\"*.example.org:443\"]\n", `slipway.yaml: build.network: "*.example.org:443"`, "names no host"},
		"cluster namespace":      {"namespace: argocd", "namespace: ../argocd", `slipway.yaml: cluster.namespace "../argocd"`, "is not a valid name"},
		"no age":                 {"maxAge: 48h", "maxAge: 0s", `slipway.yaml: scan.database.maxAge "0s"`, "is not a positive duration"},
		"policy":                 {"threshold: HIGH", "threshold: SEVERE", `slipway.yaml: scan.policy.threshold "SEVERE"`, "is not a severity"},
		"requirement":            {"require: tests", "require: test", `slipway.yaml: verification.rules[2].require "test"`, "is not a requirement"},
		"rule's environment":     {"environments: [production]", "environments: [prod]", `slipway.yaml: verification.rules[1].environments "prod"`, "is not an environment"},
		"second document":        {"# The platform's", "--- \na: b\n---\n#", "slipway.yaml", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := shipped(t)
			require.Contains(t, text, tc.old)
			_, err := config.Parse([]byte(strings.Replace(text, tc.old, tc.new, 1)))
			f, ok := step.AsFault(err)
			require.True(t, ok, "want a fault, got %v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, tc.input, f.Input)
			assert.Contains(t, f.Reason, tc.reason)
			assert.NotEmpty(t, f.Mend)
		})
	}
	_, err := config.Parse(nil)
	require.ErrorContains(t, err, "the file is empty")
}

func TestEnvironmentRefusesHostileAndUnknownNames(t *testing.T) {
	c, err := config.Parse([]byte(shipped(t)))
	require.NoError(t, err)
	_, err = c.Environment("release", "dev")
	require.NoError(t, err)
	for _, name := range []string{"../dev", "a b", "$(id)", "-dev", "dev\n", "", strings.Repeat("a", 300), "qa"} {
		_, err := c.Environment("release", name)
		f, ok := step.AsFault(err)
		require.True(t, ok, name)
		assert.Equal(t, step.KindInput, f.Kind)
		assert.Equal(t, "release", f.Stage)
	}
}

const goodApp = "name: hello\ndescription: says hello\nbuild: {kind: go, package: ./cmd/hello}\nport: 8080\n"

func TestAppDescriptor(t *testing.T) {
	a, err := new(config.Config).App("hello", []byte(goodApp))
	require.NoError(t, err)
	assert.Equal(t, config.KindGo, a.Build.Kind)
	assert.Equal(t, config.PackagingKustomize, a.Packaging)
	a, err = new(config.Config).App("hello", []byte(goodApp+"packaging: helm\n"))
	require.NoError(t, err)
	assert.Equal(t, config.PackagingHelm, a.Packaging)

	for name, tc := range map[string]struct{ old, new, input string }{
		"another name": {"name: hello", "name: other", `apps/hello/app.yaml: name "other"`},
		"no port":      {"8080", "0", "apps/hello/app.yaml: port 0"},
		"kind":         {"kind: go", "kind: nix", `apps/hello/app.yaml: build.kind "nix"`},
		"package":      {"./cmd/hello", "./../other", `apps/hello/app.yaml: build.package "./../other"`},
		"option":       {"./cmd/hello", "-toolexec=x", `apps/hello/app.yaml: build.package "-toolexec=x"`},
		"packaging":    {"port: 8080", "port: 8080\npackaging: Helm", `apps/hello/app.yaml: packaging "Helm"`},
		"annotation":   {"port: 8080", "port: 8080\nannotations: {\"a b\": c}", `apps/hello/app.yaml: annotations: "a b"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := new(config.Config).App("hello", []byte(strings.Replace(goodApp, tc.old, tc.new, 1)))
			f, ok := step.AsFault(err)
			require.True(t, ok, "want a fault, got %v", err)
			assert.Equal(t, tc.input, f.Input)
		})
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]struct {
		hostPort string
		local    bool
	}{
		"http://localhost:5000/gitops.git": {"localhost:5000", true},
		"//localhost:5000":                 {"localhost:5000", true},
		"//registry.example.test/acme":     {"registry.example.test:443", false},
		"http://127.0.0.1/x":               {"127.0.0.1:80", true},
		"https://localhost.example.test":   {"localhost.example.test:443", false},
	} {
		got, err := config.HostPort(address)
		require.NoError(t, err, address)
		assert.Equal(t, want.hostPort, got)
		assert.Equal(t, want.local, config.Local(address), address)
	}
	_, err := config.HostPort("/no/host")
	require.ErrorContains(t, err, "has no host")
}

// TestDescriptorTakesNoHostileText: a description and annotations end in labels, and
// an author in commits, where other programs print them.
func TestDescriptorTakesNoHostileText(t *testing.T) {
	for _, text := range steptest.Hostile() {
		if len(text) > 1000 {
			continue
		}
		for _, more := range []map[string]any{{"description": text}, {"annotations": map[string]any{"example.com/a": text}}, {"annotations": map[string]any{text: "a"}}} {
			descriptor := map[string]any{"name": "hello", "port": 8080, "build": map[string]any{"kind": "go", "package": "./cmd/hello"}}
			maps.Copy(descriptor, more)
			data, err := yaml.Marshal(descriptor)
			require.NoError(t, err)
			app, err := new(config.Config).App("hello", data)
			if err != nil {
				steptest.Printable(t, steptest.Refused(t, err).Error())
				continue
			}
			for _, label := range app.Labels() {
				assert.True(t, printable.IsLine(label), "%q", label)
				assert.Empty(t, steptest.Obeyed(label))
			}
		}
		author := "author:\n    name: Slipway\n"
		require.Contains(t, shipped(t), author)
		quoted, err := json.Marshal(text)
		require.NoError(t, err)
		c, err := config.Parse([]byte(strings.Replace(shipped(t), author, "author:\n    name: "+string(quoted)+"\n", 1)))
		if err == nil {
			assert.True(t, printable.IsLine(c.GitOps.Author.Name), "%q", text)
		}
	}
}
