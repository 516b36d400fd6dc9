package layer

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// entry is one entry of a test's source archive.
type entry struct {
	tar.Header
	content string
}

func archive(t *testing.T, when time.Time, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	tw := tar.NewWriter(&out)
	for _, e := range entries {
		h := e.Header
		h.ModTime, h.AccessTime, h.Format = when, when.Add(time.Hour), tar.FormatPAX
		h.Uname, h.Gname = "builder", "builders"
		h.Size = int64(len(e.content))
		require.NoError(t, tw.WriteHeader(&h))
		_, err := tw.Write([]byte(e.content))
		require.NoError(t, err)
	}
	require.NoError(t, tw.Close())
	return out.Bytes()
}

func file(name, content string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, content}
}

func other(kind byte, name, link string) entry {
	return entry{Header: tar.Header{Typeflag: kind, Name: name, Linkname: link, Mode: 0o755}}
}

func rewrite(t *testing.T, source []byte) (Rewritten, []byte, error) {
	t.Helper()
	var out bytes.Buffer
	r, err := Rewrite(&out, bytes.NewReader(source), t.TempDir())
	return r, out.Bytes(), err
}

// list reads a compressed layer's headers and contents.
func list(t *testing.T, compressed []byte) ([]tar.Header, map[string]string) {
	t.Helper()
	zr, err := gzip.NewReader(bytes.NewReader(compressed))
	require.NoError(t, err)
	assert.True(t, zr.ModTime.IsZero(), "gzip header has a time")
	assert.Empty(t, zr.Name)
	var headers []tar.Header
	contents := map[string]string{}
	tr := tar.NewReader(zr)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return headers, contents
		}
		require.NoError(t, err)
		headers = append(headers, *h)
		data, err := io.ReadAll(tr)
		require.NoError(t, err)
		contents[h.Name] = string(data)
	}
}

func names(headers []tar.Header) []string {
	var out []string
	for _, h := range headers {
		out = append(out, h.Name)
	}
	return out
}

func TestWriteDependsOnContentAlone(t *testing.T) {
	entries := WithFolders(Base([]byte("zones")))
	var first, second bytes.Buffer
	diffID, err := Write(&first, entries)
	require.NoError(t, err)
	slices.Reverse(entries)
	for i := range entries {
		entries[i].Header.ModTime = time.Unix(int64(i), 0)
		entries[i].Header.Uname = "someone"
	}
	again, err := Write(&second, entries)
	require.NoError(t, err)
	assert.Equal(t, first.Bytes(), second.Bytes())
	assert.Equal(t, diffID, again)

	zr, err := gzip.NewReader(&second)
	require.NoError(t, err)
	plain, _, err := v1.SHA256(zr)
	require.NoError(t, err)
	assert.Equal(t, plain, diffID)
}

func TestBaseLayer(t *testing.T) {
	var out bytes.Buffer
	_, err := Write(&out, WithFolders(Base([]byte("zones"))))
	require.NoError(t, err)
	headers, contents := list(t, out.Bytes())
	assert.Equal(t, []string{
		"etc/", "etc/group", "etc/passwd", "etc/ssl/", "etc/ssl/certs/", "etc/ssl/certs/ca-certificates.crt",
		"home/", "home/nonroot/", "tmp/", "usr/", "usr/share/", "usr/share/zoneinfo.zip",
	}, names(headers))
	for _, h := range headers {
		assert.True(t, h.ModTime.Equal(Epoch), h.Name)
		assert.Empty(t, h.Uname+h.Gname, h.Name)
		switch h.Name {
		case "tmp/":
			assert.EqualValues(t, 0o1777, h.Mode)
		case "home/nonroot/":
			assert.Equal(t, []int{65532, 65532}, []int{h.Uid, h.Gid})
		default:
			assert.Zero(t, h.Uid, h.Name)
		}
	}
	assert.Equal(t, "zones", contents["usr/share/zoneinfo.zip"])
	assert.Contains(t, contents["etc/passwd"], "nonroot:x:65532:65532:")
}

func TestCABundleHoldsRoots(t *testing.T) {
	bundle := CABundle()
	var count int
	for rest := bundle; ; count++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		assert.True(t, cert.IsCA, cert.Subject)
	}
	assert.Greater(t, count, 100)
	assert.Equal(t, bundle, CABundle())
}

