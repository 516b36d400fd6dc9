//go:build e2e

package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// neighbour starts a server in a container of the engine, which ends with the test, and
// returns its address and the program that asks one.
func neighbour(t *testing.T, p *platform) (ip, program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "neighbour")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./e2e/testdata/neighbour")
	build.Dir, build.Env = repository(), append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	dagger, err := p.look("dagger")
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), dagger, "--progress=plain", "core", "container", "with-file", "--path=/neighbour", "--source="+program,
		"with-env-variable", "--name=TEST", "--value="+program, "with-exec", "--args=/neighbour", "stdout")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Dir, cmd.Env = t.TempDir(), p.env
	log, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() }) // it was interrupted
	said := regexp.MustCompile(`neighbour at <([0-9.]+)>`)
	var all []string
	found := make(chan string, 1)
	go func() {
		defer close(found)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			all = append(all, lines.Text())
			if match := said.FindStringSubmatch(lines.Text()); match != nil && len(found) == 0 {
				found <- match[1]
			}
		}
	}()
	ip, ok := <-found
	require.True(t, ok, "%q", all)
	return ip, program
}

// An app reaches the host that it asks for and that the platform allows, from its build
// and from its tests, and no other.
func TestNetworkOfNamedHosts(t *testing.T) {
	t.Parallel()
	p := shared
	ip, program := neighbour(t, p)
	named, other := ip+":8080", ip+":8081"
	// The control: without a box, both answer.
	for address, text := range map[string]string{named: "the neighbour answers", other: "the neighbour's other port"} {
		out, err := p.run(t.TempDir(), "core", "container", "with-file", "--path=/neighbour", "--source="+program,
			"with-env-variable", "--name=TEST", "--value="+program, "with-exec", "--args=/neighbour,"+address, "stdout")
		require.NoError(t, err)
		require.Contains(t, out, text)
	}
	_, port, _ := strings.Cut(p.sandbox, ":")
	others := []string{other, "127.0.0.1:" + port, "169.254.87.1:" + port, "10.87.0.1:" + port, "127.0.0.1:6443", "169.254.87.1:6443", "10.87.0.1:53"}
	folder := filepath.Join(repository(), "e2e", "testdata", "caller")
	app := "name: caller\ndescription: Calls its neighbour\nbuild: {kind: dockerfile, package: ./cmd/caller, network: [HOSTS]}\ntest: {network: [HOSTS]}\nplatforms: [linux/amd64]\nport: 8080\n"
	dir := withApp(t, "caller", folder, strings.ReplaceAll(app, "HOSTS", `"`+named+`"`))
	rules := read(t, filepath.Join(dir, "slipway.yaml"))
	commit := func(files map[string]string) {
		for name, text := range files {
			write(t, filepath.Join(dir, name), text)
		}
		git(t, dir, "add", "-A")
		git(t, dir, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "test")
	}
	commit(map[string]string{
		"slipway.yaml": strings.Replace(rules, "\nbuild:\n", "\nbuild:\n  network: [\""+named+"\"]\n", 1),
		"apps/caller/Dockerfile": "FROM scratch\nARG TARGETARCH\nCOPY bin/${TARGETARCH}/caller /caller\n" +
			`RUN ["/caller", "` + strings.Join(append([]string{named}, others...), `", "`) + `"]` + "\nUSER 65532\nENTRYPOINT [\"/caller\"]\n",
		"apps/caller/cmd/caller/main_test.go": "package main\n\nimport \"testing\"\n\nfunc TestFetch(t *testing.T) {\n" +
			"\tif text, err := fetch(\"" + named + "\"); err != nil || text != \"the neighbour answers\" {\n\t\tt.Fatal(text, err)\n\t}\n" +
			"\tfor _, other := range []string{\"" + strings.Join(others, `", "`) + "\"} {\n" +
			"\t\tif text, err := fetch(other); err == nil {\n\t\t\tt.Fatal(other, text)\n\t\t}\n\t\tif reached(other) {\n\t\t\tt.Fatal(other)\n\t\t}\n\t}\n}\n",
	})

	out, err := p.call(dir, p.options(), "app", "--name", "caller", "test")
	require.NoError(t, err)
	assert.Contains(t, out, "ok  \tcaller/cmd/caller\t1 passed, 0 skipped\n")
	layout := filepath.Join(t.TempDir(), "layout")
	_, err = p.call(dir, p.options(), "app", "--name", "caller", "build", "oci-layout", "export", "--path", layout)
	require.NoError(t, err)
	assert.True(t, holds(t, layout, "the neighbour answers"))
	assert.False(t, holds(t, layout, "~slipway"), "nothing of the box stays")

	reference, err := p.call(dir, p.options(), "app", "--name", "caller", "build", "scan", "publish", "sign", "reference")
	require.NoError(t, err)
	reference = strings.TrimSpace(reference)
	for env, verdict := range map[string]string{"dev": "pass", "production": "refuse"} {
		text, err := p.call(dir, p.options(), "inspect", "--reference", reference, "--env", env, "text")
		require.NoError(t, err)
		assert.Regexp(t, `box +`+verdict+` .*with a network of `+regexp.QuoteMeta(named)+`; reached: `+regexp.QuoteMeta(named)+` \(1 connections, [0-9]+ bytes sent, [0-9]+ received\); [0-9]+ requests were refused`, text)
		assert.Contains(t, text, "1 tests have passed, with a network of "+named)
	}

	// What the platform doesn't allow is refused before anything runs.
	commit(map[string]string{"slipway.yaml": rules})
	for _, verb := range [][]string{{"build", "digest"}, {"test"}} {
		_, err = p.call(dir, p.options(), append([]string{"app", "--name", "caller"}, verb...)...)
		refused(t, err, "refused by policy: apps/caller/app.yaml: build.network: "+named+": is not a host that the platform lets apps reach", "mend: have it added to build.network of slipway.yaml")
	}
	// What isn't asked for isn't there.
	commit(map[string]string{
		"slipway.yaml":         strings.Replace(rules, "\nbuild:\n", "\nbuild:\n  network: [\""+named+"\"]\n", 1),
		"apps/caller/app.yaml": strings.ReplaceAll(app, "HOSTS", ""),
	})
	_, err = p.call(dir, p.options(), "app", "--name", "caller", "build", "digest")
	refused(t, err, "build: bad input: app caller: Dockerfile: ", "with exit code 2", "network is unreachable")
	_, err = p.call(dir, p.options(), "app", "--name", "caller", "test")
	refused(t, err, "test: refused by policy: app caller: its own tests fail", "network is unreachable")
}
