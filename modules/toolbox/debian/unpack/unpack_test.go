package unpack

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pack makes a Debian package: an ar archive of a version, a control and a data
// member.
func pack(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	archive := func(entries []tar.Header, content string) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		for _, header := range entries {
			if header.Typeflag == tar.TypeReg {
				header.Size = int64(len(content))
			}
			require.NoError(t, w.WriteHeader(&header))
			if header.Typeflag == tar.TypeReg {
				_, err := w.Write([]byte(content))
				require.NoError(t, err)
			}
		}
		require.NoError(t, w.Close())
		require.NoError(t, z.Close())
		return b.Bytes()
	}
	var b bytes.Buffer
	b.WriteString("!<arch>\n")
	member := func(name string, data []byte) {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, 0, 0, 0, "100644", len(data))
		b.Write(data)
		if len(data)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	member("debian-binary", []byte("2.0\n"))
	control := "Package: x\nVersion: 1\nArchitecture: amd64\nMaintainer: x <x@localhost>\nDescription: x\n"
	member("control.tar.gz", archive([]tar.Header{{Name: "./control", Typeflag: tar.TypeReg, Mode: 0o644}}, control))
	member("data.tar.gz", archive(entries, "content"))
	return b.Bytes()
}

func unpacked(t *testing.T, entries ...tar.Header) (string, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	require.NoError(t, os.Mkdir(dir, 0o755))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer func() { _ = root.Close() }()
	require.NoError(t, Prepare(root))
	return dir, Package(root, "x", pack(t, entries...))
}

func TestFilesLieWhereAMergedSystemHasThem(t *testing.T) {
	dir, err := unpacked(t,
		tar.Header{Name: "./bin/", Typeflag: tar.TypeDir, Mode: 0o755},
		tar.Header{Name: "./bin/mount", Typeflag: tar.TypeReg, Mode: 0o4755},
		tar.Header{Name: "./usr/bin/again", Typeflag: tar.TypeSymlink, Linkname: "mount"},
		tar.Header{Name: "./lib/x/hard", Typeflag: tar.TypeLink, Linkname: "./bin/mount"},
		tar.Header{Name: "./usr/share/doc/x/copyright", Typeflag: tar.TypeReg, Mode: 0o644},
		tar.Header{Name: "./dev/null", Typeflag: tar.TypeChar, Mode: 0o666},
	)
	require.NoError(t, err)
	for _, path := range []string{"usr/bin/mount", "bin/mount", "usr/bin/again", "lib/x/hard"} {
		data, err := os.ReadFile(filepath.Join(dir, path))
		require.NoError(t, err, path)
		assert.Equal(t, "content", string(data), path)
	}
	info, err := os.Stat(filepath.Join(dir, "usr/bin/mount"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o755), info.Mode(), "no set-user-id bit")
	assert.NoDirExists(t, filepath.Join(dir, "usr/share/doc"))
	assert.NoFileExists(t, filepath.Join(dir, "dev/null"))
}

func TestNothingLeavesTheRoot(t *testing.T) {
	dir, err := unpacked(t, tar.Header{Name: "../../outside", Typeflag: tar.TypeReg, Mode: 0o644})
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(dir, "outside"))

	_, err = unpacked(t,
		tar.Header{Name: "./etc", Typeflag: tar.TypeSymlink, Linkname: "../.."},
		tar.Header{Name: "./etc/outside", Typeflag: tar.TypeReg, Mode: 0o644},
	)
	require.ErrorContains(t, err, "escapes")
}
