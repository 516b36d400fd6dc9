package packages

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"slipway/step"
)

type fetcher struct {
	out    string
	limits Limits
	total  atomic.Int64
}

// fetch stores a package's file and returns its name.
func (f *fetcher) fetch(ctx context.Context, p Pinned) (name string, err error) {
	err = p.client.Get(ctx, p.At, p.URL, "", func(response *http.Response) (err error) {
		name, err = f.store(p, response.Body)
		return err
	})
	return name, err
}

// store writes a file that is what the lock file says, and nothing else.
func (f *fetcher) store(p Pinned, body io.Reader) (name string, err error) {
	file, err := os.CreateTemp(f.out, ".package-*")
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	sum := hashes[p.Algorithm]()
	size, err := io.Copy(io.MultiWriter(file, sum), io.LimitReader(body, f.limits.File+1))
	switch {
	case size > f.limits.File:
		return "", step.Policy(Stage, p.At, fmt.Sprintf("is larger than %d bytes", f.limits.File), "depend on another package")
	case err != nil:
		return "", err
	}
	digest := string(sum.Sum(nil))
	if !slices.Contains(p.Sums, digest) {
		return "", step.Policy(Stage, p.At, "is not what the lock file pins: "+p.URL+" has another "+p.Algorithm,
			"find out who changed the package; if the change is a wanted one, "+p.client.origin.Anew)
	}
	if f.total.Add(size) > f.limits.Total {
		return "", step.Policy(Stage, p.At, fmt.Sprintf("and the packages before it are larger than %d bytes", f.limits.Total), "depend on fewer packages")
	}
	name = p.Algorithm + "-" + hex.EncodeToString([]byte(digest))
	return name, errors.Join(file.Chmod(0o644), os.Rename(file.Name(), filepath.Join(f.out, name)))
}

var hashes = map[string]func() hash.Hash{"sha512": sha512.New, "sha384": sha512.New384, "sha256": sha256.New}
