package image

import (
	"debug/elf"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/build/step/gittree"
	"slipway/build/step/internal/testinput"
	"slipway/build/step/oci"
	"slipway/step"
	"slipway/step/printable"
	"slipway/step/steptest"
)

func input(t *testing.T) AssembleInput {
	t.Helper()
	labels, err := ParseLabels([]string{"org.opencontainers.image.title=hello", "org.opencontainers.image.source=https://git.example/hello"})
	require.NoError(t, err)
	return AssembleInput{
		Binaries: []Source{
			{"linux/arm64", testinput.Static(t, elf.EM_AARCH64)},
			{"linux/amd64", testinput.Static(t, elf.EM_X86_64)},
		},
		Name: "app", Zoneinfo: testinput.Zoneinfo(t), Ports: []string{"8080"}, Labels: labels, Tree: testinput.Tree(t),
	}
}

// files reads a folder: relative path to content.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[name] = string(data)
		return err
	}))
	return out
}

// images opens a layout with another implementation, validates it, and returns
// its one index and the index's images by platform.
func images(t *testing.T, dir string) (*v1.IndexManifest, map[string]v1.Image) {
	t.Helper()
	outer, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	top, err := outer.IndexManifest()
	require.NoError(t, err)
	require.Len(t, top.Manifests, 1)
	index, err := outer.ImageIndex(top.Manifests[0].Digest)
	require.NoError(t, err)
	require.NoError(t, validate.Index(index))
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	out := map[string]v1.Image{}
	for _, d := range manifest.Manifests {
		image, err := index.Image(d.Digest)
		require.NoError(t, err)
		out[d.Platform.String()] = image
	}
	return manifest, out
}

func TestAssembleMakesAnIndex(t *testing.T) {
	in := input(t)
	dir := filepath.Join(t.TempDir(), "layout")
	built, err := Assemble(dir, in)
	require.NoError(t, err)

	revision, err := gittree.Hash(in.Tree)
	require.NoError(t, err)
	assert.Equal(t, revision.String(), built.Revision)
	index, byPlatform := images(t, dir)
	assert.Equal(t, map[string]string{
		"org.opencontainers.image.title":    "hello",
		"org.opencontainers.image.source":   "https://git.example/hello",
		"org.opencontainers.image.revision": revision.String(),
	}, index.Annotations)
	require.Len(t, built.Platforms, 2)
	assert.Equal(t, []string{"linux/amd64", "linux/arm64"}, []string{built.Platforms[0].Platform, built.Platforms[1].Platform})

	for i, p := range built.Platforms {
		image := byPlatform[p.Platform]
		require.NotNil(t, image, p.Platform)
		digest, err := image.Digest()
		require.NoError(t, err)
		assert.Equal(t, digest.String(), p.Digest)
		assert.Equal(t, index.Manifests[i].Digest, digest)
		config, err := image.ConfigFile()
		require.NoError(t, err)
		assert.Equal(t, p.Platform, config.OS+"/"+config.Architecture)
		assert.True(t, config.Created.Equal(time.Unix(0, 0)))
		assert.Equal(t, v1.Config{
			Entrypoint: []string{"/app"},
			Env: []string{
				"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
				"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
				"ZONEINFO=/usr/share/zoneinfo.zip",
			},
			ExposedPorts: map[string]struct{}{"8080/tcp": {}},
			Labels:       index.Annotations,
			User:         "65532:65532",
			WorkingDir:   "/",
		}, config.Config)
		manifest, err := image.Manifest()
		require.NoError(t, err)
		size := index.Manifests[i].Size + manifest.Config.Size
		for _, l := range manifest.Layers {
			size += l.Size
		}
		assert.Equal(t, size, p.Size)
	}
	amd, err := byPlatform["linux/amd64"].Manifest()
	require.NoError(t, err)
	arm, err := byPlatform["linux/arm64"].Manifest()
	require.NoError(t, err)
	assert.Equal(t, amd.Layers[0].Digest, arm.Layers[0].Digest, "the base layer is shared")
	assert.NotEqual(t, amd.Layers[1].Digest, arm.Layers[1].Digest)
}

