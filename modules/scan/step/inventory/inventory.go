// Package inventory says what identifies each executable file of an image: a
// package of the system, a package of an interpreter, or what the file says of
// itself and Trivy has listed. For what nothing identifies no advisory can be
// asked, and "no finding" says nothing.
package inventory

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"

	"slipway/scan/step/layout"
	"slipway/step/result/scan"
)

const stage = "scan"

const noArtifact = "does not say which artifact it is (META-INF/maven/…/pom.properties), and no Java database knows it"

// Input is what an inventory is made of.
type Input struct {
	// Platform names the image.
	Platform string
	Layers   []layout.Layer
	// Source is the folder of the app's source: a script that is committed there
	// is the app's own.
	Source string
	// Report is Trivy's, of this very image, with all packages.
	Report *types.Report
	// Scratch is a folder for temporary files.
	Scratch string
}

// Inventory is what an image holds.
type Inventory struct {
	// Executables is how many executable files there are.
	Executables int
	// Unknown are those that nothing identifies, by path.
	Unknown []scan.Executable
	// Modules are the modules of Go programs, and how they are known.
	Modules []Module
}

// Of reads an image's layers, applied as a container runtime does, and looks for
// what identifies each executable file in it: regular files that begin as ELF, PE
// or Mach-O, with or without an executable bit, shared objects among them; Java
// archives, and each archive in one; scripts with an executable bit in a folder of
// programs. An image that can't be read, or is beyond bounds, is a fault.
func Of(in Input) (*Inventory, error) {
	t, err := unpack(in.Layers, in.Scratch)
	if err != nil {
		return nil, err
	}
	var found []place
	wanted := map[string]bool{}
	t.files(func(name string, n *node) {
		if n.file.executable != nil {
			found = append(found, place{name, t.diffIDs[n.layer], n.file.executable})
			wanted[path.Base(name)] = true
		}
	})
	slices.SortFunc(found, func(a, b place) int { return cmp.Compare(a.path, b.path) })
	k := &known{tree: t, claims: claimed(t, in.Report, wanted), listed: list(in.Report), source: in.Source, contents: map[string]bool{}}

	inventory := &Inventory{Executables: len(found)}
	verdicts := make([]verdict, len(found))
	for i, p := range found {
		if verdicts[i] = k.judge(p); verdicts[i].reason == "" {
			k.contents[p.sha256] = true
		}
	}
	unknown := func(path, sum, kind, reason string) {
		inventory.Unknown = append(inventory.Unknown, scan.Executable{
			Path: path, SHA256: sum, Kind: kind, Reason: reason, Platforms: []string{in.Platform}})
	}
	for i, p := range found {
		// A second name of something known, such as a hard link, is known.
		if reason := verdicts[i].reason; reason != "" && (p.repeated || !k.contents[p.sha256]) {
			unknown(p.path, p.sha256, p.called(), reason)
			continue
		}
		if k.listed.goPrograms[p.path] != nil {
			inventory.Modules = append(inventory.Modules, modules(p)...)
		}
		if verdicts[i].packaged {
			continue
		}
		inventory.Executables += len(p.inner)
		for _, i := range p.inner {
			if name := path.Join(p.path, i.path); !k.listed.archives[name] {
				unknown(name, i.sha256, kindJava, noArtifact)
			}
		}
	}
	return inventory, nil
}

// place is an executable at a path.
type place struct {
	path, diffID string
	*executable
}

func (p place) called() string {
	if p.privileged {
		return p.kind + " that runs as its owner"
	}
	return p.kind
}

// known is what identifies executables.
type known struct {
	tree   *tree
	claims map[string][]claim
	listed listed
	source string
	// scripts are the sums of the source's scripts, once they are asked for.
	scripts map[string]bool
	// contents are the sums of what was identified.
	contents map[string]bool
}

// listed is what a report lists, by path in the image.
type listed struct {
	// goPrograms are with their packages, as NAME@VERSION and as NAME.
	goPrograms   map[string]map[string]bool
	rustPrograms map[string]bool
	// archives and nodePackages are by the file of each package.
	archives, nodePackages map[string]bool
}

