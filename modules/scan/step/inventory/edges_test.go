package inventory

import (
	"archive/tar"
	"crypto/sha1" //nolint:gosec // As in the package.
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheFolderOfANodePackage(t *testing.T) {
	k := &known{listed: listed{nodePackages: map[string]bool{"node_modules/a/package.json": true, "x/node_modules/@s/b/package.json": true, "x/node_modules/a/node_modules/c/package.json": true, "node_modules/package.json": true, "y/package.json": true}}}
	for file, want := range map[string]bool{
		"node_modules/a/x.node": true, "node_modules/a/b/c.node": true, "node_modules/a": false, "node_modules/x.node": false, "node_modules/b/x.node": false, "x/node_modules/@s/b/x.node": true, "x/node_modules/@s/b": false,
		"x/node_modules/@s/x.node": false, "x/node_modules/a/x.node": false, "x/node_modules/a/node_modules/c/x.node": true, "x/node_modules/a/node_modules/x.node": false, "node_modules/a/node_modules/d/x.node": false, "y/x.node": false, "x.node": false,
		"node_modules/a/node_modules": true, "node_modules": false,
	} {
		assert.Equal(t, want, k.inNodePackage(file), file)
	}
}

func TestWhatAnApkDatabaseClaims(t *testing.T) {
	first, second := elf(1), elf(2)
	q1 := func(text string) string {
		sum := sha1.Sum([]byte(text)) //nolint:gosec // As in the package.
		return "Z:Q1" + base64.StdEncoding.EncodeToString(sum[:]) + "\n"
	}
	sum := sha256.Sum256([]byte(second))
	q2 := "Z:Q2" + base64.StdEncoding.EncodeToString(sum[:]) + "\n"
	alpine := report(system(ftypes.Alpine, ftypes.Package{Name: "musl"}, ftypes.Package{Name: "more"}))
	files := []entry{data("lib/a.so", first), data("usr/lib/b.so", second)}
	for name, c := range map[string]struct {
		database string
		unknown  []string
	}{
		"both":                     {"P:musl\nF:lib\nR:a.so\n" + q1(first) + "F:usr/lib\nR:b.so\n" + q2 + "\n", nil},
		"of two packages":          {"P:musl\nF:lib\nR:a.so\n" + q1(first) + "\nP:more\nF:usr/lib\nR:b.so\n" + q2, nil},
		"of one that's not listed": {"P:musl\nF:lib\nR:a.so\n" + q1(first) + "\nP:other\nF:usr/lib\nR:b.so\n" + q2, []string{"usr/lib/b.so"}},
		"of none":                  {"P:musl\nF:lib\nR:a.so\n" + q1(first) + "\nF:usr/lib\nR:b.so\n" + q2, []string{"usr/lib/b.so"}},
		"in no folder of its own":  {"P:musl\nF:usr/lib\nR:b.so\n" + q2 + "\nP:more\nR:a.so\n" + q1(first), []string{"lib/a.so"}},
		"of no file of its own":    {"P:musl\nF:lib\nR:a.so\n\nP:more\n" + q1(first), []string{"lib/a.so", "usr/lib/b.so"}},
		"another algorithm":        {"P:musl\nF:lib\nR:a.so\n" + strings.Replace(q1(first), "Q1", "Q3", 1) + "F:usr/lib\nR:b.so\n" + q2, []string{"lib/a.so"}},
		"no sum":                   {"P:musl\nF:lib\nR:a.so\nZ:Q1***\nF:usr/lib\nR:b.so\n" + q2, []string{"lib/a.so"}},
		"the wrong sum":            {"P:musl\nF:lib\nR:a.so\n" + q1(second) + "F:usr/lib\nR:b.so\n" + q2, []string{"lib/a.so"}},
	} {
		var unknown []string
		for path := range look(t, alpine, archive(t, append([]entry{data("lib/apk/db/installed", c.database)}, files...)...)) {
			unknown = append(unknown, path)
		}
		assert.ElementsMatch(t, c.unknown, unknown, name)
	}
}

func TestAClaimHoldsByItsSumOrItsLayer(t *testing.T) {
	e := &executable{md5: "a", sha1: "b", sha256: "c"}
	for name, c := range map[string]struct {
		claim claim
		want  bool
	}{
		"md5": {claim{sum: "md5:a"}, true}, "sha1": {claim{sum: "sha1:b"}, true}, "sha256": {claim{sum: "sha256:c"}, true}, "another": {claim{sum: "md5:b"}, false}, "another sum": {claim{sum: "sha256:d", layer: "l"}, false},
		"a layer": {claim{layer: "l"}, true}, "another layer": {claim{layer: "m"}, false},
	} {
		assert.Equal(t, c.want, c.claim.holds(e, "l"), name)
	}
}

func TestAScriptOfTheSource(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, size int) string {
		text := "#!/bin/sh\n" + strings.Repeat("#", size-10)
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
		sum, ok := script(filepath.Join(folder, name))
		assert.Equal(t, size <= mostScript, ok, size)
		return sum
	}
	first, largest, larger := write("a.sh", 20), write("b.sh", mostScript), write("c.sh", mostScript+1)
	assert.Empty(t, larger)
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(folder, "link")))
	k := &known{source: folder}
	assert.True(t, k.ownScript(first))
	assert.True(t, k.ownScript(largest))
	assert.False(t, k.ownScript(""))
	_, ok := script(filepath.Join(folder, "none"))
	assert.False(t, ok)
	passwd, ok := script("/etc/passwd")
	require.True(t, ok)
	assert.False(t, k.ownScript(passwd), "what a link leads to is not the source's")
	assert.False(t, (&known{source: filepath.Join(folder, "none")}).ownScript(first))
}

