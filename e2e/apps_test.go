//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// foreign is a Go service that nobody here wrote, with its main package at the root of
// its module, its own tests and a dozen dependencies. The checksum pins it.
const (
	foreignModule = "github.com/prometheus/statsd_exporter@v0.31.0"
	foreignSum    = "h1:luXCp7OqyDJEV+2gIbaB0ia9ELmaUyWmI+m1bTNRvdU="
)

// module fetches a module and returns its folder.
func module(t *testing.T, name, sum string) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", name)
	cmd.Dir = t.TempDir()
	out, err := cmd.Output()
	require.NoError(t, err)
	var found struct{ Dir, Sum string }
	require.NoError(t, json.Unmarshal(out, &found))
	require.Equal(t, sum, found.Sum)
	return found.Dir
}

// tree is the text of each file of a folder, by its path there.
func tree(t testing.TB, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		relative, err := filepath.Rel(folder, path)
		files[filepath.ToSlash(relative)] = read(t, path)
		return err
	}))
	return files
}

// appFiles are an app's files in a platform, with hello's manifests under its name.
func appFiles(t testing.TB, name string, app map[string]string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for file, text := range app {
		files["apps/"+name+"/"+file] = text
	}
	for file, text := range tree(t, filepath.Join(repository(), "gitops", "apps", "hello")) {
		files["gitops/apps/"+name+"/"+file] = strings.ReplaceAll(text, "hello", name)
	}
	return files
}

// withApp adds a folder to a platform as an app.
func withApp(t *testing.T, name, folder, descriptor string) string {
	t.Helper()
	app := tree(t, folder)
	app["app.yaml"] = descriptor
	return source(t, appFiles(t, name, app))
}

func TestAGoServiceThatNobodyHereWrote(t *testing.T) {
	t.Parallel()
	p := shared
	dir := withApp(t, "statsd", module(t, foreignModule, foreignSum), `name: statsd
description: Turns StatsD's metrics into Prometheus'
build: {kind: go, package: ., version: github.com/prometheus/common/version.Revision}
port: 9102
`)
	out, err := p.call(dir, p.options(), "app", "--name", "statsd", "test")
	require.NoError(t, err)
	assert.Contains(t, out, "ok  \tgithub.com/prometheus/statsd_exporter\t2 passed, 0 skipped\n")

	binary := filepath.Join(t.TempDir(), "layout")
	_, err = p.call(dir, p.options(), "app", "--name", "statsd", "build", "oci-layout", "export", "--path", binary)
	require.NoError(t, err)
	revision := git(t, dir, "rev-parse", "HEAD")
	assert.True(t, holds(t, binary, strings.TrimSpace(revision)), "the program says which commit it is from")

	reference, err := p.call(dir, p.options(), "app", "--name", "statsd", "build", "scan", "publish", "sign", "reference")
	require.NoError(t, err)
	assert.Regexp(t, `/statsd@sha256:[0-9a-f]{64}\s*$`, reference)
	text, err := p.call(dir, p.options(), "inspect", "--reference", strings.TrimSpace(reference), "--env", "dev", "text")
	require.NoError(t, err)
	assert.Contains(t, text, "31 tests have passed")
}

// holds says whether the program in one of a layout's layers holds a text.
func holds(t *testing.T, layout, text string) bool {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(layout, "blobs", "sha256", "*"))
	require.NoError(t, err)
	for _, blob := range blobs {
		file, err := os.Open(blob)
		require.NoError(t, err)
		defer file.Close()
		layer, err := gzip.NewReader(file)
		if err != nil {
			continue // a manifest
		}
		content, err := io.ReadAll(layer)
		require.NoError(t, err)
		if bytes.Contains(content, []byte(text)) {
			return true
		}
	}
	return false
}

// An app that attacks is refused before anything of it is published, and the pipeline
// goes on.
func TestAnAppThatAttacksIsRefusedAndPublishesNothing(t *testing.T) {
	t.Parallel()
	p := shared
	attack := "package greeting\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestAttack(t *testing.T) {\n" +
		"\tif err := os.WriteFile(\"/go/pkg/mod/attack\", nil, 0o644); err == nil {\n\t\treturn\n\t}\n\tt.Fatal(\"the module cache is not mine\")\n}\n"
	text := strings.ReplaceAll(read(t, p.repo+"/apps/hello/app.yaml"), "name: hello", "name: attacker")
	dir := withApp(t, "attacker", filepath.Join(p.repo, "apps", "hello"), text)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "apps", "attacker", "greeting", "attack_test.go"), []byte(attack), 0o644))
	git(t, dir, "add", "-A")
	git(t, dir, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "attack")
	_, err := p.call(dir, p.options(), "app", "--name", "attacker", "build", "scan", "publish", "reference")
	refused(t, err, "test: refused by policy: app attacker: its own tests fail", "the module cache is not mine")
	assert.False(t, p.pushed(t, "attacker"))
}
