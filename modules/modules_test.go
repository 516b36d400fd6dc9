//go:build engine

package modules

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/engine"
	"slipway/step"
	"slipway/step/result/build"
)

// dagger runs the CLI on the module in a folder of modules/.
func dagger(t *testing.T, module string, args ...string) (string, error) {
	t.Helper()
	out, log, err := daggerLog(t, module, args...)
	if err != nil {
		t.Log(log)
	}
	return out, err
}

// daggerLog is dagger with what it said beside its result.
func daggerLog(t *testing.T, module string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	launcher, err := engine.NewLauncher(".", engine.NewProgress(os.Stderr))
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), filepath.Join(launcher.Dirs.CLI(), "dagger"), append([]string{"--progress=plain", "-m", module}, args...)...)
	cmd.Env = append(os.Environ(), launcher.Environ(t.Context())...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	return out.String(), log.String(), err
}

func must(t *testing.T, module string, args ...string) string {
	t.Helper()
	out, err := dagger(t, module, args...)
	require.NoError(t, err)
	return out
}

func TestEveryFunctionHasHelp(t *testing.T) {
	t.Parallel()
	for module, functions := range map[string][]string{
		"toolchain": {"go", "version"},
		"toolbox":   {"binaries", "binary", "debian", "go", "module-files", "modules", "runner", "scratch", "seal", "step", "test-program", "toolchain", "unseal", "zoneinfo"},
		"build":     {"assemble", "box", "dockerfile", "go-app", "normalize", "publish", "publish-folder", "pull", "pull-folder", "verify", "with-account"},
		"scan":      {"config", "database", "database-digest", "image", "programs", "publish-database", "trivy", "with-account"},
		"sign":      {"identities", "identity", "key", "key-file", "keygen", "kms-key", "public-key", "vault-key", "with-account"},
		"infra":     {"programs", "root", "tofu"},
		"gitops":    {"check-commit", "cluster", "helm", "programs", "render", "repository"},
		"drill":     {"flipped", "graft", "resolve", "seed", "service", "sigstore", "tag"},
		"sandbox":   {"argocd", "cluster", "cni", "containerd", "coredns", "etcd", "helm", "kubectl-provider", "kubernetes", "kustomize", "kyverno", "node-image", "programs", "publish"},
	} {
		t.Run(module, func(t *testing.T) {
			t.Parallel()
			listed := map[string]string{}
			for _, line := range strings.Split(must(t, module, "functions", "-s"), "\n") {
				if name, help, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
					listed[name] = strings.TrimSpace(help)
				}
			}
			for _, name := range functions {
				assert.NotEmpty(t, listed[name], "%s has no help", name)
				assert.NotEqual(t, "-", listed[name], "%s has no help", name)
			}
		})
	}
}

func TestToolchainIsThePinnedOne(t *testing.T) {
	t.Parallel()
	assert.Contains(t, must(t, "toolchain", "call", "go", "file", "--path", "VERSION", "contents"), "go1.26.8\n")
}

// The scan's program starts what it scans with as it starts Trivy, in the container
// that it runs in: the probe looks from inside.
func TestTheScannerOpensNoSocketInTheEngine(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module probe\n\ngo 1.26.0\n",
		"main.go": `package main

import (
	"fmt"
	"os"
	"syscall"
)

func main() {
	for _, family := range []int{syscall.AF_INET, syscall.AF_INET6, syscall.AF_UNIX, syscall.AF_NETLINK} {
		_, err := syscall.Socket(family, syscall.SOCK_DGRAM, 0)
		fmt.Println("socket", family, err)
	}
	entries, err := os.ReadDir("/secrets")
	fmt.Println("secrets", len(entries), os.IsNotExist(err))
}
`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644))
	}
	build := func(source, program string) string {
		out := filepath.Join(folder, program)
		cmd := exec.Command("go", "build", "-o", out, ".")
		cmd.Dir, cmd.Env = source, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
		text, err := cmd.CombinedOutput()
		require.NoError(t, err, string(text))
		return out
	}
	step, probe := build("scan/step", "step"), build(folder, "probe")
	run := func(args ...string) string {
		return must(t, "toolbox", "call", "runner", "--program", step, "with-file", "--path", "/probe", "--source", probe,
			"with-exec", "--args", strings.Join(args, ","), "stdout")
	}
	assert.Contains(t, run("/probe"), "socket 2 <nil>", "the container itself has a network")
	confined := run("/step", "confined", "/probe")
	for _, family := range []int{2, 10, 1, 16} {
		assert.Contains(t, confined, fmt.Sprintf("socket %d operation not permitted", family))
	}
	assert.Contains(t, confined, "secrets 0 true")
}

