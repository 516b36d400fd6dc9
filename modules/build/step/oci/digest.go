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