func TestAssembleTwiceIsByteIdentical(t *testing.T) {
	in := input(t)
	first, second := filepath.Join(t.TempDir(), "layout"), filepath.Join(t.TempDir(), "elsewhere")
	one, err := Assemble(first, in)
	require.NoError(t, err)

	// Another machine: other times, another order of files and flags.
	in.Binaries[0], in.Binaries[1] = in.Binaries[1], in.Binaries[0]
	tree := t.TempDir()
	for name, content := range files(t, in.Tree) {
		require.NoError(t, os.WriteFile(filepath.Join(tree, name), []byte(content), 0o755))
	}
	in.Tree = tree
	for _, path := range []string{in.Binaries[0].Path, in.Zoneinfo, tree} {
		require.NoError(t, os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)))
	}
	require.NoError(t, os.Chmod(in.Binaries[0].Path, 0o500))
	two, err := Assemble(second, in)
	require.NoError(t, err)
	assert.Equal(t, one, two)
	assert.Equal(t, files(t, first), files(t, second))
}

func TestAssembleChangesWithItsInput(t *testing.T) {
	in := input(t)
	seen := map[string]string{}
	build := func(what string) {
		built, err := Assemble(filepath.Join(t.TempDir(), "layout"), in)
		require.NoError(t, err)
		assert.NotContains(t, seen, built.Digest, what)
		seen[built.Digest] = what
	}
	build("start")
	require.NoError(t, os.WriteFile(filepath.Join(in.Tree, "new.go"), nil, 0o644))
	build("source")
	in.Ports = []string{"8081"}
	build("port")
	in.Binaries = in.Binaries[:1]
	build("platforms")
}

func TestAssembleRefuses(t *testing.T) {
	elfFile := func(machine elf.Machine, kind elf.Type, program elf.ProgType) []Source {
		return []Source{{"linux/amd64", testinput.File(t, "x", testinput.ELF(machine, kind, program))}}
	}
	for name, tc := range map[string]struct {
		change        func(*AssembleInput)
		input, reason string
	}{
		"no binary":        {func(in *AssembleInput) { in.Binaries = nil }, "--binary", "is missing"},
		"platform twice":   {func(in *AssembleInput) { in.Binaries[0].Platform = "linux/amd64" }, "--binary linux/amd64", "is given twice"},
		"dynamic binary":   {func(in *AssembleInput) { in.Binaries = elfFile(elf.EM_X86_64, elf.ET_DYN, elf.PT_INTERP) }, "binary of linux/amd64", "is linked dynamically"},
		"other processor":  {func(in *AssembleInput) { in.Binaries = elfFile(elf.EM_AARCH64, elf.ET_EXEC, elf.PT_LOAD) }, "binary of linux/amd64", "is for processor EM_AARCH64"},
		"object file":      {func(in *AssembleInput) { in.Binaries = elfFile(elf.EM_X86_64, elf.ET_REL, elf.PT_LOAD) }, "binary of linux/amd64", "is of ELF type ET_REL, not an executable"},
		"script":           {func(in *AssembleInput) { in.Binaries[1].Path = testinput.File(t, "x", []byte("#!/bin/sh\n")) }, "binary of linux/amd64", "is not an ELF executable"},
		"missing binary":   {func(in *AssembleInput) { in.Binaries[1].Path = "/nonexistent/app" }, "binary of linux/amd64", "is not an ELF executable"},
		"name with a path": {func(in *AssembleInput) { in.Name = "../app" }, `--name "../app"`, "is not a valid name"},
		"name of a folder": {func(in *AssembleInput) { in.Name = "tmp" }, `--name "tmp"`, "is the name of a folder in the image"},
		"port":             {func(in *AssembleInput) { in.Ports = []string{"70000"} }, `--port "70000"`, "is not a port"},
		"port with a sign": {func(in *AssembleInput) { in.Ports = []string{"080"} }, `--port "080"`, "is not a port"},
		"zoneinfo":         {func(in *AssembleInput) { in.Zoneinfo = in.Binaries[0].Path }, "--zoneinfo", "is not Go's archive of time zones"},
		"no tree":          {func(in *AssembleInput) { in.Tree = "/nonexistent" }, "--tree /nonexistent", "can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(t)
			tc.change(&in)
			dir := filepath.Join(t.TempDir(), "layout")
			_, err := Assemble(dir, in)
			f := fault(t, err, step.KindInput)
			assert.Contains(t, f.Input, tc.input)
			assert.Equal(t, tc.reason, f.Reason)
			assert.NoDirExists(t, dir)
		})
	}
}

