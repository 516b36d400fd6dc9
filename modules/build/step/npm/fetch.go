package npm

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway/step"
	"slipway/step/result/build"
)

// Input is what Fetch is told.
type Input struct {
	// Source is the app's folder; only lock files of it are read.
	Source string
	// Registry is the base of the addresses that packages are fetched from.
	Registry string
	// Limits bound it; DefaultLimits if zero.
	Limits Limits
}

// Limits bound what is fetched.
type Limits struct {
	// Packages is how many a lock file may name, Lock how large it may be in bytes.
	Packages int
	Lock     int64
	// Tarball is the size of one, Total that of all together, in bytes.
	Tarball, Total int64
	// Try is how long one try of one tarball may take, Pause how long it waits before
	// the second one; each further pause is twice as long.
	Try, Pause time.Duration
}

// DefaultLimits are far above what apps have.
var DefaultLimits = Limits{Packages: 10_000, Lock: 64 << 20, Tarball: 256 << 20, Total: 4 << 30, Try: 10 * time.Minute, Pause: time.Second}

// Fetch fetches what the lock files of an app pin, into a folder of packages
// (build.PackagesFolder's shape), each held to its integrity. The same lock files give
// the same bytes. Besides parse's, faults are KindPolicy for content that is not what
// the lock file says or is too much, KindInput for a package that the registry
// doesn't have, KindInfrastructure for a registry that doesn't answer.
func Fetch(ctx context.Context, out string, in Input) (build.Fetched, error) {
	if in.Limits == (Limits{}) {
		in.Limits = DefaultLimits
	}
	registry, err := parseRegistry(in.Registry)
	if err != nil {
		return build.Fetched{}, err
	}
	result := build.Fetched{Locks: []build.Lock{}}
	all := map[string]pinned{}
	files, err := locks(in.Source)
	if err != nil {
		return build.Fetched{}, err
	}
	root, err := os.OpenRoot(in.Source)
	if err != nil {
		return build.Fetched{}, err
	}
	defer root.Close()
	for _, file := range files {
		content, err := read(root, file, in.Limits.Lock)
		if err != nil {
			return build.Fetched{}, err
		}
		sum := sha256.Sum256(content)
		result.Locks = append(result.Locks, build.Lock{Path: file, Digest: "sha256:" + hex.EncodeToString(sum[:])})
		packages, err := parse(file, content, registry, in.Limits.Packages)
		if err != nil {
			return build.Fetched{}, err
		}
		for _, p := range packages {
			if other, ok := all[p.path]; ok && (other.name != p.name || other.version != p.version || other.integrity != p.integrity) {
				return build.Fetched{}, step.Policy(Stage, p.at, fmt.Sprintf("is another package, version or integrity than %s, from the same address", other.at), anew)
			}
			all[p.path] = p
		}
		if len(all) > in.Limits.Packages {
			return build.Fetched{}, step.Policy(Stage, file, fmt.Sprintf("and the lock files before it name more than %d packages", in.Limits.Packages), "depend on fewer packages")
		}
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return build.Fetched{}, err
	}
	f := &fetcher{out: out, registry: registry, limits: in.Limits, client: client(registry)}
	index := make([]build.Package, 0, len(all))
	for _, p := range all {
		index = append(index, build.Package{Name: p.name, Version: p.version, Path: p.path, Integrity: p.integrity})
	}
	slices.SortFunc(index, func(a, b build.Package) int { return cmp.Compare(a.Path, b.Path) })
	if err := f.all(ctx, index, all); err != nil {
		return build.Fetched{}, err
	}
	data, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return build.Fetched{}, err
	}
	result.Packages, result.Bytes = len(index), f.total.Load()
	return result, os.WriteFile(filepath.Join(out, build.PackagesIndex), append(data, '\n'), 0o644)
}

func parseRegistry(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.RawPath != "" ||
		u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, step.Input(Stage, fmt.Sprintf("npm registry %.200q", redacted(address)), "is not the https address of a registry", "have the platform give one as build.npm.registry in slipway.yaml: https://host/path, without user, query or fragment")
	}
	return u, nil
}

// locks are the paths of the lock files that npm would take, in order.
func locks(source string) ([]string, error) {
	found := map[string]string{}
	err := filepath.WalkDir(source, func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == "node_modules" {
			return fs.SkipDir
		}
		if i := slices.Index(build.LockFiles, entry.Name()); i >= 0 && !entry.IsDir() {
			dir := filepath.Dir(p)
			if found[dir] == "" || i == 0 {
				found[dir] = p
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var all []string
	for _, p := range found {
		name, err := filepath.Rel(source, p)
		if err != nil {
			return nil, err
		}
		all = append(all, filepath.ToSlash(name))
	}
	slices.Sort(all)
	return all, nil
}

// read reads a file of the app; no link leads it elsewhere.
func read(root *os.Root, name string, most int64) ([]byte, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, step.Input(Stage, name, "is no file", "make it a file of the app")
	}
	if info.Size() > most {
		return nil, step.Policy(Stage, name, fmt.Sprintf("is larger than %d bytes", most), "depend on fewer packages")
	}
	return root.ReadFile(name)
}

// workers is how many packages are fetched at once.
const workers = 8

// all fetches each package of the index and notes its file. The first fault in the
// index's order is returned, whichever came first.
func (f *fetcher) all(ctx context.Context, index []build.Package, all map[string]pinned) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	faults := make([]error, len(index))
	next := make(chan int)
	var done sync.WaitGroup
	for range workers {
		done.Go(func() {
			for i := range next {
				if index[i].File, faults[i] = f.fetch(ctx, all[index[i].Path]); faults[i] != nil {
					cancel()
				}
			}
		})
	}
	for i := range index {
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

// fileName is the name of a package's tarball, by its content.
func fileName(algorithm, sum string) string {
	return strings.Join([]string{algorithm, hex.EncodeToString([]byte(sum)) + ".tgz"}, "-")
}