func list(report *types.Report) listed {
	l := listed{map[string]map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, result := range report.Results {
		if result.Class != types.ClassLangPkg {
			continue
		}
		for _, p := range result.Packages {
			switch result.Type {
			case ftypes.GoBinary:
				if l.goPrograms[result.Target] == nil {
					l.goPrograms[result.Target] = map[string]bool{}
				}
				l.goPrograms[result.Target][p.Name+"@"+p.Version], l.goPrograms[result.Target][p.Name] = true, true
			case ftypes.RustBinary:
				l.rustPrograms[result.Target] = true
			case ftypes.Jar:
				l.archives[cmp.Or(p.FilePath, result.Target)] = true
			case ftypes.NodePkg:
				l.nodePackages[p.FilePath] = true
			}
		}
	}
	return l
}

// verdict is what is known about an executable.
type verdict struct {
	// reason says why nothing is known; empty when something is.
	reason string
	// packaged is that a package manager's package accounts for it, and for all
	// that is in it.
	packaged bool
}

func (k *known) judge(p place) verdict {
	if p.repeated {
		return verdict{reason: "is in its layer more than once, so that nobody knows which of them was looked at"}
	}
	claims := k.claims[k.tree.resolve(p.path)]
	for _, c := range claims {
		if c.problem == "" && c.holds(p.executable, p.diffID) {
			return verdict{packaged: true}
		}
	}
	if k.inNodePackage(p.path) {
		return verdict{packaged: true}
	}
	reason := k.itself(p)
	if reason == "" || len(claims) == 0 {
		return verdict{reason: reason}
	}
	switch c := claims[0]; {
	case c.problem != "":
		return verdict{reason: c.problem}
	case c.sum == "":
		return verdict{reason: fmt.Sprintf("is of the package %s, but was written by another layer than the package", c.pkg)}
	default:
		return verdict{reason: fmt.Sprintf("has other content than the package %s says", c.pkg)}
	}
}

// itself says why a file does not identify itself; empty when it does.
func (k *known) itself(p place) string {
	switch {
	case p.kind == kindJava:
		if p.unread != "" {
			return p.unread
		}
		if !k.listed.archives[p.path] {
			return noArtifact
		}
		return older(p)
	case p.kind == kindScript:
		if k.ownScript(p.sha256) {
			return ""
		}
		return "is of no package, and no file of the app's source"
	case p.goInfo != nil:
		return k.goProgram(p)
	case k.listed.rustPrograms[p.path]:
		return older(p)
	}
	return "is of no package, and names no modules that it is built of"
}

// older says why a listing may be about what a lower layer has at the path.
func older(p place) string {
	if p.replaces {
		return "replaces another executable of a lower layer, which the scanner may have looked at instead"
	}
	return ""
}

// inNodePackage says whether a file lies in the folder of an npm package that the
// report lists: the innermost one that it lies in.
func (k *known) inNodePackage(file string) bool {
	elements := strings.Split(file, "/")
	at := -1
	for i, element := range elements[:len(elements)-1] {
		if element == "node_modules" {
			at = i
		}
	}
	if at < 0 || at+1 >= len(elements)-1 {
		return false
	}
	end := at + 2
	if strings.HasPrefix(elements[at+1], "@") {
		end++
	}
	return end < len(elements) && k.listed.nodePackages[path.Join(path.Join(elements[:end]...), "package.json")]
}

// mostScript is the most bytes that a script of the source may have.
const mostScript = 1 << 20

// ownScript says whether a content is that of a script in the app's source.
func (k *known) ownScript(sum string) bool {
	if k.scripts == nil {
		k.scripts = map[string]bool{}
		// What can't be read identifies nothing.
		_ = filepath.WalkDir(k.source, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				if s, ok := script(name); ok {
					k.scripts[s] = true
				}
			}
			return nil
		})
	}
	return k.scripts[sum]
}

func script(name string) (string, bool) {
	f, err := os.Open(name)
	if err != nil {
		return "", false
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, mostScript+1))
	if err != nil || len(data) > mostScript {
		return "", false
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), true
}