func TestToolboxBuildsTheSameBytesTwice(t *testing.T) {
	t.Parallel()
	module := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module probe\n\ngo 1.26.0\n",
		"main.go": "package main\n\nfunc main() { println(\"probe\") }\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(module, name), []byte(text), 0o644))
	}
	a, b := filepath.Join(module, "a"), filepath.Join(module, "b")
	must(t, "toolbox", "call", "binary", "--source", module, "--pkg", ".", "export", "--path", a)
	// A new file beside the source makes the second a new compilation.
	require.NoError(t, os.WriteFile(filepath.Join(module, "note.txt"), []byte("another"), 0o644))
	must(t, "toolbox", "call", "binary", "--source", module, "--pkg", ".", "export", "--path", b)
	first, err := os.ReadFile(a)
	require.NoError(t, err)
	second, err := os.ReadFile(b)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(first, second), "the same source gave other bytes")
	out, err := exec.Command(a).CombinedOutput()
	require.NoError(t, err)
	assert.Equal(t, "probe\n", string(out))
}

func TestProgramsBelongToTheirSources(t *testing.T) {
	t.Parallel()
	sources, programs, sealed := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "sealed")
	write := func(folder, name, text string) {
		t.Helper()
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644))
	}
	write(sources, "main.go", "package main\n")
	write(programs, "step", "a program")
	must(t, "toolbox", "call", "seal", "--sources", sources, "--programs", programs, "export", "--path", sealed)
	unseal := func(programs string) (string, string, error) {
		return daggerLog(t, "toolbox", "call", "unseal", "--name", "probe", "--sources", sources, "--programs", programs, "file", "--path", "step", "contents")
	}
	refused := func(programs, reason string) {
		t.Helper()
		_, log, err := unseal(programs)
		require.Error(t, err)
		assert.Contains(t, log, reason)
		assert.Contains(t, log, "mend: ")
	}

	out, _, err := unseal(sealed)
	require.NoError(t, err)
	assert.Equal(t, "a program", strings.TrimSpace(out))
	write(sources, "main_test.go", "package main\n")
	_, _, err = unseal(sealed)
	require.NoError(t, err, "tests don't get into programs")

	refused(programs, "holds no programs for probe")
	write(sources, "main.go", "package main\n\n// Another.\n")
	refused(sealed, "the programs for probe were compiled from other sources: h1:")
}

// goApp writes a Go module whose tests are body, and returns its folder.
func goApp(t *testing.T, imports, body string) string {
	t.Helper()
	module := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":       "module probe\n\ngo 1.26.0\n",
		"probe.go":     "package probe\n",
		"note_test.go": "package probe\n\nimport (\n" + imports + "\t\"testing\"\n)\n\nfunc TestNote(t *testing.T) {\n" + body + "\n}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(module, name), []byte(text), 0o644))
	}
	return module
}

// boxedTest runs an app's tests in the box and returns its result.
func boxedTest(t *testing.T, module string, limits ...string) (tests build.Tests, err error) {
	t.Helper()
	args := []string{"call", "go-app", "--name", "probe", "--zone", "probe", "--source", module}
	if len(limits) > 0 {
		args = append(args, "--limits", strings.Join(limits, ","))
	}
	out := must(t, "build", append(args, "test", "file", "--path", "result.json", "contents")...)
	err = step.Decode([]byte(out), &tests)
	return tests, err
}

func TestTheBoxSaysWhetherTheAppsTestsPass(t *testing.T) {
	t.Parallel()
	tests, err := boxedTest(t, goApp(t, "", `t.Log("fine")`))
	require.NoError(t, err)
	assert.Equal(t, build.Counts{Passed: 1}, tests.Counts)

	for name, tc := range map[string]struct{ body, reason, detail string }{
		"a failing test":    {`t.Fatal("this app is broken")`, "its own tests fail", "this app is broken"},
		"a fault of go vet": {`t.Errorf("%d", "vet sees this")`, "go vet finds fault with it", "Errorf format %d has arg"},
		"an endless test":   {`for { }`, "hits the limit of time: it did not end within 20s", ""},
	} {
		_, err := boxedTest(t, goApp(t, "", tc.body), "time=20s")
		fault, ok := step.AsFault(err)
		require.True(t, ok, name)
		assert.Equal(t, step.KindPolicy, fault.Kind, name)
		assert.Contains(t, fault.Reason, tc.reason, name)
		assert.Contains(t, strings.Join(fault.Details, "\n"), tc.detail, name)
	}
}

