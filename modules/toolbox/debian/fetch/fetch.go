// Package fetch downloads pinned package files.
package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"slipway/step"
	"slipway/toolbox/debian/lock"
)

// limit bounds a package file; Debian's largest that is used here has 30 MB.
const limit = 256 << 20

// attempts is how often one mirror is asked when its answer breaks off.
const attempts = 3

// Fetcher downloads from mirrors of an archive.
type Fetcher struct {
	// Mirrors are the base URLs of archives, asked in this order.
	Mirrors []string
	Client  *http.Client
	// Sleep waits between attempts.
	Sleep func(context.Context, time.Duration) error
}

// Get returns the package file. Its bytes are the pinned ones, from whichever
// mirror they come.
func (f *Fetcher) Get(ctx context.Context, p lock.Package) ([]byte, error) {
	var tried []string
	for _, mirror := range f.Mirrors {
		url := strings.TrimSuffix(mirror, "/") + "/" + p.Path
		for attempt := 1; ; attempt++ {
			data, again, err := f.once(ctx, url)
			if err == nil {
				sum := sha256.Sum256(data)
				if got := hex.EncodeToString(sum[:]); got != p.SHA256 {
					return nil, step.Policy(lock.Stage, url, fmt.Sprintf("has sha256 %s, but the lock says %s", got, p.SHA256),
						"find out who changed it before anything else; a new version has another path")
				}
				return data, nil
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			tried = append(tried, fmt.Sprintf("%s: %v", url, err))
			if !again || attempt == attempts {
				break
			}
			if err := f.Sleep(ctx, time.Duration(attempt)*time.Second); err != nil {
				return nil, err
			}
		}
	}
	return nil, step.Infrastructure(lock.Stage, p.Name+" "+p.Version, "is on no mirror",
		"give a mirror that has it; when Debian has replaced the version, make the lock again", tried...)
}

// once asks for url; again says whether another attempt may help.
func (f *Fetcher) once(ctx context.Context, url string) (data []byte, again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, false, err
	}
	response, err := f.Client.Do(request)
	if err != nil {
		return nil, true, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, response.StatusCode >= 500, fmt.Errorf("answered %s", response.Status)
	}
	data, err = io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err == nil && len(data) > limit {
		return nil, false, fmt.Errorf("is larger than %d MiB", limit>>20)
	}
	return data, true, err
}