func TestPathsInAnImage(t *testing.T) {
	for name, want := range map[string]string{"a/b": "a/b", "/a/b": "a/b", "./a": "a", "../a": "a", "a/../../b": "b", "": "", "/": "", "a//b/": "a/b"} {
		assert.Equal(t, want, clean(name), name)
	}
}

func TestWhereLinksLead(t *testing.T) {
	image := &tree{root: &node{children: map[string]*node{}}}
	for name, link := range map[string]string{"usr/bin": "../opt/bin", "opt/bin": "/srv/./x//", "up": "../../..", "a/b/c": "../d", "round": "around", "around": "round"} {
		image.folder(0, name).link = link
	}
	for name, want := range map[string]string{
		"":           "",
		"plain/file": "plain/file",
		"usr/bin/x":  "srv/x/x",
		"opt/bin":    "srv/x",
		"up/x":       "x",
		"a/b/c/e":    "a/d/e",
		"a/b/../c":   "a/c",
	} {
		assert.Equal(t, want, image.resolve(name), name)
	}
	assert.Contains(t, []string{"round/x", "around/x"}, image.resolve("round/x"), "a circle ends")
}

func TestEntriesThatAreNoFiles(t *testing.T) {
	for name, c := range map[string]struct {
		header tar.Header
		held   bool
		reason string
	}{
		"a global header":      {tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "x"}, false, ""},
		"the root":             {tar.Header{Typeflag: tar.TypeDir, Name: "./"}, false, ""},
		"the root as a file":   {tar.Header{Typeflag: tar.TypeReg, Name: "/"}, false, ""},
		"a device":             {tar.Header{Typeflag: tar.TypeChar, Name: "x"}, true, ""},
		"a disk":               {tar.Header{Typeflag: tar.TypeBlock, Name: "x"}, true, ""},
		"a pipe":               {tar.Header{Typeflag: tar.TypeFifo, Name: "x"}, true, ""},
		"a link":               {tar.Header{Typeflag: tar.TypeSymlink, Name: "x", Linkname: "y"}, true, ""},
		"of another type":      {tar.Header{Typeflag: 'Z', Name: "x"}, false, "it is of tar type 'Z'"},
		"a link to nothing":    {tar.Header{Typeflag: tar.TypeLink, Name: "x", Linkname: "y"}, false, `it is a hard link to "y", which is no file of the image`},
		"a link to a folder":   {tar.Header{Typeflag: tar.TypeLink, Name: "x", Linkname: "/"}, false, `it is a hard link to "/", which is no file of the image`},
		"a long name":          {tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("x", longest+1)}, false, fmt.Sprintf("its path has more than %d bytes", longest)},
		"a link to a long one": {tar.Header{Typeflag: tar.TypeSymlink, Name: "x", Linkname: strings.Repeat("x", longest+1)}, false, fmt.Sprintf("its path has more than %d bytes", longest)},
		"as long as may be":    {tar.Header{Typeflag: tar.TypeSymlink, Name: "x", Linkname: strings.Repeat("x", longest)}, true, ""},
	} {
		image := &tree{root: &node{children: map[string]*node{}}, scratch: t.TempDir()}
		err := image.apply(0, &c.header, strings.NewReader(""))
		if c.reason != "" {
			require.EqualError(t, err, c.reason, name)
		} else {
			require.NoError(t, err, name)
		}
		if c.held {
			assert.Len(t, image.root.children, 1, name)
		} else {
			assert.Empty(t, image.root.children, name)
		}
	}
}

// What can't be read to its end is nothing that was looked at.
func TestAFileThatCannotBeReadIsNone(t *testing.T) {
	program := elf(1) + strings.Repeat("x", 100)
	for name, c := range map[string]struct{ path, content string }{
		"a package database":  {"lib/apk/db/installed", "P:musl\n"},
		"its first bytes":     {"opt/x", "\x7f"},
		"its later ones":      {"opt/x", program},
		"one on the disk":     {"opt/x", program + strings.Repeat("x", inMemory)},
		"and no executable's": {"opt/x", "text"},
	} {
		looking := &tree{scratch: t.TempDir()}
		found, err := looking.read(c.path, &tar.Header{Size: int64(len(c.content))}, strings.NewReader(c.content))
		require.NoError(t, err, name)
		assert.Equal(t, strings.HasPrefix(c.content, "\x7fELF") || strings.HasPrefix(c.path, "lib/"), found != nil, name)

		_, err = looking.read(c.path, &tar.Header{Size: int64(len(c.content))}, io.MultiReader(strings.NewReader(c.content), iotest.ErrReader(errors.New("broken"))))
		assert.EqualError(t, err, "broken", name)
		left, err := os.ReadDir(looking.scratch)
		require.NoError(t, err)
		assert.Empty(t, left, name)
	}
	looking := &tree{scratch: filepath.Join(t.TempDir(), "none")}
	_, err := looking.read("opt/x", &tar.Header{}, strings.NewReader(program+strings.Repeat("x", inMemory)))
	assert.ErrorContains(t, err, "none")
}