// A refusal is not kept: what failed by chance is tried again, and what passed is
// kept.
func TestAFailedTestRunsAgain(t *testing.T) {
	t.Parallel()
	const chance = "if time.Now().UnixNano()%5 != 0 {\n\t\tt.Fatal(\"by chance\")\n\t}"
	module := goApp(t, "\t\"time\"\n", chance)
	var first build.Tests
	require.Eventually(t, func() bool {
		tests, err := boxedTest(t, module)
		first = tests
		return err == nil
	}, 10*time.Minute, time.Millisecond)
	second, err := boxedTest(t, module)
	require.NoError(t, err)
	assert.Equal(t, first, second)
}

// attempts is a Go program's text that says what it can reach: each line is an
// attempt that succeeded.
const attempts = `
	interfaces, err := net.Interfaces()
	if err != nil {
		panic(err)
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
			fmt.Println("reached: an interface")
		}
	}
	for _, address := range []string{"127.0.0.1:5000", "10.87.0.1:5000", "10.87.0.1:53", "[::1]:5000"} {
		if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			conn.Close()
			fmt.Println("reached: " + address)
		}
	}
	for _, file := range []string{"/cache/attack", "/go/pkg/mod/attack", "/usr/local/go/src/attack", "/.slipway/box", "/out/result.json", "/etc/attack"} {
		if os.WriteFile(file, nil, 0o644) == nil {
			fmt.Println("reached: " + file)
		}
	}
	if os.Getuid() == 0 {
		fmt.Println("reached: root")
	}
`

// TestAnAppsTestsReachNothing, and a control that shows that the attempts would be
// seen.
func TestAnAppsTestsReachNothing(t *testing.T) {
	t.Parallel()
	const imports = "\t\"fmt\"\n\t\"net\"\n\t\"os\"\n\t\"time\"\n"
	_, err := boxedTest(t, goApp(t, imports, attempts+"\tt.Fatal(\"that was all\")"))
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Contains(t, strings.Join(fault.Details, "\n"), "that was all")
	assert.NotContains(t, strings.Join(fault.Details, "\n"), "reached:")

	control := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module control\n\ngo 1.26.0\n",
		"main.go": "package main\n\nimport (\n" + imports + ")\n\nfunc main() {\n" + attempts + "}\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(control, name), []byte(text), 0o644))
	}
	program := filepath.Join(control, "control")
	must(t, "toolbox", "call", "binary", "--source", control, "--pkg", ".", "export", "--path", program)
	out := must(t, "toolbox", "call", "runner", "--program", program, "with-exec", "--args", "/step", "stdout")
	assert.Contains(t, out, "reached: an interface")
	assert.Contains(t, out, "reached: root")
	assert.Contains(t, out, "reached: /etc/attack")
}

// publicKey is the key of a PEM certificate.
func publicKey(t *testing.T, certificate string) []byte {
	t.Helper()
	block, _ := pem.Decode([]byte(certificate))
	require.NotNil(t, block, certificate)
	parsed, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	return parsed.RawSubjectPublicKeyInfo
}

