package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// keyLength is how many hexadecimal digits of the hash name a cache folder.
const keyLength = 16

// Key hashes the pinned inputs of a checkout: every file of engine/dist and
// engine/seed, and the constants of this package. Equal keys mean equal
// programs and images.
func Key(repo string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, layout, DaggerVersion, goSDKCommit, querybuilderVersion, otelVersion, toolchain, toolchainSum)
	tree := os.DirFS(repo)
	for _, dir := range []string{"engine/dist", "engine/seed"} {
		err := fs.WalkDir(tree, dir, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := fs.ReadFile(tree, name)
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "%s %d\n%s", path.Clean(name), len(content), content)
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("hash the pinned inputs: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:keyLength], nil
}

// FindRepo returns the checkout that folder dir is in: the nearest one above
// that holds engine/dist/go.mod.
func FindRepo(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "engine", "dist", "go.mod")); err == nil {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is not inside a Slipway checkout: run this from one", dir)
		}
	}
}

// Dirs are the folders of one engine.
type Dirs struct {
	// Cache holds everything that is built for one key.
	Cache string
	// State holds the engine's caches. It belongs to a version of Dagger, not
	// to a key, so that a change of the other pins doesn't empty them.
	State string
	// Run holds the socket and locks of the machine's one engine.
	Run string
}

// DefaultRun is where the machine's one engine has its socket and locks.
const DefaultRun = "/run/slipway"

// NewDirs returns the folders for a key: below $XDG_CACHE_HOME, or ~/.cache.
// Like the XDG base directory specification it ignores a relative path.
func NewDirs(getenv func(string) string, key string) (Dirs, error) {
	cache := getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(cache) {
		home := getenv("HOME")
		if !filepath.IsAbs(home) {
			return Dirs{}, fmt.Errorf("neither XDG_CACHE_HOME nor HOME names a folder: set one")
		}
		cache = filepath.Join(home, ".cache")
	}
	if strings.ContainsAny(cache, ":,\\\n") {
		return Dirs{}, fmt.Errorf("cache folder %q has a character that mount options can't hold: set XDG_CACHE_HOME to another", cache)
	}
	engines := filepath.Join(cache, "slipway", "engine")
	return Dirs{Cache: filepath.Join(engines, key), State: filepath.Join(engines, "state-"+DaggerVersion), Run: DefaultRun}, nil
}

// CLI holds the dagger command and nothing else, to be put on PATH.
func (d Dirs) CLI() string { return filepath.Join(d.Cache, "cli") }

// Programs holds the engine and its helpers.
func (d Dirs) Programs() string { return filepath.Join(d.Cache, "programs") }

// SDK holds the Go SDK image: an OCI image layout.
func (d Dirs) SDK() string { return filepath.Join(d.Cache, "sdk") }

// Log is what the engine wrote since its last start.
func (d Dirs) Log() string { return filepath.Join(d.State, "engine.log") }

// Socket is the address that clients dial.
func (d Dirs) Socket() string { return filepath.Join(d.Run, "engine", "engine.sock") }

// RunnerHost is Socket as the dagger CLI wants it.
func (d Dirs) RunnerHost() string { return "unix://" + d.Socket() }
