package bundle

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	sigstore "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sign/step/key"
)

// vectors is the archive of sigstore-conformance's bundle verification cases,
// beside this repository's checkout.
var vectors = flag.String("conformance", "../../../../../shared/sigstore-conformance/bundle-verify.tar.gz", "archive of sigstore-conformance's bundle-verify cases")

// TestConformance holds the key policy against sigstore-conformance: the cases
// with a key of their own are decided as their names say, and every other
// bundle, good or bad for an identity, is refused for a key that did not sign
// it.
func TestConformance(t *testing.T) {
	files := unpack(t)
	artifact := files["a.txt"]
	require.NotEmpty(t, artifact)
	stranger, err := key.Generate([]byte("secret"))
	require.NoError(t, err)
	keyed, others := 0, 0
	for file, data := range files {
		name, base := path.Split(file)
		if base != "bundle.sigstore.json" {
			continue
		}
		name = strings.TrimSuffix(name, "/")
		signed := artifact
		if own, ok := files[name+"/artifact"]; ok {
			signed = own
		}
		sum := sha256.Sum256(signed)
		digest := "sha256:" + hex.EncodeToString(sum[:])
		pem, ok := files[name+"/key.pub"]
		if !ok {
			pem = stranger.Public
		}
		public, err := key.ParsePublic(pem)
		if !ok {
			others++
			require.NoError(t, err, name)
			_, err := Verify(data, public, digest)
			assert.Error(t, err, name)
			continue
		}
		keyed++
		var b sigstore.Bundle
		require.NoError(t, b.UnmarshalJSON(data), name)
		if strings.HasSuffix(name, "_fail") {
			// A key that is no point of its curve is refused before its use.
			if err == nil {
				_, err = check(&b, public, digest)
			}
			assert.Error(t, err, name)
			continue
		}
		require.NoError(t, err, name)
		_, err = check(&b, public, digest)
		assert.NoError(t, err, name)
		_, err = check(&b, public, "sha256:"+strings.Repeat("00", 32))
		assert.ErrorIs(t, err, ErrUntrusted, name+" for another artifact")
		other, err := key.ParsePublic(stranger.Public)
		require.NoError(t, err)
		_, err = check(&b, other, digest)
		assert.ErrorIs(t, err, ErrUntrusted, name+" with another key")
	}
	assert.GreaterOrEqual(t, keyed, 3)
	t.Logf("%d cases with a key, %d others", keyed, others)
}

// unpack returns the archive's files by their name below bundle-verify.
func unpack(t *testing.T) map[string][]byte {
	t.Helper()
	archive, err := os.Open(*vectors)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("sigstore-conformance's vectors are not at %s", *vectors)
	}
	require.NoError(t, err)
	defer archive.Close()
	unzipped, err := gzip.NewReader(archive)
	require.NoError(t, err)
	files := map[string][]byte{}
	for reader := tar.NewReader(unzipped); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		_, name, ok := strings.Cut(header.Name, "bundle-verify/")
		if !ok || header.Typeflag != tar.TypeReg {
			continue
		}
		files[name], err = io.ReadAll(reader)
		require.NoError(t, err)
	}
}
