// Package verify holds bytes to the descriptors that name them.
package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// MaxManifest is the most bytes an index or manifest may have: what the OCI
// distribution specification lets a registry refuse above.
const MaxManifest = 4 << 20

// IsManifest tells descriptors of an index or an image manifest, which
// registries serve under /manifests/, from those of blobs.
func IsManifest(d v1.Descriptor) bool {
	return d.MediaType.IsIndex() || d.MediaType.IsImage()
}

// Mismatch says how content differs from its descriptor.
type Mismatch struct {
	// Want describes the content; GotDigest and GotSize are what was read.
	// GotSize is one above Want.Size when there was more to read.
	Want      v1.Descriptor
	GotDigest v1.Hash
	GotSize   int64
}

// Error names the content and both of what was expected and found.
func (m *Mismatch) Error() string {
	if m.GotSize > m.Want.Size {
		return "content " + m.Want.Digest.String() + " is longer than its descriptor says"
	}
	if m.GotSize < m.Want.Size {
		return "content " + m.Want.Digest.String() + " is shorter than its descriptor says"
	}
	return "content " + m.Want.Digest.String() + " has digest " + m.GotDigest.String()
}

// Reader passes on what it reads, at most one byte beyond a descriptor's size. It
// ends with a *Mismatch instead of io.EOF when that isn't what the descriptor says.
type Reader struct {
	inner io.Reader
	want  v1.Descriptor
	sum   hash.Hash
	size  int64
}

// NewReader makes a Reader.
func NewReader(r io.Reader, d v1.Descriptor) *Reader {
	return &Reader{inner: io.LimitReader(r, d.Size+1), want: d, sum: sha256.New()}
}

// Read is io.Reader's.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.inner.Read(p)
	r.sum.Write(p[:n])
	r.size += int64(n)
	if err == io.EOF {
		got := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(r.sum.Sum(nil))}
		if r.size != r.want.Size || got != r.want.Digest {
			err = &Mismatch{Want: r.want, GotDigest: got, GotSize: r.size}
		}
	}
	return n, err
}

// Check reads r to its end, at most one byte beyond d's size, copies it to w
// and returns a *Mismatch when it isn't what d describes.
func Check(w io.Writer, r io.Reader, d v1.Descriptor) error {
	_, err := io.Copy(w, NewReader(r, d))
	return err
}
