// Package packages fetches what the lock files of an app pin, so that its package
// managers need no network. It reads lock files only, and runs nothing of an app's.
// Packages npm and pip read them.
package packages

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"slipway/step"
	"slipway/step/result/build"
)

// Stage is the stage of this package's faults.
const Stage = "build"

// Source is a package manager's lock files, and where their packages come from.
type Source interface {
	// Origin is where they come from.
	Origin() Origin
	// Pin reads the app's lock files and returns the files that they pin. The client is
	// the origin's, and nil where it has no address.
	Pin(ctx context.Context, app *App, client *Client) ([]Pinned, error)
}

// Origin is the one registry or index that a package manager's files come from.
type Origin struct {
	// Manager is whose it is.
	Manager build.Manager
	// What names it in faults: npm registry.
	What string
	// Address is the base of its addresses; empty for none.
	Address string
	// Setting is where the platform names it.
	Setting string
	// Anew says how a lock file is made anew.
	Anew string
}

// Missing is the fault of an app with lock files where there is no address.
func (o Origin) Missing(at string) error {
	return step.Input(Stage, at, "can't be fetched: the platform names no "+o.What,
		"have the platform name one as "+o.Setting+" in slipway.yaml (a file that isn't for the build can be left out by .dockerignore)")
}

// Pinned is a file that lock files name.
type Pinned struct {
	// Name, Version, Path and Integrity are those of the build.Package.
	Name, Version, Path, Integrity string
	// URL is where it is fetched.
	URL string
	// Algorithm is sha256, sha384 or sha512; Sums are those of it that the file may have.
	Algorithm string
	Sums      []string
	// At is the lock file and the entry.
	At string

	client *Client
}

// Input is what Fetch is told.
type Input struct {
	// Source is the app's folder; only lock files of it are read.
	Source string
	// Sources are the package managers.
	Sources []Source
	// Reach is how registries are reached.
	Reach Reach
	// Limits bound it; DefaultLimits if zero.
	Limits Limits
}

// Limits bound what is fetched.
type Limits struct {
	// Packages is how many a lock file may name, Lock how large it may be in bytes, and
	// so what a registry says about a package.
	Packages int
	Lock     int64
	// File is the size of one, Total that of all together, in bytes.
	File, Total int64
	// Try is how long one try of one file may take, Pause how long it waits before
	// the second one; each further pause is twice as long.
	Try, Pause time.Duration
}

// DefaultLimits are far above what apps have.
var DefaultLimits = Limits{Packages: 10_000, Lock: 64 << 20, File: 256 << 20, Total: 4 << 30, Try: 10 * time.Minute, Pause: time.Second}

// Fetch fetches what the lock files of an app pin, into a folder of packages
// (build.PackagesFolder's shape), each held to its integrity. The same lock files give
// the same bytes. Besides those of Source.Pin, faults are KindPolicy for content that
// is not what the lock file says or is too much, KindInput for a package that the
// registry doesn't have, KindInfrastructure for a registry that doesn't answer.
func Fetch(ctx context.Context, out string, in Input) (build.Fetched, error) {
	if in.Limits == (Limits{}) {
		in.Limits = DefaultLimits
	}
	clients := make([]*Client, len(in.Sources))
	for i, source := range in.Sources {
		var err error
		if clients[i], err = newClient(source.Origin(), in.Reach, in.Limits); err != nil {
			return build.Fetched{}, err
		}
	}
	app, err := openApp(in.Source, in.Limits)
	if err != nil {
		return build.Fetched{}, err
	}
	defer app.root.Close()
	all := map[string]Pinned{}
	index := []build.Package{}
	for i, source := range in.Sources {
		pinned, err := source.Pin(ctx, app, clients[i])
		if err != nil {
			return build.Fetched{}, err
		}
		for _, p := range pinned {
			other, known := all[p.Path]
			if known && (other.Name != p.Name || other.Version != p.Version || other.Integrity != p.Integrity) {
				return build.Fetched{}, step.Policy(Stage, p.At, fmt.Sprintf("is another package, version or integrity than %s, from the same address", other.At), source.Origin().Anew)
			}
			p.client = clients[i]
			all[p.Path] = p
			if known {
				continue
			}
			index = append(index, build.Package{Manager: source.Origin().Manager, Name: p.Name, Version: p.Version, Path: p.Path, Integrity: p.Integrity})
			if len(index) > in.Limits.Packages {
				return build.Fetched{}, step.Policy(Stage, p.At, fmt.Sprintf("and the packages before it are more than %d", in.Limits.Packages), "depend on fewer packages")
			}
		}
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return build.Fetched{}, err
	}
	slices.SortFunc(index, func(a, b build.Package) int { return cmp.Compare(a.Path, b.Path) })
	f := &fetcher{out: out, limits: in.Limits}
	if err := Each(ctx, len(index), func(ctx context.Context, i int) (err error) {
		index[i].File, err = f.fetch(ctx, all[index[i].Path])
		return err
	}); err != nil {
		return build.Fetched{}, err
	}
	data, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return build.Fetched{}, err
	}
	fetched := build.Fetched{Locks: app.locks(), Packages: len(index), Bytes: f.total.Load()}
	return fetched, os.WriteFile(filepath.Join(out, build.PackagesIndex), append(data, '\n'), 0o644)
}

// workers is how many packages are asked for at once.
const workers = 8

// Each does some work for each number below n, several at once, until one fails. The
// first fault in their order is returned, whichever came first.
func Each(ctx context.Context, n int, work func(context.Context, int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	faults := make([]error, n)
	next := make(chan int)
	var done sync.WaitGroup
	for range min(workers, n) {
		done.Go(func() {
			for i := range next {
				if faults[i] = work(ctx, i); faults[i] != nil {
					cancel()
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	done.Wait()
	var first error
	for _, err := range faults {
		if err != nil && (first == nil || errors.Is(first, context.Canceled)) {
			first = err
		}
	}
	return first
}
