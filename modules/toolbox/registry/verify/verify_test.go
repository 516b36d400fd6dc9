package verify

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestContentIsHeldToItsDescriptor(t *testing.T) {
	digest, size, err := v1.SHA256(strings.NewReader("blob"))
	require.NoError(t, err)
	d := v1.Descriptor{Digest: digest, Size: size}
	for body, reason := range map[string]string{"blob": "", "": "is shorter", "blo": "is shorter", "blub": "has digest sha256:", "blobs": "is longer", strings.Repeat("blob", 99): "is longer"} {
		for _, reader := range []io.Reader{strings.NewReader(body), iotest.OneByteReader(strings.NewReader(body)), iotest.DataErrReader(strings.NewReader(body))} {
			var got bytes.Buffer
			err := Check(&got, reader, d)
			assert.LessOrEqual(t, int64(got.Len()), size+1)
			if reason == "" {
				require.NoError(t, err)
				assert.Equal(t, body, got.String())
				continue
			}
			var mismatch *Mismatch
			require.ErrorAs(t, err, &mismatch)
			require.ErrorContains(t, err, reason)
			assert.Equal(t, d, mismatch.Want)
		}
	}
	for _, size := range []int64{-1, math.MaxInt64} {
		d.Size = size
		require.Error(t, Check(io.Discard, strings.NewReader("blob"), d))
	}
	broken := errors.New("broken")
	require.ErrorIs(t, Check(io.Discard, iotest.ErrReader(broken), v1.Descriptor{Digest: digest, Size: size}), broken)
}

func TestIsManifest(t *testing.T) {
	for mediaType, want := range map[types.MediaType]bool{
		types.OCIImageIndex: true, types.OCIManifestSchema1: true, types.DockerManifestList: true, types.DockerManifestSchema2: true, types.OCILayer: false, types.OCIConfigJSON: false, "": false,
	} {
		assert.Equal(t, want, IsManifest(v1.Descriptor{MediaType: mediaType}), mediaType)
	}
}
