package scan

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

// What can't be written is no scan.
func TestARunThatCannotWriteHasNoResult(t *testing.T) {
	for _, file := range []string{
		"findings.json", "raw/image-linux-arm64.json", "raw/source.json", "raw/source-packages.json", "raw/manifests.json", "sbom/source.cdx.json", "sbom/image-linux-amd64.spdx.json", "report.sarif", "report.txt",
	} {
		b := newBench(t)
		require.NoError(t, os.MkdirAll(filepath.Join(b.out, file, "x"), 0o755))
		summary, err := b.run()
		require.Error(t, err, file)
		assert.Nil(t, summary)
	}
	for _, file := range []string{"raw", "sbom"} {
		b := newBench(t)
		require.NoError(t, os.WriteFile(filepath.Join(b.out, file), nil, 0o600))
		summary, err := b.run()
		require.Error(t, err, file)
		assert.Nil(t, summary)
	}
	for _, file := range []string{"secret.yaml", "combined.json", "manifests"} {
		b := newBench(t)
		if file == "manifests" {
			require.NoError(t, os.WriteFile(filepath.Join(b.work, file), nil, 0o600))
		} else {
			require.NoError(t, os.Mkdir(filepath.Join(b.work, file), 0o700))
		}
		_, err := b.run()
		require.Error(t, err, file)
	}
	b := newBench(t)
	require.NoError(t, os.Mkdir(filepath.Join(b.out, FindingsFile), 0o700))
	_, err := Config(t.Context(), b.runner, b.in.Manifests, b.in.Cache, b.work, b.out, func(string, ...any) {})
	require.Error(t, err)
}

// A scanner that fails in any of its runs gives no verdict.
func TestEachRunOfTheScannerCounts(t *testing.T) {
	for _, recorded := range []string{"image", "source", "packages", "manifests"} {
		for name, spoil := range map[string]func(string) error{
			"no report": os.Remove, "no JSON": func(file string) error { return os.WriteFile(file, []byte("{"), 0o600) },
		} {
			b := newBench(t)
			require.NoError(t, spoil(filepath.Join(b.home, recorded+".json")))
			summary, err := b.run()
			fault, ok := step.AsFault(err)
			require.True(t, ok, "%s, %s: %v", recorded, name, err)
			assert.Equal(t, step.KindInfrastructure, fault.Kind)
			assert.Nil(t, summary)
		}
	}
}

func TestTreesAreNamedByTheirPaths(t *testing.T) {
	full, empty := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "a.yaml"), nil, 0o600))
	tree := func(name string) Tree { return Tree{Name: name, Folder: full} }
	for name, c := range map[string]struct {
		in     Input
		reason string
	}{
		"good":                {Input{Source: tree("apps/hello"), Manifests: []Tree{tree("apps/hello2"), tree("infra")}, Revision: strings.Repeat("0a", 20)}, ""},
		"no revision":         {Input{Source: tree("a"), Revision: strings.Repeat("0A", 20)}, "is not a Git tree id"},
		"a short revision":    {Input{Source: tree("a"), Revision: strings.Repeat("0", 39)}, "is not a Git tree id"},
		"no name":             {Input{Source: tree("")}, "is not a relative path"},
		"a dot":               {Input{Source: tree(".")}, "is not a relative path"},
		"a path that climbs":  {Input{Source: tree("../a")}, "is not a relative path"},
		"from the top":        {Input{Source: tree("/a")}, "is not a relative path"},
		"not clean":           {Input{Source: tree("a/")}, "is not a relative path"},
		"a second's name":     {Input{Source: tree("a"), Manifests: []Tree{tree("b"), tree("./c")}}, "is not a relative path"},
		"twice":               {Input{Source: tree("a"), Manifests: []Tree{tree("b"), tree("a")}}, "is given twice, or lies in another tree"},
		"in another":          {Input{Source: tree("a"), Manifests: []Tree{tree("a/b")}}, "is given twice, or lies in another tree"},
		"around another":      {Input{Source: tree("a/b"), Manifests: []Tree{tree("c"), tree("a")}}, "is given twice, or lies in another tree"},
		"missing":             {Input{Source: Tree{Name: "a", Folder: filepath.Join(full, "none")}}, "is missing or empty"},
		"empty":               {Input{Source: Tree{Name: "a", Folder: empty}}, "is missing or empty"},
		"the second is empty": {Input{Source: tree("a"), Manifests: []Tree{tree("b"), {Name: "c", Folder: empty}}}, "is missing or empty"},
		"a file for a folder": {Input{Source: Tree{Name: "a", Folder: filepath.Join(full, "a.yaml")}}, "is missing or empty"},
	} {
		err := c.in.check()
		if c.reason == "" {
			require.NoError(t, err, name)
			continue
		}
		fault, ok := step.AsFault(err)
		require.True(t, ok, name)
		assert.Equal(t, step.KindInput, fault.Kind)
		assert.Contains(t, fault.Reason, c.reason, name)
	}
}

func TestEachExpectedTypeIsThere(t *testing.T) {
	report := &types.Report{Results: types.Results{{Type: ftypes.GoBinary, Packages: ftypes.Packages{{Name: "a"}}}, {Type: ftypes.Jar}, {Type: ftypes.Debian, Packages: ftypes.Packages{{Name: "b"}}}}}
	for _, good := range [][]string{nil, {"gobinary"}, {"debian", "gobinary"}} {
		require.NoError(t, expect("linux/amd64", report, good))
	}
	for _, bad := range [][]string{{"jar"}, {"npm"}, {"gobinary", "npm"}, {"npm", "gobinary"}} {
		fault, ok := step.AsFault(expect("linux/amd64", report, bad))
		require.True(t, ok)
		assert.Equal(t, []any{step.KindPolicy, "image for linux/amd64"}, []any{fault.Kind, fault.Input})
	}
}

