// Command verify holds the modules in a module cache to a go.sum: each one that the
// go.sum names and the cache has must be, file by file, what its checksum says. The
// go command itself compares a module when it downloads it, and never again; its own
// "go mod verify" compares with what the cache says of itself.
//
//	verify GO.SUM CACHE
//
// It is made of the standard library alone: there is nobody to verify what else it
// would be compiled from.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: verify GO.SUM CACHE")
		os.Exit(2)
	}
	verified, err := verify(os.Args[1], os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "verified", verified, "modules")
}

// pin is a line of a go.sum.
type pin struct{ module, version, sum string }

// verify returns how many modules it has compared.
func verify(sums, cache string) (int, error) {
	pins, err := readPins(sums)
	if err != nil {
		return 0, err
	}
	var mu sync.Mutex
	var verified int
	var faults []error
	var group sync.WaitGroup
	turns := make(chan struct{}, runtime.NumCPU())
	for _, p := range pins {
		group.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			found, err := p.verify(cache)
			mu.Lock()
			defer mu.Unlock()
			if found {
				verified++
			}
			if err != nil {
				faults = append(faults, err)
			}
		})
	}
	group.Wait()
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return verified, errors.Join(faults...)
}

// readPins reads the checksums of modules from a go.sum, not those of go.mod files. A
// program without modules has none.
func readPins(file string) ([]pin, error) {
	content, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer content.Close()
	var pins []pin
	lines := bufio.NewScanner(content)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 0:
		case len(fields) != 3 || !strings.HasPrefix(fields[2], "h1:"):
			return nil, fmt.Errorf("%s: %q is not a line of a go.sum", file, lines.Text())
		case !strings.HasSuffix(fields[1], "/go.mod"):
			pins = append(pins, pin{fields[0], fields[1], fields[2]})
		}
	}
	return pins, lines.Err()
}

// verify compares a module, if the cache has it.
func (p pin) verify(cache string) (found bool, err error) {
	module, version := escape(p.module), escape(p.version)
	dir := filepath.Join(cache, module+"@"+version)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	// What is being unpacked now, or never was to its end, has a mark beside its
	// archive: the go command then unpacks it anew, held to go.sum.
	if _, err := os.Lstat(filepath.Join(cache, "cache", "download", module, "@v", version+".partial")); err == nil {
		return false, nil
	}
	sum, err := hash(dir, p.module+"@"+p.version)
	if err != nil {
		return true, err
	}
	if sum != p.sum {
		return true, fmt.Errorf("%s@%s in the module cache is not what go.sum pins: it has %s, not %s\n  mend: find out who changed it, then empty the engine's caches", p.module, p.version, sum, p.sum)
	}
	return true, nil
}

// hash is the checksum "h1" of a folder's files, each named below prefix, as
// golang.org/x/mod/sumdb/dirhash defines it.
func hash(dir, prefix string) (string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%s is no regular file, and no module has another", path)
		}
		relative, err := filepath.Rel(dir, path)
		files = append(files, filepath.ToSlash(relative))
		return err
	})
	if err != nil {
		return "", err
	}
	slices.Sort(files)
	all := sha256.New()
	for _, name := range files {
		file, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		one := sha256.New()
		_, err = io.Copy(one, file)
		if err = errors.Join(err, file.Close()); err != nil {
			return "", err
		}
		fmt.Fprintf(all, "%x  %s/%s\n", one.Sum(nil), prefix, name)
	}
	return "h1:" + base64.StdEncoding.EncodeToString(all.Sum(nil)), nil
}

// escape writes a path or version as the module cache does: upper-case letters as !
// and the lower-case one.
func escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsUpper(r) {
			b.WriteByte('!')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}
