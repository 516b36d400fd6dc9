package inventory

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/md5" //nolint:gosec // As in the package.
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/stretchr/testify/require"

	"slipway/scan/step/internal/sample"
	"slipway/scan/step/layout"
)

// elf is a whole ELF program for amd64, static and without a single import, that
// exits with status: no compiler knows it.
func elf(status byte) string {
	const base, header, entry = 0x400000, 64, 64 + 56
	code := []byte{0xb8, 60, 0, 0, 0, 0xbf, status, 0, 0, 0, 0x0f, 0x05} // exit(status)
	var b bytes.Buffer
	put := func(value uint64, bytes int) {
		for range bytes {
			b.WriteByte(byte(value))
			value >>= 8
		}
	}
	b.WriteString("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9))
	put(2, 2)  // an executable
	put(62, 2) // for x86-64
	put(1, 4)
	put(base+entry, 8)
	put(header, 8)
	put(0, 8+4)
	put(header, 2)
	put(56, 2)
	put(1, 2)
	put(0, 6)
	put(1, 4) // one segment to load
	put(5, 4) // that can be read and run
	put(0, 8)
	put(base, 8)
	put(base, 8)
	put(uint64(entry+len(code)), 8)
	put(uint64(entry+len(code)), 8)
	put(0x1000, 8)
	b.Write(code)
	return b.String()
}

// entry is one of a layer's archive.
type entry struct {
	name, content string
	mode          int64
	kind          byte
	link          string
}

func program(name, content string) entry { return entry{name: name, content: content, mode: 0o755} }
func data(name, content string) entry    { return entry{name: name, content: content, mode: 0o644} }
func symlink(name, to string) entry      { return entry{name: name, kind: tar.TypeSymlink, link: to} }
func hardlink(name, to string) entry     { return entry{name: name, kind: tar.TypeLink, link: to} }
func folder(name string) entry           { return entry{name: name, kind: tar.TypeDir, mode: 0o755} }
func without(name string) entry {
	dir, base := filepath.Split(name)
	return data(dir+".wh."+base, "")
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		kind := e.kind
		if kind == 0 {
			kind = tar.TypeReg
		}
		require.NoError(t, w.WriteHeader(&tar.Header{Name: e.name, Typeflag: kind, Linkname: e.link, Mode: e.mode, Size: int64(len(e.content))}))
		_, err := w.Write([]byte(e.content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func layers(t testing.TB, archives ...[]byte) []layout.Layer {
	t.Helper()
	folder, digest := sample.Layout(t, sample.Layers(t, "amd64", archives...))
	verified, err := layout.Verify(folder, digest)
	require.NoError(t, err)
	list, err := verified.Layers(verified.Images[0])
	require.NoError(t, err)
	require.Len(t, list, len(archives))
	return list
}

// look makes the inventory of an image and returns why its executables are
// unknown, by path.
func look(t *testing.T, report *types.Report, archives ...[]byte) map[string]string {
	t.Helper()
	_, unknown := inventoried(t, report, "", archives...)
	return unknown
}

func inventoried(t *testing.T, report *types.Report, source string, archives ...[]byte) (*Inventory, map[string]string) {
	t.Helper()
	scratch := t.TempDir()
	held, err := Of(Input{Platform: "linux/amd64", Layers: layers(t, archives...), Source: source, Report: report, Scratch: scratch})
	require.NoError(t, err)
	unknown := map[string]string{}
	for _, e := range held.Unknown {
		require.Equal(t, []string{"linux/amd64"}, e.Platforms)
		require.Regexp(t, "^[0-9a-f]{64}$", e.SHA256)
		require.NotEmpty(t, e.Kind)
		require.NotContains(t, unknown, e.Path)
		unknown[e.Path] = e.Reason
	}
	left, err := os.ReadDir(scratch)
	require.NoError(t, err)
	require.Empty(t, left, "nothing is left behind")
	return held, unknown
}

func report(results ...types.Result) *types.Report { return &types.Report{Results: results} }

// listing is a result as Trivy writes it: packages are NAME, or NAME and the FILE
// that it was found in.
func listing(kind ftypes.LangType, target string, packages ...[2]string) types.Result {
	r := types.Result{Target: target, Class: types.ClassLangPkg, Type: kind}
	for _, p := range packages {
		r.Packages = append(r.Packages, ftypes.Package{Name: p[0], Version: "1.0.0", FilePath: p[1]})
	}
	return r
}

// goProgram is the listing of a program that is built from app, and of the modules,
// each as NAME and VERSION.
func goProgram(target string, modules ...[2]string) types.Result {
	r := listing(ftypes.GoBinary, target, [2]string{"stdlib"}, [2]string{"example.com/app"})
	for _, m := range modules {
		r.Packages = append(r.Packages, ftypes.Package{Name: m[0], Version: m[1]})
	}
	return r
}

func system(kind ftypes.OSType, packages ...ftypes.Package) types.Result {
	return types.Result{Target: "image", Class: types.ClassOSPkg, Type: kind, Packages: packages}
}

func md5of(content string) string {
	sum := md5.Sum([]byte(content)) //nolint:gosec // As in the package.
	return hex.EncodeToString(sum[:])
}

func recordOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha256=" + base64.RawURLEncoding.EncodeToString(sum[:])
}

func jar(t *testing.T, files ...[2]string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, file := range files {
		f, err := w.Create(file[0])
		require.NoError(t, err)
		_, err = f.Write([]byte(file[1]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.String()
}

// goBuilt compiles a Go program from files, for linux/amd64 and without a network.
func goBuilt(t *testing.T, files map[string]string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	out := filepath.Join(dir, "out")
	command := exec.Command("go", append(append([]string{"build", "-o", out}, flags...), ".")...)
	command.Dir = dir
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=")
	if _, ok := files["go.work"]; ok {
		command.Env = append(command.Env, "GOFLAGS=")
	}
	log, err := command.CombinedOutput()
	require.NoError(t, err, "%s", log)
	content, err := os.ReadFile(out)
	require.NoError(t, err)
	return string(content)
}

func parsed(t *testing.T, text string) *debug.BuildInfo {
	t.Helper()
	info, err := debug.ParseBuildInfo(text)
	require.NoError(t, err)
	return info
}

var app = map[string]string{"go.mod": "module example.com/app\n\ngo 1.24\n", "main.go": "package main\n\nfunc main() { println() }\n"}