func TestRewriteIsTheSameForEveryOrderTimeAndCompression(t *testing.T) {
	capability := other(tar.TypeDir, "./opt", "")
	capability.PAXRecords = map[string]string{"SCHILY.xattr.user.kept": "yes", "VENDOR.dropped": "x"}
	entries := []entry{
		file("opt/.wh.gone", ""), file("opt/.wh..wh..opq", ""), file("opt/!first", "1"),
		capability, file("/etc/hosts", "localhost"), other(tar.TypeSymlink, "opt/link", "../etc/hosts"),
		file("bin/tool", "binary"), other(tar.TypeLink, "bin/alias", "bin/tool"),
	}
	plain := archive(t, time.Unix(1_700_000_000, 123), entries...)
	first, out, err := rewrite(t, plain)
	require.NoError(t, err)
	source, _, err := v1.SHA256(bytes.NewReader(plain))
	require.NoError(t, err)
	assert.Equal(t, source, first.SourceDiffID)
	assert.False(t, first.Passwd.Touched)

	headers, contents := list(t, out)
	assert.Equal(t, []string{
		"bin/alias", "etc/hosts", "opt/", "opt/.wh..wh..opq", "opt/.wh.gone", "opt/!first", "opt/link", "bin/tool",
	}, names(headers))
	assert.Equal(t, "binary", contents["bin/alias"], "the first name of a group is the file")
	for _, h := range headers {
		assert.True(t, h.ModTime.Equal(Epoch) && h.AccessTime.IsZero() && h.Uname == "", h.Name)
		switch h.Name {
		case "bin/tool":
			assert.Equal(t, "bin/alias", h.Linkname)
		case "opt/":
			assert.Equal(t, "yes", h.PAXRecords["SCHILY.xattr.user.kept"])
			assert.NotContains(t, h.PAXRecords, "VENDOR.dropped")
		}
	}

	// Another walk, another time, another primary name of the link.
	slices.Reverse(entries)
	entries[0], entries[1] = file("bin/alias", "binary"), other(tar.TypeLink, "bin/tool", "bin/alias")
	later := archive(t, time.Unix(1_800_000_000, 0), entries...)
	var gz, zs bytes.Buffer
	zw := gzip.NewWriter(&gz)
	zw.Name = "layer.tar"
	_, err = zw.Write(later)
	require.NoError(t, err)
	require.NoError(t, zw.Close())
	zstdWriter, err := zstd.NewWriter(&zs)
	require.NoError(t, err)
	_, err = zstdWriter.Write(later)
	require.NoError(t, err)
	require.NoError(t, zstdWriter.Close())
	for name, data := range map[string][]byte{"plain": later, "gzip": gz.Bytes(), "zstd": zs.Bytes()} {
		again, got, err := rewrite(t, data)
		require.NoError(t, err, name)
		assert.Equal(t, out, got, name)
		assert.Equal(t, first.DiffID, again.DiffID, name)
	}

	// What was written is its own normal form.
	_, twice, err := rewrite(t, out)
	require.NoError(t, err)
	assert.Equal(t, out, twice)
}

func TestRewriteTakesTheLastOfRepeatedNames(t *testing.T) {
	_, out, err := rewrite(t, archive(t, Epoch, file("a", "old"), file("./a", "new")))
	require.NoError(t, err)
	headers, contents := list(t, out)
	assert.Equal(t, []string{"a"}, names(headers))
	assert.Equal(t, "new", contents["a"])
}

func TestRewriteTellsOfPasswd(t *testing.T) {
	for name, tc := range map[string]struct {
		entries []entry
		want    Passwd
	}{
		"file":            {[]entry{file("etc/passwd", "root:x:0")}, Passwd{true, []byte("root:x:0")}},
		"untouched":       {[]entry{other(tar.TypeDir, "etc", ""), file("etc/passwd-", "x")}, Passwd{}},
		"removed":         {[]entry{file("etc/.wh.passwd", "")}, Passwd{Touched: true}},
		"folder emptied":  {[]entry{file("etc/.wh..wh..opq", "")}, Passwd{Touched: true}},
		"folder removed":  {[]entry{file(".wh.etc", "")}, Passwd{Touched: true}},
		"symbolic link":   {[]entry{other(tar.TypeSymlink, "etc/passwd", "/x")}, Passwd{Touched: true}},
		"folder a link":   {[]entry{other(tar.TypeSymlink, "etc", "/x")}, Passwd{Touched: true}},
		"emptied, filled": {[]entry{file("etc/passwd", "new"), file("etc/.wh..wh..opq", "")}, Passwd{true, []byte("new")}},
	} {
		t.Run(name, func(t *testing.T) {
			r, _, err := rewrite(t, archive(t, Epoch, tc.entries...))
			require.NoError(t, err)
			assert.Equal(t, tc.want, r.Passwd)
		})
	}
}

func TestRewriteRefuses(t *testing.T) {
	good := archive(t, Epoch, file("a", strings.Repeat("x", 5000)))
	var gz bytes.Buffer
	zw := gzip.NewWriter(&gz)
	_, err := zw.Write(good)
	require.NoError(t, err)
	require.NoError(t, zw.Close())
	for name, tc := range map[string]struct {
		source []byte
		reason string
	}{
		"path above the root": {archive(t, Epoch, file("a/../../b", "")), `"a/../../b" leaves the layer's root`},
		"link above the root": {archive(t, Epoch, other(tar.TypeLink, "a", "../b")), `"../b" leaves the layer's root`},
		"links in a circle":   {archive(t, Epoch, other(tar.TypeLink, "a", "b"), other(tar.TypeLink, "b", "a")), "to the hard link"},
		"repeated and linked": {archive(t, Epoch, file("a", "1"), other(tar.TypeLink, "b", "a"), file("a", "2")), "one of them is repeated"},
		"unknown type":        {archive(t, Epoch, other('Z', "a", "")), "is of tar type"},
		"cut archive":         {good[:2000], "tar: unexpected EOF"},
		"cut compression":     {gz.Bytes()[:gz.Len()-6], "decompress: unexpected EOF"},
		"no archive":          {bytes.Repeat([]byte("no archive "), 100), "tar: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := rewrite(t, tc.source)
			require.ErrorIs(t, err, ErrBadLayer)
			assert.ErrorContains(t, err, tc.reason)
		})
	}
}