// Nothing of this starts a cluster: it follows from the seed.
func TestClusterTellsHowItIsReached(t *testing.T) {
	t.Parallel()
	seed := filepath.Join(t.TempDir(), "seed")
	require.NoError(t, os.WriteFile(seed, []byte(strings.Repeat("only for tests ", 3)), 0o600))
	call := func(args ...string) (string, string, error) {
		return daggerLog(t, "sandbox", append([]string{"call", "cluster", "--seed", "file:" + seed, "--gitops", "../gitops"}, args...)...)
	}
	for want, args := range map[string][]string{
		"https://localhost:8443": {"argocd", "server"},
		"https://argocd.example": {"argocd", "--server", "https://argocd.example", "server"},
		"admin":                  {"argocd", "username"},
	} {
		out, _, err := call(args...)
		require.NoError(t, err)
		assert.Equal(t, want, strings.TrimSpace(out))
	}
	password, _, err := call("argocd", "password", "plaintext")
	require.NoError(t, err)
	assert.GreaterOrEqual(t, len(strings.TrimSpace(password)), 20)
	certificate, _, err := call("argocd", "certificate", "contents")
	require.NoError(t, err)
	kubeconfig, _, err := call("kubeconfig", "plaintext")
	require.NoError(t, err)
	var reached struct {
		Clusters []struct {
			Cluster struct {
				Authority []byte `json:"certificate-authority-data"`
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(kubeconfig), &reached))
	require.Len(t, reached.Clusters, 1)
	assert.Equal(t, publicKey(t, string(reached.Clusters[0].Cluster.Authority)), publicKey(t, certificate), "one authority for both")

	_, log, err := call("registry", "endpoint")
	require.Error(t, err)
	assert.Contains(t, log, "it has no registry beside it")
}

func TestKeygenProtectsTheKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	require.NoError(t, os.WriteFile(password, []byte("a test's password"), 0o600))
	must(t, "sign", "call", "keygen", "--password", "file:"+password, "export", "--path", filepath.Join(dir, "keys"))
	private, err := os.ReadFile(filepath.Join(dir, "keys", "cosign.key"))
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(private), "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"))
	public, err := os.ReadFile(filepath.Join(dir, "keys", "cosign.pub"))
	require.NoError(t, err)

	again := must(t, "sign", "call", "key-file", "--key", "file:"+filepath.Join(dir, "keys", "cosign.key"), "--password", "file:"+password, "public-key", "file", "--path", "cosign.pub", "contents")
	assert.Equal(t, strings.TrimSpace(string(public)), strings.TrimSpace(again))

	require.NoError(t, os.WriteFile(password, []byte("another"), 0o600))
	refusal := must(t, "sign", "call", "key-file", "--key", "file:"+filepath.Join(dir, "keys", "cosign.key"), "--password", "file:"+password, "public-key", "file", "--path", "result.json", "contents")
	var result struct {
		Fault struct{ Kind, Stage, Mend string }
	}
	require.NoError(t, json.Unmarshal([]byte(refusal), &result))
	assert.Equal(t, "input", result.Fault.Kind)
	assert.Contains(t, result.Fault.Mend, "password")
}

// What is named like a file of pins and is none says nothing about modules.
func TestAGoAppHasFoldersNamedLikeItsPins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.org/odd\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() {}\n",
		"sub/go.sum/file": "", "testdata/broken/go.mod": "\xff no module\n",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	out := must(t, "build", "call", "go-app", "--name", "odd", "--zone", strings.Repeat("0d", 16), "--source", dir,
		"binaries", "--packages", ".", "--arches", "amd64", "file", "--path", "result.json", "contents")
	assert.NotContains(t, out, "fault")
	assert.Contains(t, out, "odd")
}

func TestRenderShowsTheOverlay(t *testing.T) {
	t.Parallel()
	out := must(t, "gitops", "call", "render", "--tree", "../gitops", "--app", "hello", "--env", "dev", "file", "--path", "manifests.yaml", "contents")
	assert.Contains(t, out, "kind: Deployment")
	assert.Contains(t, out, "image: localhost:5000/hello@sha256:")
	assert.Contains(t, out, "runAsNonRoot: true")
}

func TestRenderInflatesTheChart(t *testing.T) {
	t.Parallel()
	render := []string{"call", "render", "--tree", "../gitops", "--app", "pages", "--env", "production"}
	file := func(name string) []string { return []string{"file", "--path", name, "contents"} }
	golden, err := os.ReadFile("testdata/pages-production.yaml")
	require.NoError(t, err)
	out := must(t, "gitops", append(append(render, "--helm=true"), file("manifests.yaml")...)...)
	assert.Equal(t, strings.TrimSpace(string(golden)), strings.TrimSpace(out))

	refusal := must(t, "gitops", append(render, file("result.json")...)...)
	var result struct {
		Fault struct{ Kind, Input, Mend string }
	}
	require.NoError(t, json.Unmarshal([]byte(refusal), &result))
	assert.Equal(t, "input", result.Fault.Kind)
	assert.Equal(t, "apps/pages/overlays/production/kustomization.yaml", result.Fault.Input)
	assert.Contains(t, result.Fault.Mend, "packaging: helm in apps/pages/app.yaml")
}

func TestDockerfileCheckNamesTheLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch AS base\nFROM alpine:3.23\n"), 0o644))
	out := must(t, "build", "call", "dockerfile", "--source", dir, "--file", "Dockerfile", "check", "--platforms", "linux/amd64", "file", "--path", "result.json", "contents")
	var result struct {
		Fault struct{ Kind, Stage, Input, Reason string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &result))
	assert.Equal(t, "policy", result.Fault.Kind)
	assert.Equal(t, "build", result.Fault.Stage)
	assert.Contains(t, result.Fault.Input, "Dockerfile:2")
}

// manifests runs the program that renders the GitOps folder and judges it.
func manifests(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"run", "."}, args...)...)
	cmd.Dir = filepath.Join("..", "tools", "manifests")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// scanned scans a GitOps folder and judges what was found.
func scanned(t *testing.T, folder string) (string, error) {
	t.Helper()
	result := filepath.Join(t.TempDir(), "result.json")
	found := must(t, "scan", "call", "config", "--source", folder, "--name", "gitops", "file", "--path", "result.json", "contents")
	require.NoError(t, os.WriteFile(result, []byte(found), 0o644))
	return manifests(t, "judge", "--findings", result)
}

// Without an engine, a stand-in for Helm renders the charts.
func TestEveryManifestConforms(t *testing.T) {
	t.Parallel()
	out, err := manifests(t, "check", "--helm", helm(t))
	require.NoError(t, err, out)
	out, err = manifests(t, "check")
	require.Error(t, err, out)
	assert.Contains(t, out, "inflates a Helm chart, and there is no Helm")

	spoilt := filepath.Join(t.TempDir(), "gitops")
	require.NoError(t, os.CopyFS(spoilt, os.DirFS("../gitops")))
	file := filepath.Join(spoilt, "apps", "pages", "chart", "templates", "service.yaml")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), "targetPort:")
	require.NoError(t, os.WriteFile(file, bytes.Replace(text, []byte("targetPort:"), []byte("targetPort: http\n      targetport:"), 1), 0o644))
	out, err = manifests(t, "check", "--helm", helm(t), "--gitops", spoilt)
	require.Error(t, err, out)
	assert.Contains(t, out, "Service pages")
	assert.Contains(t, out, "targetport")
}

// helm is the path of the program that inflates charts.
func helm(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "helm")
	must(t, "gitops", "call", "helm", "export", "--path", file)
	return file
}

func TestEveryManifestPassesTheScan(t *testing.T) {
	t.Parallel()
	applied := filepath.Join(t.TempDir(), "gitops")
	out, err := manifests(t, "render", "--out", applied, "--helm", helm(t))
	require.NoError(t, err, out)
	for name, folder := range map[string]string{"as written": "../gitops", "as applied": applied} {
		t.Run(name, func(t *testing.T) {
			out, err := scanned(t, folder)
			require.NoError(t, err, out)
			assert.Contains(t, out, "none refuses at HIGH")
			t.Log(out)
		})
	}

	t.Run("a privileged container of the platform is refused", func(t *testing.T) {
		file := filepath.Join(applied, "platform", "kyverno", "base", "kyverno.yaml")
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(text), "privileged: false")
		require.NoError(t, os.WriteFile(file, bytes.Replace(text, []byte("privileged: false"), []byte("privileged: true"), 1), 0o644))
		out, err := scanned(t, applied)
		require.Error(t, err, out)
		assert.Contains(t, out, "HIGH: KSV-0017 in gitops/platform/kyverno/base/kyverno.yaml:")
		assert.Contains(t, out, "refused by policy")
	})
}

// OpenTofu passes the tests of the stages that Terraform passes in the unit tests. Those
// of a state in a cluster stand on a server that speaks no protobuf, which OpenTofu
// does; it meets a real one in the cluster's tests.
func TestOpenTofuPassesTheTestsOfInfra(t *testing.T) {
	t.Parallel()
	tofu := filepath.Join(t.TempDir(), "tofu")
	must(t, "infra", "call", "tofu", "export", "--path", tofu)
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-json", "-skip", "Cluster|Interrupted", "./stage", "-terraform", tofu)
	cmd.Dir = filepath.Join("infra", "step")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), `"Action":"pass","Package":"slipway/infra/step/stage","Test":"TestApply`)
	assert.NotContains(t, string(out), `"Action":"skip"`)
}