func TestConfigIsOfItsTreesAlone(t *testing.T) {
	b := newBench(t)
	checked, err := Config(context.Background(), b.runner, b.in.Manifests, b.in.Cache, b.work, b.out, func(string, ...any) {})
	require.NoError(t, err)
	assert.Equal(t, "0.74.0", checked.TrivyVersion)
	assert.Len(t, checked.Misconfigurations, 4)
	assert.NotEmpty(t, checked.Scanned)
	assert.FileExists(t, filepath.Join(b.out, FindingsFile))
	b = newBench(t)
	_, err = Config(t.Context(), b.runner, []Tree{b.in.Manifests[0], {Name: "../x", Folder: b.in.Manifests[1].Folder}}, b.in.Cache, b.work, b.out, func(string, ...any) {})
	require.ErrorContains(t, err, "is not a relative path")
	b = newBench(t)
	require.NoError(t, os.WriteFile(filepath.Join(b.in.Manifests[1].Folder, "x.tgz"), nil, 0o600))
	_, err = Config(t.Context(), b.runner, b.in.Manifests, b.in.Cache, b.work, b.out, func(string, ...any) {})
	require.Error(t, err)
	b = newBench(t)
	require.NoError(t, os.WriteFile(filepath.Join(b.in.Manifests[1].Folder, "y.yaml"), []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n"), 0o600))
	_, err = Config(t.Context(), b.runner, b.in.Manifests, b.in.Cache, b.work, b.out, func(string, ...any) {})
	require.ErrorContains(t, err, "did not check", "an object of the second tree")
}

// What a go.mod replaces is known, or the source is refused.
func TestWhatASourceReplacesIsKnown(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	write("go.mod", "module a\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/b v1.0.0\n\texample.com/c v1.0.0\n\texample.com/d v1.0.0\n\texample.com/e v1.1.0\n)\n\nreplace example.com/a => ./a\n\nreplace example.com/b v1.0.0 => ./b\n\nreplace example.com/c v1.1.0 => ./c\n\nreplace example.com/d => example.com/z v1.0.0\n\nreplace example.com/e => ../e\n")
	write("sub/go.mod", "module b\n\nrequire example.com/f v1.0.0\n\nreplace example.com/f => ./f\n")
	write("broken/go.mod", "require (\n")
	report := func(targets ...string) *types.Report {
		r := &types.Report{}
		for _, target := range targets {
			r.Results = append(r.Results, types.Result{Type: ftypes.GoModule, Target: target})
		}
		return r
	}
	good := report("go.mod", "sub/go.mod", "go.sum")
	good.Results = append(good.Results, types.Result{Type: ftypes.Npm, Target: "none/go.mod"})
	require.NoError(t, withCopies(good, folder))
	var names []string
	for _, result := range good.Results {
		for _, p := range result.Packages {
			names = append(names, p.ID)
			assert.Equal(t, "pkg:golang/"+p.Name+"@"+p.Version, p.Identifier.PURL.String())
		}
	}
	assert.Equal(t, []string{"example.com/a@v1.0.0", "example.com/b@v1.0.0", "example.com/e@v1.1.0", "example.com/f@v1.0.0"}, names)
	for _, bad := range []string{"none/go.mod", "broken/go.mod", "../go.mod", "/go.mod"} {
		fault, ok := step.AsFault(withCopies(report("go.mod", bad), folder))
		require.True(t, ok, bad)
		assert.Equal(t, []any{step.KindInput, "file " + bad}, []any{fault.Kind, fault.Input})
	}
}

func TestObjectsOfOneNameAreSeveralFiles(t *testing.T) {
	file, folder := filepath.Join(t.TempDir(), "manifests.yaml"), t.TempDir()
	pod := "kind: Pod\nmetadata: {name: a/b}\n"
	require.NoError(t, os.WriteFile(file, []byte("--- # first\n"+pod+"---\n\n---\n"+pod+"---\r\n"+pod+"---\nkind: "+strings.Repeat("K", 300)+"\n---\nx: 1\n"), 0o600))
	require.NoError(t, Objects(file, folder))
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	assert.Equal(t, []string{"-.yaml", strings.Repeat("K", 200) + ".yaml", "Pod-a_b-2.yaml", "Pod-a_b-3.yaml", "Pod-a_b.yaml"}, names)
	data, err := os.ReadFile(filepath.Join(folder, "Pod-a_b-2.yaml"))
	require.NoError(t, err)
	assert.Equal(t, pod, string(data))

	require.Error(t, Objects(file, filepath.Join(folder, "none")))
	require.NoError(t, os.WriteFile(file, []byte(pod+"---\na: [\n"), 0o600))
	fault, ok := step.AsFault(Objects(file, t.TempDir()))
	require.True(t, ok)
	assert.Equal(t, []any{step.KindPolicy, "rendered manifests, document 2"}, []any{fault.Kind, fault.Input})
	fault, ok = step.AsFault(Objects(filepath.Join(folder, "none"), folder))
	require.True(t, ok)
	assert.Equal(t, []any{step.KindInput, "can't be read"}, []any{fault.Kind, fault.Reason})
}
