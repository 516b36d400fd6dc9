package packages

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"slipway/step"
	"slipway/step/result/build"
)

// maxRefusals is how many entries of a lock file a refusal names.
const maxRefusals = 20

// Few is a list of refusals, of which the first are named.
func Few(refusals []string) []string {
	if more := len(refusals) - maxRefusals; more > 0 {
		return append(slices.Clone(refusals[:maxRefusals]), fmt.Sprintf("and %d more", more))
	}
	return refusals
}

// App is the app's folder.
type App struct {
	// Files are the paths of its files, in order, but for what is installed in it.
	Files []string
	// Packages is how many a lock file may name.
	Packages int

	root *os.Root
	most int64
	read map[string]build.Lock
}

func openApp(source string, limits Limits) (*App, error) {
	root, err := os.OpenRoot(source)
	if err != nil {
		return nil, err
	}
	a := &App{Packages: limits.Packages, root: root, most: limits.Lock, read: map[string]build.Lock{}}
	err = filepath.WalkDir(source, func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains(build.InstalledFolders, entry.Name()) && p != source {
				return fs.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel(source, p)
		a.Files = append(a.Files, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	slices.Sort(a.Files)
	return a, nil
}

// Lock reads a lock file and notes that it counts. No link leads it elsewhere. Faults
// are KindInput for what is no file, KindPolicy for one that is too large.
func (a *App) Lock(name string) ([]byte, error) {
	info, err := a.root.Lstat(name)
	if err != nil {
		return nil, step.Input(Stage, name, "can't be read", "make it a file of the app").Because(err)
	}
	if !info.Mode().IsRegular() {
		return nil, step.Input(Stage, name, "is no file", "make it a file of the app")
	}
	if info.Size() > a.most {
		return nil, step.Policy(Stage, name, fmt.Sprintf("is larger than %d bytes", a.most), "depend on fewer packages")
	}
	content, err := a.root.ReadFile(name)
	if err != nil {
		return nil, step.Input(Stage, name, "can't be read", "make it a file of the app").Because(err)
	}
	sum := sha256.Sum256(content)
	a.read[name] = build.Lock{Path: name, Digest: "sha256:" + hex.EncodeToString(sum[:])}
	return content, nil
}

// locks are the lock files that were read, in order.
func (a *App) locks() []build.Lock {
	all := make([]build.Lock, 0, len(a.read))
	for _, lock := range a.read {
		all = append(all, lock)
	}
	slices.SortFunc(all, func(a, b build.Lock) int { return cmp.Compare(a.Path, b.Path) })
	return all
}