func TestAssembleKeepsAnOlderLayout(t *testing.T) {
	dir := filepath.Dir(testinput.File(t, "index.json", []byte("{}")))
	_, err := Assemble(dir, input(t))
	assert.ErrorContains(t, err, "is not empty")
	assert.FileExists(t, filepath.Join(dir, "index.json"))
}

func TestParseSource(t *testing.T) {
	s, err := ParseSource("binary", "linux/arm64=/in/a=b")
	require.NoError(t, err)
	assert.Equal(t, Source{"linux/arm64", "/in/a=b"}, s)
	for _, value := range []string{"", "linux/amd64", "linux/amd64=", "windows/amd64=/x", "amd64=/x", "=x"} {
		_, err := ParseSource("binary", value)
		f := fault(t, err, step.KindInput)
		assert.Equal(t, "is not PLATFORM=PATH", f.Reason, value)
		assert.Contains(t, f.Mend, "linux/amd64, linux/arm64")
	}
}

func TestParseLabelsRefuses(t *testing.T) {
	for value, reason := range map[string]string{
		"novalue":                               "is not KEY=VALUE",
		"Upper=x":                               "is not KEY=VALUE",
		"a b=x":                                 "is not KEY=VALUE",
		"org.opencontainers.image.revision=abc": "is computed from the source",
		"org.opencontainers.image.created=now":  "would make each build another image",
		"org.opencontainers.image.licences=MIT": "is not a key that the OCI specification defines",
		"com.example.note=two\nlines":           "has a value that is not one line of text",
		"com.example.long=" + strings.Repeat("x", maxLabel+1): "has a value that is not one line of text",
	} {
		_, err := ParseLabels([]string{value})
		assert.Equal(t, reason, fault(t, err, step.KindInput).Reason, value)
	}
	_, err := ParseLabels([]string{"com.example.a=1", "com.example.a=2"})
	assert.Equal(t, "is given twice", fault(t, err, step.KindInput).Reason)
}

// fault demands that err is a fault of a kind, of this stage, with a mend.
func TestLabelsTakeNoHostileText(t *testing.T) {
	for _, text := range steptest.Hostile() {
		labels, err := ParseLabels([]string{"com.example.a=" + text})
		if err != nil {
			steptest.Printable(t, steptest.Refused(t, err).Error())
			continue
		}
		assert.True(t, printable.IsLine(labels["com.example.a"]), "%q", text)
	}
}

func fault(t *testing.T, err error, kind step.Kind) *step.Fault {
	t.Helper()
	f, ok := step.AsFault(err)
	require.True(t, ok, "want a fault, got %v", err)
	assert.Equal(t, kind, f.Kind, f.Error())
	assert.Equal(t, "build", f.Stage)
	assert.NotEmpty(t, f.Mend)
	return f
}

func TestAssembledLayoutVerifies(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "layout")
	built, err := Assemble(dir, input(t))
	require.NoError(t, err)
	l, err := oci.Open("publish", dir)
	require.NoError(t, err)
	assert.Equal(t, built.Digest, l.Roots[0].Digest.String())
	assert.Len(t, l.Content, 8, "2 configs, 3 layers, 2 manifests, 1 index")
	assert.Len(t, files(t, dir), 8+2)
}
