package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// digester passes writes on and knows their digest and size.
type digester struct {
	w    io.Writer
	sum  hash.Hash
	size int64
}

func newDigester(w io.Writer) *digester { return &digester{w: w, sum: sha256.New()} }

func (d *digester) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	d.sum.Write(p[:n])
	d.size += int64(n)
	return n, err
}

func (d *digester) digest() v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(d.sum.Sum(nil))}
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

// Check reads r to its end, at most one byte beyond d's size, copies it to w
// and returns a *Mismatch when it isn't what d describes.
func Check(w io.Writer, r io.Reader, d v1.Descriptor) error {
	out := newDigester(w)
	if _, err := io.Copy(out, io.LimitReader(r, d.Size+1)); err != nil {
		return err
	}
	if got := out.digest(); out.size != d.Size || got != d.Digest {
		return &Mismatch{Want: d, GotDigest: got, GotSize: out.size}
	}
	return nil
}
