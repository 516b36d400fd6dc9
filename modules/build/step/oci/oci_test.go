package oci

import (
	"errors"
	"fmt"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func descriptor(mediaType types.MediaType, n int) v1.Descriptor {
	return v1.Descriptor{MediaType: mediaType, Size: 2, Digest: v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%064x", n)}}
}

func TestChildrenRefusesAmbiguousContent(t *testing.T) {
	const config = `"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"` + digest + `"}`
	for what, tc := range map[string]struct {
		mediaType       types.MediaType
		content, reason string
	}{
		"no JSON":              {types.OCIImageIndex, "x", "is not JSON"},
		"schema 1":             {types.OCIImageIndex, `{"schemaVersion":1,"manifests":[]}`, "has schemaVersion 1, not 2"},
		"other media type":     {types.OCIImageIndex, `{"schemaVersion":2,"mediaType":"x/y","manifests":[]}`, `says media type "x/y"`},
		"index with layers":    {types.OCIImageIndex, `{"schemaVersion":2,"manifests":[],"layers":[]}`, "doesn't have just an index's fields"},
		"manifest as index":    {types.OCIImageIndex, `{"schemaVersion":2,` + config + `,"layers":[]}`, "doesn't have just an index's fields"},
		"index as manifest":    {types.OCIManifestSchema1, `{"schemaVersion":2,"manifests":[]}`, "doesn't have just a manifest's fields"},
		"no config":            {types.OCIManifestSchema1, `{"schemaVersion":2,"layers":[]}`, "doesn't have just a manifest's fields"},
		"other digest":         {types.OCIImageIndex, `{"schemaVersion":2,"manifests":[{"mediaType":"a/b","size":1,"digest":"sha512:` + digest[7:] + digest[7:] + `"}]}`, "not by a sha256 digest"},
		"negative size":        {types.OCIImageIndex, `{"schemaVersion":2,"manifests":[{"mediaType":"a/b","size":-1,"digest":"` + digest + `"}]}`, "with a size of -1 bytes"},
		"layer kept elsewhere": {types.OCIManifestSchema1, `{"schemaVersion":2,` + config + `,"layers":[{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","size":1,"digest":"` + digest + `"}]}`, "which is kept elsewhere"},
		"manifest as a layer":  {types.OCIManifestSchema1, `{"schemaVersion":2,` + config + `,"layers":[{"mediaType":"` + string(types.OCIImageIndex) + `","size":1,"digest":"` + digest + `"}]}`, "as a blob"},
	} {
		_, err := Children(descriptor(tc.mediaType, 1), []byte(tc.content))
		assert.ErrorContains(t, err, tc.reason, what)
	}
	children, err := Children(descriptor(types.OCIManifestSchema1, 1), []byte(`{"schemaVersion":2,`+config+`,"layers":[]}`))
	require.NoError(t, err)
	assert.Equal(t, digest, children[0].Digest.String())
}

func TestWalkRefusesDeepNestingAndTwoDescriptions(t *testing.T) {
	index := func(children ...v1.Descriptor) []byte {
		content := `{"schemaVersion":2,"manifests":[`
		for i, c := range children {
			if i > 0 {
				content += ","
			}
			content += fmt.Sprintf(`{"mediaType":%q,"size":%d,"digest":%q}`, c.MediaType, c.Size, c.Digest)
		}
		return []byte(content + "]}")
	}
	n := 0
	_, err := Walk(func(v1.Descriptor) ([]byte, error) {
		n++
		return index(descriptor(types.OCIImageIndex, n)), nil
	}, descriptor(types.OCIImageIndex, 0))
	var malformed *Malformed
	require.ErrorAs(t, err, &malformed)
	assert.EqualError(t, malformed.Err, "is nested too deep")

	same := descriptor(types.OCILayer, 7)
	other := same
	other.MediaType = types.OCIImageIndex
	_, err = Walk(func(d v1.Descriptor) ([]byte, error) {
		if d.Digest == same.Digest {
			return nil, nil
		}
		return index(same, other), nil
	}, descriptor(types.OCIImageIndex, 0))
	require.ErrorAs(t, err, &malformed)
	assert.EqualError(t, malformed.Err, "is described in two ways")

	unreadable := errors.New("unreadable")
	_, err = Walk(func(v1.Descriptor) ([]byte, error) { return nil, unreadable }, same)
	assert.ErrorIs(t, err, unreadable)
}
