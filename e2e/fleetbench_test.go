//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fleet is a platform of a few apps alone, with a branch of the GitOps remote that has
// their overlays and no others'.
type fleet struct{ dir, branch string }

// newFleet makes the platform of its apps' files, and of further files.
func newFleet(b *testing.B, apps map[string]map[string]string, further map[string]string) fleet {
	b.Helper()
	files := maps.Clone(further)
	for name, app := range apps {
		maps.Copy(files, appFiles(b, name, app))
	}
	f := fleet{source(b, files), "fleet-" + unseen()}
	for _, folder := range []string{"apps", "gitops/apps"} {
		found, err := os.ReadDir(filepath.Join(f.dir, folder))
		require.NoError(b, err)
		for _, entry := range found {
			if _, ours := apps[entry.Name()]; !ours && entry.IsDir() {
				require.NoError(b, os.RemoveAll(filepath.Join(f.dir, folder, entry.Name())))
			}
		}
	}
	commit(b, f.dir, "a fleet")

	clone := shared.remote(b)
	require.NoError(b, os.RemoveAll(clone+"/gitops/apps"))
	require.NoError(b, os.CopyFS(clone+"/gitops/apps", os.DirFS(f.dir+"/gitops/apps")))
	commit(b, clone, "a fleet")
	git(b, clone, "push", "-q", "origin", "HEAD:refs/heads/"+f.branch)
	return f
}

func commit(b *testing.B, dir, message string) {
	b.Helper()
	git(b, dir, "add", "-A")
	git(b, dir, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", message)
}

func (f fleet) deliver(b *testing.B, app string) receipt {
	b.Helper()
	return deliver(b, shared, f.dir, app, "dev", "with-gitops", "--branch", f.branch)
}

// BenchmarkDeliverAmongMany delivers a changed line of one app, in a platform of that
// app alone and in one of a hundred.
func BenchmarkDeliverAmongMany(b *testing.B) {
	const alone, among = "alone", "among-100"
	hello := tree(b, filepath.Join(repository(), "apps", "hello"))
	apps := map[string]map[string]string{"hello": hello}
	fleets := map[string]fleet{alone: newFleet(b, apps, map[string]string{})}
	for n := 1; n < 100; n++ {
		name, app := fmt.Sprintf("app%02d", n), map[string]string{}
		for file, text := range hello {
			app[strings.ReplaceAll(file, "hello", name)] = strings.ReplaceAll(text, "hello", name)
		}
		apps[name] = app
	}
	fleets[among] = newFleet(b, apps, map[string]string{})
	for _, f := range fleets {
		f.deliver(b, "hello")
	}
	times := watch{}
	for b.Loop() {
		for _, name := range []string{alone, among} {
			oneLine(b, fleets[name].dir)
			var released receipt
			times.time(name, func() { released = fleets[name].deliver(b, "hello") })
			assert.True(b, released.ImagePushed)
			assert.True(b, released.ReleaseCreated)
		}
	}
	times.ratio(b, among, 1, alone)
	times.report(b)
}

// BenchmarkRescanOnOneBase scans the images of ten released apps that stand on one base
// image of Debian's, under a vulnerability database that nothing was scanned with, and
// under the same one an eleventh that is alone in its platform.
func BenchmarkRescanOnOneBase(b *testing.B) {
	const ten, alone, size = "ten", "alone", 10
	p := shared
	base := debianBase(b, p, "bases/bench", "ca-certificates")
	rules := read(b, p.repo+"/slipway.yaml")
	for old, new := range map[string]string{"      allow: []\n": "      allow: [" + p.sandbox + "/bases/*]\n", "    - require: tests\n": ""} {
		require.Contains(b, rules, old)
		rules = strings.Replace(rules, old, new, 1)
	}
	image := func(name string) map[string]string {
		return map[string]string{
			"app.yaml":   "name: " + name + "\ndescription: Stands on the base\nbuild: {kind: dockerfile, file: Dockerfile}\nplatforms: [linux/amd64]\nport: 8080\n",
			"Dockerfile": "FROM " + base + "\nCOPY word /word\nUSER 65532:65532\nCMD [\"cat\", \"/word\"]\n",
			"word":       name + "\n",
		}
	}
	apps := map[string]map[string]string{}
	for n := range size {
		name := fmt.Sprintf("word%d", n)
		apps[name] = image(name)
	}
	fleets := map[string]fleet{}
	for name, apps := range map[string]map[string]map[string]string{ten: apps, alone: {"word": image("word")}} {
		fleets[name] = newFleet(b, apps, map[string]string{"slipway.yaml": rules})
		for app := range apps {
			fleets[name].deliver(b, app)
		}
	}
	database := []string{"with-database", "--repository", "localhost:5000/slipway/bench-db"}
	times := watch{}
	for b.Loop() {
		_, err := p.call(fleets[alone].dir, p.options(), append(database, "publish-database")...)
		require.NoError(b, err)
		for name, count := range map[string]int{alone: 1, ten: size} {
			f := fleets[name]
			var out string
			times.time(name, func() {
				// Nobody signs: what is found stays unsaid, and the images as they are.
				out, err = p.call(f.dir, p.place(), slices.Concat([]string{"with-public-key", "--key", p.file("keys/cosign.pub"), "with-gitops", "--branch", f.branch},
					database, []string{"rescan", "--env", "dev", "json"})...)
			})
			require.NoError(b, err)
			var rows []struct {
				Digest string
				Passed bool
			}
			require.NoError(b, json.Unmarshal([]byte(out), &rows), out)
			assert.Len(b, rows, count)
			for _, row := range rows {
				assert.NotEmpty(b, row.Digest)
				assert.True(b, row.Passed, out)
			}
		}
	}
	times.ratio(b, ten, size, alone)
	times.report(b)
}
