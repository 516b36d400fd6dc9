// Package lock pins Debian packages by their bytes, as go.sum pins modules.
package lock

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"slipway/step"
)

// Stage is the stage named by this package's faults.
const Stage = "debian"

// Package is one pinned package file.
type Package struct {
	// Name is the binary package's name.
	Name string
	// Version is its Debian version.
	Version string
	// SHA256 is the package file's checksum, in lower-case hexadecimal.
	SHA256 string
	// Path is the file's place in an archive, such as pool/main/g/git/….deb.
	Path string
}

// Parse reads a lock: a line per package with name, version, sha256 and path,
// separated by spaces. Empty lines and lines that begin with # are skipped.
func Parse(file string, r io.Reader) ([]Package, error) {
	var packages []Package
	seen := map[string]bool{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		where := fmt.Sprintf("%s:%d", file, n)
		fields := strings.Fields(line)
		if len(fields) != 4 {
			return nil, step.Input(Stage, where, fmt.Sprintf("has %d fields instead of four", len(fields)), "write name, version, sha256 and path, or make the lock again")
		}
		p := Package{Name: fields[0], Version: fields[1], SHA256: fields[2], Path: fields[3]}
		if sum, err := hex.DecodeString(p.SHA256); err != nil || len(sum) != 32 || strings.ToLower(p.SHA256) != p.SHA256 {
			return nil, step.Input(Stage, where, "has no sha256 in its third field", "make the lock again")
		}
		if !fs.ValidPath(p.Path) || path.Ext(p.Path) != ".deb" {
			return nil, step.Input(Stage, where, "has no clean path of a .deb file in its fourth field", "make the lock again")
		}
		if seen[p.Name] {
			return nil, step.Input(Stage, where, p.Name+" is there twice", "keep one of the two lines")
		}
		seen[p.Name] = true
		packages = append(packages, p)
	}
	if err := lines.Err(); err != nil {
		return nil, step.Input(Stage, file, "can't be read: "+err.Error(), "make the lock again").Because(err)
	}
	if len(packages) == 0 {
		return nil, step.Input(Stage, file, "names no package", "make the lock again")
	}
	return packages, nil
}

// Write writes packages as Parse reads them.
func Write(w io.Writer, packages []Package) error {
	for _, p := range packages {
		if _, err := fmt.Fprintf(w, "%s %s %s %s\n", p.Name, p.Version, p.SHA256, p.Path); err != nil {
			return err
		}
	}
	return nil
}
